"""What is PostgreSQL's own: its rules, its refusals, and what homeca asks of a server."""

from __future__ import annotations

import threading
import time
from contextlib import closing, suppress

import psycopg
import pytest
from sqlalchemy import URL, make_url

from ca.errors import (
    HomeMissing,
    SchemaMismatch,
    SettingsMalformed,
    StateConflict,
    StoreLocked,
    StoreNotDurable,
    StoreRolledBack,
    StoreUnreachable,
    StoreUnwritable,
)
from ca.interfaces.custody import Custody, CustodyKind
from ca.interfaces.issuing import CertificateQuery, IssuerState, Role, State
from ca.interfaces.ledger import LedgerEvent
from ca.interfaces.nodes import Node
from ca.interfaces.revocation import Reason
from ca.interfaces.values import Serial
from ca.store.engine import connect
from ca.store.migrate import differences
from ca.store.repository import SqlStore, open_store
from ca.store.schema import REVISION, revision
from tests.postgresql.cluster import Cluster, cluster
from tests.store.making import (
    NOW,
    active_issuer,
    draft,
    entry_of,
    intent,
    issue,
    listed,
    revocation,
    revoke,
)
from tests.store.test_ledger import fill
from tests.store.test_races import race

TPM = Custody(
    kind=CustodyKind.SOFTWARE_TPM,
    tcti="embedded",
    manufacturer="IBM",
    model="SW TPM",
    firmware="1",
    srk_public=b"srk",
)
TABLES = (
    "nodes",
    "custody",
    "profiles",
    "issuers",
    "certificates",
    "revocations",
    "crls",
    "ledger",
)


def name_of(place: str) -> str:
    return str(make_url(place).database)


@pytest.fixture
def full(store: SqlStore, issuer: int) -> SqlStore:
    """A record with a row of nearly everything."""
    issue(store, issuer, 1, 2)
    revoke(store, issuer, 1)
    store.reserve_crl_number(issuer, at=NOW)
    return store


# ---------------------------------------------------------------- tables and rules


def test_the_migrations_make_exactly_the_tables(place: str) -> None:
    database = connect(place)
    with closing(database), database.read() as connection:
        assert differences(connection) == []
    assert revision(database) == REVISION


def test_another_column_would_be_noticed(postgresql: Cluster, place: str) -> None:
    postgresql.run("ALTER TABLE issuers ADD COLUMN extra TEXT", name_of(place))
    database = connect(place)
    with closing(database), database.read() as connection:
        assert differences(connection) != []


@pytest.mark.parametrize("processes", [2, 6])
def test_a_store_created_by_several_at_once_is_whole(postgresql: Cluster, processes: int) -> None:
    name = f"at_once_{processes}"
    url = postgresql.create(name)
    said = race(*[["create", url, "0"]] * processes)
    assert said == ["created"] * processes
    with closing(open_store(url)) as store:
        assert store.issuers() == ()
        assert [entry.event for entry in store.ledger()].count("begun") == 1
    postgresql.drop(name)


def test_an_empty_database_is_no_record(postgresql: Cluster) -> None:
    url = postgresql.create("nothing_here")
    with pytest.raises(HomeMissing, match="empty"):
        open_store(url)
    assert postgresql.run("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'",
                          "nothing_here") == [(0,)]  # fmt: skip


def test_a_database_of_something_else_is_left_alone(postgresql: Cluster) -> None:
    url = postgresql.create("of_others")
    postgresql.run("CREATE TABLE guests (name TEXT)", "of_others")
    with pytest.raises(SchemaMismatch, match="guests"):
        open_store(url, create=True)


@pytest.mark.parametrize("revision", ["ab12cd34", REVISION])
def test_a_database_of_another_program_that_uses_alembic_is_left_alone(
    postgresql: Cluster, revision: str
) -> None:
    name = f"of_{revision}"
    url = postgresql.create(name)
    postgresql.run("CREATE TABLE users ()", name)
    postgresql.run(f"CREATE TABLE alembic_version AS SELECT '{revision}' AS version_num", name)
    for create in (False, True):
        with pytest.raises(SchemaMismatch, match="not homeca's: it holds 'users'"):
            open_store(url, create=create)
    postgresql.drop(name)


