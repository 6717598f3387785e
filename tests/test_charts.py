"""Charts of the built-in corpus and the melodies over them are music, in every key."""

import itertools

import mir_eval
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructme.dataset_tools.corpus import charts, grooves, lead, songs
from instructme.manifests.rows import DataError

CHARTS = {chart.name: chart for chart in charts.load()}
GROOVES = grooves.load()


@pytest.mark.parametrize("chart", CHARTS.values(), ids=CHARTS)
def test_every_chart_is_music(chart: charts.Chart):
    fits = {g.genre for g in GROOVES if g.meter == chart.meter and g.slowest_bpm <= chart.tempo_bpm <= g.fastest_bpm}
    assert len(fits) >= songs.GENRES_PER_CHART
    assert songs.HOME[chart.style] in fits or chart.meter == "3/4"
    key = chart.key.replace(":min", ":m").replace(":maj", ":M")
    assert mir_eval.key.validate_key(" ".join([key.split(":")[0], "minor" if chart.mode == "min" else "major"])) is None
    for _, _, label in chart.segments(len(chart.bars)):
        root, bitmap, _ = mir_eval.chord.encode(label, reduce_extended_chords=True)
        assert root >= 0 and bitmap.sum() >= 3
    for chord in chart.beats(len(chart.bars)):
        root, bitmap, _ = mir_eval.chord.encode(chart.harte(chord))
        heard = {(root + tone) % 12 for tone in np.flatnonzero(bitmap)}
        assert heard <= chord.tones(), "Harte label and tones disagree"


def test_charts_cover_what_is_promised():
    assert len(CHARTS) >= 24
    assert {chart.style for chart in CHARTS.values()} == set(charts.STYLES)
    assert {chart.mode for chart in CHARTS.values()} == {"maj", "min"}
    assert {chart.meter for chart in CHARTS.values()} == set(charts.METERS)
    assert len({chart.tonic for chart in CHARTS.values()}) >= 8 and len({chart.tempo_bpm for chart in CHARTS.values()}) >= 12
    assert {*songs.VALIDATION, *songs.TEST, *songs.MINI} <= set(CHARTS)
    assert len({groove.genre for groove in GROOVES}) >= 12


def test_jazz_swings_and_rock_does_not():
    swings = {
        genre: {groove.swings for groove in GROOVES if groove.genre == genre} for genre in ("Jazz", "Swing", "Rock", "Metal")
    }
    assert swings == {"Jazz": {True}, "Swing": {True}, "Rock": {False}, "Metal": {False}}


def test_parse_reads_beats_and_names_what_is_wrong():
    text = "key: A:min\nmeter: 4/4\ntempo: 90\nstyle: pop\n\n| Am | F / G7sus4 G |\n"
    chart = charts.parse("x", text)
    assert chart.segments(3) == [(0, 4, "A:min"), (4, 6, "F:maj"), (6, 7, "G:sus4(b7)"), (7, 8, "G:maj"), (8, 12, "A:min")]
    assert chart.transposed(1).segments(1) == [(0, 4, "Bb:min")]
    for wrong, said in [("| Am | H |", "line 6"), ("| Am F |", "4 chords"), ("| / Am F C |", "chord"), ("nonsense", "line 6")]:
        with pytest.raises(DataError, match=said):
            charts.parse("x", text.replace("| Am | F / G7sus4 G |", wrong))
    with pytest.raises(DataError, match="header"):
        charts.parse("x", text.replace("key: A:min", ""))
    with pytest.raises(DataError, match="line 6"):
        charts.parse("x", text.replace("4/4", "5/4"))


@pytest.mark.parametrize("quality", charts.QUALITIES)
def test_the_tones_of_every_chord_are_those_of_its_label(quality: str):
    for root in range(12):
        chord = charts.ChartChord(root, quality)
        _, bitmap, _ = mir_eval.chord.encode(next(iter(CHARTS.values())).harte(chord), reduce_extended_chords=True)
        ninth = {(root + 2) % 12} if "9" in quality else set()
        assert {(root + tone) % 12 for tone in np.flatnonzero(bitmap)} | ninth == chord.tones()


def test_scales_are_modes_of_the_major_scale():
    major = charts.SCALES["major"]
    for degree, name in enumerate(("major", "dorian", "phrygian", "lydian", "mixolydian", "minor")):
        assert charts.SCALES[name] == tuple(sorted((step - major[degree]) % 12 for step in major))


