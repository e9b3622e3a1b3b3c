"""What `homeca prove` does: make a statement, or say what one proves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ca.cli.opening import SOFTWARE_TPM, facility
from ca.cli.output import document, fields, good, result, say, warn
from ca.errors import StatementRefused
from ca.files import PUBLIC_FILE, read_bounded, write_whole
from ca.home import refuse_as_output
from ca.interfaces.custody import CustodyKind
from ca.names.showing import many, shell_word, visible

if TYPE_CHECKING:
    from ca.attestation.document import Proven

_ALONE = "a certificate's name can be changed where the issuer's certificate is not beside it"

_COMPARE = (
    "the attestation key is known by its fingerprint alone: compare it with what `homeca prove` "
    "shows on the CA's machine, or give it with --attestation-key"
)


def make_statement(
    home: Path | None,
    *,
    out: Path | None,
    slug: str | None,
    nonce: bytes,
    force: bool,
    tpm: str | None,
    pin_file: Path | None,
    as_json: bool,
) -> None:
    """Write or print it, and show what it proves."""
    from ca.services.proof.proven import verify_statement as verified
    from ca.services.proof.proving import prove

    with facility(home, tpm=tpm, pin_file=pin_file) as found:
        text = prove(found, slug=slug, nonce=nonce)
        custody = found.store.custody()
    proven = verified(text, nonce=nonce)
    if out is not None and str(out) != "-":
        refuse_as_output(out)
        write_whole(out, text.encode("ascii"), mode=PUBLIC_FILE, replace=force)
        if as_json:
            document(file=str(out), keys=[_as_json(one) for one in proven])
        else:
            _print(proven)
            say(f"next: verify it with `homeca prove --verify {shell_word(out)}`")
    else:
        print(text, end="")
    if custody is not None and custody.kind is CustodyKind.SOFTWARE_TPM:
        warn(SOFTWARE_TPM)


def verify_statement(
    path: Path, *, nonce: bytes | None, attestation_key: bytes | None, as_json: bool
) -> None:
    """Say what it proves. Raises: StatementRefused with everything that speaks against it."""
    from ca.attestation.document import LIMIT
    from ca.services.proof.proven import is_vouched_for
    from ca.services.proof.proven import verify_statement as verified

    try:
        text = read_bounded(path, LIMIT).decode("utf-8", "replace")
    except ValueError as error:
        raise StatementRefused(
            f"{visible(str(path))!r} has {error}", remedy="give the file as it was written"
        ) from error
    proven = verified(text, nonce=nonce, attestation_key=_name(attestation_key))
    if as_json:
        document(good=True, keys=[_as_json(one) for one in proven])
        return
    _print(proven)
    for one in proven:
        if not is_vouched_for(one, proven):
            subject = visible(str(one.certificate.tbs.subject))
            warn(f"{_ALONE}: compare the fingerprint of {subject} too")
    if attestation_key is None:
        warn(_COMPARE)


def _name(fingerprint: bytes | None) -> bytes | None:
    """A Name from a fingerprint: the digest alone, or with its algorithm (0x000b) in front."""
    if fingerprint is None or len(fingerprint) != 32:
        return fingerprint
    return b"\x00\x0b" + fingerprint


def _print(proven: tuple[Proven, ...]) -> None:
    from ca.encoding.containers import fingerprint

    for one in proven:
        subject = visible(str(one.certificate.tbs.subject))
        result(f"{good('proven')}: the key of {subject} was made inside its TPM and cannot leave")
        when = "when the key was made" if one.key.at_birth else "about the key it held"
        resets = one.key.reset_count
        result(
            fields(
                [
                    ("certificate", f"SHA-256 {fingerprint(one.certificate.der)}"),
                    ("stated", f"{when}, after {many(resets, 'restart')} of the TPM"),
                    ("attestation key", one.key.attestation_key[2:].hex()),
                    ("TPM firmware", _firmware(one.key.firmware)),
                ]
            )
        )


def _firmware(number: int) -> str:
    """As `homeca tpm info` writes it: four 16-bit numbers."""
    return ".".join(str(number >> shift & 0xFFFF) for shift in (48, 32, 16, 0))


def _as_json(one: Proven) -> dict[str, Any]:
    return {
        "subject": str(one.certificate.tbs.subject),
        "attestation_key": one.key.attestation_key[2:].hex(),
        "name": one.key.name.hex(),
        "at_birth": one.key.at_birth,
        "clock": one.key.clock,
        "resets": one.key.reset_count,
        "firmware": _firmware(one.key.firmware),
    }
