"""`homeca profile`: what it lists, renders, checks, compares and imports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import run
from tests.house import House
from tests.interop.homeca import Homeca
from tests.interop.programs import must

GUIDE = Path(__file__).parent.parent / "vectors" / "profiles" / "guide-root.cnf"
OPENSSL_CNF = """
[ ca ]
default_ca = CA_default
[ CA_default ]
default_days = 375
default_md = sha256
policy = policy_strict
[ policy_strict ]
commonName = supplied
[ policy_loose ]
commonName = optional
[ v3_ca ]
basicConstraints = critical, CA:true
[ usr_cert ]
basicConstraints = CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


def test_list_says_of_each_what_it_is_for_how_long_and_for_whom(common_house: House) -> None:
    shown = json.loads(run(common_house, "profile", "list", "--json").text)["profiles"]

    by_name = {one["name"]: one for one in shown}
    assert by_name["vpn-client"]["default_days"] == 375
    assert "openvpn" in by_name["vpn-client"]["consumers"]
    assert all(one["purpose"] for one in shown)


def test_show_says_what_a_profile_decides(common_house: House) -> None:
    text = run(common_house, "profile", "show", "vpn-client").text

    assert "TLS client" in text
    assert "at most 825" in text


def test_rendered_text_makes_the_same_extensions_with_openssl(
    common_house: House, tmp_path: Path
) -> None:
    """The request as `sign` judges it, and what `openssl x509 -req` makes of the text."""
    cnf, made = tmp_path / "nas.cnf", tmp_path / "nas.pem"
    request = common_house.file("nas.csr")
    cnf.write_bytes(run(common_house, "profile", "render", "tls-server", "--request", request).out)
    must(
        "openssl", "x509", "-req", "-in", request, "-signkey", common_house.file("nas.key"),
        "-extfile", cnf, "-extensions", "extensions", "-out", made,
    )  # fmt: skip

    def extensions(path: Path) -> str:
        text = must("openssl", "x509", "-in", path, "-noout", "-ext",
                    "basicConstraints,keyUsage,extendedKeyUsage,subjectAltName,"
                    "crlDistributionPoints,subjectKeyIdentifier")  # fmt: skip
        return text

    assert extensions(made) == extensions(common_house.file("nas.crt"))
    assert "DNS:nas.home.arpa" in extensions(made)


def test_render_refuses_a_request_as_sign_would_and_signs_nothing(house: House) -> None:
    before = (house.home / "homeca.db").read_bytes()

    said = run(
        house, "profile", "render", "wifi-server", "--request", house.file("brief.csr"),
        "--issuer", "nobody",
    )  # fmt: skip

    assert said.status != 0
    assert said.out == b""
    assert (house.home / "homeca.db").read_bytes() == before


def test_render_names_the_issuers_urls(common_house: House) -> None:
    text = run(common_house, "profile", "render", "tls-server").text

    assert "http://ca.home.arpa/intermediate-1.crl" in text


def test_render_works_before_there_is_a_ca(common_house: House, tmp_path: Path) -> None:
    said = run(common_house, "profile", "render", "tls-server", "--home", tmp_path / "none")

    assert said.status == 0
    assert "extendedKeyUsage = serverAuth" in said.text


@pytest.mark.parametrize("key", ["ec", "rsa"])
def test_key_encipherment_goes_with_rsa_keys_only(common_house: House, key: str) -> None:
    text = run(common_house, "profile", "render", "tls-server", "--key", key).text

    assert ("keyEncipherment" in text) is (key == "rsa")


def test_check_names_line_key_and_nearest_known_key(common_house: House, tmp_path: Path) -> None:
    path = tmp_path / "mine.cnf"
    path.write_text(OPENSSL_CNF.replace("default_days", "default_dayz") + "\n[ homeca ]\nsan = x\n")

    said = run(common_house, "profile", "check", path)

    assert said.status == 3
    assert "default_dayz" in said.text
    assert "default_days" in said.text.replace("default_dayz", "")


def test_check_refuses_a_leaf_that_is_a_ca(house: House) -> None:
    house.homeca.must("profile", "new", "evil", "--from", "vpn-client")
    path = house.home / "profiles/evil.cnf.j2"
    path.write_text(path.read_text().replace("CA:FALSE", "CA:TRUE"))

    said = run(house, "profile", "check", "evil")

    assert said.status == 3
    assert run(house, "sign", house.file("nas.csr"), "--profile", "evil", "--force").status == 3


def test_check_of_every_profile_that_ships_is_good(common_house: House) -> None:
    listed = json.loads(run(common_house, "profile", "list", "--json").text)["profiles"]

    said = run(common_house, "profile", "check", *(one["name"] for one in listed))

    assert said.status == 0
    assert said.text.count(": good") == len(listed)


