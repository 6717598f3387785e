"""Build datasets with something bad in them through the command line, and say what became of the bad and of the good."""

from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import mido
import numpy as np
import soundfile
import yaml
from click.testing import CliRunner, Result
from conftest import write_tone

from instructme.dataset_tools import same_songs, shared_files, shared_parts
from instructme.manifests import tables
from instructme.manifests.rows import Clip, Part, Reject, Rhythm
from instructme.pipelines.cli import main

RATE_HZ = 8000
HERE = ("--workers", "0")
PREPARE = ("--sample-rate", str(RATE_HZ), "--clip-seconds", "1", "--rhythm", "midi", *HERE)


def invoke(*arguments: object) -> Result:
    """Run a verb in this process; a traceback fails the test."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def error_of(result: Result) -> str:
    """Check that a verb ended in one line and exit code 1, and return the line; progress and what is made again come before."""
    lines = [line for line in result.stderr.replace("\r", "\n").splitlines() if line.strip() and "[00:" not in line]
    lines = [line for line in lines if " again, because options, inputs or files have changed" not in line]
    assert result.exit_code == 1 and len(lines) == 1, result.output
    return lines[0]


def build(work: Path, *roots: Path, layout: str = "auto", chords: str = "midi") -> list[tuple[str, str | None, str]]:
    """Scan and prepare; return stage, track and reason of every reject, sorted.

    All tracks are the same band with one fault each, so they may sound alike and share their stems here.
    """
    alike = ((same_songs, "doubles"), (shared_files, "find"), (shared_parts, "find"))
    with ExitStack() as patches:
        for module, name in alike:
            patches.enter_context(mock.patch.object(module, name, return_value=[]))
        for arguments in (("scan", *roots, "-o", work, "--layout", layout), ("prepare", work, *PREPARE, "--chords", chords)):
            result = invoke(*arguments)
            assert result.exit_code == 0, result.output
    return sorted((row.stage, row.track_id or "", row.reason) for row in tables.read_rows(work / "rejects.parquet", Reject))


def made(work: Path, track_id: str) -> dict[str, object]:
    """Collect all that was made of a track: the bytes of its parts, and its rows."""
    found: dict[str, object] = {path.name: path.read_bytes() for path in (work / "parts" / track_id).glob("*.flac")}
    for row_type, name in ((Part, "parts"), (Rhythm, "rhythm"), (Clip, "clips")):
        found[name] = [row for row in tables.read_rows(work / f"{name}.parquet", row_type) if row.track_id == track_id]
    return found


def part(work: Path, track_id: str, instrument: str) -> np.ndarray:
    """Read a part file: (T,) int16."""
    samples, _ = soundfile.read(work / "parts" / track_id / f"{instrument}.flac", dtype="int16")
    return np.asarray(samples)


def good_song(folder: Path) -> None:
    """Write a song of two stems of 2 s."""
    for number, instrument in enumerate(("bass", "piano")):
        write_tone(folder / f"{instrument}.wav", 2.0, RATE_HZ, 110.0 + 55.0 * number)


def band(folder: Path, midi: bool = True, **metadata: object) -> Path:
    """Write a track of bass and drums in Slakh's layout, 6 s at 120 bpm, and return its folder."""
    (folder / "stems").mkdir(parents=True)
    (folder / "MIDI").mkdir()
    time = np.arange(6 * RATE_HZ) / RATE_HZ
    hits = np.random.default_rng(0).standard_normal(len(time)) * np.exp(-60 * (time % 0.25))
    tone = np.sin(2 * np.pi * 110 * time) * np.exp(-8 * (time % 0.25))
    for stem_id, wave in (("S00", tone), ("S01", hits)):
        soundfile.write(folder / "stems" / f"{stem_id}.wav", 0.2 * wave, RATE_HZ)
        if midi:
            write_midi(folder / "MIDI" / f"{stem_id}.mid", drums=stem_id == "S01")
    stems = {
        "S00": {"program_num": 33, "midi_program_name": "Electric Bass (finger)", "is_drum": False},
        "S01": {"program_num": 128, "midi_program_name": "Drums", "is_drum": True},
    }
    (folder / "metadata.yaml").write_text(yaml.safe_dump({"stems": stems, **metadata}))
    return folder


def write_midi(path: Path, drums: bool, notes: int = 24, key_signature: bytes = b"\x00\x00") -> None:
    """Write eighths at 120 bpm; a key signature may be any two bytes."""
    track = mido.MidiTrack([mido.MetaMessage("time_signature"), mido.UnknownMetaMessage(0x59, data=key_signature)])
    for eighth in range(notes):
        note = {"note": 38 if eighth % 8 else 36, "channel": 9} if drums else {"note": 33 + eighth // 8 * 5, "channel": 0}
        track += [mido.Message("note_on", velocity=100, **note), mido.Message("note_off", time=240, **note)]
    song = mido.MidiFile(ticks_per_beat=480)
    song.tracks.append(track)
    song.save(path)
