"""Read the lead of a remix's source from the parts: `pair` leaves it out of both sides, and raters hear it on top of them."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from instructme.dataset_tools import audio
from instructme.dataset_tools.audio import STEP, Samples
from instructme.dataset_tools.sharding import library
from instructme.dataset_tools.sharding.windows import read
from instructme.manifests import tables
from instructme.manifests.rows import DataError
from instructme.pipelines.data.shard_reader import ShardReader
from instructme.pipelines.evaluation.cases import Case
from instructme.pipelines.evaluation.shard_cases import ShardRow
from instructme.pipelines.evaluation.spectra import RATE_HZ


def with_leads(cases: Sequence[Case], work: Path) -> list[Case]:
    """Give each remix of shards the lead that its recipe left out, if its track has one.

    Raises:
        DataError: the shards are not made of the parts in `work`.
    """
    music = library.read(work)
    digest = tables.sha256(work / "parts.parquet")
    led = []
    for case in cases:
        row = case.triplet
        if isinstance(row, ShardRow):
            reader = ShardReader(row.shards, row.split)
            if reader.parts_digest() != digest:
                raise DataError(f"{row.shards} are not made of the parts in {work}: give the working folder that they come from")
            if reader.recipe(row.row).left_out:
                case = dataclasses.replace(case, lead=functools.partial(_lead, row, music))
        led.append(case)
    return led


def _lead(row: ShardRow, music: library.Library) -> Samples:
    """Sum the parts that a recipe left out, at the level of the shard's source: (T,) at 24 kHz."""
    reader = ShardReader(row.shards, row.split)
    recipe, gain = reader.recipe(row.row), float(reader.values(row.row)["gain"])
    start, length = recipe.source_start_samples, recipe.length_samples
    windows = [read(music.part(recipe.source_track, name), start, length).astype(np.float32) for name in recipe.left_out]
    lead = np.sum(windows, axis=0) * np.float32(STEP * gain)
    return audio.resample(lead, music.rate_hz, RATE_HZ)
