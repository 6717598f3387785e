"""Audio in and out: rates, channels, rounding and damage."""

import contextlib
import resource
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from instructme.dataset_tools import audio
from instructme.manifests.rows import DataError


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_reads_every_format_as_mono_at_the_wanted_rate(tmp_path: Path, tone, suffix: str) -> None:
    samples = audio.read(tone(tmp_path / f"a.{suffix}", seconds=2, channels=2), 24000)
    assert samples.dtype == np.float32 and samples.shape == (48000,)
    assert audio.rms_db(samples) == pytest.approx(-15.05, abs=0.1)
    spectrum = np.abs(np.fft.rfft(samples))
    assert spectrum.argmax() / 2 == pytest.approx(220, abs=1)


def test_averages_channels(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([[0.5, -0.25], [0.0, 1.0]]), 8000, subtype="FLOAT")
    np.testing.assert_allclose(audio.read(tmp_path / "a.wav"), [0.125, 0.5])


def test_mono_and_stereo_are_turned_into_each_other() -> None:
    stereo = np.array([[0.5, -0.25], [0.0, 1.0], [1.0, 1.0]], np.float32)
    np.testing.assert_allclose(audio.mono(stereo), [0.125, 0.5, 1.0])
    assert audio.mono(stereo[:, 0]).tolist() == [0.5, 0.0, 1.0]
    assert audio.in_channels(stereo[:, 1], 2).tolist() == [[-0.25, -0.25], [1.0, 1.0], [1.0, 1.0]]
    assert audio.silence(3, 1).shape == (3,) and audio.silence(3, 2).shape == (3, 2)


def test_one_channel_comes_unless_two_are_wanted(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([[0.5, -0.25], [0.0, 1.0]]), 8000, subtype="FLOAT")
    assert next(audio.stream(tmp_path / "a.wav")).shape == (2,)
    assert np.concatenate([*audio.stream(tmp_path / "a.wav", channels=2)]).tolist() == [[0.5, -0.25], [0.0, 1.0]]


def test_a_file_of_zeros_has_no_opposite_channels(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros((100, 2)), 8000)
    assert not audio.read(tmp_path / "a.wav").any()
    soundfile.write(tmp_path / "a.wav", [[0.5, -0.5]] * 100, 8000)
    with pytest.raises(audio.OppositeChannelsError):
        audio.read(tmp_path / "a.wav")


def test_reads_an_excerpt(tmp_path: Path, tone) -> None:
    path = tone(tmp_path / "a.flac", seconds=1)
    np.testing.assert_array_equal(audio.read(path, start=100, length=50), audio.read(path)[100:150])


@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=200))
def test_sixteen_bit_audio_survives_writing(tmp_path_factory: pytest.TempPathFactory, steps: list[int]) -> None:
    path = tmp_path_factory.mktemp("flac") / "a.flac"
    samples = np.array(steps, np.float32) * audio.STEP
    audio.write_flac(path, samples, 24000)
    np.testing.assert_array_equal(audio.read(path), samples)


def test_rounds_to_the_nearest_step_and_clips() -> None:
    wave = np.array([0.4, 0.6, -0.6, 40000, -40000], np.float32) * audio.STEP
    assert audio.to_int16(wave).tolist() == [0, 1, -1, 32767, -32768]
    assert audio.to_int16(wave.astype(np.float64)).tolist() == [0, 1, -1, 32767, -32768]
    whole = np.array([-32768, -1, 0, 32767], dtype=np.int16)
    assert audio.to_int16(whole).tolist() == whole.tolist()


@pytest.mark.parametrize("content", [b"", b"RIFF nothing", b"fLaC" + bytes(50)])
def test_damaged_files_are_explained_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.flac").write_bytes(content)
    with pytest.raises(DataError, match=r"can't read audio: .*bad\.flac"):
        audio.read(tmp_path / "bad.flac")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([0.0, value]), 8000, subtype="FLOAT")
    with pytest.raises(DataError, match="NaN or infinite"):
        audio.read(tmp_path / "a.wav")


@pytest.mark.parametrize("missing_bytes", [1, 100, 5000])
def test_a_file_that_the_disk_refuses_the_end_of_is_no_file(tmp_path: Path, missing_bytes: int) -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 24000).astype(np.float32)
    audio.write_flac(tmp_path / "whole.flac", samples, 8000)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "whole.flac").stat().st_size - missing_bytes, before[1]))
    try:
        with pytest.raises(OSError, match=r"a\.flac"):
            audio.write_flac(tmp_path / "a.flac", samples, 8000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir()] == ["whole.flac"]


def test_levels_of_silence_and_full_scale() -> None:
    assert audio.rms_db(np.zeros(0, np.float32)) == audio.peak_db(np.zeros(9, np.float32)) == -120
    assert audio.peak_db(np.array([-1.0], np.float32)) == 0
    assert audio.db(0.1) == pytest.approx(-20) and audio.power_db(0.1) == pytest.approx(-10)
    assert audio.power_db(0) == -240


