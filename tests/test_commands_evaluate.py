"""`instructme evaluate`: tables of files and folders of edits in, scores and tables out; everything is counted."""

import csv

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from evaluation_music import chords, drums
from made_work import make_work
from other_run import used_elsewhere

from instructme.manifests import tables
from instructme.manifests.rows import DataError, EditScore
from instructme.pipelines.cli import main
from instructme.pipelines.data.shard_reader import ShardReader
from instructme.pipelines.evaluation import case_list, cases, evaluate, scoring
from instructme.pipelines.evaluation.controls import CONTROLS
from instructme.pipelines.evaluation.shard_cases import Choice, from_shards
from instructme.pipelines.stages.shard import shard

FAST = ["clipped", "edit_done", "joint", "kept_error_db", "log_mel_db", "si_sdr_db", "si_sdri_db"]


@pytest.fixture(autouse=True)
def only_fast_metrics(monkeypatch):
    monkeypatch.setattr(scoring, "usable", lambda networks: (FAST, {"note_f": "fetch the weights"}))


@pytest.fixture
def pairs(tmp_path):
    """Write seven pairs with edits of two systems: half done at 44.1 kHz in stereo, not done, short, damaged, missing, silent."""
    rows = []
    for number in range(7):
        bed, drum = chords(number, seconds=3.0), drums(3.0, seed=number)
        for name, samples in (("s", bed + drum), ("t", bed), ("half", bed + 0.3 * drum)):
            soundfile.write(tmp_path / f"{number}{name}.wav", samples, 24000)
        for system, edit in (("half", f"{number}half.wav"), ("none", f"{number}s.wav")):
            sides = {"source": f"{number}s.wav", "target": f"{number}t.wav"}
            rows.append({"key": str(number), "instruction": "remove drums", **sides, "edit": edit, "system": system})
    samples, _ = soundfile.read(tmp_path / "0half.wav")
    soundfile.write(tmp_path / "0half.wav", np.stack([samples] * 2, axis=1)[:70000], 24000)
    soundfile.write(tmp_path / "1s_short.wav", samples[:30000], 24000)
    soundfile.write(tmp_path / "2nan.wav", np.full(72000, np.nan), 24000, subtype="FLOAT")
    rows[3]["edit"], rows[5]["edit"], rows[7]["edit"] = "1s_short.wav", "2nan.wav", "gone.wav"
    return write(tmp_path / "pairs.csv", rows)


def write(path, rows):
    with path.open("w") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
    return path


def run(*arguments):
    return CliRunner().invoke(main, ["evaluate", *map(str, arguments)], catch_exceptions=False)


def test_pairs_become_scores_and_tables(pairs, tmp_path):
    result = run("--pairs", pairs, "-o", tmp_path / "out", "--workers", 0)
    assert result.exit_code == 0 and "scored 7 triplets of half, none" in result.output
    rows = tables.read_rows(tmp_path / "out/scores.parquet", EditScore)
    assert len(rows) == 7 * len(FAST) * (2 + len(CONTROLS))
    assert {row.task for row in rows} == {"remove"} and {row.dataset for row in rows} == {"pairs"}
    assert "none: 3 of 7 edits have no score (lengths_differ 1, missing_edit 1, unreadable_edit 1)" in result.output
    assert "half: " not in result.output
    assert "\nedits of none are the source itself: 4\n" in result.output and "edits of half are" not in result.output
    value = {(row.key, row.system, row.metric): row.value for row in rows}
    reason = {(row.key, row.system): (row.reason or "").partition(":")[0] for row in rows if row.metric == "clipped"}
    assert 0 < value["3", "half", "edit_done"] < value["3", "oracle", "edit_done"] == 1
    assert value["0", "none", "si_sdri_db"] == 0 == value["0", "identity", "si_sdri_db"]
    assert value["0", "none", "joint"] == 0
    assert [reason[str(number), "none"] for number in range(4)] == ["", "lengths_differ", "unreadable_edit", "missing_edit"]
    text = (tmp_path / "out/tables.md").read_text()
    assert (
        "edits were shorter than their targets, and all sides were cut: 1" in text and "| `clipped` | missing_edit | 1 |" in text
    )
    assert "`note_f` was not computed: fetch the weights" in text and "half is better" in text
    page = (tmp_path / "out/scores.html").read_text()
    assert "Worst edit_done of half" in page and "All edits" in page and page.count("<audio") >= 8
    assert "| **half** | 7 |" in text and all(f"| {control} | 7 |" in text for control in CONTROLS)


def test_the_same_run_gives_the_same_scores(pairs, tmp_path):
    for out in ("one", "two"):
        run("--pairs", pairs, "-o", tmp_path / out, "--workers", 0)
    assert (tmp_path / "one/scores.parquet").read_bytes() == (tmp_path / "two/scores.parquet").read_bytes()


