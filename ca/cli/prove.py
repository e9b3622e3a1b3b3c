"""`homeca prove`: the TPM's word that the CA's keys were made inside it and stay there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from ca.cli.options import HomeOption, JsonOption, PinFileOption, TpmOption
from ca.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("prove")(prove)


def prove(
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help='Write there; "-" is standard output.'),
    ] = None,
    verify: Annotated[
        Path | None,
        typer.Option("--verify", metavar="FILE", help="Verify a statement instead of making one."),
    ] = None,
    issuer: Annotated[
        str | None,
        typer.Option("--issuer", metavar="SLUG", help="About one issuer. Default: all."),
    ] = None,
    nonce: Annotated[
        str | None,
        typer.Option(
            "--nonce",
            metavar="HEX",
            help="A number chosen by whoever asks, so that the statement is a new one; the TPM "
            "then needs the keys' PINs. With --verify: the one that was asked for.",
        ),
    ] = None,
    fingerprint: Annotated[
        str | None,
        typer.Option(
            "--attestation-key",
            metavar="SHA256",
            help="With --verify: the attestation key that must have signed.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    tpm: TpmOption = None,
    pin_file: PinFileOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Prove that the CA's keys were made inside its TPM and cannot leave it.

    An attestation key of the TPM, which signs nothing but what the TPM itself knows, states that
    each key is fixedTPM, fixedParent and sensitiveDataOrigin; it did so when the key was made, and
    that statement is kept. --verify checks one anywhere, without a TPM. Compare the fingerprint of
    the attestation key once with what `homeca prove` shows on the CA's machine: a software TPM
    signs the same, and whoever is root there can copy it.

    Example: homeca prove --out proof.json, then elsewhere: homeca prove --verify proof.json
    """
    from ca.cli.proving import make_statement, verify_statement

    if verify is not None:
        if out is not None or issuer is not None:
            raise UsageError(
                "--verify reads a statement, --out and --issuer make one",
                remedy="give one of them",
            )
        verify_statement(
            verify,
            nonce=_hex(nonce, "--nonce"),
            attestation_key=_hex(fingerprint, "--attestation-key"),
            as_json=as_json,
        )
        return
    if fingerprint is not None:
        raise UsageError(
            "--attestation-key is for --verify", remedy="leave it out, or add --verify FILE"
        )
    options: dict[str, Any] = {"tpm": tpm, "pin_file": pin_file, "as_json": as_json}
    make_statement(
        home, out=out, slug=issuer, nonce=_hex(nonce, "--nonce") or b"", force=force, **options
    )


def _hex(text: str | None, option: str) -> bytes | None:
    """Octets in hex, with or without colons. Raises: UsageError."""
    if text is None:
        return None
    digits = re.sub(r"^SHA256:|[:\s]", "", text)
    try:
        return bytes.fromhex(digits)
    except ValueError as error:
        raise UsageError(
            f"{option} is not in hex digits", remedy="write an even number of 0-9 and a-f"
        ) from error