@pytest.mark.parametrize("table", TABLES)
def test_no_row_is_deleted_or_truncated(
    postgresql: Cluster, full: SqlStore, place: str, table: str
) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="nothing is deleted"):
        postgresql.run(f"TRUNCATE {table} CASCADE", name_of(place))
    delete = f"DELETE FROM {table}"  # noqa: S608  # a name of the list above
    if postgresql.run(f"TABLE {table}", name_of(place)):
        with pytest.raises(psycopg.errors.CheckViolation, match="nothing is deleted"):
            postgresql.run(delete, name_of(place))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE certificates SET tbs = 'x' WHERE state = 'issued'",
        "UPDATE certificates SET state = 'reserved' WHERE state = 'issued'",
        "UPDATE revocations SET ended_at = now()",
        "UPDATE revocations SET reason = 'certificateHold'",
        "UPDATE revocations SET reason = 'keyCompromise', revoked_at = now()",
        "UPDATE ledger SET event = 'revoked' WHERE seq = 1",
        "UPDATE issuers SET subject_der = 'x'",
        "UPDATE issuers SET node_id = 1",
        "UPDATE profiles SET text = ''",
    ],
)
def test_nothing_is_taken_back(
    postgresql: Cluster, full: SqlStore, place: str, statement: str
) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        postgresql.run(statement, name_of(place))


def test_a_rule_that_is_gone_is_a_fault(postgresql: Cluster, full: SqlStore, place: str) -> None:
    assert full.faults() == ()
    postgresql.run("DROP TRIGGER tr_ledger_delete ON ledger", name_of(place))
    assert any("tr_ledger_delete" in fault.text for fault in full.faults())


def test_hostile_text_is_kept_and_found(store: SqlStore, issuer: int) -> None:
    odd = "CN=\0\udcff'; DROP TABLE certificates; --"
    store.record_intents([intent(issuer, 7, subject=odd)], at=NOW)
    (row,) = store.certificates(CertificateQuery(text="DROP TABLE"))
    assert row.serial == 7
    assert "\0" not in row.subject


# ---------------------------------------------------------------- what a server must do


def test_a_session_has_the_durable_settings_whatever_the_role_prefers(
    postgresql: Cluster, place: str
) -> None:
    database = name_of(place)
    for setting in (
        "synchronous_commit = off",
        "timezone = 'Asia/Tokyo'",
        "default_transaction_isolation = 'serializable'",
        "default_transaction_read_only = on",
    ):
        postgresql.run(f'ALTER DATABASE "{database}" SET {setting}')
    with closing(open_store(place)) as store, store._database.write() as connection:
        for name, wanted in (
            ("synchronous_commit", "on"),
            ("timezone", "UTC"),
            ("transaction_isolation", "read committed"),
            ("transaction_read_only", "off"),
            ("lock_timeout", "30s"),
        ):
            assert connection.exec_driver_sql(f"SHOW {name}").scalar_one() == wanted


def test_options_in_the_url_are_kept(postgresql: Cluster, place: str) -> None:
    postgresql.run("CREATE SCHEMA own", name_of(place))
    url = f"{place}&options=-c%20search_path%3Down"
    open_store(url, create=True).close()
    found = postgresql.run(
        "SELECT count(*) FROM pg_tables WHERE schemaname = 'own'", name_of(place)
    )
    assert found == [(len(TABLES) + 1,)]


@pytest.mark.parametrize(
    "setting",
    ["statement_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout"],
)
def test_a_timeout_that_an_administrator_sets_for_others_ends_no_command(
    postgresql: Cluster, place: str, setting: str
) -> None:
    postgresql.run(f"ALTER DATABASE \"{name_of(place)}\" SET {setting} = '20ms'")
    with closing(open_store(place)) as store, store._database.write() as connection:
        connection.exec_driver_sql("SELECT pg_sleep(0.06)")
        time.sleep(0.06)
        assert connection.exec_driver_sql(f"SHOW {setting}").scalar_one() == "0"


