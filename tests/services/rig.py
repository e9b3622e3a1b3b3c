"""A CA in the hand of a test: real TPM, real database, and a clock and dice that do as told."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ca.algorithms import EC_P256
from ca.encoding.requests import parse_request
from ca.errors import StoreUnwritable
from ca.home import Home
from ca.interfaces.custody import KeyCustody
from ca.interfaces.issuing import CertificateRecord, Role, Settlement, State
from ca.interfaces.store import CertificateStore
from ca.interfaces.values import Secret
from ca.keys.tpm.custody import TpmCustody
from ca.keys.tpm.link import Link
from ca.ledger.keeper import Keeper
from ca.names.constraints import NameConstraints
from ca.permitted import NamePolicy
from ca.policy.terms import Wishes
from ca.profiles.library import Library
from ca.services.ceremony.intermediate import init_intermediate
from ca.services.ceremony.plan import Plan
from ca.services.ceremony.root import init_root
from ca.services.crl.cutting import Cut, cut_crls
from ca.services.facility import Facility, authorities, signing_authority
from ca.services.issuance.issuing import Issuance, Issued, NotIssued
from ca.services.issuance.preparation import Order, Preparation
from ca.services.issuance.settlement import settle
from ca.settings import Settings
from ca.wiring.opening import open_settings
from ca.wiring.record import open_store

CRL_DAYS = {Role.ROOT: 360, Role.INTERMEDIATE: 30}


@dataclass
class Hands:
    """A clock that stands still until it is moved."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


class Unwritable:
    """A store whose disk is full at the n-th call of one method; all else goes to the real one."""

    def __init__(self, store: CertificateStore, method: str, *, after: int = 0) -> None:
        self._store, self._method, self._left = store, method, after

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._store, name)
        if name != self._method:
            return real
        if self._left > 0:
            self._left -= 1
            return real
        return self._refuse

    def _refuse(self, *_: object, **__: object) -> None:
        raise StoreUnwritable("the disk is full", remedy="make room")


@dataclass
class Rig:
    """One home. `facility()` opens it as often as a test likes, as commands do one by one."""

    path: Path
    clock: Hands
    settlements: list[Settlement] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def facility(
        self,
        *,
        around: Callable[[Link], Link] = lambda link: link,
        entropy: Callable[[int], bytes] = os.urandom,
        store: Callable[[CertificateStore], object] = lambda store: store,
        custody: Callable[[KeyCustody], object] = lambda custody: custody,
        create: bool = False,
        settling: bool = True,
        believe_clock: bool = False,
    ) -> Iterator[Facility]:
        """As `ca.wiring` opens it, with whatever a test puts around store, TPM and custody."""
        home = Home(self.path)
        if create:
            home.make()
        with open_store(home, open_settings(home), create=create) as opened:

            @cache
            def tpm() -> KeyCustody:
                recorded = opened.custody()
                real = TpmCustody(
                    "embedded",
                    state_dir=home.tpm,
                    lock_file=home.tpm_lock,
                    srk_public=recorded.srk_public if recorded is not None else None,
                    on_wait=lambda _: None,
                    deadline=20.0,
                    around=around,
                )
                return cast(KeyCustody, custody(real))

            record = cast(CertificateStore, store(opened))
            facility = Facility(
                home=home,
                store=record,
                custody=tpm,
                clock=self.clock,
                entropy=entropy,
                profiles=Library(home.profiles),
                names=NamePolicy.from_settings(Settings()),
                settings=Settings(),
                pin=_no_pin,
                on_wait=lambda _: None,
                ledger=Keeper(
                    record,
                    tpm,
                    clock=self.clock,
                    on_warning=self.warnings.append,
                ),
                believe_clock=believe_clock,
            )
            if settling:
                self.settlements.extend(settle(facility))
            yield facility

    def rows(self) -> list[CertificateRecord]:
        """Every serial of the newest active issuer, oldest first."""
        from ca.interfaces.issuing import CertificateQuery

        with self.facility(settling=False) as facility:
            authority = signing_authority(authorities(facility.store))
            query = CertificateQuery(issuer_id=authority.issuer.id, states=tuple(State))
            return list(facility.store.certificates(query))


def _no_pin(_: str) -> Secret:
    raise AssertionError("no key of these tests has a PIN")


PLAN = Plan(
    name="Rig",
    kind=EC_P256,
    days=3650,
    constraints=NameConstraints.parse(dns=["home.arpa"], ip=[]),
)


def furnish(rig: Rig) -> None:
    """A root and an intermediate."""
    with rig.facility(create=True) as facility:
        init_root(PLAN, facility)
        init_intermediate(Plan(name="Rig", kind=EC_P256, days=1825), facility)


# ---------------------------------------------------------------- asking


@cache
def key(name: str) -> ec.EllipticCurvePrivateKey:
    """A device's key: the same one for the same name within a run."""
    return ec.generate_private_key(ec.SECP256R1())


def request_der(name: str = "phone") -> bytes:
    """PKCS#10 for name.home.arpa."""
    host = f"{name}.home.arpa"
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    )
    san = x509.SubjectAlternativeName([x509.DNSName(host)])
    signed = builder.add_extension(san, critical=False).sign(key(name), hashes.SHA256())
    return signed.public_bytes(Encoding.DER)


def order(name: str = "phone", **wishes: Any) -> Order:
    """For `vpn-client`. wishes: days, not_after, …"""
    return Order(
        source=name,
        request=parse_request(request_der(name)),
        profile="vpn-client",
        wishes=Wishes(**wishes),
    )


def issue(facility: Facility, *orders: Order) -> list[Issued | NotIssued]:
    """Prepare all, then sign all, as `homeca sign` does."""
    authority = signing_authority(authorities(facility.store))
    now = facility.check_clock()
    preparation = Preparation(facility)
    prepared = [preparation.prepare(one, authority, now=now) for one in orders]
    return list(Issuance(facility).issue(prepared))


def issue_one(rig: Rig, name: str = "phone", **wishes: Any) -> CertificateRecord:
    """A certificate, and its row."""
    with rig.facility() as facility:
        (outcome,) = issue(facility, order(name, **wishes))
        assert isinstance(outcome, Issued)
        (row,) = facility.store.by_serial(outcome.prepared.serial)
        return row


def cut(rig: Rig, slug: str = "intermediate-1") -> x509.CertificateRevocationList:
    """Cut all CRLs; the one of this issuer, read by another implementation."""
    with rig.facility() as facility:
        found: list[Cut] = list(cut_crls(facility, days=CRL_DAYS))
    (own,) = [one for one in found if one.authority.issuer.slug == slug]
    return x509.load_der_x509_crl(own.crl.der)


def serials(crl: x509.CertificateRevocationList) -> set[int]:
    return {entry.serial_number for entry in crl}


def number(crl: x509.CertificateRevocationList) -> int:
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
