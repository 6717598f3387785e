"""An edit keeps length, level, channels and rate, whatever the model makes; exact, with a lossless stand-in for the networks."""

import functools
import math

import numpy as np
import pytest
import torch
from editing_stand_in import HOP, PRESET, RATE, Frames, music, stand_in, tone
from hypothesis import given, settings
from hypothesis import strategies as st

from instructme.manifests.rows import DataError
from instructme.model.config import ModelError, override
from instructme.pipelines.editing import crossfade, diffusion_edit
from instructme.pipelines.editing import editor as editor_module
from instructme.pipelines.editing.denoiser import SamplingSettings, noise
from instructme.pipelines.editing.editor import Editor, EditWarning
from instructme.pipelines.sentences.refusals import SentenceError

pytestmark = pytest.mark.filterwarnings("ignore::instructme.pipelines.editing.editor.EditWarning")


def under_db(sound, wanted):
    """Error in dB under what is wanted."""
    return 20 * math.log10(max(np.linalg.norm(sound - wanted), 1e-9) / np.linalg.norm(wanted))


@settings(max_examples=30)
@given(
    st.floats(0.0001, 9),
    st.sampled_from([RATE, 11025, 16000, 44100, 44101, 4000]),
    st.integers(0, 3),
    st.sampled_from(["add", "remove"]),
)
def test_an_edit_that_changes_nothing_gives_the_source(seconds, rate, channels, task):
    audio = music(seconds, max(channels, 1), rate)
    audio = audio if channels else audio[:, 0]
    edited = stand_in().edit(audio, rate, f"{task} drums", preserve="off")
    assert edited.shape == audio.shape and edited.dtype == np.float32
    np.testing.assert_allclose(edited, audio, atol=1e-5)


@pytest.mark.parametrize("how", ["ratio", "wiener"])
@pytest.mark.parametrize("task", ["add piano", "remove piano", "replace piano with bass"])
def test_preserving_changes_nothing_where_nothing_is_edited(how, task):
    audio = music(5, 2, 44100)
    np.testing.assert_allclose(stand_in().edit(audio, 44100, task, preserve=how), audio, atol=2e-4)


def test_parts_add_up_to_the_source_unless_somebody_asks_for_something_else():
    def half(chunk):
        return 0.5 * chunk.source.roll(1, 1)

    edit = stand_in(removed=half, added=half, preset=override(PRESET, ["diffusion.predict=changes"])).edit
    usual, consistent, plain = (edit(music(3), RATE, "extract drums", preserve=how) for how in (None, "consistent", "off"))
    np.testing.assert_array_equal(usual, consistent)
    assert np.abs(usual - plain).max() > 1e-3


def test_what_is_added_stands_in_the_centre_and_the_source_stays_whole():
    audio = np.stack([tone(440, rate=44100), tone(9000, rate=44100)], axis=1)
    edited = stand_in(added=0.5).edit(audio, 44100, "add piano")
    np.testing.assert_allclose(edited[:, 0] - audio[:, 0], edited[:, 1] - audio[:, 1], atol=1e-6)
    assert under_db((edited - audio)[2000:-2000, 0], 0.25 * audio[2000:-2000, 0]) < -40


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 44100])
def test_removing_everything_leaves_silence_in_all_channels_and_bands(channels, rate):
    audio = music(5, channels, rate)
    if rate > RATE:
        audio += np.float32(0.02) * np.random.default_rng(1).standard_normal(audio.shape).astype(np.float32)
    edited = stand_in(removed=1.0).edit(audio, rate, "remove drums")
    assert under_db(edited + audio, audio) < -25


