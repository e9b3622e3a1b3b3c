"""The subject and the names of a certificate, as profile, issuer and setting allow them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ca.encoding.dn import decode_name, encode_name
from ca.encoding.extensions import SERVER_AUTH
from ca.encoding.request_names import check_a_labels
from ca.encoding.requests import Request
from ca.errors import IllegalName, Violation
from ca.names.distinguished import COMMON_NAME, Attribute, DistinguishedName, attribute_type
from ca.names.general import DNSName, EmailName, GeneralName, IPName, kind_of, parse_general_name
from ca.names.showing import visible
from ca.permitted import NamePolicy
from ca.policy.terms import Findings, IssuerFacts, Wishes
from ca.profiles.profile import PolicyRule, Profile

#: More names than any device at home has; a longer list is a mistake or an attack.
MAX_NAMES = 100
EMAIL_ADDRESS = "1.2.840.113549.1.9.1"


def asked_names(
    request: Request, profile: Profile, wishes: Wishes, findings: Findings
) -> tuple[GeneralName, ...]:
    """What was typed, or asked for, as far as the profile takes such names."""
    asked = request.names if wishes.san is None else wishes.san
    if wishes.san is not None:
        for name in request.names:
            if name not in wishes.san:
                findings.drop("subjectAltName", name, "not among the names given with --san")
    granted: list[GeneralName] = []
    for name in dict.fromkeys(asked):
        if kind_of(name) in profile.san_kinds:
            granted.append(name)
            continue
        kinds = ", ".join(sorted(profile.san_kinds)) or "no names"
        why = f"the profile {profile.name!r} takes {kinds} only"
        if wishes.san is not None:
            findings.refuse(
                "san.kind-not-in-profile",
                f"{visible(str(name))!r}: {why}",
                "leave it out of --san, or use another profile",
            )
        else:
            findings.drop("subjectAltName", name, why)
    if len(granted) > MAX_NAMES:
        findings.refuse(
            "san.too-many",
            f"{len(granted)} names are more than the {MAX_NAMES} a certificate may have",
            "split them over several certificates",
        )
        return tuple(granted[:MAX_NAMES])
    return tuple(granted)


_HOST_LIKE = re.compile(r"[A-Za-z0-9_*-]+(\.[A-Za-z0-9_-]+)+\.?\Z")


def _as_host(common_name: str | None) -> DNSName | IPName | None:
    """A commonName that clients would read as a host: with a dot, or an address."""
    if common_name is None:
        return None
    try:
        name = parse_general_name(common_name.strip())
    except IllegalName:
        return None
    if isinstance(name, IPName) or (isinstance(name, DNSName) and "." in name.value):
        return name
    return None


def san_from_subject(
    profile: Profile,
    subject: DistinguishedName,
    san: tuple[GeneralName, ...],
    findings: Findings,
) -> tuple[GeneralName, ...]:
    """Old tools name a server in its commonName only; then that is the name asked for."""
    host = _as_host(subject.common_name)
    if not san and profile.cn_from_san and host is not None and kind_of(host) in profile.san_kinds:
        findings.warnings.append(
            f"the host is named in the commonName only; {str(host)!r} is taken as SAN"
        )
        san = (host,)
    if not san and profile.san_required:
        left = "; ".join(_not_taken(subject, host, findings)) or "the request has none"
        findings.refuse(
            "san.required",
            f"the profile {profile.name!r} needs at least one name, and none is left: {left}",
            f"give one of {', '.join(sorted(profile.san_kinds))}: `--san DNS:nas.home.arpa`",
        )
    return san


def _not_taken(
    subject: DistinguishedName, host: DNSName | IPName | None, findings: Findings
) -> Iterator[str]:
    """What might have been a name of it, and why it is none."""
    for one in findings.not_granted:
        if one.what == "subjectAltName":
            yield f"{visible(one.value)!r} is dropped ({one.why})"
    if host is None and subject.common_name:
        yield f"the commonName {visible(subject.common_name)!r} is no host with a domain"


def check_names(
    subject: DistinguishedName,
    san: tuple[GeneralName, ...],
    profile: Profile,
    issuer: IssuerFacts,
    names: NamePolicy,
    findings: Findings,
) -> None:
    """Every name through every check (lesson L11), those hidden in the subject too."""
    for name in san:
        if isinstance(name, DNSName):  # typed by hand perhaps, so not checked yet
            try:
                check_a_labels(name.value)
            except IllegalName as error:
                findings.refuse("san.illegal", error.problem, error.remedy)
        findings.violations.extend(names.objections(name, issuer.constraints))
    for address in subject.values(EMAIL_ADDRESS):
        try:
            mail = EmailName.parse(address)
        except IllegalName as error:
            findings.refuse("subject.illegal", f"emailAddress: {error.problem}", error.remedy)
            continue
        if mail not in san:
            findings.violations.extend(names.objections(mail, issuer.constraints))
    for common_name in subject.values(COMMON_NAME):
        _check_common_name(common_name, san, issuer, names, findings)
        if SERVER_AUTH in profile.eku:
            _check_spelling(common_name, san, findings)


def _check_common_name(
    common_name: str,
    san: tuple[GeneralName, ...],
    issuer: IssuerFacts,
    names: NamePolicy,
    findings: Findings,
) -> None:
    host = _as_host(common_name)
    has_dns = any(isinstance(name, DNSName) for name in san)
    if host is not None and host not in san:
        objections = names.objections(host, issuer.constraints)
        findings.violations.extend(
            Violation(v.rule, f"commonName: {v.text}", v.remedy) for v in objections
        )
        return
    constrained = any(c.permitted_dns or c.excluded_dns for c in issuer.constraints)
    if host is None and not has_dns and constrained and _HOST_LIKE.match(common_name):
        # OpenSSL applies DNS constraints to a commonName with a dot when no SAN names a host
        findings.refuse(
            "subject.dotted-common-name",
            f"commonName {visible(common_name)!r} has a dot and no DNS name stands beside it: "
            "clients would refuse it under the issuer's name constraints",
            "give `--subject CN=alice-phone`, or add `--san DNS:alice-phone.home.arpa`",
        )


def _check_spelling(common_name: str, san: tuple[GeneralName, ...], findings: Findings) -> None:
    """A server's commonName is one of its SANs to the letter (CA/B BR 7.1.4.3): an A-label."""
    host = _as_host(common_name)
    if isinstance(host, DNSName) and host in san and host.value != common_name.lower():
        findings.refuse(
            "subject.common-name-spelling",
            f"commonName {visible(common_name)!r} must be written as the certificate names it, "
            f"{host.value!r}",
            f"ask for that: `--subject CN={host.value} --san DNS:{host.value}`",
        )


