"""Is this certificate or CRL one of this CA's, and good now? Every reason against it, at once.

The path is built and judged here, by RFC 5280 §6.1 as far as this CA's certificates need it, then
held against the record and the newest CRL. `cryptography`'s verifier is asked as well: it
stands for strict clients (Python, curl with rustls), and what it refuses is a warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from msgspec import Struct

from ca.encoding.facts import CertificateFacts, CrlFacts, GeneralNameFacts
from ca.encoding.inspect import read_certificate, read_crl
from ca.errors import HomecaError, HomeMissing, VerificationFailed, Violation
from ca.interfaces.issuing import CertificateRecord, IssuerRecord, Role, State
from ca.interfaces.store import CertificateStore
from ca.interfaces.values import Serial, serial_text
from ca.names.constraints import NameConstraints
from ca.names.distinguished import COMMON_NAME
from ca.names.general import DNSName, parse_general_name
from ca.services.ladder import armed_until
from ca.services.strict_client import strict_client
from ca.services.trust import is_signed_by

PURPOSES = {"server": "1.3.6.1.5.5.7.3.1", "client": "1.3.6.1.5.5.7.3.2"}

#: Longer chains are attacks (RFC 5280 has no limit; nobody at home has three tiers).
MAX_DEPTH = 8

#: Extensions this module judges; any other one that is critical is a reason (§4.2).
_UNDERSTOOD = frozenset(
    {"2.5.29.14", "2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.30", "2.5.29.35", "2.5.29.37"}
    | {"2.5.29.31", "2.5.29.32", "1.3.6.1.5.5.7.1.1"}
)


class Verified(Struct, frozen=True, kw_only=True):
    """A certificate with nothing against it.

    chain:    facts, the leaf first, the root last.
    record:   its row. warnings: what strict clients would refuse, and what could not be checked.
    """

    chain: tuple[CertificateFacts, ...]
    record: CertificateRecord | None
    warnings: tuple[str, ...]


class VerifiedCrl(Struct, frozen=True, kw_only=True):
    """A CRL with nothing against it, and who signed it."""

    facts: CrlFacts
    issuer: IssuerRecord
    warnings: tuple[str, ...]


def verify_certificate(
    ders: Sequence[bytes],
    store: CertificateStore,
    *,
    at: datetime,
    purpose: str | None = None,
    host: str | None = None,
) -> Verified:
    """The first certificate, with the others and this home's issuers to build its chain from.

    purpose: "server", "client", or None for any. host: the name or address it must be for.
    Raises:  VerificationFailed with every reason; CertificateMalformed, HomeMissing, IllegalName.
    """
    leaf = read_certificate(ders[0])
    issuers = [one for one in store.issuers() if one.certificate is not None]
    root = next((one for one in issuers if one.role is Role.ROOT), None)
    if root is None:
        raise HomeMissing("this home has no root yet", remedy="run `homeca init-root`")
    reasons: list[Violation] = []
    chain = _chain(leaf, _candidates(ders[1:], issuers), root, reasons)
    reasons.extend(judge_path(chain, at=at, purpose=purpose))
    if host is not None:
        reasons.extend(_judge_host(leaf, host))
    found, warnings = _judge_revocation(chain, issuers, store, reasons, at=at)
    if reasons:
        raise VerificationFailed(
            f"the certificate of {leaf.tbs.subject} is not good: {reasons[0].text}"
            + (f", and {len(reasons) - 1} more reasons" if len(reasons) > 1 else ""),
            remedy="do not trust it; sign a new request if the device is yours",
            violations=tuple(reasons),
        )
    warnings.extend(strict_client(chain, at=at, purpose=purpose, host=host))
    return Verified(chain=chain, record=found, warnings=tuple(warnings))


# ---------------------------------------------------------------- the path


def _candidates(ders: Sequence[bytes], issuers: Sequence[IssuerRecord]) -> list[CertificateFacts]:
    """This home's issuers first, then what came along in the file."""
    own = [read_certificate(one.certificate or b"") for one in issuers]
    return own + [read_certificate(der) for der in ders[:MAX_DEPTH]]


