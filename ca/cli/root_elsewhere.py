"""An intermediate whose root is in another home: what is carried there, and what comes back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ca.cli.ceremony_showing import show_issuer
from ca.cli.output import document, result_file, say, warn
from ca.cli.reading import read_named
from ca.cli.targets import require_free
from ca.errors import ConfigurationError
from ca.files import PUBLIC_FILE, write_whole
from ca.names.showing import shell_word, visible

if TYPE_CHECKING:
    from ca.encoding.facts import CertificateFacts
    from ca.interfaces.issuing import IssuerRecord
    from ca.services.ceremony.plan import Plan
    from ca.services.facility import Facility

_CERTIFICATE_LIMIT = 1 << 20


def require_request_place(path: Path) -> None:
    """Before a key is made for it. Raises: OutputExists, UsageError."""
    require_free(path, force=False, remedy="choose another name: --csr-out FILE")


def answer_place(request: Path) -> Path:
    """Beside the request, FILE.crt; before anything is signed. Raises: OutputExists, UsageError."""
    answer = request.with_name(f"{request.stem}.crt")
    require_free(
        answer,
        force=False,
        remedy="move it away, or give the request under another name: the answer is put beside it",
    )
    return answer


def make_request(path: Path, plan: Plan, found: Facility, *, as_json: bool) -> None:
    """On the intermediate's machine: what the root is to sign."""
    from ca.encoding.containers import pem
    from ca.services.ceremony.foreign_root import request_intermediate

    def keep(request: bytes) -> None:
        write_whole(path, pem("CERTIFICATE REQUEST", request), mode=PUBLIC_FILE)

    issuer, _ = request_intermediate(plan, found, hand_over=keep)
    if as_json:
        document(issuer=issuer.slug, subject=issuer.subject, request=str(path))
        return
    result_file(path)
    say(f"{issuer.subject} waits for its certificate.")
    say(
        "next: have the request signed where the root lives "
        f"(`homeca init-intermediate --sign-request {shell_word(path.name)}` there), then run "
        f"{_taking(f'{path.stem}.crt')} here"
    )
    say("an answer that another CA's program made needs the root's certificate appended")


def _taking(answer: str) -> str:
    return f"`homeca init-intermediate --certificate {shell_word(answer)}`"


def certify_foreign(
    path: Path, answer: Path, plan: Plan, found: Facility, *, as_json: bool
) -> None:
    """On the root's machine: the certificate, and the root's, into `answer` (`answer_place`)."""
    from ca.encoding.containers import fingerprint, pem, read_request
    from ca.encoding.requests import parse_request
    from ca.services.ceremony.intermediate import certify_foreign_intermediate
    from ca.services.facility import authorities, root_of

    request = parse_request(read_request(read_named(path, _CERTIFICATE_LIMIT, "a certificate")))
    issuer = certify_foreign_intermediate(request, plan, found)
    root = root_of(authorities(found.store))
    chain = [issuer.certificate or b"", root.issuer.certificate or b""]
    try:
        write_whole(answer, b"".join(pem("CERTIFICATE", der) for der in chain), mode=PUBLIC_FILE)
    except ConfigurationError:
        warn(
            "it is signed: certs/ of this home holds its certificate and the root's; carry both "
            "back in one file (PEM)"
        )
        raise
    show_issuer(issuer, found, as_json=as_json, constraints=None)
    say(f"wrote {visible(str(answer))}, with the root's certificate")
    say(f"  the root's SHA-256 {fingerprint(chain[1])}")
    say(
        f"next: carry it back, run {_taking(answer.name)} there, and compare the fingerprint of "
        "the root"
    )


def take_answer(path: Path, found: Facility, *, trusted: bytes | None) -> IssuerRecord:
    """On the intermediate's machine: the certificates that came back.

    trusted: SHA-256 of the root where the owner gave it; None: it is shown, and a person asked.
    """
    from ca.encoding.containers import read_certificates
    from ca.services.ceremony.foreign_root import accept_intermediate

    ders = read_certificates(read_named(path, _CERTIFICATE_LIMIT, "a certificate"))
    return accept_intermediate(ders, found, trusted=trusted, believe=_show_root)


def _show_root(root: CertificateFacts) -> None:
    """Once it is recorded no other root can be; where nobody is asked, showing it must do."""
    from ca.encoding.containers import fingerprint
    from ca.services.device.accepting import ROOT_FROM_CA

    say(f"the root of this home will be {root.tbs.subject}")
    say(f"  SHA-256 {fingerprint(root.der)}")
    say(f"compare it with what {ROOT_FROM_CA} says in the home of the root")
    if sys.stdin.isatty() and not typer.confirm("Is it the same?", err=True):
        raise typer.Abort
