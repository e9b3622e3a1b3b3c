"""The store's own suite on PostgreSQL: every test but those of SQLite's files and locks."""

from __future__ import annotations

from tests.postgresql.suites import suite_of
from tests.store import (
    test_crls,
    test_issuers,
    test_listing,
    test_races,
    test_revocations,
    test_serials,
)

globals().update(suite_of(test_crls))
globals().update(suite_of(test_issuers))
globals().update(suite_of(test_listing))
globals().update(suite_of(test_revocations))
globals().update(suite_of(test_serials))
globals().update(
    # the file itself; here the tables are made in an empty database (`test_schema`)
    suite_of(test_races, but=["test_a_store_created_by_several_at_once_is_whole"])
)
