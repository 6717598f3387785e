"""Files: any format in, the wanted one out, nothing lost on the way, and one line for what can't be read or written."""

import resource

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from instructme.manifests.rows import DataError
from instructme.pipelines.editing.audio_files import BLOCK, Kind, Scratch, check_format, check_writable, decode, encode


@given(st.lists(st.integers(0, 50), max_size=8), st.integers(1, 3), st.integers(0, 200), st.integers(0, 200))
def test_scratch_reads_like_an_array(lengths, channels, start, stop):
    random = np.random.default_rng(0)
    blocks = [random.standard_normal((length, channels)).astype(np.float32) for length in lengths]
    whole = np.concatenate([np.zeros((0, channels), np.float32), *blocks])
    scratch = Scratch(channels)
    for block in blocks:
        scratch.append(block)
    assert len(scratch) == len(whole) and scratch.peak == np.abs(whole).max(initial=0)
    np.testing.assert_array_equal(scratch[start:stop], whole[start:stop])
    np.testing.assert_array_equal(np.concatenate([whole[:0], *scratch.blocks()]), whole)


@pytest.mark.parametrize(("suffix", "subtype"), [("wav", "PCM_16"), ("wav", "FLOAT"), ("flac", "PCM_24"), ("aiff", "PCM_16")])
def test_lossless_formats_come_back_as_they_were(tmp_path, suffix, subtype):
    samples = np.random.default_rng(0).integers(-3000, 3000, (BLOCK + 1000, 2)).astype(np.float32) / 32768
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, samples, 44100, subtype=subtype)
    scratch, kind = decode(path)
    assert kind == Kind(44100, subtype)
    np.testing.assert_array_equal(scratch[:], samples)
    encode(tmp_path / f"b.{suffix}", scratch.blocks(), kind, len(scratch), 2)
    assert soundfile.info(tmp_path / f"b.{suffix}").subtype == subtype
    np.testing.assert_array_equal(soundfile.read(tmp_path / f"b.{suffix}", dtype="float32")[0], samples)


@pytest.mark.parametrize(
    ("name", "subtype", "written"),
    [
        ("a.ogg", "PCM_16", "VORBIS"),
        ("a.oga", "DOUBLE", "VORBIS"),
        ("a.flac", "FLOAT", "PCM_24"),
        ("a.WAV", "VORBIS", "PCM_16"),
        ("a.wav", "MPEG_LAYER_III", "PCM_16"),
        ("a.mp3", "MPEG_LAYER_III", "MPEG_LAYER_III"),
        ("a.aif", "IMA_ADPCM", "PCM_16"),
    ],
)
def test_other_formats_take_the_nearest_sample_format(tmp_path, name, subtype, written):
    encode(tmp_path / name, [np.zeros((100, 1), np.float32)], Kind(22050, subtype), 100, 1)
    info = soundfile.info(tmp_path / name)
    assert (info.subtype, info.samplerate, info.frames) == (written, 22050, 100)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.ogg", "a.aiff", "a.au"])
def test_tags_stay_where_the_format_has_tags(tmp_path, name):
    tags = {"title": "Für Elise", "artist": "Björk"}
    with soundfile.SoundFile(tmp_path / "source.flac", "w", 44100, 1) as file:
        file.title, file.artist = tags.values()
        file.write(np.zeros(1000))
    scratch, kind = decode(tmp_path / "source.flac")
    encode(tmp_path / name, scratch.blocks(), kind, 1000, 1)
    assert kind.tags == tags and decode(tmp_path / name)[1].tags == ({} if name == "a.au" else tags)


@pytest.mark.parametrize(("name", "subtype"), [("a.mp3", "MPEG_LAYER_III"), ("a.ogg", "VORBIS"), ("a.ogg", "OPUS")])
def test_an_edit_of_an_edit_in_a_lossy_format_is_still_good(tmp_path, name, subtype):
    music = 0.1 * np.random.default_rng(0).standard_normal((48000, 2)).astype(np.float32)
    encode(tmp_path / name, [music], Kind(48000, subtype), len(music), 2)
    kbit_s = (tmp_path / name).stat().st_size * 8 / 1000
    assert soundfile.info(tmp_path / name).subtype == subtype and 180 < kbit_s < 600


def test_a_file_is_resampled_in_blocks_as_in_one(tmp_path):
    import soxr

    samples = np.random.default_rng(0).standard_normal(2 * BLOCK + 777).astype(np.float32) / 10
    soundfile.write(tmp_path / "a.wav", samples, 48000, subtype="FLOAT")
    scratch, _ = decode(tmp_path / "a.wav", rate_hz=44100)
    expected = soxr.resample(samples, 48000, 44100)
    assert abs(len(scratch) - len(expected)) <= 1
    np.testing.assert_allclose(scratch[: len(expected)][:, 0], expected[: len(scratch)], atol=1e-5)


@pytest.mark.parametrize(
    ("content", "complaint"), [(None, "no such audio file"), (b"", "can't read audio"), (b"not audio " * 99, "can't read audio")]
)
def test_what_is_no_audio_is_told(tmp_path, content, complaint):
    if content is not None:
        (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(DataError, match=complaint) as error:
        decode(tmp_path / "a.wav")
    assert "\n" not in str(error.value)


def test_folders_nan_and_files_without_samples_are_told(tmp_path):
    with pytest.raises(DataError, match="no such audio file"):
        decode(tmp_path)
    for sample in (np.nan, -np.inf, 1e30):
        soundfile.write(tmp_path / "nan.wav", np.array([0.0, sample]), 8000, subtype="FLOAT")
        with pytest.raises(DataError, match="NaN"):
            decode(tmp_path / "nan.wav")
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 8000)
    with pytest.raises(DataError, match="no samples"):
        decode(tmp_path / "none.wav")


@pytest.mark.parametrize("name", ["a.xyz", "a", "a.raw", "folder.wav"])
def test_names_that_can_not_be_written_are_told(tmp_path, name):
    (tmp_path / "folder.wav").mkdir()
    with pytest.raises(DataError, match=r"ends with \.wav"):
        check_format(tmp_path / name)


def test_what_a_format_can_not_hold_is_told_and_leaves_no_file(tmp_path):
    with pytest.raises(DataError, match="12 channels"):
        encode(tmp_path / "a.flac", [np.zeros((100, 12), np.float32)], Kind(44100, "PCM_16"), 100, 12)
    assert not list(tmp_path.iterdir())
    with pytest.raises(DataError, match="192000 Hz"):
        check_writable(tmp_path / "a.mp3", Kind(192000, "PCM_16"), 2)
    check_writable(tmp_path / "a.flac", Kind(192000, "PCM_16"), 2)


@pytest.mark.parametrize("missing_bytes", [1, 100, 5000])
@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "aiff"])
def test_a_file_that_the_disk_refuses_the_end_of_is_no_file(tmp_path, suffix, missing_bytes):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (30000, 1)).astype(np.float32)
    kind = Kind(44100, "PCM_16")
    encode(tmp_path / f"whole.{suffix}", [samples], kind, len(samples), 1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / f"whole.{suffix}").stat().st_size - missing_bytes, before[1]))
    try:
        with pytest.raises(OSError, match=rf"File too large: '.*a\.{suffix}'"):
            encode(tmp_path / f"a.{suffix}", [samples], kind, len(samples), 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir()] == [f"whole.{suffix}"]
