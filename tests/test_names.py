"""Names: what is accepted is harmless and reads back; what deceives is refused."""

from __future__ import annotations

import unicodedata
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ca.errors import IllegalName
from ca.names.constraints import NameConstraints
from ca.names.distinguished import (
    ATTRIBUTE_TYPES,
    Attribute,
    DistinguishedName,
    attribute_type,
    is_printable_string,
)
from ca.names.general import (
    DNSName,
    EmailName,
    IPName,
    OtherGeneralName,
    UPNName,
    URIName,
    kind_of,
    parse_general_name,
    parse_general_names,
)
from ca.names.showing import visible

LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
HOSTS = (
    st.lists(LABELS, min_size=1, max_size=5)
    .map(".".join)
    .filter(lambda host: not host.rpartition(".")[2].isdigit() and "xn--" not in host)
)
HARMLESS = st.text(
    st.characters(exclude_categories=["C", "Zl", "Zp", "Zs"], include_characters=" ")
)


# ---------------------------------------------------------------- visible


@given(st.text())
def test_visible_text_has_nothing_a_terminal_obeys_and_stays_as_it_is(text: str) -> None:
    shown = visible(text)
    assert shown.isprintable()
    assert not any(unicodedata.category(character).startswith("C") for character in shown)
    assert visible(shown) == shown


@given(HARMLESS)
def test_harmless_text_is_shown_unchanged(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31m", r"a\x1b[31m"),
        ("a\x9b31m", r"a\x9b31m"),
        ("a\nb", r"a\x0ab"),
        ("a\x00b", r"a\x00b"),
        ("a\u202eb", r"a\u{202e}b"),
        ("a\u200bb", r"a\u{200b}b"),
        ("a\u2028b", r"a\u{2028}b"),
        ("a\u00a0b", r"a\xa0b"),
        ("a\U000e0041", r"a\u{e0041}"),
        ("a\ud800", r"a\u{d800}"),
        ("Höhle 家 🏠", "Höhle 家 🏠"),
        ("HOME\\me", "HOME\\me"),
    ],
)
def test_what_would_deceive_is_shown_as_its_code(text: str, shown: str) -> None:
    assert visible(text) == shown


# ---------------------------------------------------------------- distinguished names

VALUES = st.text(
    st.characters(exclude_categories=["C", "Zl", "Zp", "Zs"], include_characters=" "),
    min_size=1,
    max_size=40,
).filter(lambda text: text.strip())


@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from(["CN", "O", "OU", "L", "ST", "1.2.3.4"]), VALUES),
            min_size=1,
            max_size=3,
        ),
        max_size=4,
    )
)
def test_a_distinguished_name_reads_back_from_its_text(rdns: list[list[tuple[str, str]]]) -> None:
    dn = DistinguishedName(
        tuple(
            tuple(Attribute(attribute_type(kind).oid, value) for kind, value in rdn) for rdn in rdns
        )
    )
    assert DistinguishedName.parse(str(dn)) == dn


def test_no_name_is_said_to_be_empty_and_not_to_end_in_a_dot() -> None:
    for text in ("", " "):
        with pytest.raises(IllegalName, match="is empty") as refused:
            parse_general_name(text)
        assert "dot" not in refused.value.remedy


@given(st.text(max_size=60))
def test_any_text_is_a_name_or_an_illegal_name(text: str) -> None:
    for parse in (DistinguishedName.parse, parse_general_name, DNSName.parse, IPName.parse,
                  EmailName.parse, URIName.parse, UPNName.parse):  # fmt: skip
        try:
            assert visible(str(parse(text))) == str(parse(text))
        except IllegalName as error:
            assert visible(error.problem) == error.problem  # noqa: PT017 - some texts are names


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("CN=nas,O=Home", [("CN", "nas"), ("O", "Home")]),
        ("/O=Home/CN=nas", [("O", "Home"), ("CN", "nas")]),
        ("CN = nas , O = Home", [("CN", "nas"), ("O", "Home")]),
        (r"CN=a\,b,O=c\+d", [("CN", "a,b"), ("O", "c+d")]),
        (r"CN=H\C3\B6hle", [("CN", "Höhle")]),
        ("commonName=nas,2.5.4.10=Home", [("CN", "nas"), ("O", "Home")]),
        ("cn=a=b", [("CN", "a=b")]),
        ("", []),
    ],
)
def test_a_distinguished_name_is_read_in_both_spellings(
    text: str, pairs: list[tuple[str, str]]
) -> None:
    assert DistinguishedName.parse(text) == DistinguishedName.of(*pairs)


