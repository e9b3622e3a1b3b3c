"""The OpenSSL guide's file: `openssl ca` issues with it, and homeca with what it imported."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from ca.encoding import tlv
from ca.encoding.dn import encode_name
from ca.encoding.extensions import Extension, key_identifier
from ca.encoding.requests import parse_request
from ca.errors import RequestRefused
from ca.names.distinguished import DistinguishedName
from ca.permitted import NamePolicy
from ca.policy.decision import decide
from ca.policy.terms import IssuerFacts, Wishes
from ca.profiles.importing import import_cnf
from ca.profiles.library import template_of
from ca.profiles.parse import parse_profile
from ca.profiles.profile import Profile
from ca.profiles.render import RenderContext, render
from ca.profiles.x509v3 import ExtensionContext, build_extensions
from tests.profiles.openssl import VECTORS, OpenSSL, extensions_of

GUIDE = (VECTORS / "guide-root.cnf").read_text("utf-8")
ISSUER = DistinguishedName.parse("/C=GB/ST=England/O=Alice Ltd/CN=Alice Ltd Root CA")
SERIAL = 0x1234567890
STRICT = "/C=GB/ST=England/O=Alice Ltd"
NOW = datetime(2026, 1, 1, tzinfo=UTC)

#: What `openssl ca` and homeca are asked for.
SUBJECTS = (
    f"{STRICT}/CN=bob",
    f"{STRICT}/OU=Web/CN=bob/emailAddress=bob@home.arpa",
    "/CN=bob/O=Alice Ltd/ST=England/C=GB",
    f"{STRICT}/L=London/CN=bob",
    f"{STRICT}/O=Alice Ltd/CN=bob",
    f"{STRICT}/O=Mallory Ltd/CN=bob",
    f"{STRICT}/CN=bob/CN=robert",
    STRICT,
    "/C=gb/ST=England/O=Alice Ltd/CN=bob",
    "/C=GB/ST=england/O=Alice Ltd/CN=bob",
    "/C=GB/ST=England/O=Alice  Ltd/CN=bob",
    "/C=GB/ST=England/O=Alice Ltd./CN=bob",
    "/C=GB/ST=England/CN=bob",
    "/O=Alice Ltd/CN=bob",
    "/CN=bob",
    "/DC=example/DC=alice/CN=bob",
)
_OF_A_POLICY = {"subject.no-match", "subject.attribute-missing"}


@dataclass(frozen=True)
class Made:
    """What stands in a certificate by decision: the subject's DER and the extensions."""

    subject: bytes
    extensions: tuple[Extension, ...]


class GuidesCA(OpenSSL):
    """The guide's directory, `openssl ca` and its database, with the file's own words."""

    def make(self, text: str) -> None:
        for directory in ("private", "certs", "newcerts"):
            (self.directory / directory).mkdir()
        (self.directory / "index.txt").touch()
        (self.directory / "index.txt.attr").write_text("unique_subject = no\n")
        (self.directory / "serial").write_text("1000\n")
        (self.directory / "openssl.cnf").write_text(text)
        for key in ("private/ca.key.pem", "leaf.key"):
            self.must("genrsa", "-out", key, "2048")
        self.must(
            *("req", "-config", "openssl.cnf", "-key", "private/ca.key.pem", "-new", "-x509"),
            *("-days", "30", "-extensions", "v3_ca", "-set_serial", hex(SERIAL)),
            *("-subj", f"{STRICT}/CN=Alice Ltd Root CA", "-out", "certs/ca.cert.pem"),
        )

    @property
    def issuer_spki(self) -> bytes:
        """The public half of the CA's key in DER."""
        return self.must("pkey", "-in", "private/ca.key.pem", "-pubout", "-outform", "DER")

    def request(self, subject: str, mask: str = "utf8only") -> bytes:
        """DER of a request by the guide's own [ req ]."""
        text = (self.directory / "openssl.cnf").read_text()
        (self.directory / "req.cnf").write_text(text.replace("utf8only", mask))
        self.must(
            *("req", "-config", "req.cnf", "-key", "leaf.key", "-new", "-subj", subject),
            *("-out", "leaf.csr"),
        )
        return self.must("req", "-in", "leaf.csr", "-outform", "DER")

    def issue(self, section: str, policy: str) -> Made | None:
        """What `openssl ca` makes of the last request; None when it refuses."""
        done = self.run(
            *("ca", "-batch", "-config", "openssl.cnf", "-extensions", section),
            *("-policy", policy, "-notext", "-in", "leaf.csr", "-out", "leaf.pem"),
        )
        if done.returncode != 0:
            assert b"field" in done.stderr, done.stderr.decode(errors="replace")
            return None
        der = self.must("x509", "-in", "leaf.pem", "-outform", "DER")
        fields = list(tlv.elements(tlv.read(tlv.read_only(der, tlv.SEQUENCE))[1]))
        return Made(tlv.tlv(*fields[5]), extensions_of(der))


