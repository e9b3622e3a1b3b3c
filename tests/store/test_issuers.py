"""Custody and issuers."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ca.errors import CeremonyRefused, NotFound, StateConflict
from ca.interfaces.custody import Custody, CustodyKind
from ca.interfaces.issuing import IssuerDraft, IssuerState, Role
from ca.interfaces.values import Serial
from ca.store.repository import SqlStore
from tests.store.making import DAY, LIFE, NOW, active_issuer, draft, intent

TPM = Custody(
    kind=CustodyKind.SOFTWARE_TPM,
    tcti="embedded",
    manufacturer="IBM",
    model="SW   TPM",
    firmware="8217.4131.22.13878",
    srk_public=b"\x00\x5a public area",
)


def test_a_new_store_is_bound_to_no_tpm(store: SqlStore) -> None:
    assert store.custody() is None


def test_custody_comes_back_as_it_was_recorded(store: SqlStore) -> None:
    store.record_custody(TPM, at=NOW)
    assert store.custody() == TPM


def test_the_newest_custody_holds(store: SqlStore) -> None:
    store.record_custody(TPM, at=NOW)
    store.record_custody(replace(TPM, kind=CustodyKind.HARDWARE_TPM), at=NOW + DAY)
    found = store.custody()
    assert found is not None
    assert found.kind is CustodyKind.HARDWARE_TPM


def test_a_begun_issuer_is_pending_and_has_no_key(store: SqlStore) -> None:
    issuer = store.begin_issuer(draft(), at=NOW)
    assert (issuer.state, issuer.has_key, issuer.certificate) == (IssuerState.PENDING, False, None)
    assert store.issuers() == (issuer,)


def test_an_issuer_comes_back_with_all_its_ceremony_gave_it(store: SqlStore) -> None:
    made = replace(draft(), crl_url="http://ca.home.arpa/root.crl", issuer_url="http://ca/r.cer")
    root = store.begin_issuer(made, at=NOW)
    store.record_issuer_key(root.id, spki=b"spki", key_kind="ec-p384", key_file="keys/root.tss")
    store.activate_issuer(
        root.id, parent_id=None, certificate=b"der", serial=Serial(2**158 + 9), validity=LIFE
    )
    assert store.issuers() == (
        replace(
            root,
            state=IssuerState.ACTIVE,
            key_kind="ec-p384",
            key_file="keys/root.tss",
            spki=b"spki",
            certificate=b"der",
            serial=Serial(2**158 + 9),
            not_before=LIFE.not_before,
            not_after=LIFE.not_after,
        ),
    )


@pytest.mark.parametrize(
    ("second", "rule"),
    [
        (draft("root-2"), "issuer.root-exists"),
        (draft("root", role=Role.INTERMEDIATE, subject="CN=other"), "issuer.slug-taken"),
        (draft("x", role=Role.INTERMEDIATE, subject="CN=Home root"), "issuer.subject-taken"),
        (draft("x", role=Role.INTERMEDIATE, subject="CN=home  ROOT"), "issuer.subject-taken"),
    ],
)
def test_a_second_issuer_like_the_first_is_refused(
    store: SqlStore, second: IssuerDraft, rule: str
) -> None:
    store.begin_issuer(draft(), at=NOW)
    with pytest.raises(CeremonyRefused) as refused:
        store.begin_issuer(second, at=NOW)
    assert [violation.rule for violation in refused.value.violations] == [rule]
    assert len(store.issuers()) == 1


def test_every_reason_against_an_issuer_is_named_at_once(store: SqlStore) -> None:
    store.begin_issuer(draft(), at=NOW)
    with pytest.raises(CeremonyRefused) as refused:
        store.begin_issuer(draft(), at=NOW)
    assert len(refused.value.violations) == 3


def test_an_abandoned_issuer_gives_its_name_free_and_is_not_shown(store: SqlStore) -> None:
    first = store.begin_issuer(draft(), at=NOW)
    store.set_issuer_state(first.id, IssuerState.ABANDONED)
    assert store.issuers() == ()
    assert store.begin_issuer(draft(), at=NOW).id != first.id


def test_abandoned_intermediates_still_count(store: SqlStore) -> None:
    store.begin_issuer(draft(), at=NOW)
    first = store.begin_issuer(draft("intermediate-1", role=Role.INTERMEDIATE), at=NOW)
    store.set_issuer_state(first.id, IssuerState.ABANDONED)
    store.begin_issuer(draft("intermediate-2", role=Role.INTERMEDIATE), at=NOW)
    assert store.count_intermediates() == 2


def test_a_key_is_given_once(store: SqlStore) -> None:
    root = store.begin_issuer(draft(), at=NOW)
    store.record_issuer_key(root.id, spki=b"first", key_kind="ec-p256", key_file="a")
    with pytest.raises(StateConflict):
        store.record_issuer_key(root.id, spki=b"second", key_kind="ec-p256", key_file="b")
    assert store.issuers()[0].spki == b"first"


def test_a_certificate_is_given_once(store: SqlStore, issuer: int) -> None:
    with pytest.raises(StateConflict):
        store.activate_issuer(
            issuer, parent_id=None, certificate=b"other", serial=Serial(2), validity=LIFE
        )
    assert store.issuers()[0].certificate == b"der"


@pytest.mark.parametrize("state", [s for s in IssuerState if s is not IssuerState.RETIRED])
def test_an_active_issuer_can_only_retire(store: SqlStore, issuer: int, state: IssuerState) -> None:
    with pytest.raises(StateConflict):
        store.set_issuer_state(issuer, state)
    assert store.issuers()[0].state is IssuerState.ACTIVE


@pytest.mark.parametrize("state", list(IssuerState))
def test_a_retired_issuer_stays_retired(store: SqlStore, issuer: int, state: IssuerState) -> None:
    store.set_issuer_state(issuer, IssuerState.RETIRED)
    with pytest.raises(StateConflict):
        store.set_issuer_state(issuer, state)
    assert store.issuers()[0].state is IssuerState.RETIRED


def test_a_retired_issuer_takes_no_new_serials(store: SqlStore, issuer: int) -> None:
    store.set_issuer_state(issuer, IssuerState.RETIRED)
    with pytest.raises(StateConflict):
        store.record_intents([intent(issuer, 7)], at=NOW)
    with pytest.raises(StateConflict):
        store.reserve(issuer, Serial(7), subject="CN=x", at=NOW)
    assert store.by_serial(Serial(7)) == ()


def test_a_retired_issuer_still_numbers_its_crls(store: SqlStore, issuer: int) -> None:
    store.set_issuer_state(issuer, IssuerState.RETIRED)
    assert store.reserve_crl_number(issuer, at=NOW) == 1


def test_an_issuer_that_does_not_exist_is_named(store: SqlStore) -> None:
    with pytest.raises(NotFound, match="77"):
        store.set_issuer_state(77, IssuerState.RETIRED)
    with pytest.raises(NotFound, match="77"):
        store.record_intents([intent(77, 7)], at=NOW)


def test_an_intermediate_stands_beside_its_root(store: SqlStore, issuer: int) -> None:
    below = active_issuer(store, draft("intermediate-1", role=Role.INTERMEDIATE))
    assert [(i.id, i.slug) for i in store.issuers()] == [
        (issuer, "root"),
        (below, "intermediate-1"),
    ]
