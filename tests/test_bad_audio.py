"""Audio files of every kind of bad: a reason for each, and the rest of the dataset is built as without them."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import write_tone
from hostile import RATE_HZ, build, good_song, made, part

from instructme.manifests import tables
from instructme.manifests.rows import Stem


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a dataset of two good songs."""
    folder = tmp_path_factory.mktemp("whole")
    for song in ("Good", "Song"):
        good_song(folder / "data" / song)
    assert build(folder / "work", folder / "data") == []
    return folder / "work"


def floats(*values: float, scale: float = 1.0) -> Callable[[Path], object]:
    """Write a tone as float WAV with some odd samples in it."""

    def write(path: Path) -> None:
        wave = 0.1 * scale * np.sin(np.arange(2 * RATE_HZ) / 10)
        wave[RATE_HZ : RATE_HZ + len(values)] = values
        soundfile.write(path, wave, RATE_HZ, format="WAV", subtype="FLOAT")

    return write


def cut(share: float) -> Callable[[Path], object]:
    """Write noise as FLAC, but only the first part of the bytes."""

    def write(path: Path) -> None:
        soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 2 * RATE_HZ), RATE_HZ, format="FLAC")
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])

    return write


def patched_header(offset: int, value: int) -> Callable[[Path], object]:
    """Write a WAV file and overwrite four bytes of its header."""

    def write(path: Path) -> None:
        data = bytearray(write_tone(path, 2.0, RATE_HZ).read_bytes())
        data[offset : offset + 4] = struct.pack("<I", value)
        path.write_bytes(data)

    return write


def flac_of(samples: int) -> Callable[[Path], object]:
    """Write a FLAC file whose header promises this many samples."""

    def write(path: Path) -> None:
        cut(1.0)(path)
        data = bytearray(path.read_bytes())
        data[21:26] = ((data[21] >> 4 << 36) | samples).to_bytes(5)
        path.write_bytes(data)

    return write


