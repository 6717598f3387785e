"""Stems whose silence was cut at the start are told; whole exports, and those cut at their ends, are not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from instructme.dataset_tools.layouts import FoundStem, FoundTrack
from instructme.dataset_tools.stems import alignment, headers, parts
from instructme.manifests.rows import Stem, Track

RATE_HZ = 8000
TRACK = Track("set-song", "set", "folder", "song", "song", None, None, "cc0", "train", False, "song", "song", True, *[None] * 4)
PLACES = {"bass": (2.0, 12.0), "drums": (0.0, 11.8), "guitar": (4.1, 12.0)}
"""Where each instrument begins and ends to play, in a song of 12 s."""


def song(root: Path, *, cut_start: bool, cut_end: bool) -> list[Stem]:
    stems = []
    for number, (name, (start_s, end_s)) in enumerate(PLACES.items()):
        wave = 0.0005 * np.random.default_rng(number).standard_normal(12 * RATE_HZ)  # noise of the room
        start, end = round(start_s * RATE_HZ), round(end_s * RATE_HZ)
        wave[start:end] += (
            0.3 * np.sin(np.arange(end - start) * (0.1 + number / 9)) * np.random.default_rng(number).random(end - start)
        )
        wave = wave[start if cut_start else 0 : end if cut_end else None]
        soundfile.write(root / f"{name}.wav", wave, RATE_HZ)
        row = ("set-song", name, f"{name}.wav", name, None, None, name, name, True, False, "name", True, RATE_HZ, 1, len(wave), 1)
        stems.append(Stem(*row, midi_path=None, bleed=None, known_bad=None, flagged_rendered=None))
    return stems


@pytest.mark.parametrize("cut_end", [False, True])
@pytest.mark.parametrize("cut_start", [False, True])
def test_stems_without_their_silence_are_told(cut_start: bool, cut_end: bool, tmp_path: Path) -> None:
    merged, rejects = parts.merge(TRACK, song(tmp_path, cut_start=cut_start, cut_end=cut_end), tmp_path, tmp_path, RATE_HZ)
    assert len(merged) == 3
    assert [(row.item, row.reason) for row in rejects] == ([("song", "trimmed")] if cut_start else [])
    assert all("4.1 s and begin with sound" in row.detail or "3.9 s and" in row.detail for row in rejects)


def test_stems_of_no_song_may_begin_as_they_like(tmp_path: Path) -> None:
    stems = song(tmp_path, cut_start=True, cut_end=False)
    assert not parts.merge(replace(TRACK, aligned=False), stems, tmp_path, tmp_path, RATE_HZ)[1]
    assert alignment.trimmed(stems[::2], tmp_path) is None
    by_whole_seconds = alignment.trimmed(stems[:2], tmp_path)
    assert by_whole_seconds and by_whole_seconds.startswith("its stems differ in length by 2.0 s: if")
    assert alignment.trimmed([replace(stems[1], path="lost.wav"), *stems[::2]], tmp_path) is not None
    short = [replace(stem, length_samples=stem.length_samples // 2) for stem in stems]
    assert alignment.trimmed(short, tmp_path) is None


@pytest.mark.parametrize(
    ("lengths_s", "told"),
    [
        ({"Drums_part1": 7.0, "Drums_part2": 5.0, "keys": 12.0}, ["Drums_part2.wav"]),
        ({"Drums 1 of 3": 4.0, "Drums 2 of 3": 4.0, "Drums 3 of 3": 4.0, "keys": 12.1}, ["Drums 3 of 3.wav"]),
        ({"Drums (1)": 4.0, "Drums (2)": 4.0, "Drums (3)": 4.0, "keys": 12.1}, ["Drums (3).wav"]),
        ({"Drums_part1": 12.0, "Drums_part2": 12.0, "keys": 12.0}, []),
        ({"Drums_part1": 12.0, "Drums_part2": 0.1, "keys": 12.0}, []),
        ({"Drums_part1": 6.0, "Drums_part2": 4.0, "keys": 12.0}, []),
        ({"Drums_a1": 7.0, "Kit_a2": 5.0, "keys": 12.0}, []),
    ],
)
def test_files_that_follow_each_other_are_told(lengths_s: dict[str, float], told: list[str], tmp_path: Path) -> None:
    for name, length_s in lengths_s.items():
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(round(length_s * RATE_HZ)), RATE_HZ)
    found = [FoundStem(name, tmp_path / f"{name}.wav", "drums" if name != "keys" else name) for name in lengths_s]
    one = FoundTrack("song", tmp_path, "song", tuple(found))
    track, _, rejects = headers.read(one, tmp_path, dataset="set", layout="folder", track_id="set-song")
    assert track and [row.item for row in rejects if row.reason == "trimmed"] == told


def _noise(seed: int, length_s: float, silent_s: float = 0.0) -> np.ndarray:
    wave = 0.1 * np.random.default_rng(seed).standard_normal(round(length_s * RATE_HZ))
    wave[: round(silent_s * RATE_HZ)] = 0
    return wave


@pytest.mark.parametrize(
    ("waves", "told"),
    [
        ({"bass": (14.0, 1.0), "drums": (14.0, 1.0), "keys": (14.0, 2.0), "vocals": (10.63, 0.0)}, True),
        ({"bass": (14.0, 0.0), "drums": (15.951, 0.0), "keys": (14.0, 0.0)}, True),
        ({"bass": (14.0, 1.0), "drums": (14.0, 1.0), "vocals": (10.63, 1.0)}, False),
        ({"bass": (14.0, 1.0), "drums": (14.0, 1.0), "vocals": (10.63, 0.2)}, False),
        ({"bass": (14.0, 0.0), "drums": (14.3, 0.0), "keys": (14.0, 0.0)}, False),
        ({"bass": (14.0, 0.0), "drums": (14.0, 0.0), "keys": (14.0, 0.0)}, False),
    ],
)
def test_one_stem_of_another_length_whose_start_may_be_cut_is_told(
    waves: dict[str, tuple[float, float]], told: bool, tmp_path: Path
) -> None:
    for number, (name, (length_s, silent_s)) in enumerate(waves.items()):
        soundfile.write(tmp_path / f"{name}.wav", _noise(number, length_s, silent_s), RATE_HZ)
    found = [FoundStem(name, tmp_path / f"{name}.wav", name) for name in waves]
    one = FoundTrack("song", tmp_path, "song", tuple(found))
    _, stems, _ = headers.read(one, tmp_path, dataset="set", layout="folder", track_id="set-song")
    assert bool(alignment.trimmed(stems, tmp_path)) is told


@pytest.mark.parametrize(
    ("length_s", "told"), [(12 * 44100 / 48000, True), (12 * 48000 / 44100, True), (11.1, False), (12.0, False)]
)
def test_a_stem_that_may_be_played_at_another_rate_is_told(length_s: float, told: bool, tmp_path: Path) -> None:
    for name, seconds in (("bass", 12.0), ("drums", 12.0), ("keys", length_s)):
        soundfile.write(tmp_path / f"{name}.wav", _noise(1, seconds), RATE_HZ)
    found = [FoundStem(name, tmp_path / f"{name}.wav", name) for name in ("bass", "drums", "keys")]
    one = FoundTrack("song", tmp_path, "song", tuple(found))
    _, _, rejects = headers.read(one, tmp_path, dataset="set", layout="folder", track_id="set-song")
    assert [(row.item, row.reason) for row in rejects] == ([("keys.wav", "rate_differs")] if told else [])


@pytest.mark.parametrize(("longest_s", "differ"), [(1.0, False), (1.02, False), (1.1, True)])
def test_stems_differ_in_length_where_one_is_longer(longest_s: float, differ: bool, tmp_path: Path) -> None:
    stem = song(tmp_path, cut_start=False, cut_end=False)[0]
    stems = [replace(stem, length_samples=round(length_s * RATE_HZ)) for length_s in (1.0, 1.0, longest_s)]
    assert alignment.differ(stems) is differ and not alignment.differ([])
