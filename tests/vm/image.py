"""What the virtual machine boots: Debian's kernel, and an initramfs that finds this root.

Neither is installed. The kernel's package is fetched with apt and taken apart in .cache/vm; the
initramfs holds a static busybox and the modules on the way to the root.
"""

from __future__ import annotations

import lzma
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.interop.homeca import CHECKOUT

CACHE = CHECKOUT / ".cache" / "vm"
#: crc32c_generic: ext4 asks for it by what it does, not by its name
MODULES = (
    "virtio_pci",
    "9pnet_virtio",
    "9p",
    "overlay",
    "virtio_blk",
    "crc32c_generic",
    "ext4",
    "virtio_console",
)


@dataclass(frozen=True, slots=True)
class Image:
    kernel: Path
    initramfs: Path


def fetch_kernel() -> Path:
    """The directory with `boot` and `lib` of Debian's kernel, fetched once."""
    CACHE.mkdir(parents=True, exist_ok=True)
    depends = _told("apt-cache", "depends", "linux-image-amd64")
    package = re.search(r"Depends: (linux-image-\S+)", depends)
    assert package is not None, depends
    place = CACHE / package[1]
    if not place.exists():
        subprocess.run(["apt-get", "download", "-qq", package[1]], cwd=CACHE, check=True)
        (archive,) = CACHE.glob(f"{package[1]}_*.deb")
        half = CACHE / "half"
        shutil.rmtree(half, ignore_errors=True)
        subprocess.run(["dpkg", "-x", archive, half], check=True)
        archive.unlink()
        half.rename(place)
    return place


def build(place: Path, init: str) -> Image:
    """An initramfs in `place` around the script `init`."""
    unpacked = fetch_kernel()
    root = place / "initramfs"
    for name in ("bin", "dev", "proc", "sys", "modules", "host", "new", "rw"):
        (root / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin/busybox")
    order = _ordered(unpacked / "lib/modules")
    for number, module in enumerate(order):
        octets = _octets(module)
        (root / f"modules/{number:02}-{module.name.partition('.')[0]}.ko").write_bytes(octets)
    (root / "init").write_text(init)
    (root / "init").chmod(0o755)
    archive = place / "initramfs.cpio"
    names = "\0".join(str(p.relative_to(root)) for p in sorted(root.rglob("*")))
    with archive.open("wb") as out:
        subprocess.run(
            ["cpio", "--null", "--create", "--format=newc", "--quiet"],
            cwd=root, input=names.encode(), stdout=out, check=True,
        )  # fmt: skip
    (kernel,) = (unpacked / "boot").glob("vmlinuz-*")
    return Image(kernel, archive)


def _ordered(modules: Path) -> list[Path]:
    """The files of MODULES and of what they depend on, in the order they are to be loaded."""
    files = {p.name.partition(".ko")[0].replace("-", "_"): p for p in modules.rglob("*.ko*")}
    order: list[Path] = []

    def add(name: str) -> None:
        file = files.get(name)
        if file is None or file in order:  # built into the kernel
            return
        octets = _octets(file)
        depends = re.search(rb"\0depends=([^\0]*)\0", octets)
        for other in (depends[1].decode() if depends else "").split(","):
            add(other.replace("-", "_"))
        order.append(file)

    for name in MODULES:
        add(name)
    return order


def _octets(module: Path) -> bytes:
    """Debian 13 compresses them; busybox loads what is not."""
    octets = module.read_bytes()
    return lzma.decompress(octets) if module.suffix == ".xz" else octets


def _told(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout
