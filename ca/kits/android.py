"""The strongSwan app on Android: a .sswan profile (SS4; strongSwan docs, VPN profile import)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from ca.kits.facts import File, KitFacts, Sign
from ca.kits.writing import SECRET
from ca.names.showing import visible


def kit(facts: KitFacts, _sign: Sign) -> Iterator[File]:
    """NAME.sswan; NAME.p12 beside it, for phones where the import out of the profile fails."""
    secret = facts.pkcs12 is not None
    octets = json.dumps(profile(facts), indent=2).encode() + b"\n"
    yield File(f"{facts.stem}.sswan", octets, SECRET if secret else 0o644)
    if facts.pkcs12 is not None:
        yield File(f"{facts.stem}.p12", facts.pkcs12, SECRET)


def profile(facts: KitFacts) -> dict[str, Any]:
    """The JSON object. The app keeps `remote.cert` to itself: no CA enters the phone's store."""
    server = facts.servers[0]
    local: dict[str, Any] = {"id": facts.identity}
    if facts.pkcs12 is not None:
        local["p12"] = base64.b64encode(facts.pkcs12).decode()
    return {
        "uuid": facts.uuid("sswan").lower(),
        "name": visible(f"{facts.ca_name} VPN"),
        "type": "ikev2-cert",
        "remote": {
            "addr": server.host,
            "id": server.host,
            "cert": base64.b64encode(facts.root).decode(),
        },
        "local": local,
    }
