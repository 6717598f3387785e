"""Bleed is suspected where a part follows another one at a fixed distance, and not of parts that play together."""

from pathlib import Path

import numpy as np
import pytest
from made_songs import row

from instructme.dataset_tools.audit import bleed
from instructme.dataset_tools.audit.bleed import follows
from instructme.manifests import tables
from instructme.manifests.rows import Part

RNG = np.random.default_rng(0)
DRUMS = np.rint(np.tile([-12, -18, -25, -32, -38], 100) + RNG.normal(0, 2, 500)).astype(np.int64)


def power_sum(*levels: np.ndarray) -> np.ndarray:
    return np.rint(10 * np.log10(sum(10.0 ** (level / 10) for level in levels))).astype(np.int64)


@pytest.mark.parametrize("under_db", [10, 20, 30])
def test_a_microphone_that_hears_the_drums_is_suspected_with_its_distance(under_db: int) -> None:
    own = np.where(np.arange(500) % 200 < 60, -20, -100)
    match = follows(power_sum(own, DRUMS - under_db), DRUMS)
    assert match and abs(match[0] - under_db) <= 1 and match[1] > 0.5
    assert follows(DRUMS, power_sum(own, DRUMS - under_db)) is None


def test_parts_that_play_for_themselves_are_not() -> None:
    other = np.rint(RNG.normal(-30, 6, 500)).astype(np.int64)
    assert follows(other, DRUMS) is None and follows(DRUMS, other) is None


def test_doubles_of_one_level_steady_parts_and_short_ones_say_nothing() -> None:
    assert follows(DRUMS - 1, DRUMS) is None
    assert follows(np.full(500, -40), np.full(500, -20)) is None
    assert follows(DRUMS[:50] - 20, DRUMS[:50]) is None
    assert follows(np.full(500, -120), DRUMS) is None


@pytest.mark.parametrize(("under_db", "suspected"), [(5, False), (6, True), (50, True), (51, False)])
def test_distances_of_doubles_and_of_noise_are_none_of_bleed(under_db: int, suspected: bool) -> None:
    loud = DRUMS + 20
    match = follows(loud - under_db, loud)
    assert (match is not None) == suspected and (not match or match[1] == 1)


@pytest.mark.parametrize(("share", "suspected"), [(0.38, False), (0.42, True)])
def test_a_part_is_suspected_if_it_follows_in_two_of_five_frames(share: float, suspected: bool) -> None:
    heard = np.arange(500) < 500 * share
    assert (follows(np.where(heard, DRUMS - 20, -120), DRUMS) is not None) == suspected


@pytest.mark.parametrize(("spread_db", "suspected"), [(4, False), (6, True)])
def test_a_part_of_nearly_one_level_is_followed_by_none(spread_db: int, suspected: bool) -> None:
    other = np.tile([-20, -20 - spread_db], 250)
    assert (follows(other - 15, other) is not None) == suspected


@pytest.mark.parametrize(("frames", "suspected"), [(99, False), (100, True)])
def test_a_hundred_frames_are_enough(frames: int, suspected: bool) -> None:
    assert (follows(DRUMS[:frames] - 20, DRUMS[:frames]) is not None) == suspected


def test_only_frames_in_which_the_other_part_plays_count() -> None:
    rests = np.full(1000, -75)
    part, other = np.concatenate([DRUMS - 20, rests]), np.concatenate([DRUMS, rests])
    assert follows(part, other) == (20, 1)


def write_levels(work: Path, songs: dict[str, dict[str, np.ndarray]]) -> Path:
    rows = [
        row(Part, track_id=track, instrument=name, level_db=level.tolist())
        for track, levels in songs.items()
        for name, level in levels.items()
    ]
    tables.write(work / "parts.parquet", rows, Part)
    return work


def test_suspicions_are_listed_from_the_clearest_on_and_only_within_a_song(tmp_path: Path) -> None:
    half = np.where(np.arange(500) % 2 == 0, DRUMS - 20, -120)
    steady = np.full(500, -30)
    work = write_levels(
        tmp_path, {"a": {"drums": DRUMS, "piano": half}, "b": {"drums": DRUMS, "bass": DRUMS - 15, "flute": steady}}
    )
    told = bleed.finding(work)
    assert told.level == "note" and told.title == "2 parts may hold the sound of another part"
    assert told.table.rows == (("b", "bass", "drums", 15, "100%"), ("a", "piano", "drums", 20, "50%"))
    fine = bleed.finding(write_levels(tmp_path, {"a": {"drums": DRUMS}, "b": {"bass": DRUMS - 15}}))
    assert fine.level == "fine" and fine.table is None


def test_fifty_suspicions_are_listed(tmp_path: Path) -> None:
    work = write_levels(tmp_path, {f"{number:02}": {"drums": DRUMS, "bass": DRUMS - 15} for number in range(51)})
    told = bleed.finding(work)
    assert told.title.startswith("51 parts") and len(told.table.rows) == 50
