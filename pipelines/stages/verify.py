"""Verify shards: files, tables, audio, splits, and with the working folder also the laws of the tasks."""

import contextlib
import dataclasses
import functools
import json
import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.sharding import beat_check, checks, laws, library, samples, windows
from instructme.dataset_tools.sharding.index import index_of
from instructme.dataset_tools.sharding.tar_file import NAME
from instructme.dataset_tools.tasks import task_module, task_names
from instructme.manifests import limits, tables, urls
from instructme.manifests.counting import counted
from instructme.manifests.instruments import INSTRUMENTS
from instructme.manifests.rows import DataError, Sample, Triplet
from instructme.pipelines.processes import engine
from instructme.pipelines.sentences.contradictions import contradictions

MOST_LINES = 10
"""Problems of one shard that are listed one by one."""
MOST_HEARD = 100
"""Remixes of one shard whose beats are heard anew: it takes ten times as long as all other checks of a triplet."""


Bars = Counter[tuple[str, int]]
"""On which beat of their bars the chords of remix sides change, by dataset and position: the number of sides."""
FEWEST_SIDES = 12
LEAST_SHARE, LARGEST_FIRST = 0.5, 0.25
"""Of the sides of a dataset: chords of right bars change on the first beat in 0.64 or more, on any other in 0.24 or fewer."""


@dataclasses.dataclass(frozen=True)
class CheckUnit:
    """One shard to check, and the numbers of the samples whose audio is checked."""

    name: str
    chosen: tuple[int, ...]


def verify(
    shards: str | Path,
    *,
    work: str | Path | None = None,
    sample: int | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
) -> list[str]:
    """Find faults in the shards of a folder: one line each, an empty list if there are none.

    The files of all shards are checked: markers, SHA-256, tables, provenance, tar members and their places, ids and tracks
    across splits. Audio and JSON are checked for all samples, or for `sample` of them, drawn at random. Of these, the beats of
    up to 100 remixes of each shard are heard anew. With `work`, the law of each task is checked against the part files too.
    Each instruction is read as `edit` reads it, and compared with its recipe.

    Example:
        ```python
        from instructme import verify

        for problem in verify("work/shards", work="work"):
            print(problem)
        ```

    Raises:
        DataError: the folder holds no shards, or `work` no tables.
    """
    limits.check(sample=sample)
    shards = urls.parse(shards)
    work = urls.local(work, "the working folder") if work else None
    urls.look(shards)
    names = sorted({path.stem for path in shards.iterdir() if NAME.fullmatch(path.stem)} if shards.is_dir() else ())
    if not names:
        raise DataError(f"no shards in {shards}: give a folder that shard has written, such as WORK/shards")
    hashes = {name: tables.sha256(work / name) for name in library.PARENTS if (work / name).exists()} if work else {}
    small = ["index.json", *(f"{name}.{suffix}" for name in names for suffix in ("json", "parquet"))]
    with urls.copied(shards, small) as here:
        listed = {name: [(row["triplet_id"], _tracks(row["recipe"])) for row in _rows(here, name)] for name in names}
        wrong, contradicted = list(_index(here, names)), list(contradictions(_recipes(here, names)))
    units = _units({name: len(rows) for name, rows in listed.items()}, sample)
    check = functools.partial(_check, shards.resolve(), work.resolve() if work else None, hashes)
    shared = [folder.resolve() / name for folder, name in ((shards, "index.json"), (work, "parts.parquet")) if folder]
    local = [path for path in shared if not urls.is_remote(path)]
    found = dict(engine.run(check, units, description="verify", item="shard", workers=workers, scheduler=scheduler, shared=local))
    return [
        *wrong,
        *(_tables(work) if work else ()),
        *(line for unit in units for line in found[unit][0]),
        *_moved_bars(sum((found[unit][1] for unit in units), Counter())),
        *_across(listed, library.read(work) if work else None),
        *contradicted,
    ]


def _rows(shards: Path, name: str) -> Iterator[dict[str, str]]:
    """Read id and recipe of each sample of a shard; none where the index can't be read, which `_check` explains."""
    with contextlib.suppress(DataError):
        rows = tables.read(shards / f"{name}.parquet", Sample, ["triplet_id", "recipe"])
        yield from (row for batch in rows.to_batches() for row in batch.to_pylist())


def _recipes(shards: Path, names: Sequence[str]) -> Iterator[Triplet]:
    """Read the recipes of shards; what can't be read is a problem that `_check` explains."""
    for row in (row for name in names for row in _rows(shards, name)):
        with contextlib.suppress(ValueError, TypeError):
            yield tables.from_json(row["recipe"], Triplet)


def _tracks(recipe: str) -> set[str]:
    """Name the tracks of a recipe in JSON; none if it can't be read."""
    try:
        values = json.loads(recipe)
        return {sys.intern(values[side]) for side in ("source_track", "target_track")}
    except (ValueError, KeyError, TypeError):
        return set()


