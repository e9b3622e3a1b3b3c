"""Where profiles come from."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ca.errors import ConfigurationError, NotFound, ProfileMalformed
from ca.profiles.library import Library

TEXT = "# a profile\n"


def library(tmp_path: Path, *files: str) -> Library:
    for name in files:
        (tmp_path / name).write_text(TEXT)
    return Library(tmp_path)


def test_files_of_both_forms_are_profiles_under_their_names(tmp_path: Path) -> None:
    (tmp_path / "README").write_text("not a profile")
    (tmp_path / ".hidden.cnf").write_text("not a profile")
    own = library(tmp_path, "phone.cnf", "my.tv.cnf.j2")
    assert own.names()[-2:] == ("my.tv", "phone")
    template = own.template("phone")
    assert (template.text, template.source) == (TEXT, str(tmp_path / "phone.cnf"))
    assert template.sha256 == hashlib.sha256(TEXT.encode()).digest()


def test_a_directory_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert Library(tmp_path / "nowhere").names() == Library().names()


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(NotFound, match="did you mean 'vpn-client'"):
        Library().template("vpn-clent")


@pytest.mark.parametrize("file", ["vpn-client.cnf", "root-ca.cnf.j2"])
def test_a_built_in_profile_is_never_replaced(tmp_path: Path, file: str) -> None:
    own = library(tmp_path, file)
    with pytest.raises(ProfileMalformed, match="ships with homeca") as caught:
        own.template("tls-server")
    assert "my-" in caught.value.remedy
    with pytest.raises(ProfileMalformed):
        own.names()


@pytest.mark.parametrize(
    ("files", "said"),
    [(("a.cnf", "a.cnf.j2"), "same name"), (("a b.cnf",), "none for a profile")],
)
def test_a_file_that_cannot_be_a_profile_is_named(
    tmp_path: Path, files: tuple[str, ...], said: str
) -> None:
    with pytest.raises(ProfileMalformed, match=said):
        library(tmp_path, *files).names()


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.cnf").write_bytes(b"\xff\xfe[\x00")
    with pytest.raises(ProfileMalformed, match="not UTF-8"):
        Library(tmp_path).template("x")


def test_a_file_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    (tmp_path / "x.cnf").symlink_to(tmp_path / "gone")
    with pytest.raises(ConfigurationError, match="No such file"):
        Library(tmp_path).template("x")


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "", ".", "vpn-client.cnf"])
def test_a_name_is_never_a_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFound):
        Library(tmp_path).template(name)