def test_a_system_that_adds_noise_is_below_identity(pairs, tmp_path):
    rows = list(csv.DictReader(pairs.open()))[::2]
    for row in rows:
        samples, _ = soundfile.read(tmp_path / row["source"])
        noisy = samples + 0.3 * np.random.default_rng(0).standard_normal(len(samples))
        soundfile.write(tmp_path / f"{row['key']}noisy.wav", noisy, 24000)
        row["edit"], row["system"] = f"{row['key']}noisy.wav", "noisy"
    out = tmp_path / "out"
    run("--pairs", write(tmp_path / "noisy.csv", rows), "-o", out, "--workers", 0, "--set", "controls=4")
    (line,) = [line for line in (out / "tables.md").read_text().splitlines() if line.startswith("| **noisy**")]
    assert line.count("▼") >= 3


def test_shards_are_scored_with_a_folder_of_edits(tmp_path):
    work = make_work(tmp_path / "work")
    shard(work, work / "shards", limit=4, splits=["train"], workers=0)
    reader = ShardReader(work / "shards", "train")
    (tmp_path / "perfect").mkdir()
    for row in range(3):
        audio = reader.audio(row)
        soundfile.write(tmp_path / f"perfect/{audio.key}.wav", audio.target, reader.values(row)["sample_rate_hz"])
    arguments = ["--edits", tmp_path / "perfect", "--split", "train", "-o", tmp_path / "out", "--workers", 0]
    result = run(work / "shards", *arguments, "--set", "controls=0")
    assert result.exit_code == 0, result.output
    rows = tables.read_rows(tmp_path / "out/scores.parquet", EditScore)
    assert {row.system for row in rows} == {"perfect"}
    scored = [row.value for row in rows if row.metric == "si_sdr_db" and row.value is not None]
    assert len(scored) == 3 and min(scored) > 60
    assert sum(row.reason == "missing_edit" for row in rows if row.metric == "si_sdr_db") == 1


def test_which_edits_are_meant_is_never_guessed(tmp_path):
    work = make_work(tmp_path / "work")
    shard(work, work / "shards", limit=4, splits=["train"], workers=0)
    key = ShardReader(work / "shards", "train").audio(0).key
    for folder in (tmp_path / "half", tmp_path / "mine/half"):
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
    fixed = [work / "shards", "--split", "train", "-o", tmp_path / "out", "--workers", 0]
    result = run(*fixed, "--edits", tmp_path / "mine/half", "--run", tmp_path / "half")
    assert result.exit_code == 1 and "half is the name of a run and of a folder of edits" in result.output
    for suffix in (".wav", ".flac"):
        soundfile.write(tmp_path / f"mine/half/{key}{suffix}", np.zeros(9), 24000)
    result = run(*fixed, "--edits", tmp_path / "mine/half")
    assert result.exit_code == 1 and f"has two edits of {key}, {key}.wav and {key}.flac" in result.output


def test_more_triplets_hold_the_fewer_ones(tmp_path):
    work = make_work(tmp_path / "work")
    shard(work, work / "shards", splits=["train"], workers=0)
    few, many = (from_shards(work / "shards", Choice("train", count), {}) for count in (1, 3))
    assert {case.key for case in few} < {case.key for case in many}
    assert all(case.gain_db == 0 for case in many)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no rows"),
        ("key,source,target\na,b,c\n", "has no column edit"),
        ("key,source,target,edit\n,b,c,d\n", "line 2"),
        ("key,source,target,edit\na,b,c,d\na,x,c,d\n", "two different cells of source"),
        ("key,source,target,edit,system,instruction\na,b,c,d,x,mute bass\na,b,c,e,y,mute drums\n", "cells of instruction"),
        ("key,instruction,source,target,edit\na,mute bass, drums,b,c,d\n", "line 2 has more cells than the header: write quotes"),
        ("key;source;target;edit;instruction\na;b;c;d;mute bass\na;b;c;d;mute bass; drums\n", "line 3 has more cells"),
        ("key,source,target,edit,Edit\na,b,c,d,e\n", "two columns edit"),
        ("key,source,target,edit\na,b,c,d\na,b,c,d\n", "two edits of edit"),
        ("key,source,target,edit,system\na,b,c,d,oracle\n", "oracle is the name of a control"),
    ],
)
def test_tables_that_cannot_be_used_are_explained(tmp_path, text, message):
    path = tmp_path / "pairs.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        list(evaluate.evaluate(cases.from_table(path), tmp_path / "out", workers=0))


