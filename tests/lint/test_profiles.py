"""What the built-in profiles make passes the gate, for every consumer they name."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ca.algorithms import EC_P256, signature_algorithm
from ca.encoding.certificate import build_tbs
from ca.encoding.dn import encode_name
from ca.encoding.inspect import read_certificate
from ca.interfaces.values import Serial, Validity
from ca.lint.consumers import canonical
from ca.lint.gate import LintedTbs, lint_tbs
from ca.lint.rule import LintContext, LintRole
from ca.names.distinguished import DistinguishedName
from ca.names.general import GeneralName, kind_of, parse_general_name
from ca.profiles.library import Library
from ca.profiles.parse import parse_profile
from ca.profiles.profile import Profile
from ca.profiles.render import RenderContext, render
from ca.profiles.x509v3 import ExtensionContext, build_extensions
from tests.lint.lintvectors import der
from tests.vectors.lint import make

LIBRARY = Library()
CEREMONY = ("root-ca", "intermediate-ca")
ISSUER = read_certificate(der("clean-intermediate"))
ROOT = read_certificate(der("clean-root"))
KEYS = {
    "ec": make.spki(make.LEAF_KEY),
    "rsa": make.rsa_spki(),
    "ed25519": make.spki(make.ed()),
}
SERVER_NAMES = ("DNS:nas.home.arpa", "IP:192.168.1.10", "IP:fd00::10")
#: The names a device of each profile would ask for; others take none.
NAMES = {
    "classic-server_cert": (),
    "email": ("email:alice@home.arpa",),
    "tls-client": ("DNS:nas.home.arpa",),
    "tls-server": SERVER_NAMES,
    "vpn-client": ("DNS:nas.home.arpa", "email:alice@home.arpa", "UPN:alice@home.arpa"),
    "vpn-client-windows": ("DNS:nas.home.arpa", "email:alice@home.arpa"),
    "vpn-server": SERVER_NAMES,
    "wifi-client": ("DNS:nas.home.arpa", "UPN:alice@home.arpa"),
    "wifi-server": ("DNS:nas.home.arpa",),
}
#: Said of a certificate, and signed all the same: profile, key family, the rules that speak.
SAID = {
    # Taken over from an old guide as it stands there, issuer:always and all.
    ("classic-server_cert", "*"): {
        "netscape.obsolete",
        "rfc5280.4.2.1.1.key-id-alone",
        "br.7.1.2.7.12.server-san",
    },
    # The guide's key usage is wider than OpenVPN up to 2.3 took of an RSA key.
    ("classic-usr_cert", "rsa"): {"netscape.obsolete", "d7.4.no-san", "OV4"},
    ("classic-usr_cert", "*"): {"netscape.obsolete", "d7.4.no-san"},
    # For cryptoapicert "TMPL:" a template extension is asked for by name.
    ("vpn-client", "*"): {"OV10"},
    # The profile is for more than IKEv2.
    ("tls-client", "ed25519"): {"WI6.key"},
}


def profile_of(name: str, key: str, names: tuple[GeneralName, ...] = ()) -> Profile:
    context = RenderContext(
        key=key,
        names=frozenset(kind_of(one) for one in names),
        crl_url=make.CDP_URL,
        issuer_url="http://ca.home.arpa/home.cer",
        permitted_dns=("home.arpa",),
        permitted_ip=("192.168.0.0/16", "fd00::/8"),
        pathlen=1 if name == "root-ca" else 0,
    )
    template = LIBRARY.template(name)
    return parse_profile(render(template, context), name=name, source=template.source)


def issued(name: str, key: str) -> LintedTbs:
    """What homeca would sign: the profile's extensions over a name that fits it."""
    names = tuple(parse_general_name(text) for text in NAMES.get(name, ()))
    profile = profile_of(name, key, names)
    role = {"root-ca": LintRole.ROOT, "intermediate-ca": LintRole.INTERMEDIATE}.get(
        name, LintRole.LEAF
    )
    issuer = {LintRole.ROOT: None, LintRole.INTERMEDIATE: ROOT, LintRole.LEAF: ISSUER}[role]
    common = "nas.home.arpa" if names else "Nas"
    subject = encode_name(DistinguishedName.of(("O", "Home"), ("CN", common)))
    spki = KEYS[key]
    by = issuer.tbs if issuer is not None else None
    tbs = build_tbs(
        serial=Serial(0x4BAD << 140 | 1),
        algorithm=signature_algorithm(EC_P256),
        issuer_der=subject if by is None else by.subject.der,
        validity=Validity.of_days(make.NOW, min(profile.max_days, 825, profile.default_days)),
        subject_der=subject,
        spki=spki,
        extensions=build_extensions(
            profile,
            ExtensionContext(
                subject_spki=spki,
                issuer_spki=spki if by is None else by.spki,
                issuer_ski=make.key_id(spki) if by is None else by.ski,
                issuer_name_der=subject if by is None else by.issuer.der,
                issuer_serial=0x4BAD << 140 | 1 if by is None else by.serial,
                names=names,
                self_signed=by is None,
            ),
        ),
    )
    return lint_tbs(
        tbs,
        context=LintContext(
            now=make.NOW + timedelta(minutes=1),
            role=role,
            issuer=issuer,
            consumers=profile.consumers,
        ),
    )


def situations() -> list[tuple[str, str]]:
    found = []
    for name in LIBRARY.names():
        kinds = profile_of(name, "ec").keys
        for key in KEYS:
            if any(kind.startswith(key) for kind in kinds):
                found.append((name, key))
    return found


@pytest.mark.parametrize(("name", "key"), situations())
def test_what_a_built_in_profile_makes_passes_with_no_more_said_than_is_known(
    name: str, key: str
) -> None:
    linted = issued(name, key)
    expected = SAID.get((name, key), SAID.get((name, "*"), set()))
    assert {finding.rule for finding in linted.findings} == expected


@pytest.mark.parametrize("name", LIBRARY.names())
def test_every_consumer_a_built_in_profile_names_is_known(name: str) -> None:
    consumers = profile_of(name, "ec").consumers
    assert canonical(consumers) is not None
    assert consumers or name in (*CEREMONY, "classic-server_cert", "classic-usr_cert")
