"""Chunks overlap by half, lose nothing, and show each frame its neighbours."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from instructme.model import chunks


@given(frames=st.integers(1, 400), half=st.integers(1, 60), batch=st.integers(1, 3))
def test_fusing_what_was_cut_gives_the_sequence_back_exactly(frames: int, half: int, batch: int) -> None:
    sequence = torch.randn(batch, frames, 2)
    cut = chunks.segment(sequence, 2 * half)
    assert cut.shape[1] == chunks.count(frames, 2 * half)
    assert torch.equal(chunks.fuse(cut, frames), sequence)


@given(frames=st.integers(1, 400), half=st.integers(1, 60))
def test_every_frame_lies_in_two_chunks_unless_one_holds_all(frames: int, half: int) -> None:
    position = torch.arange(1, frames + 1.0)[None, :, None]
    cut = chunks.segment(position, 2 * half)
    times = torch.bincount(cut.flatten().long(), minlength=frames + 1)[1:]
    assert set(times.tolist()) == ({1} if frames <= 2 * half else {2})
    assert int(chunks.inside(frames, 2 * half).sum()) == int(times.sum())


@given(frames=st.integers(2, 300), half=st.integers(1, 40), data=st.data())
def test_padding_at_the_end_is_told_from_frames(frames: int, half: int, data: st.DataObject) -> None:
    valid = data.draw(st.integers(1, frames))
    real = chunks.inside(frames, 2 * half, valid)
    position = chunks.segment(torch.arange(1, frames + 1.0)[None, :, None], 2 * half)[0, :, :, 0]
    assert torch.equal(real, (position > 0) & (position <= valid))


@pytest.mark.parametrize("size", [0, 1, 7])
def test_chunks_that_cannot_overlap_by_half_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="choose an even number"):
        chunks.segment(torch.zeros(1, 10, 1), size)
