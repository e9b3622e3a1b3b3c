"""NSS, the library of Firefox, judges certificates and CRLs in a database of its own.

certutil's exit status is 0 for a revoked certificate, so its text counts. NSS looks at no names
here, and it never finds a CRL too old.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.interop.kinds import (
    CLIENT_AUTH,
    EMAIL_PROTECTION,
    KINDS,
    LOST,
    OCSP_SIGNING,
    SERVER_AUTH,
    Kind,
)
from tests.interop.programs import must, run
from tests.interop.world import World, tampered

VALID = "certificate is valid"
SSL_CLIENT, SSL_SERVER, SSL_CA = "C", "V", "L"


class Database:
    """An NSS database that trusts one root and knows one intermediate."""

    def __init__(self, path: Path, root: Path, intermediate: Path) -> None:
        self._where = f"sql:{path}"
        path.mkdir()
        must("certutil", "-N", "-d", self._where, "--empty-password")
        self.add("root", root, trust="CT,C,C")
        self.add("intermediate", intermediate)

    def add(self, name: str, certificate: Path, *, trust: str = ",,") -> None:
        must("certutil", "-A", "-d", self._where, "-n", name, "-t", trust, "-i", certificate)

    def add_crl(self, pem: Path) -> str:
        """What crlutil says of it; "" when it took it. It reads DER."""
        done = run("crlutil", "-I", "-d", self._where, "-t", "1", "-i", pem.with_suffix(""))
        return done.stderr.strip()

    def verdict(self, name: str, usage: str, *, days_ahead: int = 0) -> str:
        """VALID or NSS's reason. usage: one of certutil -V's letters."""
        when = (datetime.now(UTC) + timedelta(days=days_ahead)).strftime("%y%m%d%H%M%SZ")
        done = run(
            *("certutil", "-V", "-d", self._where, "-n", name, "-u", usage, "-e", "-l"),
            *("-b", when),
        )
        text = (done.stdout + done.stderr).strip()
        # "certutil: certificate is valid", or "intermediate : Peer's ..." naming the one at fault
        return text.removeprefix("certutil: ").rpartition(" : ")[2]


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Database]:
    return {}


@pytest.fixture
def database(
    world: World, databases: dict[str, Database], tmp_path_factory: pytest.TempPathFactory
) -> Database:
    """Everything of a world, with its CRLs; made once, since NSS takes 0.1 s to make one."""
    if world.flavour not in databases:
        made = Database(tmp_path_factory.mktemp("nss") / "db", world.root, world.intermediate)
        for kind in (*KINDS, LOST):
            made.add(kind.stem, world.leaf(kind))
        for crl in (world.root_crl, world.intermediate_crl):
            assert made.add_crl(crl) == ""
        databases[world.flavour] = made
    return databases[world.flavour]


#: certutil's letters. NSS has none for time stamping, and for code it still wants the Netscape
#: certificate type in the issuer (SEC_ERROR_CA_CERT_INVALID), which nobody has written since 2000.
USAGES = {
    CLIENT_AUTH: SSL_CLIENT,
    SERVER_AUTH: SSL_SERVER,
    EMAIL_PROTECTION: "S",
    OCSP_SIGNING: "O",
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.stem)
def test_nss_takes_every_certificate_for_its_purpose_and_no_other(
    database: Database, kind: Kind
) -> None:
    for eku in kind.ekus:
        if eku in USAGES:
            assert database.verdict(kind.stem, USAGES[eku]) == VALID
    other = database.verdict(kind.stem, USAGES[kind.other_eku])
    assert other == "Certificate type not approved for application."


@pytest.mark.parametrize("name", ["root", "intermediate"])
def test_nss_takes_both_issuers_as_cas_and_no_device(database: Database, name: str) -> None:
    assert database.verdict(name, SSL_CA) == VALID
    assert database.verdict(KINDS[0].stem, SSL_CA) != VALID


def test_nss_refuses_a_certificate_past_its_end(database: Database) -> None:
    assert database.verdict(KINDS[0].stem, SSL_CLIENT, days_ahead=374) == VALID
    found = database.verdict(KINDS[0].stem, SSL_CLIENT, days_ahead=376)
    assert found == "Peer's Certificate has expired."


def test_nss_refuses_a_revoked_certificate_once_it_has_the_crl(world: World, scratch: Path) -> None:
    database = Database(scratch / "db", world.root, world.intermediate)
    database.add(LOST.stem, world.leaf(LOST))
    assert database.verdict(LOST.stem, SSL_CLIENT) == VALID
    assert database.add_crl(world.intermediate_crl) == ""
    assert database.verdict(LOST.stem, SSL_CLIENT) == "Peer's Certificate has been revoked."


def test_nss_refuses_a_certificate_with_one_bit_of_its_signature_changed(
    world: World, scratch: Path
) -> None:
    database = Database(scratch / "db", world.root, world.intermediate)
    database.add("spoilt", tampered(world.leaf(KINDS[0]), scratch))
    assert database.verdict("spoilt", SSL_CLIENT) == "Peer's certificate has an invalid signature."


def test_nss_refuses_a_certificate_under_a_strangers_root(
    world: World, stranger: World, scratch: Path
) -> None:
    database = Database(scratch / "db", stranger.root, world.intermediate)
    database.add("leaf", world.leaf(KINDS[0]))
    assert database.verdict("leaf", SSL_CLIENT) == "Peer's Certificate issuer is not recognized."


def test_nss_refuses_a_crl_with_one_bit_of_its_signature_changed(
    world: World, scratch: Path
) -> None:
    database = Database(scratch / "db", world.root, world.intermediate)
    whole = world.intermediate_crl.with_suffix("").read_bytes()
    spoilt = scratch / "spoilt.crl"
    spoilt.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert "invalid signature" in database.add_crl(spoilt.with_name("spoilt.crl.pem"))


def test_nss_refuses_a_crl_of_a_stranger(world: World, stranger: World, scratch: Path) -> None:
    database = Database(scratch / "db", world.root, world.intermediate)
    assert database.add_crl(stranger.intermediate_crl) != ""