def test_a_new_profile_is_a_private_file_that_sign_takes(house: House) -> None:
    path = Path(house.homeca.must("profile", "new", "my-phone").strip())

    assert path.stat().st_mode & 0o777 == 0o600
    house.homeca.must("sign", house.file("brief.csr"), "--profile", "my-phone", "--force")
    assert run(house, "check").status == 0


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("vpn-client", "vpn-client"),
        ("../evil", "vpn-client"),
        ("a/b", "vpn-client"),
        ("", "vpn-client"),
        ("mine", "root-ca"),
        ("mine", "nothing"),
    ],
)
def test_a_new_profile_with_an_impossible_name_or_source_is_refused(
    house: House, name: str, source: str
) -> None:
    said = run(house, "profile", "new", name, "--from", source)

    assert said.status in (1, 2, 3)
    assert list((house.home / "profiles").iterdir()) == []


def test_a_new_profile_replaces_none_unless_forced(house: House) -> None:
    path = Path(house.homeca.must("profile", "new", "mine").strip())
    path.write_text("# changed\n")

    assert run(house, "profile", "new", "mine").status == 2
    assert path.read_text() == "# changed\n"
    assert run(house, "profile", "new", "mine", "--force").status == 0
    assert path.read_text() != "# changed\n"


def test_diff_shows_lines_and_only_those_that_differ(common_house: House) -> None:
    text = run(common_house, "profile", "diff", "vpn-client", "tls-client", "--key", "ec").text

    assert "-default_ca = vpn_client" in text
    assert "extendedKeyUsage" not in [line[1:] for line in text.splitlines() if line[:1] in "+-"]


def test_import_makes_profiles_that_sign_takes_and_names_what_it_left(house: House) -> None:
    path = house.place / "openssl.cnf"
    path.write_text(OPENSSL_CNF)

    said = run(house, "profile", "import", path)

    assert said.status == 0
    assert "usr_cert" in said.text
    assert "[v3_ca]" in said.messages
    house.homeca.must(
        "sign", house.file("laptop.csr"), "--profile", "usr_cert", "--out", house.file("l.crt")
    )
    text = must("openssl", "x509", "-in", house.file("l.crt"), "-noout", "-ext", "extendedKeyUsage")
    assert "TLS Web Client Authentication" in text
    assert run(house, "check").status == 0


def test_the_guides_file_signs_under_both_its_policies(tmp_path: Path) -> None:
    """policy_strict asks for the country and state of the CA: the CA has them by --subject."""
    homeca = Homeca(tmp_path / "home")
    homeca.must(
        "init-root", "--key", "ec-p256", "--subject", "/C=GB/ST=England/O=Alice Ltd",
    )  # fmt: skip
    homeca.must("profile", "import", GUIDE)

    def signed(stem: str, subject: str, profile: str) -> tuple[int, str]:
        request, made = tmp_path / f"{stem}.csr", tmp_path / f"{stem}.crt"
        must("openssl", "req", "-new", "-noenc", "-newkey", "rsa:2048", "-subj", subject,
             "-keyout", tmp_path / f"{stem}.key", "-out", request)  # fmt: skip
        done = homeca.run("sign", request, "--profile", profile, "--out", made)
        if done.returncode != 0:
            return done.returncode, done.stderr
        told = must("openssl", "x509", "-in", made, "-noout", "-subject", "-issuer",
                    "-nameopt", "RFC2253,-dn_rev",
                    "-ext", "crlDistributionPoints,nsComment")  # fmt: skip
        return 0, told

    bob = "/C=GB/ST=England/L=London/O=Alice Ltd/CN=bob"
    status, told = signed("bob", bob, "usr_cert")
    assert status == 0, told
    assert "subject=C=GB,ST=England,O=Alice Ltd,CN=bob\n" in told
    assert "issuer=C=GB,ST=England,O=Alice Ltd,CN=Alice Ltd Root CA\n" in told
    assert "OpenSSL Generated Client Certificate" in told
    assert "CRL Distribution" not in told
    status, told = signed("eve", "/C=GB/ST=England/O=alice ltd/CN=eve", "usr_cert")
    assert (status, "'alice ltd' and must be 'Alice Ltd'" in told) == (3, True), told
    status, told = signed("www", "/C=DE/L=Bonn/CN=www.home.arpa", "server_cert-policy_loose")
    assert status == 0, told
    assert "subject=C=DE,L=Bonn,CN=www.home.arpa\n" in told


def test_a_strict_policy_at_a_ca_without_a_country_says_what_would_help(house: House) -> None:
    house.homeca.must("profile", "import", GUIDE)

    said = run(house, "sign", house.file("nas.csr"), "--profile", "usr_cert", "--force")

    assert said.status == 3
    assert "matches countryName against the issuer, which has none" in said.messages
    assert "`homeca init-root --subject C=…`" in said.messages


def test_import_dry_run_writes_nothing(house: House) -> None:
    path = house.place / "openssl.cnf"
    path.write_text(OPENSSL_CNF)

    said = run(house, "profile", "import", path, "--dry-run", "--json")

    assert [one["name"] for one in json.loads(said.text)["profiles"]]
    assert list((house.home / "profiles").iterdir()) == []


def test_without_a_request_it_is_said_that_the_names_are_missing(common_house: House) -> None:
    said = run(common_house, "profile", "render", "tls-server")

    assert "@alt_names" in said.text
    assert "[ alt_names ] is left out: --request FILE" in said.messages
    nameless = run(common_house, "profile", "render", "vpn-client", "--names", "")
    assert nameless.messages == ""
