"""Plans of the corpus: every song fits its chart and its groove, and any length is the beginning of a longer one."""

import math

import numpy as np

from instructme.dataset_tools.corpus import charts, songs
from instructme.manifests.rows import SPLITS
from instructme.pipelines.stages import corpus as pipeline

CHARTS = {chart.name: chart for chart in charts.load()}
SONG_S = 60.0


def test_plan_has_remix_pairs_in_every_split_and_is_balanced():
    for names, seconds, low, high in [(*pipeline.TIERS["mini"], 5.5, 7), (*pipeline.TIERS["standard"], 68, 78)]:
        plan = songs.plan(names, seconds, None, 0)
        assert low < sum(song.music_s for song in plan) / 60 < high
        groups: dict[str, list[songs.Song]] = {}
        for song in plan:
            groups.setdefault(song.chart.name, []).append(song)
        assert {songs.split_of(name) for name in groups} == set(SPLITS)
        for group in groups.values():
            assert len({song.groove.genre for song in group}) == songs.GENRES_PER_CHART == len(group)
            assert len({(song.microseconds_per_beat, song.bars, song.split) for song in group}) == 1
    assert len({song.groove.genre for song in plan}) >= 12
    assert {split: sum(song.split == split for song in plan) for split in SPLITS} == {"train": 54, "validation": 9, "test": 9}


def test_longer_plans_begin_with_shorter_ones_and_vary():
    short, long = (songs.plan(None, 60.0, hours * 3600, 0) for hours in (2, 10))
    assert long[: len(short)] == short
    assert 10 <= sum(song.music_s for song in long) / 3600 < 10.1
    one_chart = [song for song in long if song.chart.name == "north_wind"]
    assert len({song.chart.key for song in one_chart}) >= 4 and len({song.chart.tempo_bpm for song in one_chart}) >= 4
    assert {song.split for song in one_chart} == {"train"}
    assert len({song.name for song in long}) == len(long)
    assert songs.plan(None, 60.0, 7200, 1) != short


def test_every_song_fits_its_chart_and_its_groove():
    plan = songs.plan(None, SONG_S, 30 * 3600, 0)
    assert [song.name for song in plan] == [f"Track{number:05d}" for number in range(1, len(plan) + 1)]
    for song in plan:
        bar_s = 60 / song.chart.tempo_bpm * song.chart.beats_per_bar
        assert song.bars == math.ceil(round(SONG_S / bar_s, 9)) and abs(song.music_s - song.bars * bar_s) < 1e-3
        assert song.groove.meter == song.chart.meter
        assert song.groove.slowest_bpm <= song.chart.tempo_bpm <= song.groove.fastest_bpm
    assert all(song.chart == CHARTS[song.chart.name] for song in plan if song.take == 0)


def test_takes_are_in_every_key_and_up_to_an_eighth_slower_or_faster():
    takes = {(song.chart.name, song.take): song.chart for song in songs.plan(None, SONG_S, 30 * 3600, 0) if song.take}
    steps = {(chart.tonic - CHARTS[chart.name].tonic) % 12 for chart in takes.values()}
    factors = np.array([chart.tempo_bpm / CHARTS[chart.name].tempo_bpm for chart in takes.values()])
    assert steps == set(range(12))
    assert 0.87 < factors.min() < 0.91 and 1.09 < factors.max() < 1.13
    assert all(
        chart.bars[0][0].root == (CHARTS[name].bars[0][0].root + chart.tonic - CHARTS[name].tonic) % 12
        for (name, _), chart in takes.items()
    )


def test_a_chart_is_first_heard_in_the_genre_of_its_style():
    firsts = {}
    for song in songs.plan(None, SONG_S, None, 0):
        firsts.setdefault(song.chart.name, song)
    assert set(firsts) == set(CHARTS)
    at_home = [song.groove.genre == songs.HOME[song.chart.style] for song in firsts.values()]
    assert np.mean(at_home) > 0.8, "few charts have no groove of their own genre at their tempo"
