"""The separator's loss, in real and in complex numbers, and SI-SDR beside an independent computation."""

import numpy as np
import torch

from instructme.model.separation_loss import FLOORS, separation_loss, separation_scores_db, si_sdr_db


def spectra(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.view_as_complex(torch.randn(*shape, 2, generator=torch.Generator().manual_seed(seed)))


MIX, ANSWERS, LOGITS = spectra(2, 9, 12), spectra(2, 3, 9, 12, seed=1), torch.zeros(2, 3, 12)


def test_a_real_mask_costs_the_same_as_the_complex_mask_of_equal_value() -> None:
    mask = torch.rand(2, 3, 9, 12, generator=torch.Generator().manual_seed(2))
    real = separation_loss(mask, LOGITS, ANSWERS, MIX)
    both = separation_loss(mask.to(torch.complex64), LOGITS, ANSWERS, MIX)
    for name, value in real.items():
        torch.testing.assert_close(value, both[name], rtol=1e-4, atol=1e-5)


def test_the_right_mask_costs_least() -> None:
    right = torch.rand(2, 3, 9, 12, generator=torch.Generator().manual_seed(3))
    answers = MIX[:, None] * right
    perfect = separation_loss(right, LOGITS, answers, MIX)
    assert abs(float(perfect["error"]) - np.log10(FLOORS[1])) < 0.01
    assert float(perfect["spectrum"]) < 1e-3
    for share in (0.9, 0.5, 0.0):
        worse = separation_loss(right * share, LOGITS, answers, MIX)
        assert worse["error"] > perfect["error"] and worse["spectrum"] > perfect["spectrum"]


def test_a_ghost_of_what_is_absent_costs_less_than_an_equal_error_elsewhere() -> None:
    mask = torch.full((2, 3, 9, 12), 0.1)  # 20 dB under the mix
    silence = torch.zeros_like(ANSWERS)
    ghost = separation_loss(mask, LOGITS, silence, MIX)["error"] - separation_loss(0 * mask, LOGITS, silence, MIX)["error"]
    whole = MIX[:, None].expand(-1, 3, -1, -1)
    error = separation_loss(1 - mask, LOGITS, whole, MIX)["error"] - separation_loss(1 + 0 * mask, LOGITS, whole, MIX)["error"]
    assert error > 2 * ghost > 0  # the other way round, masks of what sounds come out too small


def test_presence_is_learned_from_the_level_of_the_answer() -> None:
    answers = torch.zeros_like(ANSWERS)
    answers[:, 0] = MIX
    right = torch.full((2, 3, 12), -9.0)
    right[:, 0] = 9.0
    assert separation_loss(torch.zeros(2, 3, 9, 12), right, answers, MIX)["presence"] < 0.01
    assert separation_loss(torch.zeros(2, 3, 9, 12), -right, answers, MIX)["presence"] > 5


def test_si_sdr_is_that_of_the_definition() -> None:
    rng = np.random.default_rng(0)
    estimate, answer = rng.standard_normal((2, 4000))
    scale = estimate @ answer / (answer @ answer)
    expected = 10 * np.log10(np.sum((scale * answer) ** 2) / np.sum((estimate - scale * answer) ** 2))
    found = si_sdr_db(torch.from_numpy(estimate), torch.from_numpy(answer))
    np.testing.assert_allclose(float(found), expected, rtol=1e-6)
    np.testing.assert_allclose(float(si_sdr_db(torch.from_numpy(3 * estimate), torch.from_numpy(answer))), expected, rtol=1e-6)


def test_silence_is_no_better_than_doing_nothing() -> None:
    mix = torch.randn(1, 4000, generator=torch.Generator().manual_seed(0))
    answers = torch.stack([0.3 * mix[0] + 0.1 * torch.randn(4000, generator=torch.Generator().manual_seed(1))])[None]
    scores = separation_scores_db(1e-6 * answers, answers, mix)
    assert scores["extract_db"] == scores["extract_identity_db"] < 20, "the SI-SDR alone would call it perfect"
    assert separation_scores_db(0.1 * answers, answers, mix)["extract_db"] > 60