def test_the_encoding_that_a_shell_names_is_not_used(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    with closing(open_store(place)) as store:
        issuer = active_issuer(store)
        store.record_intents([intent(issuer, 7, subject="CN=Łódź 東京")], at=NOW)
        assert [row.subject for row in store.by_serial(Serial(7))] == ["CN=Łódź 東京"]


def test_a_server_that_does_not_write_through_is_refused() -> None:
    with cluster(fsync="off") as careless:
        url = careless.create("careless")
        with pytest.raises(StoreNotDurable, match="fsync"):
            open_store(url, create=True)


def test_a_database_that_cannot_hold_every_name_is_refused(postgresql: Cluster) -> None:
    postgresql.run("CREATE DATABASE latin TEMPLATE template0 ENCODING LATIN1 LOCALE 'C'")
    with pytest.raises(SettingsMalformed, match="LATIN1"):
        open_store(postgresql.url("latin"), create=True)
    postgresql.run("CREATE DATABASE bytes TEMPLATE template0 ENCODING SQL_ASCII LOCALE 'C'")
    with pytest.raises(SettingsMalformed, match="SQL_ASCII"):
        open_store(postgresql.url("bytes"), create=True)


# ---------------------------------------------------------------- refusals


def test_a_server_that_is_not_there_is_named_with_its_remedy() -> None:
    with pytest.raises(StoreUnreachable, match="cannot be reached") as refused:
        open_store("postgresql://ca:hunter2@127.0.0.1:1/homeca")
    assert "pg_isready" in refused.value.remedy
    assert "hunter2" not in f"{refused.value.problem} {refused.value.remedy}"
    assert "\n" not in refused.value.problem


def test_a_wrong_password_is_said_and_not_shown(postgresql: Cluster, place: str) -> None:
    postgresql.run("CREATE ROLE locked LOGIN PASSWORD 'right'")
    hba = postgresql.directory / "data/pg_hba.conf"
    before = hba.read_text()
    hba.write_text(f"local all locked scram-sha-256\n{before}")
    postgresql.run("SELECT pg_reload_conf()")
    url = make_url(place).set(username="locked", password="hunter2")
    try:
        shown = in_query = ""
        deadline = time.monotonic() + 10
        while "password authentication failed" not in shown and time.monotonic() < deadline:
            shown = refusal(url)
        in_query = refusal(
            url.set(password=None).update_query_dict({"password": "hunter2"}, append=True)
        )
    finally:
        hba.write_text(before)
        postgresql.run("SELECT pg_reload_conf()")
    for text in (shown, in_query):
        assert "password authentication failed" in text
        assert "hunter2" not in text
        assert ".pgpass" in text


def refusal(url: URL) -> str:
    try:
        open_store(url.render_as_string(hide_password=False)).close()
    except StoreUnreachable as error:
        return f"{error.problem} {error.remedy}"
    return ""


def test_a_database_that_is_not_there_is_said(postgresql: Cluster) -> None:
    with pytest.raises(StoreUnreachable, match='"nowhere" does not exist'):
        open_store(postgresql.url("nowhere"), create=True)


def test_a_role_that_may_not_is_told_of_its_rights_and_not_of_a_disk(
    postgresql: Cluster, place: str, issuer: int
) -> None:
    postgresql.run("CREATE ROLE looker LOGIN", name_of(place))
    url = place.replace("postgres@", "looker@")
    try:
        with pytest.raises(StoreUnwritable, match="42501") as refused:
            open_store(url)
        assert "GRANT" in refused.value.remedy
        postgresql.run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO looker", name_of(place))
        with closing(open_store(url)) as store:
            assert len(store.issuers()) == 1
            with pytest.raises(StoreUnwritable, match="does not allow that"):
                store.record_intents([intent(issuer, 7)], at=NOW)
    finally:
        postgresql.run("DROP OWNED BY looker; DROP ROLE looker", name_of(place))


def test_a_server_that_is_read_only_is_told_from_a_full_disk(place: str, store: SqlStore) -> None:
    """As a replica answers, whatever a session asks for."""

    def act() -> None:
        with store._database.write() as connection:
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            connection.exec_driver_sql("UPDATE issuers SET key_file = 'x'")

    with pytest.raises(StoreUnwritable, match="25006") as refused:
        act()
    assert "primary" in refused.value.remedy


def test_a_server_that_is_full_is_not_a_wrong_password(postgresql: Cluster, place: str) -> None:
    postgresql.run(f'ALTER DATABASE "{name_of(place)}" CONNECTION LIMIT 0')
    postgresql.run("CREATE ROLE guest LOGIN")
    try:
        with pytest.raises(StoreUnreachable, match="is full") as refused:
            open_store(place.replace("postgres@", "guest@"))
    finally:
        postgresql.run("DROP ROLE guest")
    assert "max_connections" in refused.value.remedy
    assert "password" not in refused.value.remedy


def test_what_the_server_cancels_is_said_as_that(
    postgresql: Cluster, place: str, store: SqlStore
) -> None:
    def act() -> None:
        with store._database.write() as connection:
            connection.exec_driver_sql("SET LOCAL statement_timeout = '10ms'")
            connection.exec_driver_sql("SELECT pg_sleep(1)")

    with pytest.raises(StoreUnreachable, match="57014") as refused:
        act()
    assert "timeout" in refused.value.remedy


def plant(
    postgresql: Cluster, place: str, code: str, which: str, table: str = "certificates"
) -> None:
    """The server takes transactions that insert back, for the reason `code`.

    which: of them, by their number from 1 on.
    """
    database = name_of(place)
    postgresql.run("CREATE SEQUENCE planted", database)
    postgresql.run(
        "CREATE FUNCTION planted() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN IF coalesce(current_setting('planted.seen', true), '') = '' THEN"
        " PERFORM set_config('planted.seen', 'yes', true);"
        f" IF nextval('planted') {which} THEN RAISE EXCEPTION 'planted' USING ERRCODE = '{code}';"
        " END IF; END IF; RETURN NEW; END $$",
        database,
    )
    postgresql.run(
        f"CREATE TRIGGER planted BEFORE INSERT ON {table} FOR EACH STATEMENT"
        " EXECUTE FUNCTION planted()",
        database,
    )


@pytest.mark.parametrize("code", ["40001", "40P01"])
def test_a_transaction_taken_back_is_tried_again(
    postgresql: Cluster, place: str, store: SqlStore, issuer: int, code: str
) -> None:
    before = store.ledger_end().seq
    plant(postgresql, place, code, "<= 3")
    store.record_intents([intent(issuer, 7)], at=NOW)
    assert [row.serial for row in store.open_serials()] == [7]
    assert store.ledger_end().seq == before + 1, "nothing of the attempts is left"


def test_every_act_that_is_taken_back_once_is_done(
    postgresql: Cluster, place: str, store: SqlStore
) -> None:
    plant(postgresql, place, "40001", "% 2 = 1", "ledger")
    issuer = fill(store)
    issue(store, issuer, 8)
    revoke(store, issuer, 8)
    worse = revocation(Reason.KEY_COMPROMISE)
    store.compromise(issuer, Serial(8), worse, entry=entry_of(8), at=NOW)
    store.skip_crl_numbers(issuer, 5, at=NOW)
    store.set_issuer_state(issuer, IssuerState.RETIRED, at=NOW)
    store.note(LedgerEvent.SETTINGS, {}, at=NOW)
    entries = [entry.seq for entry in store.ledger()]
    assert entries == list(range(1, len(entries) + 1)), "nothing of the attempts is left"


def test_a_transaction_taken_back_again_and_again_is_an_error(
    postgresql: Cluster, place: str, store: SqlStore, issuer: int
) -> None:
    plant(postgresql, place, "40001", "<= 1000")
    with pytest.raises(StoreRolledBack, match="40001"):
        store.record_intents([intent(issuer, 7)], at=NOW)
    assert store.open_serials() == ()


def test_a_full_disk_is_said_and_records_nothing(
    postgresql: Cluster, place: str, store: SqlStore, issuer: int
) -> None:
    before = store.ledger_end().seq
    plant(postgresql, place, "53100", "<= 1")
    with pytest.raises(StoreUnwritable, match="53100"):
        store.record_intents([intent(issuer, 7)], at=NOW)
    assert store.open_serials() == ()
    assert store.ledger_end().seq == before


def test_a_revocation_caught_in_a_deadlock_arrives(
    postgresql: Cluster, place: str, store: SqlStore, issuer: int
) -> None:
    """A real deadlock: somebody with psql holds the revocations and wants the issuer."""
    issue(store, issuer, 7)
    with psycopg.connect(place) as other:
        other.execute("LOCK TABLE revocations IN EXCLUSIVE MODE")
        second = threading.Thread(target=revoke, args=(store, issuer, 7))
        second.start()
        time.sleep(0.3)
        with suppress(psycopg.errors.DeadlockDetected):  # the server chooses whom it takes back
            other.execute("SELECT * FROM issuers FOR UPDATE")
    second.join(timeout=20)
    assert not second.is_alive()
    assert listed(store, issuer) == [7]


def test_a_writer_waits_for_another_and_then_says_so(
    place: str, store: SqlStore, issuer: int
) -> None:
    with closing(open_store(place, patience=0.2)) as hasty, psycopg.connect(place) as other:
        other.execute("SELECT * FROM issuers FOR UPDATE")
        with pytest.raises(StoreLocked, match="55P03"):
            hasty.record_intents([intent(issuer, 7)], at=NOW)
        other.rollback()
        hasty.record_intents([intent(issuer, 7)], at=NOW)


def test_looking_waits_for_nobody(place: str, store: SqlStore, issuer: int) -> None:
    issue(store, issuer, 1)
    with psycopg.connect(place) as other:
        other.execute("SELECT * FROM certificates FOR UPDATE")
        other.execute("SELECT * FROM issuers FOR UPDATE")
        with closing(open_store(place, patience=0.2)) as looking:
            assert looking.counts(at=NOW).valid == 1
            assert [row.serial for row in looking.certificates(CertificateQuery())] == [1]


def test_a_connection_cut_within_an_act_records_nothing_and_the_next_act_goes_on(
    postgresql: Cluster, place: str, store: SqlStore, issuer: int
) -> None:
    cut = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"  # noqa: S608  # made here
        f" WHERE datname = '{name_of(place)}' AND pid <> pg_backend_pid()"
    )

    def act() -> None:
        with store._database.write() as connection:
            connection.exec_driver_sql("UPDATE issuers SET key_file = 'changed'")
            postgresql.run(cut)
            connection.exec_driver_sql("UPDATE issuers SET key_file = 'changed'")

    with pytest.raises(StoreUnreachable):
        act()
    assert store.issuers()[0].key_file != "changed"
    postgresql.run(cut)
    store.record_intents([intent(issuer, 7)], at=NOW)
    assert [row.state for row in store.open_serials()] == [State.INTENDED]


