"""The request parser on hostile input: bounded, silent about secrets, never surprised."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ca.encoding.containers import read_request
from ca.encoding.requests import Request, parse_request
from ca.errors import HomecaError, RequestMalformed, RequestRefused
from ca.names.general import DNSName, IPName
from ca.names.showing import visible
from tests.policy.worlds import ANY, judge
from tests.vectors.requests import octets as o
from tests.vectors.requests.build import (
    GOOD,
    HASH,
    HOST,
    asked,
    attribute,
    dns,
    extension,
    name,
    pss_algorithm,
    pss_request,
    request,
    san,
)

PLAIN = request(parts=[GOOD])


def _texts(found: Request) -> list[str]:
    return [
        *found.notes,
        *(v.text + v.remedy for v in found.violations),
        *(e.name + e.shown for e in found.extensions),
        *(a.name + a.shown for a in found.attributes),
        *(str(n) for n in found.names),
    ]


def _is_harmless(text: str) -> bool:
    return all(visible(character) == character for character in text)


# ---------------------------------------------------------------- what it says


def test_a_request_is_reported_whole() -> None:
    found = parse_request(PLAIN)
    assert str(found.subject) == "CN=nas.home.arpa"
    assert found.names == (DNSName("nas.home.arpa"),)
    assert found.spki is not None
    assert (found.spki.kind_name, found.signature_oid) == ("ec-p256", "1.2.840.10045.4.3.2")
    assert (found.violations, found.notes, found.extensions) == ((), (), ())
    assert found.der == PLAIN


def test_a_pss_hash_that_nobody_knows_is_a_fault_of_the_request() -> None:
    known, sha3 = o.oid(HASH["sha256"]), o.oid("2.16.840.1.101.3.4.2.8")
    algorithm = pss_algorithm("sha256", 32).replace(known, sha3)
    found = parse_request(pss_request("rsa-2048", "sha256", 32, algorithm=algorithm))
    (fault,) = found.violations
    assert fault.rule == "signature.malformed"
    assert "2.16.840.1.101.3.4.2.8" in fault.text


def test_a_windows_request_shows_its_hints() -> None:
    path = Path(__file__).parents[1] / "vectors/requests/real"
    octets = (path / "windows-11-certreq-platform-provider-p384.csr").read_bytes()
    found = parse_request(read_request(octets))
    assert {a.name: a.shown for a in found.attributes} == {
        "OS version": "10.0.22621.2",
        "client info": "machine 8038FBF2B4A8.dc.nuvotex.de, user 8038FBF2B4A8\\mrgoodcat, "
        "process certreq.exe",
        "enrolment CSP": "Microsoft Platform Crypto Provider",
    }
    assert [e.name for e in found.extensions] == ["subjectKeyIdentifier"]


def test_a_challenge_password_is_shown_as_present_and_its_value_nowhere_but_in_the_octets() -> None:
    secret = "correct horse battery staple"
    part = o.seq(o.oid("1.2.840.113549.1.9.7"), o.set_(o.utf8(secret)))
    found = parse_request(request(parts=[part, GOOD]))
    assert [(a.name, a.shown) for a in found.attributes] == [("challengePassword", "present")]
    everything = [repr(value) for field, value in _fields(found) if field != "der"]
    assert not any("horse" in text for text in everything)


def _fields(found: Request) -> list[tuple[str, object]]:
    return [(field, getattr(found, field)) for field in Request.__struct_fields__]


def test_an_unknown_attribute_is_shown_by_its_oid_only() -> None:
    part = o.seq(o.oid("1.2.3.4"), o.set_(o.utf8("payload")))
    found = parse_request(request(parts=[part]))
    assert [(a.name, a.shown) for a in found.attributes] == [("1.2.3.4", "")]


def test_all_faults_are_reported_at_once() -> None:
    der = request(
        name(("O", "a\0b"), ("CN", "nas")),
        [asked(san(dns("a b"), dns("*")), extension("2.5.29.19", o.seq(o.TRUE)))],
        key="rsa-1024",
        digest="sha1",
        version=o.integer(1),
    )
    with pytest.raises(RequestRefused) as refused:
        judge(der)
    assert {v.rule for v in refused.value.violations} >= {
        "request.version",
        "subject.illegal",
        "key.rsa-too-small",
        "request.ca-true",
        "san.illegal",
        "signature.broken-algorithm",
    }
    assert all(v.remedy for v in refused.value.violations)


# ---------------------------------------------------------------- hostile octets


@given(st.binary(max_size=600))
def test_arbitrary_octets_are_malformed_requests(octets: bytes) -> None:
    with pytest.raises(RequestMalformed):
        parse_request(octets)


@given(st.data())
def test_a_changed_request_is_refused_or_malformed_and_never_granted(draw: st.DataObject) -> None:
    octets = bytearray(PLAIN)
    for _ in range(draw.draw(st.integers(1, 3))):
        octets[draw.draw(st.integers(0, len(octets) - 1))] ^= draw.draw(st.integers(1, 255))
    if bytes(octets) == PLAIN:
        return
    with pytest.raises((RequestMalformed, RequestRefused)):
        judge(parse_request(bytes(octets)))


DER_TREES = st.recursive(
    st.one_of(
        st.tuples(
            st.sampled_from([0x0C, 0x13, 0x16, 0x1E, 0x1C, 0x14, 0x04, 0x80, 0x82, 0x87]),
            st.binary(max_size=20),
        ).map(lambda pair: o.tlv(*pair)),
        st.integers(-5, 2**40).map(o.integer),
        st.sampled_from(["1.2.840.113549.1.9.14", "2.5.29.17", "2.5.29.19", "2.5.4.3",
                         "1.3.6.1.4.1.311.21.20", "1.2.3"]).map(o.oid),
        st.sampled_from([o.NULL, o.TRUE, o.FALSE]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda parts: o.seq(*parts)),
        st.lists(inner, max_size=4).map(lambda parts: o.set_(*parts)),
        st.lists(inner, max_size=2).map(lambda parts: o.context(0, b"".join(parts))),
    ),
    max_leaves=10,
)  # fmt: skip


@given(
    DER_TREES, st.sampled_from(["subject", "attributes", "extension", "san", "spki", "algorithm"])
)
def test_any_der_in_any_place_raises_nothing_but_homecas_errors(octets: bytes, place: str) -> None:
    der = {
        "subject": lambda: request(o.seq(octets), [GOOD]),
        "attributes": lambda: request(attribute_field=o.context(0, octets)),
        "extension": lambda: request(parts=[asked(octets)]),
        "san": lambda: request(parts=[asked(extension("2.5.29.17", octets))]),
        "spki": lambda: request(parts=[GOOD], public=octets),
        "algorithm": lambda: request(parts=[GOOD], algorithm=octets),
    }[place]()
    try:
        found = parse_request(der)
        assert all(map(_is_harmless, _texts(found))), _texts(found)
        judge(found)
    except HomecaError as error:
        assert _is_harmless(error.problem + error.remedy)  # noqa: PT017 - some are granted


@given(st.text(min_size=1, max_size=64), st.text(max_size=80))
def test_no_text_of_a_request_reaches_a_message_unescaped(subject: str, host: str) -> None:
    part = o.seq(o.oid("1.2.840.113549.1.9.2"), o.set_(o.utf8(subject)))
    der = request(name(("CN", subject)), [part, asked(san(dns(host)))])
    found = parse_request(der)
    assert all(map(_is_harmless, _texts(found))), _texts(found)
    try:
        grant = judge(found)
        said = [*grant.warnings, *(n.what + n.value + n.why for n in grant.not_granted)]
    except RequestRefused as error:
        said = [v.text + v.remedy for v in error.violations]
    assert all(map(_is_harmless, said)), said


@pytest.mark.parametrize("bad", range(20))
def test_a_bad_name_is_found_at_every_position(bad: int) -> None:
    names = [dns(f"h{i}.lan") for i in range(20)]
    names[bad] = dns("www.example.com")
    with pytest.raises(RequestRefused) as refused:
        judge(request(parts=[asked(san(*names))]))
    assert [v.rule for v in refused.value.violations] == ["name.not-permitted"]
    assert "www.example.com" in refused.value.violations[0].text


# ---------------------------------------------------------------- cost


def _worst() -> dict[str, bytes]:
    """Shapes that have cost other parsers minutes or gigabytes, each near 64 KiB."""
    deep = b""
    for _ in range(16000):
        deep = o.seq(deep)
    value = o.seq(o.oid("1.2.3"), o.set_(deep))
    return {
        "deep nesting": request(attribute_field=o.context(0, value)),
        "one huge OID": request(
            attribute_field=o.context(
                0, o.seq(o.tlv(6, b"\x2a" + b"\xff" * 60000 + b"\x7f"), o.set_())
            )
        ),
        "many names": request(parts=[asked(san(*(dns(f"h{i}") for i in range(9000))))]),
        "many bad names": request(parts=[asked(san(*(dns("*") for _ in range(18000))))]),
        "one long name": request(parts=[asked(san(dns("a." * 31000)))]),
        "one long label": request(parts=[asked(san(dns("xn--" + "9" * 60000 + ".lan")))]),
        "a long UPN": request(
            parts=[
                asked(
                    san(
                        o.context(
                            0,
                            o.oid("1.3.6.1.4.1.311.20.2.3")
                            + o.context(0, o.utf8("ö" * 14000 + "@" + "ö." * 8000)),
                        )
                    )
                )
            ]
        ),
        "many RDNs": request(o.seq(*(o.set_(attribute("OU", o.utf8("x"))) for _ in range(4500)))),
        "one fat RDN": request(
            o.seq(o.set_(*(attribute("OU", o.utf8(f"{i}")) for i in range(3500))))
        ),
        "a long value": request(name(("CN", "\x1b" * 60000))),
        "a long address": request(name(("email", o.ia5("a." * 30000 + "@lan")))),
        "many attributes": request(parts=[o.seq(o.oid(f"1.2.{i}"), o.set_()) for i in range(5000)]),
        "many extensions": request(
            parts=[asked(HOST, *(extension(f"1.2.{i}", b"") for i in range(4000)))]
        ),
        "an RSA key of 60000 octets": request(
            parts=[GOOD],
            public=o.seq(
                o.seq(o.oid("1.2.840.113549.1.1.1"), o.NULL),
                o.bit_string(o.seq(o.integer((1 << 480000) + 1), o.integer(3))),
            ),
        ),
        "an RSA key of 8192 bits": request(key="rsa-8192", parts=[GOOD]),
        "a huge version": request(version=o.integer(1 << 500000)),
        "a huge signature": request(signature=b"\x30" * 60000),
        "many tiny elements": request(
            attribute_field=o.context(0, o.seq(o.oid("1.2.3"), o.set_(*[o.NULL] * 31000)))
        ),
        "many empty sets": request(o.seq(*[b"\x31\x00"] * 31000)),
    }


CHILD = """
    import re, sys, time
    from pathlib import Path
    from ca.encoding.containers import pem, read_request
    from ca.encoding.requests import parse_request
    from ca.errors import HomecaError
    octets = sys.stdin.buffer.read()
    started = time.process_time()
    try:
        parse_request(read_request(octets))
    except HomecaError:
        pass
    spent = time.process_time() - started
    # not ru_maxrss: Linux counts the parent's peak at exec as the child's
    print(spent, re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.parametrize(("shape", "der"), _worst().items(), ids=_worst())
def test_the_worst_shapes_cost_less_than_two_seconds_and_200_megabytes(
    shape: str, der: bytes
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CHILD)],
        input=der,
        capture_output=True,
        check=True,
        cwd=Path(__file__).parents[2],
        timeout=60,
    )
    seconds, kilobytes = map(float, done.stdout.split())
    assert len(der) <= 80000, shape
    assert seconds < 2, (shape, seconds)
    assert kilobytes < 200_000, (shape, kilobytes)


def test_the_violations_of_one_request_are_bounded() -> None:
    der = request(parts=[asked(san(*(dns("*") for _ in range(18000))))])
    assert len(parse_request(der).violations) < 150
    json.dumps([v.text for v in parse_request(der).violations])


def test_an_address_is_read_from_its_octets() -> None:
    der = request(parts=[asked(san(o.context(7, bytes([10, 0, 0, 1]), constructed=False)))])
    assert parse_request(der).names == (IPName.parse("10.0.0.1"),)
    assert ANY.name == "any"
