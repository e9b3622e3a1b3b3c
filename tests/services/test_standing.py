"""What `homeca status` says of the same home at different times and in different states."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from ca.home import Home
from ca.interfaces.issuing import CertificateQuery
from ca.interfaces.revocation import Reason
from ca.interfaces.store import CertificateStore
from ca.policy.terms import Wishes
from ca.services.issuance.renewal import renewal_of
from ca.services.kits.signing import sign_profile
from ca.services.revocation.revoking import revoke
from ca.services.standing.ca import Standing, standing
from ca.services.standing.condition import Condition, condition_of
from ca.services.standing.reminding import deadlines
from ca.wiring.opening import open_settings
from ca.wiring.record import open_store
from tests.house import House, make_request
from tests.services.rig import Rig, issue, issue_one


@contextmanager
def opened(house: House) -> Iterator[tuple[Home, CertificateStore]]:
    home = Home(house.home)
    with open_store(home, open_settings(home)) as store:
        yield home, store


def at(house: House, later: timedelta = timedelta(0)) -> Standing:
    """How it stands some time after its last act."""
    with opened(house) as (home, store):
        last = store.last_recorded_act()
        assert last is not None
        return standing(store, home, at=last + later)


def urgent(found: Standing) -> set[str]:
    return {concern.rule for concern in found.concerns if concern.needs_attention}


#: The certificate of `brief` lives five days.
ALMOST_OVER = timedelta(days=4)


def test_a_rule_taken_from_the_database_needs_attention(house: House) -> None:
    with closing(sqlite3.connect(house.home / "homeca.db")) as database:
        database.execute("DROP TRIGGER tr_ledger_delete")
        database.execute("DROP TRIGGER tr_ledger_change")

    (concern,) = (one for one in at(house).concerns if one.needs_attention)

    assert concern.rule == "record.rules"
    assert "'tr_ledger_change'" in concern.text
    assert "1 more" in concern.text


def test_a_certificate_is_no_reason_for_alarm_on_the_day_it_is_issued(common_house: House) -> None:
    assert at(common_house).is_well
    assert at(common_house, timedelta(days=3)).is_well


def test_only_the_certificate_that_ends_soon_needs_attention(common_house: House) -> None:
    found = at(common_house, ALMOST_OVER)

    assert urgent(found) == {"certificate.expiring"}
    assert [record.subject for record in found.expiring] == ["CN=brief.home.arpa"]


def test_a_renewed_certificate_needs_no_attention(house: House) -> None:
    house.homeca.must("renew", house.file("brief.crt"), "--out", house.file("brief-2.crt"))

    found = at(house, timedelta(days=2))

    assert found.is_well


def test_a_renewal_that_was_revoked_does_not_count(house: House) -> None:
    house.homeca.must("renew", house.file("brief.crt"), "--out", house.file("brief-2.crt"))
    house.homeca.must("revoke", house.file("brief-2.crt"))
    house.homeca.must("crl")

    assert "certificate.expiring" in urgent(at(house, ALMOST_OVER))


def test_the_tree_has_the_intermediate_below_the_root(common_house: House) -> None:
    (top,) = at(common_house).tops

    assert top.issuer.slug == "root"
    assert [child.issuer.slug for child in top.children] == ["intermediate-1"]


def test_counts_are_of_each_serial_once(common_house: House) -> None:
    counts = at(common_house).counts

    assert (counts.valid, counts.revoked, counts.expired) == (5, 2, 0)


def test_a_software_tpm_is_said_and_is_no_reason_for_alarm(common_house: House) -> None:
    concerns = {concern.rule: concern for concern in at(common_house).concerns}

    assert not concerns["custody.software-tpm"].needs_attention


@pytest.mark.parametrize("gone", ["tpm", "tpm/tpm2-00.permall"])
def test_a_software_tpm_whose_state_is_gone_needs_attention(house: House, gone: str) -> None:
    """The file by its name: the TPM's own start refuses the same, as `sign` shows."""
    assert "custody.state-missing" not in urgent(at(house))
    path = house.home / gone
    path.rename(house.place / "aside")

    assert "custody.state-missing" in urgent(at(house))
    request, profile = house.file("laptop.csr"), "vpn-client"
    refused = house.homeca.run("sign", request, "--profile", profile, "--out", "-")
    assert (refused.returncode, "custody.tpm-state-missing" in refused.stderr) == (4, True)
    remedies = {one.rule: one.remedy for one in at(house).concerns}
    assert "--include-software-tpm" in remedies["custody.state-missing"]
    assert remedies["custody.state-missing"] in refused.stderr, "one loss, two remedies"


