"""An issuer near its end, its successor, and what is left of it after: years, by a told clock."""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from ca.algorithms import EC_P256
from ca.interfaces.issuing import CertificateQuery, IssuerState, Role
from ca.services.ceremony.intermediate import init_intermediate
from ca.services.ceremony.plan import Plan
from ca.services.crl.cutting import cut_crls
from ca.services.crl.files import JOINED, is_due
from ca.services.crl.ladder import Shape
from ca.services.kits.signing import sign_profile
from ca.services.premises import Concern
from ca.services.standing.ca import standing
from ca.services.standing.issuers import concerns_of_issuer
from ca.services.standing.reminding import deadlines
from tests.services.rig import CRL_DAYS, Rig

DAY = timedelta(days=1)
#: Of the intermediate that the rig has; its root lives twice as long.
LIFE = 1825


def concerns(rig: Rig) -> dict[str, Concern]:
    """What needs attention, but for backups; the last of each rule."""
    with rig.facility() as facility:
        found = standing(facility.store, facility.home, at=rig.clock()).concerns
    return {one.rule: one for one in found if one.needs_attention and one.rule != "backup.no-drill"}


def succeed(rig: Rig, days: int = LIFE) -> None:
    with rig.facility(believe_clock=True) as facility:
        init_intermediate(Plan(name="Rig", kind=EC_P256, days=days), facility)


def cut(rig: Rig) -> list[str]:
    """Slugs of the issuers whose lists were cut, what a timer would cut."""
    with rig.facility(believe_clock=True) as facility:
        due = [
            issuer.slug
            for issuer in facility.store.issuers()
            if is_due(issuer, facility.home, facility.store, at=rig.clock())
        ]
        made = cut_crls(facility, days=CRL_DAYS, only=lambda issuer: issuer.slug in due)
        assert [one.authority.issuer.slug for one in made] == due
        return due


def days_of_issuers(rig: Rig) -> set[str]:
    """Keys of the calendar's entries for the ends of issuers."""
    with rig.facility() as facility:
        serials = {f"issuer-{one.serial or 0:x}": one.slug for one in facility.store.issuers()}
        found = deadlines(facility.store, facility.home, at=rig.clock())
    return {serials[one.key] for one in found if one.key in serials}


def test_an_issuer_that_has_a_successor_is_nobodys_worry(rig: Rig) -> None:
    rig.clock.move(days=LIFE - 300)
    cut(rig)
    assert set(concerns(rig)) == {"issuer.expiring"}
    assert days_of_issuers(rig) == {"root", "intermediate-1"}

    succeed(rig)
    cut(rig)

    assert concerns(rig) == {}
    assert days_of_issuers(rig) == {"root", "intermediate-2"}


def test_a_successor_that_ends_first_is_none(rig: Rig) -> None:
    rig.clock.move(days=LIFE - 300)
    succeed(rig, days=200)
    cut(rig)

    assert "intermediate-1" in days_of_issuers(rig)
    assert "issuer.expiring" in concerns(rig)


def test_an_ended_issuer_with_a_successor_leaves_nothing_to_do(rig: Rig) -> None:
    rig.clock.move(days=LIFE - 300)
    succeed(rig)
    rig.clock.move(days=301)
    assert cut(rig) == ["root", "intermediate-2"]

    assert concerns(rig) == {}


def test_an_ended_issuer_without_a_successor_is_said_with_the_way_on(rig: Rig) -> None:
    cut(rig)
    rig.clock.move(days=LIFE + 1)
    cut(rig)

    found = concerns(rig)
    assert set(found) == {"issuer.expired"}, "no list can be cut for what has ended"
    assert found["issuer.expired"].remedy == (
        "run `homeca init-intermediate --days 1823` for the next one"
    )
    succeed(rig, days=1823)
    cut(rig)
    assert concerns(rig) == {}


def test_an_intermediate_that_ends_with_its_root_is_not_made_anew(rig: Rig) -> None:
    rig.clock.move(days=LIFE - 100)
    succeed(rig, days=LIFE + 99)
    rig.clock.move(days=LIFE - 200)
    cut(rig)
    with rig.facility() as facility:
        found = standing(facility.store, facility.home, at=rig.clock()).concerns
    remedies = [one.remedy for one in found if one.rule == "issuer.expiring"]
    assert len(remedies) == 2
    for remedy in remedies:
        assert "begin a new CA in another --home, with another --name" in remedy
        assert "init-intermediate" not in remedy


