"""PANNs' CNN14 by its published size and names, its spectrogram by librosa's, and refusals of other files."""

from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
import torch
from made_networks import save_clap, save_panns

from instructme.manifests import tables
from instructme.manifests.rows import EditScore
from instructme.model import panns
from instructme.model.config import ModelError
from instructme.model.panns import Cnn14
from instructme.pipelines.evaluation import cases, embeddings, evaluate


def noise(*shape: int) -> torch.Tensor:
    return 0.1 * torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_it_has_the_published_number_of_parameters_and_names() -> None:
    with torch.device("meta"):
        network = Cnn14((64, 128, 256, 512, 1024, 2048), 64, 527)
    assert sum(each.numel() for each in network.parameters()) == 80_753_615, "Kong et al., Table 4"
    names = set(network.state_dict())
    assert {"bn0.running_mean", "conv_block1.conv1.weight", "conv_block6.bn2.weight", "fc1.bias", "fc_audioset.weight"} <= names


def test_the_spectrogram_is_that_of_librosa(tmp_path) -> None:
    network, sound = save_panns(tmp_path / "weights.pth"), noise(8000)
    filters = librosa.filters.mel(sr=16000, n_fft=512, n_mels=64, fmin=50, fmax=8000)
    power = np.abs(librosa.stft(sound.numpy(), n_fft=512, hop_length=160, pad_mode="reflect")) ** 2
    wanted = librosa.power_to_db(filters @ power, top_db=None)
    np.testing.assert_allclose(network.log_mel(sound[None])[0].numpy(), wanted.T, atol=1e-3)


def test_weights_are_read_from_the_file(tmp_path) -> None:
    network, sound = save_panns(tmp_path / "weights.pth"), noise(2, 16000)
    logits = Cnn14.from_file(tmp_path / "weights.pth")(sound)
    assert logits.shape == (2, 5) and torch.equal(logits, network(sound))
    assert torch.allclose(logits[1], network(sound[1:])[0], atol=1e-5), "a sound does not depend on its batch"


@pytest.mark.parametrize("samples", [0, 1, panns.SHORTEST_SAMPLES - 1])
def test_a_short_sound_is_filled_up_with_silence(tmp_path, samples: int) -> None:
    network, sound = save_panns(tmp_path / "weights.pth"), noise(1, samples)
    filled = torch.nn.functional.pad(sound, (0, panns.SHORTEST_SAMPLES - samples))
    assert torch.equal(network(sound), network(filled))


def test_the_layers_are_those_of_the_paper(tmp_path) -> None:
    """Kong et al., Table 3: pairs of convolutions with means over 2 x 2 cells, then mean over bands, loudest and mean frame."""
    network = save_panns(tmp_path / "weights.pth")
    torch.manual_seed(1)
    for name, value in network.state_dict().items():
        if name.endswith(("running_mean", "running_var", "bias")):
            value.uniform_(0.5, 1.5)
    state, sound = network.state_dict(), noise(1, 16000)

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        mean, var, weight, bias = (state[f"{name}.{each}"] for each in ("running_mean", "running_var", "weight", "bias"))
        return (x - mean[:, None, None]) / torch.sqrt(var[:, None, None] + 1e-5) * weight[:, None, None] + bias[:, None, None]

    x = norm(network.log_mel(sound).transpose(1, 2)[:, :, :, None], "bn0").permute(0, 3, 2, 1)
    for block in range(1, 7):
        for layer in (1, 2):
            x = torch.nn.functional.conv2d(x, state[f"conv_block{block}.conv{layer}.weight"], padding=1)
            x = norm(x, f"conv_block{block}.bn{layer}").clamp(min=0)
        if block < 6:
            x = x[:, :, : x.shape[2] // 2 * 2, : x.shape[3] // 2 * 2]
            x = (x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]) / 4
    x = x.mean(dim=3)
    x = (x.amax(dim=2) + x.mean(dim=2)) @ state["fc1.weight"].T + state["fc1.bias"]
    wanted = x.clamp(min=0) @ state["fc_audioset.weight"].T + state["fc_audioset.bias"]
    torch.testing.assert_close(network(sound), wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("state", [{"model": {}}, {"a": torch.zeros(1)}, [1, 2]])
def test_another_file_is_refused(tmp_path, state) -> None:
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(ModelError, match=r"give Cnn14_16k_mAP=0\.438\.pth"):
        Cnn14.from_file(tmp_path / "weights.pth")
    with pytest.raises(ModelError):
        Cnn14.from_file(tmp_path / "nothing.pth")


def test_scores_hold_the_metrics_of_given_networks(tmp_path: Path) -> None:
    rows = ["key,task,instruction,source,target,edit", "a,extract,extract piano,s.wav,t.wav,e.wav", "b,remove,,s.wav,t.wav,e.wav"]
    (tmp_path / "pairs.csv").write_text("\n".join(rows))
    for number, name in enumerate("ste"):
        soundfile.write(tmp_path / f"{name}.wav", np.random.default_rng(number).standard_normal(24000) / 10, 24000)
    save_panns(tmp_path / "panns.pth")
    save_clap(tmp_path / "clap", "rand_trunc")
    networks = embeddings.Networks(panns=tmp_path / "panns.pth", clap=tmp_path / "clap")
    list(evaluate.evaluate(cases.from_table(tmp_path / "pairs.csv"), tmp_path / "out", networks=networks, controls=0, workers=0))
    found = {(row.key, row.metric): row for row in tables.read_rows(tmp_path / "out" / "scores.parquet", EditScore)}
    assert found["a", "kl_panns"].value > 0 and -1 <= found["a", "clap_score"].value <= 1
    assert (found["b", "clap_score"].value, found["b", "clap_score"].reason) == (None, "unknown_instruments")
    page = (tmp_path / "out" / "tables.md").read_text()
    assert "`kl_panns`" in page and "`clap_score`" in page and "`ssim`" in page