@pytest.mark.parametrize(
    ("days", "rule"),
    [(14, None), (16, "crl.due"), (29, "crl.due"), (31, "crl.expired")],
)
def test_a_crl_is_due_at_half_of_its_life_and_expires_at_its_end(
    common_house: House, days: int, rule: str | None
) -> None:
    found = urgent(at(common_house, timedelta(days=days))) - {"certificate.expiring"}

    assert found == ({rule} if rule else set())


def test_a_revocation_no_crl_carries_needs_attention(house: House) -> None:
    house.homeca.must("revoke", house.file("laptop.crt"))
    assert "crl.behind" in urgent(at(house))

    house.homeca.must("crl")
    assert "crl.behind" not in urgent(at(house))


def test_a_released_hold_that_is_still_listed_needs_attention(house: House) -> None:
    house.homeca.must("revoke", house.file("parked.crt"), "--reason", "removeFromCRL")

    assert "crl.behind" in urgent(at(house))


def test_a_reason_that_no_crl_gives_yet_needs_attention(house: House) -> None:
    house.homeca.must("revoke", house.file("laptop.crt"), "--reason", "superseded", "--crl")
    assert "crl.behind" not in urgent(at(house))

    house.homeca.must("revoke", house.file("laptop.crt"), "--reason", "keyCompromise")
    (said,) = [one for one in at(house).concerns if one.rule == "crl.behind"]
    assert "does not give the reason that is recorded now: 1 serial" in said.text
    found = json.loads(house.homeca.run("status", "--json").stdout)
    assert [one["crl"]["outdated"] for one in found["issuers"]] == [0, 1]


def test_a_revocation_without_any_crl_needs_attention(house: House) -> None:
    with house.database() as database:
        database.execute("DELETE FROM crls")
    for path in (house.home / "crl").iterdir():
        path.unlink()

    assert "crl.missing" in urgent(at(house))


def test_an_issuer_near_its_end_needs_attention(common_house: House) -> None:
    ten_years = timedelta(days=3650)

    assert "issuer.expiring" not in urgent(at(common_house, ten_years - timedelta(days=500)))
    assert "issuer.expiring" in urgent(at(common_house, ten_years - timedelta(days=300)))
    assert "issuer.expired" in urgent(at(common_house, ten_years + timedelta(days=1)))


def test_a_clock_before_the_last_act_needs_attention(common_house: House) -> None:
    assert "clock.behind" not in urgent(at(common_house, timedelta(minutes=-4)))
    assert "clock.behind" in urgent(at(common_house, timedelta(minutes=-6)))


def test_a_clock_more_than_a_year_ahead_is_told(common_house: House) -> None:
    def rules(days: int) -> set[str]:
        found = at(common_house, timedelta(days=days)).concerns
        return {one.rule for one in found if not one.needs_attention}

    assert "clock.ahead" not in rules(365)
    assert "clock.ahead" in rules(367)


def test_a_root_without_constraints_is_told(tmp_path_factory: pytest.TempPathFactory) -> None:
    house = House(tmp_path_factory.mktemp("plain"))
    house.homeca.must("init-root", "--key", "ec-p256")

    concerns = {concern.rule: concern.needs_attention for concern in at(house).concerns}

    assert concerns["issuer.no-constraints"] is False
    assert concerns["crl.none-yet"] is False


