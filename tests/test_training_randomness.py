"""Random numbers that belong to a sample, whatever batch it is in."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from instructme.pipelines.training.randomness import generators, normal, uniform


@given(st.integers(0, 2**40), st.lists(st.integers(0, 2**50), min_size=1, max_size=5, unique=True))
def test_random_numbers_belong_to_a_sample_not_to_its_batch(seed: int, numbers: list[int]):
    together = normal(generators(seed, torch.tensor(numbers)), (3,))
    alone = torch.cat([normal(generators(seed, [number]), (3,)) for number in numbers])
    assert torch.equal(together, alone) and len(together.unique(dim=0)) == len(numbers)
    assert not torch.equal(together, normal(generators(seed + 1, numbers), (3,)))
    drawn = uniform(generators(seed, numbers))
    assert drawn.shape == (len(numbers),) and bool(((drawn >= 0) & (drawn < 1)).all())
