"""The denoiser: sizes of the paper, any length, and each condition heard."""

import dataclasses
import math
from typing import Any

import pytest
import torch

from instructme.model import config, presets, unet
from instructme.model.attention import ChunkTransformer
from instructme.model.conditions import Conditions, stack
from instructme.model.conditions.chords import CHORDS, ChordEncoder

SMALLEST = config.override(
    presets.TINY,
    [
        "unet.gates=false",
        "unet.chords_on_way_up=false",
        "unet.channels=[32,64]",
        "unet.head_channels=16",
        "unet.chunk_frames=8",
        "text.width=24",
        "vae.latent_channels=4",
    ],
)


def model(*settings: str) -> unet.Unet:
    torch.manual_seed(0)
    made = unet.Unet(config.override(SMALLEST, settings)).eval()
    for parameter in made.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return made


def conditions(frames: int, batch: int = 2) -> Conditions:
    random = torch.Generator().manual_seed(1)
    mask = torch.ones(batch, 5, dtype=torch.bool)
    mask[:, 3:] = False
    return Conditions(
        text=torch.randn(batch, 5, 24, generator=random),
        text_mask=mask,
        source=torch.randn(batch, 4, frames, generator=random),
        chords=torch.rand(batch, 100, frames, generator=random),
    )


def predict(made: unet.Unet, given: Conditions, channels: int = 8) -> torch.Tensor:
    batch, _, frames = given.source.shape
    noisy = torch.randn(batch, channels, frames, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        predicted: torch.Tensor = made(noisy, torch.arange(batch) * 400, given)
    return predicted


def test_the_paper_preset_has_the_size_of_the_paper() -> None:
    counts = unet.parameter_counts(presets.PAPER)
    assert counts["unet"] == pytest.approx(898.9e6, rel=0.02)


def test_the_paper_preset_has_the_channels_of_the_paper() -> None:
    with torch.device("meta"):
        made = unet.Unet(presets.PAPER)
    assert (made.enter.in_channels, made.leave.out_channels) == (4, 8)
    assert [level[0].residual.leave.out_channels for level in made.down] == [512, 1024, 1024]
    assert [len(level) for level in (*made.down, *made.up)] == [4, 4, 4, 5, 5, 5]


def kept_gib(preset: config.Preset) -> float:
    """Count what a forward pass keeps for the backward pass, in float32, without making it."""
    frames, kept = round(preset.clip_seconds * preset.sample_rate_hz / preset.hop_samples), {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if not isinstance(tensor, torch.nn.Parameter):
            kept[tensor.untyped_storage()._cdata] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.device("meta"), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        mask, chords = torch.ones(1, 8, dtype=torch.bool), torch.zeros(1, 100, frames)
        source = torch.zeros(1, preset.vae.latent_channels, frames)
        given = Conditions(torch.zeros(1, 8, preset.text.width), mask, source, chords)
        unet.Unet(preset)(torch.zeros(1, unet.latents(preset), frames), torch.zeros(1), given)
    return sum(kept.values()) / 2**30


def test_paper_fits_24_gb_with_checkpointed_activations() -> None:
    """Weights, gradients, two moments and the average take 16.8 GiB; a block's own activations come on top of what is kept."""
    states = 5 * 4 * unet.parameter_counts(presets.PAPER)["unet"] / 2**30
    assert presets.PAPER.unet.activation_checkpointing
    assert states + kept_gib(presets.PAPER) < 18
    assert kept_gib(config.override(presets.PAPER, ["unet.activation_checkpointing=false"])) > 10


CONCATENATION, NO_CHORDS, ON_WAY_UP = "unet.source=concatenation", "unet.chords=false", "unet.chords_on_way_up=true"


@pytest.mark.parametrize("frames", [1, 2, 3, 7, 8, 9, 31, 64, 101])
def test_any_number_of_frames_goes_through(frames: int) -> None:
    assert predict(model(ON_WAY_UP), conditions(frames)).shape == (2, 8, frames)


@pytest.mark.parametrize("variant", [[], [CONCATENATION], [NO_CHORDS], [CONCATENATION, NO_CHORDS], [NO_CHORDS, ON_WAY_UP]])
def test_the_baseline_and_the_ablations_are_a_field_each(variant: list[str]) -> None:
    made, given = model(*variant), conditions(40)
    heard = {"source": True, "text": True, "chords": NO_CHORDS not in variant}
    before = predict(made, given)
    for name, expected in heard.items():
        values = getattr(given, name)
        after = predict(made, dataclasses.replace(given, **{name: values.flip(0)}))
        assert (not torch.allclose(before, after, atol=1e-5)) == expected, name
    names = {name.split(".")[0] for name, _ in made.named_parameters()}
    assert ("source" in names) == (CONCATENATION not in variant)
    assert ("chords" in names) == heard["chords"]


@pytest.mark.parametrize("place", ["bottleneck", "way up"])
def test_chords_moved_by_half_the_clip_are_noticed(place: str) -> None:
    made, given = model(ON_WAY_UP), conditions(40)
    for name, parameter in made.named_parameters():
        if "chord_attention.out" in name and name.startswith("middle") == (place == "way up"):
            torch.nn.init.zeros_(parameter)
    assert given.chords is not None
    moved = dataclasses.replace(given, chords=given.chords.roll(20, dims=2))
    assert not torch.allclose(predict(made, given), predict(made, moved), atol=1e-5)


def test_the_way_up_hears_each_chord_where_it_sounds() -> None:
    """Another chord in the last eighth is noticed there; elsewhere only group norms, which span the clip, tell of it."""
    made, given = model(ON_WAY_UP), conditions(256)
    torch.nn.init.zeros_(made.middle.transformer.chord_attention.out.weight)
    assert given.chords is not None
    other = given.chords.clone()
    other[..., 224:] = 1 - other[..., 224:]
    change = (predict(made, given) - predict(made, dataclasses.replace(given, chords=other))).abs()
    assert change[..., 224:].mean() > 10 * change[..., :128].mean()


def chord(triad: int, bass: int, extensions: int = 0) -> torch.Tensor:
    """Make the 100 probabilities of a certain chord."""
    values = torch.zeros(CHORDS)
    values[[triad, 73 + bass, *(first + extensions for first in (86, 90, 94, 97))]] = 1
    return values


def test_an_untrained_embedding_tells_chords_apart() -> None:
    """Probabilities are sparse: fed as they are, all chords have nearly the same embedding, and training starts deaf."""
    chords = torch.stack([chord(1, 0), chord(25, 9), chord(6, 5), chord(8, 7)])[:, :, None]
    distances = []
    for seed in range(8):
        torch.manual_seed(seed)
        embedded = ChordEncoder(64)(chords, 1)[:, 0].detach()
        distances.append(torch.cdist(embedded, embedded).sum() / 12 / embedded.norm(dim=1).mean())
    assert float(torch.stack(distances).mean()) > 0.65


def test_the_encoder_of_chords_starts_from_values_of_mean_0_and_deviation_1() -> None:
    encoder, entered = ChordEncoder(64), []
    encoder.layers[0].register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0]))
    encoder(torch.stack([chord(1, 0), chord(25, 9)])[:, :, None], 1)
    assert float(entered[0].mean()) == pytest.approx(0, abs=1e-5)
    assert float(entered[0].std(correction=0)) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", ["text", "source", "chords"])
