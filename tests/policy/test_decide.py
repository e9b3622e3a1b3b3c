"""What is granted, what is refused and how to help it; what was asked in vain is listed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from ca.encoding.requests import Request, parse_request
from ca.encoding.spki import spki_sha256
from ca.errors import RequestRefused
from ca.interfaces.revocation import KeyBar, Reason
from ca.interfaces.values import ONE_SECOND, Serial
from ca.names.constraints import NameConstraints
from ca.names.distinguished import COMMON_NAME, COUNTRY, ORGANIZATION, DistinguishedName
from ca.names.general import parse_general_name
from ca.permitted import NamePolicy
from ca.policy.decision import decide
from ca.policy.terms import Grant, IssuerFacts, NotGranted, Wishes
from ca.profiles.profile import Profile
from ca.settings import read_settings
from tests.policy.worlds import (
    ANY,
    CONSTRAINED,
    DEVICE,
    FREE,
    ISSUER,
    NOW,
    SERVER,
    judge,
    never_barred,
    policy,
)
from tests.vectors.requests.build import (
    GOOD,
    HOST,
    asked,
    dns,
    extension,
    mail,
    name,
    request,
    san,
    spki,
)
from tests.vectors.requests.octets import bmp, integer, oid, seq, set_


def _refused(
    der: bytes,
    profile: Profile = ANY,
    *,
    issuer: IssuerFacts = FREE,
    names: NamePolicy | None = None,
    wishes: Wishes | None = None,
) -> list[str]:
    with pytest.raises(RequestRefused) as refused:
        judge(parse_request(der), profile, issuer=issuer, names=names, wishes=wishes)
    return [v.rule for v in refused.value.violations]


def _granted(
    der: bytes,
    profile: Profile = ANY,
    *,
    issuer: IssuerFacts = FREE,
    names: NamePolicy | None = None,
    wishes: Wishes | None = None,
) -> Grant:
    return judge(parse_request(der), profile, issuer=issuer, names=names, wishes=wishes)


PLAIN = request(parts=[GOOD])
TLS_SERVER = replace(SERVER, eku=("1.3.6.1.5.5.7.3.1",))


# ---------------------------------------------------------------- dates


def test_one_day_is_a_lifetime() -> None:
    assert _granted(PLAIN, wishes=Wishes(days=1)).validity.duration == timedelta(days=1)


def test_n_days_end_one_second_before_the_same_time() -> None:
    granted = _granted(PLAIN, wishes=Wishes(days=1))
    assert granted.validity.not_before == NOW
    assert granted.validity.not_after == NOW + timedelta(days=1) - ONE_SECOND


def test_without_a_wish_the_profile_says_how_long() -> None:
    assert _granted(PLAIN).validity.duration == timedelta(days=375)


@pytest.mark.parametrize(
    ("wishes", "rule"),
    [
        (Wishes(days=826), "validity.too-long"),
        (Wishes(not_after=NOW + timedelta(days=825)), "validity.too-long"),
        (Wishes(days=0), "validity.days"),
        (Wishes(days=-5), "validity.days"),
        (Wishes(days=10**9), "validity.days"),
        (Wishes(not_after=NOW), "validity.past"),
        (Wishes(not_after=NOW - timedelta(days=1)), "validity.past"),
        (Wishes(days=1, not_after=NOW + timedelta(days=1)), "validity.contradiction"),
    ],
)
def test_an_impossible_lifetime_is_refused(wishes: Wishes, rule: str) -> None:
    assert _refused(PLAIN, wishes=wishes) == [rule]


def test_the_longest_lifetime_counts_both_ends() -> None:
    end = NOW + timedelta(days=825) - ONE_SECOND
    assert _granted(PLAIN, wishes=Wishes(not_after=end)).validity.not_after == end


def test_a_certificate_never_outlives_its_issuer_and_is_not_shortened_in_silence() -> None:
    issuer = replace(FREE, not_after=NOW + timedelta(days=30) - ONE_SECOND)
    assert _refused(PLAIN, issuer=issuer) == ["validity.past-issuer"]
    with pytest.raises(RequestRefused) as refused:
        judge(parse_request(PLAIN), issuer=issuer)
    assert "--days 30" in refused.value.remedy
    assert "--not-after 2026-03-31T11:59:59Z" in refused.value.remedy
    assert _granted(PLAIN, issuer=issuer, wishes=Wishes(days=30)).validity.duration.days == 30
    assert _refused(PLAIN, issuer=issuer, wishes=Wishes(days=31)) == ["validity.past-issuer"]


def test_an_expired_issuer_cannot_certify_at_all() -> None:
    issuer = replace(FREE, not_after=NOW - timedelta(days=1))
    with pytest.raises(RequestRefused) as refused:
        judge(parse_request(PLAIN), issuer=issuer)
    assert "init-intermediate" in refused.value.remedy


def test_a_leap_day_is_a_day() -> None:
    before = datetime(2028, 2, 28, tzinfo=UTC)
    granted = decide(
        parse_request(PLAIN),
        ANY,
        issuer=replace(FREE, not_after=before + timedelta(days=100)),
        names=NamePolicy(),
        wishes=Wishes(days=2),
        now=before,
        barred=never_barred,
    )
    assert granted.validity.not_after == datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC)


# ---------------------------------------------------------------- keys


def test_the_key_of_an_issuer_is_refused() -> None:
    issuer = replace(FREE, issuer_spki_sha256=frozenset({spki_sha256(spki("ec-p256"))}))
    assert _refused(PLAIN, issuer=issuer) == ["key.of-an-issuer"]


@pytest.mark.parametrize(
    ("reason", "rule", "remedy"),
    [
        (Reason.KEY_COMPROMISE, "key.blocked", "make a new key"),
        (Reason.CA_COMPROMISE, "key.blocked", "make a new key"),
        (
            Reason.CERTIFICATE_HOLD,
            "key.on-hold",
            "`homeca revoke 07 --reason removeFromCRL`",
        ),
    ],
)
def test_a_key_revoked_for_compromise_or_on_hold_gets_no_certificate(
    reason: Reason, rule: str, remedy: str
) -> None:
    bars = {spki_sha256(spki("ec-p256")): KeyBar(reason=reason, serial=Serial(7))}
    with pytest.raises(RequestRefused) as refused:
        decide(
            parse_request(PLAIN),
            ANY,
            issuer=FREE,
            names=NamePolicy(),
            wishes=Wishes(),
            now=NOW,
            barred=bars.get,
        )
    assert [v.rule for v in refused.value.violations] == [rule]
    assert remedy in refused.value.remedy


@pytest.mark.parametrize(
    ("keys", "taken"),
    [
        (("rsa",), {"rsa-2048", "rsa-4096"}),
        (("ec",), {"ec-p256", "ec-p384", "ec-p521"}),
        (("ec-p384",), {"ec-p384"}),
        (("ed25519", "rsa-2048"), {"ed25519", "rsa-2048"}),
        ((), set()),
    ],
)
def test_the_profile_says_which_keys_it_takes(keys: tuple[str, ...], taken: set[str]) -> None:
    profile = replace(ANY, keys=keys)
    for kind in ("rsa-2048", "rsa-4096", "ec-p256", "ec-p384", "ec-p521", "ed25519"):
        der = request(parts=[GOOD], key=kind)
        if kind in taken:
            assert _granted(der, profile).spki.kind_name == kind
        else:
            assert _refused(der, profile) == ["key.not-in-profile"]


def test_a_profile_for_cas_is_only_for_ceremonies() -> None:
    assert _refused(PLAIN, replace(ANY, is_ca=True)) == ["profile.is-ca"]


# ---------------------------------------------------------------- subject


def test_the_policy_gives_the_order_and_drops_the_rest() -> None:
    der = request(name(("CN", "nas"), ("OU", "Keller"), ("O", "Home"), ("C", "DE")), [GOOD])
    profile = replace(ANY, policy=policy(C="optional", O="optional", CN="supplied"))
    granted = _granted(der, profile)
    assert str(granted.subject) == "C=DE,O=Home,CN=nas"
    assert (
        NotGranted(
            "organizationalUnitName", "Keller", "the policy of the profile 'any' does not list it"
        )
        in granted.not_granted
    )


@pytest.mark.parametrize(
    ("organisation", "verdict"),
    [("Zuhause", "granted"), ("zuhause", "subject.no-match"), (None, "subject.no-match")],
)
def test_match_compares_with_the_issuer_to_the_letter(
    organisation: str | None, verdict: str
) -> None:
    pairs = [("CN", "nas")] + ([("O", organisation)] if organisation else [])
    der = request(name(*pairs), [GOOD])
    profile = replace(ANY, policy=policy(O="match", CN="supplied"))
    if verdict == "granted":
        assert str(_granted(der, profile).subject) == "O=Zuhause,CN=nas"
    else:
        assert _refused(der, profile) == [verdict]


def test_match_against_an_issuer_without_that_attribute_is_refused() -> None:
    profile = replace(ANY, policy=policy(L="match", CN="supplied"))
    assert _refused(PLAIN, profile) == ["subject.no-match"]


def test_defaults_fill_in_and_fixed_values_replace() -> None:
    profile = replace(
        ANY,
        policy=policy(C="optional", O="supplied", CN="supplied"),
        subject_defaults=((COUNTRY, "DE"), (COMMON_NAME, "unnamed")),
        subject_fixed=((ORGANIZATION, "Home"),),
    )
    granted = _granted(request(name(("O", "Evil"), ("CN", "nas")), [GOOD]), profile)
    assert str(granted.subject) == "C=DE,O=Home,CN=nas"
    assert [(n.what, n.value) for n in granted.not_granted] == [("organizationName", "Evil")]


def test_what_the_operator_types_replaces_the_subject() -> None:
    wishes = Wishes(subject=DistinguishedName.parse("CN=alice-phone"))
    granted = _granted(request(name(("CN", "x\0y")), [GOOD]), wishes=wishes)
    assert str(granted.subject) == "CN=alice-phone"


@pytest.mark.parametrize(
    ("wishes", "rules"),
    [
        (Wishes(subject=DistinguishedName.parse("CN=phone")), {"san.illegal", "key.rsa-too-small"}),
        (
            Wishes(san=(parse_general_name("nas.home.arpa"),)),
            {"subject.illegal", "key.rsa-too-small"},
        ),
    ],
)
def test_what_the_operator_types_heals_no_other_part_of_the_request(
    wishes: Wishes, rules: set[str]
) -> None:
    der = request(name(("CN", "x\0y")), [asked(san(dns("a b")))], key="rsa-1024")
    assert rules <= set(_refused(der, wishes=wishes))


def test_a_subject_that_has_no_encoding_is_refused_before_anything_is_built() -> None:
    wishes = Wishes(subject=DistinguishedName.of(("CN", "nas"), ("serialNumber", "a_b")))
    profile = replace(ANY, policy=policy(CN="supplied", serialNumber="optional"))
    assert _refused(PLAIN, profile, wishes=wishes) == ["subject.unencodable"]


# ---------------------------------------------------------------- names


def test_typed_names_replace_those_asked_for_and_the_rest_is_listed() -> None:
    der = request(name(("CN", "nas")), [asked(san(HOST, dns("nas.lan"), dns("a b")))])
    wishes = Wishes(san=(parse_general_name("nas.lan"), parse_general_name("192.168.1.3")))
    granted = _granted(der, wishes=wishes)
    assert [str(n) for n in granted.names] == ["DNS:nas.lan", "IP:192.168.1.3"]
    assert [(n.what, n.value) for n in granted.not_granted] == [
        ("subjectAltName", "DNS:nas.home.arpa")
    ]


def test_a_typed_name_of_a_kind_the_profile_lacks_is_refused_not_dropped() -> None:
    wishes = Wishes(san=(parse_general_name("email:me@home.arpa"),))
    rules = _refused(PLAIN, SERVER, wishes=wishes)
    assert "san.kind-not-in-profile" in rules


def test_typed_names_go_through_the_same_checks() -> None:
    for typed in ("www.example.com", "8.8.8.8", "me@example.com", "https://example.com/"):
        assert _refused(PLAIN, wishes=Wishes(san=(parse_general_name(typed),))) == [
            "name.not-permitted"
        ]
    bad = Wishes(san=(parse_general_name("xn--zzzzzz99999.lan"),))
    assert _refused(PLAIN, wishes=bad) == ["san.illegal"]


def test_a_profile_that_needs_a_name_says_what_became_of_those_asked_for() -> None:
    der = request(name(("CN", "\N{PERSONAL COMPUTER}")), [asked(san(mail("me@home.arpa")))])

    with pytest.raises(RequestRefused) as refused:
        judge(parse_request(der), SERVER)

    (violation,) = refused.value.violations
    assert violation.rule == "san.required"
    assert "'email:me@home.arpa' is dropped (the profile 'server' takes dns, ip only)" in (
        violation.text
    )
    assert "the commonName '\N{PERSONAL COMPUTER}' is no host" in violation.text


def test_a_servers_common_name_is_to_be_written_as_its_san() -> None:
    with pytest.raises(RequestRefused) as refused:
        judge(parse_request(request(name(("CN", "münchen.home.arpa")))), TLS_SERVER)

    (violation,) = refused.value.violations
    assert violation.rule == "subject.common-name-spelling"
    written = "xn--mnchen-3ya.home.arpa"
    assert f"`--subject CN={written} --san DNS:{written}`" in violation.remedy


def test_a_common_name_that_is_a_san_in_other_letters_gives_way_to_it() -> None:
    asked_for = dns("xn--mnchen-3ya.home.arpa")
    der = request(name(("CN", "münchen.home.arpa")), [asked(san(asked_for))])

    granted = _granted(der, TLS_SERVER)

    assert granted.subject.values(COMMON_NAME) == ("xn--mnchen-3ya.home.arpa",)
    assert [one.value for one in granted.not_granted] == ["münchen.home.arpa"]


def test_a_common_name_in_capitals_is_its_san() -> None:
    der = request(name(("CN", "NAS.home.arpa")), [GOOD])

    assert _granted(der, TLS_SERVER).subject.values(COMMON_NAME) == ("NAS.home.arpa",)


def test_an_exception_permits_one_name_and_no_other() -> None:
    names = NamePolicy(exceptions=("DNS:vpn.example.org", "203.0.113.7", "email:me@example.org"))
    for permitted in ("vpn.example.org", "203.0.113.7", "me@example.org"):
        wishes = Wishes(san=(parse_general_name(permitted),))
        assert _granted(PLAIN, names=names, wishes=wishes).names == wishes.san
    for other in ("x.vpn.example.org", "example.org", "203.0.113.8", "you@example.org"):
        wishes = Wishes(san=(parse_general_name(other),))
        assert _refused(PLAIN, names=names, wishes=wishes) == ["name.not-permitted"]


@pytest.mark.parametrize(
    "text",
    [
        "vpn.example.org",
        "*.co.uk",
        "203.0.113.7",
        "2001:db8::7",
        "me@example.org",
        "UPN:me@example.org",
        "URI:https://nas.example.org/start?x=1",
    ],
)
def test_the_setting_that_the_remedy_names_permits_the_name(text: str) -> None:
    wishes = Wishes(san=(parse_general_name(text),))
    with pytest.raises(RequestRefused) as refused:
        judge(PLAIN, wishes=wishes)
    remedy = refused.value.violations[0].remedy
    setting = re.search(r"(exceptions = .*) under (\[names\]) in homeca.toml", remedy)
    assert setting is not None
    settings = read_settings(f"{setting[2]}\n{setting[1]}\n".encode())
    names = NamePolicy.from_settings(settings)
    assert _granted(PLAIN, names=names, wishes=wishes).names == wishes.san


def test_what_the_root_was_made_for_is_permitted_without_a_setting() -> None:
    names = NamePolicy(permitted_dns=(), permitted_ip=())
    assert _granted(PLAIN, issuer=CONSTRAINED, names=names).names
    assert _refused(PLAIN, names=names) == ["name.not-permitted"]


def test_a_network_the_root_was_made_for_is_permitted_without_an_exception() -> None:
    """Whoever has an address of the provider's may say so once, at the ceremony."""
    made_for = NameConstraints.parse(ip=["203.0.113.0/24", "2001:db8::/32"])
    issuer = replace(FREE, constraints=(made_for,))
    for inside in ("203.0.113.7", "2001:db8::7"):
        wishes = Wishes(san=(parse_general_name(inside),))
        assert _granted(PLAIN, issuer=issuer, wishes=wishes).names == wishes.san
        assert _refused(PLAIN, wishes=wishes) == ["name.not-permitted"]
    for outside in ("203.0.114.7", "2001:db9::7"):
        wishes = Wishes(san=(parse_general_name(outside),))
        rules = _refused(PLAIN, issuer=issuer, wishes=wishes)
        assert rules == ["name.not-permitted", "name.constrained"]


