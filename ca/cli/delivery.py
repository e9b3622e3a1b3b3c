"""Certificates as files: written while the TPM signs the next ones, told in their order."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ca.cli.grants import grant_fields
from ca.cli.output import result_file, warn
from ca.errors import HomecaError
from ca.files import PUBLIC_FILE, write_whole
from ca.interfaces.values import Serial, serial_text
from ca.interruption import uninterrupted

if TYPE_CHECKING:
    from ca.services.issuance.issuing import Issued

#: A file waits for the disk twice; syncs that wait together are done together.
_AT_A_TIME = 4


class Delivery:
    """Hand over what was issued and recorded: each a PEM file that appears whole, or stdout.

    documents: what was delivered, as JSON. failures: request and error of what was not.
    Leaving the block waits for every file, whatever ended it; Ctrl-C loses none.
    """

    def __init__(self, targets: Mapping[str, Path | None], *, force: bool, as_json: bool) -> None:
        self.documents: list[dict[str, Any]] = []
        self.failures: list[tuple[str, HomecaError]] = []
        self._begun: set[Serial] = set()
        self._targets = targets
        self._force = force
        self._as_json = as_json
        self._open: deque[tuple[Issued, bytes, Path | None, Future[None] | None]] = deque()
        self._pool = ThreadPoolExecutor(_AT_A_TIME)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with uninterrupted():
            self._pool.shutdown(wait=True)
            self._tell()

    def begin(self, issued: Issued) -> None:
        """Begin to write the certificate and its intermediates; tell of those that are done.

        One that was begun before is left alone.
        """
        with uninterrupted():
            if issued.prepared.serial not in self._begun:
                self._begun.add(issued.prepared.serial)
                self._write(issued)
            self._tell()

    def _write(self, issued: Issued) -> None:
        from ca.encoding.containers import pem

        target = self._targets[issued.prepared.order.source]
        bundle = b"".join(pem("CERTIFICATE", der) for der in (issued.der, *issued.chain))
        writing = (
            None
            if target is None
            else self._pool.submit(
                write_whole, target, bundle, mode=PUBLIC_FILE, replace=self._force
            )
        )
        self._open.append((issued, bundle, target, writing))

    def _tell(self) -> None:
        while self._open and ((writing := self._open[0][3]) is None or writing.done()):
            issued, bundle, target, _ = self._open.popleft()
            try:
                if writing is not None:
                    writing.result()
            except HomecaError as error:  # recorded, and only its file is missing
                serial = serial_text(issued.prepared.serial)
                warn(
                    f"the certificate was issued and is recorded; get it with "
                    f"`homeca show {serial} --pem`"
                )
                self.failures.append((issued.prepared.order.source, error))
            else:
                self._show(bundle, target)
                self.documents.append(grant_fields(issued.prepared, bundle, target))

    def _show(self, bundle: bytes, target: Path | None) -> None:
        if self._as_json:
            return
        if target is not None:
            result_file(target)
            return
        sys.stdout.flush()
        sys.stdout.buffer.write(bundle)
        sys.stdout.buffer.flush()
