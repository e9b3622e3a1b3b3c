"""The auditor of a record that holds what this CA never made, or must not have made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from msgspec.structs import replace

from ca.encoding.tpm import Attributes
from ca.encoding.tsskey import TssKey
from ca.files import locked_if_free
from ca.home import Home
from ca.services.finding import Finding, Gravity
from tests.house import CRL_URL, House
from tests.revocation.paper import distribution_point
from tests.services.test_inspection import errors, findings

STRANGER = ec.generate_private_key(ec.SECP256R1())


def serial(house: House, stem: str) -> bytes:
    return bytes.fromhex(house.serial(stem))


def told(house: House, rule: str) -> list[Finding]:
    return [found for found in findings(house) if found.rule == rule]


def subject_of(house: House, slug: str = "intermediate-1") -> x509.Name:
    octets = (house.home / f"certs/{slug}.crt").read_bytes()
    return x509.load_der_x509_certificate(octets).subject


def forged(
    house: House,
    *extensions: x509.ExtensionType,
    key: CertificatePublicKeyTypes | None = None,
    days: int = 30,
) -> x509.Certificate:
    """In the name of the intermediate, by a key that is not its own."""
    now = datetime.now(UTC).replace(microsecond=0)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "forged")]))
        .issuer_name(subject_of(house))
        .public_key(key or STRANGER.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=days))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(STRANGER, hashes.SHA256())


def put_certificate(house: House, stem: str, certificate: x509.Certificate) -> None:
    """In the place of the one that was signed, with the TBS that belongs to it."""
    with house.database() as database:
        database.execute(
            "UPDATE certificates SET der = ?, tbs = ? WHERE serial = ?",
            (
                certificate.public_bytes(Encoding.DER),
                certificate.tbs_certificate_bytes,
                serial(house, stem),
            ),
        )


# ---------------------------------------------------------------- rows


@pytest.mark.parametrize(
    ("stem", "gravity"), [("laptop", Gravity.ERROR), ("lost", Gravity.WARNING)]
)
def test_a_certificate_that_lint_refuses_is_an_error_while_it_is_live(
    house: House, stem: str, gravity: Gravity
) -> None:
    assert told(house, "check.row.lint") == []

    put_certificate(house, stem, forged(house))

    found = told(house, "check.row.lint")
    assert {one.gravity for one in found} == {gravity}
    assert {one.where for one in found} == {f"serial {house.serial(stem)}"}


def test_a_certificate_that_outlives_its_issuer_is_found(house: House) -> None:
    """One that ends with it does not."""
    with house.database() as database:
        database.execute(
            "UPDATE issuers SET not_after = (SELECT not_after FROM certificates WHERE serial = ?) "
            "WHERE id = 2",
            (serial(house, "laptop"),),
        )
    where = f"serial {house.serial('laptop')}"
    assert where not in {one.where for one in told(house, "check.row.outlives-issuer")}

    with house.database() as database:
        database.execute("UPDATE issuers SET not_after = not_after - 1 WHERE id = 2")

    found = {one.where: one.gravity for one in told(house, "check.row.outlives-issuer")}
    assert found[where] is Gravity.ERROR


def test_a_ca_that_is_no_issuer_of_this_home_is_found(house: House) -> None:
    put_certificate(house, "laptop", forged(house, x509.BasicConstraints(True, None)))

    assert "check.row.unexpected-ca" in errors(house)
    assert told(house, "check.row.unexpected-ca")[0].where == f"serial {house.serial('laptop')}"


def test_a_leaf_and_the_own_issuers_are_no_unexpected_cas(house: House) -> None:
    put_certificate(house, "laptop", forged(house, x509.BasicConstraints(False, None)))

    assert told(house, "check.row.unexpected-ca") == []


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 1024).public_key(),  # noqa: S505  # that is the point
        ed448.Ed448PrivateKey.generate().public_key(),
    ],
    ids=["rsa-1024", "ed448"],
)
def test_a_weak_key_and_one_homeca_does_not_know_are_found(
    house: House, key: CertificatePublicKeyTypes
) -> None:
    put_certificate(house, "laptop", forged(house))
    assert "check.row.key" not in errors(house)

    put_certificate(house, "laptop", forged(house, key=key))

    assert "check.row.key" in errors(house)


def test_a_live_certificate_for_a_compromised_key_is_found(house: House) -> None:
    """The key of the lost device, under another's serial."""
    with house.database() as database:
        database.execute(
            "UPDATE certificates SET spki_sha256 = "
            "(SELECT spki_sha256 FROM certificates WHERE serial = ?) WHERE serial = ?",
            (serial(house, "lost"), serial(house, "laptop")),
        )

    (found,) = told(house, "check.row.key-compromised")
    assert (found.gravity, found.where) == (Gravity.ERROR, f"serial {house.serial('laptop')}")


