"""Production of dry parts: levels, silence, seeds, and what each effect does."""

import torch

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
