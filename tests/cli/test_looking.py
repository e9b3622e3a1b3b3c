"""`status`, `verify`, `lint`, `check`, `tpm info`: what they print and how they end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import pytest
import typer
from msgspec.structs import replace
from typer.main import get_group

from ca.algorithms import EC_P256, KeyKind
from ca.cli.loading import MODULES
from ca.interfaces.custody import KeyCustody, SealedKey
from ca.interfaces.issuing import IssuerState
from ca.interfaces.values import Secret
from tests.cli.running import Said, run
from tests.house import House
from tests.interop.homeca import Homeca
from tests.interop.programs import at_another_time


def later(offset: str) -> dict[str, str]:
    """The environment in which it is that much later."""
    _, *settings = at_another_time(offset)
    return dict(one.split("=", 1) for one in settings)


# ---------------------------------------------------------------- status


def test_status_draws_the_hierarchy_and_says_software_tpm_loudly(common_house: House) -> None:
    said = run(common_house, "status")

    lines = said.text.splitlines()
    assert "SOFTWARE TPM" in said.text
    assert "software TPM" in said.messages
    (root,) = [n for n, line in enumerate(lines) if "Test Root CA" in line]
    (below,) = [n for n, line in enumerate(lines) if "└─ O=Test,CN=Test Intermediate CA 1" in line]
    assert root < below


def test_status_ends_with_1_when_something_needs_attention_and_says_what(
    common_house: House,
) -> None:
    said = run(common_house, "status", environment=later("+4d"))

    assert said.status == 1
    assert "certificate.expiring" in said.text
    assert f"homeca renew {common_house.serial('brief')}" in said.text


def test_a_calendar_ends_with_the_verdict_of_status(common_house: House) -> None:
    well = run(common_house, "status", "--ics", "-")
    unwell = run(common_house, "status", "--ics", "-", environment=later("+4d"))

    assert (well.status, unwell.status) == (0, 1)
    assert "1 thing to see to now: run `homeca status`" in unwell.messages
    assert "X-WR-CALNAME:Test Root CA\r\n" in unwell.text
    assert unwell.text.endswith("END:VCALENDAR\r\n")


def test_status_ends_with_0_when_all_is_well(common_house: House) -> None:
    said = run(common_house, "status")

    assert said.status == 0
    assert said.text.endswith("all is well\n")


def test_what_is_only_to_be_known_stands_below_a_line_of_its_own(tmp_path: Path) -> None:
    homeca = Homeca(tmp_path / "home")
    homeca.must("init-root", "--name", "Free", "--key", "ec-p256")

    told = homeca.must("status")

    assert "all is well\n2 things to know, nothing that must be done\n  - " in told


def test_what_a_revoked_intermediate_signed_is_nowhere_called_valid(house: House) -> None:
    (below,) = (
        one
        for one in json.loads(run(house, "list", "--json", "--issuer", "root").text)["certificates"]
        if one["profile"] == "intermediate-ca"
    )
    house.homeca.must("revoke", below["serial"], "--crl")

    shown = run(house, "status").text
    assert "revoked 20" in shown
    assert "retired" not in shown
    assert "4, 3 of them refused with their issuer" in shown
    assert run(house, "list", "--text", "laptop").text.count("refused (issuer revoked)") == 1
    for way in (house.serial("laptop"), house.file("laptop.crt")):
        assert "refused (issuer revoked)" in run(house, "show", way).text
    renewed = run(house, "renew", house.file("laptop.crt"), "--out", house.file("laptop-2.crt"))
    assert "is refused already, for its issuer is revoked" in renewed.messages
    assert "stays valid" not in renewed.messages


def test_status_json_is_one_document_with_the_same_verdict(common_house: House) -> None:
    said = run(common_house, "status", "--json", environment=later("+4d"))

    shown = json.loads(said.text)
    assert said.status == 1
    assert shown["well"] is False
    assert shown["custody"]["kind"] == "software-tpm"
    assert [issuer["parent"] for issuer in shown["issuers"]] == [None, "root"]
    assert shown["counts"]["valid"] == 5


def test_status_needs_no_tpm(house: House) -> None:
    (house.home / "tpm/tpm2-00.permall").unlink()

    assert "Test Root CA" in run(house, "status").text


def test_status_says_when_a_command_last_compared_the_ledger_with_its_anchor(house: House) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    house.homeca.must("revoke", house.file("brief.crt"), "--crl")

    said = run(house, "status")

    (line,) = [line for line in said.text.splitlines() if line.startswith("ledger ")]
    entries = house.homeca.json("audit", "verify")["entries"]
    assert line.startswith(f"ledger   {entries} entries, last compared with its anchor in the TPM ")
    assert datetime.fromisoformat(line.split()[-1]) >= before
    told = json.loads(run(house, "status", "--json").text)["ledger"]
    assert told["entries"] == entries
    assert 0 < told["anchored"] < entries


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        ("DELETE FROM ledger WHERE event LIKE 'anchor%'", "ledger.unanchored"),
        ("UPDATE ledger SET details = '{' WHERE event LIKE 'anchor%'", "ledger.broken"),
    ],
)
def test_status_ends_with_1_when_the_ledger_cannot_tell_of_its_anchor(
    house: House, damage: str, rule: str
) -> None:
    house.homeca.must("revoke", house.file("brief.crt"), "--crl")
    with house.database() as database:
        database.execute(damage)

    said = run(house, "status")

    assert said.status == 1
    assert f"[{rule}]" in said.text
    assert "homeca audit verify" in said.text


def test_an_interrupted_signature_is_settled_and_said_by_the_next_command(house: House) -> None:
    with house.database() as database:
        database.execute(
            "UPDATE certificates SET state = 'intended', der = NULL, issued_at = NULL "
            "WHERE serial = ?",
            (bytes.fromhex(house.serial("nas")),),
        )

    said = run(house, "list")

    assert "interrupted signature" in said.messages
    assert house.serial("nas") in said.messages
    assert "uncertain" in run(house, "show", house.serial("nas")).text


# ---------------------------------------------------------------- verify


def test_verify_says_good_and_ends_with_0(common_house: House) -> None:
    said = run(
        common_house, "verify", common_house.file("nas.crt"), "--purpose", "server",
        "--host", "nas.home.arpa",
    )  # fmt: skip

    assert said.status == 0
    assert said.text.startswith("good: CN=nas.home.arpa")


def test_verify_ends_with_6_and_every_reason(common_house: House) -> None:
    said = run(common_house, "verify", common_house.file("lost.crt"), "--purpose", "server")

    assert said.status == 6
    for rule in ("revoked.record", "revoked.crl", "purpose.missing"):
        assert f"[{rule}]" in said.messages


def test_verify_json_lists_the_reasons(common_house: House) -> None:
    said = run(common_house, "verify", common_house.file("lost.crt"), "--json")

    rules = {one["rule"] for one in json.loads(said.text)["error"]["violations"]}
    assert rules == {"revoked.record", "revoked.crl"}


def test_verify_at_another_time(common_house: House) -> None:
    said = run(common_house, "verify", common_house.file("nas.crt"), "--at", "2099-01-01")

    assert said.status == 6
    assert "[dates.expired]" in said.messages


def test_verify_takes_a_crl_and_refuses_a_request(common_house: House) -> None:
    assert run(common_house, "verify", common_house.home / "crl/root.crl.pem").status == 0
    assert run(common_house, "verify", common_house.file("nas.csr")).status == 2


# ---------------------------------------------------------------- lint


def test_lint_has_nothing_against_what_was_issued(common_house: House) -> None:
    said = run(common_house, "lint", common_house.file("nas.crt"), "--for", "iphone,chrome")

    assert said.status == 0
    assert said.text.count("nothing to say against it") == 2


def test_lint_knows_the_consumers_own_rules(house: House) -> None:
    """825 days are Apple's limit (AP1); a certificate of 900 is fine for others."""
    house.homeca.must("profile", "new", "long", "--from", "tls-server")
    profile = house.home / "profiles/long.cnf.j2"
    text = profile.read_text().replace("max_days = 825", "max_days = 900")
    text = text.replace("consumers = chrome, firefox, iphone", "consumers = chrome, firefox")
    profile.write_text(text)
    house.homeca.must(
        "sign", house.file("nas.csr"), "--profile", "long", "--days", "900", "--force"
    )

    assert run(house, "lint", house.file("nas.crt"), "--for", "openvpn").status == 0
    said = run(house, "lint", house.file("nas.crt"), "--for", "iphone", "--json")

    assert said.status == 6
    findings = json.loads(said.text)["items"][0]["findings"]
    assert "AP1.days" in {finding["rule"] for finding in findings}


