"""Extension sections through homeca and through real `openssl x509 -req -extfile`."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from ca.encoding.extensions import Extension
from ca.errors import HomecaError
from ca.profiles.differences import DIFFERENCES
from ca.profiles.openssl_cnf import read_cnf
from ca.profiles.x509v3 import ExtensionContext, ExtensionDirective, build_extensions
from ca.profiles.x509v3_syntax import read_extensions
from tests.profiles.openssl import (
    DEBIAN_12,
    DEBIAN_13,
    RELEASES,
    OpenSSL,
    Snippet,
    snippets,
)

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
    if set(ours) == set(theirs) and len(ours) == len(theirs):
        return "moved"
    fewer = [theirs[:n] + theirs[n + 1 :] for n in range(len(theirs))]
    return "leaner" if ours in fewer else "different"


@pytest.mark.parametrize(("file", "count"), [("manual.txt", 38), ("snippets.txt", 324)])
def test_a_section_becomes_the_extensions_openssl_makes_of_it(
    file: str, count: int, openssl: OpenSSL, capsys: pytest.CaptureFixture[str]
) -> None:
    every = list(snippets(file))
    contexts = {issuer: openssl.context(issuer) for issuer in ("ca", "bare", "self")}
    release = openssl.release
    wrong = []
    for snippet in every:
        ours = homeca(snippet, contexts[snippet.issuer])
        theirs = openssl.certify(snippet.text, issuer=snippet.issuer)
        verdict, found = snippet.at(release), verdict_of(ours, theirs)
        if found != verdict.word:
            wrong.append((snippet.id, verdict, found, ours, theirs))
    with capsys.disabled():
        print(f"\n{file}: {len(every)} sections compared with OpenSSL {release[0]}.{release[1]}")
    assert wrong == []
    assert len({snippet.id for snippet in every}) == count


def test_the_comparison_sees_one_octet_one_flag_and_one_place(openssl: OpenSSL) -> None:
    theirs = openssl.certify("[ext]\nbasicConstraints = critical, CA:FALSE\nkeyUsage = cRLSign\n")
    assert theirs is not None
    first, second, *rest = theirs
    assert verdict_of(theirs, theirs) == "same"
    assert verdict_of((replace(first, value=b"\x30\x01"), second, *rest), theirs) == "different"
    assert verdict_of((replace(first, critical=False), second, *rest), theirs) == "different"
    assert verdict_of((second, first, *rest), theirs) == "moved"
    assert verdict_of((second, first, *rest[1:]), theirs) == "different"
    assert verdict_of(theirs, None) == "laxer"


def shown_at(release: tuple[int, int]) -> set[str]:
    """Rules of which a snippet is evidence with this release."""
    verdicts = [snippet.at(release) for snippet in snippets("snippets.txt")]
    return {v.rule for v in verdicts if v.word in ("stricter", "leaner", "moved")}


def test_every_deliberate_difference_has_a_snippet_that_shows_it() -> None:
    assert shown_at(DEBIAN_12) | shown_at(DEBIAN_13) == {*DIFFERENCES, "cnf"}


@pytest.mark.parametrize("release", RELEASES)
def test_a_difference_from_one_release_only_names_it(release: tuple[int, int]) -> None:
    for rule in shown_at(release) - {"cnf"}:
        why, _ = DIFFERENCES[rule]
        everywhere = all(rule in shown_at(other) for other in RELEASES)
        assert everywhere == ("OpenSSL 3." not in why)
        assert everywhere or f"OpenSSL {release[0]}.{release[1]} " in why


def test_a_later_verdict_is_one_that_differs_and_of_a_release_that_is_told() -> None:
    changed = [s for s in snippets("snippets.txt") if len(s.verdicts) > 1]
    assert len(changed) == 6
    for snippet in changed:
        assert snippet.at(DEBIAN_12) != snippet.at(DEBIAN_13)
        assert [verdict.since for verdict in snippet.verdicts] == list(RELEASES)
    assert all(len(s.verdicts) == 1 for s in snippets("manual.txt"))
