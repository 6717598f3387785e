"""Variants of an evaluation: instruments that aren't there, several samples, scales of the instruction."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from instructme.dataset_tools.audio import resample
from instructme.manifests.rows import DataError
from instructme.pipelines.cli import main
from instructme.pipelines.evaluation import made_edits
from instructme.pipelines.evaluation.absent_cases import absent_cases
from instructme.pipelines.evaluation.cases import Case
from instructme.pipelines.evaluation.metrics import absent_db
from instructme.pipelines.evaluation.sample_distances import distance_db, markdown_of_samples
from instructme.pipelines.evaluation.score_cases import ScoreSettings, score_case

SOURCE = np.random.default_rng(0).standard_normal(9600).astype(np.float32) * 0.1


class Sides:
    """A triplet in memory."""

    def read(self, rate_hz=24000):
        """Give both sides."""
        return SOURCE, SOURCE / 2


class HighSides:
    """A triplet whose target lacks the tone of 14 kHz that its source has; sampled at 32 kHz."""

    def read(self, rate_hz=24000):
        """Give both sides."""
        time_s = np.arange(32000) / 32000
        low, high = (np.sin(2 * np.pi * hz * time_s).astype(np.float32) * 0.2 for hz in (440, 14000))
        return resample(low + high, 32000, rate_hz), resample(low, 32000, rate_hz)


def case(key, named, sounding, task="remove", **values):
    return Case(key, task, "set", f"song {key}", f"remove {named}", Sides(), {}, (named,), sounding=sounding, **values)


def test_absent_instruments_are_those_of_other_songs():
    cases = [
        case("a", "drums", ("bass", "drums")),
        case("b", "piano", ("piano", "drums")),
        case("c", "bass", ("bass",), "extract"),
    ]
    made = absent_cases([*cases, case("d", "drums", ())])
    assert [(each.key, each.instruction, each.task) for each in made] == [("a-absent", "remove piano", "absent")]
    assert made[0].absent and made[0].gain_db == 0
    source, target = made[0].triplet.read()
    assert source is target


def test_si_sdr_hears_as_high_as_the_protocol_and_other_metrics_do_not(tmp_path):
    source, _ = HighSides().read(32000)
    soundfile.write(tmp_path / "edit.wav", source, 32000, subtype="FLOAT")
    made = replace(case("a", "drums", ()), triplet=HighSides(), edits={"run": tmp_path / "edit.wav"})

    def scored(rate_hz):
        settings = ScoreSettings(("si_sdr_db", "log_mel_db"), rate_hz=rate_hz)
        return {row.metric: row.value for row in score_case(made, settings, with_controls=False).rows}

    low, high = scored(24000), scored(32000)
    assert low["si_sdr_db"] > 40 and high["si_sdr_db"] == pytest.approx(0, abs=0.1)
    assert high["log_mel_db"] == pytest.approx(low["log_mel_db"], abs=0.5)


@pytest.mark.parametrize("level_db", [-60, -40, -10])
def test_the_level_of_a_change_is_measured(level_db):
    change = np.roll(SOURCE, 500) * np.float32(10 ** (level_db / 20))
    assert absent_db.score(SOURCE + change, SOURCE, True) == pytest.approx(level_db, abs=0.1)
    assert absent_db.score(SOURCE, SOURCE, True) == -100


def test_systems_of_scales_and_samples_have_names_and_settings_of_their_own(tmp_path):
    systems = made_edits.makers({"run": tmp_path / "run"}, guidance=(1, 2.5), samples=2, steps=4)
    assert [system.name for system in systems] == [f"run guidance {w} sample {n}" for w in ("1", "2.5") for n in (1, 2)]
    assert systems[2].settings == {"steps": 4, "text_guidance": 2.5} and systems[3].sample == 1


def test_samples_that_are_equal_have_no_distance(tmp_path):
    systems = ["run sample 1", "run sample 2"]
    soundfile.write(tmp_path / "one.wav", SOURCE, 24000)
    soundfile.write(tmp_path / "two.wav", np.random.default_rng(1).standard_normal(9600) * 0.1, 24000)
    same, other, gone = (case(key, "drums", (), "remove" if key == "same" else "remix") for key in ("same", "other", "gone"))
    for each, files in ((same, ("one", "one")), (other, ("one", "two")), (gone, ("one", "none"))):
        object.__setattr__(each, "edits", {name: tmp_path / f"{file}.wav" for name, file in zip(systems, files, strict=True)})
    assert distance_db(same, systems) == 0 and distance_db(other, systems) > 2 and distance_db(gone, systems) is None
    text = "\n".join(markdown_of_samples([same, other, gone]))
    assert "| set: remove | run | 2 | 0.00 n=1 |" in text and "| set: remix | run | 2 |" in text
    assert list(markdown_of_samples([case("x", "drums", ())])) == []


@pytest.mark.parametrize("option", [["--absent"], ["--samples", "2"], ["--guidance", "1,2"]])
def test_variants_need_a_run(tmp_path, option):
    result = CliRunner().invoke(main, ["evaluate", str(tmp_path), "--edits", str(tmp_path), "-o", str(tmp_path), *option])
    assert result.exit_code == 2 and "need --run" in result.output


class Separator:
    """Stand in for an editor that can't add."""

    asked = 0

    def edit(self, audio, rate_hz, instruction, settings=None, **changes):
        """Edit (T,)."""
        Separator.asked += 1
        if instruction.startswith("add"):
            raise DataError("this editor can't add")
        return audio / 2


def test_edits_are_made_again_where_the_separator_beside_a_run_changes(tmp_path):
    (tmp_path / "separator").mkdir()
    before = made_edits.Maker("run", tmp_path).state()
    (tmp_path / "separator" / "weights.safetensors").write_bytes(b"new")
    assert made_edits.Maker("run", tmp_path).state() != before


def test_what_a_run_refuses_is_counted_with_its_reason(tmp_path):
    (tmp_path / "run").mkdir()
    systems = made_edits.makers({"run": tmp_path / "run"})
    cases = [case("a", "drums", ()), replace(case("b", "piano", (), "add"), instruction="add piano")]
    for _ in range(2):  # the second time, nothing is left to do
        assert list(made_edits.make_edits(cases, systems, tmp_path / "edits", lambda run: Separator())) == []
    assert Separator.asked == 2
    done, refused = made_edits.with_edits(cases, systems, tmp_path / "edits")
    settings = ScoreSettings(("clipped",))
    assert [row.value for row in score_case(done, settings, False).rows] == [0]
    assert [row.reason for row in score_case(refused, settings, False).rows] == ["refused: this editor can't add"]
