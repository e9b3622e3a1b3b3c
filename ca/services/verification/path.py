"""A certification path, judged by RFC 5280 §6.1 as far as certificates of a home need it.

That each certificate is signed by the next is established by whoever built the path. What the
record and the CRLs say of it is no question of the path's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from ca.encoding.extensions import CLIENT_AUTH, SERVER_AUTH
from ca.encoding.facts import CertificateFacts
from ca.errors import HomecaError, Violation
from ca.names.constraints import NameConstraints
from ca.names.distinguished import COMMON_NAME
from ca.names.general import DNSName

PURPOSES = {"server": SERVER_AUTH, "client": CLIENT_AUTH}

#: Longer chains are attacks (RFC 5280 has no limit; nobody at home has three tiers).
MAX_DEPTH = 8

#: Extensions that are judged here; any other one that is critical is a reason (§4.2).
_UNDERSTOOD = frozenset(
    {"2.5.29.14", "2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.30", "2.5.29.35", "2.5.29.37"}
    | {"2.5.29.31", "2.5.29.32", "1.3.6.1.5.5.7.1.1"}
)


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
    """Each certificate's names inside the constraints of every CA above it (§4.2.1.10).

    Only an issuer's own rollover is free of them, never the leaf (§6.1.3 b).
    """
    for index, facts in enumerate(chain):
        for above in chain[index + 1 :]:
            found = above.tbs.name_constraints
            if found is None or (index > 0 and facts.tbs.is_self_issued):
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
