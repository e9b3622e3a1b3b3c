"""Templates of `templates/kits/` to text: only what was quoted for its place comes out.

The templates ship with homeca and are trusted; the values are not. Every `{{ value }}` must end
in a filter of `ca.kits.quoting` or be a number: anything else stops the rendering.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ca.kits.quoting import FILTERS, Quoted
from ca.resources import resource

if TYPE_CHECKING:  # jinja2 is loaded when a kit is made
    from jinja2 import Environment


class Unquoted(TypeError):
    """A template puts a value out that nothing has quoted: a fault of the template."""


def render(template: str, values: Mapping[str, Any]) -> str:
    """One file of a kit. template: below templates/kits/, without ".j2".

    Raises: KitRefused for a value that its file cannot hold.
    """
    return _environment().get_template(f"{template}.j2").render(values)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(resource("templates") / "kits"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - no HTML here; `finalize` insists on a filter instead
        finalize=_only_quoted,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters = dict(FILTERS)
    environment.globals.clear()
    return environment


def _only_quoted(value: object) -> str:
    if isinstance(value, Quoted):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise Unquoted(f"{value!r} was not quoted")
