"""`homeca request` and `homeca trust` as a person types them."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.device.answers import Ca, intermediate, root
from tests.house import House
from tests.interop.homeca import Homeca
from tests.interop.programs import must

SEED = """[NewRequest]
Subject = "CN=MYTPMBASEDCERT"
FriendlyName = MYTPMBASEDCERT
HashAlgorithm = SHA256
KeyAlgorithm = ECDSA_P384
KeyLength = 384
MachineKeySet = TRUE
Exportable = FALSE
MachineKeySet = TRUE
ProviderName = "Microsoft Platform Crypto Provider"
"""


@pytest.fixture
def homeca(home: Path) -> Homeca:
    return Homeca(home)


def answer(request: Path) -> tuple[bytes, str]:
    """A certificate for the key of a request, and its root's fingerprint, by the real clock."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    now = datetime.now(UTC)
    top = root("Root", end=now + timedelta(days=90))
    ca = Ca(top, intermediate(top, "Issuing"))
    asked = x509.load_pem_x509_csr(request.read_bytes())
    spki = asked.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    end = now + timedelta(days=20, hours=12)  # 20 whole days, whatever the second
    leaf = ca.issuing.issue("x", spki, begin=now - timedelta(hours=1), end=end)
    return ca.answer(leaf), top.fingerprint


def accepted(homeca: Homeca, tmp_path: Path, *options: str) -> None:
    homeca.must("request", "new", "--subject", "CN=laptop", *options)
    octets, fingerprint = answer(tmp_path / "laptop.csr")
    (tmp_path / "laptop.crt").write_bytes(octets)
    homeca.must("request", "accept", "laptop.crt", "--fingerprint", fingerprint)


def test_the_inf_of_the_windows_guide_makes_a_request_unchanged(
    homeca: Homeca, tmp_path: Path
) -> None:
    (tmp_path / "request.inf").write_bytes(SEED.replace("\n", "\r\n").encode())
    done = homeca.run("request", "new", "request.inf")
    assert (done.returncode, done.stdout) == (0, "request.csr\n")
    assert "line 4: HashAlgorithm = SHA256" in done.stderr
    assert "the machine" in done.stderr
    shown = must("openssl", "req", "-in", tmp_path / "request.csr", "-noout", "-text", "-verify")
    assert "CN=MYTPMBASEDCERT" in shown.replace(" = ", "=")  # with blanks before OpenSSL 3.2
    assert "NIST CURVE: P-384" in shown


def test_faults_of_an_inf_are_told_with_file_line_and_nearest_key(
    homeca: Homeca, tmp_path: Path
) -> None:
    (tmp_path / "r.inf").write_text(SEED.replace("Exportable = FALSE", "Exportabel = TRUE"))
    done = homeca.run("request", "new", "r.inf")
    assert done.returncode == 3
    assert "r.inf:8: 'Exportabel' is not a key of [NewRequest]" in done.stderr
    assert "did you mean Exportable?" in done.stderr
    assert not homeca.home.exists()


def test_a_kind_the_tpm_lacks_is_refused_with_those_it_has(homeca: Homeca, tmp_path: Path) -> None:
    done = homeca.run("request", "new", "--subject", "CN=x", "--key", "rsa-4096")
    assert done.returncode == 4
    assert "nothing was created" in done.stderr
    assert "ec-p256, ec-p384, ec-p521, rsa-2048, rsa-3072" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_output_in_the_way_is_found_before_a_key_is_made(homeca: Homeca, tmp_path: Path) -> None:
    (tmp_path / "x.csr").write_text("mine")
    done = homeca.run("request", "new", "--subject", "CN=x")
    assert (done.returncode, (tmp_path / "x.csr").read_text()) == (2, "mine")
    assert not homeca.home.exists()


def test_rsa_in_a_tpm_warns_of_tls_1_3_and_ec_does_not(homeca: Homeca) -> None:
    rsa = homeca.run("request", "new", "--subject", "CN=r", "--key", "rsa-2048")
    ec = homeca.run("request", "new", "--subject", "CN=e", "--key", "ec-p256")
    assert (rsa.returncode, ec.returncode) == (0, 0)
    assert "[OV12]" in rsa.stderr
    assert "[OV12]" not in ec.stderr


def test_a_software_tpm_is_never_silent(homeca: Homeca) -> None:
    for command in (["request", "new", "--subject", "CN=x"], ["request", "show", "x"]):
        assert "software TPM" in homeca.run(*command).stderr
    [one] = homeca.json("request", "list")["requests"]
    assert (one["custody"], one["tpm"]) == ("software-tpm", "embedded")