BAD: dict[str, tuple[str, Callable[[Path], object], str, str]] = {
    "flac cut in its samples": ("flac", cut(0.5), "prepare", "unreadable"),
    "flac cut in its header": ("flac", cut(0.001), "scan", "unreadable"),
    "flac of a false length": ("flac", flac_of(3 * RATE_HZ), "prepare", "unreadable"),
    "flac of no known length": ("flac", flac_of(0), "scan", "empty"),
    "flac of three months": ("flac", flac_of((1 << 36) - 1), "scan", "too_long"),
    "zero bytes": ("wav", Path.touch, "scan", "empty"),
    "no samples": ("wav", lambda path: write_tone(path, 0.0, RATE_HZ), "scan", "empty"),
    "text": ("wav", lambda path: path.write_text("no audio at all"), "scan", "unreadable"),
    "pickle": ("wav", lambda path: path.write_bytes(b"\x80\x04K\x01."), "scan", "unreadable"),
    "a sample that is no number": ("wav", floats(float("nan")), "prepare", "unreadable"),
    "infinity": ("wav", floats(float("inf")), "prepare", "unreadable"),
    "minus infinity": ("wav", floats(float("-inf")), "prepare", "unreadable"),
    "far too large values": ("wav", floats(3e38, -3e38), "prepare", "unreadable"),
    "a rate of 1 Hz": ("wav", patched_header(24, 1), "scan", "unreadable"),
    "a rate of 2 GHz": ("wav", patched_header(24, 2_000_000_000), "scan", "unreadable"),
    "a format that needs converting": ("m4a", lambda path: path.write_bytes(b"x"), "scan", "unsupported_format"),
    "a link to nothing": ("wav", lambda path: path.symlink_to(path.with_name("nothing.wav")), "scan", "missing"),
    "a link to itself": ("wav", lambda path: path.symlink_to(path), "scan", "unsafe_path"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_stem_has_its_reason_and_costs_nothing_else(kind: str, whole: Path, tmp_path: Path) -> None:
    suffix, write, stage, reason = BAD[kind]
    for song in ("Good", "Song"):
        good_song(tmp_path / "data" / song)
    write(tmp_path / "data" / "Song" / f"drums.{suffix}")
    rejects = build(tmp_path / "work", tmp_path / "data")
    assert [(where, why) for where, _, why in rejects] == [(stage, reason)]
    for track_id in ("data-good", "data-song"):
        assert made(tmp_path / "work", track_id) == made(whole, track_id)


def test_a_song_of_bad_stems_alone_is_left_out(whole: Path, tmp_path: Path) -> None:
    for song in ("Good", "Song"):
        good_song(tmp_path / "data" / song)
    for number, (suffix, write, _, _) in enumerate(BAD.values()):
        (tmp_path / "data" / f"Bad {number}").mkdir()
        write(tmp_path / "data" / f"Bad {number}" / f"drums.{suffix}")
    rejects = build(tmp_path / "work", tmp_path / "data")
    bad = {reason for _, _, _, reason in BAD.values()}
    assert {reason for _, _, reason in rejects} == bad | {"no_stems", "no_parts"}
    assert made(tmp_path / "work", "data-good") == made(whole, "data-good")
    parts = (tmp_path / "work" / "parts").glob("*/*.flac")
    assert {path.parent.name for path in parts} == {"data-good", "data-song"}


ODD: dict[str, tuple[str, Callable[[Path], object]]] = {
    "8 kHz": ("wav", lambda path: write_tone(path, 2.0, 8000)),
    "192 kHz": ("wav", lambda path: write_tone(path, 2.0, 192000)),
    "6 channels": ("wav", lambda path: write_tone(path, 2.0, RATE_HZ, channels=6)),
    "the suffix of another format": ("flac", lambda path: write_tone(path.with_suffix(".wav"), 2.0).rename(path)),
    "capitals in the suffix": ("WAV", lambda path: write_tone(path.with_suffix(".x.wav"), 2.0).rename(path)),
    "a sample more": ("wav", lambda path: write_tone(path, 2.0 + 1 / RATE_HZ, RATE_HZ)),
    "one sample": ("wav", lambda path: write_tone(path, 1 / RATE_HZ, RATE_HZ)),
}


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_stem_is_used(kind: str, tmp_path: Path) -> None:
    suffix, write = ODD[kind]
    good_song(tmp_path / "data" / "Song")
    write(tmp_path / "data" / "Song" / f"drums.{suffix}")
    told = [reason for _, _, reason in build(tmp_path / "work", tmp_path / "data")]
    assert told == {"one sample": ["silent"], "6 channels": ["surround"]}.get(kind, [])
    drums = part(tmp_path / "work", "data-song", "drums")
    assert len(drums) == len(part(tmp_path / "work", "data-song", "bass")) in (2 * RATE_HZ, 2 * RATE_HZ + 1)
    if kind == "one sample":
        assert not drums[1:].any()
    else:
        time = np.arange(RATE_HZ // 2, 3 * RATE_HZ // 2) / RATE_HZ
        expected = 0.25 * 32768 * np.sin(2 * np.pi * 220 * time)
        assert np.abs(drums[RATE_HZ // 2 : 3 * RATE_HZ // 2] - expected).max() < 40, "the tone itself, resampled"


@pytest.mark.parametrize("samples", [1, 100, RATE_HZ - 1])
def test_a_song_shorter_than_a_clip_is_counted(samples: int, tmp_path: Path) -> None:
    good_song(tmp_path / "data" / "Good")
    write_tone(tmp_path / "data" / "Song" / "bass.wav", samples / RATE_HZ, RATE_HZ)
    assert build(tmp_path / "work", tmp_path / "data") == [
        *([("prepare", "data-song", "silent")] if samples == 1 else []),
        ("prepare", "data-song", "too_short"),
    ]
    assert len(part(tmp_path / "work", "data-song", "bass")) == samples


def test_one_stem_in_two_formats_is_read_once(tmp_path: Path) -> None:
    good_song(tmp_path / "data" / "Song")
    write_tone(tmp_path / "data" / "Song" / "bass.flac", 2.0, RATE_HZ)
    build(tmp_path / "work", tmp_path / "data")
    assert len([row for row in tables.read_rows(tmp_path / "work" / "stems.parquet", Stem) if row.instrument == "bass"]) == 1
