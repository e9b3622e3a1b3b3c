"""The ledger's entries as octets, and the link that ties each to the one before it.

Format 1. It never changes; another one would say so in the details of `begun`.

    link  = SHA-256( "homeca ledger 1" 00 ‖ previous link ‖ seq ‖ at ‖ issuer
                     ‖ length(serial) serial ‖ length(event) event ‖ length(details) details )

    previous link   32 octets; zeros before the first entry
    seq, issuer     8 octets, unsigned; issuer 0: about none
    at              8 octets, signed: seconds since 1970
    length          4 octets; serial 20 octets or none; event and details in UTF-8

Numbers are big-endian. `details` is JSON with its keys in order, without spaces, in ASCII, with
octets in lower-case hex and times as seconds; it is hashed as it is stored, never written anew.

A link therefore speaks for every entry up to its own, and the newest one for the whole ledger.
The functions below say what the details of each event are. Whoever compares an entry with the
row it is about makes the details anew from the row and compares the texts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

_TAG = b"homeca ledger 1\0"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: What stands before the first entry, and what a new extend index holds.
ORIGIN = bytes(32)

FORMAT = 1


def link(
    previous: bytes,
    *,
    seq: int,
    at: int,
    event: str,
    issuer_id: int | None,
    serial: int | None,
    details: str,
) -> bytes:
    """The link of an entry. Raises: OverflowError for numbers no entry can have."""
    octets = (
        "" if serial is None else f"{serial:040x}",
        event.encode("utf-8", "surrogatepass"),
        details.encode("utf-8", "surrogatepass"),
    )
    fields = (bytes.fromhex(octets[0]), *octets[1:])
    return hashlib.sha256(
        _TAG
        + previous
        + seq.to_bytes(8, "big")
        + at.to_bytes(8, "big", signed=True)
        + (issuer_id or 0).to_bytes(8, "big")
        + b"".join(len(field).to_bytes(4, "big") + field for field in fields)
    ).digest()


def details_text(details: Mapping[str, object]) -> str:
    """Details as they are stored and hashed."""
    return json.dumps(details, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def read_details(text: str) -> dict[str, Any] | None:
    """Details as they were said; None for what is no JSON object: somebody has changed it."""
    try:
        said: Any = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _no_number(text: str) -> NoReturn:
    """NaN and Infinity are not JSON."""
    raise ValueError(text)


def seconds(moment: datetime | None) -> int | None:
    """A time as details hold it; None stays None."""
    return None if moment is None else (moment - _EPOCH) // timedelta(seconds=1)


def digest(octets: bytes | None) -> str | None:
    """SHA-256 as details hold it."""
    return None if octets is None else hashlib.sha256(octets).hexdigest()


def _hex(serial: int | None) -> str | None:
    return None if serial is None else f"{serial:040x}"


# ---------------------------------------------------------------- the details of each event


def begun(nonce: bytes) -> dict[str, object]:
    """The first entry: 32 random octets make its link this ledger's own name."""
    return {"format": FORMAT, "nonce": nonce.hex()}


def custody(
    *,
    kind: str,
    tcti: str,
    manufacturer: str,
    model: str,
    firmware: str,
    srk_public: bytes,
    node: str | None = None,
) -> dict[str, object]:
    """node: whose it is, where several share the record."""
    shared: dict[str, object] = {} if node is None else {"node": node}
    return shared | {
        "kind": kind,
        "tcti": tcti,
        "manufacturer": manufacturer,
        "model": model,
        "firmware": firmware,
        "srk_public": srk_public.hex(),
    }


def node(*, identity: str, name: str) -> dict[str, object]:
    return {"identity": identity, "name": name}


def issuer_begun(
    *,
    role: str,
    slug: str,
    subject: str,
    subject_der: bytes,
    crl_url: str | None,
    issuer_url: str | None,
) -> dict[str, object]:
    return {
        "role": role,
        "slug": slug,
        "subject": subject,
        "subject_der": digest(subject_der),
        "crl_url": crl_url,
        "issuer_url": issuer_url,
    }


def issuer_key(*, spki: bytes, key_kind: str, key_file: str) -> dict[str, object]:
    return {"spki": digest(spki), "key_kind": key_kind, "key_file": key_file}


def issuer_active(
    *,
    parent_id: int | None,
    certificate: bytes | None,
    serial: int | None,
    not_before: datetime | None,
    not_after: datetime | None,
) -> dict[str, object]:
    return {
        "parent": parent_id,
        "certificate": digest(certificate),
        "serial": _hex(serial),
        "not_before": seconds(not_before),
        "not_after": seconds(not_after),
    }


def reserved(*, subject: str) -> dict[str, object]:
    return {"subject": subject}


def intended(
    *,
    tbs: bytes,
    profile: str,
    profile_sha256: bytes,
    subject: str,
    names: Sequence[str],
    spki_sha256: bytes,
    not_before: datetime,
    not_after: datetime,
    request_sha256: bytes,
    replaces: int | None,
) -> dict[str, object]:
    return {
        "tbs": digest(tbs),
        "profile": profile,
        "profile_sha256": profile_sha256.hex(),
        "subject": subject,
        "names": list(names),
        "spki": spki_sha256.hex(),
        "not_before": seconds(not_before),
        "not_after": seconds(not_after),
        "request": request_sha256.hex(),
        "replaces": _hex(replaces),
    }


def issued(der: bytes) -> dict[str, object]:
    return {"certificate": digest(der)}


def settled(note: str) -> dict[str, object]:
    return {"note": note}


def revoked(
    *, reason: str, revoked_at: datetime, invalidity: datetime | None, entry: bytes
) -> dict[str, object]:
    return {
        "reason": reason,
        "revoked_at": seconds(revoked_at),
        "invalidity": seconds(invalidity),
        "entry": digest(entry),
    }


def crl_reserved(number: int) -> dict[str, object]:
    return {"number": number}


def crl(
    *,
    number: int,
    this_update: datetime | None,
    next_update: datetime | None,
    entries: int | None,
    sha256: bytes | None,
) -> dict[str, object]:
    return {
        "number": number,
        "this_update": seconds(this_update),
        "next_update": seconds(next_update),
        "entries": entries,
        "sha256": None if sha256 is None else sha256.hex(),
    }


def anchor_placed(
    *, tpm: bytes, head: int, counter: int, value: bytes, count: int, attestation_key: bytes | None
) -> dict[str, object]:
    """tpm, attestation_key: Names. head, counter: handles. value, count: what they held then."""
    return anchored(tpm=tpm, head=head, counter=counter, seq=0, value=value, count=count) | {
        "attestation_key": None if attestation_key is None else attestation_key.hex()
    }


def anchored(
    *, tpm: bytes, head: int, counter: int, seq: int, value: bytes, count: int
) -> dict[str, object]:
    """A TPM was found with its head at entry `seq`. value, count: what its indices hold."""
    return {
        "tpm": tpm.hex(),
        "head": head,
        "counter": counter,
        "seq": seq,
        "value": value.hex(),
        "count": count,
    }


def accepted(
    *, tpm: bytes, head: int, counter: int, seq: int, value: bytes, count: int, reason: str
) -> dict[str, object]:
    """What the indices held when an operator took this record, up to `seq`, for true."""
    return anchored(tpm=tpm, head=head, counter=counter, seq=seq, value=value, count=count) | {
        "reason": reason
    }
