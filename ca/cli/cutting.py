"""Cutting CRLs as a person wishes, for every command that does: `crl`, `revoke --crl`, `lost`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from ca.cli.output import day, fields, good, result, warn, when
from ca.cli.selecting import parse_span
from ca.errors import HomecaError, UsageError
from ca.interfaces.issuing import Role
from ca.names.showing import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ca.interfaces.issuing import IssuerRecord
    from ca.services.crl.cutting import Cut
    from ca.services.crl.ladder import Shape
    from ca.services.facility import Facility
    from ca.settings import Settings

#: nextUpdate after thisUpdate. A root's list changes once in years; 12 months is the longest a
#: CA's may stand (CA/B BR §4.9.7), and an expired one locks every client out.
CRL_DAYS = {Role.ROOT: 360, Role.INTERMEDIATE: 30}

DEFAULT_STEP = "30d"


class CutWish(Struct, frozen=True, kw_only=True):
    """What the options say; unset ones are for the settings, then for the defaults."""

    days: int | None = None
    ladder: int | None = None
    step: timedelta | None = None
    if_due: bool = False
    directory: Path | None = None


def cut_all(found: Facility, wish: CutWish) -> Iterator[Cut]:
    """As the options, else homeca.toml, else the ladder that stands, else the defaults say."""
    from ca.services.crl.cutting import cut_crls
    from ca.services.crl.files import is_due

    now = found.clock()

    def due(issuer: IssuerRecord) -> bool:
        return not wish.if_due or is_due(issuer, found.home, found.store, at=now)

    return cut_crls(
        found,
        days=_lifetimes(found.settings, wish.days),
        ladder=_ladder(found, wish),
        only=due,
        directory=wish.directory,
    )


def cut_after(found: Facility, what: str) -> list[Cut]:
    """All lists anew, now that `what` is recorded, a revocation: it stands if they cannot be cut.

    Then that is said before the error, or it would look as if nothing had been done.
    """
    try:
        return list(cut_all(found, CutWish()))
    except HomecaError:
        warn(
            f"{what} is recorded all the same, and not on every list yet: mend what follows, then "
            "run `homeca crl`; without a key `homeca crl --dir DIR` tells OpenVPN"
        )
        raise


def _lifetimes(settings: Settings, days: int | None) -> dict[Role, int]:
    """--days for all, else the setting for intermediates, else the defaults."""
    if days is not None:
        return dict.fromkeys(Role, days)
    return CRL_DAYS | {Role.INTERMEDIATE: settings.crl_days or CRL_DAYS[Role.INTERMEDIATE]}


def _ladder(found: Facility, wish: CutWish) -> Mapping[Role, Shape] | None:
    """Raises: UsageError for --days while rungs of a ladder are to come."""
    from ca.services.crl.ladder import shapes, standing_ladder

    if wish.ladder is not None:
        return shapes(wish.ladder, wish.step or parse_span(DEFAULT_STEP))
    if wish.days is None:
        rungs = found.settings.crl_ladder
        return shapes(rungs, timedelta(days=found.settings.crl_step_days)) if rungs else None
    for issuer in found.store.issuers():
        standing = standing_ladder(found.store, issuer.id)
        if standing is not None and not standing.is_single and standing.coming(found.clock()):
            raise UsageError(
                f"a ladder stands until {day(standing.armed_until)}: once its lists begin, a "
                "single one would be stale",
                remedy="leave out --days; to leave the ladder, cut `--ladder 1`: it outranks the "
                "lists to come and adds none",
            )
    return None


def show_cut(one: Cut) -> None:
    """One issuer's new lists, for a person."""
    entries = "nothing is revoked" if one.crl.entries == 0 else f"{one.crl.entries} revoked"
    lines: list[tuple[str, str | list[str]]] = [("next update", when(one.crl.next_update))]
    if len(one.rungs) > 1:
        lines = [("ladder", f"{len(one.rungs)} lists, the last ends {when(one.armed_until)}")]
    result(f"{visible(one.authority.issuer.subject)}: {good(numbers_text(one))}, {entries}")
    result(fields([*lines, ("files", [str(path) for path in one.paths])]))


def numbers_text(one: Cut) -> str:
    """ "CRL 7", or "CRLs 7 to 18" of a ladder."""
    if len(one.rungs) > 1:
        return f"CRLs {one.crl.number} to {one.rungs[-1].number}"
    return f"CRL {one.crl.number}"


def crl_fields(one: Cut) -> dict[str, object]:
    """The same as JSON; `rungs` holds the list that is valid now as its first."""
    return {
        "issuer": one.authority.issuer.slug,
        "number": one.crl.number,
        "this_update": one.crl.this_update,
        "next_update": one.crl.next_update,
        "entries": one.crl.entries,
        "armed_until": one.armed_until,
        "rungs": [
            {
                "number": rung.number,
                "this_update": when(rung.this_update),
                "next_update": when(rung.next_update),
            }
            for rung in one.rungs
        ],
        "files": [str(path) for path in one.paths],
    }