@pytest.mark.parametrize("state", ["reserved", "intended"])
def test_a_signature_that_was_begun_and_not_ended_is_told(house: House, state: str) -> None:
    """While another homeca is at work nobody can tell whether it is that one's."""
    with house.database() as database:
        database.execute(
            "UPDATE certificates SET state = ?, der = NULL WHERE serial = ?",
            (state, serial(house, "laptop")),
        )

    with locked_if_free(Home(house.home).issuing_lock):
        (found,) = told(house, "check.row.open")
    assert (found.gravity, found.where) == (Gravity.WARNING, f"serial {house.serial('laptop')}")


# ---------------------------------------------------------------- CRLs


def forged_crl(house: House, *extensions: x509.ExtensionType, issuer: x509.Name) -> bytes:
    now = datetime.now(UTC).replace(microsecond=0)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer)
        .last_update(now)
        .next_update(now + timedelta(days=30))
    )
    for extension in extensions:
        builder = builder.add_extension(
            extension, critical=isinstance(extension, x509.IssuingDistributionPoint)
        )
    return builder.sign(STRANGER, hashes.SHA256()).public_bytes(Encoding.DER)


def put_crl(house: House, der: bytes) -> None:
    with house.database() as database:
        database.execute("UPDATE crls SET der = ? WHERE issuer_id = 2", (der,))


@pytest.mark.parametrize(("slug", "is_found"), [("root", True), ("intermediate-1", False)])
def test_a_crl_of_another_issuer_is_found(house: House, slug: str, is_found: bool) -> None:
    put_crl(house, forged_crl(house, x509.CRLNumber(1), issuer=subject_of(house, slug)))

    assert ("check.crl.issuer" in errors(house)) is is_found


def test_a_crl_that_lint_refuses_is_found(house: House) -> None:
    """It has neither a number nor an authorityKeyIdentifier (RFC 5280 §5.2)."""
    assert told(house, "check.crl.lint") == []

    put_crl(house, forged_crl(house, issuer=subject_of(house)))

    found = told(house, "check.crl.lint")
    assert {one.gravity for one in found} == {Gravity.ERROR}
    assert {one.where for one in found} == {"CRL of intermediate-1"}


@pytest.mark.parametrize(
    ("url", "is_found"), [(CRL_URL, False), ("http://elsewhere.home.arpa/x.crl", True)]
)
def test_a_crl_that_says_it_is_at_another_place_is_found(
    house: House, url: str, is_found: bool
) -> None:
    """Clients compare it with the certificate's distribution point (RFC 5280 §6.3.3 (b)(2))."""
    place = distribution_point(url)
    put_crl(house, forged_crl(house, x509.CRLNumber(1), place, issuer=subject_of(house)))

    assert ("check.crl.location" in errors(house)) is is_found


def test_a_released_serial_is_told_until_the_next_crl(house: House) -> None:
    house.homeca.must("revoke", house.file("parked.crt"), "--reason", "removeFromCRL")

    (found,) = findings(house)
    assert (found.rule, found.gravity) == ("check.crl.released", Gravity.WARNING)
    assert found.where == f"serial {house.serial('parked')}"

    house.homeca.must("crl")
    assert findings(house) == []


# ---------------------------------------------------------------- issuers


