"""The commands by name: a module is imported, and its parameters are read, when one is called."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import typer
from typer.core import TyperGroup
from typer.main import get_group

if TYPE_CHECKING:
    from typer._click import Command, Context

#: Module of `ca.cli` -> the commands it registers. In this order `homeca --help` shows them.
MODULES = {
    "ceremony": ("init-root", "init-intermediate"),
    "sign": ("sign", "renew"),
    "kit": ("kit",),
    "revocation": ("revoke",),
    "lost": ("lost",),
    "crl": ("crl",),
    "backup": ("backup", "restore", "drill"),
    "moving": ("move",),
    "schedule": ("schedule",),
    "reports": ("list", "show", "status", "export"),
    "verification": ("verify", "lint", "check"),
    "prove": ("prove",),
    "request": ("request",),
    "trust": ("trust",),
    "profile": ("profile",),
    "tpm": ("tpm",),
    "audit": ("audit",),
}


class LazyGroup(TyperGroup):
    """The program. Reading the parameters of all commands takes longer than most commands do."""

    def list_commands(self, ctx: Context) -> list[str]:
        """In the order of MODULES."""
        return [name for names in MODULES.values() for name in names]

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        """The command of that name. An unknown one loads all, for a nearest one is offered then."""
        if cmd_name not in self.commands:
            holding = [module for module, names in MODULES.items() if cmd_name in names]
            for module in holding or MODULES:
                self._load(module)
        return self.commands.get(cmd_name)

    def _load(self, module: str) -> None:
        part = typer.Typer(rich_markup_mode=None)
        import_module(f"ca.cli.{module}").register(part)
        for name, command in get_group(part).commands.items():
            self.commands.setdefault(name, command)
