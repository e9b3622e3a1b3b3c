"""What issuers are called, by `homeca init-root` and `homeca init-intermediate`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.house import House
from tests.interop.homeca import Homeca
from tests.interop.programs import must

PLACE = "/C=GB/ST=England/O=Alice Ltd"


def subject(homeca: Homeca, slug: str) -> str:
    certificate = homeca.home / f"certs/{slug}.pem"
    told = must("openssl", "x509", "-in", certificate, "-noout", "-subject",
                "-nameopt", "RFC2253,-dn_rev")  # fmt: skip
    return told.strip().removeprefix("subject=")


def test_an_intermediate_stands_where_its_root_does(tmp_path: Path) -> None:
    homeca = Homeca(tmp_path / "home")
    homeca.must("init-root", "--key", "ec-p256", "--subject", PLACE)
    homeca.must("init-intermediate", "--key", "ec-p256")
    homeca.must("init-intermediate", "--key", "ec-p256", "--name", "Bob")
    homeca.must("init-intermediate", "--key", "ec-p256", "--subject", "C=DE,O=Zuhause")
    assert [subject(homeca, f"intermediate-{number}") for number in (1, 2, 3)] == [
        "C=GB,ST=England,O=Alice Ltd,CN=Alice Ltd Intermediate CA 1",
        "C=GB,ST=England,O=Bob,CN=Bob Intermediate CA 2",
        "C=DE,O=Zuhause,CN=Zuhause Intermediate CA 3",
    ]
    assert subject(homeca, "root") == "C=GB,ST=England,O=Alice Ltd,CN=Alice Ltd Root CA"


@pytest.mark.parametrize("wrong", ["CN=My CA", "C=GB,CN=My CA", "C=Great Britain", "nonsense"])
def test_a_subject_with_a_common_name_or_none_at_all_makes_nothing(
    house: House, wrong: str
) -> None:
    before = sorted((house.home / "certs").iterdir())
    assert house.homeca.run("init-intermediate", "--subject", wrong).returncode != 0
    assert sorted((house.home / "certs").iterdir()) == before