@pytest.mark.parametrize(
    ("typed", "is_permitted"),
    [
        ("http://nas.home.arpa/x", True),
        ("http://192.168.1.3:8080/x", True),
        ("urn:uuid:9f2b3bd4-4e0c-4f0e-8a50-63c7f6b90d3a", True),
        ("http://under_score.evil.example/x", False),
        ("http://under_score.home.arpa/x", False),
        ("http://nas..evil.example/x", False),
    ],
)
def test_a_uri_whose_host_nobody_can_judge_is_in_no_tree(typed: str, is_permitted: bool) -> None:
    wishes = Wishes(san=(parse_general_name(f"URI:{typed}"),))
    if is_permitted:
        assert _granted(PLAIN, wishes=wishes).names == wishes.san
    else:
        assert _refused(PLAIN, wishes=wishes) == ["name.not-permitted"]


def test_of_typed_names_too_as_many_are_taken_as_a_certificate_may_have() -> None:
    hundred = tuple(parse_general_name(f"h{number}.home.arpa") for number in range(100))
    assert _granted(PLAIN, wishes=Wishes(san=hundred)).names == hundred
    assert _granted(PLAIN, wishes=Wishes(san=(*hundred, hundred[0]))).names == hundred
    one_more = (*hundred, parse_general_name("h100.home.arpa"))
    assert _refused(PLAIN, wishes=Wishes(san=one_more)) == ["san.too-many"]


