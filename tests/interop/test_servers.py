"""Servers that let in by certificate, with the lines of the README: who comes in, and who was lost.

Apache, HAProxy and Mosquitto are started as they are, each on a free port of loopback.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.house import House
from tests.interop.homeca import CHECKOUT
from tests.interop.programs import require

PATIENCE = 20.0
_MODULES = Path("/usr/lib/apache2/modules")

#: What the README tells each to be told, besides its own certificate.
LINES = {
    "apache2": (
        "SSLCACertificateFile root.pem",
        "SSLCARevocationFile openvpn.pem",
        "SSLVerifyClient require",
        "SSLCARevocationCheck chain",
        "SSLVerifyDepth 2",
    ),
    "haproxy": ("ca-file root.pem verify required crl-file openvpn.pem",),
    "mosquitto": (
        "cafile root.pem",
        "crlfile openvpn.pem",
        "require_certificate true",
        "use_identity_as_username true",
    ),
}
_GET = b"GET / HTTP/1.0\r\n\r\n"
_CONNECT = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"  # with no name (MQTT 3.1.1 §3.1)
_PING, _PONG = b"\xc0\x00", b"\xd0\x00"


@dataclass(frozen=True, slots=True)
class Lists:
    """A house, and its openvpn.pem with a ladder before and after `homeca lost laptop`."""

    house: House
    before: str
    after: str


@pytest.fixture(scope="module")
def lists(common_house: House, tmp_path_factory: pytest.TempPathFactory) -> Lists:
    house = common_house.copy(tmp_path_factory.mktemp("servers") / "house")
    joined = house.home / "crl/openvpn.pem"
    house.homeca.must("crl", "--ladder", "3")
    before = joined.read_text()
    house.homeca.must("lost", "laptop.home.arpa")
    return Lists(house, before, joined.read_text())


@dataclass(slots=True)
class Server:
    """One of LINES. place: its directory, where root.pem and openvpn.pem are."""

    program: str
    house: House
    place: Path
    lines: tuple[str, ...]
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Raises: nothing; fails the test when it does not listen in time."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        (self.place / "conf").write_text(_SETTINGS[self.program](self))
        with (self.place / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [require(self.program), *_ARGUMENTS[self.program], str(self.place / "conf")],
                cwd=self.place,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up and self.process.poll() is None:
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", self.port), 1),
            ):
                return
            time.sleep(0.02)
        pytest.fail(f"{self.program} did not start:\n{self.said()}")

    def said(self) -> str:
        return (self.place / "log").read_text()

    def end(self) -> None:
        assert self.process is not None
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(PATIENCE)

    def bring(self, lists: str) -> None:
        (self.place / "new").write_text(lists)
        (self.place / "new").replace(self.place / "openvpn.pem")

    def connected(self, stem: str) -> tuple[ssl.SSLSocket | None, str]:
        """Whom it answers, or what it says instead. stem: of a device; "" for no certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.place / "root.pem")
        if stem:
            context.load_cert_chain(self.house.file(f"{stem}.crt"), self.house.file(f"{stem}.key"))
        with contextlib.ExitStack() as closing:
            try:
                raw = closing.enter_context(socket.create_connection(("127.0.0.1", self.port), 9))
                found = context.wrap_socket(raw, server_hostname="nas.home.arpa")
                closing.enter_context(found)
                found.sendall(_CONNECT if self.program == "mosquitto" else _GET)
                answer = found.recv(4)
            except OSError as error:
                return None, str(error)
            if answer != (b"\x20\x02\x00\x00" if self.program == "mosquitto" else b"HTTP"):
                return None, repr(answer)
            closing.pop_all()
        return found, ""

    def lets_in(self, stem: str) -> bool:
        found, _ = self.connected(stem)
        if found is not None:
            found.close()
        return found is not None

    def refuses_in_time(self, stem: str) -> bool:
        """Whether it begins to: a reload takes a moment."""
        give_up = time.monotonic() + PATIENCE
        while self.lets_in(stem):
            if time.monotonic() >= give_up:
                return False
            time.sleep(0.05)
        return True


def _apache(server: Server) -> str:
    modules = ("mpm_event", "authz_core", "socache_shmcb", "ssl")
    place, lines = server.place, "\n".join(server.lines)
    for name in ("root.pem", "openvpn.pem"):
        lines = lines.replace(f" {name}", f" {place / name}")
    return "\n".join(
        (
            f"ServerRoot {place}\nPidFile {place}/pid\nErrorLog {place}/errors",
            f"ServerName nas.home.arpa\nListen 127.0.0.1:{server.port}\nUser nobody\nGroup nogroup",
            *(f"LoadModule {name}_module {_MODULES}/mod_{name}.so" for name in modules),
            f"Mutex posixsem\nSSLEngine on\nSSLSessionCache shmcb:{place}/sessions(65536)",
            f"SSLCertificateFile {server.house.file('nas.crt')}",
            f"SSLCertificateKeyFile {server.house.file('nas.key')}",
            lines,
            "",
        )
    )


