"""kill -9 at every step, and several commands at once, with the record in PostgreSQL."""

from __future__ import annotations

from tests.faults import test_concurrency, test_killed
from tests.postgresql.suites import suite_of

globals().update(suite_of(test_concurrency))
globals().update(suite_of(test_killed))
