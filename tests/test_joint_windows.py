"""Windows that overlap make one stretch: weights sum to 1, nothing jumps, and frames that are done stay."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from instructme.model.joint_windows import JointWindows, continued


@st.composite
def places(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Draw windows of which each overlaps the next, two or three at a time."""
    spans = [(0, draw(st.integers(2, 40)))]
    for _ in range(draw(st.integers(0, 4))):
        first, count = spans[-1]
        start = draw(st.integers(first + 1, first + count - 1))
        spans.append((start, draw(st.integers(first + count - start + 1, 60))))
    return spans


@settings(max_examples=50)
@given(places())
def test_windows_of_one_sound_join_to_it(spans: list[tuple[int, int]]) -> None:
    windows = JointWindows(spans)
    sound = torch.randn(2, 3, windows.frames, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(windows.join(windows.cut(sound)), sound)


def test_a_single_window_is_the_stretch_itself() -> None:
    sound = torch.randn(1, 2, 7)
    assert JointWindows([(0, 7)]).join([sound]) is sound


def test_two_takes_pass_into_each_other_without_a_jump() -> None:
    joined = JointWindows([(0, 50), (40, 50)]).join([torch.zeros(1, 1, 50), torch.ones(1, 1, 50)])[0, 0]
    assert not joined[:40].any() and (joined[50:] == 1).all()
    steps = joined.diff()
    assert (steps[39:50] > 0).all() and steps.max() < 0.11
    torch.testing.assert_close(joined[40:50], torch.arange(1.0, 11) / 11)


def test_a_stretch_continues_another_one() -> None:
    stretch = continued(torch.ones(1, 1, 30), torch.zeros(1, 1, 20))[0, 0]
    assert not stretch[:10].any() and (stretch[20:] == 1).all()
    torch.testing.assert_close(stretch[9:21].diff(), torch.full((11,), 1 / 11))


@pytest.mark.parametrize("count", [0, 1, 5])
def test_nothing_is_longer_than_the_stretch(count: int) -> None:
    stretch = torch.ones(1, 1, 3)
    assert continued(stretch, None) is stretch
    assert continued(stretch, torch.zeros(1, 1, count)).shape == stretch.shape
