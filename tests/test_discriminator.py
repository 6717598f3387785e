"""The discriminators: HiFi-GAN's size, what each of them hears, any length."""

import itertools

import pytest
import torch

from instructme.model.discriminator import FFT_SAMPLES, PERIODS, Band, Discriminators, Period
from instructme.model.presets import PAPER, SMALL


def noise(length: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(1, 1, length, generator=torch.Generator().manual_seed(seed))


def small_period(period: int) -> Period:
    torch.manual_seed(0)
    return Period(period, (2, 4, 4))


def test_paper_judges_by_periods_alone() -> None:
    with torch.device("meta"):
        built = Discriminators(PAPER.vae.discriminators)
    assert set(built.kinds) == {"period"} and len(built.kinds["period"]) == len(PERIODS)
    assert sum(each.numel() for each in built.parameters()) == pytest.approx(41.1e6, rel=0.02)


def test_presets_name_what_they_use() -> None:
    with torch.device("meta"):
        built = Discriminators(SMALL.vae.discriminators)
    assert set(built.kinds) == {"period", "band"}
    assert len(built(torch.zeros(1, 1, 5000, device="meta"))) == len(PERIODS) + len(FFT_SAMPLES)


def test_the_periods_and_channels_are_those_of_hifi_gan() -> None:
    with torch.device("meta"):
        features = [features for _, features in Discriminators(["period"])(torch.zeros(1, 1, 2310, device="meta"))]
    assert [maps[0].shape[3] for maps in features] == [2, 3, 5, 7, 11]
    assert all([each.shape[1] for each in maps] == [32, 128, 512, 1024, 1024] for maps in features)


def test_the_bands_hear_spectra_of_three_lengths() -> None:
    with torch.device("meta"):
        judges = Discriminators(["band"]).kinds["band"]
        features = [judge(torch.zeros(1, 1, 4096, device="meta"))[1] for judge in judges]
    assert [judge.edges[-1][1] for judge in judges] == [1025, 513, 257]
    assert [maps[0].shape[1] for maps in features] == [32] * 3
    assert [maps[0].shape[2] for maps in features] == [1 + 4096 // 512, 1 + 4096 // 256, 1 + 4096 // 128]


def test_short_audio_keeps_its_place_before_the_silence_behind_it() -> None:
    judge = Band(256, channels=2)
    audio = noise(100)
    with torch.no_grad():
        assert torch.equal(judge(audio)[0], judge(torch.nn.functional.pad(audio, (0, 156)))[0])


@pytest.mark.parametrize("period", PERIODS)
def test_a_sample_is_judged_in_its_own_phase(period: int) -> None:
    """What happens in one column of the folded signal stays there."""
    judge = small_period(period)
    audio = noise(40 * period)
    changed = audio.clone()
    changed[..., 20 * period + period // 2] += 1
    with torch.no_grad():
        moved = (judge(audio)[0] - judge(changed)[0]).abs().amax(dim=(0, 1, 2))
    assert moved[period // 2] > 0 and (moved > 0).sum() == 1


def test_a_band_hears_its_frequencies_alone() -> None:
    torch.manual_seed(0)
    judge = Band(256, channels=2)
    time = torch.arange(4096) / 2
    # Half the sample rate is 1: tones in the lowest band and in the highest one.
    quiet, low, high = (0.0 * time, torch.sin(torch.pi * 0.05 * 2 * time), torch.sin(torch.pi * 0.9 * 2 * time))
    with torch.no_grad():
        features = [judge(tone[None, None])[1] for tone in (quiet, low, high)]
    per_band = len(features[0]) // 5

    def change(of: int, band: int) -> float:
        first = band * per_band
        # Frames at the edges hold clicks, which are in all bands.
        return float((features[of][first] - features[0][first])[:, :, 10:-10].abs().max())

    assert change(1, 0) > 100 * change(2, 0) and change(2, 4) > 100 * change(1, 4)


@pytest.mark.parametrize("size", FFT_SAMPLES)
def test_bands_share_all_frequencies_between_them_and_keep_the_time(size: int) -> None:
    judge = Band(size, channels=2)
    assert judge.edges[0][0] == 0 and judge.edges[-1][1] == size // 2 + 1, "Nyquist, too"
    assert all(one[1] == other[0] for one, other in itertools.pairwise(judge.edges))
    assert [round(high / judge.edges[-1][1], 2) for _, high in judge.edges] == [0.1, 0.25, 0.5, 0.75, 1.0]
    judged, features = judge(noise(8 * size))
    assert {each.shape[2] for each in (judged, *features)} == {8 * 4 + 1}


@pytest.mark.parametrize("length", [1, 7, 100, 2049])
def test_any_length_is_judged(length: int) -> None:
    audio = noise(length).requires_grad_()
    for judge in [*map(small_period, PERIODS), *(Band(size, channels=2) for size in FFT_SAMPLES)]:
        judge(audio)[0].sum().backward()
    assert audio.grad is not None and audio.grad.isfinite().all()


def test_it_learns_to_tell_noise_from_tones() -> None:
    judge = small_period(3)
    optimizer = torch.optim.Adam(judge.parameters(), 1e-2)
    tone = torch.sin(torch.arange(300) * 0.3)[None, None]
    for seed in range(60):
        loss = (judge(tone)[0] - 1).square().mean() + judge(noise(300, seed))[0].square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        assert judge(tone)[0].mean() - judge(noise(300, 1000))[0].mean() > 0.3
