"""Separating music of any length: blocks fit together, channels stay apart, absent instruments are silent."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from instructme.manifests.rows import DataError
from instructme.model.config import SeparatorConfig
from instructme.model.separator import Separator, SeparatorMasks
from instructme.pipelines.editing.part_separator import BLOCK_S, PartSeparator, gate

RATE_HZ = 24_000
CONFIG = SeparatorConfig(
    instruments=("drums", "piano", "guitar", "orchestra", "vocals", "violin"),
    width=8,
    encoder_layers=1,
    decoder_layers=1,
    condition_width=4,
)


class EvenSeparator(Separator):
    """Takes a share of everything for each instrument; all but the piano sound."""

    share = 0.5

    def forward(self, spectrum: Tensor, instruments: Tensor, text: Tensor | None = None) -> SeparatorMasks:
        """Make even masks, absent for instrument 1."""
        shape = (*instruments.shape, spectrum.shape[-1])
        present = torch.where(instruments[..., None] == 1, -9.0, 9.0).expand(shape)
        return SeparatorMasks(torch.full((*instruments.shape, *spectrum.shape[1:]), self.share), present)


@pytest.fixture(scope="module")
def separator() -> PartSeparator:
    return PartSeparator(EvenSeparator(CONFIG))


def music(seconds: float, rate_hz: int = RATE_HZ, channels: int = 2) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal((round(seconds * rate_hz), channels)).astype(np.float32)


@pytest.mark.parametrize("seconds", [0.01, 3.0, BLOCK_S, BLOCK_S + 0.5, 2.5 * BLOCK_S])
def test_blocks_fit_together_without_a_seam(separator: PartSeparator, seconds: float) -> None:
    audio = music(seconds)
    part = np.concatenate(list(separator.parts(audio, RATE_HZ, ["guitar"])))
    np.testing.assert_allclose(part, 0.5 * audio, atol=1e-4)


@pytest.mark.parametrize(("start_s", "end_s"), [(0, 1), (BLOCK_S - 1, BLOCK_S + 2), (BLOCK_S + 0.5, BLOCK_S + 0.6), (60, 90)])
def test_only_blocks_of_a_time_span_are_separated_and_are_the_same(
    separator: PartSeparator, start_s: float, end_s: float
) -> None:
    audio = music(3 * BLOCK_S)
    whole = np.concatenate(list(separator.parts(audio, RATE_HZ, ["guitar"])))
    part = np.concatenate(list(separator.parts(audio, RATE_HZ, ["guitar"], start_s, end_s)))
    span = slice(round(start_s * RATE_HZ), round(end_s * RATE_HZ))
    assert part.shape == whole.shape and not part.any(axis=1).all()
    np.testing.assert_array_equal(part[span], whole[span])


@pytest.mark.parametrize("rate_hz", [8000, 22_050, 44_100, 48_000])
def test_other_rates_and_frequencies_that_the_network_does_not_hear(separator: PartSeparator, rate_hz: int) -> None:
    audio = music(2.0, rate_hz)
    part = np.concatenate(list(separator.parts(audio, rate_hz, ["guitar"])))
    middle = slice(rate_hz // 4, -rate_hz // 4)
    assert part.shape == audio.shape
    assert np.sqrt(np.square(part - 0.5 * audio)[middle].mean()) < 0.1 * np.sqrt(np.square(audio).mean())


def test_an_absent_instrument_is_silent(separator: PartSeparator) -> None:
    assert not np.concatenate(list(separator.parts(music(2.0), RATE_HZ, ["piano"]))).any()


@pytest.mark.parametrize(("asked", "share"), [(["vocals"], 0.8), (["vocals", "guitar"], 1.0)])
def test_several_parts_together_take_no_more_than_all_sound(asked: list[str], share: float) -> None:
    greedy = EvenSeparator(CONFIG)
    greedy.share = 0.8
    audio = music(2.0)
    part = np.concatenate(list(PartSeparator(greedy).parts(audio, RATE_HZ, asked)))
    np.testing.assert_allclose(part, share * audio, atol=1e-4)


def test_a_held_tone_is_shared_as_both_networks_say() -> None:
    names = ("timpani", "piano", "drums")
    frames, bands = (replace(CONFIG, instruments=names, network=network, head_channels=4) for network in ("frames", "bands"))
    tone = 0.1 * np.sin(np.arange(2 * RATE_HZ) / 4).astype(np.float32)[:, None]
    for config, asked in ((frames, "timpani"), (bands, "drums")):
        part = np.concatenate(list(PartSeparator(EvenSeparator(config)).parts(tone, RATE_HZ, [asked])))
        np.testing.assert_allclose(part, 0.5 * tone, atol=1e-3)


def test_channels_stay_apart(separator: PartSeparator) -> None:
    audio = music(2.0)
    audio[:, 1] = 0
    part = np.concatenate(list(separator.parts(audio, RATE_HZ, ["drums"])))
    assert part[:, 0].any() and not part[:, 1].any()


def test_an_unknown_instrument_is_refused(separator: PartSeparator) -> None:
    with pytest.raises(DataError, match="does not know kazoo"):
        list(separator.parts(music(1.0), RATE_HZ, ["kazoo"]))


def test_the_gate_opens_a_little_before_and_closes_a_little_after() -> None:
    presence = torch.full((1, 1, 100), -9.0)
    presence[..., 40:60] = 9.0
    gains = gate(presence, 100, 20.0)[0, 0]
    assert gains[40:60].min() == 1.0
    assert gains[:30].max() == gains[70:].max() == 0.0
    assert gains[36] > 0 and gains[63] > 0
