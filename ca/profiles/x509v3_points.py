"""Where CRLs are, in x509v3_config(5) (RFC 5280 §4.2.1.13, §5.2.5)."""

from __future__ import annotations

from ca.encoding import extensions as ext
from ca.encoding import tlv
from ca.encoding.asn1_generate import parse_boolean
from ca.encoding.dn import encode_rdn
from ca.names.showing import visible
from ca.profiles.object_names import meant
from ca.profiles.openssl_cnf import Cnf
from ca.profiles.x509v3_names import (
    Item,
    bad,
    general_name,
    general_name_list,
    items_or_section,
    list_items,
    plain,
    section_items,
    section_name,
    valued,
)

_REASONS = {
    "unused": 0,
    "keyCompromise": 1,
    "CACompromise": 2,
    "affiliationChanged": 3,
    "superseded": 4,
    "cessationOfOperation": 5,
    "certificateHold": 6,
    "privilegeWithdrawn": 7,
    "AACompromise": 8,
}


def distribution_points(cnf: Cnf, text: str, line: int) -> bytes:
    """crlDistributionPoints and freshestCRL: names, or sections. Raises: EncodingError."""
    points = []
    for item in items_or_section(cnf, text, line):
        if item.value is None:
            points.append(_distribution_point(cnf, item.name))
        else:
            points.append(ext.distribution_point(ext.full_name([general_name(cnf, item)])))
    return tlv.sequence(*points)


def _distribution_point(cnf: Cnf, section: str) -> bytes:
    name, reasons, crl_issuer = b"", None, []
    for item in section_items(cnf, section):
        value = item.value or ""
        match item.name:
            case "fullname" | "relativename" if name:
                raise bad(f"[{section}] has fullname and relativename", "keep one of them")
            case "fullname" | "relativename":
                name = _point_name(cnf, item)
            case "reasons":
                reasons = _reasons(value, item.line)
            case "CRLissuer":
                crl_issuer = general_name_list(cnf, value, item.line)
            case key:
                known = ("fullname", "relativename", "reasons", "CRLissuer")
                raise bad(
                    f"line {item.line}, {visible(key)!r} is not a key of a distribution point"
                    f"{meant(key, known)}",
                    f"use {', '.join(known)}",
                )
    if not name and not crl_issuer:
        raise bad(
            f"[{section}] has neither fullname nor CRLissuer",
            "write where the CRL is (RFC 5280 §4.2.1.13)",
        )
    return ext.distribution_point(name, reasons, crl_issuer)


def _point_name(cnf: Cnf, item: Item) -> bytes:
    value = item.value or ""
    if item.name == "fullname":
        return ext.full_name(general_name_list(cnf, value, item.line))
    rdns = section_name(cnf, value).rdns
    if len(rdns) != 1:
        raise bad(f"[{visible(value)}] has {len(rdns)} RDNs", "join them with +, or keep one")
    return ext.relative_name(encode_rdn(rdns[0]))


def _reasons(text: str, line: int) -> list[int]:
    bits = []
    for item in list_items(text, line):
        name = plain(item)
        if name not in _REASONS:
            raise bad(
                f"{visible(name)!r} is not a reason{meant(name, _REASONS)}",
                f"use {', '.join(list(_REASONS)[1:])}",
            )
        bits.append(_REASONS[name])
    return bits


def issuing_distribution_point(cnf: Cnf, text: str, line: int) -> bytes:
    """issuingDistributionPoint, of a CRL. Raises: EncodingError."""
    name, reasons, flags = b"", None, {}
    for item in items_or_section(cnf, text, line):
        value = valued(item, f"{item.name}:TRUE")
        match item.name:
            case "fullname" | "relativename" if name:
                raise bad("fullname and relativename stand together", "keep one of them")
            case "fullname" | "relativename":
                name = _point_name(cnf, item)
            case "onlysomereasons":
                reasons = _reasons(value, item.line)
            case "onlyuser" | "onlyCA" | "onlyAA" | "indirectCRL":
                flags[item.name] = parse_boolean(value)
            case key:
                raise bad(
                    f"{visible(key)!r} is not a key of issuingDistributionPoint",
                    "use fullname, relativename, onlysomereasons, onlyuser, onlyCA, onlyAA "
                    "or indirectCRL",
                )
    return ext.issuing_distribution_point(
        name,
        only_user=flags.get("onlyuser", False),
        only_ca=flags.get("onlyCA", False),
        only_attribute=flags.get("onlyAA", False),
        indirect=flags.get("indirectCRL", False),
        reasons=reasons,
    )
