"""Files whose headers lie: sizes, lengths, rates, starts and delays."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from instructme.dataset_tools import audio, broken_headers
from instructme.pipelines.stages.scan import scan

RATE_HZ = 44100
WAVE = (0.3 * np.random.default_rng(0).standard_normal(RATE_HZ)).clip(-1, 1).astype(np.float32)


def wav(path: Path, size: int | None = None, tail: bytes = b"", bext: int | None = None, rate_hz: int = RATE_HZ) -> Path:
    """Write a WAV file of 16 bit, with a size in its header, bytes behind its sound, and a time reference."""
    data = (WAVE * 32767).astype("<i2").tobytes()
    chunks = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate_hz, 2 * rate_hz, 2, 16)
    if bext is not None:
        body = bytes(338) + struct.pack("<Q", bext) + bytes(256)
        chunks = b"bext" + struct.pack("<I", len(body)) + body + chunks
    chunks += b"data" + struct.pack("<I", len(data) if size is None else size) + data + tail
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)
    return path


@pytest.mark.parametrize("size", [0, 2000, RATE_HZ, 2 * RATE_HZ - 2000])
def test_wav_with_a_size_that_is_too_small_is_read_to_its_end(size: int, tmp_path: Path) -> None:
    whole, broken = audio.read(wav(tmp_path / "a.wav")), audio.read(wav(tmp_path / "b.wav", size))
    assert len(whole) == RATE_HZ and np.array_equal(whole, broken)


@pytest.mark.parametrize(
    ("size", "tail"),
    [
        (None, b""),
        (None, b"LIST\x04\0\0\0abcd"),
        (None, b"ID3\x03" + bytes(100)),
        (None, bytes(512)),
        (0xFFFFFFFF, b""),
        (None, b"\0"),
    ],
)
def test_wav_with_chunks_tags_or_zeros_behind_its_sound_is_read_as_it_is(size: int | None, tail: bytes, tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", size, tail)
    assert broken_headers.opened(path) == path and len(audio.read(path)) == RATE_HZ


def test_an_odd_size_has_its_chunk_at_the_next_even_place(tmp_path: Path) -> None:
    """A sound of 8 bit and an odd length, a byte of padding, a chunk behind it; and with a size one byte too small."""
    chunks = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, RATE_HZ, RATE_HZ, 1, 8)
    for size in (101, 100):
        body = b"WAVE" + chunks + b"data" + struct.pack("<I", size) + b"\x90" * size + bytes(size % 2) + b"LIST\x04\0\0\0abcd"
        path = tmp_path / f"{size}.wav"
        path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
        assert broken_headers.opened(path) == path and len(audio.read(path)) == size


def test_the_sizes_of_a_repaired_file_are_those_of_its_bytes(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", 2000)
    size = path.stat().st_size
    with path.open("rb") as file:
        repair = broken_headers.look(file).repair
        assert repair is not None
        header = broken_headers.repaired(file, repair).read(44)
    assert struct.unpack("<I", header[4:8]) == (size - 8,) and struct.unpack("<I", header[40:44]) == (size - 44,)
    assert repair.detail.startswith("its header states 2000 bytes of sound, and the file holds 88200")


def test_a_file_of_eight_bytes_more_is_read_to_its_end_and_of_seven_is_not(tmp_path: Path) -> None:
    assert len(audio.read(wav(tmp_path / "a.wav", 2 * RATE_HZ - 8))) == RATE_HZ
    assert len(audio.read(wav(tmp_path / "b.wav", 2 * RATE_HZ - 6))) == RATE_HZ - 3


def test_a_text_that_begins_like_a_tag_is_no_mp3(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(b"IDLE" + bytes.fromhex("FFFB9000") * 300)
    with (tmp_path / "a.mp3").open("rb") as file:
        assert broken_headers.look(file) == broken_headers.Facts()


def test_scan_tells_of_a_size_that_is_wrong_either_way(tmp_path: Path) -> None:
    wav(tmp_path / "data" / "Song" / "bass.wav", RATE_HZ)
    wav(tmp_path / "data" / "Song" / "drums.wav", 2 * RATE_HZ + 1000)
    rows = scan(tmp_path / "data", tmp_path / "work")
    assert {row.path: row.length_samples for row in rows.stems} == {"Song/bass.wav": RATE_HZ, "Song/drums.wav": RATE_HZ}
    assert [(row.item, row.reason) for row in rows.rejects] == [
        ("Song/bass.wav", "wrong_length"),
        ("Song/drums.wav", "wrong_length"),
    ]


def big_endian(path: Path, place: bytes, size: int | None, tail: bytes = b"", share: float = 1.0) -> Path:
    """Write an AIFF or AU file with this size of its sound where the header has it, bytes behind it, and only a share of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stereo = np.stack([WAVE, -0.5 * WAVE], axis=1)
    soundfile.write(path, stereo, RATE_HZ, subtype="PCM_24", format="AU" if path.suffix == ".au" else "AIFF")
    data = bytearray(path.read_bytes())
    at = data.index(place) + (8 if path.suffix == ".au" else 4)
    if size is not None:
        data[at : at + 4] = struct.pack(">I", size)
    path.write_bytes(data[: int(len(data) * share)] + tail)
    return path


