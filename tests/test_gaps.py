"""Ogg and MP3 files that lack pieces are left out, because what follows sounds too early; whole ones are used."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from test_chained import ID3, recording
from test_parts import make, make_stem, noise, reasons

from instructme.dataset_tools.stems import gaps
from instructme.pipelines.editing import audio_files


def cut(data: bytes, length: int) -> bytes:
    return data[: len(data) // 2] + data[len(data) // 2 + length :]


HARM: dict[str, Callable[[bytes], bytes]] = {
    "a wrong byte": lambda data: bytes(byte ^ (place == len(data) // 2) for place, byte in enumerate(data)),
    "bytes are lost": lambda data: cut(data, 2000),
    "zeros": lambda data: data[: len(data) // 2] + bytes(2000) + data[len(data) // 2 + 2000 :],
    "broken off": lambda data: data[:-2000],
}


@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize("kind", ["ogg", "opus", "mp3"])
def test_a_file_that_lacks_pieces_is_found(tmp_path: Path, kind: str, harm: str) -> None:
    data, file = recording(kind, 0), tmp_path / f"a.{kind}"
    file.write_bytes(HARM[harm](data))
    found = not (kind == "mp3" and harm == "a wrong byte")  # its frames have no checksums, and none of them is lost
    assert gaps.lacks_pieces(file) == found
    assert any("missing" in each for each in audio_files.doubts(file)) == found


@pytest.mark.parametrize("kind", ["ogg", "opus", "mp3", "flac"])
def test_whole_files_lack_nothing(tmp_path: Path, kind: str) -> None:
    one, other = recording(kind, 0), recording(kind, 1)
    tags = [ID3 + one, one + b"TAG" + bytes(125)] if kind == "mp3" else []
    for number, data in enumerate([one, one + other, one + bytes(2000), *tags]):
        file = tmp_path / f"{number}.{kind}"
        file.write_bytes(data)
        assert not gaps.lacks_pieces(file)


def test_a_stem_that_lacks_pieces_is_left_out(tmp_path: Path) -> None:
    stem = replace(make_stem(tmp_path, "a", "bass", noise(1)), path="a.ogg", sample_rate_hz=48000, length_samples=48000)
    other = make_stem(tmp_path, "b", "drums", noise(2))
    (tmp_path / "a.ogg").write_bytes(cut(recording("ogg", 0), 100))
    assert reasons(make(tmp_path, [stem, other])[3]) == [("a", "unreadable")]
