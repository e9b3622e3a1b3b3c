"""Extension sections through homeca and through real `openssl x509 -req -extfile`."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from ca.encoding.extensions import Extension, key_identifier
from ca.errors import HomecaError
from ca.names import DistinguishedName
from ca.profiles.openssl_cnf import read_cnf
from ca.profiles.x509v3 import ExtensionContext, ExtensionDirective, build_extensions
from ca.profiles.x509v3_syntax import DIFFERENCES, read_extensions
from tests.profiles.openssl import OpenSSL, Snippet, extensions_of, snippets

SUBJECT = DistinguishedName.of(("O", "Home"), ("CN", "leaf"), ("emailAddress", "me@home.arpa"))
ISSUER = DistinguishedName.of(("O", "Home"), ("CN", "Issuer"))


@dataclass(frozen=True)
class Section:
    """Directives without a profile around them."""

    extensions: tuple[ExtensionDirective, ...]
    copies_extensions: bool = False


@pytest.fixture(scope="module")
def openssl(tmp_path_factory: pytest.TempPathFactory) -> OpenSSL:
    world = OpenSSL(tmp_path_factory.mktemp("openssl"))
    world.make_world()
    return world


def contexts(openssl: OpenSSL) -> dict[str, ExtensionContext]:
    """What `openssl` knows when it signs with `ca`, with `bare`, or with the subject's key."""
    from ca.encoding.dn import encode_name

    leaf, ca = openssl.spki("leaf"), openssl.spki("ca")
    names = {e.oid: e.value for e in extensions_of(openssl.der("ca"))}["2.5.29.17"]

    def context(issuer: str) -> ExtensionContext:
        own = issuer == "self"
        return ExtensionContext(
            subject_spki=leaf,
            issuer_spki=leaf if own else ca,
            issuer_ski={"ca": key_identifier(ca), "self": key_identifier(leaf)}.get(issuer),
            issuer_name_der=encode_name(ISSUER),
            issuer_serial=0x70AABBCCDD,
            self_signed=own,
            subject=SUBJECT,
            issuer_alt_names=names if issuer == "ca" else None,
        )

    return {issuer: context(issuer) for issuer in ("ca", "bare", "self")}


def homeca(snippet: Snippet, context: ExtensionContext) -> tuple[Extension, ...] | None:
    """What homeca makes of the section; None when it refuses."""
    cnf = read_cnf(snippet.text, source=snippet.id)
    if "ext" not in cnf.sections:
        return None
    extensions = read_extensions(cnf, "ext")
    if cnf.faults:
        return None
    try:
        return build_extensions(Section(extensions), context)
    except HomecaError:
        return None


def verdict_of(
    snippet: Snippet, ours: tuple[Extension, ...] | None, theirs: tuple[Extension, ...] | None
) -> str:
    if ours is None:
        return "refused" if theirs is None else "stricter"
    if theirs is None:
        return "laxer"
    if ours == theirs:
        return "same"
    fewer = [theirs[:n] + theirs[n + 1 :] for n in range(len(theirs))]
    return "leaner" if ours in fewer else "different"


@pytest.mark.parametrize(("file", "least"), [("manual.txt", 38), ("snippets.txt", 250)])
def test_a_section_becomes_the_extensions_openssl_makes_of_it(
    file: str, least: int, openssl: OpenSSL, capsys: pytest.CaptureFixture[str]
) -> None:
    every = list(snippets(file))
    assert len({s.id for s in every}) == len(every)
    known = contexts(openssl)
    wrong = []
    for snippet in every:
        ours = homeca(snippet, known[snippet.issuer])
        theirs = openssl.certify(snippet.text, issuer=snippet.issuer)
        verdict = verdict_of(snippet, ours, theirs)
        if verdict != snippet.verdict:
            wrong.append((snippet.id, snippet.verdict, verdict, ours, theirs))
    with capsys.disabled():
        print(f"\n{file}: {len(every)} sections compared with openssl")
    assert wrong == []
    assert len(every) >= least


def test_every_deliberate_difference_has_a_snippet_that_shows_it() -> None:
    shown = {s.rule for s in snippets("snippets.txt") if s.rule}
    assert shown == set(DIFFERENCES)
