"""`ca.interfaces.KeyCustody` in a TPM: makes keys that stay inside, and signs with them.

Every method is one transaction: lock, open the TPM, a session salted to its storage key, the
work, close. Nothing stays open between two, so any number of processes can take turns. `hold`
makes one transaction of all that is asked within it: for a command that reads the ledger's
anchor before it signs and writes it afterwards.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from ca.algorithms import KEY_KINDS, KeyKind
from ca.encoding.tpm import PublicArea
from ca.encoding.tsskey import TssKey
from ca.errors import KeyKindUnsupported, TpmTampered
from ca.failpoints import failpoint
from ca.interfaces.custody import Custody, SealedKey, TpmReport
from ca.interfaces.ledger import AnchorPlace, KeyAttestation
from ca.interfaces.values import Secret
from ca.keys.tpm import attesting, capabilities, reach
from ca.keys.tpm.anchor import NvAnchor, place_anchor
from ca.keys.tpm.link import Link
from ca.keys.tpm.lock import exclusive
from ca.keys.tpm.signer import TpmSigner, auth_value, require_own_key, require_usable_pin
from ca.keys.tpm.transaction import Transaction
from ca.keys.tpm.tss import (
    ESYS_TR,
    TPM2B_PRIVATE,
    TPM2B_PUBLIC,
    TPM2B_SENSITIVE_CREATE,
    TPMS_SENSITIVE_CREATE,
)

LOCK_SECONDS = 120.0
COMMAND_SECONDS = 60.0


def _as_it_is(link: Link) -> Link:
    return link


class TpmCustody:
    """One TPM.

    tcti:       "" or "auto" to look for one (`reach.choose`), "embedded", or a TCTI string.
    state_dir:  of the embedded TPM. lock_file: shared by all who use this TPM.
    srk_public: TPM2B_PUBLIC of the storage key this CA is pinned to; None before the first
                ceremony. Only then may a software TPM be manufactured.
    on_wait:    told when another process has the TPM; lock_seconds: how long to wait for it.
    deadline:   seconds for one command; three times as long for making a key.
    owner_auth: the owner hierarchy's password, where it has one: to make the storage key.
    around:     put around each opened Link: a recorder, an injected fault.
    """

    def __init__(
        self,
        tcti: str,
        *,
        state_dir: Path,
        lock_file: Path,
        srk_public: bytes | None,
        on_wait: Callable[[str], None],
        deadline: float = COMMAND_SECONDS,
        lock_seconds: float = LOCK_SECONDS,
        owner_auth: Secret | None = None,
        around: Callable[[Link], Link] = _as_it_is,
    ) -> None:
        self._tcti = tcti
        self._state_dir = state_dir
        self._lock_file = lock_file
        self._srk_public = srk_public
        self._on_wait = on_wait
        self._deadline = deadline
        self._lock_seconds = lock_seconds
        self._owner_auth = owner_auth
        self._around = around
        self._held: Transaction | None = None

    def describe(self) -> Custody:
        """Which TPM this is, asked of the TPM itself. The storage key is made if missing.

        The TPM proves that it holds the storage key's private half.
        Raises: CustodyError; TpmSwapped when it is not the one this CA is pinned to.
        """
        with self._transaction() as tpm:
            tpm.prove_storage_key()
            who = capabilities.identity(tpm)
            return Custody(
                kind=reach.custody_kind(who.manufacturer, who.model),
                tcti=tpm.wire.link.name,
                manufacturer=who.manufacturer,
                model=who.model,
                firmware=who.firmware,
                srk_public=tpm.public,
            )

    def report(self) -> TpmReport:
        """What the TPM says of itself; nothing is made in it, no storage key is needed."""
        with self._open() as tpm:
            return capabilities.report(tpm, tcti=tpm.wire.link.name)

    def create(
        self,
        kind: KeyKind,
        *,
        pin: Secret | None,
        any_scheme: bool = False,
        attest: bool = False,
    ) -> SealedKey:
        """A new fixedTPM, fixedParent, sensitiveDataOrigin signing key, PIN as authValue.

        any_scheme: for a device: it signs with whatever a TLS handshake agrees on.
        attest: have the TPM say so as well; where it will not, the key has no attestation.
        Raises: KeyKindUnsupported naming the kinds this TPM can make; PinUnusable; CustodyError.
        """
        auth = require_usable_pin(pin) if pin is not None else b""
        with self._transaction() as tpm:
            _require_supported(tpm, kind)
            template = capabilities.key_template(kind, any_scheme=any_scheme)
            sensitive = TPM2B_SENSITIVE_CREATE(TPMS_SENSITIVE_CREATE(userAuth=auth))
            tpm.make_room()
            with tpm.esapi() as esapi, tpm.wire.patience(tpm.creation_deadline):
                made = esapi.create(tpm.srk, sensitive, template, session1=tpm.session)
                private, public = bytes(made[0].marshal()), bytes(made[1].marshal())
            attestation = attesting.of_creation(tpm, made) if attest else None
        failpoint("key.made")
        area = PublicArea.from_tpm2b(public)
        asked = PublicArea.from_tpm2b(bytes(template.marshal()))
        if (area.kind, area.attributes, area.scheme) != (kind, asked.attributes, asked.scheme):
            raise TpmTampered(
                "the TPM made another key than it was asked for",
                remedy="do not use this TPM",
            )
        key = TssKey(public=public, private=private, empty_auth=not auth)
        return SealedKey(kind=kind, pem=key.to_pem(), spki=area.spki, attestation=attestation)

    @contextlib.contextmanager
    def open(self, pem: bytes, *, spki: bytes, pin: Secret | None) -> Iterator[TpmSigner]:
        """One transaction with the key loaded: 1 command per signature, 5 or 6 besides.

        The key file is judged before the TPM is opened (`require_own_key`).
        Raises: KeyFileMalformed, KeyRefused, PinNeeded; CustodyError. A wrong PIN shows
                when the first signature is asked for.
        """
        key = TssKey.from_pem(pem)
        area = require_own_key(key, spki=spki)
        auth = auth_value(key, pin)
        with self._loaded(key, auth) as (tpm, handle):
            yield TpmSigner(tpm, handle, area)

    def certify(
        self, pem: bytes, *, spki: bytes, pin: Secret | None, qualifying: bytes
    ) -> KeyAttestation:
        """What the attestation key says of a key that is here: TPM2_Certify (Part 3 §18.2).

        Raises: as `open`; TpmEndorsementRefused.
        """
        key = TssKey.from_pem(pem)
        require_own_key(key, spki=spki)
        with self._loaded(key, auth_value(key, pin)) as (tpm, handle):
            return attesting.of_key(tpm, handle, key.public, qualifying=qualifying)

    @contextlib.contextmanager
    def _loaded(self, key: TssKey, auth: bytes) -> Iterator[tuple[Transaction, ESYS_TR]]:
        with self._transaction() as tpm, tpm.parent(key.parent) as parent:
            tpm.make_room()
            with tpm.esapi() as esapi:
                private, _ = TPM2B_PRIVATE.unmarshal(key.private)
                public, _ = TPM2B_PUBLIC.unmarshal(key.public)
                handle = esapi.load(parent, private, public, session1=tpm.session)
            try:
                with tpm.esapi() as esapi:
                    esapi.tr_set_auth(handle, auth)
                failpoint("key.loaded")
                yield tpm, handle
            finally:
                tpm.drop(handle)

    # -- one transaction of many, and what the ledger needs of it

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Keep one transaction open: everything asked meanwhile goes through it.

        Other processes wait for it, so ask people for their PINs before.
        """
        with self._transaction() as tpm:
            before, self._held = self._held, tpm
            try:
                yield
            finally:
                self._held = before

    def tpm_name(self) -> bytes:
        """The Name of the storage key (Part 1 §16): which TPM this is. Within `hold`."""
        return PublicArea.from_tpm2b(self._holding().public).name

    def anchor(self, place: AnchorPlace) -> NvAnchor:
        """The indices where they were placed; the TPM is not asked yet. Within `hold`."""
        return NvAnchor(self._holding(), place)

    def place_anchor(self, ledger: bytes) -> AnchorPlace:
        """The indices of this ledger, made when they are not there. Within `hold`.

        Raises: TpmOwnerAuthNeeded, CustodyError.
        """
        return place_anchor(self._holding(), ledger, tpm_name=self.tpm_name())

    def attestation_key(self) -> bytes | None:
        """TPM2B_PUBLIC of the attestation key; None when this TPM makes none. Within `hold`."""
        return attesting.attestation_public(self._holding())

    def _holding(self) -> Transaction:
        if self._held is None:
            raise RuntimeError("the TPM is not held: use `with custody.hold():`")
        return self._held

    @contextlib.contextmanager
    def _open(self) -> Iterator[Transaction]:
        """The TPM to ourselves, without a session."""
        if self._held is not None:
            yield self._held
            return
        tcti = reach.choose(self._tcti)
        with exclusive(self._lock_file, seconds=self._lock_seconds, on_wait=self._on_wait):
            link = reach.open_link(
                tcti,
                state_dir=self._state_dir,
                manufacture=self._srk_public is None,
                deadline=self._deadline,
            )
            tpm = Transaction(
                self._around(link), deadline=self._deadline, owner_auth=self._owner_auth
            )
            try:
                yield tpm
            finally:
                tpm.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Transaction]:
        """The TPM to ourselves, its storage key pinned, a session salted to that."""
        if self._held is not None:
            yield self._held
            return
        with self._open() as tpm:
            if self._srk_public is None:
                tpm.find_storage_key()
            else:
                tpm.pin(self._srk_public)
            with tpm.salted_session():
                yield tpm


def _require_supported(tpm: Transaction, kind: KeyKind) -> None:
    asked = capabilities.capability(tpm, kind)
    if asked.supported:
        return
    others = (capabilities.capability(tpm, other) for other in KEY_KINDS.values())
    names = [str(other.kind) for other in others if other.supported]
    raise KeyKindUnsupported(
        f"{kind} is not possible here: {asked.reason}",
        remedy=f"choose one of the kinds this TPM can make: {', '.join(names) or 'none'}",
    )
