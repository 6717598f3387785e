"""Production of dry parts: levels, silence, seeds, and what each effect does."""

import pytest
import torch

from instructme.model import production
from instructme.model.production import compress, produce, room_responses, saturate

RATE_HZ = 8000


def parts(count: int = 6) -> torch.Tensor:
    return 0.1 * torch.randn(count, 2 * RATE_HZ, generator=torch.Generator().manual_seed(0))


def produced(sound: torch.Tensor, seed: int = 0) -> torch.Tensor:
    return produce(sound, RATE_HZ, torch.Generator().manual_seed(seed))


def test_each_part_keeps_its_rms() -> None:
    dry = parts()
    torch.testing.assert_close(produced(dry).square().mean(1), dry.square().mean(1), rtol=1e-3, atol=1e-7)


def test_silent_parts_stay_silent_and_do_not_change_the_others() -> None:
    dry = parts(3)
    dry[1] = 0
    made = produced(dry)
    assert not made[1].any()
    torch.testing.assert_close(made[[0, 2]], produced(dry[[0, 2]]))


def test_a_seed_gives_the_same_sound_and_another_seed_another() -> None:
    assert torch.equal(produced(parts(), 1), produced(parts(), 1))
    assert not torch.allclose(produced(parts(), 1), produced(parts(), 2), atol=1e-3)


def test_saturation_bends_peaks_and_leaves_the_others_alone() -> None:
    dry = parts(2)
    made = saturate(dry, torch.tensor([[4.0], [0.0]]))
    assert made[0].abs().max() / made[0].square().mean().sqrt() < dry[0].abs().max() / dry[0].square().mean().sqrt()
    assert torch.equal(made[1], dry[1])


def test_compression_brings_loud_and_soft_moments_nearer() -> None:
    dry = parts(1)
    dry[:, RATE_HZ:] *= 10
    made = compress(dry, torch.tensor([[0.7]]))
    soft, loud = (made[:, half].square().mean().sqrt() for half in (slice(0, RATE_HZ - 1024), slice(RATE_HZ + 1024, None)))
    assert 1.0 < float(loud / soft) < 8.0


def test_rooms_are_always_the_same_and_die_away() -> None:
    rooms = room_responses(RATE_HZ)
    assert rooms.shape[0] == 48
    assert (rooms[:, -100:].abs().amax(1) < 0.1 * rooms.abs().amax(1)).all()


@pytest.mark.parametrize("drive", [0.5, 1.0, 20.0])
def test_saturation_is_a_tangent_in_units_of_the_rms(drive: float) -> None:
    dry = parts(2)
    rms = dry.square().mean(dim=1, keepdim=True).sqrt()
    wanted = rms * torch.tanh(dry / rms * drive) / drive
    torch.testing.assert_close(saturate(dry, torch.full((2, 1), drive)), wanted)


def test_an_equaliser_is_smooth_over_octaves_within_9_db_and_spares_a_quarter() -> None:
    gains_db = 20 * production._equaliser(400, 2049, torch.Generator().manual_seed(0), torch.device("cpu")).log10()
    assert float(gains_db.abs().max()) <= 9.001
    flat = (gains_db.abs().amax(dim=1) < 1e-4).float().mean()
    assert 0.15 < float(flat) < 0.35
    octaves = gains_db[:, [64, 128, 256, 512, 1024, 2048]]
    assert float(octaves.diff(dim=1).abs().max()) > 3, "octaves differ"
    assert float(gains_db[:, 200:].diff(dim=1).abs().max()) < 0.2, "bins beside each other do not"


def test_some_parts_stand_in_a_room() -> None:
    clicks = torch.zeros(300, 12000)
    clicks[:, 0] = 1.0
    sound = production.filtered(clicks, 24000, torch.Generator().manual_seed(0))
    tails = sound[:, 1200:].square().sum(dim=1)
    in_room = tails > 1e-5
    assert 0.35 < float(in_room.float().mean()) < 0.55
    assert float(tails.max()) < 10**-0.6 * 4, "the room is softer than the sound, but for the equaliser"


def test_sizes_of_transforms_are_fast_and_no_larger_than_they_must_be() -> None:
    fast = sorted(quarter << power for quarter in (4, 5, 6) for power in range(1, 16))
    for least in (9, 16, 17, 20, 21, 1000, 1025, 1281, 40_000, 40_961):
        assert production._fast_size(least) == next(size for size in fast if size >= least)
