"""Several commands of one home at once, with the record in PostgreSQL."""

from __future__ import annotations

from tests.faults import test_concurrency
from tests.postgresql.suites import suite_of

globals().update(suite_of(test_concurrency))
