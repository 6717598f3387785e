"""Hold what recipes are drawn from: the tables of a working folder as arrays, one bit per part of a track."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from instructme.dataset_tools.clips import MIN_LUFS
from instructme.dataset_tools.pairing import activity_curves, grids
from instructme.dataset_tools.pairing.combinations import MOST_PARTS, Ints, bits, numbered
from instructme.manifests import tables
from instructme.manifests.rows import Clip, DataError, Part, Reject, Rhythm, Track

WINDOW = np.dtype([(name, "i8") for name in ("track", "start", "length", "sounds", "bed", "usable")])
"""A window of a track and masks of its parts: those that make any sound, may lie in a bed, may be edited."""
Windows = npt.NDArray[np.void]


@dataclass(frozen=True)
class Pool:
    """Tracks with their parts, and the windows that recipes start from; arrays per track follow the order of `tracks`."""

    tracks: list[str]
    datasets: list[str]
    splits: npt.NDArray[np.str_]
    song_groups: Ints
    genres: list[str]
    genre: Ints
    """Position in `genres`, -1 where unknown."""
    instruments: list[str]
    parts: Ints
    """(tracks, bits) position in `instruments`, which rises with the bit; -1 beyond the track's last part."""
    leads: Ints
    """Mask of the lead and vocal parts."""
    lengths: Ints
    """Samples."""
    rate_hz: int
    windows: Windows
    curves: activity_curves.Curves
    grids: grids.Grids
    rejects: list[Reject]

    def of(self, split: str) -> "Pool":
        """Keep only the windows of one split."""
        return replace(self, windows=self.windows[self.splits[self.windows["track"]] == split])

    def with_windows(self, length: int) -> "Pool":
        """Cut each track that has windows into new ones of another length in samples, without overlap."""
        tracks = np.unique(self.windows["track"])
        row, number = numbered(self.lengths[tracks] // length)
        windows = np.zeros(len(row), WINDOW)
        windows["track"], windows["start"], windows["length"] = tracks[row], number * length, length
        heard = self.curves.hear(windows["track"], windows["start"], windows["length"])
        windows["sounds"], windows["bed"], windows["usable"] = heard
        return replace(self, windows=windows[windows["bed"] != 0])

    def names(self, tracks: Ints, masks: Ints) -> pa.ListArray:
        """Turn masks of parts into sorted lists of instrument names, one per row."""
        row, bit = np.nonzero(bits(masks, self.parts.shape[1]))
        flat = pa.array(self.instruments, pa.string()).take(pa.array(self.parts[tracks[row], bit]))
        return pa.ListArray.from_arrays(np.searchsorted(row, np.arange(len(masks) + 1)).astype(np.int32), flat)


def load(work: Path) -> Pool:
    """Load the tables that `scan` and `prepare` wrote; windows of tracks whose stems don't belong together are left out.

    Raises:
        DataError: a table is missing, damaged, or made from others than those beside it.
    """
    tracks, parts, clips = _tables(work)
    names = tracks["track_id"].to_pylist()
    rates = pc.unique(parts["sample_rate_hz"]).to_pylist()
    if len(rates) > 1:
        raise DataError(f"parts in {work} have several sample rates {rates}: run prepare again with one --sample-rate")
    instruments, genres = _vocabulary(parts["instrument"]), _vocabulary(tracks["genre"])
    owner = _codes(parts["track_id"], names)
    first = np.searchsorted(owner, np.arange(len(tracks) + 1))
    bit = np.arange(len(parts)) - first[owner]
    code = _codes(parts["instrument"], instruments)
    on_track = np.full((len(tracks), int(bit.max(initial=0)) + 1), -1)
    on_track[owner, bit] = code
    lead = parts["lead"].to_numpy()
    lengths = np.zeros(len(tracks), dtype=np.int64)
    lengths[owner] = parts["length_samples"].to_numpy()
    fits = (np.diff(first) <= MOST_PARTS) & tracks["aligned"].to_numpy()
    least_active, most_under_db, least_lufs = _activity_rule(work)
    windows = _windows(clips, names, on_track, instruments, least_active)
    return Pool(
        tracks=names,
        datasets=tracks["dataset"].to_pylist(),
        splits=np.array(tracks["split"].to_pylist(), dtype=str),
        song_groups=_codes(tracks["song_group"], _vocabulary(tracks["song_group"])),
        genres=genres,
        genre=_codes(tracks["genre"], genres),
        instruments=instruments,
        parts=on_track,
        leads=_union(owner[lead], bit[lead], len(tracks)),
        lengths=lengths,
        rate_hz=rates[0] if rates else 0,
        windows=windows[fits[windows["track"]]],
        curves=activity_curves.of_parts(parts, first, least_active, most_under_db, least_lufs),
        grids=grids.of_rhythm(tables.read(work / "rhythm.parquet", Rhythm), names),
        rejects=_unfit(tracks, windows, fits),
    )


def _tables(work: Path) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Read tracks, parts and clips, sorted by track, then by instrument or start."""
    for name in ("clips.parquet", "parts.parquet", "rhythm.parquet"):
        if problems := tables.broken_chain(work / name):
            raise DataError(problems[0])
    tracks = tables.read(work / "tracks.parquet", Track).sort_by("track_id")
    parts = tables.read(work / "parts.parquet", Part).sort_by([("track_id", "ascending"), ("instrument", "ascending")])
    clips = tables.read(work / "clips.parquet", Clip).sort_by([("track_id", "ascending"), ("start_samples", "ascending")])
    for name, table in (("parts", parts), ("clips", clips)):
        if not pc.all(pc.is_in(table["track_id"], tracks["track_id"]), min_count=0).as_py():
            raise DataError(f"{work / name}.parquet has tracks that tracks.parquet doesn't have: run prepare again")
    return tracks, parts, clips


def _activity_rule(work: Path) -> tuple[float, float, float]:
    """Read what counts as active in the clips: `min_active`, `max_under_mix_db` and `min_lufs` of `prepare`."""
    rule = tables.provenance(work / "clips.parquet")["arguments"]
    if not all(isinstance(rule.get(name), float | int) for name in ("min_active", "max_under_mix_db")):
        raise DataError(f"{work / 'clips.parquet'} doesn't say what counts as active: run prepare again")
    return float(rule["min_active"]), float(rule["max_under_mix_db"]), float(rule.get("min_lufs", MIN_LUFS))


def _vocabulary(column: pa.ChunkedArray) -> list[str]:
    return sorted(pc.unique(column).drop_null().to_pylist())


def _codes(column: pa.ChunkedArray | pa.Array, vocabulary: list[str]) -> Ints:
    """Turn the values of a column into their places in the vocabulary, -1 where they aren't in it."""
    found = pc.index_in(column, value_set=pa.array(vocabulary, pa.string()))
    return np.asarray(pc.fill_null(found, -1).to_numpy(), dtype=np.int64)


def _union(row: Ints, bit: Ints, rows: int) -> Ints:
    masks = np.zeros(rows, dtype=np.int64)
    np.bitwise_or.at(masks, row, np.int64(1) << np.minimum(bit, MOST_PARTS))
    return masks


def _windows(clips: pa.Table, tracks: list[str], on_track: Ints, instruments: list[str], min_active: float) -> Windows:
    windows = np.zeros(len(clips), WINDOW)
    windows["track"] = _codes(clips["track_id"], tracks)
    windows["start"], windows["length"] = clips["start_samples"].to_numpy(), clips["length_samples"].to_numpy()
    names, active, usable = (clips[name].combine_chunks() for name in ("instruments", "active", "usable"))
    row = np.repeat(np.arange(len(clips)), names.value_lengths().to_numpy(zero_copy_only=False))
    bit_of = np.full((len(tracks), len(instruments)), -1)
    owner, place = np.nonzero(on_track >= 0)
    bit_of[owner, on_track[owner, place]] = place
    code = _codes(names.flatten(), instruments)
    bit = np.where(code >= 0, bit_of[windows["track"][row], code], -1)
    if bit.size and bit.min() < 0:
        raise DataError("clips.parquet names parts that parts.parquet doesn't have: run prepare again")
    is_active = active.flatten().to_numpy() >= min_active
    is_usable = usable.flatten().to_numpy(zero_copy_only=False)
    windows["sounds"] = _union(row, bit, len(clips))
    windows["bed"] = _union(row[is_active], bit[is_active], len(clips))
    windows["usable"] = _union(row[is_usable], bit[is_usable], len(clips))
    return windows


def _unfit(tracks: pa.Table, windows: Windows, fits: npt.NDArray[np.bool_]) -> list[Reject]:
    rejects = []
    for position, count in zip(*np.unique(windows["track"][~fits[windows["track"]]], return_counts=True), strict=True):
        row = tracks.slice(int(position), 1).to_pylist()[0]
        reason = "too_many_parts" if row["aligned"] else "unaligned"
        detail = "its parts don't fit a mask" if row["aligned"] else "its stems don't belong together in time"
        rejects.append(Reject("pair", row["dataset"], row["track_id"], "clips", reason, detail, int(count)))
    return rejects
