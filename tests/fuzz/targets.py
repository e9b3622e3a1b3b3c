"""What must hold for any octets: a result or one of homeca's errors, both harmless to show.

Each target takes octets and raises whatever homeca should not have raised. `tests/fuzz/run.py`
drives them by coverage, `test_targets.py` by a small mutator on every run of the suite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ca.encoding.containers import read_certificates, read_crls, read_request
from ca.encoding.inspect import read_certificate, read_crl
from ca.encoding.requests import parse_request
from ca.errors import HomecaError, RequestRefused
from ca.names.showing import visible
from ca.profiles.parse import parse_profile
from ca.settings import read_settings
from tests.policy.worlds import judge

VECTORS = Path(__file__).parents[1] / "vectors"
CHECKOUT = Path(__file__).parents[2]


class Surprise(Exception):
    """A result or a message that must not be."""


def _check_error(error: HomecaError) -> None:
    texts = [error.problem, error.remedy]
    if isinstance(error, RequestRefused):
        texts += [v.text + v.remedy for v in error.violations]
        if not error.violations:
            raise Surprise("refused for no reason") from error
    for text in texts:
        if visible(text) != text:
            raise Surprise(f"not harmless: {text!r}") from error
    if not error.problem or not error.remedy:
        raise Surprise("no problem or no remedy") from error


def request(octets: bytes) -> None:
    """A file that should hold a request, to the decision."""
    try:
        found = parse_request(read_request(octets))
        for shown in (*found.notes, *(a.shown for a in found.attributes)):
            if visible(shown) != shown:
                raise Surprise(f"not harmless: {shown!r}")
        grant = judge(found)
    except HomecaError as error:
        _check_error(error)
        return
    if found.violations or grant.spki != found.spki:
        raise Surprise("granted in spite of a violation")


def certificate(octets: bytes) -> None:
    """A file that should hold certificates."""
    try:
        for der in read_certificates(octets):
            read_certificate(der)
    except HomecaError as error:
        _check_error(error)


def crl(octets: bytes) -> None:
    """A file that should hold CRLs."""
    try:
        for der in read_crls(octets):
            read_crl(der)
    except HomecaError as error:
        _check_error(error)


def profile(octets: bytes) -> None:
    """A user's profile."""
    try:
        parse_profile(octets.decode("utf-8", "replace"), name="fuzz", source="fuzz.cnf")
    except HomecaError as error:
        _check_error(error)


def settings(octets: bytes) -> None:
    """A homeca.toml."""
    try:
        read_settings(octets)
    except HomecaError as error:
        _check_error(error)


def _files(directory: Path, *patterns: str) -> Iterator[bytes]:
    for pattern in patterns:
        for path in sorted(directory.rglob(pattern)):
            if path.is_file() and path.stat().st_size < 8192:
                yield path.read_bytes()


def _request_seeds() -> Iterator[bytes]:
    for octets in _files(VECTORS / "requests", "*.csr", "*.req", "*.der", "*.b64"):
        yield octets
        try:
            yield read_request(octets)
        except HomecaError:
            continue


def _certificate_seeds() -> Iterator[bytes]:
    from tests.vectors.requests.cases_containers import certificate as sample

    yield sample()
    yield from _files(VECTORS / "lint", "*.der", "*.pem")


def _profile_seeds() -> Iterator[bytes]:
    yield from _files(CHECKOUT / "templates" / "profiles", "*.cnf", "*.j2")
    yield from _files(VECTORS / "profiles", "*.cnf")


def _settings_seeds() -> Iterator[bytes]:
    yield b'base_url = "http://ca.lan"\ntpm = "device:/dev/tpm0"\ncrl_days = 3\n'
    yield b'[names]\npermit_dns = ["lan"]\npermit_ip = ["fd00::/8"]\nexceptions = ["a@b"]\n'


def _crl_seeds() -> Iterator[bytes]:
    yield from _files(VECTORS / "crl", "*.der", "*.pem")
    yield from _files(VECTORS / "lint", "*.crl", "*crl*")
    yield from _files(VECTORS / "requests" / "made", "is-crl*")


TARGETS: dict[str, tuple[Callable[[bytes], None], Callable[[], Iterator[bytes]]]] = {
    "request": (request, _request_seeds),
    "certificate": (certificate, _certificate_seeds),
    "crl": (crl, _crl_seeds),
    "profile": (profile, _profile_seeds),
    "settings": (settings, _settings_seeds),
}
