"""Presets: every size, rate and weight of the models as typed fields. Imports no torch.

A field states its range in its type, as the columns of tables do (`Rule` in manifests/rows.py): `Annotated[int, Range(...)]`.
Numbers without a range are 0 or more.
"""

import dataclasses
import inspect
import json
import math
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

Config = TypeVar("Config")


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers that a field takes, each of them in a tuple: the words for them, and whether one is among them."""

    words: str
    takes: Callable[[float], bool]

    def holds(self, value: float) -> bool:
        """Say whether a number is in the range; NaN and infinity, which JSON in Python reads, never are."""
        return math.isfinite(value) and self.takes(value)


ABOVE_0 = Range("more than 0", lambda value: value > 0)
FROM_0 = Range("0 or more", lambda value: value >= 0)
BELOW_1 = Range("0 to less than 1", lambda value: 0 <= value < 1)
Size = Annotated[int, ABOVE_0]
Sizes = Annotated[tuple[int, ...], ABOVE_0]
Positive = Annotated[float, ABOVE_0]
Share = Annotated[float, Range("0 to 1", lambda value: 0 <= value <= 1)]
Decay = Annotated[float, BELOW_1]


class ModelError(Exception):
    """A preset, run folder or input the models can't use: one line saying what, where, what to do next."""


@dataclass(frozen=True)
class VaeConfig:
    """Waveform <-> latent (paper: Table 7)."""

    strides: Sizes = (4, 4, 3, 2)
    """Down-sampling of each level of the encoder; the decoder mirrors it."""
    encoder_channels: Sizes = (16, 32, 64, 128)
    decoder_channels: Sizes = (384, 192, 96, 48)
    kernels: Sizes = (3, 7, 11)
    """Kernel sizes of the parallel residual blocks after every resampling (HiFi-GAN)."""
    dilations: Sizes = (1, 3, 5)
    latent_channels: Size = 4
    transform: Literal["waveform", "stft"] = "waveform"
    """What the networks see and make: samples, or frames of a complex STFT (inverted at the end)."""
    fft_samples: int = 0
    hop_samples: Size = 1
    """STFT of `transform: stft`; strides then count its frames."""
    linear_path: bool = False
    """A linear map beside the networks of `transform: stft`, which starts as a critically sampled low pass (MDCT)."""
    bias: bool = True
    """Without it the networks scale with their input: silence stays silence, and the level doesn't matter."""
    log_variance: Annotated[float, Range("a finite number", math.isfinite)] = 0.0
    """Of the posterior at the start."""
    discriminators: tuple[str, ...] = ("period",)
    """Any of `period` (multi-period, HiFi-GAN) and `band` (multi-band complex STFT)."""
    reconstruction: Literal["mse", "spectral"] = "mse"
    """`spectral`: L1 of the samples and multi-resolution STFT."""
    reconstruction_weight: float = 1.0
    distortion_weight: float = 0.0
    """Weight of the log ratio of error to signal, in decibels / 10 (SI-SDR without the scale), beside the reconstruction."""
    adversarial: Literal["hinge", "least_squares"] = "least_squares"
    adversarial_weight: float = 1.0
    feature_weight: float = 0.0
    """Weight of the distance of the discriminators' feature maps (feature matching)."""
    kl_weight: float = 1e-4


@dataclass(frozen=True)
class TextConfig:
    """Frozen text encoder (paper: Table 8)."""

    encoder: str = "minilm"
    """`minilm` (in its package), or a T5 encoder by hub name or local folder."""
    width: Size = 384
    """Size of its token embeddings."""


@dataclass(frozen=True)
class UnetConfig:
    """The denoiser (paper: Table 9)."""

    channels: Sizes = (512, 1024, 1024)
    """Of each level; each level ends with a resampling by 2."""
    blocks: Size = 4
    """Residual blocks of a level, each followed by a chunk transformer; the way up has one more."""
    head_channels: Size = 64
    chunk_frames: Size = 200
    """K: length of a chunk; chunks overlap by half."""
    attention: Literal["chunk", "full"] = "chunk"
    source: Literal["aggregation", "concatenation"] = "aggregation"
    """Multi-scale aggregation of the source latent, or the source latent beside the noisy one at the input (AUDIT)."""
    source_blocks: Size = 4
    """Residual blocks of a level of the aggregation's encoder."""
    chords: bool = True
    """Chord matrix of the source in the cross-attention of the bottleneck."""
    chords_on_way_up: bool = False
    """In that of the blocks after it, too, each on its own clock."""
    text_in_bottleneck: bool = True
    text_in_steps: bool = False
    """Add the mean of the text's tokens to the embedding of the diffusion step, which reaches every residual block."""
    gates: bool = False
    """Add the source and the noisy latent, times gates that the network makes, to the prediction: what is kept or removed is near
    the source, and noise needn't fit through a network that is narrower than the latent."""
    activation_checkpointing: bool = False