def test_an_exception_does_not_lift_the_issuers_constraints() -> None:
    names = NamePolicy(exceptions=("vpn.example.org",))
    wishes = Wishes(san=(parse_general_name("vpn.example.org"),))
    rules = _refused(PLAIN, issuer=CONSTRAINED, names=names, wishes=wishes)
    assert rules == ["name.constrained"]


@pytest.mark.parametrize(
    ("typed", "trees", "verdict"),
    [
        ("*.lan", (), "illegal"),
        ("*.home.arpa", ("home.arpa",), "name.wildcard-too-wide"),
        ("*.smith.home.arpa", ("home.arpa",), "granted"),
        ("*.example.org", ("example.org",), "granted"),
        ("*.duckdns.org", ("duckdns.org",), "name.wildcard-too-wide"),
        ("*.me.duckdns.org", ("me.duckdns.org",), "granted"),
        ("*.co.uk", ("co.uk",), "name.wildcard-too-wide"),
        ("*.com.au", ("au",), "name.wildcard-too-wide"),
    ],
)
def test_a_wildcard_never_covers_strangers(
    typed: str, trees: tuple[str, ...], verdict: str
) -> None:
    der = request(name(("CN", "nas")), [asked(san(dns(typed)))])
    names = NamePolicy(permitted_dns=trees)
    if verdict == "granted":
        assert [str(n) for n in _granted(der, names=names).names] == [f"DNS:{typed}"]
    else:
        assert _refused(der, names=names) == ["san.illegal" if verdict == "illegal" else verdict]


