"""Each reason against a certificate is found, beside a good one that has none."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ca.encoding.containers import read_certificates
from ca.errors import VerificationFailed
from ca.home import Home
from ca.services.verification.certificates import Verified, verify_certificate
from ca.wiring.opening import open_settings, system_clock
from ca.wiring.record import open_store
from tests.house import House, make_request


def ders(path: Path) -> tuple[bytes, ...]:
    return read_certificates(path.read_bytes())


def verified(
    house: House,
    certificates: Sequence[bytes],
    *,
    later: timedelta = timedelta(0),
    purpose: str | None = None,
    host: str | None = None,
) -> Verified:
    home = Home(house.home)
    with open_store(home, open_settings(home)) as store:
        return verify_certificate(
            certificates, store, home, at=system_clock() + later, purpose=purpose, host=host
        )


def reasons(
    house: House,
    certificates: Sequence[bytes],
    *,
    later: timedelta = timedelta(0),
    purpose: str | None = None,
    host: str | None = None,
) -> set[str]:
    """Rules of the refusal; none when it is good."""
    try:
        verified(house, certificates, later=later, purpose=purpose, host=host)
    except VerificationFailed as error:
        return {violation.rule for violation in error.violations}
    return set()


@pytest.mark.parametrize(
    ("stem", "purpose", "host"),
    [
        ("laptop", "client", None),
        ("nas", "server", "nas.home.arpa"),
        ("nas", "server", "192.168.1.10"),
        ("nas", None, None),
    ],
)
def test_what_was_issued_is_good(
    common_house: House, stem: str, purpose: str | None, host: str | None
) -> None:
    found = verified(
        common_house, ders(common_house.file(f"{stem}.crt")), purpose=purpose, host=host
    )

    assert len(found.chain) == 3
    assert found.record is not None
    assert found.warnings == ()


def test_a_leaf_alone_is_enough_for_the_chain(common_house: House) -> None:
    assert reasons(common_house, ders(common_house.file("nas.crt"))[:1]) == set()


def test_root_and_intermediate_are_good(common_house: House) -> None:
    for name in ("root", "intermediate-1"):
        assert reasons(common_house, ders(common_house.home / f"certs/{name}.pem")) == set()


@pytest.mark.parametrize(
    ("stem", "purpose", "host", "rule"),
    [
        ("laptop", "server", None, "purpose.missing"),
        ("nas", "client", None, "purpose.missing"),
        ("nas", "server", "mail.home.arpa", "host.mismatch"),
        ("nas", "server", "192.168.1.11", "host.mismatch"),
        ("lost", None, None, "revoked.record"),
        ("lost", None, None, "revoked.crl"),
        ("parked", None, None, "revoked.record"),
    ],
)
def test_a_reason_is_found(
    common_house: House, stem: str, purpose: str | None, host: str | None, rule: str
) -> None:
    certificates = ders(common_house.file(f"{stem}.crt"))

    assert rule in reasons(common_house, certificates, purpose=purpose, host=host)


def test_all_reasons_come_at_once(common_house: House) -> None:
    found = reasons(
        common_house,
        ders(common_house.file("lost.crt")),
        later=timedelta(days=400),
        purpose="server",
        host="x.home.arpa",
    )

    assert found >= {
        "dates.expired",
        "purpose.missing",
        "host.mismatch",
        "revoked.record",
        "revoked.crl",
    }


@pytest.mark.parametrize(("days", "rule"), [(376, "dates.expired"), (-1, "dates.not-yet")])
def test_dates_are_kept(common_house: House, days: int, rule: str) -> None:
    certificates = ders(common_house.file("laptop.crt"))

    assert rule in reasons(common_house, certificates, later=timedelta(days=days))


def test_a_changed_octet_of_the_signature_is_found(common_house: House) -> None:
    leaf = bytearray(ders(common_house.file("nas.crt"))[0])
    leaf[-1] ^= 1

    assert "chain.signature" in reasons(common_house, [bytes(leaf)])


def test_a_stranger_with_our_issuers_name_is_found(common_house: House) -> None:
    """A key of one's own, and the intermediate's subject as issuer."""
    intermediate = x509.load_der_x509_certificate(
        ders(common_house.home / "certs/intermediate-1.pem")[0]
    )
    key = ec.generate_private_key(ec.SECP256R1())

    assert reasons(
        common_house, [_signed(key, issuer=intermediate.subject, name="nas.home.arpa")]
    ) == {"chain.signature"}


def test_a_certificate_of_another_root_is_found(common_house: House) -> None:
    key = ec.generate_private_key(ec.SECP256R1())

    assert reasons(common_house, [_signed(key, issuer=None, name="nas.home.arpa")]) == {
        "chain.other-root"
    }


def test_a_certificate_of_nobody_known_is_found(common_house: House) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    stranger = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Stranger CA")])

    assert reasons(common_house, [_signed(key, issuer=stranger, name="nas.home.arpa")]) == {
        "chain.unknown-issuer"
    }


def _signed(key: ec.EllipticCurvePrivateKey, *, issuer: x509.Name | None, name: str) -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def test_a_leaf_used_as_an_issuer_is_found(common_house: House) -> None:
    """The nas signs: everything about the signature is right but that it may not."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    pem = common_house.file("nas.key").read_bytes()
    key = load_pem_private_key(pem, password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    nas = ders(common_house.file("nas.crt"))
    forged = _signed(
        key, issuer=x509.load_der_x509_certificate(nas[0]).subject, name="bank.home.arpa"
    )

    assert {"ca.not-a-ca", "ca.key-usage"} <= reasons(common_house, [forged, *nas])


def test_a_row_taken_from_the_record_is_found(house: House) -> None:
    """The signature is this CA's; its record does not know of it (L19)."""
    with house.database() as database:
        database.execute(
            "DELETE FROM certificates WHERE serial = ?", (bytes.fromhex(house.serial("nas")),)
        )

    assert reasons(house, ders(house.file("nas.crt"))) == {"record.unknown"}


def test_another_certificate_under_a_recorded_serial_is_found(house: House) -> None:
    """Both may be signed by this CA: the record answers for one of them."""
    with house.database() as database:
        database.execute(
            "UPDATE certificates SET der = (SELECT der FROM certificates WHERE serial = ?) "
            "WHERE serial = ?",
            (bytes.fromhex(house.serial("laptop")), bytes.fromhex(house.serial("nas"))),
        )

    assert reasons(house, ders(house.file("nas.crt"))) == {"record.other"}
    assert reasons(house, ders(house.file("laptop.crt"))) == set()


def test_an_uncertain_serial_counts_as_revoked(house: House) -> None:
    with house.database() as database:
        database.execute(
            "UPDATE certificates SET state = 'uncertain', der = NULL WHERE serial = ?",
            (bytes.fromhex(house.serial("nas")),),
        )

    assert "record.uncertain" in reasons(house, ders(house.file("nas.crt")))


def test_a_revocation_that_is_on_no_crl_yet_is_found_in_the_record(house: House) -> None:
    house.homeca.must("revoke", house.file("nas.crt"))

    assert reasons(house, ders(house.file("nas.crt"))) == {"revoked.record", "revoked.unlisted"}


def test_a_crl_that_lists_what_the_record_forgot_is_believed(house: House) -> None:
    with house.database() as database:
        database.execute(
            "DELETE FROM revocations WHERE serial = ?", (bytes.fromhex(house.serial("lost")),)
        )

    assert reasons(house, ders(house.file("lost.crt"))) == {"revoked.crl"}


def test_a_crl_with_a_broken_signature_is_no_answer(house: House) -> None:
    with house.database() as database:
        (der,) = database.execute("SELECT der FROM crls WHERE issuer_id = 2").fetchone()
        changed = bytearray(der)
        changed[-1] ^= 1
        database.execute("UPDATE crls SET der = ? WHERE issuer_id = 2", (bytes(changed),))

    assert "crl.signature" in reasons(house, ders(house.file("nas.crt")))


def test_a_vpn_client_without_san_is_good_and_strict_clients_are_told_of(house: House) -> None:
    request = make_request(house.place, "bare", "DNS:x.home.arpa", subject="/CN=bare")
    house.homeca.must("sign", request, "--profile", "tls-client", "--san", "email:me@home.arpa")

    found = verified(house, ders(house.file("bare.crt")), purpose="client")

    assert found.record is not None
