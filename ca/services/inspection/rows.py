"""The auditor's look at one certificate row: its octets against its columns and its issuer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache

from ca.encoding.facts import CertificateFacts, NameFacts, TbsFacts
from ca.encoding.inspect import read_certificate, read_tbs
from ca.encoding.spki import parse_spki, spki_sha256
from ca.encoding.weakness import weaknesses
from ca.errors import EncodingError, HomecaError
from ca.interfaces.issuing import CertificateRecord, IssuerRecord, State
from ca.interfaces.store import RESTORE_RECORD
from ca.interfaces.values import serial_text
from ca.lint.gate import lint_certificate
from ca.lint.rule import LintContext, LintRole, Severity
from ca.names.constraints import NameConstraints
from ca.names.showing import visible
from ca.profiles.parse import parse_profile
from ca.profiles.profile import Profile
from ca.profiles.x509v3 import ExtensionContext, build_extensions
from ca.services.facility import Facility
from ca.services.finding import Finding, error, warning
from ca.services.inspection.crls import PublishedList, facts_of, inspect_revocation
from ca.services.trust import check_signature

_REVOKE = "revoke it, and sign a new request"
_PROFILES_KEPT = 256


class RowInspector:
    """Looks at rows one after the other; keeps read issuers and profiles, nothing else."""

    def __init__(
        self,
        facility: Facility,
        issuers: tuple[IssuerRecord, ...],
        published: dict[int, PublishedList],
    ) -> None:
        self._store = facility.store
        self._now = facility.clock()
        self._published = published
        self._issuers = {issuer.id: issuer for issuer in issuers}
        self._own = {issuer.certificate for issuer in issuers}
        self._read = {issuer.id: facts_of(issuer) for issuer in issuers}
        self._profiles: dict[tuple[bytes, str], Profile | str] = {}
        self._names: dict[bytes, str] = {}
        # renewals keep their key: asked once for it, not once for each of them
        self._is_key_blocked = lru_cache(maxsize=1024)(facility.store.is_key_blocked)

    def inspect(self, record: CertificateRecord) -> Iterator[Finding]:
        """Everything about one row that is not so."""
        where = f"serial {serial_text(record.serial)}"
        issuer = self._issuers.get(record.issuer_id)
        if (record.state is State.ISSUED) != (record.der is not None):
            has = "a" if record.der is not None else "no"
            yield error(
                "check.row.state",
                where,
                f"it is recorded as {record.state.value} and has {has} certificate",
                RESTORE_RECORD,
            )
        if record.replaces is not None and not self._store.by_serial(record.replaces):
            yield error(
                "check.row.replaces",
                where,
                f"it replaces {serial_text(record.replaces)}, which the record does not know",
                RESTORE_RECORD,
            )
        if record.state in (State.RESERVED, State.INTENDED):
            yield warning(
                "check.row.open",
                where,
                f"it is {record.state.value}: its signature was begun and not ended",
                "see whether another homeca is signing; the next one that signs settles it",
            )
        if record.state is State.UNCERTAIN and record.revocation is None:
            yield error(
                "check.row.uncertain",
                where,
                "its signature may exist and it is not revoked",
                f"run `homeca revoke {serial_text(record.serial)}`",
            )
        facts: CertificateFacts | None = None
        if record.der is not None:
            try:
                facts = read_certificate(record.der)
            except EncodingError as fault:
                yield error("check.row.der", where, fault.problem, RESTORE_RECORD)
        if record.tbs:
            yield from self._inspect_tbs(record, facts, issuer, where)
        if facts is not None:
            yield from self._inspect_der(record, facts, issuer, where)
        if issuer is not None and record.state in (State.ISSUED, State.UNCERTAIN):
            yield from inspect_revocation(record, self._published[issuer.id], where)

    # ------------------------------------------------------------ what was to be signed

    def _inspect_tbs(
        self,
        record: CertificateRecord,
        facts: CertificateFacts | None,
        issuer: IssuerRecord | None,
        where: str,
    ) -> Iterator[Finding]:
        try:
            is_read = facts is not None and facts.tbs.der == record.tbs
            tbs = facts.tbs if is_read and facts is not None else read_tbs(record.tbs)
        except EncodingError as fault:
            yield error("check.row.tbs", where, f"its TBS: {fault.problem}", RESTORE_RECORD)
            return
        columns = (
            ("serial", serial_text(record.serial), serial_text(abs(tbs.serial))),
            ("subject", record.subject, subject_text(tbs.subject)),
            ("names", ", ".join(record.names), ", ".join(str(name) for name in tbs.names)),
            ("spki_sha256", record.spki_sha256.hex(), spki_sha256(tbs.spki).hex()),
            ("not_before", record.not_before, tbs.not_before.moment),
            ("not_after", record.not_after, tbs.not_after.moment),
        )
        for column, recorded, true in columns:
            if recorded != true:
                yield error(
                    f"check.row.{column.replace('_', '-')}",
                    where,
                    f"its {column} is recorded as {visible(str(recorded))!r}; its octets say "
                    f"{visible(str(true))!r}",
                    RESTORE_RECORD,
                )
        if issuer is None:
            # a root ceremony that did not end leaves its serial behind, and no certificate
            if record.der is not None:
                yield error(
                    "check.row.issuer", where, "its issuer is not in the record", RESTORE_RECORD
                )
            return
        if tbs.issuer.der != issuer.subject_der:
            yield error(
                "check.row.issuer",
                where,
                f"it is recorded under {visible(issuer.subject)}; its octets name {tbs.issuer}",
                RESTORE_RECORD,
            )
        yield from self._inspect_profile(record, tbs, issuer, where)

    def _inspect_profile(
        self, record: CertificateRecord, tbs: TbsFacts, issuer: IssuerRecord, where: str
    ) -> Iterator[Finding]:
        """The text that decided it is whole, and decides it still."""
        profile = self._profile(record)
        if isinstance(profile, str):
            yield error("check.row.profile", where, profile, RESTORE_RECORD)
            return
        first = self._names.setdefault(record.profile_sha256, record.profile)
        if first != record.profile:
            yield warning(
                "check.row.profile-name",
                where,
                f"its profile is called {visible(record.profile)!r} here and {visible(first)!r} "
                "elsewhere, with the same text",
                "see which of the two was asked for",
            )
        above = self._read.get(issuer.id)
        try:
            built = build_extensions(
                profile,
                ExtensionContext(
                    subject_spki=tbs.spki,
                    issuer_spki=issuer.spki,
                    issuer_ski=above.tbs.ski if above is not None else tbs.ski,
                    issuer_name_der=above.tbs.issuer.der if above is not None else tbs.issuer.der,
                    issuer_serial=above.tbs.serial if above is not None else tbs.serial,
                    names=tbs.names,
                    subject=tbs.subject.distinguished_name(),
                    self_signed=tbs.is_self_issued,
                ),
            )
        except HomecaError as fault:
            why = f"its profile cannot have decided its extensions: {fault.problem}"
            yield error("check.row.extensions", where, why, RESTORE_RECORD)
            return
        decided = [(one.oid, one.critical, one.value) for one in built]
        found = [(one.oid, one.critical, one.value) for one in tbs.extensions]
        if decided != found:
            odd = sorted({one[0] for one in set(decided) ^ set(found)}) or ["their order"]
            yield error(
                "check.row.extensions",
                where,
                f"its extensions are not those its profile decides: {', '.join(odd)}",
                RESTORE_RECORD,
            )
        if issuer.crl_url is not None and not tbs.is_self_issued:
            yield from _inspect_location(tbs, issuer.crl_url, where)

    def _profile(self, record: CertificateRecord) -> Profile | str:
        """The profile that decided a row, or what is wrong with it."""
        key = (record.profile_sha256, record.profile)
        if key not in self._profiles:
            if len(self._profiles) >= _PROFILES_KEPT:
                self._profiles.clear()
            self._profiles[key] = self._read_profile(record)
        return self._profiles[key]

    def _read_profile(self, record: CertificateRecord) -> Profile | str:
        text = self._store.profile_text(record.profile_sha256)
        if text is None:
            return "the profile that decided it is not in the record"
        if hashlib.sha256(text.encode()).digest() != record.profile_sha256:
            return "the text of its profile is not the one that was recorded"
        try:
            return parse_profile(text, name=record.profile, source="built-in")
        except HomecaError as fault:
            return f"the text of its profile cannot be read: {fault.problem}"

    # ------------------------------------------------------------ what was signed

    def _inspect_der(
        self,
        record: CertificateRecord,
        facts: CertificateFacts,
        issuer: IssuerRecord | None,
        where: str,
    ) -> Iterator[Finding]:
        if facts.tbs.der != record.tbs:
            yield error(
                "check.row.tbs-differs",
                where,
                "its certificate does not hold the TBS that was recorded before the signature",
                "find out who used the key; revoke it",
            )
        if facts.tbs.is_ca and facts.der not in self._own:
            yield error(
                "check.row.unexpected-ca", where, "it is a CA and no issuer of this home", _REVOKE
            )
        if issuer is None:
            return
        try:
            check_signature(facts, issuer.spki)
        except EncodingError as fault:
            yield error("check.row.signature", where, fault.problem, RESTORE_RECORD)
        if issuer.not_after is not None and facts.tbs.not_after.moment > issuer.not_after:
            yield error("check.row.outlives-issuer", where, "it outlives its issuer", _REVOKE)
        yield from self._inspect_dates(record, where)
        is_live = record.revocation is None and record.not_after >= self._now
        yield from self._inspect_rules(record, facts, issuer, where, is_live=is_live)
        if is_live and not facts.tbs.is_ca:
            yield from self._inspect_key(record, facts, where)

    def _inspect_dates(self, record: CertificateRecord, where: str) -> Iterator[Finding]:
        moments: list[tuple[str, datetime | None]] = [
            ("created_at", record.created_at),
            ("issued_at", record.issued_at),
        ]
        for column, moment in moments:
            if moment is not None and moment > self._now:
                yield warning(
                    f"check.row.{column.replace('_', '-')}",
                    where,
                    f"its {column} lies in the future ({moment:%Y-%m-%d %H:%M} UTC)",
                    "check the clock",
                )
        if record.issued_at is not None and record.issued_at < record.created_at:
            yield error(
                "check.row.issued-at",
                where,
                "it was issued before its serial was taken",
                RESTORE_RECORD,
            )

    def _inspect_rules(
        self,
        record: CertificateRecord,
        facts: CertificateFacts,
        issuer: IssuerRecord,
        where: str,
        *,
        is_live: bool,
    ) -> Iterator[Finding]:
        """The lint of today over a certificate of then: an error while it is live."""
        profile = self._profile(record)
        role = LintRole.LEAF
        if record.der in self._own:
            role = LintRole.ROOT if facts.tbs.is_self_issued else LintRole.INTERMEDIATE
        context = LintContext(
            now=record.issued_at or record.created_at,
            role=role,
            issuer=None if role is LintRole.ROOT else self._read.get(issuer.id),
            constraints=self._constraints_above(issuer),
            consumers=profile.consumers if isinstance(profile, Profile) else (),
        )
        for found in lint_certificate(record.der or b"", context=context):
            if found.severity is Severity.ERROR:
                make = error if is_live else warning
                yield make("check.row.lint", where, f"{found.text} [{found.rule}]", _REVOKE)

    def _constraints_above(self, issuer: IssuerRecord) -> tuple[NameConstraints, ...]:
        found = []
        current = self._issuers.get(issuer.parent_id) if issuer.parent_id is not None else None
        for _ in range(len(self._issuers)):
            if current is None:
                break
            read = self._read.get(current.id)
            facts = read.tbs.name_constraints if read is not None else None
            if facts is not None and facts.constraints is not None:
                found.append(facts.constraints)
            parent = current.parent_id
            current = self._issuers.get(parent) if parent is not None else None
        return tuple(found)

    def _inspect_key(
        self, record: CertificateRecord, facts: CertificateFacts, where: str
    ) -> Iterator[Finding]:
        try:
            for weakness in weaknesses(parse_spki(facts.tbs.spki)):
                yield error("check.row.key", where, f"{weakness.text} [{weakness.rule}]", _REVOKE)
        except EncodingError as fault:
            yield error("check.row.key", where, fault.problem, _REVOKE)
        if self._is_key_blocked(record.spki_sha256):
            yield error(
                "check.row.key-compromised",
                where,
                "another certificate for the same key was revoked as compromised",
                f"run `homeca revoke {serial_text(record.serial)} --reason keyCompromise`",
            )


def _inspect_location(tbs: TbsFacts, crl_url: str, where: str) -> Iterator[Finding]:
    """Certificates and their issuer agree where the CRL is, or clients look at the wrong place."""
    if tbs.crl_urls and crl_url not in tbs.crl_urls:
        yield warning(
            "check.row.crl-url",
            where,
            f"it says its CRL is at {visible(', '.join(tbs.crl_urls))}; its issuer is recorded to "
            f"publish at {visible(crl_url)}",
            "publish the CRL at both places",
        )


def subject_text(name: NameFacts) -> str:
    """A subject as the record writes it; as it can be shown where homeca would not write it."""
    try:
        return str(name.distinguished_name())
    except HomecaError:
        return str(name)