def test_a_denied_condition_does_not_matter(name: str) -> None:
    made, given = model(), conditions(40)
    denied = dataclasses.replace(given, **{f"keep_{name}": torch.zeros(2, dtype=torch.bool)})
    other: dict[str, Any] = {name: torch.randn_like(getattr(given, name))}
    assert torch.equal(predict(made, denied), predict(made, dataclasses.replace(denied, **other)))
    assert not torch.allclose(predict(made, denied), predict(made, given), atol=1e-5)


def test_samples_of_a_batch_do_not_see_each_other() -> None:
    made, given = model(), conditions(40)
    both = stack([given, given.keeping(text=False, source=True, chords=True)])
    noisy = torch.randn(2, 8, 40).repeat(2, 1, 1)
    kept = stack([given.keeping(True, True, True), given.keeping(False, True, True)])
    with torch.no_grad():
        joint = made(noisy, torch.tensor([3, 500, 3, 500]), kept)
        alone = made(noisy[:2], torch.tensor([3, 500]), given)
    assert len(both.source) == 4
    assert torch.allclose(joint[:2], alone, atol=1e-5)


def test_checkpointed_activations_give_the_same_gradients() -> None:
    gradients = []
    for setting in ("false", "true"):
        made = model(f"unet.activation_checkpointing={setting}").train()
        made(torch.ones(1, 8, 12), torch.tensor([7]), conditions(12, batch=1)).square().sum().backward()
        gradients.append([parameter.grad for parameter in made.parameters()])
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*gradients, strict=True) if a is not None and b is not None)


