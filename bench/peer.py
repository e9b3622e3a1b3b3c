"""The peer: `openssl ca` with the tpm2 provider, a persistent key, the guide's openssl.cnf."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.timing import Side, Spent
from bench.tpm import tcti

HANDLE = "0x81010000"

#: As the OpenSSL Certificate Authority guide has it, for an intermediate; paths are relative.
CONFIGURATION = """
[ ca ]
default_ca = CA_default

[ CA_default ]
dir               = .
certs             = $dir/certs
crl_dir           = $dir/crl
new_certs_dir     = $dir/newcerts
database          = $dir/index.txt
serial            = $dir/serial
certificate       = $dir/ca.pem
crlnumber         = $dir/crlnumber
crl_extensions    = crl_ext
default_crl_days  = 30
default_md        = sha256
name_opt          = ca_default
cert_opt          = ca_default
default_days      = 375
preserve          = no
policy            = policy_loose

[ policy_loose ]
countryName             = optional
stateOrProvinceName     = optional
localityName            = optional
organizationName        = optional
organizationalUnitName  = optional
commonName              = supplied
emailAddress            = optional

[ req ]
distinguished_name = req_distinguished_name

[ req_distinguished_name ]
commonName = Common Name

[ v3_ca ]
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always,issuer
basicConstraints = critical, CA:true
keyUsage = critical, digitalSignature, cRLSign, keyCertSign

[ usr_cert ]
basicConstraints = CA:FALSE
nsCertType = client, email
nsComment = "OpenSSL Generated Client Certificate"
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid,issuer
keyUsage = critical, nonRepudiation, digitalSignature, keyEncipherment
extendedKeyUsage = clientAuth, emailProtection

[ crl_ext ]
authorityKeyIdentifier=keyid:always
"""


def install_key(port: int, place: Path) -> None:
    """A P-256 key made in the TPM and kept at `HANDLE`, with tpm2-tools."""
    if shutil.which("tpm2_createprimary") is None:
        raise SystemExit("error: tpm2-tools are missing: run `sudo apt install tpm2-tools`")
    place.mkdir(exist_ok=True)
    side = Side({"PATH": os.environ["PATH"], "TPM2TOOLS_TCTI": tcti(port)}, place)
    attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign"
    for line in (
        "tpm2_createprimary -Q -C o -g sha256 -G ecc -c primary",
        f"tpm2_create -Q -C primary -G ecc -a {attributes} -u public -r private",
        "tpm2_load -Q -C primary -u public -r private -c key",
        f"tpm2_evictcontrol -Q -C o -c key {HANDLE}",
    ):
        side.must(line.split())
        side.must(["tpm2_flushcontext", "-t"])  # no resource manager: three slots in all


@dataclass(frozen=True, slots=True)
class Peer:
    """One directory with an index.txt. requests: each is signed once."""

    place: Path
    requests: Iterator[Path]
    is_file_key: bool = False

    @classmethod
    def founded(
        cls, place: Path, requests: Iterator[Path], *, port: int, is_file_key: bool = False
    ) -> Peer:
        made = cls(place, requests, is_file_key)
        for directory in (place, place / "newcerts"):
            directory.mkdir()
        (place / "openssl.cnf").write_text(CONFIGURATION)
        (place / "index.txt").touch()
        (place / "serial").write_text("1000000000000000000000000000000000000000\n")
        (place / "crlnumber").write_text("1000\n")
        if is_file_key:
            made._must(
                "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-out", "key.pem", port=port,
            )  # fmt: skip
        made._must(
            "req", "-new", "-x509", "-batch", "-config", "openssl.cnf", *made._provider(),
            "-key", made._key(), "-subj", "/O=Bench/CN=Peer", "-days", "3650", "-sha256",
            "-extensions", "v3_ca", "-out", "ca.pem", port=port,
        )  # fmt: skip
        return made

    def side(self, port: int) -> Side:
        return Side({"PATH": os.environ["PATH"], "TPM2OPENSSL_TCTI": tcti(port)}, self.place)

    def _key(self) -> str:
        return "key.pem" if self.is_file_key else f"handle:{HANDLE}"

    def _provider(self) -> tuple[str, ...]:
        # tpm2 first: the other way round it does not find the key
        return () if self.is_file_key else ("-provider", "tpm2", "-provider", "default")

    def _must(self, *arguments: str | Path, port: int) -> Spent:
        return self.side(port).must(["openssl", *arguments])

    def signing(self, request: Path) -> list[str]:
        """argv that signs one request."""
        return [
            "openssl", "ca", *self._provider(), "-keyfile", self._key(),
            "-config", "openssl.cnf", "-batch", "-notext", "-extensions", "usr_cert",
            "-in", str(request), "-out", str(self.place / f"{request.stem}.crt"),
        ]  # fmt: skip

    def sign(self, port: int) -> Spent:
        """It exits 0 also when it issued nothing: the file is what counts."""
        request = next(self.requests)
        spent = self.side(port).must(self.signing(request))
        made = self.place / f"{request.stem}.crt"
        if not made.exists() or b"BEGIN CERTIFICATE" not in made.read_bytes():
            raise SystemExit(f"error: openssl ca issued nothing:\n{spent.output.decode()}")
        made.unlink()
        return spent

    def gencrl(self, port: int) -> Spent:
        spent = self._must(
            "ca", *self._provider(), "-keyfile", self._key(), "-config", "openssl.cnf",
            "-gencrl", "-out", "ca.crl", port=port,
        )  # fmt: skip
        if b"BEGIN X509 CRL" not in (self.place / "ca.crl").read_bytes():
            raise SystemExit("error: openssl ca cut no CRL")
        return spent

    def fill(self, count: int, *, revoked: int = 0) -> None:
        """That many lines in index.txt, of which the first are revoked for keyCompromise."""
        with (self.place / "index.txt").open("a") as index:
            for number in range(count):
                status = "R" if number < revoked else "V"
                when = "261101000000Z,keyCompromise" if number < revoked else ""
                index.write(
                    f"{status}\t361101000000Z\t{when}\t{0x4000 << 144 | number:X}\tunknown"
                    f"\t/CN=filled-{number}.home.arpa\n"
                )

    def issued(self) -> int:
        """Lines of index.txt."""
        return len((self.place / "index.txt").read_text().splitlines())
