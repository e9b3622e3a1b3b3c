"""Ladders cut by a real TPM, read by another implementation."""

from __future__ import annotations

import hashlib
import os
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec.structs import force_setattr

from ca.errors import NotFound, OutputFailed, StoreUnwritable
from ca.failpoints import arm
from ca.files import locked_if_free
from ca.interfaces.issuing import Role
from ca.interfaces.revocation import Reason
from ca.services.crl.cutting import Cut, cut_crls
from ca.services.crl.files import JOINED, advance
from ca.services.crl.ladder import Shape, standing_ladder
from ca.services.facility import Facility, authorities
from ca.services.revocation.revoking import revoke
from tests.services.rig import CRL_DAYS, Rig, Unwritable, issue_one, number, serials

DAY = timedelta(days=1)
STEPS = Shape.of_steps(12, 30 * DAY)
LADDER = {
    Role.INTERMEDIATE: STEPS,
    Role.ROOT: Shape.of_steps(1, 180 * DAY).as_long_as(STEPS),
}


def cut(
    rig: Rig, ladder: dict[Role, Shape] | None = None, *, directory: Path | None = None
) -> dict[str, Cut]:
    with rig.facility() as facility:
        found = list(cut_crls(facility, days=CRL_DAYS, ladder=ladder, directory=directory))
    return {one.authority.issuer.slug: one for one in found}


def lists(path: Path) -> list[x509.CertificateRevocationList]:
    """Every list of a PEM file, in order."""
    end = "-----END X509 CRL-----\n"
    return [
        x509.load_pem_x509_crl((block + end).encode())
        for block in path.read_text().split(end)
        if block
    ]


def joined(rig: Rig, slug: str = "intermediate-1") -> list[x509.CertificateRevocationList]:
    """Those of an issuer in the file for OpenVPN."""
    issuer = x509.load_pem_x509_certificate((rig.path / f"certs/{slug}.pem").read_bytes())
    return [one for one in lists(rig.path / "crl" / JOINED) if one.issuer == issuer.subject]


def test_a_ladder_of_twelve_covers_a_year_without_a_gap_under_one_issuer(rig: Rig) -> None:
    made = cut(rig, LADDER)
    rungs = joined(rig)
    assert len(rungs) == 12
    assert [number(one) for one in rungs] == list(range(1, 13))
    assert rungs[0].last_update_utc == rig.clock.now
    for one, following in pairwise(rungs):
        assert one.next_update_utc is not None
        assert one.last_update_utc < following.last_update_utc < one.next_update_utc
    assert rungs[-1].next_update_utc == made["intermediate-1"].armed_until
    assert made["intermediate-1"].armed_until > rig.clock.now + 365 * DAY


def test_the_roots_lists_last_as_long_as_the_intermediates(rig: Rig) -> None:
    made = cut(rig, LADDER)
    assert made["root"].armed_until >= made["intermediate-1"].armed_until
    assert len(joined(rig, "root")) == 2


def test_every_rung_is_signed_by_the_issuer_and_lists_what_is_revoked(rig: Rig) -> None:
    row = revoked(rig)
    cut(rig, LADDER)
    issuer = x509.load_pem_x509_certificate((rig.path / "certs/intermediate-1.pem").read_bytes())
    for rung in joined(rig):
        assert rung.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]  # EC
        assert serials(rung) == {row}


def revoked(rig: Rig, name: str = "phone") -> int:
    row = issue_one(rig, name)
    with rig.facility() as facility:
        revoke(row, Reason.KEY_COMPROMISE, facility)
    return row.serial


def test_an_issuers_key_is_opened_once_for_a_whole_ladder(rig: Rig) -> None:
    opened: list[str] = []

    def counting(facility: Facility) -> None:
        real = facility.custody()

        class Counting:
            def open(self, *args: object, **kwargs: object) -> object:
                opened.append("open")
                return real.open(*args, **kwargs)  # type: ignore[arg-type]  # passed through

        force_setattr(facility, "custody", Counting)

    with rig.facility() as facility:
        counting(facility)
        list(cut_crls(facility, days=CRL_DAYS, ladder=LADDER))
    assert len(opened) == 2, "one for the root, one for the intermediate"