def test_a_request_lives_from_new_to_removed(homeca: Homeca, tmp_path: Path) -> None:
    accepted(homeca, tmp_path)
    assert homeca.must("request", "list").splitlines()[1].startswith("laptop\t1\tactive\tec-p256")
    assert "ends in 20 days" in homeca.run("request", "list").stderr
    homeca.must("request", "renew", "laptop", "--new-key", "--out", "next.csr")
    states = [one["state"] for one in homeca.json("request", "list")["requests"]]
    assert states == ["active", "pending"]
    unsure = homeca.run("request", "remove", "laptop")
    assert (unsure.returncode, "--yes" in unsure.stderr) == (2, True)
    homeca.must("request", "remove", "laptop", "--yes")
    assert homeca.json("request", "list")["requests"] == []


def test_accepting_without_a_fingerprint_or_a_terminal_is_refused(
    homeca: Homeca, tmp_path: Path
) -> None:
    homeca.must("request", "new", "--subject", "CN=laptop")
    octets, fingerprint = answer(tmp_path / "laptop.csr")
    (tmp_path / "laptop.crt").write_bytes(octets)
    done = homeca.run("request", "accept", "laptop.crt")
    assert done.returncode == 2
    assert "--fingerprint" in done.stderr
    assert fingerprint.upper() not in done.stderr.upper()
    wrong = homeca.run("request", "accept", "laptop.crt", "--fingerprint", "ab" * 32, "--json")
    assert wrong.returncode == 6
    [reason] = json.loads(wrong.stdout)["error"]["violations"]
    assert reason["rule"] == "chain.other-root"


@pytest.mark.parametrize(("typed", "status"), [(b"y\n", 0), (b"n\n", 130), (b"\n", 130)])
def test_on_a_terminal_the_fingerprint_is_shown_and_a_person_decides(
    homeca: Homeca, tmp_path: Path, typed: bytes, status: int
) -> None:
    homeca.must("request", "new", "--subject", "CN=laptop")
    octets, fingerprint = answer(tmp_path / "laptop.csr")
    (tmp_path / "laptop.crt").write_bytes(octets)
    done = homeca.on_terminal(typed, "request", "accept", "laptop.crt", cwd=tmp_path)
    assert done.returncode == status, done.stderr
    assert fingerprint.upper() in done.stderr
    [one] = homeca.json("request", "list")["requests"]
    assert one["state"] == ("active" if status == 0 else "pending")


def test_what_is_said_after_a_request_takes_its_answer_once_the_fingerprint_is_filled_in(
    homeca: Homeca, tmp_path: Path
) -> None:
    told = homeca.run("request", "new", "--subject", "CN=x", "--out", "an ask.csr").stderr
    assert "`homeca sign 'an ask.csr' --profile vpn-client`" in told
    (command,) = re.findall(r"`homeca (request accept [^`]*)`", told)
    octets, fingerprint = answer(tmp_path / "an ask.csr")
    (tmp_path / "an ask.crt").write_bytes(octets)
    (tmp_path / "root.pem").write_bytes(octets)  # its root is in it
    homeca.must(*shlex.split(command.replace("SHA256", fingerprint)))

    again = homeca.run("request", "renew", "x", "--out", "second.csr").stderr
    (command,) = re.findall(r"`homeca (request accept [^`]*)`", again)
    assert command == "request accept second.crt"


def test_a_device_that_knows_no_root_is_sent_to_a_command_of_the_ca(
    homeca: Homeca, house: House, tmp_path: Path
) -> None:
    homeca.must("request", "new", "--subject", "CN=x")
    octets, _ = answer(tmp_path / "x.csr")
    (tmp_path / "x.crt").write_bytes(octets)
    refused = homeca.run("request", "accept", "x.crt")
    assert refused.returncode == 2
    (command,) = re.findall(r"`homeca ([^`]*)`", refused.stderr)
    done = house.homeca.run(*shlex.split(command))
    assert (done.returncode, "SHA-256" in done.stderr) == (0, True)


def test_a_new_key_after_one_with_a_pin_has_a_pin(homeca: Homeca, tmp_path: Path) -> None:
    (tmp_path / "pin").write_text("1234")
    (tmp_path / "pin").chmod(0o600)
    pin = ("--pin-file", tmp_path / "pin")
    homeca.must("request", "new", "--subject", "CN=x", "--pin", *pin)
    without = homeca.run("request", "renew", "x", "--new-key", "--out", "2.csr")
    assert (without.returncode, "terminal" in without.stderr) == (2, True)
    homeca.must("request", "renew", "x", "--new-key", "--out", "2.csr", *pin)
    assert [one["pin"] for one in homeca.json("request", "list")["requests"]] == [True, True]


