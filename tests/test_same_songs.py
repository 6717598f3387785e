"""One recording in two datasets under two names."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import made_songs
import numpy as np
import pytest
import soundfile
from hostile import HERE, invoke
from test_splits import track

from instructme.dataset_tools import audio, fingerprint, same_songs
from instructme.manifests import tables
from instructme.manifests.rows import Clip, Part, Reject, Track, Triplet


def sound(seed: int, late_s: float = 0.0) -> np.ndarray:
    """Make 12 s of tones that change, so that each seed is another song; `(T,)` at 8 kHz."""
    rng = np.random.default_rng(seed)
    time = np.arange(8000 * 12) / 8000
    notes = [
        np.sin(2 * np.pi * hz * time) * (np.sin(2 * np.pi * speed * time) > 0)
        for hz, speed in rng.uniform((300, 0.3), (2000, 3), (12, 2))
    ]
    return np.concatenate([np.zeros(round(late_s * 8000)), sum(notes) / 12 + 0.01 * rng.standard_normal(len(time))]).astype(
        np.float32
    )


def folders(root: Path, **sounds: np.ndarray) -> dict[str, Path]:
    for name, wave in sounds.items():
        (root / name).mkdir()
        np.save(root / name / same_songs.FILE, fingerprint.fingerprint(wave, 8000))
    return {name: root / name for name in sounds}


@pytest.mark.parametrize(
    ("splits", "lost"), [(("train", "test"), "a"), (("validation", "train"), "b"), (("test", "validation"), "b")]
)
def test_the_copy_that_is_held_out_less_is_left_out(splits: tuple[str, str], lost: str, tmp_path: Path) -> None:
    paths = folders(tmp_path, a=sound(1), b=0.3 * sound(1, 0.4), c=sound(2), d=sound(3))
    tracks = [replace(track(name), split=split) for name, split in zip("abcd", (*splits, "train", "test"), strict=True)]
    (row,) = same_songs.doubles(paths, tracks)
    assert (row.track_id, row.reason, row.stage) == (lost, "same_sound", "prepare")


def test_copies_in_one_split_stay(tmp_path: Path) -> None:
    paths = folders(tmp_path, a=sound(1), b=sound(1), c=sound(2))
    tracks = [replace(track(name), split=split) for name, split in zip("abc", ("train", "train", "test"), strict=True)]
    assert not same_songs.doubles(paths, tracks)
    assert [(row.track_id, row.reason, row.count) for row in same_songs.copies(paths, tracks)] == [("b", "copy", 1)]
    assert not same_songs.copies(paths, [tracks[0], replace(tracks[1], split="test"), tracks[2]])


def test_copies_at_another_level_or_with_a_late_start_are_told_once(tmp_path: Path) -> None:
    paths = folders(tmp_path, a=sound(1), b=0.3 * sound(1, 0.4), c=sound(2), d=0.01 * sound(1), e=sound(3))
    rows = same_songs.copies(paths, [replace(track(name), split="train") for name in "edcba"])
    assert [row.track_id for row in rows] == ["b", "d"] and all("recording as a" in row.detail for row in rows)


def medley(*seeds: int) -> np.ndarray:
    return np.concatenate([sound(seed) for seed in seeds])


def test_a_piece_from_after_the_first_minute_is_a_copy(tmp_path: Path) -> None:
    song = medley(*range(1, 9))
    (tmp_path / "whole").mkdir()
    part = SimpleNamespace(activity=[True], sample_rate_hz=8000)
    same_songs.write(tmp_path / "whole", [part], song)  # type: ignore[list-item]
    paths = {**folders(tmp_path, piece=0.4 * song[70 * 8000 + 33 : 85 * 8000]), "whole": tmp_path / "whole"}
    tracks = [replace(track("whole"), split="train"), replace(track("piece"), split="test")]
    assert [(row.track_id, row.reason) for row in same_songs.doubles(paths, tracks)] == [("whole", "same_sound")]


def test_songs_of_which_one_ends_as_the_other_begins_are_no_copies(tmp_path: Path) -> None:
    paths = folders(tmp_path, a=medley(1, 2, 3, 4, 5), b=medley(5, 6, 7, 8, 9))
    tracks = [replace(track(name), split=split) for name, split in zip("ab", ("train", "test"), strict=True)]
    assert not same_songs.doubles(paths, tracks)
    assert not same_songs.copies(paths, [replace(each, split="train") for each in tracks])


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_copies_are_told_in_every_split_and_not_between_splits(split: str, tmp_path: Path) -> None:
    paths = folders(tmp_path, a=sound(1), b=sound(1), c=sound(1))
    other = "train" if split != "train" else "test"
    tracks = [replace(track(name), split=own) for name, own in zip("abc", (split, split, other), strict=True)]
    assert [row.track_id for row in same_songs.copies(paths, tracks)] == ["b"]


def test_short_and_silent_songs_are_no_copies(tmp_path: Path) -> None:
    paths = folders(tmp_path, a=sound(1)[:16000], b=sound(1)[:16000], c=0 * sound(1), d=0 * sound(1))
    assert not same_songs.copies(paths, [replace(track(name), split="train") for name in "abcd"])


def older(root: Path, activity: list[bool]) -> Path:
    """Write a track of two parts as versions did that kept no fingerprint."""
    made_songs.write(root, [made_songs.Song("a", "train", {"piano": sound(1), "flute": sound(101)})])
    parts = [replace(part, activity=activity) for part in tables.read_rows(root / "parts.parquet", Part)]
    folder = (root / parts[0].path).parent
    tables.write(folder / "parts.parquet", parts, Part)
    return folder


@pytest.mark.parametrize(("activity", "start"), [([True] * 120, 0), ([False] * 20 + [True] * 100, 16000), ([False] * 120, 0)])
def test_tracks_of_older_versions_are_compared_from_where_they_begin_to_play(
    activity: list[bool], start: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(same_songs, "HEARD_S", 6)
    folder = older(tmp_path, activity)
    parts = tables.read_rows(folder / "parts.parquet", Part)
    mix = sum(audio.read(folder / Path(part.path).name) for part in parts)
    words = same_songs._read(folder)
    assert np.array_equal(words, fingerprint.fingerprint(mix[start : start + 6 * 8000], 8000)) and len(words) > 100
    same_songs.write(folder, parts, mix)
    assert np.array_equal(same_songs._read(folder), words)


def test_what_is_left_of_a_short_track_is_heard(tmp_path: Path) -> None:
    words = same_songs._read(older(tmp_path, [False] * 60 + [True] * 60))
    assert len(words) == len(fingerprint.fingerprint(sound(1)[48000:], 8000)) > 100


def test_a_track_of_an_older_version_may_have_one_part(tmp_path: Path) -> None:
    folder = older(tmp_path, [True] * 120)
    (part, *_) = tables.read_rows(folder / "parts.parquet", Part)
    tables.write(folder / "parts.parquet", [part], Part)
    assert np.array_equal(same_songs._read(folder), fingerprint.fingerprint(audio.read(folder / Path(part.path).name), 8000))


def test_a_track_of_an_older_version_whose_files_are_gone_is_like_no_other(tmp_path: Path) -> None:
    folder = older(tmp_path, [True] * 120)
    for path in folder.glob("*.flac"):
        path.unlink()
    assert not len(same_songs._read(folder))
    tables.write(folder / "parts.parquet", [], Part)
    assert not len(same_songs._read(folder))


def song(folder: Path, seed: int, suffix: str = "wav", gain: float = 1.0) -> None:
    """Write a song of two stems, in any format and at any level."""
    folder.mkdir(parents=True)
    for instrument, part in (("piano", sound(seed)), ("flute", sound(seed + 100))):
        soundfile.write(folder / f"{instrument}.{suffix}", gain * part, 8000)


@pytest.mark.parametrize(("suffix", "gain"), [("wav", 1.0), ("ogg", 0.4)])
def test_a_recording_in_two_datasets_under_two_names_is_never_in_two_splits(suffix: str, gain: float, tmp_path: Path) -> None:
    """From the files to the triplets, as a copy byte by byte and as another codec at another level."""
    song(tmp_path / "one" / "train" / "Me - Highway", 1, suffix, gain)
    song(tmp_path / "one" / "train" / "Me - Alone", 2)
    song(tmp_path / "two" / "test" / "Track 07", 1)
    song(tmp_path / "two" / "test" / "Track 08", 3)
    work = tmp_path / "work"
    options = ("--sample-rate", 8000, "--clip-seconds", 4, "--rhythm", "none", "--chords", "none", "--min-lufs", -70, *HERE)
    assert invoke("scan", tmp_path / "one", tmp_path / "two", "-o", work).exit_code == 0
    assert len(tables.read_rows(work / "tracks.parquet", Track)) == 4
    assert invoke("prepare", work, *options).exit_code == 0
    (row,) = [row for row in tables.read_rows(work / "rejects.parquet", Reject) if row.reason == "same_sound"]
    assert row.track_id == "one-me-highway" and "two-track-07 in test" in row.detail
    pair = invoke("pair", work, "--count", "add=10", "--eval-count", 5)
    assert pair.exit_code == 0, pair.output
    for name, kind in (("parts", Part), ("clips", Clip)):
        assert {row.track_id for row in tables.read_rows(work / f"{name}.parquet", kind)} == {
            "one-me-alone",
            "two-track-07",
            "two-track-08",
        }
    triplets = tables.read_rows(work / "triplets.parquet", Triplet)
    assert {row.source_track for row in triplets if row.split == "train"} == {"one-me-alone"}


def test_a_softer_copy_in_another_format_is_told_in_its_split(tmp_path: Path) -> None:
    song(tmp_path / "one" / "train" / "Me - Highway", 1)
    song(tmp_path / "one" / "train" / "Track 06", 1, "mp3", 0.4)
    song(tmp_path / "one" / "train" / "Track 07", 2)
    work = tmp_path / "work"
    options = ("--sample-rate", 8000, "--clip-seconds", 4, "--rhythm", "none", "--chords", "none", *HERE)
    assert invoke("scan", tmp_path / "one", "-o", work).exit_code == 0
    assert invoke("prepare", work, *options).exit_code == 0
    (row,) = [row for row in tables.read_rows(work / "rejects.parquet", Reject) if row.stage == "prepare"]
    assert (row.track_id, row.reason) == ("one-track-06", "copy") and "as one-me-highway" in row.detail
    assert len({part.track_id for part in tables.read_rows(work / "parts.parquet", Part)}) == 3


def test_copies_that_are_left_out_are_not_told_as_used(tmp_path: Path) -> None:
    for place in ("train/Me - Highway", "train/Track 06", "test/Track 07"):
        song(tmp_path / "one" / place, 1)
    work = tmp_path / "work"
    options = ("--sample-rate", 8000, "--clip-seconds", 4, "--rhythm", "none", "--chords", "none", *HERE)
    assert invoke("scan", tmp_path / "one", "-o", work).exit_code == 0
    assert invoke("prepare", work, *options).exit_code == 0
    rows = [row for row in tables.read_rows(work / "rejects.parquet", Reject) if row.reason in ("copy", "same_sound")]
    assert sorted((row.track_id, row.reason) for row in rows) == [
        ("one-me-highway", "same_sound"),
        ("one-track-06", "same_sound"),
    ]