def promise(path: Path, share: float) -> None:
    """Write 20 s of MP3 whose header states `share` of the frames that it holds."""
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 24000 * 20)
    soundfile.write(path, noise, 24000)
    content = bytearray(path.read_bytes())
    at = content.find(b"Xing") + 8
    content[at : at + 4] = round(int.from_bytes(content[at : at + 4], "big") * share).to_bytes(4, "big")
    path.write_bytes(content)


def test_an_mp3_header_may_promise_a_percent_too_much_and_no_more(tmp_path: Path) -> None:
    promise(tmp_path / "usual.mp3", 1.015)
    assert len(audio.read(tmp_path / "usual.mp3")) == pytest.approx(480000, rel=0.01)
    promise(tmp_path / "cut.mp3", 1.025)
    with pytest.raises(DataError, match=r"truncated audio: .*cut\.mp3: it holds \d+ of \d+ frames"):
        audio.read(tmp_path / "cut.mp3")


def test_an_excerpt_from_a_place_goes_to_the_end_unless_the_file_is_cut(tmp_path: Path) -> None:
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, 3000).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", wave, 8000, subtype="FLOAT")
    for start in (1, 1000, 2990):
        np.testing.assert_array_equal(audio.read(tmp_path / "a.wav", start=start), wave[start:])


def test_a_float_file_may_hold_32_bit_integers_and_nothing_larger(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "integers.wav", np.array([0.0, -(2.0**31)]), 8000, subtype="FLOAT")
    assert audio.peak(audio.read(tmp_path / "integers.wav")) == 2**31
    soundfile.write(tmp_path / "beyond.wav", np.array([0.0, 3e9]), 8000, subtype="FLOAT")
    with pytest.raises(DataError, match="far too large values"):
        audio.read(tmp_path / "beyond.wav")


@pytest.mark.parametrize("channels", [1, 3])
def test_long_files_come_out_as_if_read_at_once(tmp_path: Path, channels: int) -> None:
    """Files are decoded in blocks; their seams are not heard."""
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, (600_001, channels)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", wave, 48000, subtype="FLOAT")
    mono = wave.sum(axis=1, dtype=np.float64) / channels
    np.testing.assert_allclose(audio.read(tmp_path / "a.wav"), mono, atol=1e-6)
    resampled = audio.read(tmp_path / "a.wav", 24000)
    np.testing.assert_allclose(resampled, audio.resample(mono.astype(np.float32), 48000, 24000), atol=1e-5)


@pytest.mark.parametrize(("bits", "held", "unused"), [(32, 24, 8), (32, 16, 16), (24, 16, 8)])
def test_samples_at_the_low_end_of_a_wider_format_are_found(bits: int, held: int, unused: int, tmp_path: Path) -> None:
    """The same samples at the upper end, or wide ones that are merely soft, are not."""
    whole = np.round(np.random.default_rng(0).uniform(-0.7, 0.7, (4000, 2)) * 2 ** (held - 1)).astype(np.int64)
    place = 2 ** (32 - bits)
    for name, samples in {
        "low": whole * place,
        "one bit more": whole * 2 * place,
        "very soft": whole // 2**6 * place,
        "upper": whole * 2 ** (bits - held) * place,
        "upper and soft": whole // 2 ** (bits - held) * 2 ** (bits - held) * place,
        "loud": whole * 2 ** (bits - held) * place + place,
    }.items():
        soundfile.write(tmp_path / "a.wav", samples.astype(np.int32), 8000, subtype=f"PCM_{bits}")
        assert audio.unused_bits(tmp_path / "a.wav") == (unused if name == "low" else 0), name


def test_only_wide_integers_have_unused_bits(tmp_path: Path) -> None:
    for subtype in ("PCM_16", "FLOAT"):
        soundfile.write(tmp_path / "a.wav", np.full(100, 0.001), 8000, subtype=subtype)
        assert audio.unused_bits(tmp_path / "a.wav") == 0


@pytest.mark.parametrize(
    ("second", "likeness"), [([0.3, -0.3, 0.3, -0.3], 1), ([0.3, 0.3, 0.3, 0.3], 0), ([-0.3, 0.3, -0.3, 0.3], -1)]
)
def test_channels_are_alike_or_opposite(tmp_path: Path, second: list[float], likeness: float) -> None:
    wave = np.stack([np.tile([0.3, -0.3, 0.3, -0.3], 500), np.tile(second, 500)], axis=1)
    soundfile.write(tmp_path / "a.wav", wave, 8000, subtype="FLOAT")
    report = audio.DecodingReport()
    with contextlib.suppress(audio.OppositeChannelsError):
        list(audio.stream(tmp_path / "a.wav", channels=2, report=report))
    assert report.likeness == pytest.approx(likeness, abs=1e-6) and audio.DecodingReport().likeness == 1