def test_lint_names_the_consumers_it_knows(common_house: House) -> None:
    said = run(common_house, "lint", common_house.file("nas.crt"), "--for", "toaster")

    assert said.status == 2
    assert "openvpn" in said.messages


def test_lint_needs_no_home(common_house: House, tmp_path: Path) -> None:
    said = run(common_house, "lint", common_house.file("nas.crt"), "--home", tmp_path / "none")

    assert said.status == 0


def test_lint_asks_pkilint_when_told(common_house: House) -> None:
    said = run(common_house, "lint", common_house.file("nas.crt"), "--second-opinion")

    assert said.status in (0, 6)
    assert "nas.home.arpa" in said.text


# ---------------------------------------------------------------- check


def test_check_says_nothing_is_wrong(common_house: House) -> None:
    said = run(common_house, "check")

    assert said.status == 0
    entries = common_house.homeca.json("audit", "verify")["entries"]
    assert said.text == (
        f"7 certificates and {entries} entries of the ledger checked: nothing is wrong\n"
        f"the TPM holds entry {entries} of the ledger\n"
    )


def test_check_ends_with_6_and_says_where_and_what(house: House) -> None:
    with house.database() as database:
        database.execute(
            "UPDATE certificates SET subject = 'CN=bank' WHERE serial = ?",
            (bytes.fromhex(house.serial("nas")),),
        )

    said = run(house, "check")

    assert said.status == 6
    assert f"error: serial {house.serial('nas')}" in said.text
    assert "[check.row.subject]" in said.text
    assert "[check.ledger.row-changed]" in said.text
    assert ": 2 errors, 0 warnings" in said.text