def _units(counts: Mapping[str, int], sample: int | None) -> list[CheckUnit]:
    starts = np.cumsum([0, *counts.values()])
    chosen = np.arange(starts[-1])
    if sample is not None and sample < len(chosen):
        chosen = np.sort(np.random.default_rng(0).choice(len(chosen), sample, replace=False))
    shares = np.split(chosen, np.searchsorted(chosen, starts[1:-1]))
    return [CheckUnit(name, tuple((share - start).tolist())) for name, share, start in zip(counts, shares, starts, strict=False)]


def _index(shards: Path, names: list[str]) -> Iterator[str]:
    """Compare index.json with the markers."""
    try:
        index = json.loads((shards / "index.json").read_text())
        markers = {name: json.loads((shards / f"{name}.json").read_text()) for name in names}
        if json.loads(json.dumps(index_of(markers))) != index:
            yield "index.json: differs from the markers of the shards: run shard again"
    except FileNotFoundError as error:
        yield f"{Path(error.filename).name}: missing, because shard did not finish: run shard again"
    except (ValueError, KeyError, TypeError, AttributeError):
        yield "index.json or a marker can't be read: run shard again"


def _tables(work: Path) -> Iterator[str]:
    """Check the parent chain of every table of the working folder."""
    for path in sorted(work.glob("*.parquet")):
        try:
            yield from tables.broken_chain(path)
        except DataError as error:
            yield str(error)


def _check(shards: Path, work: Path | None, hashes: Mapping[str, str], unit: CheckUnit) -> tuple[list[str], Bars]:
    """Check one shard: at most MOST_LINES problems and the number of the others, and the bars of its remixes."""
    bars: Bars = Counter()
    files = [f"{unit.name}.{suffix}" for suffix in ("json", "parquet", "tar")]
    with urls.copied(shards, files, engine.scratch()) as here:
        found = [line.replace(str(here), str(shards)) for line in _problems(here, work, hashes, unit, bars)]
    problems = list(dict.fromkeys(found))
    more = len(problems) - MOST_LINES
    return (problems if more <= 0 else [*problems[:MOST_LINES], f"{unit.name}: and {more:,} more problems"]), bars


def _problems(shards: Path, work: Path | None, hashes: Mapping[str, str], unit: CheckUnit, bars: Bars) -> Iterator[str]:
    yield from checks.files(shards, unit.name)
    index, tar = shards / f"{unit.name}.parquet", shards / f"{unit.name}.tar"
    try:
        rows = tables.read_rows(index, Sample)
        provenance = tables.provenance(index)
    except DataError as error:
        yield str(error)
        return
    for name in library.PARENTS:
        if work and provenance["parents"].get(name) != hashes.get(name):
            yield f"{index.name}: {name} in {work} is missing or has changed since: run shard again"
    misplaced = list(checks.members(tar, rows))
    yield from misplaced
    if not misplaced:
        music = library.cached(work, tuple(hashes.values())) if work else None
        heard, unread = _heard(rows, unit.chosen), dict[str, list[str]]()
        for number in unit.chosen:
            row = rows[number]
            into = bars if number in heard else None
            try:
                for problem in _sample(tar, row, provenance["arguments"].get("normalise", "joint"), music, into):
                    yield f"{unit.name}: {row.triplet_id}: {problem}"
            except DataError as error:
                unread.setdefault(str(error), []).append(row.triplet_id)
        for reason, keys in unread.items():
            yield f"{unit.name}: {counted(len(keys), 'triplet')}, such as {keys[0]}, can't be compared with the parts: {reason}"


