"""Check the joint embedding: unit vectors, gradients that shorten the distance, the loss, run folders, CLAP."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_networks import save_clap

from instructme.model import checkpoint, embedding
from instructme.model.config import ModelError, TextConfig
from instructme.model.embedding import Embedding, contrastive_loss, distance
from instructme.model.presets import TINY


@pytest.fixture(scope="module")
def joint():
    torch.manual_seed(0)
    return Embedding(TINY.embedding, TextConfig()).eval().requires_grad_(False)


def noise(*shape):
    return torch.from_numpy(np.random.default_rng(1).standard_normal(shape).astype(np.float32)) * 0.1


def test_both_towers_give_unit_vectors_of_the_preset(joint):
    for vectors in (joint.audio(noise(3, 1, 30000), 24000), joint.text(["a happy music", "piano", "drums"])):
        assert vectors.shape == (3, TINY.embedding.width)
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))


def test_distance_is_equation_5_for_one_text_or_each_its_own(joint):
    audio, texts = noise(2, 1, 30000), ["piano", "drums"]
    heard, read = joint.audio(audio, 24000), joint.text(texts)
    torch.testing.assert_close(distance(joint, audio, 24000, texts), 2 - 2 * (heard * read).sum(dim=1))
    torch.testing.assert_close(distance(joint, audio, 24000, texts[:1]), 2 - 2 * heard @ read[0])


def test_the_gradient_reaches_all_audio_and_descending_it_brings_the_prompt_nearer(joint):
    audio = noise(2, 1, 24000).requires_grad_()
    before = distance(joint, audio, 24000, ["a happy music"])
    (gradient,) = torch.autograd.grad(before.sum(), audio)
    assert gradient.isfinite().all() and all((block != 0).any() for block in gradient.flatten().split(1000))
    with torch.no_grad():
        sizes = gradient.square().mean(dim=2, keepdim=True).sqrt()
        nearer, further = (distance(joint, audio - sign * 1e-3 * gradient / sizes, 24000, ["a happy music"]) for sign in (1, -1))
    assert (nearer < before).all() and (further > before).all()


def test_loss_equals_cross_entropy_where_each_clip_has_its_own_text():
    similarity = torch.randn(5, 5, generator=torch.Generator().manual_seed(0))
    places = torch.arange(5)
    wanted = (torch.nn.functional.cross_entropy(similarity, places) + torch.nn.functional.cross_entropy(similarity.T, places)) / 2
    torch.testing.assert_close(contrastive_loss(similarity, torch.eye(5)), wanted)


@given(st.integers(0, 1000))
@settings(max_examples=20)
def test_equal_texts_are_not_driven_apart(seed):
    """Two clips with one text: the gradient is the same whichever of the two equal texts one compares with."""
    similarity = torch.randn(4, 4, generator=torch.Generator().manual_seed(seed))
    similarity[:, 1] = similarity[:, 0]
    similarity[1] = similarity[0]
    truth = torch.eye(4)
    truth[:2, :2] = 1
    similarity.requires_grad_()
    contrastive_loss(similarity, truth).backward()
    torch.testing.assert_close(similarity.grad[:2, :2], similarity.grad[:2, :2].mean().expand(2, 2))
    assert (similarity.grad[:2, 2:] > 0).all() and (similarity.grad[2:, :2] > 0).all()


def test_unknown_pairs_count_in_neither_sense():
    similarity = torch.randn(4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    truth = torch.eye(4)
    truth[0, 1] = truth[2, 3] = -1
    contrastive_loss(similarity, truth).backward()
    assert similarity.grad[0, 1] == similarity.grad[2, 3] == 0
    assert (similarity.grad != 0).sum() == 14
    truth[1] = -1  # nothing is known of this clip, and nothing is true of it
    assert contrastive_loss(similarity, truth).isfinite()


def test_training_leaves_the_trunk_alone():
    module = Embedding(TINY.embedding, TextConfig()).train()
    loss = module(module.hear(noise(2, 1, 24000), 24000), module.read(["piano", "drums"]), torch.eye(2))
    loss.backward()
    trained = {name for name, weight in module.named_parameters() if weight.grad is not None}
    assert {name.split(".")[0] for name in trained} == {"audio_projection", "text_projection", "log_scale"}
    assert {name for name, weight in module.named_parameters() if weight.requires_grad} == trained
    assert not module.trunk.training


def test_a_run_folder_is_all_it_takes(joint, tmp_path):
    checkpoint.write_config(tmp_path, "embedding", TINY)
    with pytest.raises(ModelError, match=r"weights\.safetensors is missing"):
        Embedding.load(tmp_path)
    checkpoint.save_weights(tmp_path, "weights", joint.state_dict())
    loaded = embedding.load(tmp_path)
    audio = noise(1, 1, 30000)
    assert torch.equal(loaded.audio(audio, 24000), joint.audio(audio, 24000))
    assert torch.equal(loaded.text(["piano"]), joint.text(["piano"]))
    assert not any(weight.requires_grad for weight in loaded.parameters())


@pytest.mark.parametrize("text", [None, "{", "[]", '{"kind": "vae"}'])
def test_another_folder_is_refused(tmp_path, text):
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    with pytest.raises(ModelError) as error:
        embedding.load(tmp_path)
    assert "\n" not in str(error.value) and str(tmp_path) in str(error.value)


@pytest.mark.parametrize("truncation", ["rand_trunc", "fusion"])
@pytest.mark.parametrize("length", [16000, 5000])
def test_clap_equals_transformers(tmp_path, truncation, length):
    model, extractor = save_clap(tmp_path, truncation)
    clap = embedding.load(tmp_path)
    audio = noise(2, 1, length)
    inputs = extractor([each[0].numpy() for each in audio], sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():  # CLAP's extractor marks one random short clip as longer
        wanted = model.get_audio_features(inputs.input_features, torch.zeros(2, 1, dtype=torch.bool))
        texts = model.get_text_features(torch.tensor([[2, 0, 0], [3, 1, 2]]), torch.tensor([[1, 0, 0], [1, 1, 1]]))
    wanted, texts = (each if isinstance(each, torch.Tensor) else each.pooler_output for each in (wanted, texts))
    torch.testing.assert_close(clap.audio(audio, 16000), torch.nn.functional.normalize(wanted, dim=1), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(clap.text(["piano", "drums of piano"]), torch.nn.functional.normalize(texts, dim=1))


def test_clap_has_gradients_and_takes_any_length(tmp_path):
    save_clap(tmp_path, "rand_trunc")
    clap = embedding.load(tmp_path)
    audio = noise(1, 1, 60000).requires_grad_()
    distance(clap, audio, 24000, ["piano"]).sum().backward()
    assert all((block != 0).any() for block in audio.grad.flatten().split(5000))
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="CLAP can't be loaded"):
        embedding.load(tmp_path)
