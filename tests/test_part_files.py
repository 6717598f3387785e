"""Part files against the marker and the tables that `prepare` wrote."""

import dataclasses
import json
from pathlib import Path

import pytest
from made_work import make_work

from instructme.dataset_tools.sharding import part_files
from instructme.manifests import tables
from instructme.manifests.rows import DataError, Part


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """Make a prepared part whose instrument has a name of two words."""
    work = make_work(tmp_path)
    track_id, folder = "set-a", tmp_path / "parts" / "set-a"
    path = (folder / "bass.flac").rename(folder / "electric-bass.flac")
    row = next(row for row in tables.read_rows(work / "parts.parquet", Part) if row.track_id == track_id)
    named = dataclasses.replace(row, instrument="electric bass", path=f"parts/{track_id}/{path.name}", rms_db=-20.0)
    tables.write(folder / "parts.parquet", [named], Part)
    (folder / part_files.MARKER).write_text(json.dumps({"bytes": {path.name: path.stat().st_size}}))
    return path


def test_a_part_as_prepare_wrote_it_passes(part: Path) -> None:
    part_files.check(part, -20.0)


def test_another_level_or_size_is_refused(part: Path) -> None:
    with pytest.raises(DataError, match="was replaced after prepare"):
        part_files.check(part, -21.0)
    part.write_bytes(part.read_bytes() + b"\0")
    with pytest.raises(DataError, match="was replaced after prepare"):
        part_files.check(part, -20.0)


def test_a_folder_without_a_marker_is_not_checked(part: Path) -> None:
    (part.parent / part_files.MARKER).unlink()
    part_files.check(part, 0.0)