def _heard(rows: Sequence[Sample], chosen: Sequence[int]) -> set[int]:
    """Choose the samples whose beats are heard anew: remixes, which alone state a beat error, spread over the shard."""
    remixes = [number for number in chosen if _on_the_beat(rows[number].recipe)]
    return set(remixes[:: max(1, -(-len(remixes) // MOST_HEARD))])


def _on_the_beat(recipe: str) -> bool:
    """Tell whether a recipe in JSON states a beat error; not if it can't be read."""
    try:
        return json.loads(recipe)["beat_error_ms"] is not None
    except (ValueError, KeyError, TypeError):
        return False


def _sample(tar: Path, row: Sample, normalise: str, music: library.Library | None, bars: Bars | None) -> Iterator[str]:
    """Check one sample: its audio, its JSON, with the library its law, and its beats where there are `bars` to be counted.

    Raises:
        DataError: a part can't be used.
    """
    wrong, decoded = checks.sides(tar, row, normalise)
    yield from wrong
    wrong, description, recipe = checks.description(tar, row)
    yield from wrong
    if recipe and recipe.task not in task_names():
        yield f"recipe: unknown task {recipe.task!r}"
        return
    if bars is not None and decoded and recipe:
        yield from _beats(recipe, description, *decoded, row.sample_rate_hz)
        bars.update((row.dataset, beat) for beat in beat_check.first_beats(description, decoded, row.sample_rate_hz))
    if not music or not decoded or not recipe:
        return
    if (row.channels or 1) != music.channels:
        yield f"{row.channels or 1} channels, but the parts have {music.channels}: run shard again"
        return
    if description != samples.describe(recipe, row.gain, row.target_gain, music):
        yield "JSON: differs from the tables"
    broken = _law(recipe, row, *decoded, music) if normalise == "joint" else _parts(recipe, row, *decoded, music)
    if broken:
        yield f"law of {recipe.task} broken: {broken}"


def _beats(recipe: Triplet, description: Mapping[str, Any], source: Samples, target: Samples, rate_hz: int) -> Iterator[str]:
    """Hear the beats of both sides of a remix: they lie on those of the source that its JSON states."""
    beats_s = np.array(description.get("beat_times_s", ()), dtype=np.float64)
    for side, heard, names in (("source", source, recipe.source_instruments), ("target", target, recipe.target_instruments)):
        drums = any(INSTRUMENTS[name].family == "drums" for name in names if name in INSTRUMENTS)
        if problem := beat_check.off(heard, beats_s, rate_hz, drums=drums):
            yield f"{side}: {problem}"


def _moved_bars(bars: Bars) -> Iterator[str]:
    """Find datasets whose remixes agree that bars begin on another beat than their first: shifts that no single one proves."""
    for dataset in sorted({name for name, _ in bars}):
        counts = Counter({beat: count for (name, beat), count in bars.items() if name == dataset})
        beat, count = counts.most_common(1)[0]
        total = counts.total()
        if total >= FEWEST_SIDES and beat != 1 and count >= LEAST_SHARE * total and counts[1] <= LARGEST_FIRST * total:
            yield (
                f"remixes of {dataset}: chords change on beat {beat} of the bar in {count} of {total} sides, on the first in "
                f"{counts[1]}: downbeats may be off by whole beats"
            )


def _law(recipe: Triplet, row: Sample, source: Samples, target: Samples, music: library.Library) -> str | None:
    """Apply the law of the task to the written audio and the part files, read without `render`."""
    task = task_module(recipe.task)
    length = math.ceil(recipe.length_samples * recipe.target_stretch)
    beats = np.array(music.rhythm(recipe.source_track).beats_samples, dtype=np.int64) - recipe.source_start_samples
    broken: str | None = task.law(
        recipe,
        source,
        target,
        row.gain,
        _reader(music, recipe.source_track, recipe.source_start_samples, recipe.length_samples),
        target_part=_reader(music, recipe.target_track, recipe.target_start_samples, length),
        source_beats_samples=beats[(beats >= 0) & (beats < recipe.length_samples)],
        rate_hz=row.sample_rate_hz,
    )
    return broken


def _parts(recipe: Triplet, row: Sample, source: Samples, target: Samples, music: library.Library) -> str | None:
    """Compare each side with its parts and its own gain; a stretched target can't be compared."""
    read = _reader(music, recipe.source_track, recipe.source_start_samples, recipe.length_samples)
    mixed = laws.total(recipe.source_instruments, read, row.gain)
    broken = laws.off("source", source - mixed, laws.ROUNDING)
    if broken or recipe.target_stretch != 1.0:
        return broken
    read = _reader(music, recipe.target_track, recipe.target_start_samples, recipe.length_samples)
    mixed = laws.total(recipe.target_instruments, read, row.target_gain)
    if recipe.gain_db:
        mixed = mixed + laws.louder_by(recipe.gain_db) * laws.total(recipe.named, read, row.target_gain)
    return laws.off("target", target - mixed, laws.ROUNDING)


def _reader(music: library.Library, track_id: str, start: int, length: int) -> laws.ReadPart:
    return lambda instrument: windows.read(music.part(track_id, instrument), start, length, music.channels)


def _across(listed: Mapping[str, list[tuple[str, set[str]]]], music: library.Library | None) -> Iterator[str]:
    """Find ids that occur twice, and tracks or leak groups that occur in two splits."""
    seen: dict[str, str] = {}
    homes: dict[str, dict[str, str]] = {}
    for shard, rows in listed.items():
        for triplet, tracks in rows:
            if triplet in seen:
                yield f"{shard}: {triplet} is also in {seen[triplet]}"
            if not tracks:
                yield f"{shard}: {triplet}: its recipe can't be read"
            seen[triplet] = shard
            for track in sorted(tracks):
                group = music.tracks[track]["leak_group"] if music and track in music.tracks else track
                homes.setdefault(group, {}).setdefault(shard.split("-")[0], f"{triplet} (track {track})")
    for group, splits in sorted(homes.items()):
        if len(splits) > 1:
            where = "; ".join(f"{split} has {example}" for split, example in sorted(splits.items()))
            yield f"leak: {group} is in {len(splits)} splits: {where}"


def summary(shards: Path, laws_checked: bool, sample: int | None) -> str:
    """Say in one line what was checked."""
    index = json.loads((shards / "index.json").read_text())
    audio = index["samples"] if sample is None else min(sample, index["samples"])
    law = " and the laws" if laws_checked else ""
    return (
        f"no faults in {shards}: {counted(len(index['shards']), 'shard')}, {counted(index['samples'], 'triplet')}; "
        f"checked files, hashes, tables, members and splits, and the audio{law} of {counted(audio, 'triplet')}"
    )
