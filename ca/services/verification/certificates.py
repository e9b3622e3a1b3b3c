"""Is this certificate one of this CA's, and good now? Every reason against it, at once.

The path is built here and judged by `path`, then held against the record and the
newest CRL. `cryptography`'s verifier is asked as well: it stands for strict clients (Python, curl
with rustls), and what it refuses is a warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from msgspec import Struct

from ca.encoding.facts import CertificateFacts, GeneralNameFacts
from ca.encoding.inspect import read_certificate, read_crl
from ca.errors import HomeMissing, VerificationFailed, Violation
from ca.home import Home
from ca.interfaces.issuing import CertificateRecord, IssuerRecord, Role, State
from ca.interfaces.store import CertificateStore
from ca.interfaces.values import Serial, serial_text
from ca.names.general import DNSName, parse_general_name
from ca.names.showing import many
from ca.services.crl.elsewhere import newest_list
from ca.services.crl.ladder import armed_until
from ca.services.trust import is_signed_by
from ca.services.verification.path import MAX_DEPTH, judge_path
from ca.services.verification.strict_client import strict_client


class Verified(Struct, frozen=True, kw_only=True):
    """A certificate with nothing against it.

    chain:    facts, the leaf first, the root last.
    record:   its row. warnings: what strict clients would refuse, and what could not be checked.
    """

    chain: tuple[CertificateFacts, ...]
    record: CertificateRecord | None
    warnings: tuple[str, ...]


def verify_certificate(
    ders: Sequence[bytes],
    store: CertificateStore,
    home: Home,
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
    found, warnings = _judge_revocation(chain, issuers, store, home, reasons, at=at)
    if reasons:
        raise VerificationFailed(
            f"the certificate of {leaf.tbs.subject} is not good: {reasons[0].text}"
            + (f", and {many(len(reasons) - 1, 'more reason')}" if len(reasons) > 1 else ""),
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


# ---------------------------------------------------------------- the name asked for


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
    home: Home,
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
        if issuer.is_abroad:
            _judge_list_abroad(facts, issuer, home, reasons, warnings, at=at)
        else:
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
    if is_listed:
        reasons.append(
            Violation("revoked.crl", f"{facts.tbs.subject} is on CRL {crl.number} of its issuer")
        )
    elif row is not None and row.revocation is not None:
        text = f"{facts.tbs.subject} is on no CRL yet, though revoked: nobody outside knows"
        reasons.append(Violation("revoked.unlisted", text, "run `homeca crl`"))


def _judge_list_abroad(
    facts: CertificateFacts,
    issuer: IssuerRecord,
    home: Home,
    reasons: list[Violation],
    warnings: list[str],
    *,
    at: datetime,
) -> None:
    """Of an issuer whose record is in another home its newest list is all that is known."""
    said = newest_list(issuer, home)
    if said is None:
        warnings.append(
            f"no CRL of {issuer.subject}, whose key is elsewhere, is here: bring its lists with "
            "`homeca crl --include FILE`"
        )
        return
    if any(entry.serial == facts.tbs.serial for entry in said.tbs.entries):
        text = f"{facts.tbs.subject} is on CRL {said.tbs.number} of its issuer"
        reasons.append(Violation("revoked.crl", text))
    end = said.tbs.next_update
    if end is not None and end.moment < at:
        warnings.append(
            f"the newest CRL of {issuer.subject} that is here expired on "
            f"{end.moment:%Y-%m-%d %H:%M} UTC: bring a newer one with `homeca crl --include FILE`"
        )
