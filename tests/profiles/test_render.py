"""Templates: what they may say, what stops them, and where their lines end up."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ca.errors import ConfigurationError, ProfileMalformed
from ca.profiles.library import template_of
from ca.profiles.render import MAX_TEMPLATE, ProfileTemplate, RenderContext, render


def template(text: str) -> ProfileTemplate:
    return template_of(text, name="mine", source="mine.cnf.j2")


def rendered(text: str, **context: object) -> str:
    return render(template(text), RenderContext(**context))  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize(
    ("text", "context", "said"),
    [
        ("{{ key }}", {"key": "rsa"}, "rsa"),
        ("{% if names %}yes{% else %}no{% endif %}", {}, "no"),
        ("{% if 'dns' in names and not subject %}y{% endif %}", {"names": frozenset({"dns"})}, ""),
        ("{{ 'a' if subject else 'b' }}", {"subject": False}, "b"),
        ("{{ 1 if pathlen is none else pathlen }}", {"pathlen": 0}, "0"),
        ('{{ permitted_dns | join(",") }}', {"permitted_dns": ("a.lan", "b.lan")}, "a.lan,b.lan"),
        (
            '{{ permitted_ip | join(" ") }}',
            {"permitted_ip": ("10.0.0.0/8", "fd00::/8")},
            "10.0.0.0/255.0.0.0 fd00::/ff00::",
        ),
        ("{# nothing #}{{ crl_url }}", {"crl_url": "http://a/b?c&d=%20"}, "http://a/b?c&d=%20"),
    ],
)
def test_a_template_decides_by_its_facts(text: str, context: dict[str, object], said: str) -> None:
    assert rendered(text, **context) == said


@pytest.mark.parametrize(
    "text",
    [
        "{% for x in permitted_dns %}{{ x }}{% endfor %}",
        "{% for x in range(10**9) %}{% for y in range(10**9) %}x{% endfor %}{% endfor %}",
        "{{ 'a' * 10**9 }}",
        "{{ 10 ** 10 ** 10 }}",
        "{{ 'a' ~ 'b' }}",
        "{{ 'a' + 'b' }}",
        "{% set x = 'aaaa' %}{{ x }}",
        "{% set x %}a{% endset %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% include 'other' %}",
        "{% import 'other' as o %}",
        "{% extends 'other' %}",
        "{% block b %}{% endblock %}",
        "{% filter upper %}x{% endfilter %}",
        "{% with a = 1 %}{{ a }}{% endwith %}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ key.upper() }}",
        "{{ key['upper'] }}",
        "{{ key[0:1] }}",
        "{{ self }}",
        "{{ lipsum() }}",
        "{{ cycler }}",
        "{{ namespace(a=1) }}",
        "{{ key | upper }}",
        "{{ key | attr('upper') }}",
        "{{ key | join('x') }}",
        "{{ ('a' | join('b')) | join('c') }}",
        "{{ permitted_dns | join('" + "x" * 65 + "') }}",
        "{{ permitted_dns | join(permitted_dns | join(',')) }}",
        "{{ names | map('upper') | join(',') }}",
        "{{ key is divisibleby 3 }}",
        "{{ {'a': 1} }}",
        "{{ nothing }}",
        "{{ names.",
        "{% if key %}",
        "{{ " + "(" * 500 + "1" + ")" * 500 + " }}",
        "{{ " + "not " * 2000 + "key }}",
        "{% if key %}" * 200 + "{% endif %}" * 200,
        "{{ " + "9" * 5000 + " }}",
        "{{ key }}\0",
        "{{ key }}" + "x" * MAX_TEMPLATE,
    ],
)
def test_what_could_reach_out_loop_or_grow_is_refused_at_once(text: str) -> None:
    begun = time.monotonic()
    with pytest.raises(ProfileMalformed) as caught:
        rendered(text)
    assert time.monotonic() - begun < 2
    assert caught.value.violations[0].rule == "profile.template"


def test_a_refusal_names_file_and_line() -> None:
    with pytest.raises(ProfileMalformed) as caught:
        rendered("one\ntwo\n{{ crl_ulr }}\n")
    shown = caught.value.violations[0].text
    assert shown.startswith("mine.cnf.j2:3: ")
    assert "did you mean 'crl_url'" in shown


def test_every_line_stays_where_it_was_written() -> None:
    lines = ["a", "{% if key == 'rsa' %}", "b", "c", "{% elif key == 'ec' %}", "d {{ key }}"]
    lines += ["{% endif %}", "{# comment", "goes on #} e", "f{% if key == 'rsa' %}", "g"]
    lines += ["{% endif %}h", "i"]
    out = rendered("\n".join(lines)).split("\n")
    assert len(out) == len(lines)
    for number, kept in ((0, "a"), (5, "d ec"), (8, " e"), (9, "fh"), (12, "i")):
        assert out[number] == kept
    assert {out[n] for n in (1, 2, 3, 4, 6, 7, 10, 11)} == {""}


@pytest.mark.parametrize(
    "url",
    [
        "http://a/ b",
        "http://a/,URI:http://evil/",
        "http://a/\n[ extensions ]\nbasicConstraints = CA:TRUE",
        "http://a/$ENV::HOME",
        "http://a/#x",
        'http://a/"',
        "http://a/\\",
        "http://a/{{ key }}",
        "http://ä/",
        "",
    ],
)
def test_a_value_cannot_leave_its_place(url: str) -> None:
    for field in ("crl_url", "issuer_url", "ocsp_url"):
        with pytest.raises(ConfigurationError):
            RenderContext(**{field: url})  # type: ignore[arg-type]  # by name
    with pytest.raises(ConfigurationError):
        RenderContext(permitted_dns=("lan", url))


def test_a_network_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        rendered("{{ key }}", permitted_ip=("10.0.0.0/8, DNS:evil",))


def test_a_text_without_marks_is_left_alone_and_loads_no_template_engine() -> None:
    program = (
        "import sys\n"
        "from ca.profiles.library import template_of\n"
        "from ca.profiles.parse import parse_profile\n"
        "from ca.profiles.render import RenderContext, render\n"
        "text = '# 100 % {plain} $5\\n'\n"
        "same = render(template_of(text, name='a', source='b'), RenderContext())\n"
        "assert same == text\n"
        "assert not {'jinja2', 'asn1crypto', 'cryptography'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


VOCABULARY = (
    "{{ }} {% %} {# #} if else elif endif for in endfor not and or is none key names subject | "
    "crl_url permitted_dns join ( ) , 'x' \"y\" 1 9 [ ] . __class__ == != \n text set macro raw "
    "endraw ~ * **"
)


@settings(deadline=None)
@given(st.lists(st.sampled_from(VOCABULARY.split(" ")), max_size=40).map(" ".join))
def test_no_template_makes_the_renderer_stumble(text: str) -> None:
    with contextlib.suppress(ProfileMalformed):
        assert len(rendered(text)) <= 40 * len(text) + 40