def test_check_json_is_one_document(house: House) -> None:
    (house.home / "keys/root.tss").chmod(0o644)
    (house.home / "certs/root.pem").unlink()

    said = run(house, "check", "--json")

    shown = json.loads(said.text)
    assert said.status == 6
    assert {one["rule"] for one in shown["findings"]} == {
        "check.home.mode",
        "check.published.missing",
    }
    assert shown["errors"] == 2
    assert shown["ledger"]["tpm_asked"]
    assert shown["ledger"]["anchored"] == shown["ledger"]["entries"]


def test_check_ends_with_6_when_the_database_is_older_than_its_anchor(
    house: House, tmp_path: Path
) -> None:
    copy = tmp_path / "old.db"
    shutil.copy(house.home / "homeca.db", copy)
    house.homeca.must("sign", house.file("laptop.csr"), "--profile", "vpn-client", "--out", "-")
    house.homeca.must("sign", house.file("nas.csr"), "--profile", "tls-server", "--out", "-")
    for left in house.home.glob("homeca.db*"):
        left.unlink()
    shutil.copy(copy, house.home / "homeca.db")

    said = run(house, "check")

    assert said.status == 6
    assert "older than its anchor" in said.text
    assert "[check.ledger.anchor]" in said.text
    assert "homeca audit accept" in said.text