@pytest.mark.parametrize(
    ("mode", "keys"), [("maj", "C G D A E B F Bb Eb Ab Db"), ("min", "A E B F# C# G# D G C F Bb")], ids=["major", "minor"]
)
def test_scales_are_spelled_with_seven_letters(mode: str, keys: str):
    for key in keys.split():
        chart = charts.parse("x", f"key: {key}:{mode}\nmeter: 4/4\ntempo: 90\nstyle: pop\n| {key} |\n")
        assert chart.key == f"{key}:{mode}"
        assert len({chart.spell((chart.tonic + step) % 12)[0] for step in chart.scale}) == 7


@given(st.sampled_from(sorted(CHARTS)), st.integers(0, 11))
def test_transposing_keeps_the_intervals(name: str, semitones: int):
    chart = CHARTS[name]
    moved = chart.transposed(semitones)
    bars = len(chart.bars)
    assert [{(tone + semitones) % 12 for tone in chord.tones()} for chord in chart.beats(bars)] == [
        chord.tones() for chord in moved.beats(bars)
    ]
    assert moved.transposed(-semitones) == chart


@pytest.mark.parametrize("name", ["north_wind", "quick_change"])
def test_phrases_repeat_two_rhythms_close_and_every_fourth_is_silent(name: str):
    """North wind is in 3/4, quick change in 4/4."""
    chart = CHARTS[name]
    for seed in range(20):
        notes = lead.melody(chart, 20, np.random.default_rng(seed))
        in_bars = [[note for note in notes if note.onset // chart.beats_per_bar == bar] for bar in range(20)]
        rhythms = [[(note.onset % chart.beats_per_bar, note.duration) for note in bar] for bar in in_bars]
        silent = [bar for bar in range(20) if not in_bars[bar]]
        assert silent == [12, 13, 14, 15]
        for phrase in (0, 4, 8, 16):
            assert rhythms[phrase] == rhythms[phrase + 2] == rhythms[0] and rhythms[phrase + 1] == rhythms[1] != rhythms[0]
            last = in_bars[phrase + 3][-1]
            assert rhythms[phrase + 3][0][0] == 0 and sum(rhythms[phrase + 3][-1]) <= chart.beats_per_bar - 0.5
            assert last.pitch % 12 in chart.beats(20)[int(last.onset)].tones()


@pytest.mark.parametrize("name", CHARTS)
def test_melodies_rise_in_a_phrase_and_keep_to_the_scale(name: str):
    chart = CHARTS[name]
    scale = {(chart.tonic + step) % 12 for step in chart.scale}
    chords, low, high = chart.beats(12), [], []
    for seed in range(20):
        for note in lead.melody(chart, 12, np.random.default_rng(seed)):
            tones = chords[int(note.onset)].tones()
            bent = {(tone + step) % 12 for tone in tones - scale for step in (-1, 1)}
            assert note.pitch % 12 in tones | (scale - bent)
            place = note.onset / chart.beats_per_bar % 4
            (high if 1.5 <= place < 2.5 else low if place < 0.5 else []).append(note.pitch)
    assert np.mean(high) > np.mean(low) + 1


@given(st.sampled_from(sorted(CHARTS)), st.integers(4, 40), st.integers(0, 99))
def test_melodies_follow_the_chords_and_breathe(name: str, bars: int, seed: int):
    chart = CHARTS[name]
    notes = lead.melody(chart, bars, np.random.default_rng(seed))
    assert notes == lead.melody(chart, bars, np.random.default_rng(seed))
    chords = chart.beats(bars)
    ends = [note.onset + note.duration for note in notes]
    assert all(end <= following.onset for end, following in zip(ends, notes[1:], strict=False))
    assert ends[-1] <= bars * chart.beats_per_bar
    in_bar = [note.onset % chart.beats_per_bar for note in notes]
    strong = [note for note, place in zip(notes, in_bar, strict=True) if place in (0, 2)]
    assert all(note.pitch % 12 in chords[int(note.onset)].tones() for note in strong)
    assert max(abs(a.pitch - b.pitch) for a, b in itertools.pairwise(notes)) <= 9
    rests = [following.onset - end for end, following in zip(ends, notes[1:], strict=False)]
    assert bars < 9 or max(rests) >= 0.5
    swung = lead.swung(notes)
    assert [note.pitch for note in swung] == [note.pitch for note in notes]
    assert all(note.duration > 0 for note in swung)
    moved = [(after.onset - before.onset) for before, after in zip(notes, swung, strict=True)]
    assert moved == pytest.approx([1 / 6 if note.onset % 1 == 0.5 else 0 for note in notes])
