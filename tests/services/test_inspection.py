"""The auditor finds what was changed: one test for each column, each class of octets, each file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ca.cli.output import say
from ca.encoding.containers import pem
from ca.errors import UsageError
from ca.interfaces.values import Secret
from ca.services.finding import Finding, Gravity
from ca.services.inspection.inspecting import inspect
from ca.wiring.facility import open_facility
from ca.wiring.opening import Opening
from tests.house import House

FAR = 4_000_000_000  # 2096, as seconds since 1970
EARLY = 1_000_000_000  # 2001


def _no_pin(key: str) -> Secret:
    raise UsageError(f"{key} has no PIN", remedy="none")


def findings(house: House, *, load_keys: bool = False) -> list[Finding]:
    opening = Opening(home=house.home, tcti="embedded", pin=_no_pin, on_wait=say)
    settled: list[object] = []
    with open_facility(opening, on_settled=settled.append) as facility:
        return list(inspect(facility, load_keys=load_keys))


def errors(house: House, *, load_keys: bool = False) -> set[str]:
    return {f.rule for f in findings(house, load_keys=load_keys) if f.gravity is Gravity.ERROR}


def test_nothing_is_wrong_with_a_home_nobody_touched(common_house: House) -> None:
    assert findings(common_house) == []


def test_nothing_is_wrong_with_its_keys_in_the_tpm(house: House) -> None:
    assert findings(house, load_keys=True) == []


# ---------------------------------------------------------------- columns


def _row(house: House, stem: str) -> bytes:
    return bytes.fromhex(house.serial(stem))


#: column, new value as SQL, rule that must speak; of the row of the laptop.
CERTIFICATE_COLUMNS = (
    ("subject", "'CN=bank.example'", "check.row.subject"),
    ("names", "'DNS:bank.example'", "check.row.names"),
    ("names", "''", "check.row.names"),
    ("spki_sha256", "zeroblob(32)", "check.row.spki-sha256"),
    ("not_before", "not_before - 1", "check.row.not-before"),
    ("not_after", "not_after + 86400", "check.row.not-after"),
    ("serial", "randomblob(20)", "check.row.serial"),
    ("issuer_id", "1", "check.row.issuer"),
    ("profile_sha256", "zeroblob(32)", "check.row.profile"),
    (
        "profile_sha256",
        "(SELECT profile_sha256 FROM certificates WHERE profile = 'tls-server')",
        "check.row.extensions",
    ),
    ("replaces", "randomblob(20)", "check.row.replaces"),
    ("issued_at", "created_at - 10", "check.row.issued-at"),
    ("changed_at", str(FAR), "check.clock"),
    ("state", "'failed'", "check.row.state"),
    ("state", "'uncertain'", "check.row.uncertain"),
    ("der", "NULL", "check.row.state"),
    ("der", "x'3000'", "check.row.der"),
    ("tbs", "x'3000'", "check.row.tbs"),
    ("tbs", "(SELECT tbs FROM certificates WHERE profile = 'tls-server')", "check.row.serial"),
    (
        "der",
        "(SELECT der FROM certificates WHERE profile = 'tls-server')",
        "check.row.tbs-differs",
    ),
)


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    CERTIFICATE_COLUMNS,
    ids=[f"{column}={value[:14]}" for column, value, _ in CERTIFICATE_COLUMNS],
)
def test_a_changed_certificate_column_is_found(
    house: House, column: str, value: str, rule: str
) -> None:
    with house.database() as database:
        database.execute(
            f"UPDATE certificates SET {column} = {value} WHERE serial = ?",  # noqa: S608 - ours
            (_row(house, "laptop"),),
        )

    assert rule in errors(house)


def test_a_profile_called_by_another_name_is_told(house: House) -> None:
    with house.database() as database:
        database.execute(
            "UPDATE certificates SET profile = 'vpn-server' WHERE serial = ?",
            (_row(house, "laptop"),),
        )

    assert "check.row.profile-name" in {finding.rule for finding in findings(house)}


#: Where in a certificate an octet is changed, as a fraction of its length from the front.
OCTETS = {
    "header": 0.0,
    "version and serial": 0.03,
    "issuer": 0.12,
    "validity": 0.22,
    "key": 0.40,
    "extensions": 0.60,
    "signature": 0.99,
}


@pytest.mark.parametrize("place", OCTETS.values(), ids=OCTETS.keys())
def test_a_changed_octet_of_a_certificate_is_found(house: House, place: float) -> None:
    with house.database() as database:
        (der,) = database.execute(
            "SELECT der FROM certificates WHERE serial = ?", (_row(house, "laptop"),)
        ).fetchone()
        changed = bytearray(der)
        changed[int(len(der) * place)] ^= 0x01
        database.execute(
            "UPDATE certificates SET der = ? WHERE serial = ?",
            (bytes(changed), _row(house, "laptop")),
        )

    assert errors(house) & {"check.row.der", "check.row.signature", "check.row.tbs-differs"}


def test_a_certificate_and_tbs_changed_together_fail_by_their_signature(house: House) -> None:
    with house.database() as database:
        der, tbs = database.execute(
            "SELECT der, tbs FROM certificates WHERE serial = ?", (_row(house, "laptop"),)
        ).fetchone()
        forged = tbs.replace(b"laptop", b"tablet")
        database.execute(
            "UPDATE certificates SET tbs = ?, der = ?, names = replace(names, 'laptop', 'tablet'),"
            " subject = replace(subject, 'laptop', 'tablet') WHERE serial = ?",
            (
                forged,
                der.replace(tbs, forged),
                _row(house, "laptop"),
            ),
        )

    assert errors(house) == {"check.row.signature"}


def test_a_changed_profile_text_is_found(house: House) -> None:
    with house.database() as database:
        database.execute("UPDATE profiles SET text = replace(text, 'CA:FALSE', 'CA:TRUE')")

    assert "check.row.profile" in errors(house)


#: column, new value, rule; of the line of the lost device.
REVOCATION_COLUMNS = (
    ("reason", "'superseded'", "check.revocation.entry"),
    ("revoked_at", "revoked_at - 60", "check.revocation.entry"),
    ("invalidity", str(EARLY), "check.revocation.entry"),
    ("entry", "zeroblob(40)", "check.revocation.entry"),
    ("not_after", str(EARLY), "check.revocation.leaves-early"),
    ("ended_at", "revoked_at + 1", "check.revocation.undone"),
    ("issuer_id", "1", "check.revocation.undone"),
)


@pytest.mark.parametrize(
    ("column", "value", "rule"), REVOCATION_COLUMNS, ids=[c for c, _, _ in REVOCATION_COLUMNS]
)
def test_a_changed_revocation_column_is_found(
    house: House, column: str, value: str, rule: str
) -> None:
    with house.database() as database:
        database.execute(
            f"UPDATE revocations SET {column} = {value} WHERE serial = ?",  # noqa: S608 - ours
            (_row(house, "lost"),),
        )

    assert rule in errors(house)


def test_a_deleted_revocation_is_found(house: House) -> None:
    with house.database() as database:
        database.execute("DELETE FROM revocations WHERE serial = ?", (_row(house, "lost"),))

    assert "check.revocation.undone" in errors(house)


def test_a_deleted_certificate_that_was_revoked_is_found(house: House) -> None:
    with house.database() as database:
        database.execute("DELETE FROM revocations WHERE serial = ?", (_row(house, "lost"),))
        database.execute("DELETE FROM certificates WHERE serial = ?", (_row(house, "lost"),))

    assert "check.crl.unknown-serial" in errors(house)


def test_a_revocation_no_crl_carries_is_found(house: House) -> None:
    with house.database() as database:
        database.execute(
            "INSERT INTO revocations (issuer_id, serial, not_after, revoked_at, reason, entry) "
            "SELECT issuer_id, serial, not_after, created_at - 60, 'superseded', x'3000' "
            "FROM certificates WHERE serial = ?",
            (_row(house, "laptop"),),
        )

    assert {"check.crl.missing", "check.revocation.entry"} <= errors(house)


def test_a_revocation_after_the_last_crl_is_no_error_yet(house: House) -> None:
    house.homeca.must("revoke", house.file("laptop.crt"))

    found = findings(house)

    assert {f.rule for f in found} == {"check.crl.behind"}
    assert {f.gravity for f in found} == {Gravity.WARNING}


def test_a_reason_that_the_last_crl_does_not_give_yet_is_no_error(house: House) -> None:
    house.homeca.must("revoke", house.file("laptop.crt"))
    house.homeca.must("crl")
    house.homeca.must("revoke", house.file("laptop.crt"), "--reason", "keyCompromise")

    found = findings(house)

    assert {f.rule for f in found} == {"check.crl.behind"}
    assert {f.gravity for f in found} == {Gravity.WARNING}
    house.homeca.must("crl")
    assert findings(house) == []


#: column, new value, rule; of the intermediate's CRL.
CRL_COLUMNS = (
    ("number", "number + 1", "check.crl.number"),
    ("this_update", "this_update - 60", "check.crl.this-update"),
    ("next_update", "next_update + 60", "check.crl.next-update"),
    ("entries", "entries + 1", "check.crl.entries"),
    ("sha256", "zeroblob(32)", "check.crl.sha256"),
    ("der", "NULL", "check.crl.lost"),
    ("der", "x'3000'", "check.crl.malformed"),
    ("reserved_at", str(FAR), "check.clock"),
)


@pytest.mark.parametrize(
    ("column", "value", "rule"), CRL_COLUMNS, ids=[f"{c}={v[:5]}" for c, v, _ in CRL_COLUMNS]
)
def test_a_changed_crl_column_is_found(house: House, column: str, value: str, rule: str) -> None:
    with house.database() as database:
        database.execute(f"UPDATE crls SET {column} = {value} WHERE issuer_id = 2")  # noqa: S608

    assert rule in errors(house)


@pytest.mark.parametrize("place", [0.2, 0.5, 0.99], ids=["front", "entries", "signature"])
def test_a_changed_octet_of_a_crl_is_found(house: House, place: float) -> None:
    with house.database() as database:
        (der,) = database.execute("SELECT der FROM crls WHERE issuer_id = 2").fetchone()
        changed = bytearray(der)
        changed[int(len(der) * place)] ^= 0x01
        database.execute("UPDATE crls SET der = ? WHERE issuer_id = 2", (bytes(changed),))

    assert errors(house) & {"check.crl.signature", "check.crl.malformed"}


def test_a_crl_dated_before_its_predecessor_is_found(house: House) -> None:
    house.homeca.must("crl")
    with house.database() as database:
        database.execute("UPDATE crls SET this_update = this_update + 86400 WHERE number = 1")

    assert "check.crl.history" in errors(house)


def test_a_crl_taken_out_of_the_record_is_found_by_its_file(house: House) -> None:
    with house.database() as database:
        database.execute("DELETE FROM crls WHERE issuer_id = 2")

    assert "check.published.unrecorded" in errors(house)


#: column, new value, rule; of the intermediate.
ISSUER_COLUMNS = (
    ("role", "'root'", "check.issuer.role"),
    ("slug", "'other'", "check.published.missing"),
    ("subject", "'CN=Somebody'", "check.issuer.subject"),
    ("subject_der", "x'3000'", "check.issuer.subject-der"),
    ("parent_id", "NULL", "check.issuer.parent"),
    ("parent_id", "2", "check.issuer.signature"),
    ("key_kind", "'ec-p384'", "check.issuer.key-kind"),
    ("key_file", "'keys/none.tss'", "check.key.file-missing"),
    ("key_file", "'keys/root.tss'", "check.key.other"),
    ("key_file", "'../../../etc/passwd'", "check.issuer.key-file"),
    ("spki", "(SELECT spki FROM issuers WHERE id = 1)", "check.issuer.spki"),
    ("certificate", "x'3000'", "check.issuer.certificate"),
    ("certificate", "(SELECT certificate FROM issuers WHERE id = 1)", "check.issuer.subject-der"),
    ("serial", "randomblob(20)", "check.issuer.serial"),
    ("not_before", "not_before - 60", "check.issuer.not-before"),
    ("not_after", "not_after + 60", "check.issuer.not-after"),
    ("created_at", str(FAR), "check.clock"),
)


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    ISSUER_COLUMNS,
    ids=[f"{column}={value[:14]}" for column, value, _ in ISSUER_COLUMNS],
)
def test_a_changed_issuer_column_is_found(house: House, column: str, value: str, rule: str) -> None:
    with house.database() as database:
        database.execute("DROP INDEX uq_issuers_root")
        database.execute(f"UPDATE issuers SET {column} = {value} WHERE id = 2")  # noqa: S608

    assert rule in errors(house)


#: column, new value, rule, whether the TPM must be asked to see it.
CUSTODY_COLUMNS = (
    ("kind", "'hardware-tpm'", "check.custody.kind", False),
    ("srk_public", "x'00'", "check.custody.srk", False),
    ("manufacturer", "'ACME'", "check.custody.manufacturer", True),
    ("model", "'Roadrunner'", "check.custody.model", True),
)


@pytest.mark.parametrize(
    ("column", "value", "rule", "load_keys"),
    CUSTODY_COLUMNS,
    ids=[column for column, _, _, _ in CUSTODY_COLUMNS],
)
def test_a_changed_custody_column_is_found(
    house: House, column: str, value: str, rule: str, load_keys: bool
) -> None:
    with house.database() as database:
        database.execute(f"UPDATE custody SET {column} = {value}")  # noqa: S608 - ours

    assert rule in errors(house, load_keys=load_keys)


def test_a_certificate_that_names_another_place_for_its_crl_is_told(house: House) -> None:
    with house.database() as database:
        database.execute("UPDATE issuers SET crl_url = 'http://elsewhere/x.crl' WHERE id = 2")

    assert {finding.rule for finding in findings(house)} == {"check.row.crl-url"}


def test_a_ladder_of_crls_is_as_good_as_one(house: House) -> None:
    """The first is kept, the others are known by their hashes; the PEM file holds all."""
    rungs = [(house.home / "crl/intermediate-1.crl").read_bytes()]
    for _ in range(2):
        house.homeca.must("crl")
        rungs.append((house.home / "crl/intermediate-1.crl").read_bytes())
    with house.database() as database:
        database.execute("UPDATE crls SET der = NULL WHERE issuer_id = 2")
        database.execute("UPDATE crls SET der = ? WHERE issuer_id = 2 AND number = 1", rungs[:1])
    (house.home / "crl/intermediate-1.crl").write_bytes(rungs[0])
    pems = house.home / "crl/intermediate-1.crl.pem"
    pems.write_bytes(b"".join(pem("X509 CRL", der) for der in rungs))

    assert findings(house) == []

    pems.write_bytes(b"".join(pem("X509 CRL", der) for der in rungs[:2]))
    assert errors(house) == {"check.published.other"}


# ---------------------------------------------------------------- the database's own rules


def _drop_index(database: sqlite3.Connection) -> None:
    database.execute("DROP INDEX uq_revocations_open")


def _dangle(database: sqlite3.Connection) -> None:
    database.execute("UPDATE crls SET issuer_id = 77 WHERE issuer_id = 2")


def _allow_serials_twice(database: sqlite3.Connection) -> None:
    database.execute("CREATE TABLE others AS SELECT * FROM certificates")
    database.execute("DROP TABLE certificates")
    database.execute("ALTER TABLE others RENAME TO certificates")
    database.execute("INSERT INTO certificates SELECT * FROM certificates WHERE issuer_id = 2")


@pytest.mark.parametrize("spoil", [_drop_index, _dangle, _allow_serials_twice])
def test_a_rule_taken_from_the_database_is_found(
    house: House, spoil: Callable[[sqlite3.Connection], None]
) -> None:
    with house.database() as database:
        spoil(database)

    assert "check.database" in errors(house)


def test_a_trigger_taken_from_the_database_is_found(house: House) -> None:
    with closing(sqlite3.connect(house.home / "homeca.db")) as database:
        database.execute("DROP TRIGGER tr_certificates_change")

    assert errors(house) == {"check.database"}


# ---------------------------------------------------------------- files


def test_swapped_key_blobs_are_found(house: House) -> None:
    root, intermediate = house.home / "keys/root.tss", house.home / "keys/intermediate-1.tss"
    first, second = root.read_bytes(), intermediate.read_bytes()
    root.write_bytes(second)
    intermediate.write_bytes(first)

    assert "check.key.other" in errors(house)


def test_a_truncated_key_blob_is_found(house: House) -> None:
    path = house.home / "keys/root.tss"
    path.write_bytes(path.read_bytes()[:-40])

    assert "check.key.malformed" in errors(house)


def test_a_missing_key_blob_is_found(house: House) -> None:
    (house.home / "keys/root.tss").unlink()

    assert "check.key.file-missing" in errors(house)


def test_the_key_that_signs_profiles_is_no_stray(house: House) -> None:
    house.homeca.must("kit", "--for", "trust", "--out", house.place / "kit")

    assert (house.home / "keys/profile-signing.tss").is_file()
    assert findings(house) == []


def test_a_stray_key_file_is_told(house: House) -> None:
    stray = house.home / "keys/old.tss"
    stray.write_bytes(b"x")
    stray.chmod(0o600)

    assert {finding.rule for finding in findings(house)} == {"check.key.stray"}


@pytest.mark.parametrize(
    ("path", "mode"),
    [
        ("keys", 0o755),
        ("keys/root.tss", 0o644),
        ("tpm", 0o750),
        ("tpm/tpm2-00.permall", 0o640),
        ("certs", 0o777),
        ("crl", 0o775),
        ("profiles", 0o777),
    ],
)
def test_a_file_that_others_may_use_is_found(house: House, path: str, mode: int) -> None:
    (house.home / path).chmod(mode)

    assert "check.home.mode" in errors(house)


@pytest.mark.parametrize(
    "name", ["certs/root.pem", "certs/intermediate-1.crt", "crl/root.crl", "crl/root.crl.pem"]
)
def test_a_published_file_that_was_changed_is_found(house: House, name: str) -> None:
    path = house.home / name
    path.write_bytes(path.read_bytes() + b"x")

    assert "check.published.other" in errors(house)


@pytest.mark.parametrize("name", ["certs/root.crt", "crl/intermediate-1.crl"])
def test_a_published_file_that_is_gone_is_found(house: House, name: str) -> None:
    (house.home / name).unlink()

    assert "check.published.missing" in errors(house)


# ---------------------------------------------------------------- the TPM


def test_a_key_another_tpm_holds_is_found_when_it_is_loaded(house: House, tmp_path: Path) -> None:
    other = House(tmp_path / "other")
    other.place.mkdir()
    other.homeca.must("init-root", "--key", "ec-p256")
    state = house.home / "tpm/tpm2-00.permall"
    state.write_bytes((other.home / "tpm/tpm2-00.permall").read_bytes())

    assert errors(house) == set()
    assert "check.custody.tpm" in errors(house, load_keys=True)


# ---------------------------------------------------------------- memory


def test_the_auditor_keeps_little_of_each_row(house: House) -> None:
    """Eight octets of a serial, and what one page of rows takes."""
    import tracemalloc

    findings(house)  # imports and caches are not the rows' memory
    tracemalloc.start()
    findings(house)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 8 << 20