@dataclass(frozen=True)
class DiffusionConfig:
    """Noise, loss and sampling (paper: eq. 1 to 6 and Table 9)."""

    steps: Size = 1000
    beta_start: Share = 1e-4
    beta_end: Share = 0.02
    prediction: Literal["epsilon", "v"] = "epsilon"
    learned_variance: bool = True
    variance_weight: float = 1e-3
    """Weight of the variational bound in the hybrid loss, which trains the learned variance."""
    zero_terminal_snr: bool = False
    """The last step holds no signal; with `prediction: v` one step from it is the posterior mean."""
    scale_input: bool = False
    """The noisy latent enters times its signal, so that pure noise says nothing and one step depends on the conditions alone."""
    terminal_share: Share = 0.0
    """Share of training steps spent at the last step, beyond the uniform draw."""
    predict: Literal["target", "changes", "named"] = "target"
    """The latent of the target, or two latents. `changes`: what is removed and what is added; output = source - removed + added.
    `named`: the same, but for extract they are the named part and silence, so that remove and extract ask for one thing."""
    loss: Literal["square", "log"] = "square"
    """Of a sample: the mean square of its error, or the logarithm of that, by which quiet and loud parts count the same."""
    text_dropout: Share = 0.1
    """p_CFG."""
    source_dropout: Share = 0.05
    chord_dropout: Share = 0.1
    joint_dropout: bool = False
    """Drop conditions as guidance joins them: the source never without the chords, and chords never without the text. Then the
    three shares are those of samples with no condition, with the source alone, and with source and chords."""
    balance_tasks: bool = False
    """Weigh the loss of each task by the inverse of what its edits change, so that each triplet counts the same."""
    sampler: Literal["ddim", "dpm++"] = "ddim"
    sampling_steps: Size = 200
    single_step_tasks: tuple[str, ...] = ()
    """Tasks sampled in one step by default; needs `zero_terminal_snr`."""
    text_guidance: float = 3.0
    """w of eq. 4."""
    source_guidance: float = 1.0
    chord_guidance: float = 1.0
    """1 and 1 make eq. 4."""
    classifier_guidance: float = 1.0
    """s of eq. 6, used where a prompt is given."""
    classifier_every: Size = 5

    @property
    def makes_changes(self) -> bool:
        """Tell whether two latents are made, of what is removed and what is added, and not that of the target."""
        return self.predict != "target"


@dataclass(frozen=True)
class TrainingConfig:
    """How one of the models is trained."""

    steps: Size
    batch_size: Size
    """Over all devices."""
    learning_rate: float
    optimizer: Literal["adam", "adamw"] = "adamw"
    betas: Annotated[tuple[float, float], BELOW_1] = (0.9, 0.999)
    weight_decay: float = 0.0
    warmup_steps: int = 0
    decay: Literal["constant", "cosine"] = "constant"
    clip_norm: float = 1.0
    """Largest norm of the gradient; 0 for no clipping."""
    ema_decay: Decay = 0.999
    precision: Literal["no", "bf16"] = "no"
    accumulation: Size = 1
    segment_seconds: Positive = 10.0
    """Length of what a step sees of a clip."""
    discriminator_start_step: int = 0
    """Warm-up without the adversarial loss (VAE)."""
    validate_every: int = 1000
    validation_triplets: Size = 64
    validation_edits: int = 4
    """Triplets of each task that a validation of the editor edits and scores; 0 for none."""
    checkpoint_minutes: float = 10.0
    """Minutes between checkpoints, by the clock; 0 for none. The last step has one in any case."""
    checkpoint_every: int = 0
    """Steps between checkpoints, beside those by the clock; 0 for none."""
    keep: int = 2
    """Checkpoints kept."""


@dataclass(frozen=True)
class EmbeddingConfig:
    """The joint text-audio embedding of classifier guidance (paper: eq. 5; a stand-in for MuLan)."""

    width: Size = 128
    hidden: Size = 256
    temperature: Positive = 0.1
    """At the start; it is learned."""


@dataclass(frozen=True)
class SeparatorConfig:
    """The network that takes a named instrument out of a mix."""

    instruments: tuple[str, ...] = ()
    """Names of the table of instruments, in its order."""
    sample_rate_hz: Size = 24000
    fft_samples: int = 2048
    hop_samples: Size = 512
    network: Literal["frames", "bands"] = "frames"
    """Convolutions along the frames with a real mask, or a band-split transformer with a complex mask."""
    width: Size = 384
    encoder_layers: Size = 3
    """Layers that do not know the instrument."""
    decoder_layers: Size = 5
    """Layers that know it."""
    condition_width: Size = 96
    band_counts: Sizes = (12, 6, 6, 5)
    """Numbers of bands of equal width, from low to high frequencies (`bands`)."""
    band_bins: Sizes = (8, 16, 32, 128)
    """Their widths in bins (`bands`)."""
    block_frames: Size = 3
    """Frames of a token (`bands`)."""
    head_channels: Size = 32
    """Of the attention (`bands`)."""
    text_width: Size = 384