def _chain(
    leaf: CertificateFacts,
    candidates: list[CertificateFacts],
    root: IssuerRecord,
    reasons: list[Violation],
) -> tuple[CertificateFacts, ...]:
    """From the leaf as far up as names and signatures reach; a reason if that is not the root."""
    chain = [leaf]
    while chain[-1].der != root.certificate:
        current = chain[-1]
        above = [one for one in candidates if one.tbs.subject.der == current.tbs.issuer.der]
        signers = [one for one in above if is_signed_by(current, one.tbs.spki)]
        if signers and len(chain) < MAX_DEPTH and signers[0].der != current.der:
            chain.append(signers[0])
            continue
        if current.tbs.is_self_issued and is_signed_by(current, current.tbs.spki):
            text = f"it leads to another root, {current.tbs.subject}"
            reasons.append(Violation("chain.other-root", text))
        elif above:
            text = f"the signature on {current.tbs.subject} is not by {above[0].tbs.subject}"
            reasons.append(Violation("chain.signature", text))
        else:
            reasons.append(
                Violation(
                    "chain.unknown-issuer",
                    f"nobody here is called {current.tbs.issuer}, its issuer",
                    "append the intermediate to the file, or name the right --home",
                )
            )
        break
    return tuple(chain)


# ---------------------------------------------------------------- each certificate


def judge_path(
    chain: Sequence[CertificateFacts], *, at: datetime, purpose: str | None = None
) -> Iterator[Violation]:
    """Everything against a path whose signatures hold, the leaf first (RFC 5280 §6.1)."""
    for depth, facts in enumerate(chain):
        yield from _judge(facts, depth, at=at)
    yield from _judge_names(chain)
    yield from _judge_purpose(chain, purpose)


def _judge(facts: CertificateFacts, depth: int, *, at: datetime) -> Iterator[Violation]:
    """Dates, extensions, and for everything above the leaf that it may be there (§6.1.4)."""
    tbs, name = facts.tbs, facts.tbs.subject
    if at < tbs.not_before.moment:
        yield Violation(
            "dates.not-yet", f"{name} is valid only from {tbs.not_before.moment:%Y-%m-%d %H:%M} UTC"
        )
    if at > tbs.not_after.moment:
        yield Violation(
            "dates.expired", f"{name} expired on {tbs.not_after.moment:%Y-%m-%d %H:%M} UTC"
        )
    for extension in tbs.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            yield Violation(
                "extension.unknown-critical",
                f"{name} has the critical extension {extension.oid}, which is not understood",
            )
    if depth == 0:
        return
    if not tbs.is_ca:
        yield Violation("ca.not-a-ca", f"{name} signed it and is not a CA (basicConstraints)")
    elif tbs.basic_constraints is not None:
        limit = tbs.basic_constraints.path_len
        if limit is not None and depth - 1 > limit:
            yield Violation(
                "ca.path-length", f"{name} may have {limit} CAs below it, and {depth - 1} are"
            )
    if tbs.key_usage is not None and "keyCertSign" not in tbs.key_usage:
        yield Violation("ca.key-usage", f"{name} may not sign certificates (keyUsage)")


def _judge_names(chain: Sequence[CertificateFacts]) -> Iterator[Violation]:
    """Each certificate's names inside the constraints of every CA above it (§4.2.1.10)."""
    for index, facts in enumerate(chain):
        for above in chain[index + 1 :]:
            found = above.tbs.name_constraints
            if found is None or facts.tbs.is_self_issued:
                continue
            if found.constraints is None:
                yield Violation(
                    "names.constraints-unreadable",
                    f"the name constraints of {above.tbs.subject} cannot be read",
                )
                continue
            for name in facts.tbs.san or ():
                if name.name is not None and not found.constraints.permits(name.name):
                    yield Violation(
                        "names.outside",
                        f"the name {name} is outside what {above.tbs.subject} may certify",
                    )
            yield from _judge_common_name(facts, above, found.constraints)


