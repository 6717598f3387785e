"""A study is made from edits: equal loudness and size, random names, training apart, and plain errors."""

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from made_study import made_study, made_table, tone

from instructme.manifests.rows import DataError
from instructme.pipelines.evaluation.cases import from_table
from instructme.pipelines.listening import check_sounds, clip_levels
from instructme.pipelines.listening.create import create
from instructme.pipelines.listening.page_order import Planner
from instructme.pipelines.listening.study import Study, read_stimuli, read_study
from instructme.pipelines.listening.wording import anchors, read_wording


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_study(tmp_path_factory.mktemp("create"), training=True)


def test_clips_have_one_loudness_one_size_one_time_and_no_telling_name(study: Path) -> None:
    stimuli = [each for each in read_stimuli(study) if each.task]
    assert {each.system for each in stimuli} == {"source", "reference", "anchor", "orca", "wren"} and len(stimuli) == 30
    for each in stimuli:
        samples, rate_hz = soundfile.read(study / "clips" / each.file)
        assert clip_levels.loudness_lufs(samples, rate_hz) == pytest.approx(-23, abs=0.1)
    stats = [(study / "clips" / each.file).stat() for each in stimuli]
    assert len({(stat.st_size, stat.st_mtime) for stat in stats}) == 1
    assert not [each for each in stimuli if each.system in each.file or each.key in each.file]


def test_two_triplets_are_kept_for_the_training(study: Path) -> None:
    assert len({each.item for each in read_stimuli(study) if each.training}) == 2


def test_loud_peaks_lower_all_clips_of_a_triplet_alike() -> None:
    click = np.zeros(24000, np.float32)
    click[::4000] = 0.5
    made = clip_levels.levelled({"tone": tone(440), "click": click}, (10.0,))
    assert max(abs(made.clips["click"]).max(), abs(made.clips["tone"]).max()) <= 0.99
    assert made.loudness_lufs["tone"] == pytest.approx(made.loudness_lufs["click"], abs=0.01) and made.loudness_lufs["tone"] < -23


def test_silence_stays_silence() -> None:
    made = clip_levels.levelled({"tone": tone(440), "nothing": np.zeros(24000, np.float32)}, (10.0,))
    assert not made.clips["nothing"].any()


@pytest.mark.parametrize(("have_s", "kept_s"), [([12, 11], 10), ([9.8, 12], 9.8), ([31, 40], 30), ([5, 6], 5), ([70, 65], 60)])
def test_clips_are_cut_to_a_length_that_all_have(have_s: list[float], kept_s: float) -> None:
    lengths = [round(each * clip_levels.RATE_HZ) for each in have_s]
    assert clip_levels.shared_length(lengths, (10.0, 30.0, 60.0)) == round(kept_s * clip_levels.RATE_HZ)


def test_a_remix_carries_the_lead_in_every_clip_but_the_source() -> None:
    both = clip_levels.with_lead(tone(220), tone(440, 2.0))
    assert len(both) == 24000 and np.allclose(both, tone(220) + tone(440))


def changed(folder: Path, change) -> Path:
    table = made_table(folder, 1)
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    change(rows)
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return table


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows.pop(), "wren has no edit of key1"),
        (lambda rows: rows[0].update(system="reference"), "reference"),
        (lambda rows: rows[0].update(instruction=""), "key0 has no instruction"),
        (lambda rows: rows[0].update(edit="absent.wav"), "orca has no edit of key0"),
    ],
)
def test_a_table_that_can_not_be_used_is_explained(tmp_path: Path, change, words: str) -> None:
    with pytest.raises(DataError, match=words):
        list(create(tmp_path / "study", from_table(changed(tmp_path / "edits", change)), Study()))
    assert not (tmp_path / "study").exists()


def test_a_folder_with_files_of_the_user_is_left_as_it_is(tmp_path: Path) -> None:
    table = made_table(tmp_path / "mine")
    before = sorted(path.name for path in table.parent.iterdir())
    with pytest.raises(DataError, match=r"mine holds other files, such as edits.csv: choose a new folder"):
        list(create(table.parent, from_table(table), Study()))
    assert sorted(path.name for path in table.parent.iterdir()) == before