def _haproxy(server: Server) -> str:
    pair = server.place / "pair.pem"
    pair.write_text("".join(server.house.file(f"nas.{end}").read_text() for end in ("crt", "key")))
    return (
        "defaults\n mode http\n timeout client 9s\n timeout server 9s\n timeout connect 9s\n"
        f"frontend f\n bind 127.0.0.1:{server.port} ssl crt {pair} {' '.join(server.lines)}\n"
        " http-request return status 200\n"
    )


def _mosquitto(server: Server) -> str:
    return "\n".join(
        (
            f"listener {server.port} 127.0.0.1\nuser root\nlog_dest stderr",
            f"certfile {server.house.file('nas.crt')}\nkeyfile {server.house.file('nas.key')}",
            *server.lines,
            "",
        )
    )


_SETTINGS = {"apache2": _apache, "haproxy": _haproxy, "mosquitto": _mosquitto}
_ARGUMENTS = {
    "apache2": ("-DFOREGROUND", "-f"),
    "haproxy": ("-W", "-f"),
    "mosquitto": ("-c",),
}


@contextlib.contextmanager
def serving(
    program: str, lists: Lists, place: Path, *, crls: str = "", lines: tuple[str, ...] = ()
) -> Iterator[Server]:
    """A server with the lists before, or `crls`; ended at the end of the block."""
    (place / "root.pem").write_bytes((lists.house.home / "certs/root.pem").read_bytes())
    server = Server(program, lists.house, place, lines or LINES[program])
    server.bring(crls or lists.before)
    try:
        server.start()
        yield server
    finally:
        server.end()


@pytest.mark.parametrize("program", LINES)
def test_who_has_a_clients_certificate_comes_in_and_nobody_else(
    program: str, lists: Lists, tmp_path: Path
) -> None:
    with serving(program, lists, tmp_path) as server:
        decided = {stem: server.lets_in(stem) for stem in ("laptop", "brief", "lost", "nas", "")}
    assert decided == {"laptop": True, "brief": True, "lost": False, "nas": False, "": False}


@pytest.mark.parametrize("program", LINES)
def test_a_lost_device_is_refused_after_the_new_lists_and_a_restart_and_not_before(
    program: str, lists: Lists, tmp_path: Path
) -> None:
    with serving(program, lists, tmp_path) as server:
        assert server.lets_in("laptop")  # it has read the lists before
        server.bring(lists.after)
        assert server.lets_in("laptop")
        server.end()
        server.start()
        assert not server.lets_in("laptop")
        assert server.lets_in("brief")


@pytest.mark.parametrize("program", ["apache2", "haproxy"])
def test_without_the_roots_list_everybody_is_refused(
    program: str, lists: Lists, tmp_path: Path
) -> None:
    """Why the README names openvpn.pem, and not the list of the issuer in question."""
    alone = (lists.house.home / "crl/intermediate-1.crl.pem").read_text()
    with serving(program, lists, tmp_path, crls=alone) as server:
        assert not server.lets_in("brief")


def test_apache_must_be_told_that_there_is_an_intermediate(lists: Lists, tmp_path: Path) -> None:
    without = tuple(line for line in LINES["apache2"] if not line.startswith("SSLVerifyDepth"))
    with serving("apache2", lists, tmp_path, lines=without) as server:
        assert not server.lets_in("brief")
        assert "Certificate Chain too long" in (tmp_path / "errors").read_text()


def test_who_is_connected_to_mosquitto_stays_over_a_reload_and_goes_with_a_restart(
    lists: Lists, tmp_path: Path
) -> None:
    """What `homeca lost` says of it."""
    with serving("mosquitto", lists, tmp_path) as server:
        laptop, why = server.connected("laptop")
        assert laptop is not None, why
        with laptop:
            server.bring(lists.after)
            assert server.process is not None
            server.process.send_signal(signal.SIGHUP)
            assert server.refuses_in_time("laptop")
            laptop.sendall(_PING)
            assert laptop.recv(2) == _PONG
            server.end()
            assert laptop.recv(2) == b""
        server.start()
        assert not server.lets_in("laptop")


def test_the_readme_has_these_lines() -> None:
    told = (CHECKOUT / "README.md").read_text()
    assert [line for lines in LINES.values() for line in lines if line not in told] == []
