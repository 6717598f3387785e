"""Rejects, lost songs, and names that an audit lists."""

from types import SimpleNamespace

import made_songs
import pandas as pd
import pytest
from audited import findings, item, songs
from made_songs import Song, parts

from instructme.dataset_tools.audit import audit, rejects
from instructme.dataset_tools.audit.report import Bars
from instructme.manifests import tables
from instructme.manifests.rows import Reject


def test_rejects_are_counted_by_reason_with_an_example(tmp_path):
    made = songs()
    rejects = [
        Reject("scan", "set", None, "x.wav", "unreadable", "x.wav: bad header", 2),
        Reject("prepare", "set", "a", "clips", "silent_clip", "3 of 4 windows", 3),
        Reject("prepare", "set", "d", "clips", "silent_clip", "4 of 4 windows", 4),
    ]
    work = made_songs.write(tmp_path, made, rejects=rejects)
    clips = tables.read(work / "clips.parquet", made_songs.Clip)
    rows = [made_songs.Clip(**each) for each in clips.to_pylist() if each["track_id"] != "d"]
    tables.write(work / "clips.parquet", rows, made_songs.Clip)
    report = audit(work, audio=False)
    assert item(report, "By reason").rows[0] == ("prepare", "silent_clip", 7, 2, "clips", "3 of 4 windows")
    assert item(report, "Rejects").values == {"silent_clip": 7.0, "unreadable": 2.0}
    (lost,) = (found for found in findings(report, "rejects") if found.level == "warning")
    assert lost.title == "1 of 4 songs gave no clip" and lost.table.rows == (("d", "test", "silent_clip"),)


@pytest.mark.parametrize(("lost", "level"), [(0, "fine"), (1, "note"), (2, "warning")])
def test_lost_songs_are_a_warning_where_they_are_more_than_a_tenth(tmp_path, lost, level):
    made = [Song(f"{number}", "train", parts(1)) for number in range(10)]
    rejects = [Reject("prepare", "set", "0", "clips", reason, "", 1) for reason in ("silent_clip", "short", "short")]
    work = made_songs.write(tmp_path, made, rejects=rejects)
    clips = [clip for clip in tables.read_rows(work / "clips.parquet", made_songs.Clip) if int(clip.track_id) >= lost]
    tables.write(work / "clips.parquet", clips, made_songs.Clip)
    told = findings(audit(work, audio=False), "rejects")[0]
    assert told.level == level
    if lost:
        assert told.title == f"{lost} of 10 songs gave no clip"
        assert told.table.rows == (("0", "train", "short, silent_clip"), ("1", "train", "unknown"))[:lost]


def test_songs_and_datasets_that_lost_the_most_come_first(tmp_path):
    rejects = [
        Reject("scan", None, None, "x.wav", "unreadable", "bad header", 2),
        Reject("prepare", "set", "a", "clips", "silent_clip", "3 of 4", 3),
        Reject("prepare", "other", "b", "clips", "silent_clip", "4 of 4", 4),
        Reject("prepare", "other", "b", "piano", "short", "1 s", 1),
    ]
    report = audit(made_songs.write(tmp_path, songs(), rejects=rejects), audio=False)
    assert item(report, "Songs with most rejects").rows == (("b", 5, "short, silent_clip"), ("a", 3, "silent_clip"))
    assert [line[1:4] for line in item(report, "By reason").rows] == [
        ("silent_clip", 7, 2),
        ("unreadable", 2, 0),
        ("short", 1, 1),
    ]
    datasets = item(report, "Rejects by dataset")
    assert datasets.columns == ("other", "set", "unknown")
    assert dict(zip(datasets.rows, datasets.values, strict=True)) == {
        "short": (1, 0, 0),
        "silent_clip": (4, 3, 0),
        "unreadable": (0, 0, 2),
    }


def test_reasons_are_drawn_from_the_most_to_the_least_and_twenty_songs_are_listed():
    rows = [("scan", "set", f"song {number}", "x.wav", "unreadable", "", 1) for number in range(25)]
    rows += [("scan", "set", "song 9", "y.wav", "absent", "", 2)]
    table = pd.DataFrame(rows, columns=["stage", "dataset", "track_id", "item", "reason", "detail", "count"])
    items = rejects.section(SimpleNamespace(rejects=table, prepared=False)).items
    bars = next(each for each in items if isinstance(each, Bars))
    assert list(bars.values.items()) == [("unreadable", 25.0), ("absent", 2.0)]
    assert len(items[-1].rows) == 20 and items[-1].rows[0] == ("song 9", 3, "absent, unreadable")


def test_unknown_and_uncertain_names_are_listed_with_their_mending(tmp_path):
    made = songs()
    strange = {
        "label": "zzqx",
        "instrument": "other",
        "family": "other",
        "editable": False,
        "rule": "unmatched",
        "certain": False,
    }
    made[0].stems = {"piano": strange, "drums": {"certain": False, "label": "drmz"}}
    made[2].stems = {"piano": strange}
    report = audit(made_songs.write(tmp_path, made, stage="scan"), audio=False)
    unmatched, guessed = findings(report, "names")[:2]
    assert unmatched.level == "warning" and unmatched.table.rows == (("zzqx", "other", "set", 2, 2),)
    assert "--aliases" in unmatched.detail and guessed.table.rows[0][:2] == ("drmz", "drums")


@pytest.mark.parametrize(("strange", "level"), [(1, "note"), (2, "warning")])
def test_unknown_names_are_a_warning_from_a_hundredth_of_the_stems_on(tmp_path, strange, level):
    made = [Song(f"{number:02}", "train", parts(1)) for number in range(34)]
    for song in made[:strange]:
        song.stems = {"piano": {"rule": "unmatched", "label": "zzqx", "instrument": "other", "editable": False}}
    report = audit(made_songs.write(tmp_path, made, stage="scan"), audio=False)
    told = findings(report, "names")[0]
    assert (told.level, told.title) == (level, f"1 label without an instrument, {strange} of 102 stems")


def test_what_is_known_and_never_edited_is_counted_by_label(tmp_path):
    made = songs()
    effects = {"instrument": "sound effects", "family": "other", "editable": False}
    labels = {"a": "FX", "b": "Noise", "c": "Noise"}
    for song in made[:3]:
        song.stems = {"piano": {**effects, "label": labels[song.track_id]}}
    report = audit(made_songs.write(tmp_path / "some", made, stage="scan"), audio=False)
    assert item(report, "Known, but never edited").rows == (("sound effects", "Noise", 2), ("sound effects", "FX", 1))
    clean = audit(made_songs.write(tmp_path / "none", songs(), stage="scan"), audio=False)
    assert "Known, but never edited" not in {each.title for section in clean.sections for each in section.items}