def test_a_panned_instrument_goes_as_a_whole_and_the_other_one_stays():
    left, right = tone(440), tone(1800)
    audio = np.stack([left, right], axis=1)

    def gone(chunk):
        wave = Frames().from_latent(chunk.source, chunk.source.shape[-1] * HOP)[0, 0].numpy()
        spectrum = np.fft.rfft(wave)
        spectrum[np.fft.rfftfreq(len(wave), 1 / RATE) > 1000] = 0
        return Frames().to_latent(torch.from_numpy(np.fft.irfft(spectrum, len(wave)).astype(np.float32))[None, None])

    edited = stand_in(removed=gone).edit(audio, RATE, "remove bass")
    inner = slice(1000, -1000)
    assert np.abs(edited[inner, 0]).max() < 0.02
    assert under_db(edited[inner, 1], right[inner]) < -20


def test_extract_gives_the_target_and_remix_a_new_sound_in_the_centre():
    audio = music(5, 2)
    mid = audio.mean(axis=1, keepdims=True)
    extracted = stand_in(removed=0.5, added=0.5).edit(audio, RATE, "extract bass", preserve="off")
    np.testing.assert_allclose(extracted.mean(axis=1, keepdims=True), 0.5 * mid, atol=1e-5)
    remixed = stand_in(added=0.5).edit(audio, RATE, "remix to Jazz genre")
    np.testing.assert_allclose(remixed, 0.5 * np.repeat(mid, 2, axis=1), atol=1e-6)


@pytest.mark.parametrize("how", [None, "off", "ratio", "consistent"])
def test_a_run_that_predicts_what_is_named_takes_it_out_or_gives_it_alone(how):
    audio, preset = music(5, 1)[:, 0], override(PRESET, ["diffusion.predict=named"])
    editor = stand_in(removed=0.25, added=0.0, preset=preset)
    removed, extracted = (editor.edit(audio, RATE, f"{task} bass", preserve=how) for task in ("remove", "extract"))
    np.testing.assert_allclose(removed, 0.75 * audio, atol=1e-5)
    np.testing.assert_allclose(extracted, 0.25 * audio, atol=1e-5)


def test_a_run_that_predicts_targets():
    preset = override(PRESET, ["diffusion.predict=target"])
    audio = music(5, 1)[:, 0]
    for task, how in (("add piano", None), ("add piano", "ratio"), ("remove piano", None), ("remove piano", "ratio")):
        edited = stand_in(added=1.0, preset=preset).edit(audio, RATE, task, preserve=how)
        np.testing.assert_allclose(edited, audio, atol=2e-4)
    halved = stand_in(added=0.5, preset=preset).edit(audio, RATE, "extract piano")
    np.testing.assert_allclose(halved, 0.5 * audio, atol=1e-5)


@pytest.mark.parametrize("level", [1e-3, 0.05, 0.5])
def test_the_model_hears_the_level_it_was_trained_at_and_the_user_gets_his_own_back(level):
    heard = []
    audio = music(5, 1, level=level)[:, 0]
    audio[: RATE + 1] = 0  # silence doesn't count
    edited = stand_in(removed=0.5, heard=heard, data={"rms_db": -20.0}).edit(audio, RATE, "remove bass", preserve="off")
    np.testing.assert_allclose(edited, 0.5 * audio, atol=1e-6)
    for chunk in heard[1:]:
        assert 20 * math.log10(chunk.source.square().mean().sqrt()) == pytest.approx(-20, abs=0.3)


@pytest.mark.parametrize(("level_db", "heard_db"), [(-50, -30), (-30, -30), (-22, -22), (-6, -15)])
def test_a_level_that_the_run_was_trained_at_stays(level_db, heard_db):
    heard = []
    audio = music(2, 1)
    audio *= 10 ** (level_db / 20) / np.sqrt(np.mean(audio**2))
    stand_in(heard=heard, data={"rms_db": -20.0, "rms_range_db": [-30, -15]}).edit(audio, RATE, "remove bass")
    assert 20 * math.log10(heard[0].source.square().mean().sqrt()) == pytest.approx(heard_db, abs=0.1)