def test_a_wildcard_named_as_an_exception_is_the_owners_own_wish() -> None:
    der = request(name(("CN", "nas")), [asked(san(dns("*.home.arpa")))])
    assert _granted(der, names=NamePolicy(exceptions=("*.home.arpa",))).names


# ---------------------------------------------------------------- what is said


def test_every_extension_asked_for_is_listed_and_none_granted() -> None:
    der = request(
        parts=[
            asked(
                san(HOST, mail("me@home.arpa")),
                extension("2.5.29.37", seq(oid("1.3.6.1.5.5.7.3.1"))),
                extension("1.2.3.4", b"x"),
            )
        ]
    )
    granted = _granted(der, SERVER)
    assert [(n.what, n.value) for n in granted.not_granted] == [
        ("subjectAltName", "email:me@home.arpa"),
        ("extendedKeyUsage", "serverAuth"),
        ("1.2.3.4", "1 octets"),
    ]


def test_a_request_without_san_is_taken_with_its_weakness_named() -> None:
    granted = _granted(request(name(("CN", "alice-phone"))), DEVICE)
    assert ["no subjectAltName" in warning for warning in granted.warnings] == [True]


@pytest.mark.parametrize(("key", "warned"), [("rsa-2048", True), ("ec-p256", False)])
def test_an_rsa_key_of_a_windows_tpm_is_warned_about(key: str, warned: bool) -> None:
    provider = seq(
        oid("1.3.6.1.4.1.311.13.2.2"),
        set_(seq(integer(1), bmp("Microsoft Platform Crypto Provider"), b"\x03\x01\x00")),
    )
    granted = _granted(request(parts=[GOOD, provider], key=key))
    assert any("RSA-PSS" in warning for warning in granted.warnings) is warned


