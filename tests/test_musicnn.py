"""Check MusiCNN against TensorFlow's values, its front end against librosa, resampling against soxr."""

import json
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from musicnn_golden import FRAMES, GOLDEN, signal
from safetensors import safe_open
from safetensors.numpy import load_file

from instructme.dataset_tools.recognisers import musicnn_checkpoint, weights
from instructme.manifests.rows import DataError
from instructme.model import musicnn
from instructme.model.resample import resample


@pytest.fixture(scope="module")
def network():
    if not weights.available("musicnn"):
        pytest.skip("weights of musicnn are not fetched")
    return musicnn.MusiCnn.from_file(weights.tensors("musicnn"))


@pytest.fixture(scope="module")
def random_network():
    torch.manual_seed(0)
    return musicnn.MusiCnn()


def noise(*shape):
    return torch.from_numpy(np.random.default_rng(1).standard_normal(shape).astype(np.float32)) * 0.1


def labels(file):
    """Read the names of the tags that the converted file holds, by set of weights."""
    with safe_open(file, "np") as tensors:
        return json.loads(tensors.metadata()["labels"])


def test_equals_tensorflow_from_samples_to_tags(network):
    heard = network.listen(torch.from_numpy(signal())[None, None], musicnn.RATE_HZ)
    wanted = json.loads(GOLDEN.read_text())
    np.testing.assert_allclose(heard.tags[0], wanted["tags"], atol=1e-4)
    np.testing.assert_allclose(heard.embedding[0], wanted["embedding"], atol=1e-3)


@pytest.mark.parametrize(("kind", "tag"), [("MTT", "guitar"), ("MSD", "Hip-Hop")])
def test_both_sets_of_weights_load_and_name_their_tags(network, kind, tag):
    file = weights.tensors("musicnn")
    other = musicnn.MusiCnn.from_file(file, kind)
    names = labels(file)[kind]
    assert len(set(names)) == 50 and tag in names
    assert other.listen(noise(1, 1, 16000), 16000).tags.shape == (1, 50)


def test_labels_are_read_not_run():
    read = musicnn_checkpoint.tags(b"raise SystemExit\nMTT_LABELS = ['a', 'b']\nMSD_LABELS = ['c']")
    assert read == {"MTT": ["a", "b"], "MSD": ["c"]}
    with pytest.raises(DataError, match="no 'MSD_LABELS'"):
        musicnn_checkpoint.tags(b"MTT_LABELS = ['a']")


def test_front_end_equals_librosa():
    import librosa

    audio = signal()
    mel = librosa.feature.melspectrogram(y=audio, sr=16000, hop_length=256, n_fft=512, n_mels=96).T
    found = musicnn.LogMel()(torch.from_numpy(audio)[None, None])[0]
    assert found.shape == (2 * FRAMES, 96)
    np.testing.assert_allclose(found, np.log10(10000 * mel + 1), atol=2e-5)


@pytest.mark.parametrize(("rate_hz", "new_rate_hz"), [(24000, 16000), (44100, 16000), (8000, 16000), (24000, 48000)])
def test_resampling_equals_soxr(rate_hz, new_rate_hz):
    import soxr

    time = np.arange(2 * rate_hz) / rate_hz
    low = 0.45 * min(rate_hz, new_rate_hz)  # soxr rolls off above
    audio = sum(np.sin(2 * np.pi * hz * time) for hz in (55.0, 440.0, 0.5 * low, low)) * np.hanning(len(time)) * 0.2
    found = resample(torch.from_numpy(audio.astype(np.float32))[None, None], rate_hz, new_rate_hz)[0, 0]
    np.testing.assert_allclose(found, soxr.resample(audio, rate_hz, new_rate_hz, quality="VHQ"), atol=2e-4)


