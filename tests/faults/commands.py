"""The commands that are broken, as data: a new one that writes gets its line here, and no more."""

from __future__ import annotations

from dataclasses import dataclass

PIN = ("--pin-file", "../pin")


@dataclass(frozen=True, slots=True)
class Command:
    """One command line, run in the desk of a world.

    world:  "furnished" or "empty" (`tests.faults.worlds`).
    points: how many passages of failpoints it has at least (one name may be passed often).
    """

    name: str
    arguments: tuple[str, ...]
    points: int
    world: str = "furnished"


COMMANDS = {
    command.name: command
    for command in (
        Command("sign", ("sign", "new.csr", "--profile", "vpn-client", *PIN), 16),
        Command("revoke", ("revoke", "old.crt", "--reason", "keyCompromise"), 8),
        Command("worsen", ("revoke", "lost.crt", "--reason", "keyCompromise"), 8),
        Command("crl", ("crl", *PIN), 12),
        Command("crl-dir", ("crl", "--dir", "revoked"), 3),
        Command(
            "init-root",
            ("init-root", "--name", "Faults", "--key", "ec-p256", "--pin", *PIN),
            12,
            world="empty",
        ),
        Command("init-intermediate", ("init-intermediate", "--key", "ec-p256", "--pin", *PIN), 14),
        Command("sign-many", ("sign", "m1.csr", "m2.csr", "--profile", "vpn-client", *PIN), 16),
        Command("renew", ("renew", "old.crt", *PIN), 16),
        Command("revoke-crl", ("revoke", "old.crt", "--crl", *PIN), 20),
    )
}

#: The five of the smallest promise: every class breaks at least these.
FIRST = ("sign", "revoke", "crl", "init-root", "init-intermediate")

#: What else runs beside them in class G; these only look.
READERS = {
    "list": ("list", "--all"),
    "check": ("check",),
    "status": ("status",),
}