def _judge_common_name(
    facts: CertificateFacts, above: CertificateFacts, constraints: NameConstraints
) -> Iterator[Violation]:
    """OpenSSL takes a dotted CN for a DNS name where there is no DNS SAN (client-facing trap)."""
    if facts.tbs.is_ca or any(name.tag == 2 for name in facts.tbs.san or ()):
        return
    for text in facts.tbs.subject.values(COMMON_NAME):
        try:
            name = DNSName.parse(text)
        except HomecaError:
            continue
        if "." in name.value and not constraints.permits(name):
            yield Violation(
                "names.common-name",
                f"the common name {name.value!r} reads as a DNS name outside what "
                f"{above.tbs.subject} may certify: OpenSSL refuses that",
            )


def _judge_purpose(chain: Sequence[CertificateFacts], purpose: str | None) -> Iterator[Violation]:
    if purpose is None:
        return
    wanted = PURPOSES[purpose]
    for facts in chain:
        eku = facts.tbs.eku
        if eku is not None and wanted not in eku and "2.5.29.37.0" not in eku:
            yield Violation(
                "purpose.missing",
                f"{facts.tbs.subject} is not for use as a TLS {purpose} (extendedKeyUsage)",
            )
    leaf = chain[0].tbs
    if leaf.eku is None:
        yield Violation(
            "purpose.missing", f"{leaf.subject} names no purpose (extendedKeyUsage is absent)"
        )
    if leaf.key_usage is not None and "digitalSignature" not in leaf.key_usage:
        yield Violation("purpose.key-usage", f"{leaf.subject} may not sign (keyUsage)")


def _judge_host(leaf: CertificateFacts, host: str) -> Iterator[Violation]:
    """RFC 9525: SAN only, a wildcard stands for exactly one label."""
    wanted = parse_general_name(host)
    names: tuple[GeneralNameFacts, ...] = leaf.tbs.san or ()
    if isinstance(wanted, DNSName):
        labels = wanted.value.split(".")
        fitting = {f"DNS:{wanted.value}", "DNS:" + ".".join(["*", *labels[1:]])}
    else:
        fitting = {str(wanted)}
    if not any(name.name is not None and str(name.name) in fitting for name in names):
        listed = ", ".join(map(str, names)) or "none"
        yield Violation("host.mismatch", f"it is not for {wanted}; its names: {listed}")


# ---------------------------------------------------------------- revocation and the record


def _judge_revocation(
    chain: Sequence[CertificateFacts],
    issuers: Sequence[IssuerRecord],
    store: CertificateStore,
    reasons: list[Violation],
    *,
    at: datetime,
) -> tuple[CertificateRecord | None, list[str]]:
    """Every certificate below the root in the record and on the newest CRL of its issuer."""
    warnings: list[str] = []
    found: CertificateRecord | None = None
    by_certificate = {one.certificate: one for one in issuers}
    for index, facts in enumerate(chain):
        above = chain[index + 1] if index + 1 < len(chain) else None
        issuer = by_certificate.get(above.der) if above is not None else None
        if issuer is None:
            continue
        row = _row(facts, issuer, store, reasons)
        found = row if index == 0 else found
        _judge_list(facts, issuer, row, store, reasons, warnings, at=at)
    return found, warnings


def _row(
    facts: CertificateFacts,
    issuer: IssuerRecord,
    store: CertificateStore,
    reasons: list[Violation],
) -> CertificateRecord | None:
    serial = Serial(facts.tbs.serial)
    rows = store.by_serial(serial) if serial > 0 else ()
    row = next((one for one in rows if one.issuer_id == issuer.id), None)
    if row is None or row.state in (State.RESERVED, State.FAILED):
        if issuer.has_key:
            reasons.append(
                Violation(
                    "record.unknown",
                    f"the signature on {facts.tbs.subject} is this CA's, and its record does not "
                    f"know the serial {serial_text(abs(serial))}",
                    "the record was set back, or the key was used behind its back: run "
                    "`homeca check`",
                )
            )
        return None
    if row.der is not None and row.der != facts.der:
        reasons.append(
            Violation(
                "record.other",
                f"the record holds another certificate with the serial {serial_text(serial)}",
                "run `homeca check`",
            )
        )
    if row.state is not State.ISSUED:
        reasons.append(
            Violation(
                "record.uncertain",
                f"the serial of {facts.tbs.subject} is {row.state.value}: it counts as revoked",
                "sign its request again",
            )
        )
    if row.revocation is not None:
        reasons.append(
            Violation(
                "revoked.record",
                f"{facts.tbs.subject} was revoked on "
                f"{row.revocation.revoked_at:%Y-%m-%d %H:%M} UTC ({row.revocation.reason.value})",
            )
        )
    return row


