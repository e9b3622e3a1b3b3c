"""Is everything still so, after whatever was done to a home? The invariants I1 to I14.

    python -m tests.faults.checker PLACE       judge what lies there now

Reads the database as SQLite and the files as files, with no code of `ca.services` or `ca.store`;
then lets the program itself go on (`afterwards`): the interrupted command again, the CRLs, the
auditor.

I1  the database is whole: integrity_check, foreign_key_check
I2  every certificate on disk or printed has an `issued` row with the same octets
I3  every signature the TPM was asked for has a row of state intended or later
I4  (issuer, serial) is unique, and one serial has one TBS for ever
I5  what was acknowledged is there
I6  what was not is open, failed or uncertain, never half issued; the next start ends it, says so
I7  revoked stays revoked, and the next CRL says so
I8  CRL number and thisUpdate strictly increase
I9  no partial file under a final name; nothing open to others that must not be
I10 the ledger's chain holds, and has an entry for each change of state
I11 no secret in output, record or files
I12 a failure has an exit status, one sentence, a remedy and a code; no traceback
I13 the same command again succeeds, or says exactly what to do
I14 no software TPM left running, nothing left in it
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ca.encoding.ledger import ORIGIN, link
from tests.faults.commands import PIN
from tests.faults.running import Ended, run
from tests.faults.worlds import SECRET

Key = tuple[int, bytes]

#: Refusals that are the right answer to doing something a second time.
DONE_BEFORE = {
    "configuration.already-initialised",
    "configuration.output-exists",
    "refused.revocation",
    "configuration.no-ca",
}
COMPROMISED = "keyCompromise"
_PUBLIC = ("certs", "crl")
_ERROR = re.compile(r"^homeca: .+ \[[a-z][a-z.-]*(?:, [a-z][a-z0-9.-]*)?\]$", re.MULTILINE)
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n", re.DOTALL)
_ENTRIES = {"reserved", "intended", "issued", "uncertain", "failed"}


@dataclass(frozen=True, slots=True)
class Row:
    """One serial: its state and what it holds."""

    state: str
    subject: str
    tbs: bytes | None
    der: bytes | None
    not_after: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a home holds at one moment. revoked: what for."""

    rows: Mapping[Key, Row] = field(default_factory=dict)
    revoked: Mapping[Key, str] = field(default_factory=dict)
    issuers: Mapping[str, str] = field(default_factory=dict)
    slugs: Mapping[int, str] = field(default_factory=dict)
    crls: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    numbers: Mapping[int, int] = field(default_factory=dict)
    ledger: bytes = ORIGIN
    newest: int = 0

    @property
    def open_rows(self) -> list[Key]:
        return [key for key, row in self.rows.items() if row.state in ("reserved", "intended")]


def look(place: Path) -> Sight:
    """Read the record. A home without a database holds nothing."""
    database = place / "home" / "homeca.db"
    if not database.exists():
        return Sight()
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
        if "certificates" not in tables:
            return Sight()
        rows = {
            (issuer, serial): Row(*columns)
            for issuer, serial, *columns in connection.execute(
                "SELECT issuer_id, serial, state, subject, tbs, der, not_after FROM certificates"
            )
        }
        revoked = {
            (issuer, serial): reason
            for issuer, serial, reason in connection.execute(
                "SELECT issuer_id, serial, reason FROM revocations WHERE ended_at IS NULL"
            )
        }
        issuers = connection.execute(
            "SELECT id, slug, state FROM issuers WHERE state <> 'abandoned'"
        ).fetchall()
        cut = {
            row[0]: (row[1], row[2])
            for row in connection.execute(
                "SELECT issuer_id, number, this_update FROM crls WHERE der IS NOT NULL"
            )
        }
        numbers = dict(
            connection.execute("SELECT issuer_id, max(number) FROM crls GROUP BY issuer_id")
        )
        end = connection.execute("SELECT link FROM ledger ORDER BY seq DESC LIMIT 1").fetchone()
        newest = connection.execute("SELECT max(at) FROM ledger").fetchone()[0] or 0
    return Sight(
        rows=rows,
        revoked=revoked,
        issuers={slug: state for _, slug, state in issuers},
        slugs={number: slug for number, slug, _ in issuers},
        crls=cut,
        numbers=numbers,
        ledger=end[0] if end is not None else ORIGIN,
        newest=newest,
    )


