"""One process that times bare signatures with the key of a home: python -m bench.bare HOME TCTI N

A bare signature is one TPM2_Sign over a digest, in the salted session that `homeca sign` uses,
the key being loaded; nothing is kept. Prints the seconds for all of them.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from ca.interfaces.values import Secret
from ca.services.facility import authorities, signing_authority
from ca.wiring.facility import open_facility
from ca.wiring.opening import Opening


def _no_pin(key: str) -> Secret:
    raise SystemExit(f"error: {key} has a PIN")


def main() -> int:
    home, tcti, count = sys.argv[1:]
    opening = Opening(home=Path(home), tcti=tcti, pin=_no_pin, on_wait=print)
    with open_facility(opening, on_settled=print) as facility:
        authority = signing_authority(authorities(facility.store))
        with facility.key_of(authority.issuer) as signer:
            signer.sign(b"bench")
            began = time.perf_counter()
            for _ in range(int(count)):
                signer.sign(b"bench")
            print(time.perf_counter() - began)
    return 0


if __name__ == "__main__":
    sys.exit(main())
