"""Hours, histograms and levels of an audit."""

import made_songs
import numpy as np
import pytest
from audited import cells, findings, item, rewrite, songs
from made_songs import recipe

from instructme.dataset_tools.audit import audit, inputs
from instructme.dataset_tools.audit.report import Histogram
from instructme.manifests import tables
from instructme.manifests.rows import Part, Rhythm


def counted_bins(histogram: Histogram, split: str) -> dict[tuple[float, float], int]:
    bins = zip(histogram.edges, histogram.edges[1:], histogram.series[split], strict=False)
    return {(low, high): count for low, high, count in bins if count}


def test_hours_are_those_in_which_parts_play(tmp_path):
    work = made_songs.write(tmp_path, songs())
    expected = dict.fromkeys(made_songs.NAMES, 0.0)
    for part in tables.read_rows(work / "parts.parquet", Part):
        expected[part.instrument] += sum(part.activity) / 10 / 3600
    report = audit(work, audio=False)
    told = {name: line["hours playing"] for name, line in cells(item(report, "By instrument")).items()}
    assert told == pytest.approx(expected, rel=1e-3)
    families = {"drums": "drums", "bass": "electric bass", "keys": "piano"}
    bars = item(report, "Hours playing by family").values
    assert bars == pytest.approx({family: expected[name] for family, name in families.items()}, rel=1e-6)
    assert list(bars.values()) == sorted(bars.values(), reverse=True)


def test_parts_begin_with_their_first_active_frame(tmp_path):
    made = songs()
    made[1].parts = {name: np.roll(sound, made_songs.WINDOW) for name, sound in made[1].parts.items()}
    work = made_songs.write(tmp_path, made)
    parts = inputs.read(work).parts
    expected = {
        (each.track_id, each.instrument): each.activity.index(True) for each in tables.read_rows(work / "parts.parquet", Part)
    }
    assert dict(zip(zip(parts["track_id"], parts["instrument"], strict=True), parts["first_active"], strict=True)) == expected
    assert len(set(expected.values())) > 3


def test_triplets_are_counted_by_task_with_the_hours_of_a_side(tmp_path):
    made = songs()
    recipes = [recipe(n, made[0], "remove", ["drums"], []) for n in range(3)]
    recipes += [recipe(3, made[3], "rebalance", ["piano"], []), recipe(4, made[3], "add", [], ["piano"])]
    report = audit(made_songs.write(tmp_path, made, recipes=recipes), audio=False)
    tasks = cells(item(report, "Triplets by task"))
    assert [tasks["remove"][name] for name in ("triplets", "train", "validation", "test")] == [3, 3, 0, 0]
    assert tasks["remove"]["hours per side"] == pytest.approx(3 * 3 / 3600, rel=1e-3)
    assert [tasks["rebalance"][name] for name in ("triplets", "train", "validation", "test")] == [1, 0, 0, 1]
    matrix = item(report, "Triplets by licence and task")
    assert matrix.columns == ("add", "remove", "extract", "replace", "remix", "rebalance"), "the usual tasks, and what was drawn"
    assert matrix.values == ((0, 3, 0, 0, 0, 0), (1, 0, 0, 0, 0, 1))
    used = item(report, "How often a source window is used")
    assert used.rows == (("train", 3, 1, 3.0, 3), ("test", 2, 1, 2.0, 2))
    assert used.note == "3 different instructions in 5 triplets."


def test_charts_have_each_value_in_its_bin(tmp_path):
    made = songs()
    recipes = [
        recipe(n, made[0], "remix", [], ["piano"], target_track="b", target_stretch=stretch, chord_agreement=0.72)
        for n, stretch in enumerate((1.05, 0.97))
    ]
    report = audit(made_songs.write(tmp_path, made, recipes=recipes), audio=False)
    stretches = counted_bins(item(report, "Remix: time-stretch of targets"), "train")
    assert stretches == {(-3.5, -2.5): 1, (4.5, 5.5): 1}
    assert counted_bins(item(report, "Remix: share of the time with the same chord"), "train") == {(70, 75): 2}
    assert counted_bins(item(report, "Parts that can be edited in a clip"), "train") == {(2.5, 3.5): 8}
    assert counted_bins(item(report, "Level of the mix of a clip"), "test") == {(-16, -14): 4}
    assert counted_bins(item(report, "Tempo of songs"), "test") == {(120, 125): 1}
    lengths = item(report, "Length of songs")
    assert lengths.edges[-1] == 6 and [*counted_bins(lengths, "train").values()] == [2]


def test_loudness_bandwidth_and_gain_of_parts_are_told(tmp_path):
    work = made_songs.write(tmp_path, songs())
    fine = audit(work, audio=False)
    titles = {each.title for each in findings(fine, "distributions")}
    assert not any("bandwidth" in title or "Turned down" in title for title in titles)
    loud = {"a": -30.0, "b": -20.0, "c": -18.0, "d": -10.0}
    rewrite(work, "parts", Part, lambda part: {"lufs": loud[part.track_id], "gain": 0.5 if part.track_id == "a" else 1.0})
    rewrite(work, "parts", Part, lambda part: {"bandwidth_hz": 3000} if part.track_id in "ab" else {})
    report = audit(work, audio=False)
    table = cells(item(report, "Loudness by instrument"))
    assert [table["piano"][name] for name in ("parts", "5 %", "median LUFS", "95 %")] == [4, -28.5, -19.0, -11.2]
    played = [np.mean(part.activity) for part in tables.read_rows(work / "parts.parquet", Part) if part.instrument == "piano"]
    assert table["piano"]["plays, % of the song"] == round(100 * np.median(played))
    told = {each.title: each for each in findings(report, "distributions")}
    assert told["6 parts of less bandwidth than the others"].table.rows == (("other", 3000, 3), ("set", 3000, 3))
    assert "reach 4,000 Hz" in told["6 parts of less bandwidth than the others"].detail
    assert "The lowest gain is -6.0 dB." in told["Turned down: 1 song"].detail


@pytest.mark.parametrize(("lost", "level"), [(1, "note"), (2, "note"), (3, "warning")])
def test_songs_without_trusted_beats_are_a_warning_where_they_are_most(tmp_path, lost, level):
    work = made_songs.write(tmp_path, songs())
    why = {"trusted": False, "reason": "notes off the grid"}
    rewrite(work, "rhythm", Rhythm, lambda rhythm: why if rhythm.track_id in "abc"[:lost] else {"key": "A:min"})
    report = audit(work, audio=False)
    (told,) = (each for each in findings(report, "distributions") if "trusted beats" in each.title)
    assert (told.level, told.title) == (level, f"{lost} of 4 songs without trusted beats")
    assert told.table.rows == (("notes off the grid", lost),)
    assert item(report, "Key of songs").rows == ("C:maj", "A:min"), "major before minor"
    assert item(report, "Source of beats, and whether remix trusts them").rows == ("midi, not trusted", "midi, trusted")