def test_a_plain_cut_after_a_revocation_recuts_the_whole_ladder(rig: Rig) -> None:
    old = joined_after(rig, LADDER)
    rig.clock.move(days=40)
    lost = revoked(rig)
    new = joined_after(rig, None)
    old_ends = [one.next_update_utc for one in old if one.next_update_utc is not None]
    new_ends = [one.next_update_utc for one in new if one.next_update_utc is not None]
    assert max(new_ends) >= max(old_ends)
    recut = [one for one in new if number(one) > number(old[-1])]
    assert all(serials(one) == {lost} for one in recut)
    coming = [one.last_update_utc for one in old if one.last_update_utc > rig.clock.now]
    starts = [one.last_update_utc for one in recut]
    assert len(coming) == 10
    assert all(moment + timedelta(seconds=1) in starts for moment in coming)


def joined_after(
    rig: Rig, ladder: dict[Role, Shape] | None
) -> list[x509.CertificateRevocationList]:
    cut(rig, ladder)
    return joined(rig)


def test_the_list_that_was_valid_until_now_stays_below_the_new_ones(rig: Rig) -> None:
    """A server whose clock is a minute behind would otherwise refuse everybody for a minute."""
    old = joined_after(rig, LADDER)
    rig.clock.move(days=40)
    kept, first, *_ = joined_after(rig, None)
    assert kept == old[1]
    assert kept.last_update_utc < first.last_update_utc == rig.clock.now


def test_a_list_that_is_over_does_not_stay(rig: Rig) -> None:
    joined_after(rig, None)
    rig.clock.move(days=31)
    assert len(joined_after(rig, None)) == 1


def test_two_ladders_of_one_second_keep_thisupdate_increasing(rig: Rig) -> None:
    first = joined_after(rig, LADDER)
    second = [one for one in joined_after(rig, LADDER) if number(one) > number(first[-1])]
    shift = timedelta(seconds=1)
    assert [one.last_update_utc - shift for one in second] == [one.last_update_utc for one in first]


def test_a_ladder_that_could_not_be_recorded_is_not_published(rig: Rig) -> None:
    cut(rig)
    before = (rig.path / "crl" / JOINED).read_bytes()
    with (
        rig.facility(store=lambda store: Unwritable(store, "record_ladder")) as facility,
        pytest.raises(StoreUnwritable),
    ):
        list(cut_crls(facility, days=CRL_DAYS, ladder=LADDER))
    assert (rig.path / "crl" / JOINED).read_bytes() == before
    assert number(joined_after(rig, None)[-1]) == 2


def test_a_ladder_is_left_by_cutting_one_of_one_rung(rig: Rig) -> None:
    until = cut(rig, LADDER)["intermediate-1"].armed_until
    rig.clock.move(days=1)
    one = Shape.of_steps(1, 30 * DAY)
    left = cut(rig, dict.fromkeys(Role, one))["intermediate-1"]
    assert left.armed_until == until
    rig.clock.move(days=340)
    assert cut(rig)["intermediate-1"].armed_until == until, "its last rung is still out there"
    rig.clock.move(days=60)
    assert cut(rig)["intermediate-1"].armed_until == rig.clock.now + 30 * DAY


def test_a_plain_cut_when_half_of_a_ladder_is_gone_makes_a_new_one_as_long(rig: Rig) -> None:
    cut(rig, LADDER)
    rig.clock.move(days=250)
    assert cut(rig)["intermediate-1"].armed_until >= rig.clock.now + 389 * DAY
    rig.clock.move(days=360)
    assert cut(rig)["intermediate-1"].armed_until >= rig.clock.now + 389 * DAY


def test_no_rung_outlives_its_issuer(rig: Rig) -> None:
    for _ in range(4):
        rig.clock.move(days=364)
        cut(rig)
    made = cut(rig, LADDER)["intermediate-1"]
    with rig.facility() as facility:
        end = authorities(facility.store)[1].not_after
    assert made.armed_until == end


def test_an_entry_that_expires_before_a_rung_begins_is_on_it_all_the_same(rig: Rig) -> None:
    """What was revoked stays until a list made after its end has had it (RFC 5280 §3.3)."""
    row = issue_one(rig, days=10)
    with rig.facility() as facility:
        revoke(row, Reason.SUPERSEDED, facility)
    assert all(serials(one) == {row.serial} for one in joined_after(rig, LADDER))
    rig.clock.move(days=45)
    assert serials(joined_after(rig, None)[-1]) == {row.serial}
    assert serials(joined_after(rig, None)[-1]) == set()


# ---------------------------------------------------------------- files


def test_the_lists_are_published_in_another_directory_as_well(rig: Rig, tmp_path: Path) -> None:
    place = tmp_path / "web"
    place.mkdir()
    cut(rig, LADDER, directory=place)
    for path in (rig.path / "crl").iterdir():
        assert (place / path.name).read_bytes() == path.read_bytes()


