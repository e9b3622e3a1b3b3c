"""The commands as calls of their services, for what the program takes from no user: a TPM that
misbehaves, a clock that jumps. Everything else is as `ca.wiring` opens it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from msgspec import structs

from ca.algorithms import EC_P256
from ca.cli.app import exit_status
from ca.cli.opening import report_settlement
from ca.cli.output import show_error, warn
from ca.encoding.containers import pem
from ca.errors import HomecaError
from ca.files import PUBLIC_FILE, write_whole
from ca.interfaces.values import Clock, Secret
from ca.keys.tpm.custody import TpmCustody
from ca.keys.tpm.link import Link
from ca.ledger.keeper import Keeper
from ca.services.ceremony.intermediate import init_intermediate
from ca.services.ceremony.plan import Plan
from ca.services.ceremony.root import init_root
from ca.services.crl.cutting import cut_crls
from ca.services.facility import Facility
from ca.services.issuance.issuing import Issued
from ca.wiring.facility import kept_settings, open_facility
from ca.wiring.opening import Opening, steady, system_clock
from tests.faults.worlds import SECRET
from tests.services.rig import CRL_DAYS, issue, order

ACTS = ("sign", "crl", "init-intermediate", "init-root")

#: Seconds a TPM may take for a command in these runs.
DEADLINE = 1.5


def acting(
    place: Path,
    act: str,
    *,
    around: Callable[[Link], Link] = lambda link: link,
    clock: Clock = system_clock,
) -> Callable[[], int]:
    """A function that does it in this process and returns the exit status."""

    def run() -> int:
        try:
            _act(place, act, around, clock)
        except HomecaError as error:
            show_error(error, as_json=False)
            return exit_status(error)
        return 0

    return run


def _act(place: Path, act: str, around: Callable[[Link], Link], clock: Clock) -> None:
    pin = Secret(SECRET.encode())
    opening = Opening(home=place / "home", tcti="embedded", pin=lambda _: pin, on_wait=warn)
    with open_facility(opening, create=act == "init-root", on_settled=report_settlement) as opened:

        @cache
        def custody() -> TpmCustody:
            recorded = opened.store.custody()
            return TpmCustody(
                "embedded",
                state_dir=opened.home.tpm,
                lock_file=opened.home.tpm_lock,
                srk_public=recorded.srk_public if recorded is not None else None,
                on_wait=lambda _: None,
                deadline=DEADLINE,
                around=around,
            )

        steadied = steady(clock)
        keeper = Keeper(
            opened.store,
            custody,
            clock=steadied,
            settings=kept_settings(opened.settings, opened.home),
            on_warning=warn,
        )
        facility = structs.replace(opened, custody=custody, clock=steadied, ledger=keeper)
        _do(act, facility, place, pin)


def _do(act: str, facility: Facility, place: Path, pin: Secret) -> None:
    plan = Plan(name="Faults", kind=EC_P256, days=365, pin=pin)
    if act == "sign":
        (outcome,) = issue(facility, order("new"))
        if not isinstance(outcome, Issued):
            raise outcome.error
        octets = b"".join(pem("CERTIFICATE", der) for der in (outcome.der, *outcome.chain))
        write_whole(place / "desk" / "new.crt", octets, mode=PUBLIC_FILE)
        print("new.crt")
    elif act == "crl":
        for cut in cut_crls(facility, days=CRL_DAYS):
            print(f"{cut.authority.issuer.subject}: CRL {cut.crl.number}, {cut.crl.entries}")
    elif act == "init-root":
        init_root(plan, facility)
    else:
        init_intermediate(plan, facility)
