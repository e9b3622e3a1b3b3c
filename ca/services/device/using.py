"""How a program uses a key that lies in the TPM: its configuration, and what to know of it.

The texts are templates/use/*.j2. What is filled in is the paths of this home, which are refused
when no configuration language could hold them, and the versions of what is installed here.
"""

from __future__ import annotations

import re
import shutil
import subprocess

from msgspec import Struct

from ca.encoding import tlv
from ca.encoding.tsskey import TssKey
from ca.errors import DeviceRefused, UsageError
from ca.interfaces.custody import CustodyKind
from ca.names.showing import visible
from ca.resources import resource
from ca.services.device.home import CHAIN, KEY, ROOT, DeviceRequest
from ca.services.device.requesting import Device, has_one_hash, key_of

PROGRAMS = ("openvpn", "openssl", "curl", "nginx", "strongswan", "networkmanager")

#: What can stand in double quotes in openvpn's, openssl's, nginx's and swanctl's files and in sh.
_SAFE = re.compile(r"[A-Za-z0-9_/.,:=@+~ -]+\Z")
_SEPARATOR = "# ---- caveats ----\n"
_SECONDS = 10


class Instructions(Struct, frozen=True):
    """configuration: text to copy. caveats: sentences."""

    configuration: str
    caveats: tuple[str, ...]


class Version(Struct, frozen=True):
    """A Debian package's upstream version; (0,) when it is not installed or not known."""

    text: str
    numbers: tuple[int, ...]

    def before(self, *numbers: int) -> bool:
        return self.numbers < numbers


def instructions(request: DeviceRequest, program: str, device: Device) -> Instructions:
    """For one of PROGRAMS.

    Raises: UsageError when a path cannot be written in a configuration; DeviceRefused for a key
            that the program cannot sign with.
    """
    if program == "strongswan" and not has_one_hash(key_of(request)):
        # 5.9.8: "no common hash algorithm found to create signature with ECDSA key"
        raise DeviceRefused(
            f"strongSwan signs with no key in a TPM but one that has its hash fixed, and that of "
            f"{request.name!r} takes any",
            remedy=f"run `homeca request renew {request.name} --new-key --one-hash`, and have it "
            "signed",
        )
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    custody = device.home.custody()
    tcti = custody.tcti if custody is not None else ""
    paths = {
        "key": device.home.stable(request, KEY),
        "chain": device.home.stable(request, CHAIN),
        "root": device.home.stable(request, ROOT),
        "conf": device.home.stable(request, KEY).parent.parent / "openssl.cnf",
        "state": device.home.home / "tpm",
    }
    public, private = _offsets(key_of(request))
    environment = Environment(
        loader=FileSystemLoader(resource("templates") / "use"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701  # settings files, not HTML; every value is checked below
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    text = environment.get_template(f"{program}.j2").render(
        {label: _writable(str(path)) for label, path in paths.items()},
        name=request.name,
        kind=request.kind,
        is_rsa=request.kind.startswith("rsa"),
        has_pin=request.has_pin,
        tcti=_writable(tcti or "device:/dev/tpmrm0"),
        is_embedded=tcti == "embedded",
        is_software=custody is not None and custody.kind is CustodyKind.SOFTWARE_TPM,
        public_offset=public,
        private_offset=private,
        provider=package_version("tpm2-openssl"),
        openvpn=package_version("openvpn"),
    )
    configuration, _, caveats = text.partition(_SEPARATOR)
    return Instructions(
        configuration,
        tuple(" ".join(one.split()) for one in re.split(r"\n\s*\n", caveats) if one.strip()),
    )


def _offsets(pem: bytes) -> tuple[int, int]:
    """Where `openssl asn1parse -strparse` finds the public and the private area: they end the
    TSS2 PRIVATE KEY."""
    key = TssKey.from_pem(pem)
    private = len(key.to_der()) - len(tlv.octet_string(key.private))
    return private - len(tlv.octet_string(key.public)), private


def _writable(text: str) -> str:
    if not _SAFE.match(text):
        raise UsageError(
            f"{visible(text)!r} holds characters that a settings file cannot",
            remedy="keep the home in a path of letters, digits and / . _ -",
        )
    return text


def package_version(package: str) -> Version:
    """What dpkg has of a package."""
    program = shutil.which("dpkg-query")
    text = ""
    if program is not None:
        done = subprocess.run(  # noqa: S603  # no shell; the arguments are ours
            [program, "-W", "-f", "${db:Status-Status} ${Version}", package],
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
            stdin=subprocess.DEVNULL,
        )
        status, _, version = done.stdout.partition(" ")
        text = version if done.returncode == 0 and status == "installed" else ""
    upstream = text.partition(":")[2] or text
    found = re.match(r"[0-9]+(?:\.[0-9]+)*", upstream)
    numbers = tuple(map(int, found[0].split("."))) if found else (0,)
    return Version(visible(text), numbers)
