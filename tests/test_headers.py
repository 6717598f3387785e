"""Rows from headers: what is read, what is rejected and why."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from instructme.dataset_tools.layouts import FoundStem, FoundTrack, folder
from instructme.dataset_tools.stems import headers


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("C:maj", "C:maj"),
        ("A:min", "A:min"),
        ("A minor", "A:min"),
        ("Am", "A:min"),
        ("C# Major", "C#:maj"),
        ("B♭ MAJOR", "Bb:maj"),
        ("F", "F:maj"),
        ("bb min", "Bb:min"),
        ("CM", "C:maj"),
        ("H dur", None),
        ("", None),
        (None, None),
    ],
)
def test_keys_are_written_in_harte_syntax(written: str | None, meant: str | None) -> None:
    assert headers.harte_key(written) == meant


def read(root: Path, *stems: FoundStem, **extra):
    found = FoundTrack("song", root, "Song", stems, **extra)
    return headers.read(found, root, dataset="d", layout="folder", track_id="d-song")


def test_what_can_not_be_used_has_its_reason(tmp_path: Path, tone: Callable[..., Path]) -> None:
    tone(tmp_path / "bass.wav", 0.1)
    tone(tmp_path / "mix.wav", 0.1)
    tone(tmp_path / "silence.wav", 0.0)
    (tmp_path / "empty.wav").touch()
    (tmp_path / "noise.wav").write_bytes(b"no audio at all")
    names = ("bass", "mix", "silence", "empty", "noise", "absent", "../up")
    track, stems, rejected = read(tmp_path, *(FoundStem(name, tmp_path / f"{name}.wav", name) for name in names))
    assert track is not None and [stem.stem_id for stem in stems] == ["bass"]
    assert [item.reason for item in rejected] == ["not_a_stem", "empty", "empty", "unreadable", "missing", "unsafe_path"]


def test_stems_of_one_id_are_numbered_and_a_track_without_stems_is_none(tmp_path: Path, tone: Callable[..., Path]) -> None:
    tone(tmp_path / "bass.wav", 0.1, channels=2, rate_hz=48000)
    stem = FoundStem("x", tmp_path / "bass.wav", "bass")
    _, stems, _ = read(tmp_path, stem, stem, stem)
    assert [row.stem_id for row in stems] == ["x", "x-2", "x-3"]
    assert (stems[0].sample_rate_hz, stems[0].channels, stems[0].length_samples) == (48000, 2, 4800)
    track, stems, rejected = read(tmp_path, FoundStem("x", tmp_path / "no.wav", "bass"))
    assert track is None and not stems and [item.reason for item in rejected] == ["missing", "no_stems"]


def test_chart_or_midi_outside_the_root_are_left_out(tmp_path: Path, tone: Callable[..., Path]) -> None:
    root = tmp_path / "data"
    tone(root / "bass.wav", 0.1)
    (tmp_path / "c.lab").touch()
    stem = FoundStem("bass", root / "bass.wav", "bass", midi_path=root / ".." / "c.mid")
    track, stems, _ = read(root, stem, chords_path=tmp_path / "c.lab", artist="A", genre="Singer/Songwriter", key="Am")
    assert track is not None and track.chords_path is None and stems[0].midi_path is None
    assert (track.song_group, track.key) == ("song:a:song", "A:min") and track.genre


def test_ids_of_stems_stay_distinct_whatever_they_are(tmp_path: Path, tone: Callable[..., Path]) -> None:
    path = tone(tmp_path / "bass.wav", 0.1)
    names = ["x", "x", "x-2", "x", "x-2", "y-2", "y", "y"]
    _, stems, _ = read(tmp_path, *(FoundStem(name, path, "bass") for name in names))
    assert len({row.stem_id for row in stems}) == len(names)


@pytest.mark.parametrize(("extra_s", "reasons"), [(0, []), (3, ["too_long", "no_stems"])])
def test_six_hours_are_the_longest_song(tmp_path: Path, extra_s: int, reasons: list[str]) -> None:
    soundfile.write(tmp_path / "bass.flac", np.zeros((6 * 3600 + extra_s) * 1000, np.int16), 1000)
    _, _, rejected = read(tmp_path, FoundStem("x", tmp_path / "bass.flac", "bass"))
    assert [item.reason for item in rejected] == reasons
    assert not rejected or "lasts 6 h" in rejected[0].detail


def test_a_header_that_does_not_say_how_long_the_sound_is_is_told(tmp_path: Path, tone: Callable[..., Path]) -> None:
    data = bytearray(tone(tmp_path / "bass.flac", 0.1).read_bytes())
    data[21:26] = bytes([data[21] & 0xF0, 0, 0, 0, 0])  # the number of samples, 0 if unknown
    (tmp_path / "bass.flac").write_bytes(data)
    _, _, rejected = read(tmp_path, FoundStem("x", tmp_path / "bass.flac", "bass"))
    assert [item.reason for item in rejected] == ["empty", "no_stems"]
    assert "doesn't say how many" in rejected[0].detail


@pytest.mark.parametrize(("rate_hz", "usable"), [(999, False), (1000, True), (1_000_000, True), (1_000_001, False)])
def test_rates_that_no_music_has_are_refused(tmp_path: Path, rate_hz: int, usable: bool) -> None:
    soundfile.write(tmp_path / "bass.wav", np.zeros(100, np.int16), rate_hz)
    _, stems, _ = read(tmp_path, FoundStem("x", tmp_path / "bass.wav", "bass"))
    assert bool(stems) == usable


def test_a_guess_is_no_instrument_until_it_is_accepted(tmp_path: Path, tone: Callable[..., Path]) -> None:
    """`Beat` may be a drum machine, and `Bass` is a bass."""
    found = FoundTrack(
        "song", tmp_path, "Song", tuple(FoundStem(name, tone(tmp_path / f"{name}.wav", 0.1), name) for name in ("Beat", "Bass"))
    )
    _, careful, _ = headers.read(found, tmp_path, dataset="d", layout="folder", track_id="d-song")
    _, trusting, _ = headers.read(found, tmp_path, dataset="d", layout="folder", track_id="d-song", accept_guesses=True)
    assert [(row.instrument, row.editable, row.guess) for row in careful] == [
        ("other", False, "drum machine"),
        ("bass", True, None),
    ]
    assert [(row.instrument, row.editable, row.guess) for row in trusting] == [("drum machine", True, None), ("bass", True, None)]


def test_a_mixture_without_vocals_is_left_out_beside_its_parts_only(tmp_path: Path, tone: Callable[..., Path]) -> None:
    def used(*names: str) -> list[str]:
        return [row.stem_id for row in read(tmp_path, *(FoundStem(n, tone(tmp_path / f"{n}.wav", 0.1), n) for n in names))[1]]

    assert used("no_vocals", "vocals") == ["no_vocals", "vocals"]
    assert used("no_vocals", "vocals", "bass") == ["vocals", "bass"]
    assert used("no_vocals", "bass") == ["bass"]
    assert used("no_vocals") == ["no_vocals"]


def test_an_alias_takes_a_file_back_that_looks_like_a_mixture(tmp_path: Path, tone: Callable[..., Path]) -> None:
    for name in ("bass", "Master Blaster", "mix"):
        tone(tmp_path / "Song" / f"{name}.wav", 0.1)
    (found,) = (item for item in folder.tracks(tmp_path) if isinstance(item, FoundTrack))
    assert {item.item for item in found.rejected} == {"Song/Master Blaster.wav", "Song/mix.wav"}
    aliases = {"Master Blaster": "synth bass", "mix": "-"}
    _, stems, rejects = headers.read(found, tmp_path, dataset="d", layout="folder", track_id="d-song", aliases=aliases)
    assert {stem.label: stem.instrument for stem in stems} == {"bass": "bass", "Master Blaster": "synth bass"}
    assert [row.item for row in rejects if row.reason == "not_a_stem"] == ["Song/mix.wav"]
