"""Making requests: what is kept, what is refused before anything exists."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import pytest
from msgspec import structs

from ca.algorithms import EC_P256, EC_P384, ED25519, RSA_2048, RSA_4096, KeyKind
from ca.encoding.containers import read_request
from ca.encoding.inf_request import parse_inf
from ca.encoding.requests import Request, parse_request
from ca.encoding.tsskey import TssKey
from ca.errors import (
    ConfigurationError,
    DeviceRefused,
    HomeNotPrivate,
    KeyKindUnsupported,
    NotFound,
    PinWrong,
    RequestRefused,
    TpmStateMissing,
    TpmSwapped,
    UsageError,
)
from ca.interfaces.values import Secret
from ca.names.distinguished import DistinguishedName
from ca.names.general import parse_general_name
from ca.services.device.home import KEY, REQUEST, DeviceRequest, Standing, name_from
from ca.services.device.requesting import Device, Plan, has_one_hash, key_of, new, remove, renew
from tests.device.conftest import PIN, open_at


def plan(name: str | None = None, *, kind: KeyKind = EC_P256, pin: Secret | None = None) -> Plan:
    return Plan(
        name=name,
        subject=DistinguishedName.parse("CN=Alice's laptop"),
        names=(parse_general_name("alice.home.arpa"), parse_general_name("192.168.1.7")),
        kind=kind,
        machine=False,
        pin=pin,
    )


def request_of(made: DeviceRequest) -> Request:
    return parse_request(read_request(made.path(REQUEST).read_bytes()))


@pytest.mark.parametrize("kind", [EC_P256, EC_P384, RSA_2048], ids=str)
def test_the_request_is_one_that_a_ca_would_sign(device: Device, kind: KeyKind) -> None:
    made = new(plan(kind=kind), device)
    read = request_of(made)
    assert (read.violations, read.notes) == ((), ())
    assert str(read.subject) == "CN=Alice's laptop"
    assert [str(name) for name in read.names] == ["DNS:alice.home.arpa", "IP:192.168.1.7"]
    assert read.spki is not None
    assert read.spki.kind_name == kind.name
    assert read.spki.der == made.spki


def test_the_request_is_called_after_its_subject(device: Device) -> None:
    assert new(plan(), device).name == "alice-s-laptop"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("../../etc/passwd", "etc-passwd"),
        ("nas.home.arpa", "nas.home.arpa"),
        ("..", "device"),
        ("Bücherei\n", "b-cherei"),
        ("x" * 200, "x" * 63),
    ],
)
def test_a_name_made_of_a_subject_is_never_a_path(text: str, name: str) -> None:
    assert name_from(text) == name


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "-x", "current;", "x" * 64, "tpm.json"])
def test_a_name_that_would_be_unsafe_is_refused(device: Device, home: Path, name: str) -> None:
    with pytest.raises(DeviceRefused, match="cannot be the name"):
        new(plan(name), device)
    assert not home.exists()


def test_key_and_directories_are_closed_to_others(device: Device, home: Path) -> None:
    made = new(plan(), device)
    modes = {
        path.relative_to(home).as_posix(): stat.S_IMODE(path.stat().st_mode)
        for path in (home, home / "device", made.directory, made.path(KEY), made.path(REQUEST))
    }
    assert modes == {
        ".": 0o700,
        "device": 0o700,
        "device/alice-s-laptop/1": 0o700,
        "device/alice-s-laptop/1/key.tss": 0o600,
        "device/alice-s-laptop/1/request.csr": 0o644,
    }


def test_the_key_takes_any_scheme_that_tls_asks_for(device: Device) -> None:
    from ca.encoding.tpm import PublicArea

    made = new(plan(kind=RSA_2048), device)
    area = PublicArea.from_tpm2b(TssKey.from_pem(made.path(KEY).read_bytes()).public)
    assert area.scheme is None


def test_a_key_of_one_hash_has_it_fixed_and_so_has_the_one_after_it(device: Device) -> None:
    first = new(structs.replace(plan(), one_hash=True), device)
    second = renew(first.name, device, new_key=True)
    assert second.spki != first.spki
    assert [has_one_hash(key_of(one)) for one in (first, second)] == [True, True]


@pytest.mark.parametrize("kind", [RSA_4096, ED25519], ids=str)
def test_a_kind_the_tpm_cannot_make_is_refused_before_anything_exists(
    device: Device, home: Path, kind: KeyKind
) -> None:
    with pytest.raises(KeyKindUnsupported) as caught:
        new(plan(kind=kind), device)
    assert "nothing was created" in caught.value.problem
    assert "ec-p256, ec-p384, ec-p521, rsa-2048, rsa-3072" in caught.value.remedy
    assert not home.exists()


def test_a_kind_refused_later_changes_nothing_of_the_home(device: Device, home: Path) -> None:
    new(plan(), device)
    before = {path: path.read_bytes() for path in sorted(home.rglob("*.*")) if path.is_file()}
    with pytest.raises(KeyKindUnsupported):
        new(plan("other", kind=RSA_4096), device)
    after = {path: path.read_bytes() for path in sorted(home.rglob("*.*")) if path.is_file()}
    volatile = home / "tpm"
    assert {k: v for k, v in before.items() if volatile not in k.parents} == {
        k: v for k, v in after.items() if volatile not in k.parents
    }


def test_a_request_that_no_ca_would_sign_leaves_no_key_behind(device: Device) -> None:
    many = tuple(parse_general_name(f"h{number}.lan") for number in range(101))
    with pytest.raises(RequestRefused):
        new(structs.replace(plan(), names=many), device)
    assert device.home.all() == ()


def test_a_request_that_names_nobody_is_refused(device: Device, home: Path) -> None:
    with pytest.raises(UsageError, match="names nobody"):
        new(structs.replace(plan("x"), subject=DistinguishedName(), names=()), device)
    assert not home.exists()


def test_a_name_without_subject_makes_the_san_critical(device: Device) -> None:
    from cryptography import x509

    made = new(structs.replace(plan("x"), subject=DistinguishedName()), device)
    request = x509.load_pem_x509_csr(made.path(REQUEST).read_bytes())
    assert request.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical


def test_a_second_request_of_one_name_is_refused(device: Device) -> None:
    first = new(plan("laptop"), device)
    with pytest.raises(DeviceRefused, match="'laptop' already"):
        new(plan("laptop"), device)
    assert device.home.all() == (first,)


def test_the_tpm_is_recorded_with_its_kind_before_the_first_key(device: Device) -> None:
    new(plan(), device)
    custody = device.home.custody()
    assert custody is not None
    assert (custody.kind, custody.tcti) == ("software-tpm", "embedded")
    assert custody.srk_public


def test_another_tpm_in_its_place_is_noticed(device: Device, home: Path, tmp_path: Path) -> None:
    new(plan("one"), device)
    other = open_at(tmp_path / "other")
    new(plan("one"), other)
    shutil.rmtree(home / "tpm")
    shutil.copytree(tmp_path / "other/tpm", home / "tpm")
    with pytest.raises(TpmSwapped):
        new(plan("two"), device)
    with pytest.raises(TpmSwapped):
        renew("one", device, new_key=False)


def test_a_lost_software_tpm_is_not_replaced_in_silence(device: Device, home: Path) -> None:
    new(plan("one"), device)
    shutil.rmtree(home / "tpm")
    with pytest.raises(TpmStateMissing):
        new(plan("two"), device)


def test_a_home_open_to_others_is_refused(device: Device, home: Path) -> None:
    new(plan("one"), device)
    home.chmod(0o755)
    with pytest.raises(HomeNotPrivate):
        new(plan("two"), device)


def test_a_pin_protects_the_key(device: Device) -> None:
    made = new(plan(pin=PIN), device)
    pem = made.path(KEY).read_bytes()
    assert made.has_pin
    assert not TssKey.from_pem(pem).empty_auth
    tpm = device.tpm(device.home.custody())
    wrong = tpm.open(pem, spki=made.spki, pin=Secret(b"other"))
    with pytest.raises(PinWrong), wrong as signer:
        signer.sign(b"x")
    with tpm.open(pem, spki=made.spki, pin=PIN) as signer:
        assert signer.sign(b"x")


def test_no_file_of_the_home_holds_the_pin(device: Device, home: Path) -> None:
    new(plan(pin=Secret(b"a-pin-to-find")), device)
    files = [path for path in home.rglob("*") if path.is_file() and "tpm" not in path.parts]
    assert files
    assert not any(b"a-pin-to-find" in path.read_bytes() for path in files)


# ---------------------------------------------------------------- renewal, removal


@pytest.mark.parametrize("new_key", [False, True])
def test_a_renewal_asks_for_the_same_and_keeps_or_changes_the_key(
    device: Device, new_key: bool
) -> None:
    first = new(plan("laptop", pin=PIN), device)
    again = renew("laptop", device, new_key=new_key, pin=PIN if new_key else None)
    assert (again.generation, again.standing, again.has_pin) == (2, Standing.PENDING, True)
    assert (again.spki == first.spki) is not new_key
    old, fresh = request_of(first), request_of(again)
    assert (old.subject, old.names) == (fresh.subject, fresh.names)
    assert fresh.violations == ()


def test_a_renewal_may_change_the_kind_of_the_key(device: Device) -> None:
    new(plan("laptop", kind=RSA_2048), device)
    again = renew("laptop", device, new_key=True, kind=EC_P384)
    assert again.kind == "ec-p384"
    read = request_of(again).spki
    assert read is not None
    assert read.kind_name == "ec-p384"


def test_a_renewal_that_the_tpm_refuses_leaves_the_request_as_it_was(device: Device) -> None:
    first = new(plan("laptop"), device)
    with pytest.raises(KeyKindUnsupported):
        renew("laptop", device, new_key=True, kind=RSA_4096)
    assert device.home.all() == (first,)


def test_an_existing_key_can_ask_for_other_names(device: Device) -> None:
    first = new(plan("laptop"), device)
    inf = b'[NewRequest]\nSubject="CN=new"\nUseExistingKeySet=TRUE\nKeyContainer=laptop\n'
    read = parse_inf(inf, source="x.inf")
    other = structs.replace(plan(), subject=read.subject, names=())
    again = renew(read.existing_key or "", device, new_key=False, plan=other)
    assert again.spki == first.spki
    assert str(request_of(again).subject) == "CN=new"


@pytest.mark.parametrize("name", ["nobody", "../x", "current"])
def test_what_is_not_there_is_not_renewed_or_removed(device: Device, name: str) -> None:
    with pytest.raises(NotFound):
        renew(name, device, new_key=False)
    with pytest.raises(NotFound):
        remove(name, device)


def test_removing_takes_the_key_blob_and_only_this_request(device: Device, home: Path) -> None:
    new(plan("one"), device)
    two = new(plan("two"), device)
    remove("one", device)
    assert device.home.all() == (two,)
    assert sorted(path.name for path in (home / "device").iterdir()) == ["tpm.json", "two"]


def test_with_the_last_request_goes_the_pin_to_the_tpm(device: Device, home: Path) -> None:
    new(plan("one"), device)
    remove("one", device)
    shutil.rmtree(home / "tpm")
    assert new(plan("one"), device).generation == 1


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b'{"schema": 2}', b'{"schema": 1}', b"[" * 100_000, b"\xff"],
)
def test_a_damaged_state_file_is_an_error_with_its_path(device: Device, damage: bytes) -> None:
    made = new(plan("one"), device)
    made.path("request.json").write_bytes(damage)
    with pytest.raises(ConfigurationError, match=r"request\.json"):
        device.home.all()


@pytest.mark.parametrize("key", ["kind", "srk_public", "schema"])
def test_a_damaged_record_of_the_tpm_is_an_error_and_never_a_missing_pin(
    device: Device, home: Path, key: str
) -> None:
    new(plan("one"), device)
    path = home / "device/tpm.json"
    held = json.loads(path.read_text())
    del held[key]
    path.write_text(json.dumps(held))
    with pytest.raises(ConfigurationError, match=r"tpm\.json"):
        new(plan("two"), device)


def test_a_generation_half_made_by_a_crash_is_not_seen(device: Device, home: Path) -> None:
    made = new(plan("one"), device)
    scratch = home / "device/one/.new.abcd"
    shutil.copytree(made.directory, scratch)
    assert device.home.all() == (made,)
    assert renew("one", device, new_key=False).generation == 2
