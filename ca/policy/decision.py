"""The decision: what may be certified for a request, or every reason against it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from ca.algorithms import KEY_KINDS, Family
from ca.encoding.request_extensions import ENROLMENT_CSP, SUBJECT_KEY_IDENTIFIER
from ca.encoding.requests import Request
from ca.encoding.spki import PublicKey, spki_sha256
from ca.errors import RequestRefused, Violation
from ca.interfaces.revocation import KeyBar
from ca.interfaces.values import ONE_SECOND, Validity
from ca.names.general import GeneralName
from ca.permitted import NamePolicy
from ca.policy.revoking import NEW_KEY, objection
from ca.policy.subjects import (
    asked_names,
    check_names,
    check_whole_subject,
    decided_subject,
    san_from_subject,
)
from ca.policy.terms import Findings, Grant, IssuerFacts, Wishes
from ca.profiles.profile import Profile

NO_NAMES = (
    "no subjectAltName: browsers, phones and every verifier that wants one will refuse "
    "this certificate; give `--san DNS:…` unless only the CN is looked at, as by OpenVPN"
)


def decide(
    request: Request,
    profile: Profile,
    *,
    issuer: IssuerFacts,
    names: NamePolicy,
    wishes: Wishes,
    now: datetime,
    barred: Callable[[bytes], KeyBar | None],
) -> Grant:
    """What may be certified for this request.

    now:     notBefore. barred: why the key with this SPKI SHA-256 gets no certificate, if so.
    Raises:  RequestRefused with every violation: those of the request itself, then of its key,
             names, subject and dates under this profile, issuer and setting.
    """
    findings = Findings(violations=list(_own_faults(request, wishes)))
    if profile.is_ca:
        findings.refuse(
            "profile.is-ca",
            f"the profile {profile.name!r} makes CAs, and only a ceremony may",
            "use a profile for devices, or `homeca init-intermediate`",
        )
    _check_key(request, profile, issuer, barred, findings)
    san = asked_names(request, profile, wishes, findings)
    subject = decided_subject(request, profile, wishes, issuer, san, findings)
    san = san_from_subject(profile, subject, san, findings)
    check_names(subject, san, profile, issuer, names, findings)
    check_whole_subject(subject, issuer, findings)
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


def _check_key(
    request: Request,
    profile: Profile,
    issuer: IssuerFacts,
    barred: Callable[[bytes], KeyBar | None],
    findings: Findings,
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
    bar = barred(digest)
    if bar is not None:
        findings.violations.append(objection(bar, remedy=NEW_KEY))


def takes_key(entry: str, key: PublicKey) -> bool:
    """Does an entry of `Profile.keys` cover this key: "ec-p256", "ec", "rsa" (2048 to 4096)?"""
    if entry == "rsa":
        return key.family is Family.RSA and 2048 <= key.bits <= 4096
    if entry == "ec":
        return key.family is Family.EC and key.kind_name in KEY_KINDS
    return key.kind_name == entry


def _validity(
    profile: Profile, issuer: IssuerFacts, wishes: Wishes, now: datetime, findings: Findings
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
            f"use `--not-after {_moment(issuer.not_after)}` or `--days {left}`, or make the next "
            "issuer first: `homeca init-intermediate`"
            if left > 0
            else "make a new issuer with `homeca init-intermediate`",
        )
    return validity


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _days(validity: Validity) -> int:
    return -(-validity.duration // timedelta(days=1))  # a begun day counts


def _list_the_rest(request: Request, profile: Profile, findings: Findings) -> None:
    if profile.copies_extensions:
        return
    for extension in request.extensions:
        if extension.oid != SUBJECT_KEY_IDENTIFIER:
            findings.drop(
                extension.name, extension.shown, f"the profile {profile.name!r} decides extensions"
            )


def _warn(request: Request, san: tuple[GeneralName, ...], findings: Findings) -> None:
    if not san:
        findings.warnings.append(NO_NAMES)
    key = request.spki
    provider = next((a.shown for a in request.attributes if a.oid == ENROLMENT_CSP), "")
    if key is not None and key.family is Family.RSA and "Platform" in provider:
        findings.warnings.append(
            f"an RSA key of {provider!r}: RSA-PSS in TLS 1.3 fails on several TPMs; make an "
            "ECDSA_P256 or ECDSA_P384 key instead"
        )
