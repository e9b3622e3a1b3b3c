"""The role that does the daily work, with the rights that the README lists and no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ca.errors import StoreForbidden
from ca.interfaces.issuing import State
from ca.store.repository import open_store
from tests.interop.homeca import CHECKOUT, Homeca
from tests.postgresql.cluster import Cluster
from tests.postgresql.homes import home_at
from tests.postgresql.test_database import TABLES, name_of
from tests.postgresql.test_nodes import kill
from tests.services.rig import Rig, request_der
from tests.store.test_shape import at_revision

ROLE = "homeca"


def rights() -> str:
    """The GRANTs of the README, as somebody pastes them."""
    lines = (CHECKOUT / "README.md").read_text("utf-8").splitlines()
    code = [line[4:] for line in lines if line.startswith("    ")]
    return "\n".join(re.findall(r"^GRANT [^;]+;", "\n".join(code), re.MULTILINE))


@pytest.fixture
def url(postgresql: Cluster, rig: Rig) -> Iterator[str]:
    """The rig's database, as the role reaches it."""
    toml = (rig.path / "homeca.toml").read_text().split('"')[1]
    postgresql.run(f"CREATE ROLE {ROLE} LOGIN")
    try:
        postgresql.run(rights(), name_of(toml))
        yield toml.replace("postgres@", f"{ROLE}@")
    finally:
        postgresql.run(f"DROP OWNED BY {ROLE}", name_of(toml))
        postgresql.run(f"DROP ROLE {ROLE}")


@pytest.fixture
def daily(rig: Rig, url: str) -> Homeca:
    home_at(rig.path, url)
    return Homeca(rig.path)


def test_the_rights_in_the_readme_are_enough_for_everything(
    daily: Homeca, rig: Rig, url: str, tmp_path: Path
) -> None:
    for stem in ("a", "b", "c"):
        (tmp_path / f"{stem}.csr").write_bytes(request_der(stem))
        daily.must("sign", tmp_path / f"{stem}.csr", "--profile", "vpn-client")
    daily.must("revoke", tmp_path / "a.crt", "--reason", "certificateHold")
    daily.must("revoke", tmp_path / "a.crt", "--reason", "removeFromCRL")
    daily.must("revoke", tmp_path / "b.crt", "--reason", "superseded")
    daily.must("revoke", tmp_path / "b.crt", "--reason", "keyCompromise")
    daily.must("crl", "--ladder", "3")
    daily.must("lost", tmp_path / "c.crt")
    daily.must("init-intermediate", "--key", "ec-p256", "--days", "900")
    kill(rig, "sign", "store.record_intents.after")
    assert "an interrupted signature" in daily.run("list").stderr
    daily.must("crl")

    second = Homeca(home_at(tmp_path / "second", url))
    request = tmp_path / "second.csr"
    second.must("init-intermediate", "--csr-out", request, "--days", "900")
    daily.must("init-intermediate", "--sign-request", request, "--days", "900")
    second.must("init-intermediate", "--certificate", request.with_suffix(".crt"))
    second.must("crl")

    for node in (daily, second):
        node.must("check")
        node.must("audit", "verify")
    assert State.UNCERTAIN in {row.state for row in rig.rows()}, "what crashed was settled"


#: What takes something out of the record, or a rule away from it.
FORBIDDEN = [
    *(f"DELETE FROM {table}" for table in TABLES),  # noqa: S608  # names of the list above
    *(f"TRUNCATE {table} CASCADE" for table in TABLES),
    "UPDATE ledger SET event = 'x'",
    "UPDATE profiles SET text = ''",
    "DROP TRIGGER tr_ledger_delete ON ledger",
    "ALTER TABLE ledger DISABLE TRIGGER tr_ledger_delete",
    "CREATE TRIGGER aside BEFORE INSERT ON revocations FOR EACH ROW EXECUTE FUNCTION"
    " tr_ledger_delete()",
    "CREATE RULE aside AS ON INSERT TO revocations DO INSTEAD NOTHING",
    "CREATE OR REPLACE FUNCTION tr_ledger_delete() RETURNS trigger LANGUAGE plpgsql AS"
    " 'BEGIN RETURN OLD; END'",
    "CREATE TABLE aside ()",
    "DROP INDEX uq_certificates_serial",
    "UPDATE alembic_version SET version_num = '9999'",
    "SET session_replication_role = replica",
]


def test_it_takes_nothing_out_and_no_rule_away(url: str) -> None:
    allowed = []
    with psycopg.connect(url) as connection:
        for statement in FORBIDDEN:
            try:
                connection.execute(statement)
            except psycopg.errors.InsufficientPrivilege:
                pass
            else:
                allowed.append(statement)
            connection.rollback()
    assert allowed == []


def test_tables_that_are_to_be_changed_are_the_owners(postgresql: Cluster) -> None:
    owners = postgresql.create("older")
    at_revision(owners, "0003")
    postgresql.run(f"CREATE ROLE {ROLE} LOGIN")
    try:
        postgresql.run(rights(), "older")
        with pytest.raises(StoreForbidden, match="brought from revision 0003") as refused:
            open_store(postgresql.url("older", user=ROLE))
        assert "owner" in refused.value.remedy
        open_store(owners).close()
        postgresql.run(rights(), "older")
        open_store(postgresql.url("older", user=ROLE)).close()
    finally:
        postgresql.drop("older")
        postgresql.run(f"DROP ROLE {ROLE}")


def test_nobody_makes_tables_where_he_may_not(postgresql: Cluster) -> None:
    postgresql.create("unmade")
    postgresql.run(f"CREATE ROLE {ROLE} LOGIN")
    try:
        with pytest.raises(StoreForbidden, match="tables are to be made"):
            open_store(postgresql.url("unmade", user=ROLE), create=True)
    finally:
        postgresql.drop("unmade")
        postgresql.run(f"DROP ROLE {ROLE}")
