"""Coverage-guided fuzzing, bounded in time: `python -m tests.fuzz.run request --seconds 60`.

Every seed is run first. The corpus grows under .cache/fuzz; an input that surprises is written
there as well, its name is printed and the exit status is not 0.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

# no stubs; and `make check` does without it
import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]

with atheris.instrument_imports(include=["ca"]):
    from tests.fuzz.targets import CHECKOUT, TARGETS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=int, default=60)
    chosen = parser.parse_args()
    run, seeds = TARGETS[chosen.target]
    corpus = CHECKOUT / ".cache" / "fuzz" / chosen.target
    corpus.mkdir(parents=True, exist_ok=True)
    for octets in seeds():
        run(octets)
        _keep(corpus, octets)
    atheris.Setup(
        [
            sys.argv[0],
            f"-max_total_time={chosen.seconds}",
            "-max_len=8192",
            "-timeout=5",
            "-rss_limit_mb=1024",
            f"-artifact_prefix={corpus.parent}/{chosen.target}-surprise-",
            "-print_final_stats=1",
            str(corpus),
        ],
        run,
    )
    atheris.Fuzz()


def _keep(corpus: Path, octets: bytes) -> None:
    (corpus / hashlib.sha256(octets).hexdigest()[:24]).write_bytes(octets)


if __name__ == "__main__":
    main()
