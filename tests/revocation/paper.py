"""A CA on paper: its key is a variable, and it signs any nonsense a test wants to see refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)
CDP = "http://ca.home.arpa/paper.crl"


def distribution_point(url: str) -> x509.IssuingDistributionPoint:
    """That a list is at this place, and covers everything."""
    return x509.IssuingDistributionPoint(
        full_name=[x509.UniformResourceIdentifier(url)],
        relative_name=None,
        only_contains_user_certs=False,
        only_contains_ca_certs=False,
        only_some_reasons=None,
        indirect_crl=False,
        only_contains_attribute_certs=False,
    )


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


@dataclass
class PaperCa:
    """One self-signed root, a server and a client; everything lies in `place`."""

    place: Path
    now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    key: ec.EllipticCurvePrivateKey = field(default_factory=new_key)

    def __post_init__(self) -> None:
        root = self._builder("Paper", self.key.public_key(), ca=True).sign(
            self.key, hashes.SHA256()
        )
        self.root = self.place / "root.pem"
        self.root.write_bytes(root.public_bytes(Encoding.PEM))
        self.server = self._identity("server", ExtendedKeyUsageOID.SERVER_AUTH)
        self.client = self._identity("client", ExtendedKeyUsageOID.CLIENT_AUTH)
        certificate = x509.load_pem_x509_certificate(Path(self.client["cert"]).read_bytes())
        self.client_serial = certificate.serial_number

    def _builder(
        self, common_name: str, key: ec.EllipticCurvePublicKey, *, ca: bool
    ) -> x509.CertificateBuilder:
        own = self.key.public_key()
        usage = {
            use: False
            for use in (
                "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
                "encipher_only", "decipher_only",
            )
        }  # fmt: skip
        return (
            x509.CertificateBuilder()
            .subject_name(name(common_name))
            .issuer_name(name("Paper"))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - 100 * DAY)
            .not_valid_after(self.now + 1000 * DAY)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(
                x509.KeyUsage(digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, **usage),
                critical=True,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(own), critical=False)
        )

    def _identity(self, stem: str, eku: x509.ObjectIdentifier) -> dict[str, str | Path]:
        key = new_key()
        built = self._builder(stem, key.public_key(), ca=False).add_extension(
            x509.ExtendedKeyUsage([eku]), critical=False
        )
        certificate = built.sign(self.key, hashes.SHA256())
        (self.place / f"{stem}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        octets = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self.place / f"{stem}.key").write_bytes(octets)
        return {
            "ca": self.root,
            "cert": self.place / f"{stem}.pem",
            "key": self.place / f"{stem}.key",
        }

    def crl(
        self,
        number: int,
        *,
        revoked: bool = False,
        this_update: timedelta = -DAY,
        next_update: timedelta = 30 * DAY,
        idp: bool = False,
        key: ec.EllipticCurvePrivateKey | None = None,
    ) -> str:
        """PEM of a list with the client on it or not. Times from now; key: another signer's."""
        signer = key or self.key
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(name("Paper"))
            .last_update(self.now + this_update)
            .next_update(self.now + next_update)
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
                critical=False,
            )
        )
        if idp:
            builder = builder.add_extension(distribution_point(CDP), critical=True)
        if revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(self.client_serial)
                .revocation_date(self.now - 2 * DAY)
                .build()
            )
        return builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