def test_an_intermediate_that_waits_needs_attention(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    house = House(tmp_path_factory.mktemp("waiting"))
    house.homeca.must(
        "init-intermediate", "--name", "Away", "--key", "ec-p256", "--csr-out", house.file("i.csr")
    )

    assert "issuer.pending" in urgent(at(house))


def test_an_unsafe_mode_needs_attention(house: House) -> None:
    (house.home / "keys/root.tss").chmod(0o644)

    assert "home.mode" in urgent(at(house))


def test_a_home_of_nobody_is_empty_and_well(tmp_path_factory: pytest.TempPathFactory) -> None:
    house = House(tmp_path_factory.mktemp("empty"))
    Home(house.home).make()
    home = Home(house.home)
    with open_store(home, open_settings(home), create=True) as store:
        found = standing(store, home, at=datetime.now(UTC).replace(microsecond=0))

    assert found.is_well
    assert found.tops == ()


def test_more_expiring_certificates_than_are_named_are_counted(house: House) -> None:
    requests = [make_request(house.place, f"d{n}", f"DNS:d{n}.home.arpa") for n in range(12)]
    house.homeca.must("sign", *requests, "--profile", "tls-server", "--days", "3")

    found = at(house, timedelta(days=2.5))

    assert found.expiring_count == 12
    assert len(found.expiring) == 10
    assert [r.not_after for r in found.expiring] == sorted(r.not_after for r in found.expiring)


# ---------------------------------------------------------------- a revoked intermediate


def test_what_a_revoked_intermediate_signed_is_refused_and_needs_attention(house: House) -> None:
    (intermediate,) = at(house).tops[0].children
    assert intermediate.issuer.serial is not None
    house.homeca.must("revoke", f"{intermediate.issuer.serial:X}", "--crl")

    found = at(house)

    root, below = found.issuers
    assert (root.revoked, below.revoked is not None) == (None, True)
    assert (found.counts.valid, found.refused) == (4, 3)
    (concern,) = (one for one in found.concerns if one.rule == "issuer.revoked")
    assert "3 certificates that it signed are refused" in concern.text
    assert not found.is_well


def test_a_revoked_intermediate_is_done_with_when_all_it_signed_is_renewed(house: House) -> None:
    (intermediate,) = at(house).tops[0].children
    assert intermediate.issuer.serial is not None
    house.homeca.must("revoke", f"{intermediate.issuer.serial:X}", "--crl")
    for stem in ("laptop", "nas", "brief"):
        days = ("--days", "700") if stem != "brief" else ("--days", "30")
        house.homeca.must("renew", house.file(f"{stem}.crt"), "--out", f"{stem}-2.crt", *days)

    assert "issuer.revoked" not in urgent(at(house))


# ---------------------------------------------------------------- one word for each certificate


@pytest.mark.parametrize(
    ("stem", "days", "expected"),
    [
        ("laptop", 0, Condition.VALID),
        ("laptop", -1, Condition.NOT_YET),
        ("laptop", 376, Condition.EXPIRED),
        ("lost", 0, Condition.REVOKED),
        ("lost", 376, Condition.REVOKED),
        ("parked", 0, Condition.HOLD),
    ],
)
def test_a_certificate_is_one_thing_at_a_time(
    common_house: House, stem: str, days: int, expected: Condition
) -> None:
    with opened(common_house) as (_, store):
        (record,) = store.by_serial_prefix(common_house.serial(stem).lower(), limit=2)
        moment = record.not_before + timedelta(days=days, seconds=1)

        assert condition_of(record, at=moment) is expected


def test_the_last_second_of_a_certificate_counts(common_house: House) -> None:
    with opened(common_house) as (_, store):
        (record,) = store.by_serial_prefix(common_house.serial("laptop").lower(), limit=2)

        assert condition_of(record, at=record.not_after) is Condition.VALID
        assert condition_of(record, at=record.not_after + timedelta(seconds=1)) is Condition.EXPIRED


@pytest.mark.parametrize(("days", "is_left"), [(5, True), (30, False)])
def test_a_renewal_counts_where_it_lasts_longer(rig: Rig, days: int, is_left: bool) -> None:
    row = issue_one(rig, "phone")
    rig.clock.now = row.not_after - timedelta(days=10)
    with rig.facility() as facility:
        (record,) = facility.store.by_serial(row.serial)
        issue(facility, renewal_of(record, profile=None, wishes=Wishes(days=days)))
        found = standing(facility.store, facility.home, at=rig.clock())
    assert (row.serial in {one.serial for one in found.expiring}) == is_left


# ---------------------------------------------------------------- ended, and nothing came after


def ended(rig: Rig) -> set[str]:
    """Subjects of what is said to have ended without anything after it, each of them once."""
    with rig.facility() as facility:
        found = standing(facility.store, facility.home, at=rig.clock()).concerns
    told = [one.text.split(" ", 1)[0] for one in found if one.rule == "certificate.ended"]
    assert len(told) == len(set(told)), told
    return set(told)


def test_what_ended_and_was_not_renewed_is_said_for_a_month(rig: Rig) -> None:
    row = issue_one(rig, "phone")
    rig.clock.now = row.not_after + timedelta(seconds=1)
    assert ended(rig) == {"CN=phone.home.arpa"}
    rig.clock.move(days=29)
    assert ended(rig) == {"CN=phone.home.arpa"}
    rig.clock.move(days=2)
    assert ended(rig) == set()


def test_what_is_said_of_an_ended_one_ends_it(rig: Rig) -> None:
    row = issue_one(rig, "phone")
    rig.clock.now = row.not_after + timedelta(days=3)
    with rig.facility(believe_clock=True) as facility:
        (record,) = facility.store.by_serial(row.serial)
        revoke(record, Reason.CESSATION_OF_OPERATION, facility)
    assert ended(rig) == set()


def test_what_was_signed_anew_for_the_same_name_came_after_even_if_revoked_since(rig: Rig) -> None:
    old = issue_one(rig, "phone")
    rig.clock.move(days=360)
    new = issue_one(rig, "phone")
    issue_one(rig, "tablet", days=400)
    rig.clock.now = old.not_after + timedelta(days=3)
    assert ended(rig) == set()
    with rig.facility() as facility:
        (record,) = facility.store.by_serial(new.serial)
        revoke(record, Reason.KEY_COMPROMISE, facility)
    assert ended(rig) == set()


def test_of_several_that_ended_the_last_is_said_alone(rig: Rig) -> None:
    for _ in range(6):
        row = issue_one(rig, "phone")
        rig.clock.move(days=4)
    rig.clock.now = row.not_after + timedelta(days=3)
    assert ended(rig) == {"CN=phone.home.arpa"}


def test_another_device_does_not_come_after(rig: Rig) -> None:
    old = issue_one(rig, "phone")
    issue_one(rig, "tablet", days=700)
    rig.clock.now = old.not_after + timedelta(days=3)
    assert ended(rig) == {"CN=phone.home.arpa"}


def test_what_lives_for_days_ends_unsaid(rig: Rig) -> None:
    row = issue_one(rig, "job", days=5)
    rig.clock.now = row.not_after + timedelta(hours=1)
    assert ended(rig) == set()


def test_the_signer_of_profiles_is_nobodys_to_renew(rig: Rig) -> None:
    with rig.facility() as facility:
        sign_profile(b"<plist/>", facility)
        (row,) = (
            one for one in facility.store.certificates(CertificateQuery(profile="profile-signing"))
        )
    assert "configuration profiles" in row.subject
    for days in (-10, 10):
        rig.clock.now = row.not_after + timedelta(days=days)
        with rig.facility() as facility:
            found = standing(facility.store, facility.home, at=rig.clock()).concerns
            keys = {one.key for one in deadlines(facility.store, facility.home, at=rig.clock())}
        assert not {"certificate.expiring", "certificate.ended"} & {one.rule for one in found}
        assert not any(key.startswith("certificate-") for key in keys)