def test_without_pin_the_old_key_cannot_ask_again(homeca: Homeca, tmp_path: Path) -> None:
    (tmp_path / "pin").write_text("1234")
    (tmp_path / "pin").chmod(0o600)
    homeca.must("request", "new", "--subject", "CN=x", "--pin", "--pin-file", tmp_path / "pin")
    (tmp_path / "pin").write_text("4321")
    done = homeca.run("request", "renew", "x", "--out", "2.csr", "--pin-file", tmp_path / "pin")
    assert (done.returncode, "[custody.pin-wrong]" in done.stderr) == (4, True)
    assert [one["generation"] for one in homeca.json("request", "list")["requests"]] == [1]


def test_hostile_names_are_harmless_on_a_terminal(homeca: Homeca, tmp_path: Path) -> None:
    (tmp_path / "r.inf").write_text(
        '[NewRequest]\nSubject="CN=x"\nKeyAlgorithm=ECDSA_P256\nFriendlyName="a\x1b]0;b\x07c"\n'
    )
    for command in (["request", "new", "r.inf"], ["request", "show", "x"], ["request", "list"]):
        done = homeca.run(*command)
        assert done.returncode == 0
        assert "\x1b" not in done.stdout + done.stderr


# ---------------------------------------------------------------- use

PROGRAMS = ["openvpn", "openssl", "curl", "nginx", "strongswan", "networkmanager"]


@pytest.mark.parametrize("pin", [False, True], ids=["no-pin", "pin"])
def test_every_program_gets_settings_that_name_the_pair_in_use(
    homeca: Homeca, tmp_path: Path, pin: bool
) -> None:
    (tmp_path / "pin").write_text("1234")
    (tmp_path / "pin").chmod(0o600)
    with_pin = ["--pin", "--pin-file", str(tmp_path / "pin")] if pin else []
    accepted(homeca, tmp_path, "--one-hash", *with_pin)
    place = homeca.home / "device/laptop/current"
    for program in PROGRAMS:
        told = homeca.json("request", "use", "laptop", "--for", program)
        for file in ("key.tss", "chain.pem", "root.pem"):
            assert f"{place / file}" in told["configuration"], program
        assert "{{" not in told["configuration"] + " ".join(told["caveats"])
        assert any("software TPM" in caveat for caveat in told["caveats"]), program
        assert any(caveat.startswith(("tried", "not tried")) for caveat in told["caveats"])
        says_pin = "pin" in told["configuration"].lower().replace("openssl", "")
        assert says_pin is (pin and program not in ("curl", "networkmanager"))


def test_networkmanager_is_told_the_pair_where_it_lies_and_no_copy_of_it(
    homeca: Homeca, tmp_path: Path
) -> None:
    """Its openvpn reads them as root, and a copy would be left behind by a renewal."""
    accepted(homeca, tmp_path)
    told = homeca.json("request", "use", "laptop", "--for", "networkmanager")
    assert "leave them there" in " ".join(told["caveats"])
    assert "copy" not in " ".join(told["caveats"])


def test_strongswan_is_offered_no_key_that_it_cannot_sign_with(
    homeca: Homeca, tmp_path: Path
) -> None:
    accepted(homeca, tmp_path)
    done = homeca.run("request", "use", "laptop", "--for", "strongswan")
    assert (done.returncode, "has its hash fixed" in done.stderr) == (3, True)
    homeca.must("request", "renew", "laptop", "--new-key", "--one-hash", "--out", "second.csr")
    octets, fingerprint = answer(tmp_path / "second.csr")
    (tmp_path / "second.crt").write_bytes(octets)
    homeca.must("request", "accept", "second.crt", "--fingerprint", fingerprint)
    assert "handle = 81010010" in homeca.must("request", "use", "laptop", "--for", "strongswan")


def test_use_needs_a_certificate_and_says_so(homeca: Homeca) -> None:
    homeca.must("request", "new", "--subject", "CN=x")
    done = homeca.run("request", "use", "x", "--for", "openvpn")
    assert (done.returncode, "has no certificate yet" in done.stderr) == (1, True)


def test_a_home_whose_path_would_break_a_settings_file_is_refused(tmp_path: Path) -> None:
    homeca = Homeca(tmp_path / 'a"b')
    accepted(homeca, tmp_path)
    done = homeca.run("request", "use", "laptop", "--for", "openvpn")
    assert (done.returncode, "settings file" in done.stderr) == (2, True)