@pytest.mark.parametrize(
    "text",
    ["nas", "CN", "CN=", "CN=  ", "XY=1", "CN=a\x00", "CN=a\u202e", "C=DEU", "C=1A", "C=ÄÖ",
     "CN=" + "x" * 65, r"CN=\FF", "=x", "CN=a,,O=b", "3.1.2=x", "2.5.4.03=x"],
)  # fmt: skip
def test_a_broken_distinguished_name_is_refused(text: str) -> None:
    with pytest.raises(IllegalName):
        DistinguishedName.parse(text)


def test_the_last_common_name_is_the_one_that_counts() -> None:
    assert DistinguishedName.of(("CN", "a"), ("O", "x"), ("CN", "b")).common_name == "b"
    assert DistinguishedName.of(("O", "x")).common_name is None


def test_every_attribute_type_is_found_by_each_of_its_names() -> None:
    for kind in ATTRIBUTE_TYPES:
        for name in (kind.oid, kind.name, kind.short, kind.short.lower(), kind.name.upper()):
            assert attribute_type(name) == kind
    oids = [kind.oid for kind in ATTRIBUTE_TYPES]
    assert len(oids) == len(set(oids))


@given(st.text(max_size=10))
def test_a_printable_string_is_ascii(text: str) -> None:
    assert not is_printable_string(text) or (text.isascii() and not set(text) & set("@*_&\n"))


# ---------------------------------------------------------------- general names


@given(HOSTS)
def test_a_host_name_reads_back_whatever_its_case(host: str) -> None:
    name = DNSName.parse(host.upper())
    assert name.value == host
    assert parse_general_name(str(name)) == name


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_an_address_reads_back(address: IPv4Address | IPv6Address) -> None:
    assert parse_general_name(str(IPName(address))) == IPName(address)
    assert parse_general_name(str(address)) == IPName(address)


@given(HOSTS, st.from_regex(r"[a-z0-9]{1,20}(\.[a-z0-9]{1,20})?", fullmatch=True))
def test_an_address_of_a_person_reads_back(host: str, local: str) -> None:
    assert parse_general_name(f"{local}@{host}") == EmailName(f"{local}@{host}")
    assert parse_general_name(f"UPN:{local}@{host}") == UPNName(f"{local}@{host}")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Höhle.home.arpa", DNSName("xn--hhle-5qa.home.arpa")),
        ("*.smith.lan", DNSName("*.smith.lan")),
        ("dns: nas.lan ", DNSName("nas.lan")),
        ("IP:fd00::1", IPName(IPv6Address("fd00::1"))),
        ("https://nas.lan/x", URIName("https://nas.lan/x")),
        ("URI:urn:uuid:1", URIName("urn:uuid:1")),
        ("me@Höhle.de", EmailName("me@xn--hhle-5qa.de")),
    ],
)
def test_what_people_type_is_read_by_its_look(text: str, name: object) -> None:
    assert parse_general_name(text) == name


@pytest.mark.parametrize(
    "text",
    ["", ".", "a.", ".a", "a..b", "a b", "a_b", "-a", "a-", "a" * 64, ".".join(["a" * 60] * 5),
     "192.168.1.1", "1.2.3", "a:443", "http://a", "a/b", "*", "*.lan", "a.*", "a*.lan", "*.*.lan",
     "a\x00b", "a\nb", "\u202ea", "a\u200bb.lan", "[::1]", "fd00::1"],
)  # fmt: skip
def test_what_is_no_dns_name_is_refused(text: str) -> None:
    with pytest.raises(IllegalName):
        DNSName.parse(text)


@pytest.mark.parametrize(
    "text",
    ["IP:fe80::1%eth0", "fe80::1%eth0", "fe80::1%$(id)", "IP:1.2.3", "IP:1.2.3.4/8",
     "email:@lan", "email:a@", "email:a b@lan",
     "URI:/x", "URI:http://a b/", 'URI:http://a/"', "UPN:me", "UPN:m\x1be@lan", "UPN:@lan"],
)  # fmt: skip
def test_what_is_no_name_of_its_kind_is_refused(text: str) -> None:
    with pytest.raises(IllegalName):
        parse_general_name(text)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (DNSName("a"), "dns"),
        (IPName(IPv4Address("1.2.3.4")), "ip"),
        (EmailName("a@b"), "email"),
        (URIName("urn:x"), "uri"),
        (UPNName("a@b"), "upn"),
        (OtherGeneralName("dirName", "CN=x"), "other"),
    ],
)
def test_each_kind_has_the_word_profiles_use(name: DNSName, kind: str) -> None:
    assert kind_of(name) == kind


