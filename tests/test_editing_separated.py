"""Edits by the separator: what is removed and what is extracted add up, spans and levels hold, the rest is refused."""

import dataclasses
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner

from instructme.manifests.rows import DataError
from instructme.model.checkpoint import restore, save_weights, write_config
from instructme.model.config import ModelError, SeparatorConfig
from instructme.model.presets import TINY
from instructme.model.separator import Separator
from instructme.pipelines.cli import main
from instructme.pipelines.editing import run_folders
from instructme.pipelines.editing.editor import Editor, EditWarning
from instructme.pipelines.editing.part_separator import PartSeparator
from instructme.pipelines.editing.run_folders import find_run

RATE_HZ = 44_100
SIZES = SeparatorConfig(
    instruments=("drums", "electric bass", "piano"), width=16, encoder_layers=1, decoder_layers=1, condition_width=4
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a separator with random weights; its presence is always over the gate."""
    folder = tmp_path_factory.mktemp("separator")
    torch.manual_seed(0)
    network = Separator(SIZES)
    torch.nn.init.constant_(network.mask.presence.bias, 20.0)
    write_config(folder, "separator", dataclasses.replace(TINY, separator=SIZES))
    save_weights(folder, "weights", {name: each.half() for name, each in network.state_dict().items()})
    return folder


@pytest.fixture(scope="module")
def editor(run: Path) -> Editor:
    return Editor.load(run)


@pytest.fixture(scope="module")
def music() -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal((14 * RATE_HZ, 2)).astype(np.float32)


def test_what_is_removed_is_what_is_extracted(editor: Editor, music: np.ndarray) -> None:
    removed, extracted = (editor.edit(music, RATE_HZ, text) for text in ("remove drums", "extract drums"))
    np.testing.assert_allclose(removed + extracted, music, atol=1e-5)
    assert 0.05 < np.square(extracted).mean() / np.square(music).mean() < 0.95


def test_a_level_changes_the_part_alone(editor: Editor, music: np.ndarray) -> None:
    part = editor.edit(music, RATE_HZ, "extract piano")
    louder = editor.edit(music, RATE_HZ, "turn piano up by 6 dB")
    np.testing.assert_allclose(louder, music + (10**0.3 - 1) * part, atol=1e-5)


def test_outside_of_a_time_span_nothing_changes(editor: Editor, music: np.ndarray) -> None:
    edited = editor.edit(music, RATE_HZ, "remove drums from 2 to 4 seconds")
    assert np.array_equal(edited[: 2 * RATE_HZ], music[: 2 * RATE_HZ])
    assert np.array_equal(edited[4 * RATE_HZ :], music[4 * RATE_HZ :])
    assert not np.allclose(edited[3 * RATE_HZ], music[3 * RATE_HZ], atol=1e-4)


def test_channels_of_opposite_polarity_are_no_silence(editor: Editor, music: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        edited = editor.edit(music[:, :1] * [1, -1], RATE_HZ, "remove drums")
    assert np.abs(edited - music[:, :1] * [1, -1]).max() > 0.01
    with pytest.warns(EditWarning, match="silent"):
        editor.edit(0 * music, RATE_HZ, "remove drums")


def test_settings_without_effect_are_told(editor: Editor, run: Path, music: np.ndarray, tmp_path: Path) -> None:
    with pytest.warns(EditWarning, match="steps, text_guidance changed nothing: a separator"):
        editor.edit(music, RATE_HZ, "remove drums", steps=1, text_guidance=2.0)
    soundfile.write(tmp_path / "song.wav", music[:RATE_HZ], RATE_HZ)
    command = ["edit", str(tmp_path / "song.wav"), "remove drums", "--run", str(run), "-o", str(tmp_path / "out.wav")]
    assert "warning" not in CliRunner().invoke(main, command).output
    assert "all variations are equal" in CliRunner().invoke(main, [*command, "--variations", "2"]).output


def test_several_instruments_are_taken_out_one_after_the_other(editor: Editor, music: np.ndarray) -> None:
    both = editor.edit(music, RATE_HZ, "remove drums and piano")
    first = editor.edit(music, RATE_HZ, "remove drums")
    np.testing.assert_allclose(both, editor.edit(first, RATE_HZ, "remove piano"), atol=1e-6)


def test_beside_diffusion_it_removes_what_is_replaced(editor: Editor, run: Path) -> None:
    both = Editor(TINY, denoise=lambda chunk: iter(()), separator=PartSeparator.load(run))
    passes = both.read("replace piano with drums after 0:02")
    assert [(each.text, each.step.start_s, both.separates(each.step)) for each in passes] == [
        ("remove piano", 2, True),
        ("add drums", 2, False),
    ]
    assert [each.text for each in editor.read("replace piano with drums")] == ["replace piano with drums"]


@pytest.mark.parametrize(
    ("sentence", "message"),
    [
        ("add piano", "can't add: it can remove, extract and rebalance"),
        ("replace piano with drums", "can't replace"),
        ("remix to Jazz genre", "can't remix"),
        ("remove flute", "does not know flute"),
    ],
)
def test_what_the_editor_was_not_made_for_is_refused(editor: Editor, music: np.ndarray, sentence: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        editor.edit(music, RATE_HZ, sentence)


def test_the_command_needs_no_run_and_writes_nothing_where_it_refuses(
    run: Path, music: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_folders, "DEFAULT_RUN", run)
    soundfile.write(tmp_path / "song.wav", music, RATE_HZ)
    done = CliRunner().invoke(main, ["edit", str(tmp_path / "song.wav"), "remove drums", "-o", str(tmp_path / "out.wav")])
    assert done.exit_code == 0, done.output
    written, rate_hz = soundfile.read(tmp_path / "out.wav")
    assert written.shape == music.shape and rate_hz == RATE_HZ
    refused = CliRunner().invoke(main, ["edit", str(tmp_path / "song.wav"), "add piano", "-o", str(tmp_path / "other.wav")])
    assert refused.exit_code == 1
    assert "train an editor" in refused.output and not (tmp_path / "other.wav").exists()


def test_a_run_is_a_folder_or_on_the_hub(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked = []
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name, allow_patterns: asked.append(name) or str(run))
    assert find_run("someone/editor") == find_run(Path("someone/editor")) == run  # the command line gives a path
    assert find_run(str(run)) == find_run(run) == run
    assert asked == ["someone/editor"] * 2


def test_a_run_that_the_hub_does_not_give_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def refuse(name: str, allow_patterns: list[str]) -> str:
        raise OSError("offline\nand more")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(ModelError, match=r"someone/editor is neither a folder nor a run .* \(offline\)$"):
        find_run("someone/editor")


def test_opposite_channels_and_soft_music_are_edited_without_a_false_warning(run: Path, tmp_path: Path) -> None:
    wave = np.random.default_rng(1).standard_normal(RATE_HZ).astype(np.float32)
    for name, sound in {"opposite": 0.1 * np.stack([wave, -wave], axis=1), "soft": 1e-5 * wave}.items():
        soundfile.write(tmp_path / f"{name}.wav", sound, RATE_HZ, subtype="FLOAT")
        out = tmp_path / f"{name}.out.wav"
        result = CliRunner().invoke(
            main, ["edit", str(tmp_path / f"{name}.wav"), "remove drums", "--run", str(run), "-o", str(out)]
        )
        assert result.exit_code == 0
        assert "cancel" not in result.stderr and "stays as it is" not in result.stderr
        assert np.square(soundfile.read(out)[0]).mean() < 0.95 * np.square(sound).mean()


@pytest.mark.parametrize(("loudness", "told"), [(-12.0, "hardly any, "), (-200.0, "none: does it play"), (0.0, None)])
def test_a_part_that_is_hardly_heard_is_told(run: Path, music: np.ndarray, loudness: float, told: str | None) -> None:
    """A separator that does not know a sound makes silence, which would pass for an edit."""
    network = Separator(SIZES)
    restore(network, run)
    torch.nn.init.constant_(network.mask.end.bias, loudness)
    editor = Editor(TINY, separator=PartSeparator(network.float()))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        editor.edit(music, RATE_HZ, "remove piano after 0:05")
    lines = [str(each.message) for each in caught]
    assert len(lines) == bool(told)
    assert not told or f"piano: the editor hears {told}" in lines[0]
