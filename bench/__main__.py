"""python -m bench [--quick] [MEASURE...]: run them, print one table with pass or miss.

A whole run also writes bench/results.json and the README's table; --readme only the latter, from
the former.
"""

from __future__ import annotations

import argparse
import compileall
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import report
from bench.homeca import CHECKOUT
from bench.measures import FULL, MEASURES, QUICK, Bench
from bench.peer import install_key
from bench.requests import requests
from bench.tpm import software_tpm


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help=", ".join(MEASURES))
    parser.add_argument("--quick", action="store_true", help="few rounds, small records")
    parser.add_argument("--readme", action="store_true", help="measure nothing")
    asked = parser.parse_args()
    if asked.readme:
        report.write_readme()
        return 0
    unknown = set(asked.measures) - set(MEASURES)
    if unknown:
        parser.error(f"there is no measure {', '.join(sorted(unknown))}: {', '.join(MEASURES)}")
    # without compiled modules each start takes three times as long
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    compileall.compile_dir(CHECKOUT / "ca", quiet=1)
    on = report.machine()
    print(on, file=sys.stderr)
    results: list[report.Result] = []
    with ExitStack() as held:
        place = Path(held.enter_context(TemporaryDirectory(prefix="homeca-bench-")))
        port = held.enter_context(software_tpm(place / "tpm"))
        install_key(port, place / "tools")
        bench = Bench(place, requests(place / "requests"), port, QUICK if asked.quick else FULL)
        for name in asked.measures or MEASURES:
            for result in MEASURES[name](bench):
                print(*result.row(), sep="  ", file=sys.stderr, flush=True)
                results.append(result)
    print(report.table(results))
    if not asked.measures and not asked.quick:
        report.write(results, on=on)
    return 1 if any(result.verdict == "miss" for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
