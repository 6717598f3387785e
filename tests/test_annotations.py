"""Beats and chords in the formats that datasets ship."""

import json
from pathlib import Path

import pytest

from instructme.dataset_tools import harmony
from instructme.dataset_tools.beats import annotations, rhythm
from instructme.manifests.rows import DataError

BEATS = {
    "ballroom.beats": "0.5 3\n1.0 4\n1.5 1\n2.0 2\n",
    "beatles.txt": "0.500\t3\n1.000\t4\n1.500\t1\n2.000\t2\n",
    "spreadsheet.csv": "time;beat\n0.5;3\n1.0;4\n1.5;1\n2.0;2\n",
    "candombe.csv": "0.5,1.3\n1.0,1.4\n1.5,2.1\n2.0,2.2\n",
    "harmonix.txt": "0.5 3 1\n1.0 4 1\n1.5 1 2\n2.0 2 2\n",
    "beat.jams": json.dumps(
        {
            "annotations": [
                {
                    "namespace": "beat",
                    "data": [{"time": t, "duration": 0, "value": p} for t, p in ((0.5, 3), (1, 4), (1.5, 1), (2, 2))],
                }
            ]
        }
    ),
    "columns.jams": json.dumps(
        {
            "annotations": [
                {"namespace": "chord", "data": []},
                {
                    "namespace": "beat_position",
                    "data": {"time": [0.5, 1, 1.5, 2], "value": [{"position": p, "measure": 1} for p in (3, 4, 1, 2)]},
                },
            ]
        }
    ),
}


