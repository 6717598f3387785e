"""A mask that is averaged over sounds that come again."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from instructme.model.recurring import recurring_mask, settled_mask

BINS, FRAMES = 65, 1200


def _two_notes() -> tuple[Tensor, Tensor]:
    """Play two notes of three partials in turn: spectrum (1, F, T), and where the first note is (1, F, T)."""
    spectrum, first = torch.full((1, BINS, FRAMES), 1e-3), torch.zeros(1, BINS, FRAMES)
    for note, partials in enumerate(((8, 16, 24), (12, 36, 48))):
        for frame in range(FRAMES):
            if frame // 8 % 2 == note:
                spectrum[0, partials, frame] = torch.tensor([1.0, 0.6, 0.3])
                first[0, partials, frame] = 1.0 - note
    return spectrum.to(torch.complex64), first


def test_a_mask_that_errs_at_random_is_righted() -> None:
    spectrum, first = _two_notes()
    noise = torch.rand(first.shape, generator=torch.Generator().manual_seed(1))
    wrong = (0.25 + 0.5 * first + 0.5 * (noise - 0.5)).clamp(0, 1)
    loud = spectrum.abs() > 0.1
    before, after = ((each - (0.25 + 0.5 * first))[loud].abs().mean() for each in (wrong, recurring_mask(spectrum, wrong)))
    assert after < before / 3


def test_what_the_mask_says_of_whole_sounds_stays() -> None:
    spectrum, first = _two_notes()
    loud = spectrum.abs() > 0.1
    assert torch.allclose(recurring_mask(spectrum, first)[loud], first[loud], atol=0.05)


@settings(deadline=None, max_examples=20)
@given(st.integers(2, 40), st.integers(1, 40), st.integers(0, 1000), st.sampled_from([0.0, 1.0, None]))
def test_the_mask_stays_between_its_least_and_greatest_value(bins: int, frames: int, seed: int, whole: float | None) -> None:
    generator = torch.Generator().manual_seed(seed)
    spectrum = torch.randn(2, bins, frames, dtype=torch.complex64, generator=generator)
    mask = torch.rand(2, bins, frames, generator=generator) if whole is None else torch.full((2, bins, frames), whole)
    found = recurring_mask(spectrum, mask)
    assert found.shape == mask.shape
    for one, other in zip(found, mask, strict=True):
        assert other.min() - 1e-3 <= one.min() and one.max() <= other.max() + 1e-3


def test_silence_gives_nothing_and_the_same_music_the_same_mask() -> None:
    silence = torch.zeros(1, BINS, FRAMES, dtype=torch.complex64)
    assert recurring_mask(silence, torch.ones(1, BINS, FRAMES)).abs().max() == 0
    spectrum, first = _two_notes()
    assert recurring_mask(spectrum, first).equal(recurring_mask(spectrum, first))


def test_the_level_of_the_music_does_not_count_and_channels_do_not_mix() -> None:
    spectrum, first = _two_notes()
    other = torch.flip(spectrum, [2])
    both = recurring_mask(torch.cat([spectrum, other]), torch.cat([first, first]))
    assert torch.allclose(both[:1], recurring_mask(0.01 * spectrum, first), atol=1e-3)
    assert torch.allclose(both[1:], recurring_mask(other, first), atol=1e-3)


def test_a_settled_mask_keeps_the_power_of_the_part_and_is_nearer_to_the_truth() -> None:
    spectrum, first = _two_notes()
    noise = torch.rand(first.shape, generator=torch.Generator().manual_seed(2))
    wrong = (0.2 + 0.4 * first + 0.2 * noise).clamp(0, 1)
    settled = settled_mask(spectrum, wrong)
    before, after = (((spectrum.abs() * each).square()).sum() for each in (wrong, settled))
    assert torch.isclose(before, after, rtol=1e-3)
    loud, truth = spectrum.abs() > 0.1, 0.3 + 0.4 * first
    assert (settled - truth)[loud].square().mean() < 0.7 * (wrong - truth)[loud].square().mean()
    assert not settled_mask(spectrum, torch.zeros_like(first)).any()
