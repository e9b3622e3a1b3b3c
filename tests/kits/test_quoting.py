"""A hostile value stays one value in every language that a kit writes."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ca.encoding.inf import Faults, read_inf
from ca.errors import KitRefused
from ca.kits import quoting
from ca.kits.rendering import Unquoted, render
from ca.names.showing import visible
from ca.resources import resource
from tests.kits.kitfacts import VARIANTS, facts, made, text

#: Names as a request might bring them: quotes of all kinds, expansions, escapes.
HOSTILE = (
    'a"b',
    "a'b",
    "a\u2019; Remove-Item C:\\ #",
    "\u201a\u201b\u2018",
    "$(reboot)",
    "`reboot`",
    "$env:PATH",
    "%SystemRoot%",
    "back\\slash",
    "\\",
    '\\"',
    "a;b#c{d}e",
    " blank ",
    "<string>&amp;</string>",
    "{{ root }}",
    "jürgen",
)
NAMES = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=30),
)
PRINTABLE = NAMES.filter(lambda value: visible(value) == value)
QUIET = settings(max_examples=150, deadline=None)


@QUIET
@given(PRINTABLE)
def test_openvpn_reads_the_value_back(value: str) -> None:
    """The rules of openvpn(8): in double quotes a backslash takes the next character as it is."""
    quoted = quoting.openvpn(value)
    assert quoted[0] == quoted[-1] == '"'
    assert re.fullmatch(r'(?:[^"\\]|\\.)*', quoted[1:-1])
    assert re.sub(r"\\(.)", r"\1", quoted[1:-1]) == value


@QUIET
@given(PRINTABLE)
def test_powershell_reads_the_value_back(value: str) -> None:
    """In single quotes nothing expands; any of five quotes, doubled, is one, all else ends it."""
    quoted = quoting.powershell(value)
    marks = "'\u2018\u2019\u201a\u201b"
    inside = quoted[1:-1]
    assert re.fullmatch(f"(?:[^{marks}]|([{marks}])\\1)*", inside)
    assert re.sub(f"([{marks}])\\1", r"\1", inside) == value


@QUIET
@given(PRINTABLE)
def test_a_shell_word_is_one_word(value: str) -> None:
    assert shlex.split(quoting.shell(value)) == [value]


@pytest.mark.parametrize("value", HOSTILE)
def test_sh_itself_prints_the_value(value: str) -> None:
    script = f"printf %s {quoting.shell(value)}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=True, timeout=10)
    assert done.stdout.decode() == value


@QUIET
@given(PRINTABLE)
def test_an_inf_reader_reads_the_value_back(value: str) -> None:
    faults = Faults("x.inf")
    octets = f"[NewRequest]\r\nSubject = {quoting.inf(value)}\r\n".encode("utf-16")
    (section,) = read_inf(octets, faults)
    faults.settle()
    assert [entry.value for entry in section.entries] == [value]


@QUIET
@given(PRINTABLE)
def test_swanctl_reads_the_value_back(value: str) -> None:
    quoted = quoting.swanctl(value)
    assert re.fullmatch(r'"(?:[^"\\]|\\["\\])*"', quoted)
    assert re.sub(r"\\(.)", r"\1", quoted[1:-1]) == value


@QUIET
@given(PRINTABLE)
def test_wpa_supplicant_gets_plain_text_or_hexadecimal(value: str) -> None:
    quoted = quoting.wpa(value)
    if quoted.startswith('"'):
        assert quoted == f'"{value}"'
        assert '"' not in value
    else:
        assert bytes.fromhex(quoted).decode() == value


@QUIET
@given(PRINTABLE)
def test_a_keyfile_reads_the_value_back(value: str) -> None:
    escaped = quoting.keyfile(value)
    assert escaped == escaped.strip()
    assert re.sub(r"\\(.)", lambda m: " " if m[1] == "s" else m[1], escaped) == value


FILTERS = [name for name in quoting.FILTERS if name not in ("text", "certificate", "words")]


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("value", ["a\nb", "a\r\nb", "a\0b", "a\u2028b", "a\u202eb", "a\x1b[2Jb"])
def test_no_value_begins_a_line_or_hides(name: str, value: str) -> None:
    try:
        quoted = str(quoting.FILTERS[name](value))  # type: ignore[operator]
    except KitRefused:
        return
    assert name in ("section", "octet_list")
    assert re.fullmatch(r"[A-Za-z0-9_;-]+", quoted)


def test_a_comment_shows_what_cannot_be_seen() -> None:
    assert quoting.text("a\nremote evil 1194") == "a\\x0aremote evil 1194"


@QUIET
@given(st.text(max_size=80))
def test_a_file_stem_is_a_name_on_every_system(name: str) -> None:
    stem = quoting.file_stem(name)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,70}", stem)
    assert not stem.endswith(".")
    assert stem.partition(".")[0].lower() not in {"con", "prn", "aux", "nul", "com1", "lpt9"}
    assert quoting.file_stem(stem) == stem


# ---------------------------------------------------------------- templates


def test_a_value_that_nothing_quoted_stops_the_rendering() -> None:
    from ca.kits.rendering import _environment

    template = _environment().from_string("{{ name }}")
    with pytest.raises(Unquoted):
        template.render(name="laptop")
    assert _environment().from_string("{{ name|text }}{{ 7 }}").render(name="laptop") == "laptop7"


def templates() -> list[str]:
    place = resource("templates") / "kits"
    return sorted(path.relative_to(place).as_posix() for path in place.rglob("*.j2"))


@pytest.mark.parametrize("template", templates())
def test_every_expression_of_a_template_ends_in_a_filter(template: str) -> None:
    """Also in branches that no test happens to take."""
    source = (resource("templates") / "kits" / template).read_text()
    for expression in re.findall(r"\{\{(.*?)\}\}", source):
        last = expression.strip().rpartition("|")[2].partition("(")[0]
        assert last in quoting.FILTERS or expression.strip() in ("port", "bits"), expression


@pytest.mark.parametrize("template", templates())
def test_every_template_is_in_use(template: str) -> None:
    """None is left over that nobody would see break."""
    name = template.removesuffix(".j2")
    sources = "".join(path.read_text() for path in Path("ca/kits").glob("*.py"))
    by_kind = name.endswith("README.txt")
    shared = "".join((resource("templates") / "kits" / one).read_text() for one in templates())
    used = by_kind or f'"{name}"' in sources or f'"{template}"' in shared
    assert used or name.startswith("trust/")


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("kind", ["openvpn-file", "strongswan-linux", "wifi", "android-strongswan"])
def test_a_kit_of_a_hostile_name_has_the_lines_of_a_harmless_one(kind: str, name: str) -> None:
    harmless, hostile = made(kind, name="laptop"), made(kind, name=name)
    assert len(harmless.files) == len(hostile.files)
    for one, other in zip(harmless.files[1:], hostile.files[1:], strict=True):
        assert one.octets.count(b"\n") == other.octets.count(b"\n")
        assert "/" not in Path(other.name).name
        assert ".." not in other.name


@pytest.mark.parametrize("name", [*HOSTILE, "a/b", "CN=x,O=y", "x" * 65, "-laptop"])
@pytest.mark.parametrize("kind", ["openvpn-windows-tpm", "openvpn-linux-tpm", "windows-ikev2"])
def test_a_script_makes_no_request_for_a_hostile_name(kind: str, name: str) -> None:
    with pytest.raises(KitRefused, match="cannot be the name in a request"):
        made(kind, name=name)


def test_warnings_are_on_the_page() -> None:
    kind, more = VARIANTS["two-servers"]
    assert "WARNING: this is what a warning looks like." in text(made(kind, **more), "README.txt")
    assert facts(kind).warnings == ()


def test_a_template_that_does_not_exist_is_no_kit() -> None:
    from jinja2 import TemplateNotFound

    with pytest.raises(TemplateNotFound):
        render("../profiles/vpn-client.cnf", {})
