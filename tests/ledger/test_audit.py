"""Whatever is done to the record, the ledger or the published lists, an audit names it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec.structs import replace

from ca.attestation.checkpoint import read_checkpoint, write_checkpoint
from ca.encoding.ledger import link
from ca.interfaces.issuing import IssuerRecord
from ca.interfaces.revocation import Reason
from ca.interfaces.store import CertificateStore
from ca.interfaces.values import Serial
from ca.ledger.audit import Audit
from ca.services.facility import authorities, signing_authority
from ca.services.revocation.revoking import release, revoke
from tests.keys.tpm.lab import Lab
from tests.ledger.benches import audited, auditor, copy_database, put_back, shell, wrong
from tests.services.rig import Rig, cut, issue_one
from tests.store.making import der_of, intent

Tampering = Callable[[sqlite3.Connection], object]


@pytest.fixture
def busy(rig: Rig) -> Rig:
    """Certificates that are good, revoked, on hold and released, and their lists."""
    for name in ("good", "revoked", "worsened", "held", "released"):
        row = issue_one(rig, name)
        with rig.facility() as facility:
            if name == "revoked":
                revoke(row, Reason.KEY_COMPROMISE, facility)
            elif name == "worsened":
                revoke(row, Reason.SUPERSEDED, facility)
                (row,) = facility.store.by_serial(row.serial)
                revoke(row, Reason.CA_COMPROMISE, facility)
            elif name != "good":
                revoke(row, Reason.CERTIFICATE_HOLD, facility)
                if name == "released":
                    (held,) = facility.store.by_serial(row.serial)
                    release(held, facility)
    cut(rig)
    audited(rig)
    return rig


def sql(*statements: str) -> Tampering:
    def run(connection: sqlite3.Connection) -> None:
        for statement in statements:
            assert connection.execute(statement).rowcount > 0, statement

    return run


DEVICE = "subject LIKE '%{}%' AND state = 'issued'"


@pytest.mark.parametrize(
    ("tampering", "rule"),
    [
        (sql("UPDATE ledger SET details = '{}' WHERE seq = 12"), "ledger.changed"),
        (sql("UPDATE ledger SET at = at + 1 WHERE seq = 12"), "ledger.changed"),
        (sql("DELETE FROM ledger WHERE seq = 12"), "ledger.missing"),
        (
            sql(
                "UPDATE ledger SET seq = -1 WHERE seq = 12",
                "UPDATE ledger SET seq = 12 WHERE seq = 14",
                "UPDATE ledger SET seq = 14 WHERE seq = -1",
            ),
            "ledger.swapped",
        ),
        (sql("DELETE FROM ledger WHERE seq > 30"), "ledger.anchor"),
        (
            sql("DELETE FROM revocations WHERE reason = 'keyCompromise'"),
            "ledger.unrevoked",
        ),
        (
            sql("UPDATE revocations SET ended_at = revoked_at WHERE reason = 'keyCompromise'"),
            "ledger.line-changed",
        ),
        (
            sql("UPDATE revocations SET ended_at = NULL WHERE ended_at IS NOT NULL"),
            "ledger.line-changed",
        ),
        (
            sql("UPDATE revocations SET reason = 'superseded' WHERE reason = 'keyCompromise'"),
            "ledger.line-changed",
        ),
        (
            sql("UPDATE revocations SET reason = 'superseded' WHERE reason = 'cACompromise'"),
            "ledger.line-changed",
        ),
        (
            sql("DELETE FROM revocations WHERE reason = 'cACompromise'"),
            "ledger.unrevoked",
        ),
        (
            sql("UPDATE revocations SET entry = x'00' WHERE reason = 'keyCompromise'"),
            "ledger.line-changed",
        ),
        (
            sql(
                "INSERT INTO revocations (issuer_id, serial, not_after, revoked_at, reason, entry)"
                " SELECT issuer_id, serial, not_after, 1, 'superseded', x'00' FROM certificates"
                " WHERE subject LIKE '%good%'"
            ),
            "ledger.line-outside",
        ),
        (sql("DELETE FROM certificates WHERE subject LIKE '%good%'"), "ledger.row-missing"),
        (
            sql("UPDATE certificates SET der = tbs WHERE subject LIKE '%good%'"),
            "ledger.row-changed",
        ),
        (
            sql("UPDATE certificates SET subject = 'CN=evil' WHERE subject LIKE '%good%'"),
            "ledger.row-changed",
        ),
        (
            sql("UPDATE certificates SET issued_at = 1 WHERE subject LIKE '%good%'"),
            "ledger.row-changed",
        ),
        (
            sql("UPDATE certificates SET state = 'failed' WHERE subject LIKE '%good%'"),
            "ledger.state",
        ),
        (
            sql("UPDATE certificates SET serial = randomblob(20) WHERE subject LIKE '%good%'"),
            "ledger.outside",
        ),
        (sql("DELETE FROM issuers WHERE slug = 'intermediate-1'"), "ledger.issuer"),
        (sql("UPDATE issuers SET crl_url = 'http://evil/' WHERE slug = 'root'"), "ledger.issuer"),
        (sql("UPDATE issuers SET spki = x'00' WHERE slug = 'root'"), "ledger.issuer"),
        (sql("UPDATE issuers SET certificate = x'00' WHERE slug = 'root'"), "ledger.issuer"),
        (sql("UPDATE issuers SET state = 'retired' WHERE slug = 'root'"), "ledger.issuer"),
        (sql("UPDATE profiles SET text = text || ' '"), "ledger.profile"),
        (sql("DELETE FROM profiles"), "ledger.profile"),
        (sql("UPDATE custody SET kind = 'hardware-tpm'"), "ledger.custody"),
        (sql("UPDATE crls SET sha256 = zeroblob(32)"), "ledger.crl"),
        (sql("DELETE FROM crls"), "ledger.crl"),
        (
            sql("INSERT INTO crls (issuer_id, number, reserved_at) SELECT 1, 99, 1"),
            "ledger.crl",
        ),
    ],
)
def test_each_kind_of_tampering_is_named(busy: Rig, tampering: Tampering, rule: str) -> None:
    with shell(busy) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        tampering(connection)
    assert rule in wrong(busy)


@pytest.mark.parametrize("details", ["", "[]", "{}", '{"tpm":1,"seq":"x","value":"z","count":[]}'])
def test_entries_that_cannot_be_read_are_named_and_the_audit_goes_on(
    busy: Rig, details: str
) -> None:
    with shell(busy) as connection:
        connection.execute("UPDATE ledger SET details = ?", [details])
    assert {"ledger.changed", "ledger.anchor-entry"} <= set(wrong(busy, ask_tpm=False))


def test_an_anchor_that_lies_far_behind_in_the_ledger_is_found(rig: Rig) -> None:
    """After a long batch that was killed before it was anchored."""
    numbers = range(1, 3000)
    with rig.facility() as facility:
        issuer = signing_authority(authorities(facility.store)).issuer.id
        now = rig.clock()
        facility.store.record_intents([intent(issuer, number) for number in numbers], at=now)
        facility.store.record_certificates(
            [(issuer, Serial(number), der_of(number)) for number in numbers], at=now
        )
    issue_one(rig)
    audited(rig)


def test_a_certificate_outside_the_ledger_is_named_by_its_serial(busy: Rig) -> None:
    with shell(busy) as connection:
        names = [row[1] for row in connection.execute("PRAGMA table_info(certificates)")]
        copied = ", ".join(names[1:])
        values = copied.replace("serial,", "x'" + "12" * 20 + "',", 1)
        connection.execute(
            f"INSERT INTO certificates ({copied}) SELECT {values} FROM certificates"  # noqa: S608
            " WHERE subject LIKE '%good%'"
        )
    with auditor(busy) as found:
        (violation,) = found.audit(ask_tpm=True).violations()
    assert violation.rule == "ledger.outside"
    assert "12" * 20 in violation.text


def test_a_ledger_rewritten_from_one_entry_on_contradicts_its_notes_about_the_anchor(
    busy: Rig,
) -> None:
    """Every link after the change is computed anew."""
    with shell(busy) as connection:
        rewrite(connection)
    assert set(wrong(busy, ask_tpm=False)) == {"ledger.anchor-entry"}


def test_a_ledger_rewritten_with_its_notes_about_the_anchor_does_not_fit_the_tpm(
    busy: Rig,
) -> None:
    with shell(busy) as connection:
        # all that was anchored, and all that says so, is cut off: the ledger holds together
        (first,) = connection.execute(
            "SELECT min(seq) FROM ledger WHERE event = 'anchored'"
        ).fetchone()
        connection.execute("DELETE FROM ledger WHERE seq >= ?", [first])
    assert "ledger.anchor" in wrong(busy)
    assert "ledger.anchor" not in wrong(busy, ask_tpm=False)


def rewrite(connection: sqlite3.Connection) -> None:
    """Entry 5 gets another time, and all links follow from it."""
    rows = connection.execute(
        "SELECT seq, at, event, issuer_id, serial, details, link FROM ledger ORDER BY seq"
    ).fetchall()
    last = b""
    for seq, at, event, issuer_id, serial, details, old in rows:
        if seq < 5:
            last = old
            continue
        at += seq == 5
        last = link(
            last,
            seq=seq,
            at=at,
            event=event,
            issuer_id=issuer_id,
            serial=int.from_bytes(serial, "big") if serial is not None else None,
            details=details,
        )
        connection.execute("UPDATE ledger SET at = ?, link = ? WHERE seq = ?", [at, last, seq])


def test_a_checkpoint_that_another_tpm_signed_is_named_although_all_it_says_is_true(
    busy: Rig, tmp_path: Path
) -> None:
    with auditor(busy) as found:
        real = read_checkpoint(found.checkpoint())
    another = Lab(tmp_path / "another", tmp_path / "lock").custody()
    with another.hold():
        anchor = another.anchor(another.place_anchor(real.position.ledger))
        position = replace(real.position, reading=anchor.read())
        text = write_checkpoint(position, anchor.place, anchor.certify(position.qualifying))
    forged = read_checkpoint(text)
    assert forged.position.link == real.position.link
    assert wrong(busy, real) == []
    assert wrong(busy, forged) == ["ledger.checkpoint"]


# ---------------------------------------------------------------- published lists, other files


def published(rig: Rig) -> dict[str, bytes]:
    return {
        slug: (rig.path / "crl" / f"{slug}.crl").read_bytes() for slug in ("root", "intermediate-1")
    }


def rules(rig: Rig, lists: dict[str, bytes], *certificates: bytes) -> list[str]:
    with auditor(rig) as found:
        audit = found.audit(ask_tpm=False, published=lists, certificates=certificates)
        return [violation.rule for violation in audit.violations()]


def test_published_lists_agree_with_the_ledger(busy: Rig) -> None:
    assert rules(busy, published(busy)) == []


def test_a_published_list_newer_than_the_ledger_shows_that_it_was_set_back(
    busy: Rig, tmp_path: Path
) -> None:
    copy_database(busy, tmp_path / "old.db")
    row = issue_one(busy, "later")
    with busy.facility() as facility:
        revoke(row, Reason.SUPERSEDED, facility)
    cut(busy)
    lists = published(busy)
    put_back(busy, tmp_path / "old.db")
    found = rules(busy, lists)
    assert found.count("ledger.set-back") == 2
    assert "ledger.outside" in found  # the later certificate is revoked, and nobody knows it


def test_a_published_list_that_is_another_one_is_named(busy: Rig) -> None:
    lists = published(busy)
    octets = bytearray(lists["root"])
    octets[-1] ^= 1
    assert rules(busy, lists | {"root": bytes(octets)}) == ["ledger.published"]
    assert rules(busy, lists | {"root": b"junk"}) == ["ledger.published"]


def test_a_certificate_that_is_not_in_the_ledger_is_named(busy: Rig, tmp_path: Path) -> None:
    known = next(row.der for row in busy.rows() if row.der is not None)
    assert rules(busy, {}, known) == []
    octets = bytearray(known)
    octets[-1] ^= 1
    assert rules(busy, {}, bytes(octets)) == ["ledger.outside"]


class Meanwhile:
    """A store on which somebody else acts each time its issuers are about to be read."""

    def __init__(self, store: CertificateStore, act: Callable[[], object], *, times: int) -> None:
        self._store, self._act, self._times = store, act, times

    def issuers(self) -> tuple[IssuerRecord, ...]:
        if self._times:
            self._times -= 1
            self._act()
        return self._store.issuers()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@pytest.mark.parametrize("times", [1, 3])
def test_a_list_that_is_cut_while_the_ledger_is_read_is_no_violation(rig: Rig, times: int) -> None:
    with auditor(rig) as found:
        store = Meanwhile(found.store, lambda: cut(rig), times=times)
        audit = Audit(store=cast("CertificateStore", store))
        assert list(audit.violations()) == []
        assert audit.entries == found.store.ledger_end().seq


def test_an_audit_ends_although_lists_are_cut_all_the_time(rig: Rig) -> None:
    with auditor(rig) as found:
        store = Meanwhile(found.store, lambda: cut(rig), times=1000)
        audit = Audit(store=cast("CertificateStore", store))
        assert {violation.rule for violation in audit.violations()} == {"ledger.crl"}
