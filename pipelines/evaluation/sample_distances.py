"""Measure how different several samples of one edit are (Figure 4a): small where a task has one answer, large for remixes."""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from instructme.dataset_tools import audio
from instructme.manifests.rows import DataError
from instructme.pipelines.evaluation.cases import Case
from instructme.pipelines.evaluation.intervals import interval
from instructme.pipelines.evaluation.markdown_tables import markdown_table
from instructme.pipelines.evaluation.metrics import log_mel_db
from instructme.pipelines.evaluation.score_tables import cell
from instructme.pipelines.evaluation.spectra import RATE_HZ

SAMPLE = " sample "
"""Stands between the name of a run and the number of a sample in the names of systems."""


def distance_db(case: Case, systems: Sequence[str]) -> float | None:
    """Average `log_mel_db` over all pairs of samples in both directions; None where a sample is missing, damaged or silent."""
    try:
        sounds = [audio.read(case.edits[system], RATE_HZ) for system in systems]
    except DataError:
        return None
    length = min(map(len, sounds))
    pairs = [pair for one, other in combinations(sounds, 2) for pair in ((one, other), (other, one))]
    values = [log_mel_db.score(one[:length], other[:length]) for one, other in pairs]
    numbers = [value for value in values if not isinstance(value, str)]
    return float(np.mean(numbers)) if len(numbers) == len(values) > 0 else None


def markdown_of_samples(cases: Sequence[Case]) -> Iterator[str]:
    """Write the distances of samples by run and task; nothing where each run has one sample."""
    runs: dict[str, list[str]] = {}
    for system in dict.fromkeys(system for case in cases for system in case.edits if SAMPLE in system):
        runs.setdefault(system.rpartition(SAMPLE)[0], []).append(system)
    rows = [
        (f"{dataset}: {task}", run, len(systems), text)
        for run, systems in runs.items()
        for dataset, task in sorted({(case.dataset, case.task) for case in cases})
        if (text := _cell([case for case in cases if (case.dataset, case.task) == (dataset, task)], systems))
    ]
    if rows:
        yield from ("## Distance of samples", "")
        yield "Mean `log_mel_db` between samples of the same edit: small for tasks with one answer, large for remixes."
        yield from ("", *markdown_table(("dataset: task", "run", "samples", "distance in dB"), rows, 2), "")


def _cell(cases: Sequence[Case], systems: Sequence[str]) -> str:
    measured = [(case.song, value) for case in cases if (value := distance_db(case, systems)) is not None]
    return cell(interval([value for _, value in measured], [song for song, _ in measured]), "dB") if measured else ""