# ---------------------------------------------------------------- several at once


def test_a_profile_first_used_by_several_at_once_stands_once(
    postgresql: Cluster, place: str, store: SqlStore, issuer: int
) -> None:
    said = race(*(["intents", place, str(issuer), str(100 * n), "5"] for n in range(1, 7)))
    assert said == ["recorded"] * 6
    assert postgresql.run("SELECT count(*) FROM profiles", name_of(place)) == [(1,)]


def test_nodes_that_begin_at_once_each_get_their_own_issuer(place: str) -> None:
    nodes = [Node(identity=f"{n:032x}", name="same") for n in range(6)]
    got: dict[str, int] = {}

    def begin(node: Node, number: int) -> None:
        with closing(open_store(place, node=node)) as store:
            made = draft(f"intermediate-{number}", role=Role.INTERMEDIATE)
            got[node.identity] = active_issuer(store, made)

    threads = [threading.Thread(target=begin, args=(node, n)) for n, node in enumerate(nodes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(set(got.values())) == 6
    for node in nodes:
        with closing(open_store(place, node=node)) as store:
            own = [issuer.id for issuer in store.issuers() if not issuer.is_elsewhere]
            assert own == [got[node.identity]]
            assert [one.identity for one in store.nodes() if one.is_here] == [node.identity]


def test_one_home_that_begins_twice_at_once_is_one_node(place: str) -> None:
    node = Node(identity="a" * 32, name="n")

    def begin(number: int) -> None:
        with closing(open_store(place, node=node)) as store:
            store.begin_issuer(draft(f"intermediate-{number}", role=Role.INTERMEDIATE), at=NOW)

    threads = [threading.Thread(target=begin, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    with closing(open_store(place, node=node)) as store:
        assert len(store.nodes()) == 1
        assert [issuer.node for issuer in store.issuers()] == [""] * 6


def test_what_one_node_has_is_not_the_others(place: str) -> None:
    one, other = (Node(identity=f"{n:032x}", name="n") for n in (1, 2))
    with closing(open_store(place, node=one)) as here:
        issuer = active_issuer(here)
        here.record_intents([intent(issuer, 7)], at=NOW)
        here.record_custody(TPM, at=NOW)
        assert here.custody() == TPM
        assert [row.serial for row in here.open_serials()] == [7]
    with closing(open_store(place, node=other)) as there:
        assert [(i.has_key, i.node) for i in there.issuers()] == [(False, one.label)]
        assert there.open_serials() == ()
        assert there.custody() is None
        assert [(n.open_serials, n.custody, n.is_here) for n in there.nodes()] == [(1, TPM, False)]


def test_a_home_without_an_identity_begins_nothing(place: str) -> None:
    watcher = Node(identity="", name="watcher")
    with closing(open_store(place, node=watcher)) as store:
        with pytest.raises(StateConflict, match="no identity"):
            store.begin_issuer(draft(), at=NOW)
        assert store.nodes() == ()
        assert store.issuers() == ()