def test_check_without_its_tpm_says_that_the_anchor_was_not_compared(house: House) -> None:
    (house.home / "tpm/tpm2-00.permall").unlink()

    said = run(house, "check")
    shown = json.loads(run(house, "check", "--json").text)

    assert said.status == 0
    assert "[check.ledger.not-compared]" in said.text
    assert "then `homeca audit verify`" in said.text
    assert ": 0 errors, 1 warning" in said.text
    assert not shown["ledger"]["tpm_asked"]
    assert shown["ledger"]["anchored"] is None


def test_check_with_another_tpm_than_the_recorded_one_ends_with_6(
    house: House, tmp_path: Path
) -> None:
    other = House(tmp_path / "other")
    other.place.mkdir()
    other.homeca.must("init-root", "--key", "ec-p256")
    shutil.rmtree(house.home / "tpm")
    shutil.copytree(other.home / "tpm", house.home / "tpm")

    said = run(house, "check")

    assert said.status == 6
    assert "error: the ledger: was not compared with its anchor" in said.text
    assert "this is not the TPM that holds the CA's keys" in said.text
    assert "[check.ledger.not-compared]" in said.text


def test_check_loads_the_keys_when_told(house: House) -> None:
    assert run(house, "check", "--load-keys").status == 0

    (house.home / "tpm/tpm2-00.permall").unlink()
    said = run(house, "check", "--load-keys")

    assert said.status == 6
    assert "[check.custody.tpm]" in said.text


# ---------------------------------------------------------------- tpm


def test_tpm_info_says_which_keys_can_be_made_and_why_others_cannot(house: House) -> None:
    said = run(house, "tpm", "info")

    lines = {line.split()[0]: line for line in said.text.splitlines() if line.split()}
    assert said.status == 0
    assert lines["ec-p384"].split()[1] == "yes"
    assert lines["ed25519"].split()[1:] == ["no:", "no", "TPM", "2.0", "offers", "Ed25519"]
    assert "software TPM" in said.messages


def test_tpm_info_json_has_the_same(house: House) -> None:
    shown = json.loads(run(house, "tpm", "info", "--json").text)

    assert shown["kind"] == "software-tpm"
    assert "0x81000001" in shown["persistent"]
    kinds = {one["kind"]: one["supported"] for one in shown["key_kinds"]}
    assert kinds["ec-p256"] is True
    assert kinds["ed25519"] is False


