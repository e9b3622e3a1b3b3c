"""The machine that asks: a key in its TPM, and a request signed by it.

What `certreq -new` does on Windows. Nothing is made before everything is known to be possible.
What comes back is for `ca.services.device.accepting`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from ca.algorithms import KeyKind
from ca.encoding.certificate import assemble
from ca.encoding.containers import pem, read_request
from ca.encoding.dn import encode_name
from ca.encoding.extensions import SUBJECT_ALT_NAME, Extension
from ca.encoding.general_names import encode_general_name, general_names
from ca.encoding.pkcs10 import build_request_info
from ca.encoding.requests import parse_request
from ca.encoding.spki import verify
from ca.encoding.tpm import PublicArea
from ca.encoding.tsskey import TssKey
from ca.errors import (
    ConfigurationError,
    DeviceRefused,
    KeyKindUnsupported,
    RequestRefused,
    UsageError,
)
from ca.files import locked
from ca.interfaces.custody import Custody, SealedKey, Signer, TpmReport
from ca.interfaces.values import Clock, Secret
from ca.names.distinguished import DistinguishedName
from ca.names.general import GeneralName
from ca.names.showing import visible
from ca.services.device.home import (
    KEY,
    DeviceHome,
    DeviceRequest,
    Standing,
    name_from,
    require_name,
)

PATIENCE = 120.0


class DeviceTpm(Protocol):
    """The device's TPM: `ca.keys.tpm.custody.TpmCustody` is one."""

    def report(self) -> TpmReport: ...

    def describe(self) -> Custody: ...

    def create(
        self, kind: KeyKind, *, pin: Secret | None, any_scheme: bool = False
    ) -> SealedKey: ...

    def open(
        self, pem: bytes, *, spki: bytes, pin: Secret | None
    ) -> AbstractContextManager[Signer]: ...


