"""The rules of a PostgreSQL record: each that is gone, another or added is a fault."""

from __future__ import annotations

import re
import subprocess
from contextlib import closing

import pytest

from ca.errors import StoreError
from ca.interfaces.store import Fault
from ca.interfaces.values import Serial
from ca.store.repository import SqlStore, open_store
from tests.postgresql.cluster import Cluster, program
from tests.postgresql.test_database import name_of
from tests.store.making import active_issuer, entry_of, issue, revocation
from tests.store.test_shape import OLDER, at_revision

#: What somebody did → what is said of it. The remedy's statements put it right.
MENDED_BY_SQL = {
    "DROP TRIGGER tr_ledger_delete ON ledger": "the trigger 'tr_ledger_delete' of the table "
    "'ledger', which keeps rows from being changed or deleted, is gone",
    "ALTER TABLE ledger DISABLE TRIGGER tr_ledger_delete": "'tr_ledger_delete'",
    "ALTER TABLE crls ENABLE REPLICA TRIGGER tr_crls_change": "ON REPLICA",
    "CREATE OR REPLACE FUNCTION tr_ledger_change() RETURNS trigger LANGUAGE plpgsql AS"
    " 'BEGIN RETURN NEW; END'": "the function 'tr_ledger_change' is not as homeca made it",
    "ALTER FUNCTION tr_ledger_change() SET search_path = pg_temp": "'tr_ledger_change'",
    "DROP TRIGGER tr_issuers_node ON issuers; CREATE TRIGGER tr_issuers_node BEFORE UPDATE ON"
    " issuers FOR EACH ROW WHEN (FALSE) EXECUTE FUNCTION tr_issuers_node()": "WHEN (false)",
    "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
    " CREATE TRIGGER aside BEFORE INSERT ON revocations FOR EACH ROW EXECUTE FUNCTION"
    " swallow()": "the trigger 'aside' of the table 'revocations' is none of homeca's",
    "CREATE RULE aside AS ON INSERT TO revocations DO INSTEAD NOTHING": "the rule 'aside'",
    'CREATE RULE "A ""b" AS ON DELETE TO ledger DO INSTEAD NOTHING': "is none of homeca's",
    "DROP INDEX uq_certificates_serial": "which keeps rows apart, is gone",
    "DROP INDEX ix_ledger_serial": "the index 'ix_ledger_serial' of the table 'ledger' is gone",
    "CREATE UNIQUE INDEX one_each ON certificates (profile)": "'one_each'",
    "CREATE INDEX odd ON certificates (length(serial))": "'odd'",
    "ALTER TABLE crls DROP CONSTRAINT ck_crls_number,"
    " ADD CONSTRAINT ck_crls_number CHECK (number > -1)": "'ck_crls_number'",
    "ALTER TABLE nodes DROP CONSTRAINT uq_nodes_identity": "keeps rows apart, is gone",
    "ALTER TABLE custody DROP CONSTRAINT fk_custody_node_id": "'fk_custody_node_id'",
    "ALTER TABLE custody DROP CONSTRAINT fk_custody_node_id, ADD CONSTRAINT fk_custody_node_id"
    " FOREIGN KEY (node_id) REFERENCES nodes (id) NOT VALID": "NOT VALID",
    "ALTER TABLE ledger ADD CONSTRAINT fewer CHECK (seq < 9)": "'fewer'",
}  # fmt: skip

SWALLOWING = re.compile("swallow|TO revocations DO INSTEAD NOTHING")

#: The same for what a statement does not bring back.
MENDED_BY_HAND = {
    "ALTER TABLE revocations SET UNLOGGED": "but 'UNLOGGED TABLE'",
    "ALTER TABLE crls ENABLE ROW LEVEL SECURITY": "WITH ROW LEVEL SECURITY",
    "ALTER TABLE crls ALTER COLUMN sha256 SET DEFAULT ''": "the column 'sha256'",
    "ALTER TABLE crls ALTER COLUMN reserved_at DROP NOT NULL": "the column 'reserved_at'",
    "ALTER TABLE ledger DISABLE TRIGGER ALL": "'tr_ledger_change'",
    "ALTER TABLE revocations DISABLE TRIGGER ALL": "'fk_revocations_serial_issuer_id'",
    "CREATE TABLE more () INHERITS (revocations)": "the child 'more' of the table 'revocations'",
    "ALTER TABLE nodes ADD COLUMN extra text": "the column 'extra' of the table 'nodes' is none",
    "ALTER TABLE nodes ALTER COLUMN name TYPE varchar(9)": "but 'character varying(9) NOT NULL'",
}


