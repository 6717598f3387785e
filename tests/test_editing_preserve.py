"""Masks: what is kept comes from the source, what is gone stays gone, and what the model didn't hear follows."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from instructme.model.masks import beyond, consistent, follow, preserve, ratio, wiener
from instructme.pipelines.editing.changes import from_changes, from_target

RATE = 24000
TIME = torch.arange(RATE)[None] / RATE


def tone(hz, level=0.25, rate=RATE):
    return level * torch.sin(2 * math.pi * hz * torch.arange(rate)[None] / rate)


def noise(seed=0, level=0.1):
    return level * torch.randn(1, RATE, generator=torch.Generator().manual_seed(seed))


def off_db(sound, wanted):
    """Error of a sound, less its first and last tenth of a second, in dB under what is wanted."""
    inner = slice(RATE // 10, -RATE // 10)
    return 20 * torch.log10((sound - wanted)[..., inner].norm() / wanted[..., inner].norm()).item()


@settings(max_examples=25)
@given(st.integers(1, 30000), st.integers(1, 2))
def test_an_edit_that_changes_nothing_gives_the_source_at_any_length(length, count):
    sound = torch.randn(count, length, generator=torch.Generator().manual_seed(length))
    torch.testing.assert_close(preserve(sound, sound), sound, atol=1e-4, rtol=0)
    torch.testing.assert_close(beyond(sound, sound), torch.zeros_like(sound), atol=1e-4, rtol=0)
    torch.testing.assert_close(follow(sound, sound[:1], sound[:1], 44100, 12000), sound, atol=1e-4, rtol=0)


def test_silence_stays_silence():
    silence = torch.zeros(1, 1000)
    for result in (preserve(silence, silence), beyond(silence, silence), wiener(silence, silence, silence)):
        assert not result.any()
    assert not follow(silence, silence, silence, RATE, 12000).any()


def test_a_band_that_the_edit_removes_is_the_edits_and_the_rest_the_sources():
    kept, gone = tone(440), tone(3000)
    rough = 0.8 * kept.roll(7, -1)  # level and phase of the edit are off
    result = preserve(kept + gone, rough)
    assert off_db(result, 0.8 * kept) < -30 < off_db(rough, 0.8 * kept)


def test_a_bin_kept_by_less_than_half_is_the_edits():
    source = tone(440)
    below = 0.4 * source.roll(11, -1)
    assert off_db(preserve(source, below), below) < -30
    above = 0.6 * source.roll(11, -1)
    assert off_db(preserve(source, above), 0.6 * source) < -30


def test_what_is_beyond_the_source_is_found():
    old, new = tone(440), tone(3000)
    assert off_db(beyond(old, old.roll(9, -1) + new), new) < -30


def test_wiener_shares_the_source_by_power():
    ours, theirs = tone(440), tone(3000)
    assert off_db(wiener(ours + theirs, ours.roll(9, -1), theirs.roll(5, -1)), ours) < -30
    assert off_db(wiener(ours, ours.roll(9, -1), ours.roll(5, -1)), 0.5 * ours) < -30


def test_what_both_parts_lack_goes_to_the_louder_one():
    ours, theirs = tone(440), tone(3000)
    assert off_db(consistent(ours + theirs, ours, theirs), ours) < -60
    assert off_db(consistent(ours + theirs, 0.7 * ours, 0.8 * theirs), ours) < -40
    assert off_db(consistent(ours, 0.3 * ours, 0.3 * ours), 0.5 * ours) < -60


def test_the_ratio_is_never_above_one():
    spectra = torch.randn(2, 1, 40, 30, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    share = ratio(spectra[0], spectra[1])
    assert share.min() > 0 and share.max() == 1


def test_what_was_not_heard_follows_bin_by_bin_and_above_nyquist_by_the_octave_below():
    rate = 48000
    low, high = tone(440, rate=rate), tone(8000, rate=rate)
    heard = low + high
    over = tone(15000, rate=rate)
    for kept, wanted in ((low, low), (high, high + over), (heard, heard + over)):
        result = follow(heard + over, heard, kept, rate, 12000)
        assert off_db(result, wanted) < -25


def decode(latents):
    return latents.flatten(1)


@pytest.mark.parametrize(
    ("task", "sound", "kept"),
    [
        ("add", 14.0, 10.0),
        ("remove", 9.0, 9.0),
        ("extract", 4.0, 4.0),
        ("remix", 4.0, 0.0),
        ("replace", 13.0, 9.0),
        (None, 13.0, 9.0),
    ],
)
def test_parts_are_put_together_by_task(task, sound, kept):
    source, latents = torch.full((2, 6), 10.0), torch.cat([torch.full((2, 1, 6), 1.0), torch.full((2, 1, 6), 4.0)], dim=1)
    made = from_changes(task, source, latents, decode)
    assert (made.sound == sound).all() and (made.kept == kept).all() and made.sound.shape == source.shape


@pytest.mark.parametrize("how", ["ratio", "wiener"])
@pytest.mark.parametrize("task", ["remove", "extract", "replace", "add", "remix"])
def test_masks_repair_rough_parts(how, task):
    drums, piano, viola = noise(), tone(440), tone(1500)
    source = drums + piano
    shift = 6
    gone, left = (drums, piano) if task != "extract" else (piano, drums)
    added = {"extract": left.roll(shift, -1), "remove": torch.zeros_like(drums)}.get(task, viola)
    latents = torch.stack([gone.roll(shift, -1), added], dim=1)
    wanted = {"remove": piano, "extract": drums, "replace": piano + viola, "add": source + viola, "remix": viola}[task]
    plain, masked = (from_changes(task, source, latents, decode, each).sound for each in ("off", how))
    if task in ("add", "remix"):
        assert torch.equal(plain, masked)
    else:
        assert off_db(masked, wanted) < off_db(plain, wanted) - 2


def test_a_target_keeps_all_of_the_source_for_add_and_what_is_new():
    source, new = tone(440), tone(3000)
    made = from_target("add", source, source.roll(9, -1) + new, "ratio")
    assert off_db(made.sound, source + new) < -30 and made.kept is source
    made = from_target("replace", source + new, source.roll(9, -1) + tone(6000), "ratio")
    assert off_db(made.sound, source + tone(6000)) < -25
    target = noise()
    assert from_target("remix", source, target, "ratio").sound is target
    assert from_target("remove", source, target, "off").sound is target
