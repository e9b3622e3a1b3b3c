"""No list leaves that was signed wrongly, or that forgets somebody who is still revoked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from ca.encoding.crl import crl_entry
from ca.errors import LintRefused, SignatureInvalid
from ca.interfaces.issuing import Role
from ca.interfaces.revocation import Reason
from ca.interfaces.store import CertificateStore
from ca.services.crl.cutting import cut_crls
from ca.services.crl.ladder import Shape, shapes
from ca.services.revocation.revoking import revoke
from tests.services.rig import CRL_DAYS, Rig, cut, issue_one, number, serials
from tests.services.test_issuance import Misprinting


def published(rig: Rig) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (rig.path / "crl").iterdir()}


def recorded(rig: Rig) -> list[list[int]]:
    """The numbers of the lists that have octets, by issuer."""
    with rig.facility() as facility:
        return [
            [one.number for one in facility.store.crl_history(issuer.id) if one.sha256 is not None]
            for issuer in facility.store.issuers()
        ]


@pytest.mark.parametrize("ladder", [None, shapes(3, timedelta(days=30))], ids=["one", "ladder"])
def test_a_list_that_was_signed_wrongly_is_neither_recorded_nor_published(
    rig: Rig, ladder: Mapping[Role, Shape] | None
) -> None:
    cut(rig)
    before = published(rig), recorded(rig)
    with rig.facility(custody=Misprinting) as facility, pytest.raises(SignatureInvalid):
        list(cut_crls(facility, days=CRL_DAYS, ladder=ladder))
    assert (published(rig), recorded(rig)) == before
    assert number(cut(rig)) == 2, "the next list is good again"


class Forgetful:
    """A store that leaves one line out of the lists, and knows it whenever it is asked for it."""

    def __init__(self, store: CertificateStore, line: bytes) -> None:
        self._store, self._line = store, line

    def revoked_entries(self, *args: Any, **named: Any) -> Iterator[bytes]:
        for joined in self._store.revoked_entries(*args, **named):
            yield joined.replace(self._line, b"")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@pytest.mark.parametrize("reason", [Reason.SUPERSEDED, Reason.CERTIFICATE_HOLD])
def test_a_list_that_forgets_one_of_those_revoked_is_not_signed(rig: Rig, reason: Reason) -> None:
    rows = [issue_one(rig, name) for name in ("stolen", "sold", "replaced")]
    with rig.facility() as facility:
        for row in rows:
            revoke(row, reason, facility)
    assert serials(cut(rig)) == {row.serial for row in rows}
    before = published(rig)["intermediate-1.crl"], recorded(rig)[1]
    line = crl_entry(rows[0].serial, rig.clock.now, reason)
    with (
        rig.facility(store=lambda store: Forgetful(store, line)) as facility,
        pytest.raises(LintRefused) as refused,
    ):
        list(cut_crls(facility, days=CRL_DAYS))
    assert [one.rule for one in refused.value.violations] == ["L12.no-unexplained-removal"]
    assert (published(rig)["intermediate-1.crl"], recorded(rig)[1]) == before
    assert serials(cut(rig)) == {row.serial for row in rows}
