"""A CA beside homeca's: it signs what it is told, also what no CA should."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key
from cryptography.x509.oid import NameOID

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass(frozen=True)
class Issuer:
    """A certificate and the key that signs below it."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def fingerprint(self) -> str:
        return self.certificate.fingerprint(hashes.SHA256()).hex(":")

    def issue(
        self,
        subject: str,
        spki: bytes,
        *,
        begin: datetime = NOW - DAY,
        end: datetime = NOW + 100 * DAY,
        ca: bool = False,
        critical: str | None = None,
    ) -> x509.Certificate:
        """A certificate for any key. critical: OID of an extension nobody understands."""
        key = load_der_public_key(spki)
        assert isinstance(key, ec.EllipticCurvePublicKey)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(subject))
            .issuer_name(self.certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if critical is not None:
            odd = x509.UnrecognizedExtension(x509.ObjectIdentifier(critical), b"\x05\x00")
            builder = builder.add_extension(odd, critical=True)
        return builder.sign(self.key, hashes.SHA256())


def root(name: str, *, end: datetime = NOW + 3000 * DAY) -> Issuer:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 10 * DAY)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Issuer(certificate, key)


def intermediate(above: Issuer, name: str, *, ca: bool = True) -> Issuer:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(above.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 5 * DAY)
        .not_valid_after(NOW + 1000 * DAY)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(above.key, hashes.SHA256())
    )
    return Issuer(certificate, key)


@dataclass(frozen=True)
class Ca:
    """A root and the intermediate that answers."""

    root: Issuer
    issuing: Issuer

    def answer(self, certificate: x509.Certificate, *, with_root: bool = True) -> bytes:
        chain = certificate.public_bytes(Encoding.PEM) + self.issuing.pem
        return chain + self.root.pem if with_root else chain


@cache
def ca() -> Ca:
    top = root("Home Root")
    return Ca(top, intermediate(top, "Home Issuing"))


@cache
def stranger() -> Ca:
    """The same names, other keys."""
    top = root("Home Root")
    return Ca(top, intermediate(top, "Home Issuing"))
