"""One process that times batches against bare signatures of the same key, turn by turn.

python -m bench.batch HOME TCTI ROUNDS REQUEST...   prints JSON, one entry a round

What a batch does is all that `homeca sign` does between its start and its end: read, parse,
decide, build, lint, record, sign, verify, record, write the file. A bare signature is one
TPM2_Sign over a digest, in the same kind of salted session, with nothing kept.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.homeca import PROFILE
from ca.encoding.containers import pem, read_request
from ca.encoding.requests import parse_request
from ca.files import PUBLIC_FILE, write_whole
from ca.interfaces import Secret
from ca.policy import Wishes
from ca.services.facility import Authority, Facility, authorities, signing_authority
from ca.services.issuance import Issuance, Issued, Order
from ca.wiring import Opening, open_facility


def _no_pin(key: str) -> Secret:
    raise SystemExit(f"error: {key} has a PIN")


def _sign_all(facility: Facility, authority: Authority, requests: Sequence[Path]) -> float:
    """Seconds for all of them, from the first read to the last certificate's file."""
    began = time.perf_counter()
    issuance = Issuance(facility)
    now = facility.clock()
    prepared = [
        issuance.prepare(
            Order(
                source=str(path),
                request=parse_request(read_request(path.read_bytes())),
                profile=PROFILE,
                wishes=Wishes(),
            ),
            authority,
            now=now,
        )
        for path in requests
    ]
    issued = 0
    for outcome in issuance.issue(prepared):
        if not isinstance(outcome, Issued):
            raise outcome.error
        bundle = b"".join(pem("CERTIFICATE", der) for der in (outcome.der, *outcome.chain))
        path = Path(outcome.prepared.order.source).with_suffix(".crt")
        write_whole(path, bundle, mode=PUBLIC_FILE)
        issued += 1
    if issued != len(requests):
        raise SystemExit("error: the batch is not complete")
    return time.perf_counter() - began


def _sign_bare(facility: Facility, authority: Authority, count: int) -> float:
    """Seconds for that many signatures alone, the key being loaded."""
    with facility.key_of(authority.issuer) as signer:
        octets = hashlib.sha256(b"bench").digest()
        signer.sign(octets)
        began = time.perf_counter()
        for _ in range(count):
            signer.sign(octets)
        return time.perf_counter() - began


def main() -> int:
    home, tcti, rounds, *paths = sys.argv[1:]
    requests = [Path(path) for path in paths]
    size = len(requests) // int(rounds)
    opening = Opening(home=Path(home), tcti=tcti, pin=_no_pin, on_wait=print)
    with open_facility(opening, on_settled=print) as facility:
        authority = signing_authority(authorities(facility.store))
        told = []
        for start in range(0, len(requests), size):
            bare = _sign_bare(facility, authority, size)
            batch = _sign_all(facility, authority, requests[start : start + size])
            told.append({"bare": bare, "batch": batch, "count": size})
    print(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
