"""Draw the recipes of a working folder: `clips.parquet` and its siblings -> `triplets.parquet`."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from instructme.dataset_tools import triplets
from instructme.dataset_tools.beats import rhythm
from instructme.dataset_tools.pairing import instructions
from instructme.dataset_tools.pairing import pool as pools
from instructme.dataset_tools.pairing.edits import PairOptions
from instructme.dataset_tools.pairing.pool import Pool
from instructme.dataset_tools.sharding import tar_file
from instructme.dataset_tools.tasks import task_modules
from instructme.dataset_tools.triplets import Filled, Order
from instructme.manifests import limits, tables, urls
from instructme.manifests.counting import counted
from instructme.manifests.rows import SPLITS, DataError, Reject, Triplet
from instructme.pipelines.processes import resume
from instructme.pipelines.processes.engine import cores

TOTAL_PER_CLIP = 20
"""Training recipes per clip, if neither counts nor a total are asked for."""
PARENTS = ("tracks.parquet", "parts.parquet", "rhythm.parquet", "clips.parquet")
UNCERTAIN = ("no_rhythm", "rhythm_untrusted", "downbeat_unknown", "meter_unknown")
"""Reasons of rejects that better beats would remove."""
RENDERED_PER_CORE = 400.0
"""Seconds of triplets, both sides, that one core renders and writes in a second."""


@dataclass(frozen=True)
class PairSummary:
    """What a run made, or would make with `plan`: recipes by split and task, shortfalls, why windows were left out."""

    counts: dict[str, dict[str, int]]
    shortfalls: list[str]
    rejects: dict[str, int]
    hours: float
    gigabytes: float
    render_hours: float
    """On all cores of this machine."""
    chains: int = 0
    """Chains of several edits, whose recipes are among those of test."""


def pair(
    work: str | Path,
    *,
    counts: Mapping[str, int] | None = None,
    total: int | None = None,
    eval_count: int = 800,
    rounds: int = 1,
    seconds: Sequence[int] = (),
    options: PairOptions | None = None,
    templates: str | Path | None = None,
    paraphrase: float = 0.0,
    seed: int = 0,
    plan: bool = False,
) -> PairSummary:
    """Draw recipes and write `triplets.parquet`.

    Example:
        ```python
        from instructme import pair

        pair("work", total=20_000, eval_count=200, seed=0)
        ```

    Args:
        work: folder with the tables of `scan` and `prepare`.
        counts: training recipes per task; those not named get none.
        total: training recipes in all, shared as in the paper (remix, add, replace, extract, remove as 10:3:3:2:2);
            without `counts` too, 20 per training clip.
        eval_count: recipes of each task for validation, and for test; also of each longer window, and of chains.
        rounds: above 1, also draws chains of that many edits for test.
        seconds: also draws test recipes with windows of these lengths; clips of such a length are drawn once.
        options: how instruments are balanced, and how close a remix must match.
        templates: the user's instruction templates.
        paraphrase: share of the training recipes whose instruction is said in other words than the templates'.
        seed: of everything random.
        plan: only say what would be made.

    Raises:
        DataError: missing or mismatched tables, unknown tasks, numbers out of range, unusable templates, no recipe at all, or
            WORK is in use.
    """
    work = urls.local(work, "the working folder")
    options, counts = options or PairOptions(), counts or {}
    _check(counts, total, eval_count, rounds, seconds, paraphrase)
    known = _known_tasks(counts)
    texts = _texts(known, urls.local(templates, "the templates") if templates else None)
    with nullcontext() if plan else resume.held(work):
        pool = _pool(work, options)
        train = dict(counts) or share(total or TOTAL_PER_CLIP * len(pool.of("train").windows))
        lengths = dict.fromkeys(seconds)
        as_clips = [length for length in lengths if (pool.windows["length"] == length * pool.rate_hz).all()]
        others = [length for length in lengths if length not in as_clips]
        orders = _orders(train, dict.fromkeys(known, eval_count), rounds, others, pool.rate_hz)
        table, filled = triplets.draw(pool, orders, options=options, templates=texts, seed=seed, paraphrase=paraphrase)
        rejects = [*pool.rejects, *_rejects(pool, filled)]
        if not table.num_rows:
            reasons = ", ".join(f"{reason} {count}" for reason, count in _reasons(rejects).items()) or "no clips"
            raise DataError(f"no recipe can be drawn from {work} ({reasons}): scan and prepare more or other tracks")
        if not plan:
            arguments: dict[str, Any] = {"train": train, "eval_count": eval_count, "rounds": rounds, "seconds": list(seconds)}
            arguments |= _arguments(options, texts, paraphrase)
            parents = [work / name for name in PARENTS]
            tables.write(work / "triplets.parquet", table, Triplet, arguments=arguments, seed=seed, parents=parents)
            tables.write_rejects(work / "rejects.parquet", "pair", rejects)
        summary = _summary(table, filled, rejects, pool.rate_hz)
        # Drawn again, they would be there twice.
        same = [f"test of {length} s: clips have this length, so these are the recipes of test" for length in as_clips]
        return replace(summary, shortfalls=[*same, *summary.shortfalls])


def _known_tasks(counts: Mapping[str, int]) -> list[str]:
    """List the tasks that are drawn: those with a share, and those that are asked for."""
    modules = task_modules()
    if missing := sorted(set(counts) - set(modules)):
        raise DataError(f"unknown task {missing[0]!r}: choose from {', '.join(modules)}")
    return [task for task, module in modules.items() if module.SHARE or counts.get(task)]


def _texts(known: Sequence[str], templates: Path | None) -> instructions.Templates:
    defaults = triplets.default_templates()
    return instructions.read(templates, defaults) if templates else {task: defaults[task] for task in known}


def _pool(work: Path, options: PairOptions) -> Pool:
    """Load the clips. Refuse weights of datasets that are not there."""
    pool = pools.load(work)
    if unknown := sorted({dataset for dataset, _ in options.weights} - set(pool.datasets)):
        raise DataError(f"no dataset {unknown[0]!r} in {work}: choose from {', '.join(sorted(set(pool.datasets)))}")
    if not len(pool.windows):
        raise DataError(f"no clips in {work}: nothing to pair; {work / 'rejects.parquet'} says why")
    return pool


def _arguments(options: PairOptions, texts: instructions.Templates, paraphrase: float) -> dict[str, Any]:
    """Give what the table states; later settings only where they are set, so that tables stay byte for byte."""
    chosen = {name: value for name, value in asdict(options).items() if name != "weights" or value}
    spoken = {"paraphrase": paraphrase} if paraphrase else {}
    return {**chosen, "templates": {task: list(lines) for task, lines in texts.items()}, **spoken}


def _check(
    counts: Mapping[str, int], total: int | None, eval_count: int, rounds: int, seconds: Sequence[int], paraphrase: float
) -> None:
    for task, count in counts.items():
        limits.whole(f"the count of {task}", count, 0)
    limits.check(total=total, eval_count=eval_count, rounds=rounds, paraphrase=paraphrase)
    for length in seconds:
        limits.check(seconds=length)


def share(total: int) -> dict[str, int]:
    """Share a total among the tasks in the paper's proportions; what doesn't divide goes to the largest shares first."""
    shares = {task: int(module.SHARE) for task, module in task_modules().items() if module.SHARE}
    parts = {task: total * part // sum(shares.values()) for task, part in shares.items()}
    for task in sorted(shares, key=lambda name: -shares[name])[: total - sum(parts.values())]:
        parts[task] += 1
    return parts


def _orders(
    train: Mapping[str, int], evaluated: Mapping[str, int], rounds: int, seconds: Sequence[int], rate_hz: int
) -> list[Order]:
    orders = [Order("train", train), Order("validation", evaluated), Order("test", evaluated)]
    if rounds > 1:
        orders.append(Order("test", {"chains": next(iter(evaluated.values()))}, rounds=rounds))
    return [*orders, *(Order("test", evaluated, length * rate_hz) for length in seconds)]


def _rejects(pool: Pool, filled: Sequence[Filled]) -> list[Reject]:
    """Count the clips that a task can't use, by track and reason."""
    rows = []
    for got in (got for got in filled if not got.order.length):
        for (task, reason), tracks in got.unused.items():
            for track, count in zip(*np.unique(tracks, return_counts=True), strict=True):
                detail = f"{counted(int(count), 'clip')} can't be used for {task}"
                rows.append(Reject("pair", pool.datasets[track], pool.tracks[track], task, reason, detail, int(count)))
    return rows