AIFF, AU = ("a.aiff", b"SSND"), ("a.au", b".snd")


@pytest.mark.parametrize("size", [0, 8, 2000, 6 * RATE_HZ - 2000])
@pytest.mark.parametrize(("name", "place"), [AIFF, AU])
def test_aiff_and_au_with_a_size_that_is_too_small_are_read_to_their_end(
    name: str, place: bytes, size: int, tmp_path: Path
) -> None:
    whole, broken = audio.read(big_endian(tmp_path / name, place, None)), audio.read(big_endian(tmp_path / name, place, size))
    assert len(whole) == RATE_HZ and np.array_equal(whole, broken)


@pytest.mark.parametrize(
    ("name", "place", "size", "tail"),
    [
        (*AIFF, None, b""),
        (*AIFF, None, b"MARK\0\0\0\x04abcd"),
        (*AIFF, None, b"ID3 \0\0\0\x02ab"),
        (*AIFF, 0xFFFFFFFF, b""),
        (*AU, None, b""),
        (*AU, None, bytes(100)),
        (*AU, 0xFFFFFFFF, b""),
    ],
)
def test_aiff_and_au_with_other_things_behind_their_sound_are_read_as_they_are(
    name: str, place: bytes, size: int | None, tail: bytes, tmp_path: Path
) -> None:
    path = big_endian(tmp_path / name, place, size, tail)
    assert broken_headers.opened(path) == path and len(audio.read(path)) == RATE_HZ


@pytest.mark.parametrize(("name", "place"), [AIFF, AU])
def test_scan_tells_of_aiff_and_au_that_are_shorter_or_longer_than_they_state(name: str, place: bytes, tmp_path: Path) -> None:
    song = tmp_path / "data" / "Song"
    big_endian(song / f"bass{Path(name).suffix}", place, 3 * RATE_HZ)
    big_endian(song / f"drums{Path(name).suffix}", place, None, share=0.99)
    rows = scan(tmp_path / "data", tmp_path / "work")
    assert [(Path(row.item).stem, row.reason) for row in rows.rejects] == [("bass", "wrong_length"), ("drums", "wrong_length")]
    assert {row.instrument: row.length_samples == RATE_HZ for row in rows.stems} == {"bass": True, "drums": False}


