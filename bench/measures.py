"""The measures: each checks what came out of every run, and says what it saw."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median

from bench.filling import fill
from bench.homeca import Homeca
from bench.peer import Peer
from bench.report import Result
from bench.timing import Side, Spent, race
from bench.tpm import SIGN, Proxy, proxy, tcti


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much of everything. small, medium, large, huge: certificates in the record."""

    rounds: int
    small: int = 10
    medium: int
    large: int
    huge: int
    revoked: int
    batch: int
    parallel: int = 40
    check_seconds: int = 60


FULL = Scale(rounds=11, medium=10_000, large=100_000, huge=1_000_000, revoked=100_000, batch=200)
QUICK = Scale(
    rounds=3, medium=1_000, large=10_000, huge=20_000, revoked=10_000, batch=50, check_seconds=10
)


class Bench:
    """Homes and directories as the measures need them, made once, all with one TPM."""

    def __init__(self, place: Path, requests: Iterator[Path], port: int, scale: Scale) -> None:
        self.place = place
        self.requests = requests
        self.port = port
        self.scale = scale
        self._homes: dict[tuple[int, int], Homeca] = {}
        self._peers: dict[tuple[int, int, bool], Peer] = {}

    def home(self, count: int, *, revoked: int = 0) -> Homeca:
        """A home with about that many certificates."""
        found = self._homes.get((count, revoked))
        if found is None:
            place = self.place / f"home-{count}-{revoked}"
            found = Homeca.founded(place, self.requests, port=self.port)
            found.sign(self.port, count=8)
            fill(place, count - 8, revoked=revoked)
            for _ in range(2):  # the first two commands read the ledger up to what was filled in
                found.sign(self.port)
            self._homes[count, revoked] = found
        return found

    def peer(self, count: int, *, revoked: int = 0, is_file_key: bool = False) -> Peer:
        found = self._peers.get((count, revoked, is_file_key))
        if found is None:
            kind = "file" if is_file_key else "tpm"
            place = self.place / f"peer-{count}-{revoked}-{kind}"
            found = Peer.founded(place, self.requests, port=self.port, is_file_key=is_file_key)
            found.fill(count, revoked=revoked)
            self._peers[count, revoked, is_file_key] = found
        return found

    # ------------------------------------------------------------ one certificate

    def commands(self) -> Iterator[Result]:
        """How often the TPM is asked: the one figure without any noise."""
        home, peer = self.home(self.scale.small), self.peer(self.scale.small)
        with proxy(self.port, as_a_chip=False) as counting:
            one = _counted(counting, lambda: home.sign(counting.port))
            eleven = _counted(counting, lambda: home.sign(counting.port, count=11))
            theirs = _counted(counting, lambda: peer.sign(counting.port))
        seen = {"openssl ca": theirs.total(), "by code": {hex(k): v for k, v in one.items()}}
        if one[SIGN] != 1 or eleven[SIGN] != 11:
            raise SystemExit("error: not one TPM2_Sign for each certificate")
        yield Result(
            measure=f"TPM commands, one `homeca sign` (`openssl ca`: {theirs.total()})",
            got=one.total(), goal=6, unit="", seen=seen,
        )  # fmt: skip
        yield Result(
            measure="TPM commands, each further request",
            got=(eleven.total() - one.total()) / 10, goal=1, unit="",
        )  # fmt: skip

    def one_certificate(self) -> Iterator[Result]:
        scale = self.scale
        for count, goal in ((scale.small, 25.0), (scale.large, 2.0)):
            home, peer, by_file = (
                self.home(count),
                self.peer(count),
                self.peer(count, is_file_key=True),
            )
            run = race(
                scale.rounds,
                partial(home.sign, self.port),
                partial(peer.sign, self.port),
                partial(by_file.sign, self.port),
            )
            yield Result(
                measure=f"one `homeca sign` / `openssl ca`, {count:,} issued",
                got=run.ratio(0, 1), goal=goal,
                seen={"ms": run.milliseconds(), "sides": "homeca, openssl tpm2, openssl file key"},
            )  # fmt: skip
        run = race(
            scale.rounds,
            lambda: self.home(scale.large).sign(self.port),
            lambda: self.home(scale.small).sign(self.port),
        )
        yield Result(
            measure=f"`homeca sign`, {scale.large:,} / {scale.small:,} issued",
            got=run.ratio(0, 1), goal=1.2, seen={"ms": run.milliseconds()},
        )  # fmt: skip
        with proxy(self.port, as_a_chip=True) as chip:
            home, peer = self.home(scale.small), self.peer(scale.small)
            run = race(scale.rounds, lambda: home.sign(chip.port), lambda: peer.sign(chip.port))
        yield Result(
            measure="one `homeca sign` / `openssl ca`, modelled chip",
            got=run.ratio(0, 1), goal=2.0, seen={"ms": run.milliseconds()},
        )  # fmt: skip

    # ------------------------------------------------------------ many certificates

    def batches(self) -> Iterator[Result]:
        count = self.scale.batch
        home = self.home(self.scale.small)
        with proxy(self.port, as_a_chip=True) as chip:
            yield self._batch(
                f"batch of {count} / bare TPM2_Sign, modelled chip", home, chip.port, 0.93
            )
        yield self._batch(
            f"batch of {count} / bare TPM2_Sign, software P-256", home, self.port, 0.5
        )
        rsa = Homeca.founded(self.place / "home-rsa", self.requests, port=self.port, key="rsa-2048")
        yield self._batch(
            f"batch of {count} / bare TPM2_Sign, software RSA-2048", rsa, self.port, 0.7
        )

    def _batch(self, measure: str, home: Homeca, port: int, goal: float) -> Result:
        """Each further request against a bare signature: the start of a command is `sign`'s row.

        Both are differences of, or parts of, whole processes that take turns.
        """
        count = self.scale.batch
        bare: list[float] = []
        argv: list[str | Path] = [
            sys.executable,
            "-m",
            "bench.bare",
            home.home,
            tcti(port),
            str(count),
        ]

        def sign_bare() -> Spent:
            spent = home.side(port).must(argv)
            bare.append(float(spent.output.splitlines()[-1]))
            return spent

        run = race(3, lambda: home.sign(port, count=count), lambda: home.sign(port), sign_bare)
        ratios = [
            one / count * (count - 1) / (many.seconds - single.seconds)
            for one, (many, single, _) in zip(bare[1:], run.rounds, strict=True)
        ]
        whole = median(
            one / many.seconds for one, (many, *_) in zip(bare[1:], run.rounds, strict=True)
        )
        return Result(
            measure=measure, got=median(ratios), goal=goal, is_ceiling=False,
            seen={"ms": run.milliseconds(), "start included": round(whole, 2)},
        )  # fmt: skip

    def parallel(self) -> Iterator[Result]:
        """Many at once: as many certificates, serials and rows."""
        count = self.scale.parallel
        home, peer = self.home(self.scale.small), self.peer(self.scale.small)
        before = _rows(home.home)
        requests = list(islice(self.requests, count))
        _at_once(
            home.side(self.port),
            [home.argv("sign", request, "--profile", "vpn-client") for request in requests],
        )
        serials = {_serial(request.with_suffix(".crt")) for request in requests}
        got = min(len(serials - {""}), _rows(home.home) - before)
        lines = peer.issued()
        requests = list(islice(self.requests, count))
        _at_once(peer.side(self.port), [peer.signing(request) for request in requests])
        theirs = {_serial(peer.place / f"{request.stem}.crt") for request in requests}
        yield Result(
            measure=f"{count} parallel `homeca sign`: certificates, serials, rows "
            f"(`openssl ca`: {len(theirs - {''})} serials, {peer.issued() - lines} rows)",
            got=got, goal=count, is_ceiling=False, unit="",
        )  # fmt: skip

    def nodes(self) -> Iterator[Result]:
        """Homes that share a record in PostgreSQL, each with its own chip and intermediate."""
        from tests.postgresql.nodes_rate import rates  # starts a server of its own

        found = rates(count=self.scale.batch, rounds=3)
        seen = {"certificates/s": {nodes: round(rate, 1) for nodes, rate in found.items()}}
        for nodes, goal in ((2, 1.8), (4, 3.2)):
            yield Result(
                measure=f"certificates per second, {nodes} nodes / 1, modelled chip",
                got=found[nodes] / found[1], goal=goal, is_ceiling=False, seen=seen,
            )  # fmt: skip

    def syncs(self) -> Iterator[Result]:
        """Between the signature and the certificate's file, on the disk."""
        home = self.home(self.scale.small)
        request = next(self.requests)
        strace = shutil.which("strace")
        if strace is None:
            raise SystemExit("error: strace is missing: run `sudo apt install strace`")
        calls = "trace=fsync,fdatasync,rename,renameat,renameat2,link,linkat"
        spent = home.side(self.port).must(
            [strace, "-f", "-qq", "-e", calls,
             *home.argv("sign", request, "--profile", "vpn-client")]
        )  # fmt: skip
        lines = spent.output.decode(errors="replace").splitlines()
        target = request.with_suffix(".crt").name
        delivered = next(n for n, line in enumerate(lines) if "link" in line and target in line)
        count = sum("sync(" in line for line in lines[:delivered])
        yield Result(
            measure="disk syncs before a certificate is acknowledged",
            got=count, goal=1, is_ceiling=False, unit="",
        )  # fmt: skip

    # ------------------------------------------------------------ CRLs, start, growth

    def crl(self) -> Iterator[Result]:
        count = self.scale.revoked
        home, peer = self.home(count, revoked=count), self.peer(count, revoked=count)

        def cut() -> Spent:
            spent = home.must("crl", port=self.port)
            if _entries(home.home / "crl" / "intermediate-1.crl.pem") < count - 8:
                raise SystemExit("error: the CRL is not complete")
            return spent

        run = race(max(self.scale.rounds // 2, 2), cut, lambda: peer.gencrl(self.port))
        yield Result(
            measure=f"CRL of {count:,} / `openssl ca -gencrl`, time",
            got=run.ratio(0, 1), goal=0.5, seen={"ms": run.milliseconds()},
        )  # fmt: skip
        yield Result(
            measure=f"CRL of {count:,} / `openssl ca -gencrl`, peak memory",
            got=run.peak(0) / run.peak(1), goal=1.0,
            seen={"MiB": [round(run.peak(side) / 1024) for side in (0, 1)]},
        )  # fmt: skip

    def start(self) -> Iterator[Result]:
        home = self.home(self.scale.small)
        side = home.side(self.port)
        run = race(
            self.scale.rounds,
            lambda: side.must(home.argv("--help")),
            lambda: side.must([sys.executable, "-c", "pass"]),
        )
        yield Result(
            measure="`homeca --help` / `python -c pass`",
            got=run.ratio(0, 1), goal=12, seen={"ms": run.milliseconds()},
        )  # fmt: skip

    def growth(self) -> Iterator[Result]:
        """The same command at three sizes; what should be flat is a ratio near 1."""
        scale = self.scale
        homes = [self.home(size) for size in (scale.small, scale.medium, scale.huge)]
        sizes = f"{scale.huge:,} / {scale.small:,} issued"
        rounds = max(scale.rounds // 2, 2)
        run = race(rounds, *(partial(home.sign, self.port) for home in homes))
        yield Result(
            measure=f"`homeca sign`, {sizes}", got=run.ratio(2, 0), goal=1.2,
            seen={"ms": run.milliseconds()},
        )  # fmt: skip
        serials = [_to_revoke(home.home, rounds + 1) for home in homes]
        run = race(
            rounds,
            *(
                lambda home=home, some=some: home.must("revoke", next(some), port=self.port)
                for home, some in zip(homes, serials, strict=True)
            ),
        )
        yield Result(
            measure=f"`homeca revoke`, {sizes}", got=run.ratio(2, 0), goal=1.2,
            seen={"ms": run.milliseconds()},
        )  # fmt: skip
        listed = [home.must("list", "--all", "--json", port=self.port) for home in homes[1:]]
        for home, spent in zip(homes[1:], listed, strict=True):
            if spent.lines < _rows(home.home):
                raise SystemExit("error: the listing is not complete")
        yield Result(
            measure=f"`homeca list`, {scale.huge:,} / {scale.medium:,}, peak memory",
            got=listed[1].peak / listed[0].peak, goal=1.2,
            seen={"MiB": [one.peak // 1024 for one in listed],
                  "s": [round(one.seconds, 2) for one in listed]},
        )  # fmt: skip
        checked = [
            home.side(self.port).spend(home.argv("check", "--json"), deadline=scale.check_seconds)
            for home in homes[1:]
        ]
        yield Result(
            measure=f"`homeca check`, {scale.huge:,} / {scale.medium:,}, peak memory",
            got=checked[1].peak / checked[0].peak, goal=1.2,
            seen={"MiB": [one.peak // 1024 for one in checked],
                  "s": [round(one.seconds, 1) for one in checked],
                  "stopped after s": scale.check_seconds},
        )  # fmt: skip


MEASURES: dict[str, Callable[[Bench], Iterator[Result]]] = {
    "commands": Bench.commands,
    "sign": Bench.one_certificate,
    "batch": Bench.batches,
    "crl": Bench.crl,
    "parallel": Bench.parallel,
    "nodes": Bench.nodes,
    "start": Bench.start,
    "growth": Bench.growth,
    "syncs": Bench.syncs,
}


def _counted(counting: Proxy, command: Callable[[], Spent]) -> Counter[int]:
    counting.commands.clear()
    command()
    return Counter(counting.commands)


def _at_once(side: Side, commands: list[list[str]]) -> None:
    """All of them together, to their ends; what they made is judged by the caller."""
    running = [
        subprocess.Popen(  # noqa: S603  # every argv is made in this package
            argv,
            env=dict(side.environment),
            cwd=side.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for argv in commands
    ]
    for child in running:
        child.wait(timeout=600)


def _serial(path: Path) -> str:
    """Of a certificate file, as openssl reads it; "" when there is none or only a part of one.

    What tpm2-openssl 1.1 signs has NULL parameters, which `cryptography` refuses.
    """
    argv = ["openssl", "x509", "-noout", "-serial", "-in", str(path)]
    told = subprocess.run(argv, capture_output=True, check=False)  # noqa: S603  # argv is ours
    return told.stdout.decode().strip()


def _rows(home: Path) -> int:
    with closing(sqlite3.connect(home / "homeca.db")) as connection:
        found = connection.execute("SELECT count(*) FROM certificates WHERE state = 'issued'")
        return int(found.fetchone()[0])


def _to_revoke(home: Path, count: int) -> Iterator[str]:
    with closing(sqlite3.connect(home / "homeca.db")) as connection:
        found = connection.execute(
            "SELECT hex(serial) FROM certificates WHERE state = 'issued' ORDER BY id DESC LIMIT ?",
            (count,),
        ).fetchall()
    return iter([row[0] for row in found])


def _entries(path: Path) -> int:
    from cryptography import x509

    return len(x509.load_pem_x509_crl(path.read_bytes()))