def test_chunks_are_those_of_the_clip_length_and_share_noise_where_they_overlap():
    heard = []
    stand_in(heard=heard).edit(music(5.5, 1), RATE, "remove bass", seed=3)
    assert [chunk.source.shape[-1] * HOP / RATE for chunk in heard] == [2.0, 2.0, 2.0, 2.0, 1.5]
    assert all(chunk.noise.shape == (1, 2 * HOP, chunk.source.shape[-1]) for chunk in heard)
    frames = RATE // HOP
    assert torch.equal(heard[0].noise[..., frames:], heard[1].noise[..., :frames])
    assert heard[0].instruction.text == "remove bass" and heard[0].settings.seed == 3


def test_the_seed_decides():
    editor = stand_in(added=lambda chunk: 0.1 * chunk.noise[:, :HOP])
    first, again, other = (editor.edit(music(5), RATE, "add piano", seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.allclose(first, other, atol=1e-3)


@given(st.integers(0, 500), st.integers(1, 300), st.integers(0, 300))
def test_noise_depends_on_the_place_alone(first, frames, later):
    whole = noise(7, 0, first + frames + later, 3)
    assert torch.equal(noise(7, first, frames, 3), whole[..., first : first + frames])


def test_noise_is_standard_normal():
    drawn = noise(0, 0, 20000, 2)
    assert abs(drawn.mean()) < 0.02 and abs(drawn.std() - 1) < 0.02
    assert abs(torch.corrcoef(drawn[0])[0, 1]) < 0.03
    assert abs((drawn[0, 0] * noise(1, 0, 20000, 2)[0, 0]).mean()) < 0.03


def test_silence_stays_and_is_told():
    heard = []
    with pytest.warns(EditWarning) as said:
        edited = stand_in(added=1.0, heard=heard).edit(np.zeros((30000, 2), np.float32), 44100, "add piano")
    assert not edited.any() and edited.shape == (30000, 2) and not heard
    assert len(said) == 1 and "silent" in str(said[0].message)


def test_silent_chunks_are_left_alone():
    heard = []
    audio = np.concatenate([music(2.0, 1), np.zeros((6 * RATE, 1), np.float32)])
    edited = stand_in(removed=1.0, heard=heard).edit(audio, RATE, "remove bass")
    assert len(heard) == 2 and np.abs(edited[2 * RATE :]).max() < 1e-12


def test_a_result_over_full_scale_is_turned_down_as_a_whole():
    audio = music(5, 1)[:, 0]
    audio *= 0.9 / np.abs(audio).max()
    with pytest.warns(EditWarning) as said:
        edited = stand_in(added=1.0).edit(audio, RATE, "add piano")
    assert np.abs(edited).max() <= 1 and np.abs(edited).max() == pytest.approx(1)
    np.testing.assert_allclose(edited / edited[100], audio / audio[100], rtol=1e-3, atol=1e-3)
    assert len(said) == 1 and "5.1 dB" in str(said[0].message)


@pytest.mark.parametrize(
    ("audio", "complaint"),
    [
        (np.array([0.1, np.nan], np.float32), "NaN"),
        (np.array([0.1, -np.inf], np.float32), "NaN"),
        (np.zeros(0, np.float32), "float samples"),
        (np.zeros((5, 0), np.float32), "float samples"),
        (np.zeros((2, 5, 2), np.float32), "float samples"),
        (np.ones(100, np.int16), "float samples"),
        (np.ones((2, 4000), np.float32), r"give samples as \(T, channels\)"),
    ],
)
def test_arrays_that_are_no_audio_are_refused(audio, complaint):
    with pytest.raises(DataError, match=complaint) as error:
        stand_in().edit(audio, RATE, "remove bass")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("steps", [0, -1, 1001])
def test_steps_that_the_schedule_has_not_are_refused(steps):
    with pytest.raises(DataError, match="take 1 to 1000"):
        stand_in().edit(music(1), RATE, "add piano", steps=steps)


def test_a_model_that_makes_nan_is_told():
    with pytest.raises(DataError, match="earlier checkpoint"):
        stand_in(added=torch.nan).edit(music(1), RATE, "add piano")


def test_the_chords_are_those_of_what_the_model_hears(monkeypatch):
    asked, heard = [], []

    def matrix(samples, rate_hz):
        asked.append((samples, rate_hz))
        return np.tile(np.arange(87, dtype=np.float16), (100, 1))

    monkeypatch.setattr(diffusion_edit, "chord_matrix", matrix)
    stand_in(heard=heard, preset=override(PRESET, ["unet.chords=true"])).edit(music(2.0, 2, 44100), 44100, "remove bass")
    samples, rate_hz = asked[0]
    assert rate_hz == RATE and samples.shape == (2 * RATE,)
    np.testing.assert_allclose(samples, Frames().from_latent(heard[0].source, 2 * RATE)[0, 0].numpy())
    chords = heard[0].chords
    assert chords.shape == (1, 100, heard[0].source.shape[-1])
    assert chords[0, 0, 100] == pytest.approx(100.5 * HOP / RATE * 22050 / 512, rel=1e-5)


def test_words_that_the_run_does_not_know_are_warned_of():
    editor = stand_in(data={"instruments": ["bass"], "templates": {"add": ["give {instrument}"]}})
    with pytest.warns(EditWarning) as said:
        editor.edit(music(1), RATE, "give viola")
    assert [str(each.message) for each in said] == ["the run was not trained on viola: nearest are bass"]
    with pytest.raises(SentenceError, match="not known"):
        editor.edit(music(1), RATE, "frobnicate")


def test_a_sentence_of_several_steps_is_several_passes():
    heard = []
    edited = stand_in(removed=0.5, heard=heard).edit(music(1.5, 1), RATE, "remove the bass and drums", preserve="off")
    assert [chunk.instruction.text for chunk in heard] == ["remove bass", "remove drums"]
    np.testing.assert_allclose(edited, 0.25 * music(1.5, 1), atol=1e-5)
    with pytest.raises(DataError, match="2 edits"):
        next(stand_in().blocks(music(1), RATE, "remove bass and drums"))


@pytest.mark.parametrize(("words", "start", "end"), [("from 0:02 to 0:04", 2, 4), ("after 0:03", 3, 9), ("until 0:02", 0, 2)])
def test_a_time_span_is_edited_and_the_rest_is_the_source(words, start, end):
    heard, audio = [], music(9, 2)
    edited = stand_in(removed=0.5, heard=heard).edit(audio, RATE, f"remove the drums {words}", preserve="off")
    inside = slice(start * RATE + 200 * (start > 0), end * RATE - 200)
    np.testing.assert_allclose(edited[inside].mean(axis=1), 0.5 * audio[inside].mean(axis=1), atol=1e-5)
    outside = np.ones(len(audio), dtype=bool)
    outside[start * RATE : end * RATE] = False
    assert np.array_equal(edited[outside], audio[outside])
    assert len(heard) < 9
    with pytest.raises(DataError, match=r"is 9\.0 s long"):
        stand_in().edit(audio, RATE, "remove the drums after 0:09")


def test_settings_are_given_as_a_whole_or_one_by_one():
    heard = []
    edit = functools.partial(stand_in(heard=heard).edit, music(1), RATE, "remove bass")
    edit(), edit(SamplingSettings(seed=3, steps=9)), edit(seed=3), edit(SamplingSettings(seed=3, steps=9), seed=4, preserve="off")
    assert [chunk.settings for chunk in heard] == [
        SamplingSettings(),
        SamplingSettings(seed=3, steps=9),
        SamplingSettings(seed=3),
        SamplingSettings(seed=4, steps=9, preserve="off"),
    ]
    with pytest.raises(TypeError, match="colour"):
        edit(colour="blue")


def watched(editor, steps=1):
    """Let an editor's denoiser work in steps, and note its stretches: the seconds of their chunks, and what is done."""
    stretches, denoise = [], editor._denoise

    def work(chunks, done):
        stretches.append(([chunk.first * HOP / RATE for chunk in chunks], done))
        for latents, share in denoise(chunks, done):
            yield from [(latents, share / steps)] * steps

    editor._denoise = work
    return stretches


def test_blocks_report_each_step_and_hold_no_more_than_a_stretch(monkeypatch):
    monkeypatch.setattr(diffusion_edit, "STRETCH_S", 4)
    heard, steps = [], 5
    editor = stand_in(heard=heard)
    stretches = watched(editor, steps)
    audio = np.concatenate([music(9.3), np.zeros((3 * RATE, 2), np.float32)])
    samples, seconds, sizes = 0, [], []
    for block in editor.blocks(audio, RATE, "remove bass"):
        samples += len(block.samples)
        seconds.append(block.seconds)
        sizes.append(len(block.samples))
        assert samples >= (len(heard) - 4) * RATE
    assert samples == len(audio) and max(sizes) <= 2 * RATE
    assert sum(seconds) == pytest.approx(12.3) and max(seconds) <= 2.0
    assert sum(each > 0 for each in seconds) > steps * len(stretches)


def test_a_minute_is_denoised_together_and_the_next_one_continues_it():
    """What is new differs in each chunk. Where chunks meet, it passes from one to the other, at each step."""
    editor = stand_in(added=lambda chunk: torch.full_like(chunk.source, 0.1 * (chunk.first // 100 % 2)))
    stretches, audio = watched(editor), music(70, 1)
    new = editor.edit(audio, RATE, "add piano") - audio
    assert [(starts[0], len(starts)) for starts, _ in stretches] == [(0, 59), (59, 10)]
    assert stretches[0][1] is None and stretches[1][1].shape[-1] == RATE // HOP
    frames = new[:, 0].reshape(-1, HOP).mean(axis=1)
    assert np.abs(np.diff(frames)).max() < 2.1 * np.ptp(frames) / (RATE / HOP)


def test_silence_ends_a_stretch():
    stretches = watched(editor := stand_in(removed=0.5))
    audio = np.concatenate([music(3), np.zeros((4 * RATE, 2), np.float32), music(3)])
    editor.edit(audio, RATE, "remove bass")
    assert [starts for starts, _ in stretches] == [[0, 1, 2], [6, 7, 8]]
    assert all(done is None for _, done in stretches)


def test_a_chunk_that_starts_within_a_frame_of_the_others_is_denoised_by_itself():
    """Their latents are of other moments. Frames of 0.75 s begin at every third second."""
    stretches = watched(editor := stand_in(removed=0.5, preset=override(PRESET, ["vae.hop_samples=6000"])))
    frames = editor._vae = Frames()
    frames.to_latent = lambda audio: torch.zeros(1, HOP, -(-audio.shape[-1] // 6000))
    frames.from_latent = lambda latent, length: torch.zeros(1, 1, length)
    audio = music(5, 1)
    np.testing.assert_allclose(editor.edit(audio, RATE, "remove bass"), audio, atol=1e-6)
    assert [len(starts) for starts, _ in stretches] == [1, 1, 1, 1]
    assert all(done is None for _, done in stretches)


def test_the_next_stretch_is_heard_from_where_it_is_equal_to_the_last_one(monkeypatch):
    """So two takes are never heard together: the fade ends before the latents leave what is done."""
    monkeypatch.setattr(diffusion_edit, "STRETCH_S", 2)
    olds = []

    def faded(old, new, longest):
        olds.append(old)
        if len(olds) > 1:
            np.testing.assert_allclose(old, new[: len(old)], atol=1e-6)
        return crossfade.cross_fade(old, new, longest)

    monkeypatch.setattr(diffusion_edit, "cross_fade", faded)
    stand_in(added=lambda chunk: torch.full_like(chunk.source, 0.1 * chunk.first)).edit(music(6, 1), RATE, "remix to Jazz genre")
    assert [len(old) for old in olds] == [0] + [RATE // 2] * 4


def test_a_device_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ModelError, match="not a run folder"):
        Editor.load(tmp_path / "none")
    with pytest.raises(ModelError, match="can't use the device nonsense"):
        editor_module.check_device("nonsense")
