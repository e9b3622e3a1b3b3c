"""`profile check`, `profile diff` and `profile new`, without the commands."""

from __future__ import annotations

import pytest

from ca.errors import ProfileMalformed
from ca.profiles.checking import check_text, diff_profiles, new_from
from ca.profiles.library import Library, template_of
from ca.profiles.render import RenderContext


def test_a_fault_in_any_branch_is_found_at_its_line() -> None:
    text = Library().template("vpn-server").text
    text = text.replace("crlDistributionPoints = URI:", "crlDistributionPoint = URI:")
    text = text.replace("@alt_names", "@alt_name")
    found = check_text(text, "mine", "mine.cnf.j2")
    lines = text.splitlines()
    for word in ("crlDistributionPoint:", "subjectAltName"):
        number = next(n for n, line in enumerate(lines, 1) if word.rstrip(":") in line)
        assert any(v.text.startswith(f"mine.cnf.j2:{number}: {word}") for v in found)
    assert len(found) == 2


def test_a_ca_in_one_branch_only_is_found() -> None:
    text = Library().template("vpn-client").text
    text = text.replace(
        "critical, CA:FALSE", 'critical, {{ "CA:TRUE" if key == "ed25519" else "CA:FALSE" }}'
    )
    assert {v.rule for v in check_text(text, "mine", "mine.cnf.j2")} == {"profile.ca-true"}


def test_faults_come_in_the_order_of_the_file() -> None:
    text = Library().template("vpn-client").text.replace("max_days", "max_dayz")
    text = text.replace("default_days", "default_dayz").replace("clientAuth", "clientAut")
    numbers = [int(v.text.split(":")[1]) for v in check_text(text, "mine", "x.cnf.j2")]
    assert numbers == sorted(numbers)
    assert len(numbers) >= 3


@pytest.mark.parametrize("name", ["a b", "../x", "", "x" * 65])
def test_a_name_that_is_none_is_a_fault(name: str) -> None:
    text = Library().template("vpn-client").text
    assert [v.rule for v in check_text(text, name, "x")] == ["profile.name"]


def test_a_profile_of_ones_own_begins_as_a_sound_copy() -> None:
    library = Library()
    for name in library.names():
        if name.endswith("-ca"):
            continue
        text = new_from(library.template(name), "mine")
        assert check_text(text, "mine", "mine.cnf.j2") == ()


@pytest.mark.parametrize(("name", "origin"), [("mine", "root-ca"), ("a/b", "vpn-client")])
def test_some_profiles_cannot_begin(name: str, origin: str) -> None:
    with pytest.raises(ProfileMalformed):
        new_from(Library().template(origin), name)


def test_a_profile_differs_from_itself_in_nothing() -> None:
    template = Library().template("vpn-client")
    spaced = template_of(f"# more\n\n{template.text}\n", name="mine", source="x")
    assert diff_profiles(template, spaced) == ()


def test_a_difference_shows_in_the_situation_where_it_matters() -> None:
    library = Library()
    one, other = library.template("tls-server"), library.template("vpn-server")
    lines = diff_profiles(one, other, RenderContext())
    assert "-default_ca = tls_server" in lines
    assert "+default_ca = vpn_server" in lines
    client = library.template("vpn-client")
    usage = "-keyUsage = critical, digitalSignature, keyEncipherment"
    assert usage in diff_profiles(other, client, RenderContext(key="rsa"))
    assert usage not in diff_profiles(other, client, RenderContext(key="ec"))