# ---------------------------------------------------------------- what lies there


def still(place: Path, before: Sight) -> Iterator[str]:
    """Violations of what must hold at every moment: I1 I2 I4 I5 I7 I8 I9 I10 I11."""
    yield from _database(place)
    now = look(place)
    for key, row in before.rows.items():
        found = now.rows.get(key)
        if found is None:
            yield f"I5 the row of {key[1].hex()} is gone"
            continue
        if row.tbs is not None and row.tbs != found.tbs:
            yield f"I4 another TBS for {key[1].hex()}"
        if row.state in ("issued", "uncertain", "failed") and row != found:
            yield f"I4 the row of {key[1].hex()} was {row.state} and has changed"
    for key, reason in before.revoked.items():
        if key not in now.revoked:
            yield f"I7 {key[1].hex()} was revoked and is not any more"
        elif reason == COMPROMISED and now.revoked[key] != reason:
            yield f"I7 the key of {key[1].hex()} was compromised and is not any more"
    for issuer, number in before.numbers.items():
        if now.numbers.get(issuer, 0) < number:
            yield f"I8 the CRL number of issuer {issuer} went back"
    yield from _files(place, now)
    yield from _ledger(place, before)
    yield from _secrets(place)


def _database(place: Path) -> Iterator[str]:
    database = place / "home" / "homeca.db"
    if not database.exists():
        return
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        for (text,) in connection.execute("PRAGMA integrity_check"):
            if text != "ok":
                yield f"I1 integrity_check: {text}"
        for row in connection.execute("PRAGMA foreign_key_check"):
            yield f"I1 foreign_key_check: {row}"


def certificates_in(octets: bytes) -> Iterator[bytes]:
    """DER of every PEM certificate."""
    for block in _PEM.findall(octets):
        yield x509.load_pem_x509_certificate(block).public_bytes(Encoding.DER)


def _files(place: Path, now: Sight) -> Iterator[str]:
    issued = {row.der for row in now.rows.values() if row.state == "issued"}
    home = place / "home"
    for path in sorted(place.rglob("*")):
        if path.name.startswith(".") or not path.is_file():
            continue
        where = path.relative_to(place)
        octets = path.read_bytes()
        try:
            if path.suffix == ".crt" and path.parent == home / "certs":
                found = [x509.load_der_x509_certificate(octets).public_bytes(Encoding.DER)]
            elif path.suffix in (".crt", ".pem") and path.parent.name in ("certs", "desk"):
                found = list(certificates_in(octets))
                if not found or not octets.endswith(b"-----END CERTIFICATE-----\n"):
                    yield f"I9 {where} is not a whole file"
            elif path.suffix == ".crl":
                x509.load_der_x509_crl(octets)
                continue
            elif path.parent == home / "crl":
                if not octets.endswith(b"-----END X509 CRL-----\n"):
                    yield f"I9 {where} is not a whole file"
                x509.load_pem_x509_crl(octets)
                continue
            elif path.suffix == ".tss":
                if not octets.endswith(b"-----END TSS2 PRIVATE KEY-----\n"):
                    yield f"I9 {where} is not a whole file"
                continue
            else:
                continue
        except ValueError:
            yield f"I9 {where} is not a whole file"
            continue
        for der in found:
            if der not in issued:
                yield f"I2 a certificate in {where} is not recorded as issued"
    for path in (home, *home.rglob("*")):
        if not path.exists():
            continue
        mode = stat.S_IMODE(path.lstat().st_mode)
        public = path.is_file() and path.parent.name in _PUBLIC
        if mode & (0o022 if public else 0o077):
            yield f"I9 {path.relative_to(place)} has mode {mode:04o}"


