"""One file in two songs, such as a loop: its songs are in one split, and a table says so."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hostile import HERE, invoke
from test_parts import noise
from test_splits import FRACTIONS, track

from instructme.dataset_tools import shared_files
from instructme.manifests import tables
from instructme.manifests.rows import Reject, Track
from instructme.manifests.splits import MOST_SHARING, assign
from instructme.pipelines.stages.scan import Rows, scan

RATE_HZ = 8000


def write(path: Path, seed: int, gain: float = 1.0, length: int = 4 * RATE_HZ) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, gain * noise(6, seed=seed, rate_hz=RATE_HZ)[:length], RATE_HZ)


def songs(root: Path, count: int, shared: int, gain: float = 1.0) -> None:
    """Write songs of two stems; the basses of the first ones are one file."""
    for number in range(count):
        write(root / f"Song {chr(65 + number)}" / "drums.wav", 100 + number)
        write(root / f"Song {chr(65 + number)}" / "bass.wav", 0 if number < shared else 200 + number, gain)


def told(rows: Rows) -> list[tuple[str | None, str]]:
    return [(row.track_id, row.item) for row in rows.rejects if row.reason == "shared_stem"]


@pytest.mark.parametrize("seed", range(4))
def test_songs_that_share_a_file_are_in_one_split_and_told(seed: int, tmp_path: Path) -> None:
    songs(tmp_path / "d", 8, 2)
    rows = scan(tmp_path / "d", tmp_path / "work", seed=seed, split=(0.4, 0.3, 0.3))
    splits = {row.track_id: row.split for row in rows.tracks}
    assert splits["d-song-a"] == splits["d-song-b"] and len({*splits.values()}) == 3
    assert told(rows) == [("d-song-b", "Song B/bass.wav")]
    (row,) = [row for row in rows.rejects if row.reason == "shared_stem"]
    assert row.detail == f"it is the same file as Song A/bass.wav of d-song-a: both songs are in {splits['d-song-a']}"


@pytest.mark.parametrize(("first", "second"), [("Alpha", "Zulu"), ("Zulu", "Alpha")])
def test_two_songs_are_told_whatever_their_names_and_versions_of_one_are_not(first: str, second: str, tmp_path: Path) -> None:
    songs(tmp_path / "d", 2, 2)
    stems = scan(tmp_path / "d", tmp_path / "work", dry_run=True).stems
    groups = shared_files.find(stems, {row.track_id: tmp_path / "d" for row in stems})
    tracks = [track(f"d-song-{name}", song=f"song:{title}") for name, title in (("a", first), ("b", second))]
    assert [row.track_id for row in shared_files.rows(groups, tracks)] == ["d-song-b"]
    assert not shared_files.rows(groups, [track(f"d-song-{name}", song=f"song:{first}") for name in "ab"])


def test_a_clean_dataset_and_silent_stems_are_not_told(tmp_path: Path) -> None:
    songs(tmp_path / "d", 4, 0)
    for number in range(4):
        write(tmp_path / "d" / f"Song {chr(65 + number)}" / "vocals.wav", 1, gain=0.0)
    rows = scan(tmp_path / "d", tmp_path / "work")
    assert not told(rows) and len({row.leak_group for row in rows.tracks}) == 4


@pytest.mark.parametrize(("length", "shared"), [(4 * RATE_HZ, 1), (4 * RATE_HZ - 1, 0)])
def test_short_files_tell_nothing(length: int, shared: int, tmp_path: Path) -> None:
    for name in "ab":
        write(tmp_path / "d" / f"Song {name}" / "drums.wav", ord(name))
        write(tmp_path / "d" / f"Song {name}" / "bass.wav", 0, length=length)
    assert len(told(scan(tmp_path / "d", tmp_path / "work"))) == shared


def test_files_of_one_size_that_differ_in_one_sample_are_not_shared(tmp_path: Path) -> None:
    songs(tmp_path / "d", 2, 2)
    wave, _ = soundfile.read(tmp_path / "d" / "Song B" / "bass.wav", dtype="int16")
    wave[0] += 1
    soundfile.write(tmp_path / "d" / "Song B" / "bass.wav", wave, RATE_HZ)
    assert not told(scan(tmp_path / "d", tmp_path / "work"))


def test_official_splits_stay_and_say_where_the_songs_are(tmp_path: Path) -> None:
    for split, seed in (("train", 1), ("test", 2)):
        write(tmp_path / "d" / split / f"Song {seed}" / "drums.wav", seed)
        write(tmp_path / "d" / split / f"Song {seed}" / "bass.wav", 0)
    rows = scan(tmp_path / "d", tmp_path / "work")
    assert [row.split for row in rows.tracks] == ["train", "test"]
    (row,) = [row for row in rows.rejects if row.reason == "shared_stem"]
    assert row.detail.endswith("one song is in test, and the other one in train")


def test_a_file_of_most_songs_parts_nothing_and_is_told(tmp_path: Path) -> None:
    """A click that every song has would put all songs into train."""
    songs(tmp_path / "d", 6, 6)
    rows = scan(tmp_path / "d", tmp_path / "work")
    assert {row.split for row in rows.tracks} == {"train", "validation", "test"} and len(told(rows)) == 5


def test_versions_of_one_song_share_their_stems_without_a_word(tmp_path: Path) -> None:
    for name in ("Highway", "Highway (Club Remix)"):
        write(tmp_path / "d" / name / "drums.wav", len(name))
        write(tmp_path / "d" / name / "bass.wav", 0)
    rows = scan(tmp_path / "d", tmp_path / "work")
    assert len({row.song_group for row in rows.tracks}) == 1 and not told(rows)


def test_datasets_that_are_scanned_one_after_the_other_are_compared_and_told_once(tmp_path: Path) -> None:
    songs(tmp_path / "a", 3, 1)
    songs(tmp_path / "b", 3, 1)
    for number in range(3):  # other drums
        write(tmp_path / "b" / f"Song {chr(65 + number)}" / "drums.wav", 300 + number)
        (tmp_path / "b" / f"Song {chr(65 + number)}").rename(tmp_path / "b" / f"Tune {chr(65 + number)}")
    for place in ("a", "b", "b", "a"):
        rows = scan(tmp_path / place, tmp_path / "work")
    pairs = told(rows)
    assert ("b-tune-a", "Tune A/bass.wav") in pairs and len(pairs) == len({*pairs}) == 3
    assert {row.track_id: row.split for row in rows.tracks}["b-tune-a"] == {row.track_id: row.split for row in rows.tracks}[
        "a-song-a"
    ]


def test_a_file_that_is_gone_is_like_no_other(tmp_path: Path) -> None:
    songs(tmp_path / "d", 2, 2)
    rows = scan(tmp_path / "d", tmp_path / "work", dry_run=True)
    roots = {row.track_id: tmp_path / "d" for row in rows.tracks}
    assert [[stem.path for stem in group] for group in shared_files.find(rows.stems, roots)] == [
        ["Song A/bass.wav", "Song B/bass.wav"]
    ]
    (tmp_path / "d" / "Song B" / "bass.wav").unlink()
    assert not shared_files.find(rows.stems, roots)


def test_groups_grow_by_shared_stems_up_to_half_of_all_tracks() -> None:
    tracks = [track(f"t{number}") for number in range(10)]
    chain = [{f"t{number}", f"t{number + 1}"} for number in range(9)]
    kept, _ = assign(tracks, FRACTIONS, 0, chain)
    sizes = [sum(row.leak_group == group for row in kept) for group in {row.leak_group for row in kept}]
    assert max(sizes) == MOST_SHARING * 10 and sum(sizes) == 10
    for group in {row.leak_group for row in kept}:
        assert len({row.split for row in kept if row.leak_group == group}) == 1
    assert assign(tracks[::-1], FRACTIONS, 0, chain)[0] == kept == assign(kept, FRACTIONS, 0, chain)[0]
    assert len({row.leak_group for row in assign(kept, FRACTIONS, 0)[0]}) == 10


def test_a_shared_file_is_told_once_by_scan_and_prepare_and_a_second_run_changes_nothing(tmp_path: Path) -> None:
    for number, name in enumerate(("One", "Two", "Three")):
        write(tmp_path / "d" / name / "drums.wav", 100 + number, length=5 * RATE_HZ)
        soundfile.write(
            tmp_path / "d" / name / "bass.wav", np.tile(noise(3, seed=7 + 9 * (number == 2), rate_hz=RATE_HZ), 2), RATE_HZ
        )
    work = tmp_path / "work"
    options = ("--sample-rate", RATE_HZ, "--clip-seconds", 2, "--rhythm", "none", "--chords", "none", *HERE)
    seen = []
    for _ in range(2):
        assert invoke("scan", tmp_path / "d", "-o", work).exit_code == 0
        assert invoke("prepare", work, *options).exit_code == 0
        seen.append({path.name: path.read_bytes() for path in work.glob("*.parquet")})
    assert seen[0] == seen[1]
    rows = [row for row in tables.read_rows(work / "rejects.parquet", Reject) if row.reason == "shared_stem"]
    assert [(row.stage, row.track_id) for row in rows] == [("scan", "d-two")]
    assert len(tables.read_rows(work / "tracks.parquet", Track)) == 3
