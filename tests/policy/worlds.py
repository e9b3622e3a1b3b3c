"""Small profiles, issuers and a verdict, for tests of decisions: independent of the templates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from ca.encoding.containers import read_request
from ca.encoding.dn import encode_name
from ca.encoding.requests import Request, parse_request
from ca.interfaces.revocation import KeyBar
from ca.names.constraints import NameConstraints
from ca.names.distinguished import DistinguishedName
from ca.permitted import NamePolicy
from ca.policy.decision import decide
from ca.policy.terms import Grant, IssuerFacts, Wishes
from ca.profiles.profile import PolicyField, PolicyRule, Profile

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ROOT = DistinguishedName.of(("CN", "Test Root"))
ISSUER = DistinguishedName.of(("C", "DE"), ("O", "Zuhause"), ("CN", "Test Issuing CA 1"))


def policy(**rules: str) -> tuple[PolicyField, ...]:
    """`policy(C="optional", CN="supplied")`, in that order."""
    from ca.names.distinguished import attribute_type

    return tuple(
        PolicyField(attribute_type(name).oid, PolicyRule(rule)) for name, rule in rules.items()
    )


ANY = Profile(
    name="any",
    purpose="whatever can be certified",
    consumers=(),
    text="",
    sha256=b"",
    source="test",
    default_days=375,
    max_days=825,
    digest=None,
    policy=policy(
        C="optional",
        ST="optional",
        L="optional",
        O="optional",
        OU="optional",
        CN="optional",
        emailAddress="optional",
        UID="optional",
    ),
    subject_defaults=(),
    subject_fixed=(),
    keys=("ec", "rsa", "ed25519"),
    san_kinds=frozenset({"dns", "ip", "email", "uri", "upn"}),
    san_required=False,
    cn_from_san=False,
    copies_extensions=False,
    is_ca=False,
    extensions=(),
    key_usage=frozenset(),
    eku=(),
)
SERVER = replace(
    ANY,
    name="server",
    policy=policy(O="optional", CN="optional"),
    keys=("ec-p256", "ec-p384", "rsa"),
    san_kinds=frozenset({"dns", "ip"}),
    san_required=True,
    cn_from_san=True,
)
DEVICE = replace(
    ANY,
    name="device",
    policy=policy(CN="supplied"),
    keys=("ec-p256", "ec-p384", "rsa"),
    san_kinds=frozenset({"dns", "email", "upn"}),
)
PROFILES = {profile.name: profile for profile in (ANY, SERVER, DEVICE)}

FREE = IssuerFacts(
    subject_der=encode_name(ISSUER),
    subject=ISSUER,
    not_after=NOW + timedelta(days=3650),
    constraints=(),
    issuer_subjects=frozenset({encode_name(ROOT), encode_name(ISSUER)}),
    issuer_spki_sha256=frozenset(),
)
CONSTRAINED = replace(
    FREE,
    constraints=(NameConstraints.parse(dns=["home.arpa"], ip=["192.168.0.0/16", "fd00::/8"]),),
)


def never_barred(_spki_sha256: bytes) -> KeyBar | None:
    return None


def judge(
    request: Request | bytes,
    profile: Profile = ANY,
    *,
    issuer: IssuerFacts = FREE,
    names: NamePolicy | None = None,
    wishes: Wishes | None = None,
) -> Grant:
    """Read if need be, and decide, at NOW."""
    if isinstance(request, bytes):
        request = parse_request(read_request(request))
    return decide(
        request,
        profile,
        issuer=issuer,
        names=names or NamePolicy(),
        wishes=wishes or Wishes(),
        now=NOW,
        barred=never_barred,
    )
