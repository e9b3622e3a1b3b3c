"""A root goes into real trust stores in temporary places, and comes out without a trace."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from ca.encoding.facts import CertificateFacts
from ca.encoding.inspect import read_certificate
from ca.errors import TrustStoreFailed, VerificationFailed
from ca.services.device.trust_stores import JavaStore, NssStore, SystemStore, mark, read_root
from tests.device.answers import DAY, NOW, Issuer, ca, root, stranger
from tests.interop.homeca import Homeca
from tests.interop.programs import must, run


def facts(issuer: Issuer) -> CertificateFacts:
    return read_certificate(issuer.certificate.public_bytes(Encoding.DER))


ROOT = facts(ca().root)


def need(program: str, package: str) -> None:
    if shutil.which(program, path="/usr/sbin:/sbin:/usr/bin:/bin") is None:
        pytest.fail(f"{program} is missing: run `sudo apt install {package}`")


@pytest.fixture
def sysroot(tmp_path: Path) -> Path:
    need("update-ca-certificates", "ca-certificates")
    for place in ("usr/local/share/ca-certificates", "etc/ssl/certs", "etc/ca-certificates"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "etc/ca-certificates/update.d").mkdir()
    other = tmp_path / "usr/local/share/ca-certificates/other.crt"
    other.write_bytes(root("Another Root").pem)
    must(*SystemStore.found(tmp_path).add)
    return tmp_path


def content(place: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in place.iterdir() if not p.is_dir()}


def test_the_systems_store_trusts_the_root_and_is_restored_octet_for_octet(sysroot: Path) -> None:
    store = SystemStore.found(sysroot)
    certs = sysroot / "etc/ssl/certs"
    before = content(certs), content(store.anchors)
    assert not store.holds(ROOT)
    store.install(ROOT)
    assert store.holds(ROOT)
    (sysroot / "root.pem").write_bytes(ca().root.pem)
    verify = ("openssl", "verify", "-attime", str(int(NOW.timestamp())), "-no-CAfile")
    good = run(*verify, "-CApath", certs, sysroot / "root.pem")
    assert good.returncode == 0, good.stderr
    store.remove(ROOT)
    assert (content(certs), content(store.anchors)) == before
    assert run(*verify, "-CApath", certs, sysroot / "root.pem").returncode != 0


def test_a_failing_update_leaves_no_root_among_the_anchors(tmp_path: Path) -> None:
    store = SystemStore(tmp_path, ("false",), ("false",))
    with pytest.raises(TrustStoreFailed, match="false failed"):
        store.install(ROOT)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def nss(tmp_path: Path) -> NssStore:
    need("certutil", "libnss3-tools")
    database = tmp_path / "nssdb"
    database.mkdir()
    must("certutil", "-d", f"sql:{database}", "-N", "--empty-password")
    return NssStore(database)


def listed(nss: NssStore) -> str:
    return must("certutil", "-d", f"sql:{nss.database}", "-L")


def test_an_nss_database_trusts_the_root_for_servers_and_is_restored(nss: NssStore) -> None:
    before = listed(nss)
    nss.install(ROOT)
    assert nss.holds(ROOT)
    [line] = [line for line in listed(nss).splitlines() if mark(ROOT) in line]
    assert line.split()[-1] == "C,,"
    nss.remove(ROOT)
    assert listed(nss) == before


def test_a_root_somebody_else_put_into_nss_is_left_as_it_is(nss: NssStore, tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_bytes(ca().root.pem)
    place = ("-d", f"sql:{nss.database}", "-n", "My own root")
    must("certutil", "-A", "-t", ",,", "-i", tmp_path / "root.pem", *place)
    before = listed(nss)
    with pytest.raises(TrustStoreFailed, match="'My own root'"):
        nss.install(ROOT)
    assert listed(nss) == before


def test_the_remedies_of_nss_do_as_they_say_whatever_things_are_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need("certutil", "libnss3-tools")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "root.pem").write_bytes(ca().root.pem)
    user = tmp_path / "a $(touch gone) user's"
    with pytest.raises(TrustStoreFailed) as nothing_there:
        NssStore.found(user)
    must("sh", "-c", nothing_there.value.remedy.split("`")[1])
    [store] = NssStore.found(user)
    hostile = 'My "own" $(touch gone) root'
    place = ("-d", f"sql:{store.database}", "-n", hostile)
    must("certutil", "-A", "-t", ",,", "-i", "root.pem", *place)
    with pytest.raises(TrustStoreFailed) as there_already:
        store.install(ROOT)
    must("sh", "-c", there_already.value.remedy.split("`")[1])
    [line] = [line for line in listed(store).splitlines() if hostile in line]
    assert line.split()[-1] == "C,,"
    assert not (tmp_path / "gone").exists()


#: Where Chromium before 146 and Firefox before 147 keep theirs, and where those after do.
DATABASES = (
    ".pki/nssdb",
    ".local/share/pki/nssdb",
    "snap/chromium/current/.pki/nssdb",
    ".mozilla/firefox/abc.default",
    ".config/mozilla/firefox/def.default-release",
    "snap/firefox/common/.mozilla/firefox/ghi.default",
)


def databases(home: Path, *places: str) -> list[str]:
    for place in places:
        (home / place).mkdir(parents=True)
        (home / place / "cert9.db").touch()
    return sorted(places)


def test_every_database_of_a_user_is_found_and_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrustStoreFailed, match="no NSS database"):
        NssStore.found(tmp_path)
    made = databases(tmp_path, *DATABASES)
    (tmp_path / ".config/mozilla/firefox/Crash Reports").mkdir()
    found = [store.database.relative_to(tmp_path).as_posix() for store in NssStore.found(tmp_path)]
    assert sorted(found) == made


def test_the_databases_where_xdg_says_are_found_and_each_once(tmp_path: Path) -> None:
    made = databases(tmp_path, "c/mozilla/firefox/abc.default", "d/pki/nssdb", DATABASES[1])
    data = tmp_path / ".local/share"
    for config, where in ((tmp_path / "c", tmp_path / "d"), (None, data)):
        stores = NssStore.found(tmp_path, config=config, data=where)
        found = [store.database.relative_to(tmp_path).as_posix() for store in stores]
        assert sorted(found) == (made if config is not None else [DATABASES[1]])


def test_the_commands_of_a_remedy_can_be_pasted_whatever_a_directory_is_called(
    tmp_path: Path,
) -> None:
    home = tmp_path / "Al's $(home)"
    home.mkdir()
    with pytest.raises(TrustStoreFailed) as refused:
        NssStore.found(home)
    command = refused.value.remedy.split("`")[1]
    must("sh", "-c", command)
    [store] = NssStore.found(home)
    assert store.database == home / ".pki/nssdb"


def test_a_java_keystore_trusts_the_root_and_keeps_its_other_entries(tmp_path: Path) -> None:
    need("keytool", "default-jre-headless")
    keystore, password = tmp_path / "k.p12", tmp_path / "password"
    password.write_text("not-changeit")
    other = ("-importcert", "-noprompt", "-alias", "other", "-file", tmp_path / "other.pem")
    (tmp_path / "other.pem").write_bytes(stranger().root.pem)
    java = ("-keystore", str(keystore), "-storepass:file", str(password))
    keytool("keytool", *map(str, other), *java)
    store = JavaStore(keystore, b"not-changeit")
    before = keytool("keytool", "-list", *java)
    store.install(ROOT)
    assert store.holds(ROOT)
    store.remove(ROOT)
    assert keytool("keytool", "-list", *java) == before
    with pytest.raises(TrustStoreFailed, match="password"):
        JavaStore(keystore, b"wrong-password").holds(ROOT)


def keytool(*argv: str) -> str:
    import subprocess

    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (ca().issuing.pem, "not a root"),
        (ca().root.pem + stranger().root.pem, "2 roots"),
        (root("Old", end=NOW - DAY).pem, "expired"),
    ],
    ids=["intermediate", "two", "expired"],
)
def test_only_one_good_root_may_enter_a_store(octets: bytes, words: str) -> None:
    with pytest.raises(VerificationFailed, match=words):
        read_root(octets, at=NOW)


def test_a_root_whose_signature_was_changed_may_not_enter_a_store() -> None:
    der = bytearray(ca().root.certificate.public_bytes(Encoding.DER))
    der[-1] ^= 1
    with pytest.raises(VerificationFailed, match="changed"):
        read_root(bytes(der), at=NOW)


def test_the_command_shows_the_fingerprint_first_and_acts_only_when_told(
    tmp_path: Path, sysroot: Path
) -> None:
    homeca = Homeca(tmp_path / "home")
    top = root("Fresh")
    (tmp_path / "root.pem").write_bytes(top.pem)
    where = ("root.pem", "--sysroot", str(sysroot))
    asked = homeca.run("trust", "install", *where)
    assert asked.returncode == 2
    assert top.fingerprint.upper() in asked.stderr
    anchors = sysroot / "usr/local/share/ca-certificates"
    assert [path.name for path in anchors.iterdir()] == ["other.crt"]
    told = homeca.run("trust", "install", *where, "--yes")
    assert (told.returncode, top.fingerprint.upper() in told.stderr) == (0, True)
    assert homeca.json("trust", "show", *where)["stores"][0]["holds"] is True
    homeca.must("trust", "remove", *where, "--yes")
    twice = homeca.run("trust", "remove", *where, "--yes")
    assert (twice.returncode, "[not-found]" in twice.stderr) == (1, True)
    assert [path.name for path in anchors.iterdir()] == ["other.crt"]
