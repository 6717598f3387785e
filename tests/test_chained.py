"""Files that hold two recordings, one after the other, are told; one recording is not."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from test_parts import make, make_stem, noise, reasons

from instructme.dataset_tools.stems import chained

KINDS = {"flac": ("FLAC", "PCM_16"), "ogg": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS"), "mp3": ("MP3", "MPEG_LAYER_III")}
ID3 = b"ID3\x03\0\0\0\0\0\x10" + bytes(16)


def recording(kind: str, seed: int, channels: int = 1) -> bytes:
    form, coding = KINDS[kind]
    sound, file = 0.1 * np.random.default_rng(seed).standard_normal((48000, channels)), io.BytesIO()
    soundfile.write(file, sound, 48000, format=form, subtype=coding)
    return file.getvalue()


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_two_recordings_in_one_file_are_found(tmp_path: Path, kind: str, channels: int) -> None:
    one, other = (recording(kind, seed, channels) for seed in range(2))
    tags = (b"", ID3) if kind == "mp3" else (b"",)
    for tag in tags:
        file = tmp_path / f"{len(tag)}.{kind}"
        file.write_bytes(tag + one)
        assert not chained.is_chained(file)
        file.write_bytes(tag + one + tag + other)
        assert chained.is_chained(file)


def test_a_part_of_a_chained_file_is_told(tmp_path: Path) -> None:
    stem = replace(make_stem(tmp_path, "a", "bass", noise(1)), path="a.flac", sample_rate_hz=48000, length_samples=48000)
    (tmp_path / "a.flac").write_bytes(recording("flac", 0) + recording("flac", 1))
    assert reasons(make(tmp_path, [stem])[3]) == [("a", "chained")]
    (tmp_path / "a.flac").write_bytes(recording("flac", 0))
    assert not reasons(make(tmp_path, [stem])[3])
