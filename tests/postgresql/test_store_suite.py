"""The store's own suite on PostgreSQL: every test but those of SQLite's files and locks.

They share a database that is emptied before each, ten times as fast as a new one.
"""

from __future__ import annotations

import pytest

from tests.postgresql.cluster import Cluster
from tests.postgresql.suites import suite_of
from tests.store import (
    test_crls,
    test_issuers,
    test_ledger,
    test_listing,
    test_races,
    test_revocations,
    test_serials,
)

#: What nobody but a superuser can do: as a replica, where no trigger fires.
EMPTY = """
    SET session_replication_role = replica;
    TRUNCATE nodes, custody, profiles, issuers, certificates, revocations, crls RESTART IDENTITY;
    DELETE FROM ledger WHERE seq > 1
"""


@pytest.fixture
def place(postgresql: Cluster, blank: str) -> str:
    postgresql.run(EMPTY, blank)
    return postgresql.url(blank)


globals().update(suite_of(test_crls))
globals().update(suite_of(test_issuers))
globals().update(
    suite_of(
        test_ledger,
        but=[
            # they reach into the file
            "test_a_new_ledger_has_one_entry_with_a_name_of_its_own",
            "test_an_entry_that_cannot_be_written_leaves_no_row",
            "test_a_ledger_without_any_entry_takes_none",
            # records from before the ledger, which PostgreSQL never held
            "old_record",
            "test_what_stood_in_the_record_before_is_adopted_entry_by_entry",
            "test_an_adopted_row_that_is_changed_afterwards_is_noticed",
            "test_an_adopted_record_goes_on",
        ],
    )
)
globals().update(suite_of(test_listing))
globals().update(
    # the plans that SQLite makes
    suite_of(
        test_revocations,
        but=[
            "test_what_a_long_crl_asks_is_answered_in_the_order_of_an_index",
            "test_what_bars_a_key_is_found_through_indexes",
        ],
    )
)
globals().update(suite_of(test_serials))
globals().update(
    # the file itself; here the tables are made in an empty database (`test_database`)
    suite_of(test_races, but=["test_a_store_created_by_several_at_once_is_whole"])
)