def _judge_list(
    facts: CertificateFacts,
    issuer: IssuerRecord,
    row: CertificateRecord | None,
    store: CertificateStore,
    reasons: list[Violation],
    warnings: list[str],
    *,
    at: datetime,
) -> None:
    crl = store.last_crl(issuer.id)
    if crl is None:
        if issuer.has_key:
            warnings.append(f"{issuer.subject} has no CRL yet: run `homeca crl`")
        return
    read = read_crl(crl.der)
    if not is_signed_by(read, issuer.spki):
        reasons.append(
            Violation("crl.signature", f"the newest CRL of {issuer.subject} is not signed by it")
        )
        return
    until = armed_until(crl, store)
    if at > until:
        warnings.append(
            f"the newest CRL of {issuer.subject} expired on {until:%Y-%m-%d %H:%M} UTC: "
            "servers refuse everybody until `homeca crl`"
        )
    is_listed = any(entry.serial == facts.tbs.serial for entry in read.tbs.entries)
    is_revoked = row is not None and row.revocation is not None
    if is_listed:
        reasons.append(
            Violation("revoked.crl", f"{facts.tbs.subject} is on CRL {crl.number} of its issuer")
        )
    elif is_revoked:
        warnings.append("it is on no CRL yet: run `homeca crl`")


# ---------------------------------------------------------------- CRLs


def verify_crl(der: bytes, store: CertificateStore, *, at: datetime) -> VerifiedCrl:
    """A CRL file against this home's issuers and record.

    Raises: VerificationFailed with every reason; CertificateMalformed.
    """
    facts = read_crl(der)
    reasons: list[Violation] = []
    warnings: list[str] = []
    named = [one for one in store.issuers() if one.subject_der == facts.tbs.issuer.der]
    issuer = next((one for one in named if is_signed_by(facts, one.spki)), None)
    if issuer is None:
        text = (
            f"its signature is not by {named[0].subject}"
            if named
            else f"no issuer of this home is called {facts.tbs.issuer}"
        )
        rule = "crl.signature" if named else "chain.unknown-issuer"
        raise _bad_crl([Violation(rule, text)])
    if at < facts.tbs.this_update.moment:
        reasons.append(Violation("dates.not-yet", "its thisUpdate has not come yet"))
    end = facts.tbs.next_update
    if end is None:
        reasons.append(Violation("dates.no-end", "it has no nextUpdate (RFC 5280 §5.1.2.5)"))
    elif at > end.moment:
        reasons.append(
            Violation(
                "dates.expired",
                f"it expired on {end.moment:%Y-%m-%d %H:%M} UTC: servers refuse everybody",
                "run `homeca crl`, and bring the new one to your servers",
            )
        )
    reasons.extend(_beside_the_record(facts, issuer, store))
    last = store.last_crl(issuer.id)
    if last is not None and facts.tbs.number is not None and facts.tbs.number < last.number:
        warnings.append(f"it is not the newest: CRL {last.number} was cut since")
    if reasons:
        raise _bad_crl(reasons)
    return VerifiedCrl(facts=facts, issuer=issuer, warnings=tuple(warnings))


def _beside_the_record(
    facts: CrlFacts, issuer: IssuerRecord, store: CertificateStore
) -> Iterator[Violation]:
    listed = {entry.serial for entry in facts.tbs.entries}
    this_update = facts.tbs.this_update.moment
    missing = [
        line.serial
        for line in store.revoked(issuer.id, expired_since=this_update)
        if line.serial not in listed
    ]
    if missing:
        shown = ", ".join(serial_text(serial) for serial in missing[:5])
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        yield Violation(
            "crl.missing",
            f"it does not list {shown}{more}, revoked in the record",
            "run `homeca crl`, and bring the new one to your servers",
        )


def _bad_crl(reasons: list[Violation]) -> VerificationFailed:
    return VerificationFailed(
        f"the CRL is not good: {reasons[0].text}",
        remedy=reasons[0].remedy or "do not use it; `homeca crl` cuts a new one",
        violations=tuple(reasons),
    )
