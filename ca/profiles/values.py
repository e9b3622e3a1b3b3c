"""The values of a profile's own keys, each from its text. All raise EncodingError."""

from __future__ import annotations

import re

from ca.algorithms import KEY_KINDS, Family
from ca.names.showing import visible
from ca.profiles.object_names import meant
from ca.profiles.x509v3_names import bad

MAX_DAYS = 36525  # a hundred years
SAN_KINDS = ("dns", "ip", "email", "uri", "upn")
DIGESTS = ("sha256", "sha384", "sha512")


def read_days(text: str) -> int:
    """A lifetime: 1 to MAX_DAYS."""
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= MAX_DAYS:
        raise bad(f"{visible(text)!r} is not a number of days", f"write 1 to {MAX_DAYS}")
    return int(text)


def read_digest(text: str) -> str | None:
    """A digest homeca signs with; None for `default`, the one of the CA key's kind."""
    if text == "default":
        return None
    lowered = text.lower().replace("-", "")
    if lowered not in DIGESTS:
        raise bad(
            f"{visible(text)!r} is not a digest homeca signs with{meant(text, DIGESTS)}",
            f"write {', '.join(DIGESTS)} or default",
        )
    return lowered


def read_copies(text: str) -> bool:
    """`copy_extensions`: are the names of a request taken?"""
    if text in ("none", "copy"):
        return text == "copy"
    raise bad(
        f"{visible(text)!r} would let a request decide its extensions"
        if text == "copyall"
        else f"{visible(text)!r} is not a way to copy",
        "write none; or copy, to take the names of a request after checking them",
    )


def read_words(text: str) -> tuple[str, ...]:
    """Small words between commas."""
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    for word in words:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", word):
            raise bad(f"{visible(word)!r} is not a word", "use small letters, digits and '-'")
    return words


def read_kinds(text: str) -> frozenset[str]:
    """Kinds of names, or none."""
    words = frozenset(read_words(text)) - {"none"}
    for word in words:
        if word not in SAN_KINDS:
            raise bad(
                f"{visible(word)!r} is not a kind of name{meant(word, SAN_KINDS)}",
                f"use {', '.join(SAN_KINDS)} or none",
            )
    return words


def read_keys(text: str) -> tuple[str, ...]:
    """Kinds of keys; `ec` stands for every curve, `rsa` for itself (2048 to 4096 bits)."""
    curves = tuple(kind.name for kind in KEY_KINDS.values() if kind.family is Family.EC)
    kinds: list[str] = []
    for word in read_words(text):
        if word == "ec":
            kinds += curves
        elif word == "rsa" or word in KEY_KINDS:
            kinds.append(word)
        else:
            known = (*KEY_KINDS, "ec", "rsa")
            raise bad(
                f"{visible(word)!r} is not a kind of key{meant(word, known)}",
                f"use {', '.join(known)}",
            )
    if not kinds:
        raise bad("no kind of key is named", "write keys = ec, rsa")
    return tuple(dict.fromkeys(kinds))