# ---------------------------------------------------------------- constraints


@pytest.mark.parametrize(
    ("host", "tree", "inside"),
    [
        ("nas.example.lan", "example.lan", True),
        ("example.lan", "example.lan", True),
        ("notexample.lan", "example.lan", False),
        ("example.lan.evil", "example.lan", False),
        ("lan", "example.lan", False),
        ("nas.example.lan", "Example.LAN", True),
        ("nas.example.lan", ".example.lan", True),
        ("anything", "", True),
    ],
)
def test_a_tree_is_compared_label_by_label(host: str, tree: str, inside: bool) -> None:
    assert DNSName(host).is_within(tree) is inside


@given(HOSTS, HOSTS)
def test_being_inside_is_having_the_trees_labels_at_the_end(host: str, tree: str) -> None:
    labels, base = host.split("."), tree.split(".")
    assert DNSName(host).is_within(tree) is (labels[-len(base) :] == base)


def test_constraints_speak_of_their_own_kind_only() -> None:
    constraints = NameConstraints.parse(dns=["Home.Arpa"], ip=["192.168.0.0/16"])
    verdicts = {
        text: constraints.permits(parse_general_name(text))
        for text in ("nas.home.arpa", "*.nas.home.arpa", "nas.lan", "nas", "192.168.1.1",
                     "10.0.0.1", "me@example.com", "UPN:me@example.com", "https://example.com/")
    }  # fmt: skip
    assert [text for text, permitted in verdicts.items() if not permitted] == [
        "nas.lan",
        "nas",
        "10.0.0.1",
    ]


def test_what_is_excluded_is_not_permitted_again() -> None:
    constraints = NameConstraints(
        permitted_dns=("lan",),
        excluded_dns=("guest.lan",),
        excluded_ip=(ip_network("10.0.0.0/8"),),
        permitted_email=("me@lan", ".mail.lan", "lan"),
        excluded_email=("root@lan",),
    )
    permitted = ["nas.lan", "192.168.1.1", "me@lan", "you@x.mail.lan", "you@lan"]
    refused = ["x.guest.lan", "guest.lan", "10.1.1.1", "root@lan", "you@mail.lan", "you@x.lan"]
    assert [t for t in permitted + refused if constraints.permits(parse_general_name(t))] == (
        permitted
    )


@pytest.mark.parametrize("network", ["192.168.1.1/16", "lan", "", "1.2.3.4/33", "fd00::1/8"])
def test_a_network_has_its_host_bits_zero(network: str) -> None:
    with pytest.raises(IllegalName):
        NameConstraints.parse(ip=[network])


@pytest.mark.parametrize(
    ("typed", "problem", "remedy"),
    [
        ("192.168.1.300", "'192.168.1.300' is no IP address", "write it like 192.168.1.10"),
        ("DNS:192.168.1", "'192.168.1' is no IP address", "write it like 192.168.1.10"),
        ("DNS:10.0.0.7", "'10.0.0.7' is an IP address, not a DNS name", "IP:10.0.0.7"),
        ("nas.7", "'nas.7' is not a DNS name: it ends in a number", "its domain"),
    ],
)
def test_what_ends_in_a_number_is_said_to_be_what_it_is(
    typed: str, problem: str, remedy: str
) -> None:
    with pytest.raises(IllegalName) as refused:
        parse_general_name(typed)
    assert refused.value.problem == problem
    assert remedy in refused.value.remedy


def test_of_several_names_each_bad_one_is_named() -> None:
    assert [str(one) for one in parse_general_names(["nas.lan", "10.0.0.7", "DNS:nas.lan"])] == [
        "DNS:nas.lan",
        "IP:10.0.0.7",
    ]
    with pytest.raises(IllegalName, match=r"^'1\.2\.3' is no IP address$"):
        parse_general_names(["nas.lan", "1.2.3", "1.2.3"])
    with pytest.raises(IllegalName) as refused:
        parse_general_names(["1.2.3", "nas.lan", "email:nobody"])
    assert "'1.2.3' is no IP address; 'nobody' is not an e-mail address" in refused.value.problem
    assert refused.value.remedy == "write it like 192.168.1.10; write it like me@home.arpa"