def decided_subject(
    request: Request,
    profile: Profile,
    wishes: Wishes,
    issuer: IssuerFacts,
    san: tuple[GeneralName, ...],
    findings: Findings,
) -> DistinguishedName:
    """The subject in the policy's order, as `openssl ca` builds it: one RDN per value."""
    asked = request.subject if wishes.subject is None else wishes.subject
    if wishes.subject is not None and request.subject and request.subject != asked:
        findings.drop("subject", request.subject, "replaced by --subject")
    wanted: dict[str, list[str]] = {}
    for attribute in asked:
        wanted.setdefault(attribute.oid, []).append(attribute.value)
    for oid, value in profile.subject_defaults:
        wanted.setdefault(oid, [value])
    for oid, value in profile.subject_fixed:
        for other in wanted.get(oid, []):
            if other != value:
                findings.drop(attribute_type(oid).name, other, f"the profile fixes it to {value!r}")
        wanted[oid] = [value]
    if profile.cn_from_san:
        _common_name_from_san(wanted, san, profile, findings)
    rdns: list[tuple[Attribute, ...]] = []
    for line in profile.policy:
        values = wanted.pop(line.oid, [])
        kind = attribute_type(line.oid).name
        if not values and line.rule is PolicyRule.SUPPLIED:
            findings.refuse(
                "subject.attribute-missing",
                f"the profile {profile.name!r} needs a {kind}, and the subject has none",
                f"give `--subject` with {attribute_type(line.oid).short}=…",
            )
        if line.rule is PolicyRule.MATCH:
            _check_match(line.oid, values, issuer, profile, findings)
        rdns.extend((Attribute(line.oid, value),) for value in values)
    for oid, values in wanted.items():
        for value in values:
            why = f"the policy of the profile {profile.name!r} does not list it"
            findings.drop(attribute_type(oid).name, value, why)
    return DistinguishedName(tuple(rdns))