def test_starts_of_broadcast_waves_that_differ_are_told(tmp_path: Path) -> None:
    for name, start in (("bass", 100), ("drums", 100 + RATE_HZ // 20), ("piano", 100), ("flute", None)):
        wav(tmp_path / "data" / "Song" / f"{name}.wav", bext=start)
    (row,) = scan(tmp_path / "data", tmp_path / "work").rejects
    assert (row.item, row.reason) == ("Song/drums.wav", "time_reference") and "0.050 s" in row.detail


def test_a_stem_of_as_many_frames_and_another_rate_is_left_out(tmp_path: Path) -> None:
    for name, rate_hz in (("bass", RATE_HZ), ("drums", 48000), ("piano", RATE_HZ)):
        wav(tmp_path / "data" / "Song" / f"{name}.wav", rate_hz=rate_hz)
    rows = scan(tmp_path / "data", tmp_path / "work")
    assert [row.reason for row in rows.rejects] == ["rate_differs"] and {row.instrument for row in rows.stems} == {
        "bass",
        "piano",
    }


def mp3(path: Path, mode: str, *, header: bool) -> Path:
    """Write silence and noise as MP3, with or without the frame that states its length."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = np.concatenate([np.zeros(3 * RATE_HZ, dtype=np.float32), np.tile(WAVE, 3)])
    soundfile.write(path, wave, RATE_HZ, format="MP3", bitrate_mode=mode)
    if not header:
        data = path.read_bytes()
        first = broken_headers.mpeg_frame(data[:4])
        assert first and (b"Xing" in data[: first.size] or b"Info" in data[: first.size])
        path.write_bytes(data[first.size :])
    return path


@pytest.mark.parametrize("mode", ["VARIABLE", "CONSTANT"])
def test_mp3_that_states_no_length_is_read_to_its_end(mode: str, tmp_path: Path) -> None:
    whole = audio.read(mp3(tmp_path / "a.mp3", mode, header=True))
    bare = audio.read(mp3(tmp_path / "b.mp3", mode, header=False))
    assert abs(len(bare) - len(whole)) < 3 * 1152
    last = np.flatnonzero(np.abs(bare) > 0.1)[-1]
    assert abs(last - np.flatnonzero(np.abs(whole) > 0.1)[-1]) < 3 * 1152


def test_mp3_behind_a_tag_with_a_picture_is_read_to_its_end(tmp_path: Path) -> None:
    """The size of an ID3 tag has seven bits in each byte: 0x01 0x02 are 130 bytes."""
    path = mp3(tmp_path / "a.mp3", "VARIABLE", header=False)
    bare, frames = audio.read(path), path.read_bytes()
    path.write_bytes(b"ID3\x03\0\0\0\0\x01\x02" + bytes(130) + frames)
    with path.open("rb") as file:
        facts = broken_headers.look(file)
    assert facts.repair and facts.delayed
    assert abs(len(audio.read(path)) - len(bare)) < 1152


@pytest.mark.parametrize(
    ("header", "size"),
    [
        ("FFFB9000", 417),  # 144 * 128000 / 44100
        ("FFFB9200", 418),  # with padding
        ("FFFBB600", 577),  # 144 * 192000 / 48000, with padding
        ("FFF39000", 261),  # MPEG 2: 72 * 80000 / 22050
        ("FFE39000", 522),  # MPEG 2.5: 72 * 80000 / 11025
        ("FFEB9000", None),  # no such version
        ("FFFB0000", None),
        ("FFFBF000", None),
        ("FFFB9C00", None),
    ],
)
def test_frames_have_the_size_of_the_standard(header: str, size: int | None) -> None:
    """ISO/IEC 11172-3: the coefficient times the bit rate over the sample rate, rounded down, and a byte of padding."""
    frame = broken_headers.mpeg_frame(bytes.fromhex(header))
    assert (frame and frame.size) == size


@pytest.mark.parametrize(("flags", "fields"), [(0, 0), (1, 4), (3, 8), (5, 104), (7, 108), (9, 8), (11, 12), (15, 112)])
@pytest.mark.parametrize("delay", [0, 576])
def test_the_delay_is_found_behind_the_fields_that_a_frame_states(flags: int, fields: int, delay: int, tmp_path: Path) -> None:
    """Flags 1, 2 and 8 have a field of 4 bytes each, 4 one of 100; LAME's delay is 21 bytes into its tag."""
    tag = b"Xing" + struct.pack(">I", flags) + b"\xff" * fields + b"LAME3.100" + b"\xff" * 12
    body = bytes.fromhex("FFFB9000") + bytes(32) + tag + (delay << 12).to_bytes(3)
    (tmp_path / "a.mp3").write_bytes(body.ljust(417, b"\0"))
    with (tmp_path / "a.mp3").open("rb") as file:
        assert broken_headers.look(file) == broken_headers.Facts(delayed=not delay)


def test_mp3_of_unknown_delay_is_told_beside_other_files_only(tmp_path: Path) -> None:
    for name in ("bass", "drums"):
        mp3(tmp_path / "alone" / "Song" / f"{name}.mp3", "CONSTANT", header=False)
    assert not scan(tmp_path / "alone", tmp_path / "one").rejects
    mp3(tmp_path / "mixed" / "Song" / "bass.mp3", "CONSTANT", header=False)
    mp3(tmp_path / "mixed" / "Song" / "drums.mp3", "CONSTANT", header=True)
    (row,) = scan(tmp_path / "mixed", tmp_path / "two").rejects
    assert (row.item, row.reason) == ("Song/bass.mp3", "mp3_delay")


@pytest.mark.parametrize(("suffix", "kind"), [("w64", "W64"), ("wav", "RF64")])
def test_a_long_format_that_was_cut_short_is_told(suffix: str, kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "Song"
    folder.mkdir(parents=True)
    for name, hz in (("bass", 1.0), ("piano", 2.0)):
        soundfile.write(folder / f"{name}.{suffix}", WAVE * hz / 2, RATE_HZ, format=kind, subtype="PCM_16")
    assert scan(tmp_path / "data", tmp_path / "one").rejects == []
    path = folder / f"piano.{suffix}"
    path.write_bytes(path.read_bytes()[: -RATE_HZ // 2])
    with path.open("rb") as file:
        assert broken_headers.look(file).short_bytes == RATE_HZ // 2
    (row,) = scan(tmp_path / "data", tmp_path / "two").rejects
    assert (row.item, row.reason) == (f"Song/piano.{suffix}", "wrong_length")


@pytest.mark.parametrize(
    ("keys_hz", "frames", "reasons"),
    [
        (48000, 43_900, ["rate_differs"]),
        (48000, 48_000, []),
        (48000, 46_000, []),
        (44056, 44_056, []),
        (44056, 44_100, ["rate_differs"]),
    ],
)
def test_a_trimmed_stem_of_another_rate_is_left_out_if_its_frames_are_about_those_of_others(
    keys_hz: int, frames: int, reasons: list[str], tmp_path: Path
) -> None:
    for name, rate_hz, length in (("bass", 44100, 44_100), ("drums", 44100, 44_000), ("keys", keys_hz, frames)):
        (tmp_path / "data" / "Song").mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "data" / "Song" / f"{name}.wav", np.ones(length) / 9, rate_hz)
    rows = scan(tmp_path / "data", tmp_path / "work")
    assert [row.reason for row in rows.rejects] == reasons and len(rows.stems) == 3 - len(reasons)
