"""Every kit as it stands in tests/kits/golden, and what holds for all of them."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest

from ca.errors import KitRefused
from ca.kits.building import BUILDERS
from ca.kits.kinds import KINDS, SERVER, Need
from tests.kits.kitfacts import GOLDEN, VARIANTS, facts, made, text

COUNT = 86
LINES, COLUMNS = 60, 80
#: What is typed stays on its line, be it long.
COMMAND = " " * 6


def golden(variant: str) -> dict[str, bytes]:
    place = GOLDEN / variant
    return {
        path.relative_to(place).as_posix(): path.read_bytes()
        for path in place.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_kit_is_its_golden_files_octet_for_octet(variant: str) -> None:
    kind, more = VARIANTS[variant]
    assert {one.name: one.octets for one in made(kind, **more).files} == golden(variant), (
        "look at the difference, then run `python -m tests.kits`"
    )


def test_no_golden_file_is_left_over() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == set(VARIANTS)
    assert len([path for path in GOLDEN.rglob("*") if path.is_file()]) == COUNT


def test_every_kind_can_be_built() -> None:
    assert set(BUILDERS) == set(KINDS) == {kind for kind, _ in VARIANTS.values()}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_kit_has_one_page_to_read(variant: str) -> None:
    kind, more = VARIANTS[variant]
    page = text(made(kind, **more), "README.txt")
    lines = page.splitlines()
    assert len(lines) <= LINES
    assert max(len(line) for line in lines if not line.startswith(COMMAND)) <= COLUMNS
    assert page.replace("\n", "").isprintable()
    assert "{{" not in page
    assert "\n\n\n" not in page


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_page_names_every_file_a_person_touches(variant: str) -> None:
    kind, more = VARIANTS[variant]
    kit = made(kind, **more)
    page = text(kit, "README.txt")
    for one in kit.files[1:]:
        name = Path(one.name).name
        # what a script or a configuration names itself needs no word
        others = "".join(f.octets.decode("latin-1") for f in kit.files if f is not one)
        told = any(word in page for word in (name, f".{name.rpartition('.')[2]}", "folder swanctl"))
        assert told or name in others, one.name


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_kit_shows_the_fingerprint_to_compare(variant: str) -> None:
    kind, more = VARIANTS[variant]
    page = text(made(kind, **more), "README.txt")
    shown = "".join(re.findall(r"^    ((?:[0-9A-F]{2}:){15}[0-9A-F]{2})$", page, re.MULTILINE))
    assert shown.replace(":", "") == facts(kind, **more).fingerprint.replace(":", "")


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_kit_holds_no_private_key_but_a_pkcs12_that_was_given(variant: str) -> None:
    kind, more = VARIANTS[variant]
    given = facts(kind, **more).pkcs12
    for one in made(kind, **more).files:
        assert b"PRIVATE KEY-----" not in one.octets
        if one.name.endswith(".p12"):
            assert one.octets == given
            assert one.mode == 0o600


@pytest.mark.parametrize("kind", KINDS)
def test_what_holds_a_key_is_for_its_owner_alone(kind: str) -> None:
    if KINDS[kind].pkcs12 == "":
        with pytest.raises(KitRefused, match="takes no key"):
            made(kind, pkcs12=b"<PKCS#12>")
        return
    secret = b"\x05secret\x05"
    holders = [
        one
        for one in made(kind, pkcs12=secret).files
        if secret in one.octets or base64.b64encode(secret) in b"".join(one.octets.split())
    ]
    assert holders
    assert {one.mode for one in holders} == {0o600}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].dials])
def test_a_device_that_dials_must_be_told_whom(kind: str) -> None:
    with pytest.raises(KitRefused, match="needs the host"):
        made(kind, servers=())


@pytest.mark.parametrize("kind", [k for k in KINDS if KINDS[k].need is Need.CERTIFICATE])
def test_a_certificate_for_something_else_makes_no_kit(kind: str) -> None:
    other = "iphone" if KINDS[kind].purpose == SERVER else "openvpn-server"
    with pytest.raises(KitRefused, match="not meant for"):
        made(kind, certificate=facts(other).certificate)


@pytest.mark.parametrize("kind", ["iphone", "mac"])
def test_a_phone_that_makes_no_request_needs_its_key(kind: str) -> None:
    with pytest.raises(KitRefused, match="needs the device's key"):
        made(kind, pkcs12=None)


def test_a_command_on_a_page_takes_a_hostile_name_as_one_word() -> None:
    page = text(made("openvpn-server", name="nas; touch owned"), "README.txt")
    assert "homeca kit 'nas; touch owned' --for openvpn-server --force" in page
