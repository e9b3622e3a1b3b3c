"""Homes that keep their record in PostgreSQL, alone or several on one."""

from __future__ import annotations

from pathlib import Path

from ca.algorithms import EC_P256
from ca.encoding.requests import parse_request
from ca.services.ceremony.foreign_root import accept_intermediate, request_intermediate
from ca.services.ceremony.intermediate import certify_foreign_intermediate
from ca.services.ceremony.plan import Plan
from ca.services.facility import authorities, root_of
from tests.services.rig import Rig

NEXT = Plan(name="Rig", kind=EC_P256, days=1825)


def home_at(path: Path, url: str) -> Path:
    """A home, existing or not, that keeps its record there."""
    path.mkdir(mode=0o700, exist_ok=True)
    (path / "homeca.toml").write_text(f'database = "{url}"\n')
    return path


def join(first: Rig, second: Rig) -> None:
    """The three steps that give a second node its own intermediate under the first one's root."""
    with second.facility(create=True) as facility:
        _, request = request_intermediate(NEXT, facility)
    with first.facility() as facility:
        signed = certify_foreign_intermediate(parse_request(request), NEXT, facility)
        root = root_of(authorities(facility.store)).issuer
    with second.facility() as facility:
        accept_intermediate([signed.certificate or b"", root.certificate or b""], facility)
