"""A CRL is good, or every reason that it is not is named."""

from __future__ import annotations

from datetime import timedelta

import asn1crypto.crl
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ca.encoding.containers import read_crls
from ca.errors import VerificationFailed
from ca.home import Home
from ca.services.verification.crls import Turn, VerifiedCrl, verify_crls
from ca.wiring.opening import open_settings, system_clock
from ca.wiring.record import open_store
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
        (found,) = verify_crls([octets], store, at=system_clock() + later)
        return found


def turns(house: House, *, later: timedelta = timedelta(0)) -> list[tuple[str, Turn]]:
    """Of every list in openvpn.pem."""
    home = Home(house.home)
    ders = read_crls((home.crl / "openvpn.pem").read_bytes())
    with open_store(home, open_settings(home)) as store:
        found = verify_crls(ders, store, at=system_clock() + later)
    return [(one.issuer.slug, one.turn) for one in found]


def crl(house: House, slug: str = "intermediate-1") -> bytes:
    (der,) = read_crls((house.home / f"crl/{slug}.crl").read_bytes())
    return der


def test_the_newest_crls_are_good(common_house: House) -> None:
    for slug in ("root", "intermediate-1"):
        assert verified_crl(common_house, crl(common_house, slug)).warnings == ()


@pytest.mark.parametrize(("days", "rule"), [(31, "dates.expired"), (-1, "dates.not-yet")])
def test_the_dates_of_a_crl_are_kept(common_house: House, days: int, rule: str) -> None:
    assert crl_reasons(common_house, crl(common_house), later=timedelta(days=days)) == {rule}


def test_a_crl_without_an_end_is_found(house: House) -> None:
    """RFC 5280 §5.1.2.5 wants a nextUpdate; nobody could say when such a list is too old."""
    key = ec.generate_private_key(ec.SECP256R1())
    with house.database() as database:
        spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        database.execute("UPDATE issuers SET spki = ? WHERE id = 2", (spki,))

    assert crl_reasons(house, signed_anew(crl(house), key, has_end=True)) == set()
    assert crl_reasons(house, signed_anew(crl(house), key, has_end=False)) == {"dates.no-end"}
    for days, rule in ((400, "dates.no-end"), (-1, "dates.not-yet")):
        endless = signed_anew(crl(house), key, has_end=False)
        assert crl_reasons(house, endless, later=timedelta(days=days)) == {rule}


def signed_anew(der: bytes, key: ec.EllipticCurvePrivateKey, *, has_end: bool) -> bytes:
    """The same list by another key, with or without its nextUpdate."""
    found = asn1crypto.crl.CertificateList.load(der)
    fields = {name: found["tbs_cert_list"][name] for name in found["tbs_cert_list"]}
    if not has_end:
        del fields["next_update"]
    tbs = asn1crypto.crl.TbsCertList(fields)
    return bytes(
        asn1crypto.crl.CertificateList(
            {
                "tbs_cert_list": tbs,
                "signature_algorithm": found["signature_algorithm"],
                "signature": key.sign(tbs.dump(), ec.ECDSA(hashes.SHA256())),
            }
        ).dump()
    )


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


def test_a_published_ladder_is_good_and_its_later_rungs_are_to_come(house: House) -> None:
    house.homeca.must("crl", "--ladder", "4")

    told = house.homeca.must("verify", house.home / "crl/openvpn.pem")

    assert told.count("good: CRL") == 2
    assert told.count("to come: CRL") == 3


def test_a_published_ladder_is_good_until_its_last_rung_has_ended(house: House) -> None:
    house.homeca.must("crl", "--ladder", "3", "--step", "10d")

    for days in (15, 25, 39):
        of_intermediate = [
            turn for slug, turn in turns(house, later=timedelta(days=days))
            if slug == "intermediate-1"
        ]  # fmt: skip
        assert of_intermediate.count(Turn.NOW) == 1
    with pytest.raises(VerificationFailed) as refused:
        turns(house, later=timedelta(days=41))
    assert [one.rule for one in refused.value.violations] == ["dates.expired"]
    assert "O=Test,CN=Test Intermediate CA 1" in refused.value.problem


def test_a_file_with_what_the_new_list_took_the_place_of_is_good(house: House) -> None:
    house.homeca.must("revoke", house.file("nas.crt"))
    house.homeca.must("crl")

    assert ("intermediate-1", Turn.OVER) in turns(house)
    assert ("intermediate-1", Turn.NOW) in turns(house)


def test_a_ladder_that_lacks_a_revocation_is_named_once(house: House) -> None:
    house.homeca.must("crl", "--ladder", "4")
    house.homeca.must("revoke", house.file("nas.crt"))

    with pytest.raises(VerificationFailed) as refused:
        turns(house)

    assert [one.rule for one in refused.value.violations] == ["crl.missing"]