@pytest.mark.parametrize("name", BEATS)
def test_beats_of_every_format_are_the_same(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(BEATS[name])
    assert annotations.beats(path) == ([0.5, 1.0, 1.5, 2.0], [3, 4, 1, 2])


@pytest.mark.parametrize(("first", "positions"), [({}, [0] * 8), ({"position": 1}, [1, 2, 3, 4] * 2)])
def test_jams_may_have_positions_of_downbeats_or_none(first: dict[str, int], positions: list[int], tmp_path: Path) -> None:
    values = [{"measure": 1 + beat // 4} | (first if beat % 4 == 0 else {}) for beat in range(8)]
    data = [{"time": beat / 2, "duration": 0, "value": value} for beat, value in enumerate(values)]
    (tmp_path / "a.jams").write_text(json.dumps({"annotations": [{"namespace": "beat_position", "data": data}]}))
    assert annotations.beats(tmp_path / "a.jams") == ([beat / 2 for beat in range(8)], positions)


def test_seven_beats_of_a_bar_are_read_from_bar_and_beat(tmp_path: Path) -> None:
    (tmp_path / "beats.csv").write_text("\n".join(f"{beat},{12 + beat // 7}.{beat % 7 + 1}" for beat in range(14)))
    assert annotations.beats(tmp_path / "beats.csv").positions == [1, 2, 3, 4, 5, 6, 7] * 2


def test_rwc_counts_from_its_downbeats_in_hundredths(tmp_path: Path) -> None:
    (tmp_path / "rwc.csv").write_text("50\t100\t96\n100\t150\t384\n150\t200\t96\n200\t250\t192\n250\t300\t384\n")
    assert annotations.beats(tmp_path / "rwc.csv") == ([0.5, 1.0, 1.5, 2.0, 2.5], [0, 1, 2, 3, 1])


def test_beats_without_positions_are_counted_from_downbeats(tmp_path: Path) -> None:
    (tmp_path / "beats.txt").write_text("\n".join(str(beat / 2) for beat in range(8)))
    (tmp_path / "bars.txt").write_text("0.5\n2.01\n")
    assert annotations.beats(tmp_path / "beats.txt").positions == [0] * 8
    assert annotations.beats(tmp_path / "beats.txt", tmp_path / "bars.txt").positions == [4, 1, 2, 3, 1, 2, 3, 4]
    (tmp_path / "bars.txt").write_text("2.5\n")  # the bar is the longest one that is known
    assert annotations.beats(tmp_path / "beats.txt", tmp_path / "bars.txt").positions == [2, 3, 1, 2, 3, 1, 2, 3]
    (tmp_path / "bars.txt").write_text("0.7\n")
    with pytest.raises(DataError, match="downbeats aren't beats"):
        annotations.beats(tmp_path / "beats.txt", tmp_path / "bars.txt")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.lab", "0.0 1.5 C:maj\n1.5 2 G:7/3\n"),
        ("b.csv", "start,end,chord\n0,1.5,C:maj\n1.5,2,G:7/3\n"),
        ("c.txt", "# comment\n0.0\t1.5\tC:maj\n\n1.5\t2.0\tG:7/3"),
        (
            "d.jams",
            json.dumps(
                {
                    "annotations": [
                        {
                            "namespace": "chord",
                            "data": [
                                {"time": 0, "duration": 1.5, "value": "C:maj"},
                                {"time": 1.5, "duration": 0.5, "value": "G:7/3"},
                            ],
                        }
                    ]
                }
            ),
        ),
    ],
)
def test_chords_of_every_format_are_the_same(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    assert [span[:3] for span in annotations.chords(tmp_path / name)] == [(0, 1.5, "C:maj"), (1.5, 2, "G:7/3")]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "1.0\n0.5\n", "don't rise"),
        ("a.txt", "1.0 one\n", "line 1"),
        ("a.jams", "{}", "no annotation"),
        ("a.jams", "not json", "not a file of beats"),
        ("absent.txt", None, "can't read"),
    ],
)
def test_a_file_of_no_beats_is_one_line(name: str, text: str | None, message: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        annotations.beats(tmp_path / name)


def test_chords_out_of_order_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.lab").write_text("0 2 C:maj\n1 3 G:maj\n")
    with pytest.raises(DataError, match="out of order"):
        annotations.chords(tmp_path / "a.lab")


def test_beats_of_a_dataset_come_before_any_recogniser(tmp_path: Path) -> None:
    (tmp_path / "beats.txt").write_text("\n".join(f"{beat / 2} {beat % 3 + 1}" for beat in range(40)))
    grid = rhythm.from_annotation(tmp_path / "beats.txt", None, 10 * 8000, 8000)
    assert (grid.source, grid.trusted, grid.downbeat_known, grid.meter, grid.tempo_bpm) == ("annotation", True, True, "3/4", 120)
    assert grid.beats_samples.tolist() == list(range(0, 80000, 4000)) and grid.beat_positions.tolist()[:4] == [1, 2, 3, 1]
    (tmp_path / "beats.txt").write_text("\n".join(f"{beat / 2}" for beat in range(40)))
    grid = rhythm.from_annotation(tmp_path / "beats.txt", None, 10 * 8000, 8000)
    assert (grid.trusted, grid.downbeat_known, grid.reason) == (False, False, "downbeats unknown")


def test_beats_without_any_downbeat_tell_no_bars(tmp_path: Path) -> None:
    (tmp_path / "beats.txt").write_text("\n".join(f"{beat / 2} {beat % 3 + 2}" for beat in range(40)))
    grid = rhythm.from_annotation(tmp_path / "beats.txt", None, 20 * 8000, 8000)
    assert (grid.trusted, grid.downbeat_known, grid.meter, grid.reason) == (False, False, None, "downbeats unknown")


def test_annotated_beats_end_with_the_mix(tmp_path: Path) -> None:
    (tmp_path / "beats.txt").write_text("\n".join(f"{beat / 2}" for beat in range(40)))
    grid = rhythm.from_annotation(tmp_path / "beats.txt", None, 84_000, 8000)  # 10.5 s
    assert grid.beats_samples[-1] == 80_000 and len(grid.beats_samples) == 21


@pytest.mark.parametrize("factor", [1000, 44100])
def test_times_that_are_not_seconds_are_refused(factor: int, tmp_path: Path) -> None:
    (tmp_path / "beats.txt").write_text("\n".join(f"{beat * factor // 2} {beat % 4 + 1}" for beat in range(20)))
    (tmp_path / "chords.lab").write_text("".join(f"{bar * 2 * factor} {(bar + 1) * 2 * factor} C:maj\n" for bar in range(5)))
    with pytest.raises(DataError, match=r"not seconds.*beats.txt"):
        rhythm.from_annotation(tmp_path / "beats.txt", None, 10 * 8000, 8000)
    with pytest.raises(DataError, match=r"not seconds.*chords.lab"):
        harmony.from_chart(tmp_path / "chords.lab", 10 * 8000, 8000)


@pytest.mark.parametrize(("apart", "read"), [(21.5, False), (2.18, False), (1.5, True), (0.16, True), (0.01, False)])
def test_frames_and_bars_are_no_beats(apart: float, read: bool, tmp_path: Path) -> None:
    (tmp_path / "beats.txt").write_text("\n".join(f"{0.5 + beat * apart:.3f}" for beat in range(20)))
    if read:
        assert rhythm.from_annotation(tmp_path / "beats.txt", None, 40 * 8000, 8000).source == "annotation"
    else:
        with pytest.raises(DataError, match=r"not beats.*s apart: write the time of every beat"):
            rhythm.from_annotation(tmp_path / "beats.txt", None, 40 * 8000, 8000)


def test_beats_of_a_song_are_read_for_an_excerpt(tmp_path: Path) -> None:
    (tmp_path / "beats.txt").write_text("\n".join(f"{beat / 2} {beat % 4 + 1}" for beat in range(600)))
    assert len(rhythm.from_annotation(tmp_path / "beats.txt", None, 10 * 8000, 8000).beats_samples) == 20
