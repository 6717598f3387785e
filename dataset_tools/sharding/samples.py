"""Describe a rendered triplet: the fields of its sample in the tar, and its row in the shard's index."""

import bisect
import dataclasses
import json
from collections.abc import Iterable
from itertools import chain
from typing import Any

from instructme.dataset_tools import audio
from instructme.dataset_tools.sharding import tar_file
from instructme.dataset_tools.sharding.library import Library
from instructme.dataset_tools.sharding.render import Rendered
from instructme.manifests import tables
from instructme.manifests.rows import Rhythm, Sample, Triplet

_NOWHERE: dict[str, Any] = {f"{name.split('.')[0]}_{what}_bytes": 0 for name in tar_file.MEMBERS for what in ("offset", "size")}


def fields(recipe: Triplet, sides: Rendered, library: Library) -> dict[str, bytes]:
    """Encode the fields of a sample by the names of `tar_file.MEMBERS`."""
    return {
        "source.flac": tar_file.encode(sides.source, library.rate_hz),
        "target.flac": tar_file.encode(sides.target, library.rate_hz),
        "json": tar_file.to_json(describe(recipe, sides.gain, sides.target_gain, library)),
    }


def describe(recipe: Triplet, gain: float, target_gain: float, library: Library) -> dict[str, Any]:
    """Say what a sample is: times of chords and beats in seconds from the start of the source window.

    Beats that are not trusted carry `beats_trusted: false`; trusted ones don't carry it, so that older shards keep their bytes.
    """
    rhythm = library.rhythm(recipe.source_track)
    return {
        "instruction": recipe.instruction,
        "task": recipe.task,
        "named": recipe.named,
        "added": recipe.added,
        "genre": recipe.genre,
        **({} if recipe.gain_db is None else {"gain_db": recipe.gain_db}),
        "dataset": library.track(recipe.source_track)["dataset"],
        "licence": _licence(recipe, library),
        "sample_rate_hz": library.rate_hz,
        **({} if library.channels == 1 else {"channels": library.channels}),
        "gain": gain,
        "target_gain": target_gain,
        "provenance": {
            "source": _side(recipe.source_track, recipe.source_start_samples, recipe.source_instruments, 1.0),
            "target": _side(recipe.target_track, recipe.target_start_samples, recipe.target_instruments, recipe.target_stretch),
            "left_out": recipe.left_out,
        },
        "chord_source": rhythm.chord_source,
        "rhythm_source": rhythm.source,
        **chords(rhythm, recipe.source_start_samples, recipe.length_samples, library.rate_hz),
        **({} if rhythm.trusted or not rhythm.beats_samples else {"beats_trusted": False}),
        **beats(rhythm, recipe.source_start_samples, recipe.length_samples, library.rate_hz),
    }


def _side(track_id: str, start_samples: int, instruments: list[str], stretch: float) -> dict[str, Any]:
    return {"track": track_id, "start_samples": start_samples, "instruments": instruments, "stretch": stretch}


def _licence(recipe: Triplet, library: Library) -> str:
    tracks = {recipe.source_track, recipe.target_track}
    return " AND ".join(sorted({library.track(track)["licence"] for track in tracks}))


def chords(rhythm: Rhythm, start: int, length: int, rate_hz: int) -> dict[str, list[Any]]:
    """Cut the chords that sound in a window: `chord_starts_s` and `chord_labels`; each lasts until the next."""
    starts = rhythm.chord_starts_samples
    first = max(bisect.bisect_right(starts, start) - 1, 0)
    last = bisect.bisect_left(starts, start + length)
    return {
        "chord_starts_s": [round(max(time - start, 0) / rate_hz, 6) for time in starts[first:last]],
        "chord_labels": rhythm.chord_labels[first:last],
    }


def beats(rhythm: Rhythm, start: int, length: int, rate_hz: int) -> dict[str, list[Any]]:
    """Cut the beats of a window: `beat_times_s` and `beat_positions` in the bar (0 where unknown)."""
    first, last = (bisect.bisect_left(rhythm.beats_samples, time) for time in (start, start + length))
    return {
        "beat_times_s": [round((time - start) / rate_hz, 6) for time in rhythm.beats_samples[first:last]],
        "beat_positions": rhythm.beat_positions[first:last],
    }


def row(recipe: Triplet, sides: Rendered, library: Library) -> Sample:
    """Make the index row of a sample whose place in the tar isn't known yet."""
    return Sample(
        triplet_id=recipe.triplet_id,
        task=recipe.task,
        instruction=recipe.instruction,
        dataset=library.track(recipe.source_track)["dataset"],
        licence=_licence(recipe, library),
        recipe=json.dumps(_used(recipe), sort_keys=True, ensure_ascii=False),
        sample_rate_hz=library.rate_hz,
        length_samples=recipe.length_samples,
        gain=sides.gain,
        target_gain=sides.target_gain,
        source_rms_db=audio.rms_db(sides.source),
        target_rms_db=audio.rms_db(sides.target),
        source_peak_db=audio.peak_db(sides.source),
        target_peak_db=audio.peak_db(sides.target),
        channels=None if library.channels == 1 else library.channels,
        **_NOWHERE,
    )


def _used(recipe: Triplet) -> dict[str, Any]:
    """Give the fields of a recipe, of those that came later only what is used: old recipes keep their bytes."""
    values = dataclasses.asdict(recipe)
    return {name: value for name, value in values.items() if value is not None or name not in tables.later(Triplet)}


def locate(rows: Iterable[Sample], places: tar_file.Places) -> list[Sample]:
    """Fill in where the members of each sample lie in the tar, as `write_tar` returned it."""
    located = []
    for sample in rows:
        numbers = chain.from_iterable(places[f"{sample.triplet_id}.{name}"] for name in tar_file.MEMBERS)
        place: dict[str, Any] = dict(zip(_NOWHERE, numbers, strict=True))
        located.append(dataclasses.replace(sample, **place))
    return located