def changed(place: str) -> tuple[Fault, ...]:
    with closing(open_store(place)) as store:
        return store.changed_rules()


@pytest.mark.parametrize("script", [one for one in MENDED_BY_SQL if SWALLOWING.search(one)])
def test_a_revocation_that_the_database_swallows_is_not_called_recorded(
    postgresql: Cluster, store: SqlStore, place: str, script: str
) -> None:
    issuer = active_issuer(store)
    issue(store, issuer, 1)
    before = len(list(store.ledger()))
    postgresql.run(script, name_of(place))
    with pytest.raises(StoreError, match=r"swallows|cannot perform INSERT"):
        store.revoke(issuer, Serial(1), revocation(), entry=entry_of(1))
    assert len(list(store.ledger())) == before


def said(found: tuple[Fault, ...]) -> str:
    return "; ".join(fault.text for fault in found)


@pytest.mark.parametrize(("script", "words"), MENDED_BY_SQL.items())
def test_a_changed_rule_is_said_and_its_remedy_mends_it(
    postgresql: Cluster, place: str, script: str, words: str
) -> None:
    postgresql.run(script, name_of(place))
    (fault,) = changed(place)
    assert words in fault.text
    before, _, statements = fault.remedy.partition(", and there: ")
    assert "psql" in before
    postgresql.run(statements, name_of(place))
    assert changed(place) == ()


@pytest.mark.parametrize(("script", "words"), MENDED_BY_HAND.items())
def test_a_changed_table_is_said(postgresql: Cluster, place: str, script: str, words: str) -> None:
    postgresql.run(script, name_of(place))
    assert words in said(changed(place))


def test_a_namesake_that_the_search_path_puts_before_ours_is_said(
    postgresql: Cluster, place: str
) -> None:
    postgresql.run("CREATE SCHEMA aside", name_of(place))
    postgresql.run("CREATE VIEW aside.revocations AS TABLE public.revocations", name_of(place))
    postgresql.run(
        f'ALTER DATABASE "{name_of(place)}" SET search_path = public, aside', name_of(place)
    )
    assert changed(place) == ()
    postgresql.run("ALTER TABLE revocations RENAME TO elsewhere", name_of(place))
    assert "the table 'revocations' is not as homeca made it, but 'VIEW" in said(changed(place))


def test_that_no_trigger_fires_is_said(postgresql: Cluster, place: str) -> None:
    name = name_of(place)
    postgresql.run(f'ALTER DATABASE "{name}" SET session_replication_role = replica', name)
    assert "session_replication_role is 'replica'" in said(changed(place))


def test_what_an_administrator_adds_for_speed_or_safety_is_nothing(
    postgresql: Cluster, place: str
) -> None:
    for statement in (
        "CREATE INDEX mine ON certificates USING btree (subject, created_at DESC)",
        "CREATE INDEX mine_too ON certificates (subject text_pattern_ops) INCLUDE (state)",
        "ALTER TABLE ledger ENABLE ALWAYS TRIGGER tr_ledger_delete",
        "CREATE VIEW of_mine AS SELECT subject FROM certificates",
        "CREATE TABLE besides (certificate_id integer REFERENCES certificates (id))",
        "ANALYZE",
        "ALTER TABLE certificates SET (fillfactor = 90)",
        "REINDEX TABLE certificates",
        "CLUSTER certificates USING pk_certificates",
    ):
        postgresql.run(statement, name_of(place))
    assert changed(place) == ()


@pytest.mark.parametrize("older", OLDER)
def test_a_record_of_any_older_revision_has_the_rules_of_a_new_one(
    postgresql: Cluster, older: str
) -> None:
    url = postgresql.create(f"revision_{older}")
    at_revision(url, older)
    assert changed(url) == ()
    postgresql.drop(f"revision_{older}")


def test_a_dump_that_was_restored_has_them(
    postgresql: Cluster, store: SqlStore, place: str
) -> None:
    issue(store, active_issuer(store), 1, 2, 3)
    url = postgresql.create("from_dump")
    dump = subprocess.run(
        [program("pg_dump"), "--format=custom", place],
        capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    subprocess.run(
        [program("pg_restore"), "--dbname", url],
        input=dump.stdout, check=True, timeout=60,
    )  # fmt: skip
    with closing(open_store(url)) as restored:
        assert restored.faults() == ()
        assert len(list(restored.ledger())) == len(list(store.ledger()))
    postgresql.drop("from_dump")