def test_a_directory_that_takes_no_lists_keeps_none_from_the_home(rig: Rig, tmp_path: Path) -> None:
    """Else the lists of the home would run out, for the sake of a copy."""
    place = tmp_path / "web"
    place.mkdir()
    os.mkfifo(place / "root.crl.pem")  # keeps everybody out, root as well
    before = numbers(rig)
    with pytest.raises(OutputFailed, match=r"root\.crl\.pem.* the lists in .* are cut"):
        cut(rig, directory=place)
    assert {name: number > before.get(name, 0) for name, number in numbers(rig).items()} == {
        "root": True,
        "intermediate-1": True,
    }
    assert lists(rig.path / "crl/openvpn.pem") == [
        x509.load_der_x509_crl((rig.path / f"crl/{slug}.crl").read_bytes())
        for slug in ("root", "intermediate-1")
    ]
    assert [path.name for path in place.iterdir()] == ["root.crl.pem"]


def test_what_is_not_due_comes_into_another_directory_all_the_same(
    rig: Rig, tmp_path: Path
) -> None:
    """It may be new, or an earlier cut may have failed there; of a ladder, what is valid now."""
    cut(rig, LADDER)
    rig.clock.move(days=61)
    assert advanced(rig)
    place = tmp_path / "web"
    place.mkdir()
    with rig.facility() as facility:
        assert not list(cut_crls(facility, days=CRL_DAYS, only=lambda _: False, directory=place))
    for path in (rig.path / "crl").glob("*.crl"):
        assert (place / path.name).read_bytes() == path.read_bytes()
    assert (place / "openvpn.pem").read_bytes() == (rig.path / "crl/openvpn.pem").read_bytes()


def numbers(rig: Rig) -> dict[str, int]:
    """Of the newest list that the record has of each issuer."""
    with rig.facility() as facility:
        store = facility.store
        last = {one.slug: store.last_crl(one.id) for one in store.issuers()}
        return {slug: crl.number for slug, crl in last.items() if crl is not None}


def fetched(rig: Rig) -> x509.CertificateRevocationList:
    return x509.load_der_x509_crl((rig.path / "crl/intermediate-1.crl").read_bytes())


def advanced(rig: Rig) -> list[int]:
    with rig.facility() as facility:
        told = facility.on_wait
        done = list(advance(facility.home, facility.store, at=rig.clock(), on_wait=told))
    return [one.rung.number for one in done if one.issuer.slug == "intermediate-1"]


def test_the_rung_that_is_valid_now_is_published_without_any_key(rig: Rig) -> None:
    rungs = joined_after(rig, LADDER)
    assert advanced(rig) == []
    rig.clock.move(days=61)
    assert advanced(rig) == [3]
    assert fetched(rig) == rungs[2]
    assert advanced(rig) == []


def test_no_list_is_cut_while_a_rung_is_being_published(rig: Rig) -> None:
    """One that was cut between reading the rung and writing it would be overwritten by the rung."""
    joined_after(rig, LADDER)
    rig.clock.move(days=61)
    could_cut = []

    def look(name: str) -> None:
        if name == "file.synced":
            with locked_if_free(rig.path / ".crl.lock") as is_free:
                could_cut.append(is_free)

    arm(look)
    try:
        assert advanced(rig) == [3]
    finally:
        arm(None)
    assert could_cut == [False]


def test_no_rung_is_published_that_the_record_does_not_know(rig: Rig) -> None:
    rungs = joined_after(rig, LADDER)
    path = rig.path / "crl/intermediate-1.crl.pem"
    spoilt = bytearray(rungs[2].public_bytes(Encoding.DER))
    spoilt[-1] ^= 1
    with path.open("wb") as stream:
        stream.write(rungs[0].public_bytes(Encoding.PEM))
        stream.write(x509_pem(bytes(spoilt)))
    rig.clock.move(days=61)
    with pytest.raises(NotFound, match="CRL 3"):
        advanced(rig)
    assert fetched(rig) == rungs[0]


def x509_pem(der: bytes) -> bytes:
    from ca.encoding.containers import pem

    return pem("X509 CRL", der)


def test_the_record_has_the_hash_of_every_rung(rig: Rig) -> None:
    rungs = joined_after(rig, LADDER)
    with rig.facility() as facility:
        ladder = standing_ladder(facility.store, authorities(facility.store)[1].issuer.id)
    assert ladder is not None
    assert [trace.sha256 for trace in ladder.traces] == [
        hashlib.sha256(one.public_bytes(Encoding.DER)).digest() for one in rungs
    ]