@given(st.integers(1, 60000), st.sampled_from([8000, 16000, 22050, 24000, 44100]))
def test_any_length_is_resampled_to_its_duration(length, rate_hz):
    assert resample(torch.ones(1, 1, length), rate_hz, 16000).shape == (1, 1, -(-length * 16000 // rate_hz))


def test_what_is_above_the_new_nyquist_frequency_vanishes():
    tone = torch.sin(2 * np.pi * 10000 / 24000 * torch.arange(48000).double()) * torch.hann_window(48000)
    assert resample(tone, 24000, 16000).abs().max() < 1e-4


@pytest.mark.parametrize("length", [1, 240, 48000, 71808, 72000, 100000])
def test_any_length_is_heard_to_its_end(random_network, length):
    audio = noise(2, 1, length).requires_grad_()
    heard = random_network.listen(audio, 24000)
    assert [tuple(each.shape) for each in heard] == [(2, 50), (2, 200), (2, 1506)]
    assert all(each.isfinite().all() for each in heard)
    heard.embedding.square().sum().backward()
    blocks = audio.grad[0, 0].split(max(length // 20, 1))
    assert all(block.abs().max() > 0 for block in blocks)


def test_batches_and_training_mode_change_nothing(random_network):
    audio = noise(3, 1, 24000)
    before = random_network.listen(audio, 24000).embedding
    assert not random_network.train().training
    torch.testing.assert_close(random_network.listen(audio[1:2], 24000).embedding, before[1:2], atol=1e-5, rtol=1e-4)
    assert not any(weight.requires_grad for weight in random_network.parameters())


def bundle(entries):
    """Write the index of a TensorFlow checkpoint: name -> (kind, shape, offset), in the order of the names."""

    def entry(kind, shape, offset):
        sides = b"".join(bytes([0x12, 2, 0x08, side]) for side in shape)
        size = 4 * int(np.prod(shape))
        return bytes([0x08, kind, 0x12, len(sides)]) + sides + bytes([0x20, offset, 0x28, size, 0x35, 1, 2, 3, 4])

    def block(values):
        body, previous = b"", b""
        for key, value in values:
            shared = len(next((key[:n] for n in range(len(key), -1, -1) if previous.startswith(key[:n])), b""))
            body += bytes([shared, len(key) - shared, len(value)]) + key[shared:] + value
            previous = key
        return body + bytes(4) + (1).to_bytes(4, "little"), bytes(5)  # one restart; no compression and a checksum

    tensors, end = block([(b"", b"\x08\x01"), *((name.encode(), entry(*each)) for name, each in sorted(entries.items()))])
    size = bytes([0x80 | len(tensors) & 0x7F, len(tensors) >> 7])
    top, _ = block([(b"z", bytes([0]) + size)])
    begin = len(tensors + end)
    place = bytes([0, 0, 0x80 | begin & 0x7F, begin >> 7, len(top)])
    return tensors + end + top + end + place.ljust(40, b"\0") + bytes.fromhex("57fb808b247547db")


def test_a_bundle_made_by_hand():
    """Two tensors whose keys share a beginning, one of another type, and one of an optimiser."""
    entries = {"dense/bias": (1, [2], 0), "dense/bias/Adam": (1, [2], 0), "dense/kernel": (1, [2, 2], 8)}
    index, values = bundle({**entries, "dense/steps": (9, [1], 0)}), np.arange(6, dtype="<f4")
    read = musicnn_checkpoint.read(index, values.tobytes())
    assert {key: value.tolist() for key, value in read.items()} == {"dense/bias": [0, 1], "dense/kernel": [[2, 3], [4, 5]]}
    with pytest.raises(DataError, match="not the index"):
        musicnn_checkpoint.read(index[:-1], values.tobytes())


def test_a_wheel_is_converted_to_tensors_in_torch_order(tmp_path):
    shapes = {"conv2d/kernel": [2, 3, 1, 2], "conv2d_5/kernel": [2, 3, 1, 2], "dense_1/kernel": [4, 3]}
    shapes |= {"batch_normalization_10/moving_variance": [12]}
    index = bundle({**{name: (1, shape, 0) for name, shape in shapes.items()}, "beta1_power": (1, [], 0)})
    values = np.arange(12, dtype="<f4")
    with zipfile.ZipFile(tmp_path / "toy.whl", "w") as wheel:
        for name in ("MTT", "MSD"):
            wheel.writestr(f"musicnn/{name}_musicnn/.index", index)
            wheel.writestr(f"musicnn/{name}_musicnn/.data-00000-of-00001", values.tobytes())
        wheel.writestr("musicnn/configuration.py", "MTT_LABELS = ['guitar']\nMSD_LABELS = ['rock']")
    file = tmp_path / "toy.safetensors"
    file.write_bytes(musicnn_checkpoint.convert(tmp_path / "toy.whl"))
    kernel = values.reshape(2, 3, 2)
    wanted = {
        "convolutions.0.weight": kernel.transpose(2, 0, 1)[:, None],
        "convolutions.5.weight": kernel.transpose(2, 1, 0),
        "dense.1.weight": values.reshape(4, 3).T,
        "norms.10.running_var": values,
    }
    read = load_file(file)
    assert set(read) == {f"{name}.{key}" for name in ("MTT", "MSD") for key in wanted}
    for key, value in wanted.items():
        np.testing.assert_array_equal(read[f"MSD.{key}"], value)
    assert labels(file) == {"MTT": ["guitar"], "MSD": ["rock"]}
