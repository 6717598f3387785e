"""Folders of instruments, formats, mixtures and shelves are told from songs by their names."""

from pathlib import Path

import pytest
from trees import sound

from instructme.dataset_tools.layouts import _folder_names as folder_names


@pytest.mark.parametrize(
    ("name", "inside", "is_part"),
    [
        ("Guitars", ["left", "right"], True),
        ("01 Drums", ["kick", "snare"], True),
        ("Drums & Perc", ["kick"], True),
        ("Piano Man", ["bass", "drums"], False),
        ("Guitar", ["bass", "vocals"], False),
        ("FX", ["whoosh"], True),
    ],
)
def test_a_folder_of_one_instrument_holds_no_band(tmp_path: Path, name: str, inside: list[str], is_part: bool) -> None:
    for each in inside:
        sound(tmp_path / name / f"{each}.wav")
    assert folder_names.is_part(tmp_path / name) is is_part


@pytest.mark.parametrize(
    ("name", "inside", "mixes"),
    [
        ("mixes", ["Alpha", "Beta"], True),
        ("Masters", ["Alpha_24bit"], True),
        ("Mix", ["bass", "drums"], False),
        ("Alpha", ["x"], False),
    ],
)
def test_a_folder_of_mixtures_names_no_instrument(tmp_path: Path, name: str, inside: list[str], mixes: bool) -> None:
    for each in inside:
        sound(tmp_path / name / f"{each}.wav")
    assert folder_names.holds_mixes(tmp_path / name) is mixes


@pytest.mark.parametrize("name", ["Stems", "WAV", "24bit", "44.1kHz", "48k", "Bounces 2021", "flac"])
def test_names_of_formats_say_nothing_about_the_song(name: str) -> None:
    assert folder_names.is_inner(name)
    assert not folder_names.is_inner(f"My {name} Song")


def test_a_collection_has_the_same_songs_in_several_folders(tmp_path: Path) -> None:
    for place in ("bass/Alpha", "bass/Beta", "drums/Alpha", "drums/Beta"):
        sound(tmp_path / f"{place}.wav")
    assert folder_names.holds_collection([tmp_path / "bass", tmp_path / "drums"])
    assert not folder_names.holds_collection([tmp_path / "bass"])