@pytest.mark.parametrize("learned", ["false", "true"])
def test_gates_let_source_and_noise_into_the_prediction(learned: str) -> None:
    made = model("unet.gates=true", f"diffusion.learned_variance={learned}")
    given, noisy = conditions(40), torch.randn(2, 8, 40)
    with torch.no_grad():
        made.leave.weight.zero_()
        made.leave.bias.zero_()
        made.leave.bias[-16:-12] = 0.25  # of the source, for the removed part
        made.leave.bias[-12:-8] = -1  # of the source, for the added part
        made.leave.bias[-8:] = 0.5  # of the noisy latent
        predicted = made(noisy, torch.tensor([3, 700]), given)
    wanted = torch.cat([0.25 * given.source, -given.source], dim=1) + 0.5 * noisy
    torch.testing.assert_close(predicted[:, :8], wanted)
    assert predicted.shape[1] == (16 if learned == "true" else 8) and not predicted[:, 8:].any()


def test_a_width_that_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(config.ModelError, match="head_channels"):
        unet.Unet(config.override(SMALLEST, ["unet.channels=[40]"]))


def test_missing_chords_are_refused() -> None:
    with pytest.raises(config.ModelError, match="chord matrix"):
        predict(model(), dataclasses.replace(conditions(8), chords=None))


def test_the_diffusion_step_is_heard() -> None:
    made, given = model(), conditions(24)
    noisy = torch.randn(2, 8, 24)
    with torch.no_grad():
        early, late = (made(noisy, torch.full((2,), step), given) for step in (10, 900))
    assert not torch.allclose(early, late, atol=1e-5)


@pytest.mark.parametrize("setting", ["unet.text_in_steps=false", "unet.text_in_steps=true"])
def test_words_that_only_fill_up_are_not_read(setting: str) -> None:
    made, given = model(setting), conditions(24)
    other = given.text.clone()
    other[:, 3:] = 9
    assert torch.equal(predict(made, given), predict(made, dataclasses.replace(given, text=other)))


def test_text_in_the_steps_is_the_mean_of_its_words() -> None:
    made, given = model("unet.text_in_steps=true"), conditions(24)
    assert made.text is not None
    for parameter in made.text.parameters():
        torch.nn.init.normal_(parameter)
    steps = torch.full((2,), 900)
    mean = given.text[:, :3].mean(dim=1, keepdim=True)
    with torch.no_grad():
        several = made._embedded(steps, given.text, given.text_mask)
        single = made._embedded(steps, mean, torch.ones(2, 1, dtype=torch.bool))
        without = made.step(steps)
    assert torch.allclose(several, single, atol=1e-5)
    assert not torch.allclose(several, without, atol=0.1)


@pytest.mark.parametrize("frames", [1, 5, 13, 16])
def test_padding_is_hidden_at_every_level(frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    forward = ChunkTransformer.forward

    def spy(self: ChunkTransformer, features: torch.Tensor, **options: Any) -> torch.Tensor:
        seen.append((features.shape[-1], options["valid_frames"]))
        return forward(self, features, **options)

    monkeypatch.setattr(ChunkTransformer, "forward", spy)
    predict(model(), conditions(frames))
    padded = frames + -frames % 4
    assert {level for level, _ in seen} == {padded, padded // 2, padded // 4}
    assert all(valid == math.ceil(frames * level / padded) for level, valid in seen)


def test_every_parameter_learns() -> None:
    """A parameter without a gradient would stop training on several GPUs."""
    made, given = model(), conditions(40)
    keep = torch.tensor([True, False])
    given = dataclasses.replace(given, keep_text=keep, keep_source=keep, keep_chords=keep)
    made(torch.randn(2, 8, 40), torch.tensor([3, 500]), given).square().sum().backward()
    assert [name for name, parameter in made.named_parameters() if parameter.grad is None] == []