def test_a_study_is_not_overwritten(study: Path) -> None:
    with pytest.raises(DataError, match="holds a study"):
        list(create(study, from_table(study.parent / "edits" / "edits.csv"), Study()))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("heard: 3", "unknown setting heard"),
        ("mode: many", "choose one of scores, pairs"),
        ("seed: x", "seed can't be 'x'"),
        ("scales: [beauty]", "beauty"),
        ("- a", "lines like"),
        ("a: [", "can't read study.yaml"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(DataError, match=words):
        read_study(tmp_path)


def test_settings_are_read_as_written(study: Path) -> None:
    values = yaml.safe_load((study / "study.yaml").read_text())
    assert set(values) == {field.name for field in dataclasses.fields(Study)}
    assert read_study(study).systems == ("orca", "wren")


def test_words_can_be_translated_in_part(study: Path, tmp_path: Path) -> None:
    (tmp_path / "wording.yaml").write_text("next: Weiter\nquestions: {quality: Wie gut klingt es}\n")
    words = read_wording(tmp_path / "wording.yaml")
    assert words["next"] == "Weiter" and words["questions"]["quality"] == "Wie gut klingt es" and words["questions"]["harmony"]
    (tmp_path / "wording.yaml").write_text("forward: Weiter\n")
    with pytest.raises(DataError, match="forward"):
        read_wording(tmp_path / "wording.yaml")


def test_each_kind_of_instruction_has_the_points_of_table_6() -> None:
    words = read_wording(Path("absent"))
    for scale, differs in (("quality", ()), ("relevance", ("instruments",)), ("harmony", ("remix",))):
        points = {
            (remix, instruments): anchors(words, scale, remix=remix, instruments=instruments)
            for remix in (True, False)
            for instruments in (True, False)
        }
        assert all([value for value, _ in each] == [5, 4, 3, 2, 1] for each in points.values())
        assert (points[True, True] != points[False, True]) == ("remix" in differs)
        assert (points[True, True] != points[True, False]) == ("instruments" in differs)


def test_a_remix_by_genre_is_told_from_one_by_instruments(tmp_path: Path) -> None:
    def change(rows: list[dict]) -> None:
        for row in rows:
            row.update(task="remix", instruction="remix to jazz" if row["key"] == "key0" else "remix with piano")

    list(create(tmp_path / "study", from_table(changed(tmp_path / "edits", change)), Study()))
    kinds = {(each.key, each.names_instruments) for each in read_stimuli(tmp_path / "study") if each.task}
    assert kinds == {("key0", False), ("key1", True)}


def test_the_example_of_another_target_is_not_about_quality(tmp_path: Path) -> None:
    study = made_study(tmp_path, training=True, anchor="shuffled")
    examples = [step for step in Planner(read_study(study), read_stimuli(study)).preparation() if step.kind == "example"]
    assert {step.scale for step in examples} == {"relevance", "harmony"}


def test_the_tone_of_the_headphone_check_exists_only_between_the_ears() -> None:
    sound = check_sounds.huggins_trial(2, 0)
    noise = sound[check_sounds.RATE_HZ * 3 // 2 :][: check_sounds.RATE_HZ]
    power = np.abs(np.fft.rfft(noise, axis=0)) ** 2
    hz = np.fft.rfftfreq(len(noise), 1 / check_sounds.RATE_HZ)
    near, around = (abs(hz - 600) < 8), (abs(hz - 600) < 200) & (abs(hz - 600) > 60)
    for ear in (0, 1):
        assert power[near, ear].mean() == pytest.approx(power[around, ear].mean(), rel=0.5)
    mixed = np.abs(np.fft.rfft(noise.mean(axis=1))) ** 2
    assert mixed[near].mean() < 0.2 * mixed[around].mean(), "what is between the ears cancels where they are mixed"
    assert np.array_equal(sound[: check_sounds.RATE_HZ, 0], sound[: check_sounds.RATE_HZ, 1])


@pytest.mark.parametrize("count", range(1, 6))
def test_beeps_can_be_counted(count: int) -> None:
    level = abs(check_sounds.beeps(count)[:, 0]).reshape(-1, 441).max(axis=1) > 0.05
    assert int(np.sum(level[1:] & ~level[:-1])) == count
