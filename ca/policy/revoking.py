"""What may become of a line of the CRL: asked for a dry run, and again under the lock.

A hold can be taken back or become any other reason. Every other line is for good; the one thing
that may still become known of it is that its key is compromised.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from ca.errors import RevocationRefused, Violation
from ca.interfaces.revocation import KeyBar, Reason
from ca.interfaces.values import Serial, serial_text


class Line(Protocol):
    """An open line, as a value or as a row."""

    @property
    def reason(self) -> Reason: ...
    @property
    def revoked_at(self) -> datetime: ...


def worsens(line: Line | None, reason: Reason) -> bool:
    """Does this reason take the place of that of a line for good?"""
    if line is None or line.reason is Reason.CERTIFICATE_HOLD or line.reason.is_compromise:
        return False
    return reason.is_compromise


def check_revoking(serial: Serial, line: Line | None, reason: Reason) -> None:
    """Raises: RevocationRefused for a line for good that this does not worsen, a second hold."""
    if line is None or worsens(line, reason):
        return
    if line.reason is not Reason.CERTIFICATE_HOLD:
        raise revoked_for_good(serial, line)
    if reason is Reason.CERTIFICATE_HOLD:
        raise RevocationRefused(
            f"serial {serial_text(serial)} is on hold already, {_since(line)}",
            remedy=f"release it with {release_command(serial)}, or revoke it with another reason",
        )


def check_releasing(serial: Serial, line: Line | None) -> None:
    """Raises: RevocationRefused when it is not on hold."""
    if line is None:
        raise RevocationRefused(
            f"serial {serial_text(serial)} is not revoked",
            remedy="run `homeca list --revoked` to see what is",
        )
    if line.reason is not Reason.CERTIFICATE_HOLD:
        raise revoked_for_good(serial, line)


def revoked_for_good(serial: Serial, line: Line) -> RevocationRefused:
    """That nothing takes it back, and what there is to do."""
    return RevocationRefused(
        f"serial {serial_text(serial)} is revoked for good, {_since(line)}",
        remedy="nothing needs doing: it stays on the CRL until it has expired"
        if line.reason.is_compromise
        else "it stays on the CRL until it has expired; if its key was lost, say so with "
        "`--reason keyCompromise`, and nobody gets a certificate for it again",
    )


NEW_KEY = "make a new key on the device and a new request from it"


def objection(bar: KeyBar, *, remedy: str = "") -> Violation:
    """Why a key gets no certificate. remedy: where it never gets one again."""
    if bar.reason is Reason.CERTIFICATE_HOLD:
        text = f"a certificate for this key, serial {serial_text(bar.serial)}, is on hold"
        return Violation("key.on-hold", text, after_hold(bar.serial))
    text = "a certificate for this key was revoked as compromised: it is blocked for ever"
    return Violation("key.blocked", text, remedy)


def release_command(serial: Serial) -> str:
    """What a person types to end a hold."""
    return f"`homeca revoke {serial_text(serial)} --reason removeFromCRL`"


def after_hold(serial: Serial) -> str:
    """The remedy where a key is refused because this certificate of it is on hold."""
    return (
        f"release it first with {release_command(serial)}, or revoke it for good with another "
        "reason"
    )


def _since(line: Line) -> str:
    return f"since {line.revoked_at:%Y-%m-%d %H:%M:%S} UTC for {line.reason.value!r}"