@dataclass(frozen=True)
class Preset:
    """A whole editor."""

    name: str
    sample_rate_hz: Size
    clip_seconds: Positive
    vae: VaeConfig
    text: TextConfig
    unet: UnetConfig
    diffusion: DiffusionConfig
    embedding: EmbeddingConfig
    vae_training: TrainingConfig
    editor_training: TrainingConfig
    embedding_training: TrainingConfig
    separator: SeparatorConfig = SeparatorConfig()
    separator_training: TrainingConfig = TrainingConfig(
        steps=5000,
        batch_size=8,
        learning_rate=1e-3,
        betas=(0.9, 0.98),
        weight_decay=0.01,
        warmup_steps=200,
        decay="cosine",
        segment_seconds=2.56,
    )

    @property
    def hop_samples(self) -> int:
        """Samples for each latent frame."""
        return math.prod(self.vae.strides) * self.vae.hop_samples


_FORMER = {("predict", "parts"): "changes"}
"""Field and value of older run folders -> the value today."""


def to_dict(config: Any) -> dict[str, Any]:
    """Turn a preset or part of one into plain values for JSON."""
    return dataclasses.asdict(config)


def from_dict(kind: type[Config], values: Mapping[str, Any]) -> Config:
    """Read what `to_dict` made.

    Raises:
        ModelError: an unknown or missing field, or a value of another type or out of range.
    """
    hints = typing.get_type_hints(kind, include_extras=True)
    if unknown := sorted(set(values) - set(hints)):
        raise ModelError(f"{kind.__name__} has no field {unknown[0]}: it has {', '.join(hints)}")
    values = {name: _FORMER.get((name, str(value)), value) for name, value in values.items()}
    read = {name: _checked(f"{kind.__name__}.{name}", hints[name], value) for name, value in values.items()}
    try:
        return kind(**read)
    except TypeError as error:
        raise ModelError(f"{kind.__name__}: {error}") from None


def override(preset: Preset, settings: Sequence[str]) -> Preset:
    """Change fields by `part.field=value`, such as `unet.blocks=2`; values are JSON, or plain words.

    Raises:
        ModelError: no such field, or a value of another type or out of range.
    """
    values = to_dict(preset)
    for setting in settings:
        path, equals, text = setting.partition("=")
        *parts, name = path.strip().split(".")
        place = values
        for part in parts:
            place = place.get(part, {}) if isinstance(place, dict) else {}
        if not equals or not isinstance(place, dict) or name not in place:
            raise ModelError(
                f"can't set {setting!r}: write part.field=value, for example unet.blocks=2; see 'instructme presets tiny'"
            )
        try:
            place[name] = json.loads(text)
        except ValueError:
            place[name] = text
    return from_dict(Preset, values)


def _checked(where: str, hint: Any, value: Any) -> Any:
    """Check a JSON value against the type of a field, and its numbers against the range."""
    hint, limits = typing.get_args(hint) if typing.get_origin(hint) is Annotated else (hint, FROM_0)
    typed = _typed(where, hint, value)
    numbers = [each for each in (typed if isinstance(typed, tuple) else (typed,)) if isinstance(each, int | float)]
    if not all(map(limits.holds, numbers)) or (limits is ABOVE_0 and not numbers):
        raise ModelError(f"{where} can't be {value!r}: it takes {limits.words}")
    return typed


def _typed(where: str, hint: Any, value: Any) -> Any:
    """Check a JSON value against a type."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type) and isinstance(value, Mapping):
        return from_dict(hint, value)
    if typing.get_origin(hint) is Literal and value in typing.get_args(hint):
        return value
    if typing.get_origin(hint) is tuple and isinstance(value, list | tuple):
        return _items(where, typing.get_args(hint), value)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and type(value) is hint:
        return value
    raise ModelError(f"{where} can't be {value!r}: it takes {inspect.formatannotation(hint, __name__)}")


def _items(where: str, kinds: tuple[Any, ...], values: Sequence[Any]) -> tuple[Any, ...]:
    if kinds[-1] is Ellipsis:
        return tuple(_typed(where, kinds[0], value) for value in values)
    if len(kinds) != len(values):
        raise ModelError(f"{where} takes {len(kinds)} values, not {len(values)}")
    return tuple(_typed(where, kind, value) for kind, value in zip(kinds, values, strict=True))
