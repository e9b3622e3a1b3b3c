"""What published lists know goes back into a record that is taken for true.

A copy of the database that was put back forgets revocations, and the next CRL would overwrite the
only files that still tell of them (reliability L19).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from ca.encoding.facts import CrlFacts
from ca.encoding.inspect import read_crl
from ca.errors import EncodingError
from ca.home import Home
from ca.interfaces.store import CertificateStore
from ca.services.backup.forgotten import Forgotten, say_again
from ca.services.backup.restoring import NUMBERS_LEFT_OUT
from ca.services.crl.files import lists_in
from ca.services.trust import is_list_of


def own_lists(home: Home, store: CertificateStore) -> tuple[CrlFacts, ...]:
    """Every list in crl/ of an issuer of this record; a file that holds none says nothing."""
    paths = sorted(home.crl.iterdir()) if home.crl.is_dir() else []
    ders: dict[bytes, bytes] = {}
    for path in paths:
        if path.is_file() and path.suffix in (".pem", ".crl"):
            ders |= lists_in(path)
    found = []
    for der in ders.values():
        try:
            facts = read_crl(der)
        except EncodingError:
            continue
        found.append(facts)
    return of_this_record(found, store)


def of_this_record(lists: Iterable[CrlFacts], store: CertificateStore) -> tuple[CrlFacts, ...]:
    """Those that an issuer of this record signed.

    Those of a root abroad tell of certificates that were never in it.
    """
    issuers = [one for one in store.issuers() if one.certificate and not one.is_abroad]
    return tuple(facts for facts in lists if any(is_list_of(facts, issuer) for issuer in issuers))


def record_again(
    known: Forgotten, lists: Sequence[CrlFacts], store: CertificateStore, *, at: datetime
) -> None:
    """The revocations with their dates; CRL numbers go on far above the lists that are out there.

    What was done before a crash is not among `known` the next time. Raises: StoreError.
    """
    say_again(known, store, at=at)
    for issuer in store.issuers():
        if not issuer.has_key:
            continue
        own = [facts.tbs.number or 0 for facts in lists if is_list_of(facts, issuer)]
        highest = max((trace.number for trace in store.crl_history(issuer.id)), default=0)
        if max(own, default=0) > highest:
            left_out = max(own) - highest + NUMBERS_LEFT_OUT
            store.skip_crl_numbers(issuer.id, left_out, at=at)