@pytest.fixture(scope="module")
def guide(tmp_path_factory: pytest.TempPathFactory) -> GuidesCA:
    place = tmp_path_factory.mktemp("guide")
    ca = GuidesCA(place)
    ca.make(GUIDE.replace("/root/ca", str(place)))
    return ca


def profiles(ca: GuidesCA) -> dict[str, Profile]:
    text = (ca.directory / "openssl.cnf").read_text()
    found = {}
    for one in import_cnf(text, "openssl.cnf"):
        rendered = render(template_of(one.text, name=one.name, source="x"), RenderContext())
        found[one.name] = parse_profile(rendered, name=one.name, source="x")
    return found


def homeca(request: bytes, profile: Profile, ca: GuidesCA) -> Made | None:
    """What homeca would certify; None when the profile's policy refuses."""
    issuer = IssuerFacts(
        subject_der=encode_name(ISSUER),
        subject=ISSUER,
        not_after=NOW + timedelta(days=4000),
        constraints=(),
        issuer_subjects=frozenset(),
        issuer_spki_sha256=frozenset(),
    )
    try:
        grant = decide(
            parse_request(request),
            profile,
            issuer=issuer,
            names=NamePolicy(),
            wishes=Wishes(),
            now=NOW,
            barred=lambda _: None,
        )
    except RequestRefused as refused:
        if {v.rule for v in refused.violations} - _OF_A_POLICY:
            raise
        return None
    signing = ca.issuer_spki
    context = ExtensionContext(
        subject_spki=ca.spki("leaf"),
        issuer_spki=signing,
        issuer_ski=key_identifier(signing),
        issuer_name_der=encode_name(ISSUER),
        issuer_serial=SERIAL,
        subject=grant.subject,
    )
    return Made(encode_name(grant.subject), build_extensions(profile, context))


@pytest.mark.parametrize("policy", ["policy_strict", "policy_loose"])
def test_a_policy_judges_and_orders_a_subject_as_openssl_ca_does(
    policy: str, guide: GuidesCA
) -> None:
    own = "usr_cert" if policy == "policy_strict" else "usr_cert-policy_loose"
    profile = profiles(guide)[own]
    verdicts = []
    for subject in SUBJECTS:
        request = guide.request(subject)
        theirs = guide.issue("usr_cert", policy)
        assert homeca(request, profile, guide) == theirs, subject
        verdicts.append(theirs is not None)
    assert verdicts.count(True) == (6 if policy == "policy_strict" else 15)


@pytest.mark.parametrize("section", ["usr_cert", "server_cert", "ocsp"])
def test_the_guides_certificate_is_homecas_subject_and_every_extension(
    section: str, guide: GuidesCA
) -> None:
    request = guide.request(f"{STRICT}/CN=bob")
    theirs = guide.issue(section, "policy_strict")
    assert theirs is not None
    assert homeca(request, profiles(guide)[section], guide) == theirs
    other = next(name for name in ("usr_cert", "server_cert") if name != section)
    assert homeca(request, profiles(guide)[other], guide) != theirs


def test_match_looks_at_the_text_and_not_at_its_string_type(guide: GuidesCA) -> None:
    """`openssl ca` calls "Alice Ltd" and "Alice Ltd" different when one is a PrintableString, as
    Windows writes it. RFC 5280 §7.1 compares text, and the certificate has the issuer's type."""
    alike = homeca(guide.request(f"{STRICT}/CN=bob"), profiles(guide)["usr_cert"], guide)
    request = guide.request(f"{STRICT}/CN=bob", mask="default")
    assert guide.issue("usr_cert", "policy_strict") is None
    assert alike is not None
    assert homeca(request, profiles(guide)["usr_cert"], guide) == alike
