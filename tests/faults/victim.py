"""A homeca that kills itself with SIGKILL: `python -m tests.faults.victim HOME ACT POINT`.

POINT: "store.METHOD.before", "store.METHOD.after", "tpm.CODE.before", "tpm.CODE.after".
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import structs

from ca.interfaces.store import CertificateStore
from ca.keys.tpm.link import Link, command_code
from ca.services.ceremony.intermediate import init_intermediate
from ca.services.ceremony.root import init_root
from ca.services.crl.cutting import cut_crls
from tests.services.rig import CRL_DAYS, PLAN, Hands, Rig, issue, order


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DyingStore:
    """The real store, and the end of the process before or after one of its methods."""

    def __init__(self, store: CertificateStore, method: str, when: str) -> None:
        self._store, self._method, self._when = store, method, when

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._store, name)
        if name != self._method:
            return real

        def dying(*args: Any, **kwargs: Any) -> Any:
            if self._when == "before":
                die()
            real(*args, **kwargs)
            die()

        return dying


class DyingLink:
    """The real TPM, and the end of the process before or after it does one command."""

    def __init__(self, inner: Link, code: int, when: str) -> None:
        self.name, self.is_ours = inner.name, inner.is_ours
        self._inner, self._code, self._when = inner, code, when
        self._now = 0

    def send(self, command: bytes) -> None:
        self._now = command_code(command)
        if self._now == self._code and self._when == "before":
            die()
        self._inner.send(command)

    def receive(self, seconds: float) -> bytes:
        answer = self._inner.receive(seconds)
        if self._now == self._code:
            die()
        return answer

    def close(self, *, orderly: bool) -> None:
        self._inner.close(orderly=orderly)


def main(home: str, act: str, point: str) -> None:
    rig = Rig(Path(home), Hands(datetime.now(UTC).replace(microsecond=0)))
    place, what, when = point.split(".")
    around: Any = (lambda link: DyingLink(link, int(what, 16), when)) if place == "tpm" else None
    store: Any = (lambda real: DyingStore(real, what, when)) if place == "store" else None
    options = {key: value for key, value in (("around", around), ("store", store)) if value}
    with rig.facility(create=act == "init-root", **options) as facility:
        if act == "sign":
            issue(facility, order("a"), order("b"))
        elif act == "init-root":
            init_root(PLAN, facility)
        elif act == "init-intermediate":
            init_intermediate(structs.replace(PLAN, days=1000), facility)
        elif act == "crl":
            list(cut_crls(facility, days=CRL_DAYS))
    print("survived")


if __name__ == "__main__":
    main(*sys.argv[1:])