def _summary(table: pa.Table, filled: Sequence[Filled], rejects: Sequence[Reject], rate_hz: int) -> PairSummary:
    counts: dict[str, dict[str, int]] = {}
    grouped = table.group_by(["split", "task"]).aggregate([([], "count_all")]).to_pylist()
    for row in sorted(grouped, key=lambda group: (SPLITS.index(group["split"]), group["task"])):
        counts.setdefault(row["split"], {})[row["task"]] = row["count_all"]
    audio_seconds = pc.sum(table["length_samples"]).as_py() / rate_hz
    return PairSummary(
        counts=counts,
        shortfalls=[*(line for got in filled for line in _shortfalls(got, rate_hz)), *_remedies(filled)],
        rejects=_reasons(rejects),
        hours=audio_seconds / 3600,
        gigabytes=audio_seconds * 2 * rate_hz * 2 * tar_file.FLAC_RATIO / 1e9,
        render_hours=audio_seconds / RENDERED_PER_CORE / cores() / 3600,
        chains=sum(got.drawn.get("chains", 0) for got in filled),
    )


def _shortfalls(got: Filled, rate_hz: int) -> list[str]:
    """Say for each task of an order where fewer recipes exist than were asked for."""
    name = f"{got.order.split} of {got.order.length // rate_hz} s" if got.order.length else got.order.split
    wanted = sum(got.order.counts.values())
    if wanted and not any(got.drawn.values()):
        return [f"{name}: {wanted} asked for, none exist"]
    lines = []
    for task, count in got.order.counts.items():
        if got.drawn.get(task, 0) < count:
            found = got.existing.get(task, got.drawn.get(task, 0))
            exist = f"{'at least ' * (task in got.inexact)}{found} exist, all are drawn" if found else "none exist"
            lines.append(f"{name}: {task}: {count} asked for, {exist}")
    return lines


def _remedies(filled: Sequence[Filled]) -> Iterator[str]:
    """Say what would help a task that has no recipe at all because beats or bars are not certain."""
    for task in sorted({task for got in filled for task, count in got.order.counts.items() if count}):
        found = [
            tracks for got in filled for (name, reason), tracks in got.unused.items() if name == task and reason in UNCERTAIN
        ]
        if found and not any(got.drawn.get(task) for got in filled):
            lacking = counted(len(np.unique(np.concatenate(found))), "track")
            yield f"{task} needs certain beats and bars, and {lacking} can't give them: {rhythm.REMEDY}"


def _reasons(rejects: Sequence[Reject]) -> dict[str, int]:
    """Sum the counts of rejects by task and reason."""
    reasons: Counter[str] = Counter()
    for reject in rejects:
        reasons[f"{reject.item}: {reject.reason}"] += reject.count
    return dict(sorted(reasons.items()))
