"""Remix matching: what is placed lies on the beat, agrees in chords by an independent measure, and keeps to its bounds."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from synthetic import RATE_HZ, agreement, write_tables

from instructme.dataset_tools.pairing import grids, matching
from instructme.dataset_tools.pairing import pool as pools
from instructme.dataset_tools.pairing.edits import PairOptions
from instructme.dataset_tools.tasks import remix
from instructme.dataset_tools.triplets import Order, default_templates, draw
from instructme.manifests import tables
from instructme.manifests.instruments import INSTRUMENTS
from instructme.manifests.rows import Rhythm, Track

LENGTH = 10 * RATE_HZ


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    write_tables(folder, 100, 5)
    return folder


@pytest.fixture(scope="module")
def pool(work):
    return pools.load(work)


@pytest.fixture(scope="module")
def rhythms(work):
    return {row.track_id: row for row in tables.read_rows(work / "rhythm.parquet", Rhythm)}


@pytest.fixture(scope="module")
def remixes(pool):
    return draw_remixes(pool, 3000)


def draw_remixes(pool, count, **options):
    order = Order("train", {"remix": count})
    table, _ = draw(pool, [order], options=PairOptions(**options), templates=default_templates(), seed=0)
    return table.to_pylist()


def window_beats(rhythm, start, length):
    beats, positions = np.array(rhythm.beats_samples), np.array(rhythm.beat_positions)
    inside = (beats >= start) & (beats < start + length)
    return beats[inside] - start, positions[inside]


def chords(rhythm, start, stretch):
    return (np.array(rhythm.chord_starts_samples) - start) / stretch, rhythm.chord_labels


def test_beats_fall_on_beats_and_downbeats_on_downbeats(remixes, rhythms):
    assert len(remixes) == 3000
    for row in remixes:
        ours, our_positions = window_beats(rhythms[row["source_track"]], row["source_start_samples"], LENGTH)
        other = rhythms[row["target_track"]]
        theirs = (np.array(other.beats_samples) - row["target_start_samples"]) / row["target_stretch"]
        nearest = np.abs(theirs[:, None] - ours).argmin(axis=0)
        error_ms = np.abs(theirs[nearest] - ours) * 1000 / RATE_HZ
        assert (np.array(other.beat_positions)[nearest] == our_positions).all()
        assert error_ms.max() == pytest.approx(row["beat_error_ms"], abs=0.01)
        assert error_ms.max() <= 25
        assert np.median(error_ms) <= 10.5
        assert np.diff(nearest).tolist() == [1] * (len(ours) - 1)


def test_chord_agreement_is_that_of_the_chord_sequences(remixes, rhythms):
    for row in remixes[:300]:
        start, stretch = row["target_start_samples"], row["target_stretch"]
        source = chords(rhythms[row["source_track"]], row["source_start_samples"], 1.0)
        target = chords(rhythms[row["target_track"]], start, stretch)
        assert row["chord_agreement"] == pytest.approx(agreement(*source, *target, LENGTH), abs=1e-6)
        assert row["chord_agreement"] >= 0.6


def test_tempo_differences_are_stretched_only_where_they_would_drift(remixes, rhythms):
    stretches = np.array([row["target_stretch"] for row in remixes])
    drift_ms = np.abs(stretches - 1) * 10000
    assert (stretches == 1).any()
    assert (stretches != 1).any()
    assert drift_ms[stretches != 1].min() >= 10
    assert np.abs(stretches - 1).max() <= 0.06
    for row in remixes:
        source, target = rhythms[row["source_track"]], rhythms[row["target_track"]]
        if source.source == target.source == "midi":
            ratio = source.tempo_bpm / target.tempo_bpm
            assert row["target_stretch"] == pytest.approx(ratio, abs=0.0011) or row["target_stretch"] == 1.0


def test_windows_lie_in_tracks_of_the_same_split_that_may_be_matched(remixes, work, pool, rhythms):
    tracks = {track.track_id: track for track in tables.read_rows(work / "tracks.parquet", Track)}
    lengths = dict(zip(pool.tracks, pool.lengths.tolist(), strict=True))
    starts = set()
    for row in remixes:
        source, target = tracks[row["source_track"]], tracks[row["target_track"]]
        assert source.split == target.split
        assert source.song_group != target.song_group
        assert rhythms[target.track_id].trusted
        assert rhythms[source.track_id].meter == rhythms[target.track_id].meter
        end = row["target_start_samples"] + np.ceil(LENGTH * row["target_stretch"])
        assert 0 <= row["target_start_samples"] <= end <= lengths[target.track_id]
        starts.add(row["target_start_samples"] % LENGTH)
    assert len(starts) > 100, "windows lie anywhere, not on clips"


def test_what_is_named_sounds_and_leads_are_left_out(remixes, work, pool):
    tracks = {track.track_id: track for track in tables.read_rows(work / "tracks.parquet", Track)}
    clips = {(pool.tracks[w["track"]], int(w["start"])): w for w in pool.windows}
    heard_leads = 0
    for row in remixes:
        assert not any(INSTRUMENTS[name].is_lead for name in row["source_instruments"] + row["target_instruments"])
        window = clips[row["source_track"], row["source_start_samples"]]
        sounding = pool.names(np.array([window["track"]]), np.array([window["sounds"]])).to_pylist()[0]
        assert sorted(row["source_instruments"] + row["left_out"]) == sounding
        heard_leads += len(row["left_out"])
        if row["genre"]:
            assert row["added"] == []
            assert row["genre"] == tracks[row["target_track"]].genre != tracks[row["source_track"]].genre is not None
            assert row["genre"] in row["instruction"]
        else:
            assert row["added"] == row["target_instruments"]
            assert 2 <= len(row["added"]) <= 5
            spoken = row["instruction"].split("with ")[1].split(", ")
            assert sorted(spoken) == row["added"]
    assert heard_leads > 0


def test_genres_and_instruments_are_asked_for_alike_while_there_are_genres(pool):
    rows = draw_remixes(pool, 200)
    assert 0.3 < np.mean([row["genre"] is not None for row in rows]) < 0.7


def test_two_to_five_instruments_are_named_alike_and_all_windows_are_drawn_alike(remixes):
    sizes = Counter(len(row["added"]) for row in remixes if row["added"])
    assert set(sizes) == {2, 3, 4, 5} and max(sizes.values()) < 1.25 * min(sizes.values())
    windows = Counter((row["source_track"], row["source_start_samples"]) for row in remixes)
    assert max(windows.values()) < 1.15 * np.median(list(windows.values()))


def test_balance_draws_rare_genres_more_often(pool):
    def spread(balance):
        genres = Counter(row["genre"] for row in draw_remixes(pool, 400, balance=balance) if row["genre"])
        return np.std(list(genres.values())) / np.mean(list(genres.values()))

    assert spread(1.0) < 0.8 * spread(0.0)


def test_named_parts_are_active_in_the_target_window(remixes, pool):
    for row in (row for row in remixes[:300] if row["added"]):
        track = np.array([pool.tracks.index(row["target_track"])])
        length = np.array([int(LENGTH * row["target_stretch"])])
        heard = pool.curves.hear(track, np.array([row["target_start_samples"]]), length)
        assert set(row["added"]) <= set(pool.names(track, heard.usable).to_pylist()[0])


@pytest.mark.parametrize("count", [50, 10**6])
def test_a_search_that_finds_too_few_is_widened_until_there_are_enough(pool, monkeypatch, count):
    few, options = replace(pool.of("train"), windows=pool.of("train").windows[:60]), PairOptions()
    existing = remix.draw(few, 10**6, np.random.default_rng(0), options).existing
    monkeypatch.setattr(matching, "SEARCHED", 16)
    monkeypatch.setattr(remix, "FEWEST_MATCHES", 1)
    asked, find = [], matching.find

    def noted(
        pool: pools.Pool, most: int, rng: np.random.Generator, options: PairOptions, searched: int
    ) -> matching.WindowSearch:
        asked.append((most, searched))
        return find(pool, most, rng, options, searched)

    monkeypatch.setattr(matching, "find", noted)
    found = remix.draw(few, count, np.random.default_rng(0), options)
    assert existing > 500 and len(found.recipes) == min(count, existing)
    assert found.existing == existing or not found.exact
    assert asked == [(max(1, 4 * count // 60) * 4**step, 16 * 4**step) for step in range(len(asked))] and len(asked) > 1


def test_targets_of_two_parts_are_asked_for(pool):
    """All other parts lead: a duo has one combination, and an instruction names it."""
    duos = replace(pool, leads=np.full_like(pool.leads, ~0b11), genre=np.full_like(pool.genre, -1))
    rows = draw_remixes(duos, 20)
    assert len(rows) == 20
    assert {len(row["added"]) for row in rows} == {2}


def test_rhythm_alone_matches_more(pool):
    by_rhythm = matching.find(pool.of("train"), 10**6, np.random.default_rng(0), PairOptions(remix_harmony=0.0))
    by_chords = matching.find(pool.of("train"), 10**6, np.random.default_rng(0), PairOptions(remix_harmony=0.6))
    assert by_rhythm.exhaustive
    assert by_chords.exhaustive
    keys = [
        set(zip(*(found.matches[name].tolist() for name in ("window", "track", "start")), strict=True))
        for found in (by_rhythm, by_chords)
    ]
    assert keys[1] < keys[0]
    good = by_rhythm.matches["agreement"] >= 0.6
    assert np.count_nonzero(good) == pytest.approx(len(by_chords.matches), rel=0.02), "the beat-wise sieve loses next to nothing"


def test_reasons_count_every_window_without_a_match(pool):
    train = pool.of("train")
    found = matching.find(train, 16, np.random.default_rng(0), PairOptions())
    unmatched = Counter({reason: len(tracks) for reason, tracks in found.unmatched.items()})
    assert sum(unmatched.values()) + len(np.unique(found.matches["window"])) == len(train.windows)
    assert unmatched["rhythm_untrusted"] > 0


def edited(work, pool, **fields):
    """Load the pool again with fields of every rhythm replaced."""
    rows = [replace(row, **fields) for row in tables.read_rows(work / "rhythm.parquet", Rhythm)]
    return replace(pool, grids=grids.of_rhythm(tables.to_table(rows, Rhythm), pool.tracks))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"downbeat_known": False}, "downbeat_unknown"),
        ({"trusted": False}, "rhythm_untrusted"),
        ({"meter": None}, "meter_unknown"),
        ({"beats_samples": [], "beat_positions": []}, "no_rhythm"),
    ],
)
def test_tracks_that_can_not_be_aligned_are_not_matched(work, pool, fields, reason):
    found = matching.find(edited(work, pool, **fields).of("train"), 16, np.random.default_rng(0), PairOptions(remix_harmony=0.0))
    assert not len(found.matches)
    assert len(found.unmatched[reason]) > 0


def test_unknown_chords_match_by_rhythm_only_and_have_no_agreement(work, pool):
    mute = edited(work, pool, chord_source="none", chord_starts_samples=[], chord_labels=[])
    assert draw_remixes(mute, 20) == []
    rows = draw_remixes(mute, 20, remix_harmony=0.0)
    assert len(rows) == 20
    assert {row["chord_agreement"] for row in rows} == {None}


def test_chords_that_a_chart_leaves_open_do_not_agree(work, pool):
    open_chords = edited(work, pool, chord_source="chart", chord_starts_samples=[0], chord_labels=["X"])
    assert draw_remixes(open_chords, 20) == []
    assert {row["chord_agreement"] for row in draw_remixes(open_chords, 20, remix_harmony=0.0)} == {0.0}
    without = edited(work, pool, chord_source="chart", chord_starts_samples=[0], chord_labels=["N"])
    assert [row["chord_agreement"] for row in draw_remixes(without, 20)] == pytest.approx([1.0] * 20)


def test_without_genres_remixes_name_instruments(pool):
    nameless = replace(pool, genre=np.full_like(pool.genre, -1))
    rows = draw_remixes(nameless, 50)
    assert len(rows) == 50
    assert {row["genre"] for row in rows} == {None}


def match_in_spite_of(work, pool, errors_ms: dict[int, float]) -> bool:
    """Say whether tracks on an exact grid match tracks with some of each 20 beats moved."""
    metre = {"trusted": True, "downbeat_known": True, "meter": "4/4", "reason": None}
    rows = []
    for number, row in enumerate(tables.read_rows(work / "rhythm.parquet", Rhythm)):
        beats = np.arange(100, dtype=float) * 0.5 + 1
        if number % 2:
            beats += np.array([errors_ms.get(beat % 20, errors_ms.get(-1 - beat % 2, 0.0)) for beat in range(100)]) / 1000
        samples = np.rint(beats * RATE_HZ).astype(int).tolist()
        rows.append(replace(row, **metre, tempo_bpm=120.0, beats_samples=samples, beat_positions=[1, 2, 3, 4] * 25))
    moved = replace(pool, grids=grids.of_rhythm(tables.to_table(rows, Rhythm), pool.tracks)).of("train")
    matches = matching.find(moved, 10**6, np.random.default_rng(0), PairOptions(remix_harmony=0.0)).matches
    odd = {track for number, track in enumerate(sorted(pool.tracks)) if number % 2}
    sides = [
        np.array([moved.tracks[track] in odd for track in each])
        for each in (moved.windows["track"][matches["window"]], matches["track"])
    ]
    assert (~sides[0] & ~sides[1]).any(), "exact tracks match each other"
    return bool((~sides[0] & sides[1]).any())


def test_half_of_the_beats_of_a_remix_lie_within_10_ms(work, pool):
    """Keys -1 and -2: even and odd beats."""
    assert match_in_spite_of(work, pool, {-1: 9, -2: -9})
    assert not match_in_spite_of(work, pool, {-1: 11, -2: -11})


def test_every_beat_of_a_remix_lies_within_25_ms(work, pool):
    assert match_in_spite_of(work, pool, {5: 24, 14: -24})
    assert not match_in_spite_of(work, pool, {5: 26, 14: -26})