def of_issuers(house: House, rule: str) -> set[str]:
    found = told(house, rule)
    assert {one.gravity for one in found} <= {Gravity.ERROR}
    return {one.where for one in found}


def test_an_issuer_whose_certificate_names_another_parent_is_found(house: House) -> None:
    assert of_issuers(house, "check.issuer.chain") == set()

    put_issuer_certificate(house, forged(house, *as_ca("keyCertSign")))

    assert of_issuers(house, "check.issuer.chain") == {"issuer intermediate-1"}


def as_ca(*usages: str) -> Sequence[x509.ExtensionType]:
    return (
        x509.BasicConstraints(True, None),
        x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign="keyCertSign" in usages,
            crl_sign="cRLSign" in usages,
            encipher_only=False,
            decipher_only=False,
        ),
    )


def put_issuer_certificate(house: House, certificate: x509.Certificate) -> None:
    with house.database() as database:
        database.execute(
            "UPDATE issuers SET certificate = ? WHERE id = 2",
            (certificate.public_bytes(Encoding.DER),),
        )


@pytest.mark.parametrize(
    ("extensions", "is_found"),
    [
        (as_ca("keyCertSign"), False),
        (as_ca("cRLSign"), True),
        (as_ca("keyCertSign")[:1], True),
        (as_ca("keyCertSign")[1:], True),
    ],
    ids=["a CA", "no keyCertSign", "no keyUsage", "no basicConstraints"],
)
def test_an_issuer_whose_certificate_is_no_cas_is_found(
    house: House, extensions: Sequence[x509.ExtensionType], is_found: bool
) -> None:
    put_issuer_certificate(house, forged(house, *extensions))

    expected = {"issuer intermediate-1"} if is_found else set()
    assert of_issuers(house, "check.issuer.not-a-ca") == expected


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM certificates WHERE serial = (SELECT serial FROM issuers WHERE id = 2)",
        "UPDATE certificates SET issuer_id = 2 "
        "WHERE serial = (SELECT serial FROM issuers WHERE id = 2)",
        "UPDATE certificates SET der = x'3000' "
        "WHERE serial = (SELECT serial FROM issuers WHERE id = 2)",
    ],
    ids=["no row", "a row of another issuer", "a row of other octets"],
)
def test_an_issuer_its_parent_has_no_record_of_is_found(house: House, statement: str) -> None:
    with house.database() as database:
        database.execute(statement)

    assert of_issuers(house, "check.issuer.unrecorded") == {"issuer intermediate-1"}


# ---------------------------------------------------------------- keys


def change_key(house: House, change: Callable[[TssKey], TssKey]) -> None:
    path = house.home / "keys/intermediate-1.tss"
    path.write_bytes(change(TssKey.from_pem(path.read_bytes())).to_pem())


def test_a_key_that_the_tpm_does_not_load_is_found(house: House) -> None:
    """Its public half is what it was; what the TPM sealed is not."""
    change_key(
        house, lambda key: replace(key, private=key.private[:-1] + bytes([key.private[-1] ^ 1]))
    )

    assert errors(house) == set()
    assert errors(house, load_keys=True) == {"check.key.load"}


def with_attributes(public: bytes, attributes: int) -> bytes:
    """TPM2B_PUBLIC: size, type and nameAlg stand before objectAttributes (Part 2, 12.2.4)."""
    return public[:6] + attributes.to_bytes(4, "big") + public[10:]


@pytest.mark.parametrize(
    "missing",
    [Attributes.FIXED_TPM, Attributes.FIXED_PARENT, Attributes.SENSITIVE_DATA_ORIGIN],
    ids=lambda missing: str(missing.name),
)
def test_a_key_that_can_leave_the_tpm_is_found(house: House, missing: Attributes) -> None:
    def let_go(key: TssKey) -> TssKey:
        attributes = int.from_bytes(key.public[6:10], "big")
        assert attributes & missing
        return replace(key, public=with_attributes(key.public, attributes & ~missing))

    change_key(house, let_go)

    assert errors(house) == {"check.key.can-leave"}
