"""Check one shard: files against the marker, tar against the index, audio against the rows."""

import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from instructme.dataset_tools import audio
from instructme.dataset_tools.audio import STEP, Samples
from instructme.dataset_tools.sharding import tar_file
from instructme.dataset_tools.sharding.render import CEILING
from instructme.manifests import tables
from instructme.manifests.rows import DataError, Sample, Triplet

TOLERANCE_DB = 0.001
"""How far levels in the index may be from those measured again."""


def files(folder: Path, name: str) -> Iterator[str]:
    """Say which files of a shard are missing or don't have the size and SHA-256 that its marker states."""
    try:
        marker = json.loads((folder / f"{name}.json").read_text())
        files = [f"{name}.{suffix}" for suffix in ("tar", "parquet")]
        stated = {file: (marker["files"][file]["bytes"], marker["files"][file]["sha256"]) for file in files}
    except (OSError, ValueError, KeyError, TypeError):
        yield f"{name}: unfinished: it has no marker {name}.json; run shard again"
        return
    for file, (size, digest) in stated.items():
        path = folder / file
        if not path.exists():
            yield f"{file}: missing: run shard again"
        elif path.stat().st_size != size:
            yield f"{file}: {path.stat().st_size} bytes, not {size}: truncated or changed since it was written"
        elif tables.sha256(path) != digest:
            yield f"{file}: changed since it was written: SHA-256 differs"


def members(tar: Path, rows: Sequence[Sample]) -> Iterator[str]:
    """Say which members of a tar have names, kinds, headers, order or places other than its index states."""
    try:
        with tarfile.open(tar, "r:") as file:
            found = file.getmembers()
    except FileNotFoundError:
        yield f"{tar.name}: missing: run shard again"
        return
    except (tarfile.TarError, OSError) as error:
        yield f"{tar.name}: truncated or not a tar: {error}"
        return
    for member in found:
        if not tar_file.MEMBER.fullmatch(member.name) or not member.isreg():
            yield f"{tar.name}: unsafe member {member.name!r}: only files <key>.({'|'.join(tar_file.MEMBERS)}) belong here"
        elif any(getattr(member, field) != value for field, value in tar_file.HEADER.items()):
            yield f"{tar.name}: the header of {member.name} has another time, owner or mode"
    names = [member.name for member in found]
    wanted = [f"{row.triplet_id}.{name}" for row in rows for name in tar_file.MEMBERS]
    if names != wanted:
        missing, extra = sorted(set(wanted) - set(names)), sorted(set(names) - set(wanted))
        what = [f"{len(group)} {kind}, first {group[0]!r}" for kind, group in (("missing", missing), ("extra", extra)) if group]
        yield f"{tar.name}: members differ from the index: {'; '.join(what) or 'order or repetition'}"
    places = {member.name: (member.offset_data, member.size) for member in found}
    for row in rows:
        for name in tar_file.MEMBERS:
            member_name = f"{row.triplet_id}.{name}"
            if member_name in places and places[member_name] != tar_file.place(row, name):
                yield f"{tar.name}: {member_name} is not at the place that the index states"


def sides(tar: Path, row: Sample, normalise: str) -> tuple[list[str], tuple[Samples, Samples] | None]:
    """Decode both sides of a sample and check rate, length, levels and gains.

    Returns:
        What is wrong, and the sides if they could be decoded.
    """
    decoded, problems = [], []
    shape = (row.length_samples,) if row.channels in (None, 1) else (row.length_samples, row.channels)
    for side in ("source", "target"):
        try:
            samples, rate_hz = tar_file.decode(tar_file.read_bytes(tar, *tar_file.place(row, f"{side}.flac")))
        except DataError as error:
            return [f"{side}: {error}"], None
        if samples.shape != shape or rate_hz != row.sample_rate_hz:
            return [f"{side}: shape {samples.shape} at {rate_hz} Hz, not {shape} at {row.sample_rate_hz} Hz"], None
        decoded.append(samples)
        problems += [f"{side}: {problem}" for problem in _levels(samples, side, row)]
    source, target = decoded
    return [*problems, *_gains(row, audio.peak(source), audio.peak(target), normalise)], (source, target)


def _levels(samples: Samples, side: str, row: Sample) -> Iterator[str]:
    if audio.peak(samples) > CEILING + STEP:
        yield f"peak {audio.peak_db(samples):.2f} dBFS is above -1 dBFS"
    for what, measured in (("peak", audio.peak_db(samples)), ("rms", audio.rms_db(samples))):
        stated = getattr(row, f"{side}_{what}_db")
        if abs(measured - stated) > TOLERANCE_DB:
            yield f"{what} is {measured:.2f} dBFS, the index says {stated:.2f}"


def _gains(row: Sample, source_peak: float, target_peak: float, normalise: str) -> Iterator[str]:
    if normalise == "side":
        for side, peak in (("source", source_peak), ("target", target_peak)):
            if peak and abs(peak - CEILING) > STEP:
                yield f"{side}: peak is not at -1 dBFS, although each side was normalised"
    elif row.gain != row.target_gain or not 0 < row.gain <= 1:
        yield f"gains {row.gain:.4f} and {row.target_gain:.4f}: both sides need the same gain, at most 1"
    elif row.gain < 1 and abs(max(source_peak, target_peak) - CEILING) > STEP:
        yield f"gain {row.gain:.4f} although no side reaches -1 dBFS"


def description(tar: Path, row: Sample) -> tuple[list[str], dict[str, Any], Triplet | None]:
    """Read the JSON and the recipe of a sample and compare them with its row.

    Returns:
        What is wrong, the JSON, and the recipe if both can be read.
    """
    try:
        found = dict(json.loads(tar_file.read_bytes(tar, *tar_file.place(row, "json"))))
        recipe = tables.from_json(row.recipe, Triplet)
    except (ValueError, TypeError):
        return ["JSON of the sample or of its recipe can't be read"], {}, None
    described = ("instruction", "task", "dataset", "licence", "gain", "target_gain", "sample_rate_hz", "channels")
    wrong = [f"JSON: {name} differs from the index" for name in described if found.get(name) != getattr(row, name)]
    decided = ("triplet_id", "task", "instruction", "length_samples")
    wrong += [f"recipe: {name} differs from the index" for name in decided if getattr(recipe, name) != getattr(row, name)]
    return wrong, found, recipe