def _common_name_from_san(
    wanted: dict[str, list[str]],
    san: tuple[GeneralName, ...],
    profile: Profile,
    findings: Findings,
) -> None:
    """A commonName that is one of the SANs stays; any other gives way to the first of them."""
    hosts = [name for name in san if isinstance(name, DNSName | IPName)]
    hosts.sort(key=lambda name: isinstance(name, IPName))
    asked = wanted.get(COMMON_NAME, [])
    if not hosts or any(_is_spelt_as_one_of(hosts, value) for value in asked[-1:]):
        return
    first = str(hosts[0].value)
    longest = attribute_type(COMMON_NAME).upper_bound
    too_long = len(first) > longest
    why = f"the profile {profile.name!r} takes it from the SAN"
    if too_long:
        why += f", and {first!r} is longer than the {longest} characters of a commonName"
    for value in asked:
        findings.drop("commonName", value, why)
    wanted[COMMON_NAME] = [] if too_long else [first]


def _is_spelt_as_one_of(hosts: Sequence[GeneralName], value: str) -> bool:
    """An A-label for an A-label: münchen.home.arpa is one of them, and is not written so."""
    name = _as_name(value)
    if isinstance(name, DNSName) and name.value != value.lower():
        return False
    return name in hosts


def _as_name(value: str) -> GeneralName | None:
    try:
        return parse_general_name(value)
    except IllegalName:
        return None


def _check_match(
    oid: str,
    values: Sequence[str],
    issuer: IssuerFacts,
    profile: Profile,
    findings: Findings,
) -> None:
    """As `openssl ca`: each value equals one of the issuer's, to the letter.

    Its string type is not looked at (RFC 5280 §7.1): `openssl ca` calls a PrintableString
    different from a UTF8String of the same text, which many a request fails by.
    """
    own = issuer.subject.values(oid)
    kind = attribute_type(oid)
    if not own:
        findings.refuse(
            "subject.no-match",
            f"the profile {profile.name!r} matches {kind.name} against the issuer, which has none",
            f"use a profile whose policy does not, or a CA made with "
            f"`homeca init-root --subject {kind.short}=…`",
        )
        return
    if not values or any(value not in own for value in values):
        shown = ", ".join(repr(visible(value)) for value in values) or "missing"
        findings.refuse(
            "subject.no-match",
            f"{kind.name} is {shown} and must be {visible(own[0])!r}, as the issuer's",
            f"give `--subject` with {kind.short}={visible(own[0])}",
        )


def check_whole_subject(
    subject: DistinguishedName, issuer: IssuerFacts, findings: Findings
) -> None:
    try:
        encode_name(subject)
    except IllegalName as error:
        findings.refuse("subject.unencodable", error.problem, error.remedy)
    if not subject:
        return
    for der in issuer.issuer_subjects | {issuer.subject_der}:
        if _comparable(decode_name(der)) == _comparable(subject):
            findings.refuse(
                "subject.of-an-issuer",
                f"the subject {visible(str(subject))!r} is the name of an issuer of this CA",
                "give another one: `--subject CN=…`",
            )
            return


def _comparable(name: DistinguishedName) -> tuple[tuple[tuple[str, str], ...], ...]:
    """Equal for names a client would take for the same (RFC 5280 §7.1: case, inner spaces)."""
    return tuple(
        tuple(sorted((a.oid, " ".join(a.value.casefold().split())) for a in rdn))
        for rdn in name.rdns
    )
