"""A CRL is good, or every reason that it is not is named."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ca.encoding.containers import read_crls
from ca.errors import VerificationFailed
from ca.home import Home
from ca.services.crl_verification import VerifiedCrl, verify_crl
from ca.wiring import open_settings, open_store, system_clock
from tests.house import House


def crl_reasons(house: House, octets: bytes, *, later: timedelta = timedelta(0)) -> set[str]:
    try:
        verified_crl(house, octets, later=later)
    except VerificationFailed as error:
        return {violation.rule for violation in error.violations}
    return set()


def verified_crl(house: House, octets: bytes, *, later: timedelta = timedelta(0)) -> VerifiedCrl:
    home = Home(house.home)
    with open_store(home, open_settings(home)) as store:
        return verify_crl(octets, store, at=system_clock() + later)


def crl(house: House, slug: str = "intermediate-1") -> bytes:
    (der,) = read_crls((house.home / f"crl/{slug}.crl").read_bytes())
    return der


def test_the_newest_crls_are_good(common_house: House) -> None:
    for slug in ("root", "intermediate-1"):
        assert verified_crl(common_house, crl(common_house, slug)).warnings == ()


@pytest.mark.parametrize(("days", "rule"), [(31, "dates.expired"), (-1, "dates.not-yet")])
def test_the_dates_of_a_crl_are_kept(common_house: House, days: int, rule: str) -> None:
    assert crl_reasons(common_house, crl(common_house), later=timedelta(days=days)) == {rule}


def test_a_changed_crl_is_found(common_house: House) -> None:
    changed = bytearray(crl(common_house))
    changed[-1] ^= 1

    assert crl_reasons(common_house, bytes(changed)) == {"crl.signature"}


def test_a_crl_that_lacks_a_revocation_is_found(house: House) -> None:
    before = crl(house)
    house.homeca.must("revoke", house.file("nas.crt"))

    assert crl_reasons(house, before) == {"crl.missing"}


def test_an_older_crl_that_lacks_nothing_is_good_and_said_to_be_older(house: House) -> None:
    before = crl(house)
    house.homeca.must("crl")

    (warning,) = verified_crl(house, before).warnings
    assert "not the newest" in warning
