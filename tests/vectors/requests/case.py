"""One vector: octets, verdict, reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.vectors.requests.octets import pem


@dataclass(frozen=True, kw_only=True)
class Case:
    """What a file is and what must become of it.

    rules:       exactly the violations a refusal carries; () when the file is not even read.
    says:        words the error or, for a vector that is taken, the notes and warnings hold.
    profile:     "any" takes all names and keys; "server" needs a SAN; "device" is for VPN clients.
    constrained: the issuer is name-constrained to home.arpa, 192.168.0.0/16 and fd00::/8.
    subject, names: what is granted, as text.
    """

    name: str
    area: str
    why: str
    octets: bytes
    taken: bool
    suffix: str = "csr"
    rules: tuple[str, ...] = ()
    says: str = ""
    profile: str = "any"
    constrained: bool = False
    subject: str | None = None
    names: tuple[str, ...] | None = None

    @property
    def file(self) -> str:
        return f"{self.name}.{self.suffix}"

    def as_entry(self) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "file": self.file,
            "area": self.area,
            "verdict": "take" if self.taken else "refuse",
            "why": self.why,
        }
        optional = {
            "rules": list(self.rules),
            "says": self.says,
            "profile": self.profile if self.profile != "any" else "",
            "constrained": self.constrained,
            "subject": self.subject,
            "names": None if self.names is None else list(self.names),
        }
        return entry | {k: v for k, v in optional.items() if v not in ([], "", False, None)}


class Area:
    """Collects the cases of one subject area."""

    def __init__(self, area: str) -> None:
        self.area = area
        self.cases: list[Case] = []

    def take(self, name: str, der: bytes, why: str, **expected: Any) -> None:
        self._add(name, pem("CERTIFICATE REQUEST", der), why, True, expected)

    def refuse(self, name: str, der: bytes, why: str, *rules: str, **expected: Any) -> None:
        expected["rules"] = rules
        self._add(name, pem("CERTIFICATE REQUEST", der), why, False, expected)

    def take_file(self, name: str, octets: bytes, why: str, **expected: Any) -> None:
        self._add(name, octets, why, True, expected)

    def refuse_file(self, name: str, octets: bytes, why: str, **expected: Any) -> None:
        self._add(name, octets, why, False, expected)

    def _add(
        self, name: str, octets: bytes, why: str, taken: bool, expected: dict[str, Any]
    ) -> None:
        self.cases.append(
            Case(name=name, area=self.area, why=why, octets=octets, taken=taken, **expected)
        )
