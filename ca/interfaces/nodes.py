"""The machines that issue from one record, each with a TPM of its own."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from ca.interfaces.custody import Custody


class Node(Struct, frozen=True, kw_only=True):
    """One home that works on a record it shares with others, each with its own TPM and issuers.

    identity: 32 hex digits, drawn when the home was made; "" for a home that holds no key.
    name:     the machine's, for people; two nodes may have the same.
    """

    identity: str
    name: str

    @property
    def label(self) -> str:
        return f"{self.name} ({self.identity[:8]})"


class NodeRecord(Node, frozen=True, kw_only=True):
    """A node as the record knows it.

    is_here:      the one that asks. custody: where its keys live, None before its first.
    open_serials: signatures it has begun and not ended; open_since: the oldest of them.
    """

    joined_at: datetime
    is_here: bool
    custody: Custody | None
    open_serials: int
    open_since: datetime | None
