"""Another process at the same database. Says "ready", waits for a line, acts, tells.

python -m tests.store.worker VERB PLACE ISSUER NUMBER…
"""

from __future__ import annotations

import contextlib
import resource
import sys
from pathlib import Path

from ca.errors import HomecaError
from ca.store.repository import SqlStore, open_store
from tests.store.making import NOW, intent, revoke


def act(verb: str, store: SqlStore, issuer: int, numbers: list[int]) -> str:
    match verb, numbers:
        case "intents", [first, count]:
            batch = [intent(issuer, n) for n in range(first, first + count)]
            store.record_intents(batch, at=NOW)
            return "recorded"
        case "revoke", [serial]:
            revoke(store, issuer, serial)
            return "revoked"
        case "numbers", [count]:
            return " ".join(str(store.reserve_crl_number(issuer, at=NOW)) for _ in range(count))
        case "fill", [first, octets]:
            # the file may not grow beyond `octets`: write(2) fails as on a full disk
            resource.setrlimit(resource.RLIMIT_FSIZE, (octets, octets))
            for n in range(first, first + 10_000):
                store.record_intents([intent(issuer, n)], at=NOW)
            return "never full"
        case "list", []:
            return " ".join(f"{r.serial}" for r in store.open_serials())
    raise SystemExit(f"no such verb: {verb}")


def main(verb: str, path: str, issuer: str, *numbers: str) -> None:
    print("ready", flush=True)
    sys.stdin.readline()
    place = path if "://" in path else Path(path)
    try:
        with contextlib.closing(open_store(place, create=verb == "create")) as store:
            if verb == "create":
                print("created", flush=True)
            else:
                print(act(verb, store, int(issuer), [int(n) for n in numbers]), flush=True)
    except HomecaError as error:
        print(f"{error.code}: {error.problem}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