def test_tpm_info_without_a_home_leaves_nothing_behind(common_house: House, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    said = run(
        common_house, "tpm", "info", "--tpm", "embedded", "--home", tmp_path / "none",
        environment={"TMPDIR": str(scratch)},
    )  # fmt: skip

    assert said.status == 0
    assert "throw-away" in said.messages
    assert not (tmp_path / "none").exists()
    assert list(scratch.iterdir()) == []


def test_tpm_info_makes_no_software_tpm_unasked(common_house: House, tmp_path: Path) -> None:
    home = tmp_path / "none"
    said = run(common_house, "tpm", "info", "--home", home, environment={"HOMECA_TPM": ""})

    has_hardware = any(Path("/dev").glob("tpm*"))
    assert has_hardware or (said.status == 4 and "--tpm embedded" in said.messages)
    assert not home.exists()


def test_tpm_info_of_a_home_that_lost_its_tpm_does_not_make_another(house: House) -> None:
    (house.home / "tpm/tpm2-00.permall").unlink()

    said = run(house, "tpm", "info")

    assert said.status == 4
    assert list((house.home / "tpm").glob("*permall*")) == []


# ---------------------------------------------------------------- the program


@pytest.mark.parametrize(
    "module",
    ["sqlalchemy", "alembic", "tpm2_pytss", "jinja2", "cryptography", "asn1crypto", "rich"],
)
def test_help_loads_nothing_heavy(module: str) -> None:
    done = _program(
        f"""
try:
    app(["--help"], standalone_mode=True)
except SystemExit as ended:
    sys.exit(ended.code or {module!r} in sys.modules)
"""
    )

    assert (done.returncode, "init-root" in done.stdout) == (0, True)


def test_a_command_loads_no_other() -> None:
    done = _program(
        """
app(["list", "--help"], standalone_mode=False)
print(sorted(set(MODULES) & {name.removeprefix("ca.cli.") for name in sys.modules}))
"""
    )

    assert done.stdout.endswith("['reports']\n"), done.stderr


def test_a_listing_reads_no_certificate(common_house: House) -> None:
    """What parses them is not even loaded: a listing is asked for often."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "ca", "list"],
        env=common_house.homeca.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "ca.cli.listing" in loaded
    assert loaded.isdisjoint({"asn1crypto", "ca.services.crl.standing", "tpm2_pytss"})


@pytest.mark.parametrize(("module", "names"), MODULES.items())
def test_each_module_registers_the_commands_it_is_loaded_for(
    module: str, names: tuple[str, ...]
) -> None:
    part = typer.Typer()
    import_module(f"ca.cli.{module}").register(part)

    assert tuple(get_group(part).commands) == names


def test_an_unknown_command_is_answered_with_the_nearest() -> None:
    done = _program('app(["sing"])')

    assert "Did you mean 'sign'?" in done.stderr


def _program(then: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; from ca.cli.app import app; from ca.cli.loading import MODULES\n{then}",
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).resolve().parents[2],
    )


def test_the_shell_completes_serials_issuers_and_profiles(common_house: House) -> None:
    from ca.cli import completing

    old = dict(os.environ)
    os.environ.update(common_house.homeca.environment)
    try:
        serial = common_house.serial("nas")
        assert completing.complete_serial(serial[:6].lower()) == [(serial, "CN=nas.home.arpa")]
        assert [name for name, _ in completing.complete_issuer("int")] == ["intermediate-1"]
        assert completing.complete_profile("vpn-s") == ["vpn-server"]
        os.environ["HOMECA_HOME"] = str(common_house.place / "none")
        assert completing.complete_serial("4") == []
    finally:
        os.environ.clear()
        os.environ.update(old)


# ---------------------------------------------------------------- beside a ceremony


class _Slow:
    """A custody that lets another command run while it makes a key, as an RSA key would."""

    def __init__(self, custody: KeyCustody, meanwhile: Callable[[], object]) -> None:
        self._custody, self._meanwhile = custody, meanwhile

    def __getattr__(self, name: str) -> Any:
        return getattr(self._custody, name)

    def create(self, kind: KeyKind, *, pin: Secret | None, attest: bool = False) -> SealedKey:
        self._meanwhile()
        return self._custody.create(kind, pin=pin, attest=attest)


def test_a_ceremony_under_way_is_left_alone_by_a_command_that_looks(tmp_path: Path) -> None:
    from ca.services.ceremony.plan import Plan
    from ca.services.ceremony.root import init_root
    from ca.wiring.facility import open_facility
    from ca.wiring.opening import Opening

    house = House(tmp_path)
    said: list[Said] = []

    def no_pin(key: str) -> Secret:
        raise AssertionError(f"{key} has no PIN")

    opening = Opening(home=house.home, tcti="embedded", pin=no_pin, on_wait=print)
    with open_facility(opening, create=True, on_settled=print) as facility:
        slow = _Slow(facility.custody(), lambda: said.append(run(house, "status", "--json")))
        issuer = init_root(
            Plan(name="Test", kind=EC_P256, days=7300),
            replace(facility, custody=lambda: cast(KeyCustody, slow)),
        )

    assert issuer.state is IssuerState.ACTIVE
    assert json.loads(said[0].text)["issuers"][0]["state"] == "pending"