def test_a_renewal_without_request_octets_is_decided_like_any_other() -> None:
    before = parse_request(PLAIN)
    again = Request(
        der=b"", sha256=before.sha256, subject=before.subject, spki=before.spki, names=before.names
    )
    assert judge(again).names == before.names


def test_one_violation_speaks_for_itself_and_several_are_counted() -> None:
    with pytest.raises(RequestRefused) as one:
        judge(request(parts=[asked(san(dns("www.example.com")))]))
    assert "www.example.com" in one.value.problem
    with pytest.raises(RequestRefused) as two:
        judge(request(parts=[asked(san(dns("www.example.com"), dns("mail.example.com")))]))
    assert "2 reasons" in two.value.problem
    assert "mail.example.com" in two.value.remedy


def test_the_issuer_in_these_tests_is_what_it_seems() -> None:
    assert ISSUER.values("O") == ("Zuhause",)


def test_a_common_name_that_a_long_san_displaces_is_shown() -> None:
    host = f"{'a' * 60}.home.arpa"
    granted = _granted(request(name(("CN", "x")), [asked(san(dns(host)))]), SERVER)
    assert granted.subject.values(COMMON_NAME) == ()
    (left_out,) = granted.not_granted
    assert (left_out.what, left_out.value) == ("commonName", "x")
    assert "longer than the 64 characters of a commonName" in left_out.why


@pytest.mark.parametrize(
    ("typed", "option"),
    [
        ("www.example.com", "--permit-dns DOMAIN"),
        ("nas", "--permit-dns DOMAIN"),
        ("10.0.0.1", "--permit-ip NETWORK"),
    ],
)
def test_a_name_outside_the_constraints_needs_another_ca_in_another_home(
    typed: str, option: str
) -> None:
    constraints = CONSTRAINED.constraints
    found = NamePolicy().objections(parse_general_name(typed), constraints)
    (remedy,) = [one.remedy for one in found if one.rule == "name.constrained"]
    assert f"`homeca init-root --home DIR --name NAME {option}`" in remedy
