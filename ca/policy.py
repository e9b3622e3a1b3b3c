"""May this request become a certificate: every objection at once, or exactly what is granted.

The request wishes, the operator's words override the wish, the profile is the law, the issuer's
name constraints and the CA's own list of names stand above all of them (lessons L7, L9 to L11).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ca.algorithms import KEY_KINDS, Family
from ca.encoding.dn import decode_name, encode_name
from ca.encoding.request_extensions import ENROLMENT_CSP, SUBJECT_KEY_IDENTIFIER
from ca.encoding.request_names import check_a_labels
from ca.encoding.requests import Request
from ca.encoding.spki import PublicKey, spki_sha256
from ca.errors import IllegalName, RequestRefused, Violation
from ca.interfaces import ONE_SECOND, Validity
from ca.names import (
    COMMON_NAME,
    Attribute,
    DistinguishedName,
    DNSName,
    EmailName,
    GeneralName,
    IPName,
    NameConstraints,
    attribute_type,
    kind_of,
    parse_general_name,
    visible,
)
from ca.permitted import NamePolicy as NamePolicy  # offered here, with the decision
from ca.profiles.profile import PolicyRule, Profile

MAX_NAMES = 100
EMAIL_ADDRESS = "1.2.840.113549.1.9.1"

# ---------------------------------------------------------------- what goes in


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the operator typed. It replaces what the request asks for; None leaves it standing."""

    san: tuple[GeneralName, ...] | None = None
    subject: DistinguishedName | None = None
    days: int | None = None
    not_after: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerFacts:
    """What a decision needs to know of the issuer and of all issuers of this CA.

    constraints:        of the issuer and every certificate above it.
    issuer_subjects:    DER Names of every issuer; issuer_spki_sha256: their keys.
    """

    subject_der: bytes
    subject: DistinguishedName
    not_after: datetime
    constraints: tuple[NameConstraints, ...]
    issuer_subjects: frozenset[bytes]
    issuer_spki_sha256: frozenset[bytes]


# ---------------------------------------------------------------- what comes out


