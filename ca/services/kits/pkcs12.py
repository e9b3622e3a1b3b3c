"""A device's own key in a kit, as the PKCS#12 its devices read, and the password on it."""

from __future__ import annotations

import re

from msgspec import Struct

from ca.encoding.pkcs12 import Pkcs12Form, pkcs12
from ca.errors import KitRefused
from ca.interfaces.values import Entropy, Secret
from ca.kits.facts import KitFacts
from ca.kits.kinds import Kind
from ca.names.showing import visible

#: No "l", "o", "0", "1": a person types this on a phone. 20 of 32 signs are 100 bits.
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
_GROUPS, _GROUP = 4, 5
#: Shorter passwords of one's own are found by trying, above all in the legacy form.
LEAST_PASSWORD = 12


class Pkcs12Wish(Struct, frozen=True, kw_only=True):
    """A device's key that goes into the kit. form: None for the one the kit's devices read."""

    key: bytes
    key_password: Secret | None
    password: Secret
    form: Pkcs12Form | None = None


def device_pkcs12(wish: Pkcs12Wish, facts: KitFacts, about: Kind) -> bytes:
    """The device's key with its certificate. Android takes it without a CA beside it (SS4)."""
    form = wish.form or (Pkcs12Form.LEGACY if about.legacy else Pkcs12Form.MODERN)
    alone = about.name == "android-strongswan"
    return pkcs12(
        key=wish.key,
        key_password=wish.key_password,
        certificate=facts.leaf,
        chain=() if alone else facts.intermediates[:1],
        name=visible(facts.name),
        password=wish.password,
        form=form,
    )


def new_password(entropy: Entropy) -> Secret:
    """Twenty signs in groups of five, "k3v7m-…": 100 random bits."""
    signs = [_ALPHABET[octet % 32] for octet in entropy(_GROUPS * _GROUP)]
    groups = ("".join(signs[at : at + _GROUP]) for at in range(0, len(signs), _GROUP))
    return Secret("-".join(groups).encode())


def require_password(password: Secret) -> Secret:
    """Raises: KitRefused for one that is soon guessed, or that no phone's keyboard has."""
    octets = password.reveal()
    if len(octets) < LEAST_PASSWORD or not re.fullmatch(rb"[ -~]+", octets):
        raise KitRefused(
            f"the password of a PKCS#12 needs at least {LEAST_PASSWORD} printable ASCII characters",
            remedy="leave --pkcs12-password-file out, and homeca makes one",
        )
    return password
