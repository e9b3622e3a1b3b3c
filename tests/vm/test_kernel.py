"""Before the kernel's own TPM driver and resource manager: what a pseudo-terminal cannot show.

`make vm` runs these, `make test` does not: a kernel has to be fetched and booted.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from ca.services.standing.scheduling import Plan, units
from tests.interop.homeca import CHECKOUT
from tests.vm.machine import Machine

HOMECA = (sys.executable, "-m", "ca")

#: Kills a program as soon as it has the TPM open; exits 0 if it died of that.
KILLER = """
import glob, os, subprocess, sys
child = subprocess.Popen(sys.argv[1:])
has_tpm = False
while child.poll() is None and not has_tpm:
    for link in glob.glob(f"/proc/{child.pid}/fd/*"):
        try:
            has_tpm |= os.readlink(link) == "/dev/tpmrm0"
        except FileNotFoundError:
            pass
child.kill()
sys.exit(not (has_tpm and child.wait() == -9))
"""


#: Signs a request with a key of `homeca request`, as any program before OpenSSL does.
SIGNING = """
    export TPM2OPENSSL_TCTI=device:/dev/tpmrm0
    openssl pkeyutl -provider tpm2 -provider default -propquery '?provider=tpm2' \\
        -sign -rawin -digest sha256 -inkey {key} -in laptop.csr -out signature
"""


def objects_in(machine: Machine) -> str:
    """What lies in the TPM itself, past the resource manager, which shows each user his own."""
    return machine.must("tpm2_getcap", "-T", "device:/dev/tpm0", "handles-transient", user="root")


def test_who_may_not_open_the_device_is_told_why_and_gets_no_software_tpm(
    machine: Machine,
) -> None:
    asked = ("init-root", "--name", "Vm", "--permit-dns", "home.arpa")
    outside = machine.begin(*HOMECA, *asked, user="alice")
    inside = machine.begin(*HOMECA, "tpm", "info", "--tpm", "device:/dev/tpm0", user="bob")
    said = outside().stderr
    assert "'/dev/tpmrm0' cannot be opened: permission denied" in said
    assert "usermod -aG tss" in said
    assert machine.run("test", "-e", "/srv/alice/ca/tpm", user="alice").status == 1
    said = inside().stderr  # he is in that group, to which Debian gives only the shared device
    assert "--tpm device:/dev/tpmrm0" in said
    assert "usermod" not in said


def test_the_machines_tpm_is_found_and_what_it_signs_verifies(with_ca: Machine) -> None:
    status = json.loads(with_ca.homeca_must("status", "--json"))
    assert status["custody"]["tcti"] == "device:/dev/tpmrm0"
    with_ca.homeca_must("sign", "first.csr", "--profile", "vpn-client")
    certs = "/srv/bob/ca/certs"
    verify = ("openssl", "verify", "-untrusted", f"{certs}/intermediate-1.pem", "-CAfile")
    with_ca.must(*verify, f"{certs}/root.pem", "first.crt")
    assert with_ca.run(*verify, "/dev/null", "first.crt").status != 0


def test_a_tpm_filled_past_the_resource_manager_is_emptied_by_what_the_error_says(
    with_ca: Machine,
) -> None:
    python = ("env", f"PYTHONPATH={CHECKOUT}", sys.executable)
    with_ca.must(*python, "-m", "tests.vm.leaving", user="root")
    assert objects_in(with_ca).count("0x80") == 3
    refused = with_ca.homeca("sign", "second.csr", "--profile", "vpn-client")
    assert "custody.tpm-out-of-memory" in refused.stderr
    (remedy,) = re.findall(r"`sudo (.*?)`", refused.stderr)
    with_ca.must("sh", "-c", remedy, user="root")
    assert objects_in(with_ca) == ""


def test_the_kernel_takes_back_what_a_killed_signing_held(with_ca: Machine) -> None:
    killed = (*HOMECA, "sign", "second.csr", "--profile", "vpn-client")
    assert with_ca.run(sys.executable, "-c", KILLER, *killed).status == 0
    assert objects_in(with_ca) == ""


def test_four_at_once_get_their_certificates_while_another_uses_the_tpm_as_well(
    with_ca: Machine,
) -> None:
    busy = "for _ in $(seq 100); do tpm2_getrandom -T device:/dev/tpmrm0 8 || exit 1; done"
    another = with_ca.begin("sh", "-c", busy, user="root")
    asked = (*HOMECA, "sign", "second.csr", "--profile", "vpn-client", "--out")
    ends = [with_ca.begin(*asked, f"{number}.crt") for number in range(4)]
    assert [end().status for end in ends] == [0] * 4
    assert another().status == 0
    serials = {
        with_ca.must("openssl", "x509", "-in", f"{number}.crt", "-noout", "-serial")
        for number in range(4)
    }
    assert len(serials) == 4
    assert objects_in(with_ca) == ""


def test_openssl_signs_with_a_devices_key_that_homeca_made(with_ca: Machine) -> None:
    device = ("env", "HOMECA_HOME=/srv/bob/device", *HOMECA, "request")
    with_ca.must(*device, "new", "--subject", "CN=laptop.home.arpa", "--out", "laptop.csr")
    with_ca.homeca_must("sign", "laptop.csr", "--profile", "vpn-client")
    reading = ("openssl", "x509", "-in", "ca/certs/root.pem", "-noout", "-fingerprint", "-sha256")
    root = ("--root", "ca/certs/root.pem")
    fingerprint = with_ca.must(*reading).partition("=")[2].strip()
    with_ca.must(*device, "accept", "laptop.crt", *root, "--fingerprint", fingerprint)
    place = "device/device/laptop.home.arpa/current"
    with_ca.must("sh", "-c", SIGNING.format(key=f"{place}/key.tss"))
    with_ca.must("sh", "-c", f"openssl x509 -in {place}/certificate.pem -noout -pubkey > key.pub")
    verify = ("openssl", "dgst", "-sha256", "-verify", "key.pub", "-signature", "signature")
    assert with_ca.run(*verify, "laptop.csr").status == 0
    assert with_ca.run(*verify, "first.csr").status != 0


#: Starts a service that is locked in as those of `homeca schedule` are, and ends as it does.
OPENING = """
set -e
cat > /run/systemd/system/opening.service <<END
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
DevicePolicy=closed
{rules}
ExecStart=/bin/sh -c 'exec 3<>{device}'
END
systemctl daemon-reload
systemctl start opening.service
"""


def test_a_unit_of_schedule_may_open_either_device_by_its_own_rules(machine: Machine) -> None:
    plan = Plan(program=("homeca",), home=Path("/srv/bob/ca"), is_system=True)
    lines = units(plan)["homeca-crl.service"].splitlines()
    rules = "\n".join(line for line in lines if line.startswith("DeviceAllow="))
    for device in ("/dev/tpm0", "/dev/tpmrm0"):
        with_rules = OPENING.format(rules=rules, device=device)
        assert machine.run("sh", "-c", with_rules, user="root").status == 0
        without = OPENING.format(rules="", device=device)
        assert machine.run("sh", "-c", without, user="root").status != 0


def test_after_the_reset_button_anchor_and_lockout_are_as_before(with_ca: Machine) -> None:
    with_ca.reset()
    assert "the TPM holds entry" in with_ca.homeca_must("audit", "verify")
    reading = ("tpm2_getcap", "-T", "device:/dev/tpmrm0", "properties-variable")
    assert "TPM2_PT_LOCKOUT_COUNTER: 0x0\n" in with_ca.must(*reading)
