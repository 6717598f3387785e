"""Edit a fixed set of validation triplets as users will, and score the edits by task: their scores choose the best weights."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.tasks import task_names
from instructme.pipelines.data.shard_reader import TripletAudio
from instructme.pipelines.data.stream import Triplets
from instructme.pipelines.editing.editor import Editor, EditWarning
from instructme.pipelines.sentences.plan import EditStep

Score = Callable[[Samples, Samples, Samples, int], Mapping[str, float]]
"""Source, target and edit (T,) and their rate -> metrics by name, without those that are undefined."""
KEPT_ERROR_DB = 6.0
"""Error of what should be kept that outweighs an edit that is done: at half of it, half an edit counts nothing."""


class ScoredTask(NamedTuple):
    """The task of an edit, and its metrics."""

    task: str
    values: Mapping[str, float]


class ValidationEdit(NamedTuple):
    """A triplet, its source and target (T,), and the edit of the source."""

    clip: TripletAudio
    source: Samples
    target: Samples
    edit: Samples


def first_of_each(tasks: Sequence[str], count: int) -> list[int]:
    """Choose the first COUNT places of each task."""
    return [place for task in task_names() for place in [at for at, each in enumerate(tasks) if each == task][:count]]


def edits(editor: Editor, triplets: Triplets, rows: Sequence[int], rate_hz: int, seed: int) -> list[ValidationEdit]:
    """Edit the sources of some rows.

    Raises:
        DataError: an edit can't be made.
    """
    made = []
    for row in rows:
        clip, audio = triplets.waveforms(row)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EditWarning)
            said = EditStep(clip.task, words=clip.instruction)  # read as it is, in any words
            edit = editor.edit(audio["source"], rate_hz, said, seed=seed)
        made.append(ValidationEdit(clip, audio["source"], audio["target"], edit))
    return made


def means(scored: Sequence[ScoredTask]) -> dict[str, float]:
    """Average metrics by task, as `<task>_<metric>`.

    `score` is the mean over tasks of `edit_done` - `kept_error_db` / 6: 0 for doing nothing, 1 for the target. Tasks without
    both, such as most remixes, are not in it.
    """
    values: dict[str, float] = {}
    totals = []
    for task in task_names():
        own = [each.values for each in scored if each.task == task]
        for name in sorted({name for each in own for name in each}):
            values[f"{task}_{name}"] = float(np.mean([each[name] for each in own if name in each]))
        both = [each["edit_done"] - each["kept_error_db"] / KEPT_ERROR_DB for each in own if "edit_done" in each]
        totals += [float(np.mean(both))] if both else []
    return values | ({"score": float(np.mean(totals))} if totals else {})