def test_an_intermediate_of_another_home_is_that_homes_to_replace(rig: Rig) -> None:
    with rig.facility() as facility:
        intermediate = facility.store.issuers()[1]
    abroad = replace(intermediate, key_file="")
    assert (abroad.is_abroad, abroad.state) == (True, IssuerState.ACTIVE)
    assert abroad.not_after is not None
    for at in (abroad.not_after - 10 * DAY, abroad.not_after + DAY):
        (said,) = concerns_of_issuer(abroad, (abroad,), at=at)
        assert not said.needs_attention


def test_lists_that_end_with_their_issuer_are_not_cut_again_and_again(rig: Rig) -> None:
    rig.clock.move(days=LIFE - 20)
    assert cut(rig) == ["root", "intermediate-1"]
    for _ in range(18):
        rig.clock.move(days=1)
        assert cut(rig) == []
        assert "crl.due" not in concerns(rig)
    with rig.facility() as facility:
        found = deadlines(facility.store, facility.home, at=rig.clock())
    assert "crl-intermediate-1" not in {one.key for one in found}
    assert "crl-root" in {one.key for one in found}


def test_a_timer_with_nothing_due_rests_for_more_than_a_year(rig: Rig) -> None:
    years = Shape.of_steps(36, 30 * DAY)
    with rig.facility() as facility:
        list(cut_crls(facility, days=CRL_DAYS, ladder={role: years for role in Role}))
    joined = (rig.path / "crl" / JOINED).read_bytes()
    rig.clock.move(days=400)
    with rig.facility() as facility:
        assert list(cut_crls(facility, days=CRL_DAYS, only=lambda _: False)) == []
    assert (rig.path / "crl" / JOINED).read_bytes() == joined


def test_the_first_lists_of_a_successor_last_as_long_as_the_ladder_beside_them(rig: Rig) -> None:
    year = Shape.of_steps(12, 30 * DAY)
    with rig.facility() as facility:
        list(cut_crls(facility, days=CRL_DAYS, ladder=dict.fromkeys(Role, year)))
    rig.clock.move(days=40)
    succeed(rig)

    with rig.facility() as facility:
        made = {one.authority.issuer.slug: one for one in cut_crls(facility, days=CRL_DAYS)}

    elder, younger = made["intermediate-1"], made["intermediate-2"]
    assert timedelta() <= younger.armed_until - elder.armed_until < 30 * DAY
    assert len(younger.rungs) >= 10


def test_the_first_list_of_a_successor_is_one_where_its_elder_has_left_the_ladder(
    rig: Rig,
) -> None:
    for rungs in (12, 1):
        shape = Shape.of_steps(rungs, 30 * DAY)
        with rig.facility() as facility:
            list(cut_crls(facility, days=CRL_DAYS, ladder=dict.fromkeys(Role, shape)))
        rig.clock.move(days=5)
    succeed(rig)

    with rig.facility() as facility:
        made = {one.authority.issuer.slug: one for one in cut_crls(facility, days=CRL_DAYS)}

    assert len(made["intermediate-1"].rungs) > 1, "what is to come of the ladder is outranked"
    assert len(made["intermediate-2"].rungs) == 1


def test_a_ladder_that_its_issuers_end_cut_short_is_passed_on(rig: Rig) -> None:
    year = Shape.of_steps(12, 30 * DAY)
    rig.clock.move(days=LIFE - 300)
    with rig.facility(believe_clock=True) as facility:
        list(cut_crls(facility, days=CRL_DAYS, ladder=dict.fromkeys(Role, year)))
    succeed(rig)

    with rig.facility() as facility:
        (made,) = cut_crls(facility, days=CRL_DAYS, only=lambda one: one.slug == "intermediate-2")

    assert made.armed_until >= rig.clock() + 299 * DAY


def test_of_an_ended_root_only_the_root_is_said(rig: Rig) -> None:
    rig.clock.move(days=3651)
    with rig.facility() as facility:
        found = standing(facility.store, facility.home, at=rig.clock()).concerns
    (said,) = [one for one in found if one.rule.startswith("issuer.ex")]
    assert "Root CA expired" in said.text
    assert "crl.expired" not in {one.rule for one in found}


def test_a_profile_is_signed_in_the_last_year_of_an_issuer(rig: Rig) -> None:
    rig.clock.move(days=LIFE - 30)
    with rig.facility(believe_clock=True) as facility:
        sign_profile(b"<plist/>", facility)
        issuer = facility.store.issuers()[1]
        (signer,) = facility.store.certificates(CertificateQuery(profile="profile-signing"))
    assert signer.not_after == issuer.not_after
