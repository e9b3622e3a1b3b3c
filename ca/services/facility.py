"""What every service works with: the record, the key's place, the clock, the dice, the home.

A `Facility` is handed in by `ca.wiring`; a test hands in its own clock or entropy. An `Authority`
is one issuer of it, ready to be asked: its certificate read, its chain known, its key not yet open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta

from msgspec import Struct

from ca.algorithms import KEY_KINDS, SignatureAlgorithm, signature_algorithm
from ca.encoding.facts import CertificateFacts
from ca.encoding.inspect import read_certificate
from ca.encoding.spki import ski, spki_sha256
from ca.encoding.tsskey import TssKey
from ca.errors import ClockSuspect, CustodyError, EncodingError, HomeMissing, NotFound, PinWrong
from ca.files import locked
from ca.home import Home
from ca.interfaces.custody import KeyCustody, Signer
from ca.interfaces.issuing import IssuerRecord, IssuerState, Role
from ca.interfaces.ledger import Ledger
from ca.interfaces.store import CertificateStore
from ca.interfaces.values import Clock, Entropy, Secret
from ca.names.constraints import NameConstraints
from ca.permitted import NamePolicy
from ca.policy.terms import IssuerFacts
from ca.profiles.library import Library
from ca.settings import Settings

#: Clocks of small machines jump: without a battery they start in 1970 or at the last shutdown.
CLOCK_MAY_LAG = timedelta(minutes=5)
CLOCK_MAY_LEAD = timedelta(days=366)

#: How long a command waits for another one that holds a lock.
PATIENCE = 120.0


class Facility(Struct, frozen=True, kw_only=True):
    """Everything with an effect, in one hand.

    custody: gives the TPM; called only when a key is needed, for its library loads slowly.
    pin:     asks for the PIN of the key file named; called only for keys that have one.
    on_wait: told once, in a sentence, when a lock or the TPM is busy.
    ledger:  what is told of every change; `changing` goes around whatever changes the record.
    believe_clock: the operator has looked at the clock and says it is right.
    names:   which names this CA may certify at all; settings: homeca.toml, or its defaults.
    """

    home: Home
    store: CertificateStore
    custody: Callable[[], KeyCustody]
    clock: Clock
    entropy: Entropy
    profiles: Library
    names: NamePolicy
    settings: Settings
    pin: Callable[[str], Secret]
    on_wait: Callable[[str], None]
    ledger: Ledger
    believe_clock: bool = False

    def check_clock(self) -> datetime:
        """Now, if it can be believed (threat T25).

        Raises: ClockSuspect when it stands before the last recorded act, or a year past it; where
                the record is on a server, also when that one's clock is another. A node that dates
                an act into the time to come would stop all others until then.
        """
        now = self.clock()
        if self.believe_clock:
            return now
        ahead = self.store.clock_ahead()
        if ahead is not None and abs(ahead) > CLOCK_MAY_LAG:
            raise ClockSuspect(
                f"it is {now:%Y-%m-%d %H:%M} UTC by this machine's clock, and "
                f"{now - ahead:%Y-%m-%d %H:%M} by that of the database's server",
                remedy="set the one that is wrong; if this one is right, add --believe-clock",
            )
        last = self.store.last_recorded_act()
        if last is None:
            return now
        if now < last - CLOCK_MAY_LAG:
            raise ClockSuspect(
                f"the clock says {now:%Y-%m-%d %H:%M} UTC, but the record already holds an act "
                f"of {last:%Y-%m-%d %H:%M}",
                remedy="set the clock; if the record is what is wrong, add --believe-clock"
                if ahead is None
                else "set the clock of the node whose act that was (`homeca audit log`); as this "
                "one's is right, add --believe-clock until then",
            )
        if now > last + CLOCK_MAY_LEAD:
            raise ClockSuspect(
                f"the clock says {now:%Y-%m-%d}, more than a year after the last recorded act "
                f"({last:%Y-%m-%d})",
                remedy="check the date; if it is right, add --believe-clock once",
            )
        return now

    def is_clock_plausible(self) -> bool:
        """Would `check_clock` believe it?"""
        try:
            self.check_clock()
        except ClockSuspect:
            return False
        return True

    def changing(
        self, *keys: IssuerRecord, ceremony: bool = False, although_unreachable: bool = False
    ) -> AbstractContextManager[None]:
        """Around whatever changes the record: see `ca.interfaces.Ledger`. Taken before any lock.

        keys: issuers whose keys will be asked. Their PINs are asked for first: other processes
              wait while the TPM is held.
        """
        for issuer in keys:
            self._ask_pin(issuer)
        return self.ledger.changing(ceremony=ceremony, although_unreachable=although_unreachable)

    def _ask_pin(self, issuer: IssuerRecord) -> None:
        """`pin` remembers it. What is wrong with the key file, `key_of` says."""
        try:
            key = TssKey.from_pem((self.home.path / issuer.key_file).read_bytes())
        except (OSError, EncodingError):
            return
        if not key.empty_auth:
            self.pin(issuer.key_file)

    @contextmanager
    def issuing(self) -> Iterator[None]:
        """Held while an intent of this process is open, so that nobody settles it for us."""
        with locked(
            self.home.issuing_lock,
            what="settles what a crash left open",
            on_wait=self.on_wait,
            patience=PATIENCE,
            shared=True,
        ):
            yield

    @contextmanager
    def key_of(self, issuer: IssuerRecord) -> Iterator[Signer]:
        """The issuer's key, loaded, for one transaction.

        Raises: CustodyError when its key lives elsewhere, is another one, or cannot be used.
        """
        if not issuer.has_key:
            raise CustodyError(
                f"the key of {issuer.subject} does not live in this home",
                remedy="use the machine that holds it, or another issuer",
            )
        path = self.home.path / issuer.key_file
        try:
            pem = path.read_bytes()
        except OSError as error:
            raise CustodyError(
                f"the key blob {str(path)!r} cannot be read: {error.strerror}",
                remedy="restore it from a backup of this home",
            ) from error
        pin = None if TssKey.from_pem(pem).empty_auth else self.pin(issuer.key_file)
        try:
            with self.custody().open(pem, spki=issuer.spki, pin=pin) as signer:
                expected = algorithm_of(issuer)
                if signer.algorithm != expected:
                    raise CustodyError(
                        f"the key of {issuer.subject} signs with {signer.algorithm}, "
                        f"not {expected}",
                        remedy="restore the key blob made with this issuer",
                    )
                yield signer
        except PinWrong as wrong:
            raise pin_wrong(issuer, wrong) from wrong


def pin_wrong(issuer: IssuerRecord, wrong: PinWrong) -> PinWrong:
    """The same, with the issuer's name: the TPM does not know whose key it holds."""
    return PinWrong(
        f"the TPM does not accept the PIN of {issuer.subject} ({issuer.key_file})",
        remedy=wrong.remedy,
    )


