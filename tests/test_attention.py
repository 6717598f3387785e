"""The chunk transformer against torch's own attention, and what each frame can see."""

import pytest
import torch
from torch import nn

from instructme.model.attention import Attention, ChunkTransformer, _nearness


def transformer(chunk_frames: int | None = 8, **conditions: object) -> ChunkTransformer:
    torch.manual_seed(0)
    layer = ChunkTransformer(64, 32, chunk_frames, **conditions)  # type: ignore[arg-type]
    nn.init.normal_(layer.leave.weight, std=0.1)
    # A norm over all frames lets every frame see every other; here it is attention that is looked at.
    layer.norm = nn.Identity()  # type: ignore[assignment]
    return layer.double()


def test_attention_equals_that_of_torch() -> None:
    torch.manual_seed(0)
    ours, theirs = Attention(64, 16), nn.MultiheadAttention(64, 4, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.to_query.weight, ours.to_key.weight, ours.to_value.weight]))
        theirs.out_proj.weight.copy_(ours.out.weight)
        theirs.out_proj.bias.copy_(ours.out.bias)
    states = torch.randn(2, 11, 64)
    hidden = torch.zeros(2, 11, dtype=torch.bool)
    hidden[:, 7:] = True
    expected = theirs(states, states, states, key_padding_mask=hidden)[0]
    assert torch.allclose(ours(states, mask=~hidden[:, None, None, :]), expected, atol=1e-6)


@pytest.mark.parametrize("frames", [1, 5, 8])
def test_one_chunk_over_everything_is_full_attention(frames: int) -> None:
    chunked, full = transformer(8), transformer(None)
    features = torch.randn(2, 64, frames, dtype=torch.float64)
    assert torch.allclose(chunked(features), full(features), atol=1e-12)


@pytest.mark.parametrize("frames", [1, 5, 6, 8])
def test_one_chunk_over_everything_hears_all_chords(frames: int) -> None:
    chunked, full = transformer(8, chord_width=16), transformer(None, chord_width=16)
    features, chords = torch.randn(2, 64, frames, dtype=torch.float64), torch.randn(2, frames, 16, dtype=torch.float64)
    assert torch.allclose(chunked(features, chords=chords), full(features, chords=chords), atol=1e-12)


def test_a_new_layer_passes_its_input_on() -> None:
    features = torch.randn(2, 64, 20)
    assert torch.equal(ChunkTransformer(64, 32, 8)(features), features)


def test_the_source_is_heard_where_there_is_one_and_silence_is_no_source() -> None:
    layer = transformer(8, source=True)
    features, source = torch.randn(2, 2, 64, 20, dtype=torch.float64)
    assert not torch.allclose(layer(features, source=source), layer(features), atol=1e-3)
    assert torch.equal(layer(features, source=torch.zeros_like(source)), layer(features))


def test_a_frame_reaches_exactly_its_neighbours_of_three_half_chunks() -> None:
    layer, size, frames = transformer(8), 8, 64
    for frame in (0, 3, 4, 21, 22, 40, 63):
        features = torch.randn(1, 64, frames, dtype=torch.float64, requires_grad=True)
        layer(features)[0, :, frame].square().sum().backward()
        assert features.grad is not None
        reached = features.grad[0].abs().sum(0).nonzero().flatten().tolist()
        first = (frame // (size // 2) - 1) * (size // 2)
        assert reached == list(range(max(first, 0), min(first + 3 * size // 2, frames)))


def test_padding_is_seen_by_nobody() -> None:
    layer = transformer(8, chord_width=16)
    features, chords = torch.randn(2, 64, 30, dtype=torch.float64), torch.randn(2, 30, 16, dtype=torch.float64)
    other, others = features.clone(), chords.clone()
    other[..., 27:] += 5
    others[:, 27:] -= 5
    kept = layer(features, chords=chords, valid_frames=27)[..., :27]
    assert torch.allclose(kept, layer(other, chords=others, valid_frames=27)[..., :27], atol=1e-12)
    assert not torch.allclose(layer(features, chords=chords)[..., :27], layer(other, chords=others)[..., :27])


def test_masked_words_are_not_read() -> None:
    layer = transformer(8, text_width=24)
    features, text = torch.randn(2, 64, 20, dtype=torch.float64), torch.randn(2, 6, 24, dtype=torch.float64)
    mask = torch.ones(2, 6, dtype=torch.bool)
    mask[:, 4:] = False
    other = text.clone()
    other[:, 4:] = 9
    assert torch.equal(layer(features, text=text, text_mask=mask), layer(features, text=other, text_mask=mask))
    assert not torch.allclose(layer(features, text=text), layer(features, text=other))


def test_chords_sound_where_they_stand() -> None:
    """A chord changed at one frame is heard in the chunks of that span only, and most by its own frame."""
    layer = transformer(8, chord_width=16)
    features, chords = torch.randn(1, 64, 40, dtype=torch.float64), torch.randn(1, 40, 16, dtype=torch.float64)
    other = chords.clone()
    other[:, 21] += 4
    change = (layer(features, chords=chords) - layer(features, chords=other)).abs().sum(1)[0]
    assert change[:16].max() == 0 and change[28:].max() == 0
    assert int(change.argmax()) in (20, 21, 22)


def test_chords_nearby_count_more() -> None:
    """Where every chord suits a frame as well as any other, only their distance tells them apart."""
    layer = transformer(8, chord_width=16)
    assert layer.chord_attention is not None
    torch.nn.init.zeros_(layer.chord_attention.to_query.weight)
    features, chords = torch.randn(1, 64, 8, dtype=torch.float64), torch.randn(1, 8, 16, dtype=torch.float64)
    other = chords.clone()
    other[:, 0] += 4
    change = (layer(features, chords=chords) - layer(features, chords=other)).abs().mean(1)[0]
    assert change[0] > 1.3 * change[7]


def test_the_first_head_listens_to_one_chord_and_the_last_to_about_a_hundred() -> None:
    """Weights of attention fall by e with each frame in the first head, and by e in 128 frames in the last (ALiBi)."""
    bias = _nearness(200, 8, torch.device("cpu"))[0]
    weights = bias.softmax(dim=-1)[:, 100]
    assert float(weights[0, 100] / weights[0, 101]) == pytest.approx(2.718, abs=0.01)
    assert float(weights[-1, 0] / weights[-1, 100]) == pytest.approx(2.718 ** (-100 / 128), abs=0.01)
    fewer = [int((each > each.max() / 2.718).sum()) for each in weights]
    assert fewer == sorted(fewer)
