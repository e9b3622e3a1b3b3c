"""Another TPM, another key, a changed answer: all of them show before a certificate is made."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec import structs

from ca.algorithms import EC_P256
from ca.encoding.tpm import Attributes, PublicArea, sized
from ca.encoding.tsskey import TssKey
from ca.errors import (
    CustodyError,
    EncodingError,
    KeyRefused,
    SignatureUncertain,
    TpmBusy,
    TpmOwnerAuthNeeded,
    TpmProgramMissing,
    TpmStateDamaged,
    TpmStateMissing,
    TpmStateNotPrivate,
    TpmStateUnwritable,
    TpmStorageKeyUnusable,
    TpmSwapped,
    TpmTampered,
    TpmUnreachable,
)
from ca.interfaces.custody import SealedKey
from ca.interfaces.values import Secret
from ca.keys.tpm.capabilities import KEY_ATTRIBUTES
from ca.keys.tpm.custody import TpmCustody
from ca.keys.tpm.embedded import EmbeddedTpm
from ca.keys.tpm.link import Link
from ca.keys.tpm.state import KEPT_FILE, STATE_FILE, TORN_FILE
from ca.keys.tpm.transaction import Transaction
from ca.keys.tpm.tss import ESAPI, ESYS_TR, TPM2B_PUBLIC, TPM2B_SENSITIVE_CREATE
from tests.keys.tpm.lab import PIN, Lab
from tests.keys.tpm.links import Changing, Interposer, Recorder, flipped

SIGN, LOAD, CREATE, READ_PUBLIC = 0x15D, 0x157, 0x153, 0x173


def sign(custody: TpmCustody, key: SealedKey, pin: Secret | None = PIN) -> bytes:
    with custody.open(key.pem, spki=key.spki, pin=pin) as signer:
        return signer.sign(b"x")


@contextmanager
def bare(state_dir: Path) -> Iterator[ESAPI]:
    """The TPM itself, to prepare it as another program would."""
    tpm = Transaction(EmbeddedTpm(state_dir, manufacture=True), deadline=20, owner_auth=None)
    try:
        with tpm.esapi() as esapi:
            yield esapi
    finally:
        tpm.close()


def put_at_storage_handle(state_dir: Path, template: str, attributes: str) -> None:
    with bare(state_dir) as esapi:
        area = TPM2B_PUBLIC.parse(template, objectAttributes=attributes)
        made = esapi.create_primary(TPM2B_SENSITIVE_CREATE(), area, ESYS_TR.OWNER)
        esapi.evict_control(ESYS_TR.OWNER, made[0], 0x81000001)
        esapi.flush_context(made[0])


# ---------------------------------------------------------------- the TPM is another one


def test_another_tpm_in_place_of_ours_is_noticed_before_it_signs(lab: Lab, other_lab: Lab) -> None:
    key = lab.pin().create(EC_P256, pin=PIN)
    other_lab.pin()
    shutil.rmtree(lab.tpm_dir)
    shutil.copytree(other_lab.tpm_dir, lab.tpm_dir)
    record = Recorder()
    with pytest.raises(TpmSwapped, match="not the TPM that holds the CA's keys"):
        sign(lab.custody(around=record.around), key)
    assert SIGN not in record.codes
    for ask in (lab.custody().describe, lambda: lab.custody().create(EC_P256, pin=None)):
        with pytest.raises(TpmSwapped):
            ask()


def test_a_cleared_tpm_is_noticed(lab: Lab, other_lab: Lab) -> None:
    key = lab.pin().create(EC_P256, pin=PIN)
    with bare(other_lab.tpm_dir) as esapi:
        esapi.get_random(8)  # a TPM that never had a storage key
    shutil.rmtree(lab.tpm_dir)
    shutil.copytree(other_lab.tpm_dir, lab.tpm_dir)
    with pytest.raises(TpmSwapped):
        sign(lab.custody(), key)


def test_an_interposer_that_shows_our_public_key_is_noticed(lab: Lab, other_lab: Lab) -> None:
    lab.pin()
    other_lab.pin()

    def around(link: Link) -> Link:
        other = EmbeddedTpm(other_lab.tpm_dir, manufacture=False)
        return Interposer(other, link, frozenset({READ_PUBLIC}))

    with pytest.raises(TpmSwapped):
        lab.custody(around=around).create(EC_P256, pin=PIN)


def test_a_lost_state_is_an_error_and_no_new_tpm_takes_its_place(lab: Lab) -> None:
    key = lab.pin().create(EC_P256, pin=PIN)
    shutil.rmtree(lab.tpm_dir)
    with pytest.raises(TpmStateMissing, match="is gone"):
        sign(lab.custody(), key)
    assert not lab.tpm_dir.exists()


DAMAGES = pytest.mark.parametrize(
    "damage",
    [lambda octets: octets[:100], lambda octets: b"", lambda octets: b"\0" * len(octets)],
    ids=["truncated", "empty", "zeros"],
)


@DAMAGES
def test_a_state_torn_by_a_power_cut_is_mended_and_signs_again(
    lab: Lab, damage: Callable[[bytes], bytes]
) -> None:
    key = lab.pin().create(EC_P256, pin=PIN)
    state = lab.tpm_dir / STATE_FILE
    state.write_bytes(damage(state.read_bytes()))
    assert sign(lab.custody(), key)


@DAMAGES
def test_the_torn_state_of_a_first_start_is_put_aside(
    lab: Lab, damage: Callable[[bytes], bytes]
) -> None:
    lab.custody().describe()
    (lab.tpm_dir / KEPT_FILE).unlink()
    state = lab.tpm_dir / STATE_FILE
    state.write_bytes(damage(state.read_bytes()))
    assert lab.custody().describe().manufacturer == "IBM"
    assert (lab.tpm_dir / TORN_FILE).exists()


@DAMAGES
def test_a_damaged_state_is_told_and_left_as_it_is(
    lab: Lab, damage: Callable[[bytes], bytes]
) -> None:
    key = lab.pin().create(EC_P256, pin=PIN)
    state = lab.tpm_dir / STATE_FILE
    (lab.tpm_dir / KEPT_FILE).unlink()
    state.write_bytes(damage(state.read_bytes()))
    before = state.read_bytes()
    with pytest.raises(TpmStateDamaged, match="swtpm cannot use its state"):
        sign(lab.custody(), key)
    assert state.read_bytes() == before


def test_a_restored_state_signs_again(lab: Lab, tmp_path: Path) -> None:
    key = lab.pin().create(EC_P256, pin=PIN)
    shutil.copytree(lab.tpm_dir, tmp_path / "backup")
    shutil.rmtree(lab.tpm_dir)
    shutil.copytree(tmp_path / "backup", lab.tpm_dir)
    assert sign(lab.custody(), key)


def test_a_state_that_others_can_read_is_refused_until_the_remedy_is_run(
    lab: Lab, tmp_path: Path
) -> None:
    lab.tpm_dir = tmp_path / "alice's tpm"
    lab.pin()
    lab.tpm_dir.chmod(0o750)
    with pytest.raises(TpmStateNotPrivate) as caught:
        lab.custody().describe()
    subprocess.run(["sh", "-c", caught.value.remedy.split("`")[1]], check=True)
    assert lab.custody().describe()


def test_the_state_is_private_from_the_start(lab: Lab) -> None:
    lab.pin()
    assert lab.tpm_dir.stat().st_mode & 0o777 == 0o700
    assert (lab.tpm_dir / STATE_FILE).stat().st_mode & 0o777 == 0o600
    assert lab.lock_file.stat().st_mode & 0o777 == 0o600


def test_a_state_directory_with_a_comma_in_its_name_works(lab: Lab, tmp_path: Path) -> None:
    lab.tpm_dir = tmp_path / "a,mode=0777 b"
    lab.pin()
    assert (lab.tpm_dir / STATE_FILE).exists()


def test_a_second_swtpm_on_the_same_state_is_told_apart_from_damage(lab: Lab) -> None:
    lab.pin()
    holder = EmbeddedTpm(lab.tpm_dir, manufacture=False)
    try:
        holder.send(bytes.fromhex("80010000000c0000017b0008"))  # GetRandom: it runs now
        holder.receive(20)
        with pytest.raises(TpmBusy, match="another program uses the software TPM"):
            lab.custody().describe()
    finally:
        holder.close(orderly=False)


def test_a_full_disk_is_told_and_spoils_nothing(lab: Lab) -> None:
    key = lab.pin().create(EC_P256, pin=PIN)
    in_the_way = lab.tpm_dir / "TMP2-00.permall"  # swtpm writes its new state there first
    in_the_way.mkdir()
    with pytest.raises(TpmStateUnwritable, match="cannot write its state"):
        sign(lab.custody(), key)
    in_the_way.rmdir()
    assert sign(lab.custody(), key)


def test_a_home_that_is_not_there_is_told(lab: Lab, tmp_path: Path) -> None:
    lab.tpm_dir = tmp_path / "no-home" / "tpm"
    with pytest.raises(TpmUnreachable, match="no such file or directory"):
        lab.custody().describe()


def test_a_missing_swtpm_names_the_package(tmp_path: Path) -> None:
    with pytest.raises(TpmProgramMissing) as caught:
        EmbeddedTpm(tmp_path / "tpm", manufacture=True, program="swtpm-not-installed")
    assert "apt install swtpm" in caught.value.remedy


# ---------------------------------------------------------------- the key is another one


def test_the_key_file_of_another_issuer_is_refused_before_the_tpm_is_opened(lab: Lab) -> None:
    ours, theirs = (lab.pin().create(EC_P256, pin=PIN) for _ in range(2))
    record = Recorder()
    custody = lab.custody(around=record.around)
    with (
        pytest.raises(KeyRefused, match="another key than the certificate names"),
        custody.open(theirs.pem, spki=ours.spki, pin=PIN),
    ):
        pass
    assert record.pids == []


def test_a_key_file_from_another_tpm_is_refused(lab: Lab, other_lab: Lab) -> None:
    lab.pin()
    key = other_lab.pin().create(EC_P256, pin=PIN)
    with pytest.raises(KeyRefused, match="made in another TPM"):
        sign(lab.custody(), key)


def test_a_private_part_that_was_changed_is_refused(lab: Lab) -> None:
    key = lab.pin().create(EC_P256, pin=PIN)
    tss = TssKey.from_pem(key.pem)
    private = tss.private[:-1] + bytes([tss.private[-1] ^ 1])
    changed = structs.replace(key, pem=structs.replace(tss, private=private).to_pem())
    with pytest.raises(KeyRefused):
        sign(lab.custody(), changed)


@pytest.mark.parametrize(
    ("without", "added", "reason"),
    [
        (Attributes.FIXED_TPM, 0, "not made inside this TPM or may leave it"),
        (Attributes.FIXED_PARENT, 0, "not made inside this TPM or may leave it"),
        (Attributes.SENSITIVE_DATA_ORIGIN, 0, "not made inside this TPM or may leave it"),
        (0, Attributes.RESTRICTED, "signs only what the TPM itself has hashed"),
        (Attributes.SIGN, 0, "cannot sign"),
        (Attributes.USER_WITH_AUTH, 0, "not with a PIN alone"),
    ],
)
def test_a_key_with_attributes_no_ca_key_has_is_refused(
    lab: Lab, without: int, added: int, reason: str
) -> None:
    key = lab.pin().create(EC_P256, pin=PIN)
    tss = TssKey.from_pem(key.pem)
    area = PublicArea.from_tpm2b(tss.public)
    attributes = (int(area.attributes) & ~int(without) | int(added)).to_bytes(4, "big")
    public = sized(area.octets[:4] + attributes + area.octets[8:])
    changed = structs.replace(key, pem=structs.replace(tss, public=public).to_pem())
    with pytest.raises(KeyRefused, match=reason):
        sign(lab.custody(), changed)


# ---------------------------------------------------------------- answers are changed


@pytest.mark.parametrize(("command", "at"), [(LOAD, 20), (LOAD, 40), (CREATE, 60), (CREATE, 200)])
def test_a_changed_answer_is_noticed(lab: Lab, command: int, at: int) -> None:
    key = lab.pin().create(EC_P256, pin=PIN)
    custody = lab.custody(around=lambda link: Changing(link, flipped(command, at)))
    use: dict[int, Callable[[], object]] = {
        CREATE: lambda: custody.create(EC_P256, pin=PIN),
        LOAD: lambda: sign(custody, key),
    }
    with pytest.raises((TpmTampered, TpmSwapped)):
        use[command]()


@pytest.mark.parametrize("at", [1, 5, 11, 15, 16, 20, 30, 60, 90, -1])
def test_a_changed_signature_leaves_the_serial_uncertain(lab: Lab, at: int) -> None:
    key = lab.pin().create(EC_P256, pin=PIN)
    with pytest.raises(SignatureUncertain):
        sign(lab.custody(around=lambda link: Changing(link, flipped(SIGN, at))), key)


# ---------------------------------------------------------------- what lies at 0x81000001


def test_a_storage_key_of_another_maker_is_used(lab: Lab) -> None:
    put_at_storage_handle(
        lab.tpm_dir,
        "rsa2048:aes128cfb",
        "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt",
    )
    key = lab.pin().create(EC_P256, pin=PIN)
    assert lab.srk_public is not None
    assert PublicArea.from_tpm2b(lab.srk_public).bits == 2048
    assert sign(lab.custody(), key)


def test_something_else_in_place_of_the_storage_key_is_refused(lab: Lab) -> None:
    put_at_storage_handle(
        lab.tpm_dir,
        "ecc256:ecdsa-sha256:null",
        "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|sign",
    )
    with pytest.raises(TpmStorageKeyUnusable, match="0x81000001 is not a storage key"):
        lab.custody().describe()


def set_owner_auth(state_dir: Path, password: bytes) -> None:
    with bare(state_dir) as esapi:
        esapi.hierarchy_change_auth(ESYS_TR.OWNER, password)


@pytest.mark.parametrize("given", [None, Secret(b"wrong")])
def test_an_owner_password_is_asked_for_when_the_storage_key_is_made(
    lab: Lab, given: Secret | None
) -> None:
    set_owner_auth(lab.tpm_dir, b"owner")
    with pytest.raises(TpmOwnerAuthNeeded):
        lab.custody(owner_auth=given).describe()


def test_the_owner_password_is_not_needed_any_more_once_the_storage_key_is_there(
    lab: Lab,
) -> None:
    set_owner_auth(lab.tpm_dir, b"owner")
    lab.srk_public = lab.custody(owner_auth=Secret(b"owner")).describe().srk_public
    key = lab.custody().create(EC_P256, pin=PIN)
    assert sign(lab.custody(), key)
    assert lab.custody().report().owner_auth_set


# ---------------------------------------------------------------- the TPM makes another key


class Disobedient(TpmCustody):
    """Its TPM makes a key from another template than it was given, and says truly what it made."""

    made: str
    attributes: str

    @contextmanager
    def _transaction(self) -> Iterator[Transaction]:
        with super()._transaction() as tpm:
            yield cast(Transaction, _Disobedient(tpm, self))


class _Disobedient:
    def __init__(self, inner: Any, custody: Disobedient) -> None:
        self._inner, self._custody = inner, custody

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @contextmanager
    def esapi(self) -> Iterator[_Disobedient]:
        with self._inner.esapi() as esapi:
            yield _Disobedient(esapi, self._custody)

    def create(self, parent: ESYS_TR, sensitive: Any, _template: Any, **named: Any) -> Any:
        custody = self._custody
        other = TPM2B_PUBLIC.parse(custody.made, objectAttributes=custody.attributes)
        return self._inner.create(parent, sensitive, other, **named)


SIGNING = "ecc256:ecdsa-sha256:null"


def but(**changed: str) -> str:
    """The attributes that are asked for, but for these."""
    names = (changed.get(name, name) for name in KEY_ATTRIBUTES.split("|"))
    return "|".join(name for name in names if name)


@pytest.mark.parametrize(
    ("made", "attributes"),
    [
        (SIGNING, but(fixedtpm="", fixedparent="")),
        (SIGNING, but(noda="")),
        (SIGNING, but(userwithauth="adminwithpolicy")),
        (SIGNING, but(sign="sign|restricted")),
        ("ecc256:null:null", KEY_ATTRIBUTES),
        ("ecc256:ecdsa-sha384:null", KEY_ATTRIBUTES),
        ("ecc384:ecdsa-sha256:null", KEY_ATTRIBUTES),
    ],
)
def test_a_key_that_was_not_asked_for_is_not_taken(lab: Lab, made: str, attributes: str) -> None:
    lab.pin()
    custody = Disobedient(
        "embedded",
        state_dir=lab.tpm_dir,
        lock_file=lab.lock_file,
        srk_public=lab.srk_public,
        on_wait=lambda _: None,
        deadline=20.0,
    )
    custody.made, custody.attributes = SIGNING, KEY_ATTRIBUTES
    assert custody.create(EC_P256, pin=PIN).kind is EC_P256
    custody.made, custody.attributes = made, attributes
    with pytest.raises(TpmTampered, match="made another key than it was asked for"):
        custody.create(EC_P256, pin=PIN)


# ---------------------------------------------------------------- every error can be shown


def test_every_error_says_what_to_do_and_never_the_pin(lab: Lab, other_lab: Lab) -> None:
    lab.pin()
    key = other_lab.pin().create(EC_P256, pin=PIN)
    with pytest.raises((CustodyError, EncodingError)) as caught:
        sign(lab.custody(), key)
    text = f"{caught.value!r}{caught.value.problem}{caught.value.remedy}"
    assert caught.value.remedy
    assert PIN.reveal().decode() not in text
