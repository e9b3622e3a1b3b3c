"""What may reach a terminal: no control, no escape, nothing that reorders or hides text."""

from __future__ import annotations

import unicodedata

#: Line ends, and the tabs between the columns of a pipe.
_ALLOWED = {"\n", "\t"}


def harmful(octets: bytes) -> list[str]:
    """Every character of an output that could do more than be read."""
    return [
        f"U+{ord(character):04X}"
        for character in octets.decode("utf-8")
        if character not in _ALLOWED and unicodedata.category(character)[0] == "C"
    ]