@dataclass(frozen=True, slots=True)
class NotGranted:
    """Something that was asked for and will not stand in the certificate."""

    what: str
    value: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What may be certified. Whoever holds one need not ask again."""

    subject: DistinguishedName
    names: tuple[GeneralName, ...]
    spki: PublicKey
    validity: Validity
    not_granted: tuple[NotGranted, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class _Findings:
    """Collected while a decision is under way; it leaves as a Grant or a refusal."""

    violations: list[Violation] = field(default_factory=list)
    not_granted: list[NotGranted] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def refuse(self, rule: str, text: str, remedy: str) -> None:
        self.violations.append(Violation(rule, text, remedy))

    def drop(self, what: str, value: object, why: str) -> None:
        self.not_granted.append(NotGranted(what, str(value), why))


# ---------------------------------------------------------------- the decision


def decide(
    request: Request,
    profile: Profile,
    *,
    issuer: IssuerFacts,
    names: NamePolicy,
    wishes: Wishes,
    now: datetime,
    blocked: Callable[[bytes], bool],
) -> Grant:
    """What may be certified for this request.

    now:     notBefore. blocked: was the key with this SPKI SHA-256 revoked for keyCompromise?
    Raises:  RequestRefused with every violation: those of the request itself, then of its key,
             names, subject and dates under this profile, issuer and setting.
    """
    findings = _Findings(violations=list(_own_faults(request, wishes)))
    if profile.is_ca:
        findings.refuse(
            "profile.is-ca",
            f"the profile {profile.name!r} makes CAs, and only a ceremony may",
            "use a profile for devices, or `homeca init-intermediate`",
        )
    _check_key(request, profile, issuer, blocked, findings)
    san = _names(request, profile, wishes, findings)
    subject = _subject(request, profile, wishes, issuer, san, findings)
    san = _san_from_subject(profile, subject, san, findings)
    _check_names(subject, san, profile, issuer, names, findings)
    _check_whole_subject(subject, issuer, findings)
    validity = _validity(profile, issuer, wishes, now, findings)
    _list_the_rest(request, profile, findings)
    _warn(request, san, findings)
    if findings.violations or request.spki is None or validity is None:
        raise refusal(findings.violations)
    return Grant(
        subject=subject,
        names=san,
        spki=request.spki,
        validity=validity,
        not_granted=tuple(dict.fromkeys(findings.not_granted)),
        warnings=tuple(dict.fromkeys(findings.warnings)),
    )


def refusal(violations: Iterable[Violation]) -> RequestRefused:
    """One error for all of them; the remedy is that of the first."""
    found = tuple(dict.fromkeys(violations))
    if len(found) == 1:
        return RequestRefused(found[0].text, remedy=found[0].remedy, violations=found)
    return RequestRefused(
        f"the request may not become a certificate, for {len(found)} reasons",
        remedy="correct each of them: " + "; ".join(v.text for v in found[:5]),
        violations=found,
    )


def _own_faults(request: Request, wishes: Wishes) -> Iterable[Violation]:
    """Faults of the request, but not of a part the operator has replaced."""
    for violation in request.violations:
        area = violation.rule.partition(".")[0]
        if area == "subject" and wishes.subject is not None:
            continue
        if area == "san" and wishes.san is not None:
            continue
        yield violation


# ---------------------------------------------------------------- key


def _check_key(
    request: Request,
    profile: Profile,
    issuer: IssuerFacts,
    blocked: Callable[[bytes], bool],
    findings: _Findings,
) -> None:
    key = request.spki
    if key is None:
        if not any(v.rule.startswith("key.") for v in request.violations):
            findings.refuse("key.missing", "the request has no usable key", "make it again")
        return
    if not any(takes_key(entry, key) for entry in profile.keys):
        findings.refuse(
            "key.not-in-profile",
            f"the profile {profile.name!r} does not take {key.kind_name} keys, only "
            f"{', '.join(profile.keys)}",
            f"make a new key of such a kind, or use another profile than {profile.name!r}",
        )
    digest = spki_sha256(key.der)
    if digest in issuer.issuer_spki_sha256:
        findings.refuse(
            "key.of-an-issuer",
            "the key is the key of an issuer of this CA",
            "make a new key for the device",
        )
    if blocked(digest):
        findings.refuse(
            "key.blocked",
            "a certificate for this key was revoked for keyCompromise: it is blocked for ever",
            "make a new key on the device and a new request from it",
        )


def takes_key(entry: str, key: PublicKey) -> bool:
    """Does an entry of `Profile.keys` cover this key: "ec-p256", "ec", "rsa" (2048 to 4096)?"""
    if entry == "rsa":
        return key.family is Family.RSA and 2048 <= key.bits <= 4096
    if entry == "ec":
        return key.family is Family.EC and key.kind_name in KEY_KINDS
    return key.kind_name == entry


# ---------------------------------------------------------------- names


def _names(
    request: Request, profile: Profile, wishes: Wishes, findings: _Findings
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


def _san_from_subject(
    profile: Profile,
    subject: DistinguishedName,
    san: tuple[GeneralName, ...],
    findings: _Findings,
) -> tuple[GeneralName, ...]:
    """Old tools name a server in its commonName only; then that is the name asked for."""
    host = _as_host(subject.common_name)
    if not san and profile.cn_from_san and host is not None and kind_of(host) in profile.san_kinds:
        findings.warnings.append(
            f"the host is named in the commonName only; {str(host)!r} is taken as SAN"
        )
        san = (host,)
    if not san and profile.san_required:
        findings.refuse(
            "san.required",
            f"the profile {profile.name!r} needs at least one name, and none is left",
            f"give one of {', '.join(sorted(profile.san_kinds))}: `--san DNS:nas.home.arpa`",
        )
    return san


def _check_names(
    subject: DistinguishedName,
    san: tuple[GeneralName, ...],
    profile: Profile,
    issuer: IssuerFacts,
    names: NamePolicy,
    findings: _Findings,
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


def _check_common_name(
    common_name: str,
    san: tuple[GeneralName, ...],
    issuer: IssuerFacts,
    names: NamePolicy,
    findings: _Findings,
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


# ---------------------------------------------------------------- subject


def _subject(
    request: Request,
    profile: Profile,
    wishes: Wishes,
    issuer: IssuerFacts,
    san: tuple[GeneralName, ...],
    findings: _Findings,
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
    findings: _Findings,
) -> None:
    """A commonName that is one of the SANs stays; any other gives way to the first of them."""
    hosts = [name for name in san if isinstance(name, DNSName | IPName)]
    hosts.sort(key=lambda name: isinstance(name, IPName))
    asked = wanted.get(COMMON_NAME, [])
    if not hosts or any(_as_name(value) in hosts for value in asked[-1:]):
        return
    first = str(hosts[0].value)
    if len(first) > attribute_type(COMMON_NAME).upper_bound:
        wanted.pop(COMMON_NAME, None)
        return
    for value in asked:
        findings.drop("commonName", value, f"the profile {profile.name!r} takes it from the SAN")
    wanted[COMMON_NAME] = [first]


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
    findings: _Findings,
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


def _check_whole_subject(
    subject: DistinguishedName, issuer: IssuerFacts, findings: _Findings
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


# ---------------------------------------------------------------- dates


def _validity(
    profile: Profile, issuer: IssuerFacts, wishes: Wishes, now: datetime, findings: _Findings
) -> Validity | None:
    """From now, for the days wished or the profile's own; never past the issuer (L6)."""
    if wishes.not_after is not None and wishes.days is not None:
        findings.refuse(
            "validity.contradiction", "both a number of days and an end were given", "give one"
        )
        return None
    if wishes.not_after is not None:
        validity = Validity(not_before=now, not_after=wishes.not_after)
    else:
        days = profile.default_days if wishes.days is None else wishes.days
        if not 1 <= days <= 36500:
            findings.refuse(
                "validity.days", f"{days} days is no lifetime", "give 1 day or more with --days"
            )
            return None
        validity = Validity.of_days(now, days)
    if validity.not_after <= now:
        findings.refuse(
            "validity.past",
            f"the certificate would end at {_moment(validity.not_after)}, before it begins",
            "give an end in the future",
        )
    if validity.duration > timedelta(days=profile.max_days):
        findings.refuse(
            "validity.too-long",
            f"{_days(validity)} days are more than the {profile.max_days} of the profile "
            f"{profile.name!r}",
            f"use `--days {profile.max_days}` or fewer",
        )
    if validity.not_after > issuer.not_after:
        left = (issuer.not_after - now + ONE_SECOND) // timedelta(days=1)
        findings.refuse(
            "validity.past-issuer",
            f"the certificate would end at {_moment(validity.not_after)}, after its issuer's "
            f"{_moment(issuer.not_after)}",
            f"use `--not-after {_moment(issuer.not_after)}` or `--days {left}`"
            if left > 0
            else "make a new issuer with `homeca init-intermediate`",
        )
    return validity


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _days(validity: Validity) -> int:
    return -(-validity.duration // timedelta(days=1))  # a begun day counts


# ---------------------------------------------------------------- what is said besides


def _list_the_rest(request: Request, profile: Profile, findings: _Findings) -> None:
    if profile.copies_extensions:
        return
    for extension in request.extensions:
        if extension.oid != SUBJECT_KEY_IDENTIFIER:
            findings.drop(
                extension.name, extension.shown, f"the profile {profile.name!r} decides extensions"
            )


def _warn(request: Request, san: tuple[GeneralName, ...], findings: _Findings) -> None:
    if not san:
        findings.warnings.append(
            "no subjectAltName: browsers, phones and every verifier that wants one will refuse "
            "this certificate; give `--san DNS:…` unless only the CN is looked at, as by OpenVPN"
        )
    key = request.spki
    provider = next((a.shown for a in request.attributes if a.oid == ENROLMENT_CSP), "")
    if key is not None and key.family is Family.RSA and "Platform" in provider:
        findings.warnings.append(
            f"an RSA key of {provider!r}: RSA-PSS in TLS 1.3 fails on several TPMs; make an "
            "ECDSA_P256 or ECDSA_P384 key instead"
        )
