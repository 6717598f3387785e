"""Build datasets with something bad in them through the command line, and say what became of the bad and of the good."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile
from click.testing import CliRunner, Result
from conftest import write_tone

from manifests import tables
from manifests.rows import Clip, Part, Reject, Rhythm
from pipelines.cli import main

RATE_HZ = 8000
PREPARE = ("--sample-rate", str(RATE_HZ), "--clip-seconds", "1", "--rhythm", "midi", "--chords", "midi")


def serial(function: Callable, units: Sequence, **_: object) -> Iterator[tuple]:
    """Stand in for the engine: the same contract in this process."""
    yield from ((unit, function(unit)) for unit in units)


def invoke(*arguments: object) -> Result:
    """Run a verb in this process; a traceback fails the test."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def error_of(result: Result) -> str:
    """Check that a verb ended in one line and exit code 1, and return the line."""
    lines = [line for line in result.stderr.replace("\r", "\n").splitlines() if line.strip() and "|" not in line]
    assert result.exit_code == 1 and len(lines) == 1, result.output
    return lines[0]


def build(work: Path, *roots: Path, layout: str = "auto") -> list[tuple[str, str | None, str]]:
    """Scan and prepare; return stage, track and reason of every reject, sorted."""
    for arguments in (("scan", *roots, "-o", work, "--layout", layout), ("prepare", work, *PREPARE)):
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
        write_tone(folder / f"{instrument}.wav", 2.0, RATE_HZ, 110.0 * (number + 1))