def _ledger(place: Path, before: Sight) -> Iterator[str]:
    database = place / "home" / "homeca.db"
    if not database.exists():
        return
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'ledger'").fetchone():
            return
        entries = connection.execute(
            "SELECT seq, at, event, issuer_id, serial, details, link FROM ledger ORDER BY seq"
        ).fetchall()
        states = connection.execute("SELECT issuer_id, serial, state FROM certificates").fetchall()
        lines = {
            (issuer, serial): reason
            for issuer, serial, reason in connection.execute(
                "SELECT issuer_id, serial, reason FROM revocations ORDER BY id"
            )
        }
        lists = connection.execute("SELECT count(*) FROM crls WHERE sha256 IS NOT NULL").fetchone()
    previous = ORIGIN
    links = {ORIGIN}
    last: dict[Key, str] = {}
    revoked: dict[Key, str] = {}
    cut = 0
    for place_in_line, (seq, at, event, issuer, serial, details, found) in enumerate(entries, 1):
        previous = link(
            previous,
            seq=seq,
            at=at,
            event=event,
            issuer_id=issuer,
            serial=int.from_bytes(serial, "big") if serial is not None else None,
            details=details,
        )
        if previous != found or seq != place_in_line:
            yield f"I10 the chain breaks at entry {seq}"
            return
        links.add(found)
        if serial is not None and event in _ENTRIES:
            last[issuer, serial] = event
        if event in ("revoked", "compromised"):
            revoked[issuer, serial] = json.loads(details)["reason"]
        cut += event == "crl"
    if before.ledger not in links:
        yield "I10 the ledger no longer holds what it held before"
    if last != {(issuer, serial): state for issuer, serial, state in states}:
        yield "I10 the ledger and the rows name different states"
    if lines != revoked:
        yield "I10 the ledger and the revocations differ"
    if cut != lists[0]:
        yield f"I10 the ledger has {cut} CRLs, the record {lists[0]}"


def _secrets(place: Path) -> Iterator[str]:
    for path in place.rglob("*"):
        if path.is_file() and path.name != "pin" and SECRET.encode() in path.read_bytes():
            yield f"I11 the PIN stands in {path.relative_to(place)}"


# ---------------------------------------------------------------- what was said


def spoken(ended: Ended) -> Iterator[str]:
    """Violations in what a run said and how it ended: I11, I12."""
    if ended.hung:
        yield f"I12 `{' '.join(ended.arguments)}` hangs"
    for stream in (ended.out, ended.err):
        if SECRET in stream:
            yield "I11 the PIN was printed"
    if "Traceback" in ended.err or "HOMECA_DEBUG" in ended.err:
        yield f"I12 a fault of the program: {ended.err.strip().splitlines()[-2:]}"
    if ended.status in (0, 130) or ended.status < 0:
        return
    if (ended.arguments[0], ended.status) in (("check", 6), ("status", 1)):
        return  # they have found something, and say what
    if not _ERROR.search(ended.err) or not re.search(r"\n {3,5}try: ", ended.err):
        yield f"I12 status {ended.status} without a reason and a remedy: {ended.err!r}"


def acknowledged(place: Path, ended: Ended) -> Iterator[str]:
    """Violations of I5: stdout of a run is its word."""
    now = look(place)
    texts = {key[1].hex().upper(): key for key in now.rows}
    for line in ended.out.splitlines():
        if re.fullmatch(r"\S+\.crt", line) and not (place / "desk" / line).is_file():
            yield f"I5 {line!r} was promised and is not there"
        revoked = re.match(r"revoked ([0-9A-F]{40}) ", line)
        if revoked and texts.get(revoked[1]) not in now.revoked:
            yield f"I5 {revoked[1]} was said to be revoked and is not"
        worse = re.match(r"changed ([0-9A-F]{40}) .* to (\w+)$", line)
        if worse and now.revoked.get(texts.get(worse[1], (0, b""))) != worse[2]:
            yield f"I5 {worse[1]} was said to be revoked for {worse[2]} and is not"
        cut = re.match(r".*: CRL (\d+), ", line)
        if cut and int(cut[1]) > max((number for number, _ in now.crls.values()), default=0):
            yield f"I5 CRL {cut[1]} was said to be cut and is not recorded"
    for line in ended.out.splitlines():
        active = re.match(r"\s+key blob\s+(\S+)", line)
        if active and not Path(active[1]).is_file():
            yield f"I5 the key {active[1]} was promised and is not there"


def signed(before: Sight, now: Sight, asked: int) -> Iterator[str]:
    """Violations of I3. asked: TPM2_Sign commands that were sent, certificates and CRLs alike."""
    settled = ("intended", "issued", "uncertain", "failed")
    new = sum(row.state in settled for key, row in now.rows.items() if key not in before.rows)
    new += sum(
        row.state in settled and before.rows[key].state == "reserved"
        for key, row in now.rows.items()
        if key in before.rows
    )
    numbers = sum(now.numbers.values()) - sum(before.numbers.values())
    if asked > new + numbers:
        yield f"I3 the TPM was asked {asked} times, the record knows of {new} + {numbers}"


