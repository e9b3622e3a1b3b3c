"""One open TPM: the storage key, a session salted to it, and errors that say what is wrong.

The storage key's public area is what the CA knows its TPM by. A session salted to it works
only with the TPM that holds the private half, so a swapped TPM, an interposer and a changed
answer all show (Part 1 §19.6.8), and PINs and digests do not cross the bus in clear.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from ca.encoding.tpm import BORN_AND_BOUND, Attributes, PublicArea
from ca.encoding.tsskey import PARENT_OWNER, PARENT_SRK
from ca.errors import CustodyError, EncodingError, TpmStorageKeyUnusable
from ca.interfaces.values import Secret
from ca.keys.tpm import return_codes
from ca.keys.tpm.link import Link, forgets
from ca.keys.tpm.tss import (
    ESAPI,
    ESYS_TR,
    TPM2_ALG,
    TPM2_SE,
    TPM2B_PUBLIC,
    TPM2B_SENSITIVE_CREATE,
    TPMA_SESSION,
    TSS2_Exception,
)
from ca.keys.tpm.wire import Wire

#: TCG EK Credential Profile template H-2 with an empty unique, as tpm2-openssl and the TSS2 key
#: draft take it for a parent. noDA: a storage key must not count stops as attacks.
STORAGE_KEY = (
    "ecc256:aes128cfb",
    "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt",
)

_SESSION_ATTRIBUTES = TPMA_SESSION.CONTINUESESSION | TPMA_SESSION.DECRYPT | TPMA_SESSION.ENCRYPT

#: Making a key takes this many times as long as any other command.
CREATION_FACTOR = 3


class Transaction:
    """An ESAPI over one Link. Use within `with`; not after anything failed on the Link.

    srk:     ESYS handle of the storage key; public: its TPM2B_PUBLIC octets.
    session: ESYS handle of the salted HMAC session.
    """

    srk: ESYS_TR
    session: ESYS_TR
    public: bytes

    def __init__(self, link: Link, *, deadline: float, owner_auth: Secret | None) -> None:
        self.wire = Wire(link, deadline=deadline)
        self.creation_deadline = CREATION_FACTOR * deadline
        self._owner_auth = owner_auth
        self._mutex = threading.Lock()  # ESAPI is not for two threads at once
        self._forgets = forgets(link)
        self._left: list[ESYS_TR] = []  # slots of objects that nobody needs any more
        self._esapi = ESAPI(self.wire)

    @contextlib.contextmanager
    def esapi(self) -> Iterator[ESAPI]:
        """The ESAPI for a few calls; what they raise becomes one of our errors.

        Raises: the reason the Wire kept, else what `return_codes` makes of the answer.
        """
        with self._mutex, self.wire.interruption.held():
            sent = len(self.wire.commands)
            try:
                yield self._esapi
            except TSS2_Exception as error:
                if self.wire.failure is not None:
                    raise self.wire.failure from error
                commands = self.wire.commands[sent:]
                command = commands[-1] if commands else 0
                raise return_codes.error(
                    int(error.rc), command=command, tcti=self.wire.link.name
                ) from error

    @property
    def owner_auth(self) -> bytes:
        """The owner hierarchy's password, b"" when none was given."""
        return self._owner_auth.reveal() if self._owner_auth else b""

    def close(self) -> None:
        """Forget the ESAPI and close the link, in good order when nothing broke on it.

        Waits for a call of another thread: libtss2 does not survive being closed under one.
        """
        with self._mutex:
            self._esapi.close()
            self.wire.close()

    # -- the storage key

    def pin(self, public: bytes) -> None:
        """Take the storage key at 0x81000001 for the one whose TPM2B_PUBLIC is known.

        The TPM is not asked: the session's HMAC will tell.
        """
        with self.esapi() as esapi:
            area, _ = TPM2B_PUBLIC.unmarshal(public)
            self.srk = esapi.tr_deserialize(ESYS_TR.parts_to_blob(PARENT_SRK, area))
        self.public = public

    def find_storage_key(self) -> None:
        """At first use: the storage key at 0x81000001, made there when the TPM has none.

        Raises: TpmStorageKeyUnusable when something else lies there; TpmOwnerAuthNeeded.
        """
        if not self._has(PARENT_SRK):
            self._make_storage_key()
        with self.esapi() as esapi:
            self.srk = esapi.tr_from_tpmpublic(PARENT_SRK)
            public, _, _ = esapi.read_public(self.srk)
            self.public = bytes(public.marshal())
        require_storage_key(self.public)

    def _has(self, handle: int) -> bool:
        with self.esapi() as esapi:
            try:
                esapi.tr_close(esapi.tr_from_tpmpublic(handle))
            except TSS2_Exception as error:
                rc = return_codes.ReturnCode(int(error.rc))
                if self.wire.failure is None and rc.error == return_codes.RC_HANDLE:
                    return False
                raise
        return True

    def _make_storage_key(self) -> None:
        primary = self.derive_storage_key(session=ESYS_TR.PASSWORD)
        try:
            with self.esapi() as esapi:
                esapi.tr_close(esapi.evict_control(ESYS_TR.OWNER, primary, PARENT_SRK))
        finally:
            self.flush(primary)

    def derive_storage_key(self, *, session: ESYS_TR) -> ESYS_TR:
        """A transient storage key from the owner's seed: the same one each time."""
        template, attributes = STORAGE_KEY
        self.make_room()
        with self.esapi() as esapi, self.wire.patience(self.creation_deadline):
            esapi.tr_set_auth(ESYS_TR.OWNER, self.owner_auth)
            area = TPM2B_PUBLIC.parse(template, objectAttributes=attributes)
            made = esapi.create_primary(
                TPM2B_SENSITIVE_CREATE(), area, ESYS_TR.OWNER, session1=session
            )
        return made[0]

    # -- the session

    @contextlib.contextmanager
    def salted_session(self) -> Iterator[None]:
        """HMAC session salted to the storage key; parameters encrypted both ways."""
        with self.esapi() as esapi:
            self.session = esapi.start_auth_session(
                self.srk, ESYS_TR.NONE, TPM2_SE.HMAC, "aes128cfb", TPM2_ALG.SHA256
            )
            esapi.trsess_set_attributes(self.session, _SESSION_ATTRIBUTES)
        self._session_ended = False
        try:
            yield
        finally:
            if not self._forgets and not self._session_ended:
                self.flush(self.session)

    @contextlib.contextmanager
    def last_command(self) -> Iterator[None]:
        """Around the transaction's last command: the session ends with it, which saves one.

        continueSession clear (Part 1 §19.6.3); the TPM keeps the session if the command fails.
        """
        ending = _SESSION_ATTRIBUTES & ~TPMA_SESSION.CONTINUESESSION
        with self.esapi() as esapi:
            esapi.trsess_set_attributes(self.session, ending)
        yield
        self._session_ended = True

    def prove_storage_key(self) -> None:
        """The TPM shows that it holds the private half: an answer under the salted HMAC.

        Raises: TpmSwapped, TpmTampered.
        """
        with self.esapi() as esapi:
            esapi.read_public(self.srk, session1=self.session)

    # -- objects

    @contextlib.contextmanager
    def parent(self, handle: int) -> Iterator[ESYS_TR]:
        """The storage key a key file names: ours, or one derived for as long as needed."""
        if handle != PARENT_OWNER:
            yield self.srk
            return
        primary = self.derive_storage_key(session=self.session)
        try:
            yield primary
        finally:
            self.drop(primary)

    def drop(self, handle: ESYS_TR) -> None:
        """Done with an object. Where everything ends with the link, that is soon enough."""
        if self._forgets:
            self._left.append(handle)
        else:
            self.flush(handle)

    def make_room(self) -> None:
        """Before another object is loaded: a TPM has three slots."""
        while self._left:
            self.flush(self._left.pop())

    def flush(self, handle: ESYS_TR) -> None:
        """Free a slot. That it fails spoils nothing that was done: the slot ends with the link."""
        if self.wire.failure is None:
            with contextlib.suppress(CustodyError), self.esapi() as esapi:
                esapi.flush_context(handle)


def require_storage_key(public: bytes) -> None:
    """Any restricted decryption key that is bound to its TPM will do, whoever made it.

    Raises: TpmStorageKeyUnusable.
    """
    try:
        area = PublicArea.from_tpm2b(public)
    except EncodingError as error:
        raise _not_a_storage_key() from error
    wanted = BORN_AND_BOUND | Attributes.RESTRICTED | Attributes.DECRYPT
    if area.attributes & wanted != wanted or area.attributes & Attributes.SIGN:
        raise _not_a_storage_key()


def _not_a_storage_key() -> TpmStorageKeyUnusable:
    return TpmStorageKeyUnusable(
        f"what the TPM holds at 0x{PARENT_SRK:x} is not a storage key",
        remedy="if nothing needs it, run `tpm2_evictcontrol -C o -c 0x81000001`, and try again",
    )
