"""Beats of written sides are heard anew: wrong grids and moved sides are found, right ones pass."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import made_work
import numpy as np
import pytest
from made_work import RATE_HZ
from test_chart_check import OWN, play
from test_chart_check import RATE_HZ as CHORDS_HZ

from instructme.dataset_tools import audio
from instructme.dataset_tools.sharding import beat_check, library, samples
from instructme.manifests import tables
from instructme.manifests.rows import Rhythm, Triplet
from instructme.pipelines.stages import verify
from instructme.pipelines.stages.shard import shard

SECONDS = 6
SHIFT = round(0.06 * RATE_HZ)


def side(track_id: str, instruments: tuple[str, ...]) -> tuple[audio.Samples, np.ndarray]:
    """Mix six seconds of a made song, with its beats in seconds."""
    mix = sum(made_work.make_part(track_id, name) for name in instruments)
    beats_s = np.array(made_work.beats(track_id)) / RATE_HZ - 1
    return mix[RATE_HZ : (SECONDS + 1) * RATE_HZ], beats_s[(beats_s >= 0) & (beats_s < SECONDS)]


@pytest.mark.parametrize("lag_ms", [0, 20, 60, -60, 120, -200])
def test_beats_are_off_only_where_the_audio_was_moved(lag_ms: int) -> None:
    heard, beats_s = side("set-b", ("drums", "piano"))
    problem = beat_check.off(np.roll(heard, lag_ms * RATE_HZ // 1000), beats_s, RATE_HZ, drums=True)
    if abs(lag_ms) <= 20:
        assert problem is None
    else:
        assert problem is not None
        assert abs(int(problem.split()[4]) - lag_ms) <= 20 and int(problem.split()[4]) % 10 == 0


def test_half_a_beat_off_is_a_fault_only_with_drums() -> None:
    heard, beats_s = side("set-a", ("drums", "piano"))
    moved = np.roll(heard, round(0.25 * RATE_HZ))
    assert "240 ms off" in str(beat_check.off(moved, beats_s, RATE_HZ, drums=True))
    assert beat_check.off(moved, beats_s, RATE_HZ, drums=False) is None


def test_nothing_is_said_of_what_is_not_heard() -> None:
    heard, beats_s = side("set-a", ("drums", "piano"))
    assert beat_check.off(np.zeros_like(heard), beats_s, RATE_HZ, drums=True) is None
    assert beat_check.off(np.roll(heard, SHIFT), beats_s[:4], RATE_HZ, drums=True) is None


@pytest.mark.parametrize("late", [0, 1, 3])
def test_chords_say_on_which_position_bars_begin(late: int) -> None:
    """Two seconds of each chord are four beats; positions that begin `late` beats after it are wrong by so many."""
    beats_s = np.arange(0, 32, 0.5)
    positions = (np.arange(len(beats_s)) - late) % 4 + 1
    said = {"beat_times_s": beats_s.tolist(), "beat_positions": positions.tolist()}
    sides = [play(OWN), np.stack([play(OWN)] * 2, axis=1)]
    assert list(beat_check.first_beats(said, sides, CHORDS_HZ)) == [(-late) % 4 + 1] * 2


def test_bars_are_compared_only_where_all_is_said() -> None:
    beats_s = np.arange(0, 32, 0.5)
    positions = np.arange(len(beats_s)) % 4 + 1
    for beats, said in ((beats_s[:7], positions[:7]), (beats_s, positions[:-1]), (beats_s[:-1], positions), ([], [])):
        described = {"beat_times_s": list(beats), "beat_positions": list(said)}
        assert not list(beat_check.first_beats(described, [play(OWN)], CHORDS_HZ))
    assert not list(beat_check.first_beats({}, [play(OWN)], CHORDS_HZ))


def remixes(work: Path) -> Path:
    """Keep the remixes alone, with windows that are long enough to hear beats in."""
    made_work.make_work(work)
    path = work / "triplets.parquet"
    parents = [work / name for name in tables.provenance(path)["parents"]]
    rows = [row for row in tables.read_rows(path, Triplet) if row.task == "remix" and row.split == "train"]
    longer = [dataclasses.replace(row, length_samples=SECONDS * RATE_HZ) for row in rows][:2]
    tables.write(path, longer, Triplet, seed=0, parents=parents)
    return work


def test_a_wrong_grid_is_found_from_the_audio_alone(tmp_path: Path) -> None:
    """The parts of one song lie 60 ms after its beats in the tables, so all tables and laws agree with each other."""
    work = remixes(tmp_path / "work")
    shard(work, work / "right", workers=0)
    assert verify.verify(work / "right", workers=0) == []
    for name in made_work.INSTRUMENTS:
        late = np.concatenate([np.zeros(SHIFT, np.float32), made_work.make_part("set-b", name)[:-SHIFT]])
        audio.write_flac(work / f"parts/set-b/{name}.flac", late, RATE_HZ)
    shard(work, work / "wrong", workers=0)
    problems = verify.verify(work / "wrong", workers=0)
    assert problems and all("its beats are heard +" in line for line in problems)
    remixed = tables.read_rows(work / "triplets.parquet", Triplet)
    assert {("source" if row.source_track == "set-b" else "target") for row in remixed} == {
        line.split(": ")[2] for line in problems
    }


def test_so_many_remixes_of_a_shard_are_heard(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rows = tables.read_rows(made_work.make_work(tmp_path) / "triplets.parquet", Triplet)
    shard_rows = [SimpleNamespace(recipe=json.dumps(dataclasses.asdict(row))) for row in rows]
    everything = range(len(rows))
    assert [rows[number].task for number in sorted(verify._heard(shard_rows, everything))] == ["remix"] * 16
    monkeypatch.setattr(verify, "MOST_HEARD", 5)
    assert 3 <= len(verify._heard(shard_rows, everything)) <= 5
    assert verify._heard([SimpleNamespace(recipe="{")], [0]) == set()


def test_beats_that_are_not_trusted_are_marked_in_the_json(tmp_path: Path) -> None:
    work = made_work.make_work(tmp_path)
    path = work / "rhythm.parquet"
    rows = [dataclasses.replace(row, trusted=row.track_id != "set-a") for row in tables.read_rows(path, Rhythm)]
    tables.write(path, rows, Rhythm, parents=[work / "tracks.parquet"])
    music = library.read(work)
    described = {row.source_track: samples.describe(row, 1.0, 1.0, music) for row in made_work.recipes()}
    assert {track: found.get("beats_trusted") for track, found in described.items()} == {
        **dict.fromkeys(made_work.SONGS),
        "set-a": False,
    }