def algorithm_of(issuer: IssuerRecord) -> SignatureAlgorithm:
    """What this issuer signs with: fixed by the kind of its key."""
    return signature_algorithm(KEY_KINDS[issuer.key_kind])


class Authority(Struct, frozen=True, kw_only=True):
    """An issuer with a certificate.

    chain:       DER, its own first, the root last.
    constraints: its own name constraints and those of the issuers above it.
    """

    issuer: IssuerRecord
    certificate: CertificateFacts
    chain: tuple[bytes, ...]
    constraints: tuple[NameConstraints, ...]
    facts: IssuerFacts

    @property
    def ski(self) -> bytes:
        return self.certificate.tbs.ski or ski(self.issuer.spki)

    @property
    def above(self) -> tuple[NameConstraints, ...]:
        """The name constraints of the issuers above it; another CA's may have given it none."""
        has_own = _own_constraints(self.certificate) is not None
        return self.constraints[1:] if has_own else self.constraints

    @property
    def not_after(self) -> datetime:
        return self.certificate.tbs.not_after.moment


def authorities(store: CertificateStore) -> tuple[Authority, ...]:
    """Every issuer that has a certificate, oldest first, retired ones included."""
    records = [issuer for issuer in store.issuers() if issuer.certificate is not None]
    by_id = {issuer.id: issuer for issuer in records}
    read = {issuer.id: read_certificate(issuer.certificate or b"") for issuer in records}
    subjects = frozenset(issuer.subject_der for issuer in records)
    keys = frozenset(spki_sha256(issuer.spki) for issuer in records)
    result = []
    for issuer in records:
        line = list(_line(issuer, by_id))
        tbs = read[issuer.id].tbs
        constraints = tuple(
            own for own in (_own_constraints(read[above.id]) for above in line) if own is not None
        )
        facts = IssuerFacts(
            subject_der=issuer.subject_der,
            subject=tbs.subject.distinguished_name(),
            not_after=tbs.not_after.moment,
            constraints=constraints,
            issuer_subjects=subjects,
            issuer_spki_sha256=keys,
        )
        result.append(
            Authority(
                issuer=issuer,
                certificate=read[issuer.id],
                chain=tuple(above.certificate or b"" for above in line),
                constraints=constraints,
                facts=facts,
            )
        )
    return tuple(result)


def _own_constraints(certificate: CertificateFacts) -> NameConstraints | None:
    extension = certificate.tbs.name_constraints
    return extension.constraints if extension is not None else None


def _line(issuer: IssuerRecord, by_id: dict[int, IssuerRecord]) -> Iterator[IssuerRecord]:
    """The issuer, its parent, … the root. Bounded: a damaged table may hold a loop."""
    current: IssuerRecord | None = issuer
    for _ in range(len(by_id)):
        if current is None:
            return
        yield current
        current = by_id.get(current.parent_id) if current.parent_id is not None else None


def root_of(found: tuple[Authority, ...]) -> Authority:
    """Raises: HomeMissing."""
    for authority in found:
        if authority.issuer.role is Role.ROOT:
            return authority
    raise HomeMissing("this home has no root yet", remedy="run `homeca init-root`")


def signing_authority(found: tuple[Authority, ...], *, slug: str | None = None) -> Authority:
    """The newest active intermediate with its key here, else the root; or the one named.

    Raises: NotFound, HomeMissing.
    """
    usable = [a for a in found if a.issuer.state is IssuerState.ACTIVE and a.issuer.has_key]
    if slug is not None:
        for authority in usable:
            if authority.issuer.slug == slug:
                return authority
        raise NotFound(
            f"no active issuer is called {slug!r}",
            remedy="see `homeca status`; active here: "
            + (", ".join(a.issuer.slug for a in usable) or "none"),
        )
    for role in (Role.INTERMEDIATE, Role.ROOT):
        for authority in reversed(usable):
            if authority.issuer.role is role:
                return authority
    raise HomeMissing(
        "this home has no issuer that can sign",
        remedy="run `homeca init-root`, or finish `homeca init-intermediate --certificate FILE`",
    )


def constraints_of(authority: Authority) -> NameConstraints:
    """The issuer's own name constraints, empty if it has none."""
    return _own_constraints(authority.certificate) or NameConstraints()