class Device(Struct, frozen=True, kw_only=True):
    """Everything with an effect, in one hand.

    tpm:     gives the TPM, pinned to the storage key of `Custody`, or not yet when that is None.
    looking: the same TPM for a question that must make nothing, not even a software TPM's state.
    pin:     asks for the PIN of the request named.
    """

    home: DeviceHome
    tpm: Callable[[Custody | None], DeviceTpm]
    looking: Callable[[Custody | None], AbstractContextManager[DeviceTpm]]
    clock: Clock
    pin: Callable[[str], Secret]
    on_wait: Callable[[str], None]

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Held while files are made or replaced."""
        with locked(
            self.home.lock, what="changes this home", on_wait=self.on_wait, patience=PATIENCE
        ):
            yield


class Plan(Struct, frozen=True, kw_only=True):
    """A request to be made.

    extensions: in DER, the SAN left out. pin: of a new key.
    one_hash:   a new key signs with its usual hash alone: strongSwan takes no other.
    """

    name: str | None
    subject: DistinguishedName
    names: tuple[GeneralName, ...]
    kind: KeyKind
    machine: bool
    extensions: tuple[Extension, ...] = ()
    san_critical: bool = False
    friendly_name: str = ""
    pin: Secret | None = None
    one_hash: bool = False


# ---------------------------------------------------------------- asking


def new(plan: Plan, device: Device) -> DeviceRequest:
    """A key in the TPM and a request signed by it, both kept.

    Raises: DeviceRefused when the name is taken; KeyKindUnsupported with the kinds this TPM
            makes, before anything is created; RequestRefused; CustodyError.
    """
    if not plan.subject and not plan.names:
        raise UsageError(
            "the request names nobody", remedy='give --subject "CN=…", or --san DNS:…, or an INF'
        )
    name = name_of(plan)
    device.home.check()
    _require_free(name, device)
    _require_kind(plan.kind, device)
    device.home.make()
    with device.changing():
        _require_free(name, device)
        custody = _pinned(device)
        tpm = device.tpm(custody)
        key = tpm.create(plan.kind, pin=plan.pin, any_scheme=not plan.one_hash)
        draft = _draft(plan, name, 1, key, device)
        return _request(draft, key.pem, plan.pin, tpm, device)


def renew(
    name: str,
    device: Device,
    *,
    new_key: bool,
    kind: KeyKind | None = None,
    pin: Secret | None = None,
    one_hash: bool = False,
    plan: Plan | None = None,
) -> DeviceRequest:
    """The same request once more, with its key or a new one; the pair in use stays as it is.

    kind: of the new key; None: as before. pin: of the new key.
    one_hash: the new key signs with one hash alone, also when the last one did.
    plan: ask for other names this time.
    Raises: NotFound, DeviceRefused, CustodyError.
    """
    from ca.algorithms import KEY_KINDS

    device.home.check()
    last = _pair_to_renew(device.home.require(name))
    wanted = kind or KEY_KINDS[last.kind]
    if new_key:
        _require_kind(wanted, device)
    with device.changing():
        generations = device.home.require(name)
        last = _pair_to_renew(generations)
        tpm = device.tpm(_pinned(device))
        if new_key:
            fixed = one_hash or has_one_hash(key_of(last))
            key = tpm.create(wanted, pin=pin, any_scheme=not fixed)
            auth = pin
        else:
            blob = key_of(last)
            key = SealedKey(kind=KEY_KINDS[last.kind], pem=blob, spki=last.spki)
            auth = device.pin(name) if last.has_pin else None
        number = generations[-1].generation + 1
        if plan is not None:
            draft = _draft(plan, name, number, key, device)
        else:
            draft = replace(
                last,
                generation=number,
                kind=str(key.kind),
                spki=key.spki,
                has_pin=auth is not None,
                created_at=device.clock(),
            )
        return _request(draft, key.pem, auth, tpm, device)


def _pair_to_renew(generations: Sequence[DeviceRequest]) -> DeviceRequest:
    """The pair in use, else the last that was asked for."""
    active = [one for one in generations if one.standing is Standing.ACTIVE]
    return active[0] if active else generations[-1]


def name_of(plan: Plan) -> str:
    """What the request will be called: as asked, else after its subject. Raises: DeviceRefused."""
    if plan.name is not None:
        return require_name(plan.name)
    hosts = [str(name).partition(":")[2] for name in plan.names]
    text = plan.subject.common_name or (hosts[0] if hosts else str(plan.subject))
    return require_name(name_from(text))


def _require_free(name: str, device: Device) -> None:
    if device.home.generations(name):
        raise DeviceRefused(
            f"this device has a request called {name!r} already",
            remedy=f"run `homeca request renew {name}`, or choose another name with --name",
        )


def _require_kind(kind: KeyKind, device: Device) -> None:
    """Ask the TPM before anything is made: what NTE_NOT_SUPPORTED should have said."""
    with device.looking(device.home.custody()) as tpm:
        kinds = tpm.report().key_kinds
    asked = next((one for one in kinds if one.kind == kind), None)
    if asked is not None and asked.supported:
        return
    possible = ", ".join(str(one.kind) for one in kinds if one.supported)
    reason = f": {visible(asked.reason)}" if asked is not None and asked.reason else ""
    raise KeyKindUnsupported(
        f"this TPM cannot make a key of kind {kind}{reason}; nothing was created",
        remedy=f"choose one it can make: {possible or 'none'}",
    )


def _pinned(device: Device) -> Custody:
    """The TPM on record; at the first key, the one that is there."""
    custody = device.home.custody()
    if custody is None:
        custody = device.tpm(None).describe()
        device.home.pin(custody)
    return custody


def _draft(plan: Plan, name: str, number: int, key: SealedKey, device: Device) -> DeviceRequest:
    extensions = list(plan.extensions)
    if plan.names:
        value = general_names(map(encode_general_name, plan.names))
        critical = plan.san_critical or not plan.subject  # RFC 5280 §4.2.1.6
        extensions.insert(0, Extension(SUBJECT_ALT_NAME, critical, value))
    return DeviceRequest(
        name=name,
        generation=number,
        kind=str(key.kind),
        subject=str(plan.subject),
        subject_der=encode_name(plan.subject),
        names=tuple(map(str, plan.names)),
        extensions=tuple(extensions),
        machine=plan.machine,
        friendly_name=plan.friendly_name,
        created_at=device.clock(),
        spki=key.spki,
        has_pin=not TssKey.from_pem(key.pem).empty_auth,
        directory=device.home.path / name / str(number),
        standing=Standing.PENDING,
    )


def _request(
    draft: DeviceRequest, key_pem: bytes, pin: Secret | None, tpm: DeviceTpm, device: Device
) -> DeviceRequest:
    """Sign, read back as a CA would, keep."""
    info = build_request_info(
        subject_der=draft.subject_der, spki=draft.spki, extensions=draft.extensions
    )
    with tpm.open(key_pem, spki=draft.spki, pin=pin) as signer:
        signature = signer.sign(info)
        verify(draft.spki, signer.algorithm, signature, info)
        der = assemble(info, signer.algorithm, signature)
    csr = pem("CERTIFICATE REQUEST", der)
    violations = parse_request(read_request(csr)).violations
    if violations:
        raise RequestRefused(
            f"no CA would sign this request: {violations[0].text}",
            remedy=violations[0].remedy or "ask for other names",
            violations=violations,
        )
    return device.home.add(draft, key_pem=key_pem, csr_pem=csr)


def has_one_hash(blob: bytes) -> bool:
    """Whether the key can sign with one scheme and hash alone, fixed when it was made."""
    return PublicArea.from_tpm2b(TssKey.from_pem(blob).public).scheme is not None


def key_of(request: DeviceRequest) -> bytes:
    """The key blob, PEM. Raises: ConfigurationError."""
    try:
        return request.path(KEY).read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"the key blob {str(request.path(KEY))!r} cannot be read: {error.strerror}",
            remedy=f"run `homeca request renew {request.name} --new-key`",
        ) from error


def remove(name: str, device: Device) -> None:
    """The request with its key blobs; the keys are then gone for good. Raises: NotFound."""
    device.home.check()
    device.home.require(name)
    with device.changing():
        device.home.remove(name)


def forget_replaced(name: str, device: Device) -> int:
    """Remove the pairs that renewals replaced. Raises: NotFound."""
    device.home.check()
    device.home.require(name)
    with device.changing():
        return device.home.forget_replaced(name)