# ---------------------------------------------------------------- how it goes on


def afterwards(
    place: Path,
    arguments: Sequence[str],
    before: Sight,
    *,
    through: Sequence[str] = (),
    repeat: bool = True,
) -> Iterator[str]:
    """The home in the hand of its owner after the fault: I6 I7 I8 I13 I14, and all of `still`.

    arguments: the command that was broken. repeat: whether it is to be run again.
    through:   as `tests.faults.running.start` has it.
    """
    broken = look(place)
    said = ""
    again = run(place, arguments if repeat else ("list", "--all"), through=through)
    said += again.err
    yield from spoken(again)
    if again.status != 0 and not any(f"[{code}]" in again.err for code in DONE_BEFORE):
        yield f"I13 again: status {again.status}: {again.err.strip()[-300:]}"
    if look(place).issuers:
        cut = run(place, ("crl", *PIN), through=through)
        said += cut.err
        yield from spoken(cut)
        if cut.status != 0:
            yield f"I7 no CRL can be cut: {cut.err.strip()[-300:]}"
    now = look(place)
    if now.open_rows:
        yield f"I6 {len(now.open_rows)} serials are open for ever"
    for key in broken.open_rows:
        if key[1].hex().upper() not in said:
            yield f"I6 the open serial {key[1].hex()} was settled in silence"
    for slug, state in now.issuers.items():
        if state == "pending":
            yield f"I6 {slug} is pending for ever"
    yield from _lists(place, before, now)
    if now.issuers:
        audited = run(place, ("check", "--load-keys", *PIN), through=through)
        yield from spoken(audited)
        if audited.status != 0:
            yield f"I13 check: {(audited.out + audited.err).strip()[-600:]}"
    yield from still(place, before)
    yield from left_running(place)


def _lists(place: Path, before: Sight, now: Sight) -> Iterator[str]:
    """Every published CRL lists everything that is revoked, and is newer than the one before."""
    for issuer, (number, this_update) in now.crls.items():
        slug = now.slugs.get(issuer)
        if slug is None:
            continue
        was = before.crls.get(issuer)
        if was is not None and not (number > was[0] and this_update > was[1]):
            yield f"I8 CRL {number} of {slug} does not come after {was[0]}"
        path = place / "home" / "crl" / f"{slug}.crl"
        if not path.exists():
            yield f"I7 {path.name} is not published"
            continue
        crl = x509.load_der_x509_crl(path.read_bytes())
        listed = {entry.serial_number: _reason(entry) for entry in crl}
        moment = datetime.fromtimestamp(this_update, UTC)
        if crl.last_update_utc != moment:
            yield f"I8 {path.name} is not the CRL that is recorded"
        for (own, serial), reason in now.revoked.items():
            ends = now.rows[own, serial].not_after
            if ends is not None and ends < this_update:
                continue  # it may leave after its certificate has ended (RFC 5280 §3.3)
            found = listed.get(int.from_bytes(serial, "big"))
            if own == issuer and found != reason:
                yield f"I7 {serial.hex()} is revoked for {reason}; on the CRL: {found}"


def _reason(entry: x509.RevokedCertificate) -> str:
    """Why, as a CRL says it: unspecified by saying nothing (RFC 5280 §5.3.1)."""
    try:
        return str(entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value)
    except x509.ExtensionNotFound:
        return "unspecified"


def left_running(place: Path) -> Iterator[str]:
    """I14: processes that still have the TPM's state as their directory."""
    state = place / "home" / "tpm"
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            if (process / "cwd").readlink() == state:
                yield f"I14 process {process.name} still runs the TPM"
        except OSError:
            continue


def digest(place: Path) -> str:
    """Of the home's files, to see that a run changed nothing."""
    whole = hashlib.sha256()
    for path in sorted((place / "home").rglob("*")):
        if path.is_file():
            whole.update(str(path).encode() + path.read_bytes())
    return whole.hexdigest()


def main(place: str) -> int:
    found = [*still(Path(place), Sight()), *left_running(Path(place))]
    for violation in found:
        print(violation)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
