"""A profile: the law that turns a wish list into a certificate. A frozen value, no behaviour."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from ca.profiles.x509v3 import ExtensionDirective


class PolicyRule(StrEnum):
    """What a `[ policy ]` section says of one attribute of the subject, as `openssl ca` reads it.

    match:    must be there and equal the issuer's.
    supplied: must be there.
    optional: may be there. An attribute that is not in the policy is dropped.
    """

    MATCH = "match"
    SUPPLIED = "supplied"
    OPTIONAL = "optional"


class PolicyField(Struct, frozen=True):
    """One line of the policy; their order is the order of the RDNs of the subject."""

    oid: str
    rule: PolicyRule


class Profile(Struct, frozen=True, kw_only=True):
    """Everything that decides a certificate but its key, its names and its dates.

    text:             the rendered openssl.cnf it was read from; sha256 is over its UTF-8 octets.
    source:           a file's path, or "built-in".
    purpose:          one line for people. consumers: "openvpn", "iphone", "chrome", ...
    max_days:         the ceiling; default_days is never above it.
    digest:           `default_md`, or None: the digest of the CA key's own kind.
    keys:             names in `algorithms.KEY_KINDS`, or "rsa" (2048 to 4096), or "ec".
    san_kinds:        which of "dns", "ip", "email", "uri", "upn" a request may ask for.
    subject_defaults: (oid, value) for attributes the request leaves out, and that the policy
                      takes; `subject_fixed` holds those it must not change.
    extensions:       in the order of the file, which is the order in the certificate.
    key_usage, eku:   what those extensions say, for the lint; empty when absent.
    """

    name: str
    purpose: str
    consumers: tuple[str, ...]
    text: str
    sha256: bytes
    source: str
    default_days: int
    max_days: int
    digest: str | None
    policy: tuple[PolicyField, ...]
    subject_defaults: tuple[tuple[str, str], ...]
    subject_fixed: tuple[tuple[str, str], ...]
    keys: tuple[str, ...]
    san_kinds: frozenset[str]
    san_required: bool
    cn_from_san: bool
    copies_extensions: bool
    is_ca: bool
    extensions: tuple[ExtensionDirective, ...]
    key_usage: frozenset[str]
    eku: tuple[str, ...]
