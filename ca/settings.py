"""homeca.toml: read strictly, all or nothing.

    base_url = "http://ca.home.arpa"     # where CRLs and issuer certificates are fetched
    tpm      = "device:/dev/tpmrm0"      # TCTI; else the recorded or the automatic choice
    database = "postgresql://ca@db/ca"   # else homeca.db in the home
    crl_days = 30                        # how long a CRL is valid
    crl_ladder = 12                      # cut so many CRLs each time, one taking over from the
    crl_step_days = 30                   # other after so many days, instead of a single one

    [names]                              # which names this CA may certify at all
    permit_dns = ["home.arpa", "lan"]    # trees; replaces the default list
    permit_ip  = ["192.168.0.0/16"]      # networks; replaces the default list
    exceptions = ["vpn.example.org", "203.0.113.7", "me@example.org"]   # names, one by one

An unknown key, a wrong type or an impossible value is an error with its line; nothing is used then.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from typing import Any

from msgspec import Struct

from ca.errors import IllegalName, SettingsMalformed
from ca.names.constraints import IPNetwork, NameConstraints
from ca.names.general import parse_general_name
from ca.names.showing import visible

#: Names that no public registry delegates: RFC 8375, RFC 6761, RFC 6762 with its appendix G, and
#: ICANN's reservation of .internal (2024).
HOME_TREES = ("home.arpa", "internal", "lan", "local", "localdomain", "localhost", "home", "test")

#: Addresses that are not routed on the Internet: RFC 1918, 6598, 1122, 3927, 4193, 4291.
HOME_NETWORKS: tuple[IPNetwork, ...] = tuple(
    ip_network(text)
    for text in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "fc00::/7",
        "fe80::/10",
        "::1/128",
    )
)
MAX_SIZE = 65536
#: Who has more than this wrong reads no further.
_MOST_FAULTS = 20


class Settings(Struct, frozen=True, kw_only=True):
    """What homeca.toml says; the defaults are those of a home without one.

    permit_dns, permit_ip: trees and networks this CA may certify names in.
    exceptions:            single names beyond them: DNS names, "*.x.org", addresses, e-mails.
    """

    base_url: str | None = None
    tpm: str | None = None
    database: str | None = None
    crl_days: int | None = None
    crl_ladder: int | None = None
    crl_step_days: int = 30
    permit_dns: tuple[str, ...] = HOME_TREES
    permit_ip: tuple[IPNetwork, ...] = HOME_NETWORKS
    exceptions: tuple[str, ...] = ()


def read_settings(octets: bytes) -> Settings:
    """The settings in a homeca.toml, UTF-8.

    Raises: SettingsMalformed naming every fault with its line and key.
    """
    import tomllib  # most homes have no such file

    if len(octets) > MAX_SIZE:
        raise _malformed([f"the file has {len(octets)} octets, more than {MAX_SIZE}"])
    try:
        text = octets.decode("utf-8-sig")
        table = tomllib.loads(text + "\n#")  # so that a fault at the end has a line
    except UnicodeDecodeError as error:
        raise _malformed([f"octet {error.start} is not UTF-8"]) from error
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise _malformed([visible(str(error)) or "too deeply nested"]) from error
    faults: list[str] = []
    values = _read_table(table, _KEYS, "", text, faults)
    names = values.pop("names", {})
    if faults:
        raise _malformed(faults)
    return Settings(**values, **names)


def _malformed(faults: list[str]) -> SettingsMalformed:
    return SettingsMalformed(
        "homeca.toml: " + "; ".join(faults),
        remedy="correct homeca.toml; until then nothing of it is used",
    )


class _Unfit(ValueError):
    """A value that a key cannot have."""


def _read_table(
    table: Mapping[str, Any],
    keys: Mapping[str, Callable[[Any], Any]],
    prefix: str,
    text: str,
    faults: list[str],
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, raw in table.items():
        if len(faults) == _MOST_FAULTS:
            faults.append("and more")
        if len(faults) > _MOST_FAULTS:
            break
        where = f"line {_line(text, prefix, key)}: "
        shown = visible(f"{prefix}.{key}" if prefix else key)
        reader = keys.get(key)
        if reader is None:
            near = difflib.get_close_matches(key, keys, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(keys)}"
            faults.append(f"{where}{shown!r} is not a setting{hint}")
            continue
        if reader is _names:
            if isinstance(raw, dict):
                values[key] = _read_table(raw, _NAME_KEYS, key, text, faults)
            else:
                faults.append(f"{where}{shown!r} must be a table: write [names]")
            continue
        try:
            values[key] = reader(raw)
        except (_Unfit, IllegalName) as error:
            faults.append(f"{where}{shown!r} {error}")
    return values


def _line(text: str, table: str, key: str) -> int:
    """The line a key stands on, for people; 1 when it is written in some rarer way."""
    current = ""
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line)
        if header:
            current = header.group(1)
            if not table and current == key:
                return number
        elif current == table and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]", line):
            return number
    return 1


def _text(raw: object) -> str:
    if not isinstance(raw, str) or not raw.strip():
        raise _Unfit("must be a text in quotes")
    if visible(raw) != raw and "\\" not in raw:
        raise _Unfit("holds a control or hidden character")
    return raw.strip()


def _url(raw: object) -> str:
    url = _text(raw)
    if not re.fullmatch(r"http://[A-Za-z0-9.:\[\]_-]+(/[!-~]*)?", url):
        raise _Unfit(
            f"{visible(url)!r} is not a plain http:// URL: clients fetch CRLs before they can "
            "verify https"
        )
    return url.rstrip("/")


def _days(raw: object) -> int:
    return _number(raw, 1, 366, "a number of days")


def _rungs(raw: object) -> int:
    return _number(raw, 1, 120, "a number of CRLs")


def _step(raw: object) -> int:
    return _number(raw, 1, 183, "a number of days")


def _number(raw: object, least: int, most: int, what: str) -> int:
    if not isinstance(raw, int) or isinstance(raw, bool) or not least <= raw <= most:
        raise _Unfit(f"must be {what} from {least} to {most}")
    return raw


def _list(raw: object) -> tuple[str, ...]:
    if not isinstance(raw, list) or not all(isinstance(entry, str) for entry in raw):
        raise _Unfit('must be a list of texts: ["a", "b"]')
    return tuple(dict.fromkeys(raw))


def _trees(raw: object) -> tuple[str, ...]:
    return NameConstraints.parse(dns=_list(raw)).permitted_dns


def _networks(raw: object) -> tuple[IPNetwork, ...]:
    return NameConstraints.parse(ip=_list(raw)).permitted_ip


def _exceptions(raw: object) -> tuple[str, ...]:
    return tuple(str(parse_general_name(entry)) for entry in _list(raw))


def _names(raw: object) -> object:
    return raw


_KEYS: dict[str, Callable[[Any], Any]] = {
    "base_url": _url,
    "tpm": _text,
    "database": _text,
    "crl_days": _days,
    "crl_ladder": _rungs,
    "crl_step_days": _step,
    "names": _names,
}
_NAME_KEYS: dict[str, Callable[[Any], Any]] = {
    "permit_dns": _trees,
    "permit_ip": _networks,
    "exceptions": _exceptions,
}