def test_a_missing_source_is_a_reason_for_every_metric(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("key;source;target;edit\na;b.wav;c.wav;d.wav\n")
    run("--pairs", path, "-o", tmp_path / "out", "--workers", 0)
    rows = tables.read_rows(tmp_path / "out/scores.parquet", EditScore)
    assert len(rows) == len(FAST) and all(str(row.reason).startswith("unreadable_triplet") for row in rows)


def test_a_table_that_names_wrong_files_is_told(tmp_path):
    for name, samples in (("s", chords(0, seconds=3.0) + drums(3.0)), ("t", chords(0, seconds=3.0))):
        soundfile.write(tmp_path / f"{name}.wav", samples, 24000)
    path = tmp_path / "pairs.csv"
    path.write_text("key,source,target,edit\na,s.wav,t.wav,t.wav\nb,s.wav,s.wav,t.wav\n")
    result = run("--pairs", path, "-o", tmp_path / "out", "--workers", 0)
    assert "\nedits of edit are the target itself: 1\n" in result.output
    assert "\ntriplets have a target that is the source: 1\n" in result.output


def test_edits_that_are_late_are_told(tmp_path):
    bed = chords(0, seconds=3.0) + 0.1 * np.random.default_rng(0).standard_normal(72000).astype(np.float32)
    soundfile.write(tmp_path / "s.wav", bed + drums(3.0), 24000)
    soundfile.write(tmp_path / "t.wav", bed, 24000)
    for name, edit in (("late", np.roll(bed, 600)), ("right", bed + 0.1 * drums(3.0)), ("wrong", drums(3.0))):
        soundfile.write(tmp_path / f"{name}.wav", edit, 24000)
    rows = [f"a,s.wav,t.wav,{system}.wav,{system}" for system in ("late", "right", "wrong")]
    (tmp_path / "pairs.csv").write_text("\n".join(["key,source,target,edit,system", *rows]))
    result = run("--pairs", tmp_path / "pairs.csv", "-o", tmp_path / "out", "--workers", 0)
    assert "\nedits of late are late or early, which metrics of samples such as si_sdr_db punish: 1\n" in result.output
    assert "edits of right" not in result.output and "edits of wrong" not in result.output


def test_tasks_and_cells_that_are_not_understood_are_told(pairs, tmp_path):
    rows = [{**row, "task": "removal", "absent": "maybe"} for row in csv.DictReader(pairs.open())]
    told = run("--pairs", write(pairs, rows), "-o", tmp_path / "out", "--workers", "0").stderr
    assert "tasks of unknown names get tables of their own: removal; known are add, " in told
    assert "cells of 'absent' that are neither yes nor no count as no" in told


def test_columns_of_unknown_names_are_told(pairs, tmp_path):
    text = pairs.read_text()
    assert "not read" not in run("--pairs", pairs, "-o", tmp_path / "out", "--workers", "0").stderr
    pairs.write_text(text.replace("instruction", "Instructions", 1))
    told = f"{pairs}: columns of unknown names are not read: instructions"
    assert told in run("--pairs", pairs, "-o", tmp_path / "out", "--workers", "0").stderr


def test_a_table_of_another_encoding_is_read_and_told(pairs, tmp_path):
    text = pairs.read_text().replace("0half.wav", "canção.wav")
    (tmp_path / "0half.wav").rename(tmp_path / "canção.wav")
    pairs.write_bytes(text.encode("cp1252"))
    result = run("--pairs", pairs, "-o", tmp_path / "out", "--workers", "0")
    assert result.exit_code == 0 and f"{pairs} is not in UTF-8, and was read as Windows-1252" in result.stderr
    pairs.write_text(text)
    assert "not in UTF-8" not in run("--pairs", pairs, "-o", tmp_path / "out", "--workers", "0").stderr


def test_a_task_that_its_instruction_contradicts_is_told(pairs, tmp_path):
    rows = [{**row, "task": "Remove"} for row in csv.DictReader(pairs.open())]
    assert "the instruction asks" not in run("--pairs", write(pairs, rows), "-o", tmp_path / "out", "--workers", "0").stderr
    rows[2]["task"], rows[3]["task"], rows[4]["task"] = "add", "add", "my own task"
    told = f"{pairs}, line 4, and 1 other line: the task is add, but the instruction asks to remove: correct one of them"
    assert told in run("--pairs", write(pairs, rows), "-o", tmp_path / "out", "--workers", "0").stderr


def test_files_of_edits_that_are_named_after_no_key_are_told(tmp_path):
    work = make_work(tmp_path / "work")
    shard(work, work / "shards", limit=2, splits=["train"], workers=0)
    keys = [case.key for case in from_shards(work / "shards", Choice("train"), {})]
    (tmp_path / "mine").mkdir()
    scored = [work / "shards", "--edits", tmp_path / "mine", "--split", "train", "-o", tmp_path / "out", "--workers", 0]
    for key in keys:
        soundfile.write(tmp_path / "mine" / f"{key}_edit.wav", np.full(24000, 0.1), 24000)
    result = run(*scored)
    told = f"mine holds no edit of these triplets, but files, such as {keys[0]}_edit.wav: name each file after the key"
    assert result.exit_code == 1 and told in result.stderr
    (tmp_path / "mine" / f"{keys[0]}_edit.wav").rename(tmp_path / "mine" / f"{keys[0]}.WAV")
    result = run(*scored)
    assert f"mine: 1 file in {tmp_path / 'mine'} has the name of no key, such as {keys[1]}_edit.wav" in result.stderr
    assert "missing_edit 1)" in result.output
    (tmp_path / "mine" / f"{keys[1]}_edit.wav").rename(tmp_path / "mine" / f"{keys[1]}.wav")
    (tmp_path / "mine/notes.txt").write_text("mine")
    result = run(*scored)
    assert result.exit_code == 0 and "no key" not in result.stderr and "missing_edit" not in result.output


def test_a_folder_of_scores_is_written_by_one_command_at_a_time(pairs, tmp_path):
    (tmp_path / "out").mkdir()
    with used_elsewhere(tmp_path / "out"):
        result = run("--pairs", pairs, "-o", tmp_path / "out", "--workers", "0")
    assert result.exit_code == 1 and "in use by another command" in result.stderr
    assert not (tmp_path / "out" / case_list.LIST).exists()


def test_usage_errors_exit_with_2(tmp_path):
    assert run("-o", tmp_path).exit_code == 2
    assert run(tmp_path, "-o", tmp_path).exit_code == 2


def test_edits_of_other_shards_are_never_scored(tmp_path, half_editor):
    work = make_work(tmp_path / "work")
    (tmp_path / "half").mkdir()
    (tmp_path / "half/config.json").write_text("{}")
    out, shards = tmp_path / "out", work / "shards"
    fixed = [shards, "--run", tmp_path / "half", "--split", "train", "--workers", 0, "--set", "controls=0"]
    shard(work, shards, limit=4, splits=["train"], workers=0)
    assert run(*fixed, "-o", out).exit_code == 0
    before = {path.name: path.read_bytes() for path in (out / "edits/half").glob("*.flac")}
    shard(work, shards, limit=4, splits=["train"], workers=0, normalise="side")  # other audio with the same keys
    with pytest.raises(DataError, match=r"has changed since .*out was made"):
        case_list.read_list(out)
    result = run(shards, "--edits", out / "edits/half", "--split", "train", "-o", tmp_path / "given", "--workers", 0)
    assert result.exit_code == 1 and "holds edits of other shards" in result.output
    result = run(*fixed, "-o", out)
    assert "4 edits of half are made again, because the run, the settings or the shards have changed" in result.output
    after = {path.name: path.read_bytes() for path in (out / "edits/half").glob("*.flac")}
    assert before.keys() == after.keys() and before != after
    assert len(case_list.read_list(out)) == 4


class HalfEditor:
    """Stand in for a trained run: lower the sound by half, and stop after so many edits."""

    made, most = 0, 10**9

    def edit(self, audio, rate_hz, instruction, settings=None, **changes):
        """Edit (T,)."""
        if HalfEditor.made >= HalfEditor.most:
            raise KeyboardInterrupt
        HalfEditor.made += 1
        return audio * 0.5 + np.random.default_rng(changes["seed"]).standard_normal(len(audio)).astype(np.float32) * 0.01


@pytest.fixture
def half_editor(monkeypatch):
    from instructme.pipelines.commands import options

    monkeypatch.setattr(options, "load_editor", lambda run, device: HalfEditor())
    HalfEditor.made, HalfEditor.most = 0, 10**9


def test_a_run_that_was_stopped_goes_on_and_gives_the_same_scores(tmp_path, half_editor):
    work = make_work(tmp_path / "work")
    shard(work, work / "shards", limit=4, splits=["train"], workers=0)
    (tmp_path / "half").mkdir()
    (tmp_path / "half/config.json").write_text("{}")
    fixed = [work / "shards", "--run", tmp_path / "half", "--split", "train", "--workers", 0, "--set", "controls=0"]
    assert run(*fixed, "-o", tmp_path / "whole").exit_code == 0
    HalfEditor.made, HalfEditor.most = 0, 2
    assert run(*fixed, "-o", tmp_path / "stopped").exit_code != 0
    assert len(list((tmp_path / "stopped/edits/half").glob("*.flac"))) == 2
    HalfEditor.most = 10**9
    run(*fixed, "-o", tmp_path / "stopped")
    assert HalfEditor.made == 4
    assert (tmp_path / "whole/scores.parquet").read_bytes() == (tmp_path / "stopped/scores.parquet").read_bytes()
    (tmp_path / "half/config.json").write_text('{"other": 1}')
    assert "4 edits of half are made again" in run(*fixed, "-o", tmp_path / "stopped").output
