"""The real `openssl`, and homeca beside it, over one configuration."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ca.encoding import tlv
from ca.encoding.dn import encode_name
from ca.encoding.extensions import Extension, key_identifier
from ca.names.distinguished import DistinguishedName
from ca.names.general import GeneralName
from ca.profiles.x509v3 import ExtensionContext

SUBJECT = DistinguishedName.of(("O", "Home"), ("CN", "leaf"), ("emailAddress", "me@home.arpa"))
ISSUER = DistinguishedName.of(("O", "Home"), ("CN", "Issuer"))
SERIAL = 0x70AABBCCDD
VECTORS = Path(__file__).parent.parent / "vectors" / "profiles"

#: The releases whose verdicts snippets.txt tells: Debian 12 has 3.0, Debian 13 has 3.5.
DEBIAN_12, DEBIAN_13 = (3, 0), (3, 5)
RELEASES = (DEBIAN_12, DEBIAN_13)
_SINCE = re.compile(r"since (\d+)\.(\d+): (.+)")


@dataclass(frozen=True)
class Verdict:
    """What is to become of a section, from one release of OpenSSL on."""

    since: tuple[int, int]
    word: str
    rule: str


@dataclass(frozen=True)
class Snippet:
    """A configuration and what is to become of its section `ext`; verdicts by release."""

    id: str
    verdicts: tuple[Verdict, ...]
    issuer: str
    text: str

    def at(self, release: tuple[int, int]) -> Verdict:
        """The verdict that holds with a release."""
        return [one for one in self.verdicts if one.since <= release][-1]


def snippets(file: str) -> Iterator[Snippet]:
    """Those of a file, in order; the form is told in snippets.txt."""
    for part in (VECTORS / file).read_text("utf-8").split("\n### ")[1:]:
        head, _, text = part.partition("\n")
        name, first, *others = (field.strip() for field in head.split("|"))
        verdicts, issuer = [_verdict(first, DEBIAN_12)], "ca"
        for other in others:
            later = _SINCE.fullmatch(other)
            if later:
                verdicts.append(_verdict(later[3], (int(later[1]), int(later[2]))))
            else:
                issuer = other
        yield Snippet(name, tuple(verdicts), issuer, text)


def _verdict(text: str, since: tuple[int, int]) -> Verdict:
    word, _, rule = text.partition(" ")
    return Verdict(since, word, rule)


@dataclass
class OpenSSL:
    """A directory with keys and certificates, made by `openssl` itself."""

    directory: Path
    calls: int = field(default=0)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """`openssl ARGUMENTS` in the directory, without the system's configuration."""
        program = shutil.which("openssl")
        assert program, "openssl is missing: apt install openssl"
        self.calls += 1
        return subprocess.run(
            [program, *arguments],
            cwd=self.directory,
            env={"PATH": os.environ["PATH"], "OPENSSL_CONF": "/dev/null"},
            capture_output=True,
            timeout=60,
            check=False,
        )

    def must(self, *arguments: str) -> bytes:
        """Standard output of a call that has to succeed."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout

    @property
    def release(self) -> tuple[int, int]:
        """(3, 0) of `OpenSSL 3.0.19 27 Jan 2026`."""
        found = re.match(rb"OpenSSL (\d+)\.(\d+)\.", self.must("version"))
        assert found, "openssl is not OpenSSL: apt install openssl"
        return int(found[1]), int(found[2])

    def make_world(self) -> None:
        """Keys, a request with an address in its subject, and two issuers.

        ca: with key identifier and alternative names. bare: without either.
        """
        for name in ("ca", "leaf"):
            self.must("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{name}.key")
        (self.directory / "req.cnf").write_text(
            "[req]\ndistinguished_name = dn\n[dn]\n[none]\nbasicConstraints = CA:TRUE\n"
            "subjectKeyIdentifier = none\nauthorityKeyIdentifier = none\n"
            "[full]\nbasicConstraints = critical, CA:TRUE\nsubjectKeyIdentifier = hash\n"
            "authorityKeyIdentifier = none\n"
            "subjectAltName = email:ca@home.arpa, URI:http://ca.home.arpa/\n"
        )
        for issuer, section in (("ca", "full"), ("bare", "none")):
            self.must(
                *("req", "-x509", "-new", "-config", "req.cnf", "-extensions", section),
                *("-key", "ca.key", "-subj", "/O=Home/CN=Issuer", "-days", "30"),
                *("-set_serial", hex(SERIAL), "-out", f"{issuer}.pem"),
            )
        self.must(
            *("req", "-new", "-config", "req.cnf", "-key", "leaf.key", "-out", "leaf.csr"),
            *("-subj", "/O=Home/CN=leaf/emailAddress=me@home.arpa"),
        )

    def certify(
        self, text: str, *, section: str = "ext", issuer: str = "ca"
    ) -> tuple[Extension, ...] | None:
        """Extensions `openssl x509 -req -extfile` makes of a section; None when it refuses.

        issuer: "ca", "bare", or "self" to sign with the subject's own key.
        """
        (self.directory / "ext.cnf").write_text(text, "utf-8")
        signing = (
            ("-signkey", "leaf.key")
            if issuer == "self"
            else ("-CA", f"{issuer}.pem", "-CAkey", "ca.key", "-set_serial", "1")
        )
        done = self.run(
            *("x509", "-req", "-in", "leaf.csr", *signing, "-extfile", "ext.cnf"),
            *("-extensions", section, "-days", "1", "-outform", "DER"),
        )
        return extensions_of(done.stdout) if done.returncode == 0 else None

    def der(self, name: str) -> bytes:
        """A certificate of this world in DER."""
        return self.must("x509", "-in", f"{name}.pem", "-outform", "DER")

    def spki(self, name: str) -> bytes:
        """The public half of a key in DER."""
        return self.must("pkey", "-in", f"{name}.key", "-pubout", "-outform", "DER")

    def context(self, issuer: str, names: tuple[GeneralName, ...] = ()) -> ExtensionContext:
        """What `certify` with this issuer depends on, as homeca is told it."""
        own = issuer == "self"
        leaf, signing = self.spki("leaf"), self.spki("leaf" if own else "ca")
        values = {} if own else {e.oid: e.value for e in extensions_of(self.der(issuer))}
        return ExtensionContext(
            subject_spki=leaf,
            issuer_spki=signing,
            issuer_ski=None if issuer == "bare" else key_identifier(signing),
            issuer_name_der=encode_name(ISSUER),
            issuer_serial=SERIAL,
            names=names,
            self_signed=own,
            subject=SUBJECT,
            issuer_alt_names=values.get("2.5.29.17"),
        )


def extensions_of(certificate: bytes) -> tuple[Extension, ...]:
    """Every extension of a certificate in order, its value not looked into."""
    tbs = tlv.read_only(certificate, tlv.SEQUENCE)
    tag, fields, _ = tlv.read(tbs)
    assert tag == tlv.SEQUENCE
    found = []
    for tag, content in tlv.elements(fields):
        if tag == 0xA3:
            for _, extension in tlv.elements(tlv.read_only(content, tlv.SEQUENCE)):
                parts = list(tlv.elements(extension))
                found.append(Extension(tlv.read_oid(parts[0][1]), len(parts) == 3, parts[-1][1]))
    return tuple(found)
