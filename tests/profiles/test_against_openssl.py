"""Extension sections through homeca and through real `openssl x509 -req -extfile`."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from ca.encoding.extensions import Extension
from ca.errors import HomecaError
from ca.profiles.differences import DIFFERENCES
from ca.profiles.openssl_cnf import read_cnf
from ca.profiles.x509v3 import ExtensionContext, ExtensionDirective, build_extensions
from ca.profiles.x509v3_syntax import read_extensions
from tests.profiles.openssl import OpenSSL, Snippet, snippets

Made = tuple[Extension, ...] | None


@dataclass(frozen=True)
class Section:
    """Directives without a profile around them."""

    extensions: tuple[ExtensionDirective, ...]
    copies_extensions: bool = False


def homeca(snippet: Snippet, context: ExtensionContext) -> Made:
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


def verdict_of(ours: Made, theirs: Made) -> str:
    if ours is None:
        return "refused" if theirs is None else "stricter"
    if theirs is None:
        return "laxer"
    if ours == theirs:
        return "same"
    fewer = [theirs[:n] + theirs[n + 1 :] for n in range(len(theirs))]
    return "leaner" if ours in fewer else "different"


@pytest.mark.parametrize(("file", "count"), [("manual.txt", 38), ("snippets.txt", 324)])
def test_a_section_becomes_the_extensions_openssl_makes_of_it(
    file: str, count: int, openssl: OpenSSL, capsys: pytest.CaptureFixture[str]
) -> None:
    every = list(snippets(file))
    contexts = {issuer: openssl.context(issuer) for issuer in ("ca", "bare", "self")}
    wrong = []
    for snippet in every:
        ours = homeca(snippet, contexts[snippet.issuer])
        theirs = openssl.certify(snippet.text, issuer=snippet.issuer)
        if verdict_of(ours, theirs) != snippet.verdict:
            wrong.append((snippet.id, snippet.verdict, verdict_of(ours, theirs), ours, theirs))
    with capsys.disabled():
        print(f"\n{file}: {len(every)} sections compared with openssl")
    assert wrong == []
    assert len({snippet.id for snippet in every}) == count


def test_the_comparison_sees_one_octet_one_flag_and_one_place(openssl: OpenSSL) -> None:
    theirs = openssl.certify("[ext]\nbasicConstraints = critical, CA:FALSE\nkeyUsage = cRLSign\n")
    assert theirs is not None
    first, second, *rest = theirs
    assert verdict_of(theirs, theirs) == "same"
    assert verdict_of((replace(first, value=b"\x30\x01"), second, *rest), theirs) == "different"
    assert verdict_of((replace(first, critical=False), second, *rest), theirs) == "different"
    assert verdict_of((second, first, *rest), theirs) == "different"
    assert verdict_of(theirs, None) == "laxer"


def test_every_deliberate_difference_has_a_snippet_that_shows_it() -> None:
    shown = {s.rule for s in snippets("snippets.txt") if s.verdict in ("stricter", "leaner")}
    assert shown == {*DIFFERENCES, "cnf"}
