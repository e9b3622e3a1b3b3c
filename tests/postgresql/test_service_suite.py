"""The services' own suite on PostgreSQL: every test but those that reach into SQLite's file."""

from __future__ import annotations

from tests.postgresql.suites import suite_of
from tests.services import (
    test_ceremony,
    test_crl_verification,
    test_foreign_root,
    test_issuance,
    test_revocation,
    test_sign_command,
    test_standing,
    test_trust,
    test_verification,
)

globals().update(suite_of(test_ceremony))
globals().update(suite_of(test_crl_verification))
globals().update(suite_of(test_foreign_root))
globals().update(suite_of(test_issuance))
globals().update(suite_of(test_revocation))
globals().update(suite_of(test_sign_command))
globals().update(suite_of(test_standing))
globals().update(suite_of(test_trust))
globals().update(suite_of(test_verification))
