"""Whatever a name in the record holds, every listing shows it and nothing happens (T5, T6)."""

from __future__ import annotations

import csv
import datetime
import io
import json
import os
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.cli.harmless import harmful
from tests.cli.running import Said, on_terminal, run
from tests.house import House

HOSTILE = {
    "escape": "\x1b[2J\x1b]0;owned\x07",
    "c1": "\x9b31mred",
    "del": "a\x7fb",
    "bidi": "\u202egpj.exe",
    "zero-width": "na\u200bs",
    "newline": "nas\nserial\tCN=forged",
    "carriage-return": "real\rfake",
    "markup": "[link=https://evil.example]x[/link][/nope][bold]",
    "path": "../../../../etc/passwd",
    "template": "{{ 7*7 }}{% raw %}",
    "formula": '=HYPERLINK("http://evil.example","x")',
    "plus": "+1+1|cmd",
    "at": "@SUM(1)",
    "tab-formula": "\t=1+1",
    "line-separator": "a\u2028b",
    "private-use": "a\ue000b",
    "tag": "a\U000e0041b",
}

TERMINAL = {"NO_COLOR": "1"}


@pytest.fixture(scope="module")
def spoilt(common_house: House, tmp_path_factory: pytest.TempPathFactory) -> House:
    """A row for each hostile text, in subject, names, profile and note."""
    house = common_house.copy(tmp_path_factory.mktemp("hostile") / "house")
    with house.database() as database:
        for text in HOSTILE.values():
            database.execute(
                "INSERT INTO certificates (issuer_id, serial, state, created_at, changed_at, "
                "issued_at, not_before, not_after, profile, profile_sha256, subject, names, "
                "spki_sha256, request_sha256, note, tbs, der) "
                "SELECT issuer_id, ?, state, created_at, changed_at, issued_at, not_before, "
                "not_after, ?, profile_sha256, ?, ?, spki_sha256, request_sha256, ?, tbs, der "
                "FROM certificates WHERE serial = ?",
                (
                    os.urandom(20),
                    text,
                    f"CN={text}",
                    f"DNS:{text}".encode("unicode_escape").decode() + "\n",
                    text,
                    bytes.fromhex(house.serial("brief")),
                ),
            )
        database.execute(
            "UPDATE issuers SET subject = ? WHERE id = 1", (f"CN={HOSTILE['escape']}[bold]",)
        )
    return house


@pytest.mark.parametrize(
    "command",
    [
        ("list", "--all"),
        ("list", "--json"),
        ("list", "--csv"),
        ("list", "--expiring", "30d"),
        ("status",),
        ("status", "--json"),
        ("check",),
        ("check", "--json"),
    ],
    ids=" ".join,
)
def test_no_output_holds_a_harmful_character(spoilt: House, command: tuple[str, ...]) -> None:
    said = run(spoilt, *command)

    assert said.out
    assert harmful(said.out) == []
    assert harmful(said.err) == []


@pytest.mark.parametrize("command", [("list", "--all"), ("status",)], ids=" ".join)
def test_no_terminal_gets_an_escape(spoilt: House, command: tuple[str, ...]) -> None:
    shown = on_terminal(spoilt, *command, environment=TERMINAL)

    assert shown
    assert harmful(shown) == []


def test_markup_is_shown_as_it_is_written(spoilt: House) -> None:
    shown = on_terminal(spoilt, "list", "--text", "[link=", environment=TERMINAL)

    assert b"[link=https://evil.example]x[/link][/nope][bold]" in shown


def test_one_row_stays_one_line(spoilt: House) -> None:
    said = run(spoilt, "list", "--all")

    assert {len(line.split("\t")) for line in said.text.splitlines()} == {6}
    assert "forged" not in {line.partition("\t")[0] for line in said.text.splitlines()}


def test_json_keeps_the_true_value(spoilt: House) -> None:
    rows = json.loads(run(spoilt, "list", "--all", "--json").text)["certificates"]

    subjects = {row["subject"] for row in rows}
    assert {f"CN={text}" for text in HOSTILE.values()} <= subjects


def test_no_cell_of_the_csv_is_a_formula(spoilt: House) -> None:
    with spoilt.database() as database:
        database.execute(
            "UPDATE certificates SET subject = substr(subject, 4) WHERE profile LIKE '=%' "
            "OR profile LIKE '+%' OR profile LIKE '@%' OR profile LIKE char(9) || '%'"
        )
    rows = list(csv.reader(io.StringIO(run(spoilt, "list", "--all", "--csv").text)))

    cells = [cell for row in rows for cell in row]
    assert any("HYPERLINK" in cell for cell in cells)
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))] == []


def test_show_of_a_hostile_row_is_harmless(spoilt: House) -> None:
    rows = json.loads(run(spoilt, "list", "--all", "--json").text)["certificates"]
    serial = next(row["serial"] for row in rows if row["profile"] == HOSTILE["escape"])

    for options in ((), ("--json",)):
        said = run(spoilt, "show", serial, *options)
        assert said.status == 0
        assert harmful(said.out + said.err) == []


# ---------------------------------------------------------------- files from anywhere


def hostile_certificate(text: str) -> bytes:
    """A self-signed certificate with it in its subject, SAN and CRL URL. PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
    )
    ascii_text = text.encode("ascii", "replace").decode()
    builder = builder.add_extension(
        x509.SubjectAlternativeName(
            [x509.DNSName(ascii_text), x509.UniformResourceIdentifier(ascii_text)]
        ),
        critical=False,
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


@pytest.fixture(scope="module")
def hostile_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    place = tmp_path_factory.mktemp("files")
    files = []
    for label, text in HOSTILE.items():
        path = place / f"{label}.pem"
        path.write_bytes(hostile_certificate(text))
        files.append(path)
    return files


@pytest.mark.parametrize("command", ["show", "verify", "lint"])
def test_a_hostile_certificate_file_is_shown_harmlessly(
    common_house: House, hostile_files: list[Path], command: str
) -> None:
    """All of them in one file, for each starts a process."""
    bundle = b"".join(path.read_bytes() for path in hostile_files)

    said = run(common_house, command, "-", given=bundle)

    assert said.status in (0, 6)
    assert said.out + said.err
    assert harmful(said.out + said.err) == []


def test_a_file_name_is_shown_harmlessly(common_house: House, tmp_path: Path) -> None:
    path = tmp_path / "\x1b[31mred.pem"
    path.write_bytes(b"nothing")

    said: Said = run(common_house, "show", path)

    assert said.status != 0
    assert harmful(said.out + said.err) == []
