"""Writes the golden kits anew: `python -m tests.kits`. Look at the difference before you commit."""

from __future__ import annotations

import shutil

from tests.kits.kitfacts import GOLDEN, VARIANTS, made


def main() -> None:
    shutil.rmtree(GOLDEN, ignore_errors=True)
    for name, (kind, more) in VARIANTS.items():
        for one in made(kind, **more).files:
            path = GOLDEN / name / one.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(one.octets)


if __name__ == "__main__":
    main()
