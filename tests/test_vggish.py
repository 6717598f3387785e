"""VGGish: the front end against a literal computation, the network's shapes and files."""

import math

import numpy as np
import pytest
import soundfile
import torch

from instructme.manifests import tables
from instructme.manifests.rows import SetScore
from instructme.model import vggish
from instructme.model.config import ModelError
from instructme.model.vggish import PostProcess, Vggish
from instructme.pipelines.evaluation import cases, embeddings, evaluate, scoring


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Vggish()


def literal_log_mel(samples):
    """Compute the examples as the paper's code describes them: loops over frames, bands and bins."""
    frames = []
    for start in range(0, len(samples) - 400 + 1, 160):
        windowed = [samples[start + n] * (0.5 - 0.5 * math.cos(2 * math.pi * n / 400)) for n in range(400)]
        magnitudes = np.abs(np.fft.rfft(np.concatenate([windowed, np.zeros(112)])))
        mel = lambda hz: 1127 * math.log(1 + hz / 700)  # noqa: E731
        edges = [mel(125) + (mel(7500) - mel(125)) * band / 65 for band in range(66)]
        bands = []
        for band in range(64):
            total = 0.0
            for bin_ in range(1, 257):
                at = mel(bin_ * 16000 / 512)
                weight = min(
                    (at - edges[band]) / (edges[band + 1] - edges[band]),
                    (edges[band + 2] - at) / (edges[band + 2] - edges[band + 1]),
                )
                total += max(0.0, weight) * magnitudes[bin_]
            bands.append(math.log(total + 0.01))
        frames.append(bands)
    return np.array([frames[first : first + 96] for first in range(0, len(frames) - 95, 96)])


def test_the_front_end_is_that_of_the_release():
    samples = np.random.default_rng(0).standard_normal(16000).astype(np.float32) * 0.1
    samples += np.sin(2 * np.pi * 440 * np.arange(16000) / 16000).astype(np.float32)
    found = vggish.log_mel(torch.from_numpy(samples)).numpy()
    assert found.shape == (1, 96, 64)
    np.testing.assert_allclose(found, literal_log_mel(samples.astype(np.float64)), atol=2e-4)


@pytest.mark.parametrize(("samples", "examples"), [(0, 0), (399, 0), (15599, 0), (15600, 1), (16000 * 10, 10)])
def test_an_example_is_096_s_and_the_rest_is_not_heard(samples, examples):
    assert len(vggish.log_mel(torch.zeros(samples))) == examples


def test_the_network_has_the_shapes_of_the_release(network, tmp_path):
    assert sum(each.numel() for each in network.parameters()) == 72_141_184
    state = network.state_dict()
    assert state["features.13.weight"].shape == (512, 512, 3, 3) and state["embeddings.0.weight"].shape == (4096, 12288)
    torch.save({**state, "pproc.pca_means": torch.zeros(128, 1)}, tmp_path / "vggish.pth")
    sound = torch.randn(16000)
    torch.testing.assert_close(vggish.embed(Vggish.from_file(tmp_path / "vggish.pth"), sound), vggish.embed(network, sound))


def test_short_sounds_have_one_example(network):
    assert vggish.embed(network, torch.randn(100)).shape == (1, 128)


def test_a_file_that_is_none_is_explained(tmp_path):
    (tmp_path / "x.pth").write_bytes(b"x")
    for name in ("x.pth", "gone.pth"):
        with pytest.raises(ModelError, match=r"vggish-10086976\.pth"):
            Vggish.from_file(tmp_path / name)


def test_post_processing_turns_clips_and_rounds(tmp_path):
    turned = torch.eye(128).flip(0)
    torch.save({"pca_eigen_vectors": turned, "pca_means": torch.ones(128, 1)}, tmp_path / "pca.pth")
    process = PostProcess.from_file(tmp_path / "pca.pth")
    found = process(torch.linspace(-3, 3, 128)[None] + 1)[0]
    assert found[0] == 255 and found[-1] == 0 and (found[:-1] >= found[1:]).all() and (found == found.round()).all()
    assert process(torch.ones(1, 128)).unique().tolist() == [128]  # 127.5 to even
    torch.save({"other": turned}, tmp_path / "other.pth")
    with pytest.raises(ModelError, match=r"vggish_pca_params-970ea276\.pth"):
        PostProcess.from_file(tmp_path / "other.pth")


def write_pairs(folder):
    rows = ["key,task,source,target,edit"]
    for number in range(4):
        noise = np.random.default_rng(number).standard_normal((3, 48000)) * 0.1
        for name, samples in (("s", noise[0] + noise[1]), ("t", noise[0]), ("e", noise[0] + 0.5 * noise[2] * np.hanning(48000))):
            soundfile.write(folder / f"{number}{name}.wav", samples, 24000)
        rows.append(f"{number},remove,{number}s.wav,{number}t.wav,{number}e.wav")
    (folder / "pairs.csv").write_text("\n".join(rows))
    return cases.from_table(folder / "pairs.csv")


def test_the_distance_has_a_column_only_with_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(scoring, "usable", lambda networks: (["si_sdr_db"], {}))
    toys = {"vggish": lambda examples: examples.mean(dim=1)[:, :8], "vggish_pca": torch.round}
    monkeypatch.setattr(embeddings, "_given", lambda name, path: toys[name])
    found, weights = write_pairs(tmp_path), tmp_path / "weights.pth"
    weights.write_bytes(b"toy")
    for name, path in (("with", weights), ("without", None)):
        list(evaluate.evaluate(found, tmp_path / name, networks=embeddings.Networks(path), controls=0, workers=0))
    both = embeddings.Networks(weights, vggish_pca=weights)
    list(evaluate.evaluate(found, tmp_path / "both", networks=both, controls=0, workers=0))
    assert {row.metric for row in tables.read_rows(tmp_path / "both/sets.parquet", SetScore)} == {"fad_vggish", "fad_vggish_pca"}
    assert tables.read_rows(tmp_path / "without/sets.parquet", SetScore) == []
    assert "fad_vggish" not in (tmp_path / "without/tables.md").read_text()
    rows = tables.read_rows(tmp_path / "with/sets.parquet", SetScore)
    value = {row.system: row.value for row in rows}
    assert {row.metric for row in rows} == {"fad_vggish"} and value["edit"] > 0 and {row.frames for row in rows} == {8}
    assert "| dataset: task | system | edits | `fad_vggish` ↓ |" in (tmp_path / "with/tables.md").read_text()
    assert "fad_musicnn" not in (tmp_path / "with/tables.md").read_text()
