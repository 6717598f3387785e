"""Names and paths stay harmless whatever they are made from."""

import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructme.manifests.paths import inside, slug
from instructme.manifests.rows import DataError


@given(st.text(), st.integers(10, 80))
def test_slugs_are_safe_and_bounded(text: str, longest: int) -> None:
    assert re.fullmatch(r"[a-z0-9_-]+", slug(text, longest))
    assert len(slug(text, longest)) <= longest


@given(st.text(st.characters()), st.integers(10, 80))
def test_slug_is_idempotent_for_any_text_that_a_disk_or_json_may_hold(text: str, longest: int) -> None:
    assert slug(slug(text, longest), longest) == slug(text, longest)
    assert slug(text, longest) == slug(slug(text, longest), 80)


def test_long_names_stay_apart() -> None:
    assert slug("x" * 300) != slug("x" * 301)


@pytest.mark.parametrize("path", ["../secret", "a/../../secret", "/etc/passwd"])
def test_paths_may_not_leave_their_folder(tmp_path: Path, path: str) -> None:
    with pytest.raises(DataError, match="leaves its folder"):
        inside(tmp_path, path)


def test_links_may_not_leave_their_folder(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc")
    with pytest.raises(DataError, match="leaves its folder"):
        inside(tmp_path, "link/passwd")
    assert inside(tmp_path, "stems/S00.flac") == tmp_path / "stems/S00.flac"


def test_loops_of_links_and_what_is_no_path_are_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in ("loop/x", "a\0b"):
        with pytest.raises(DataError, match="leaves its folder"):
            inside(tmp_path, path)


def test_slugs_of_one_name_in_two_encodings_are_one() -> None:
    assert slug(unicodedata.normalize("NFD", "\uace1\uba85")) == slug("\uace1\uba85") != slug("\uace1")
