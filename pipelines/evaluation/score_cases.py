"""Score cases: every metric of every edit and of the controls, in parallel."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools import audio
from instructme.dataset_tools.audio import Samples
from instructme.manifests.rows import DataError, EditScore
from instructme.model.tagger import TagHead
from instructme.pipelines.evaluation import cells
from instructme.pipelines.evaluation.cases import Case
from instructme.pipelines.evaluation.controls import CONTROLS, controls
from instructme.pipelines.evaluation.embeddings import Networks, clap_of_text
from instructme.pipelines.evaluation.features import Features, Sound
from instructme.pipelines.evaluation.made_edits import REFUSED
from instructme.pipelines.evaluation.metrics import Score
from instructme.pipelines.evaluation.metrics.lag_ok import LONGEST_S
from instructme.pipelines.evaluation.scoring import Options, score_edit
from instructme.pipelines.evaluation.spectra import RATE_HZ
from instructme.pipelines.processes import engine
from instructme.pipelines.training.tagger import tags

MOST_CUT = 0.1
"""Share of the target by which an edit may be shorter or longer."""
_LIKE, _BETTER = 0.25, 4.0
"""An edit is shifted if so much of its power is its target's at another time, where its ratio to the error is so much better."""
Frames = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ScoreSettings:
    """What is computed.

    metrics: names. options: see `scoring.Options`. features: folder that keeps features. tagger: None where there is none.
    networks: published weights that the user gives. rate_hz: of the waveforms that SI-SDR compares.
    """

    metrics: tuple[str, ...]
    options: Options = field(default_factory=dict)
    features: Path | None = None
    tagger: TagHead | None = None
    networks: Networks = field(default_factory=Networks)
    rate_hz: int = RATE_HZ


@dataclass
class CaseScores:
    """The scores of a case; `frames` are the embeddings (n, D) by network and system, and `notes` counts what was adapted."""

    rows: list[EditScore]
    frames: dict[str, dict[str, Frames]]
    notes: Counter[str]


def score_cases(
    cases: Sequence[Case], settings: ScoreSettings, *, with_controls: int | None = None, workers: int | None = None
) -> list[tuple[Case, CaseScores]]:
    """Score cases in the order they come in; the controls are made for the first `with_controls` of each task and dataset."""
    seen: Counter[tuple[str, str]] = Counter()
    units = []
    for number, case in enumerate(cases):
        seen[case.dataset, case.task] += 1
        units.append((number, case, with_controls is None or seen[case.dataset, case.task] <= with_controls))
    found = engine.run(partial(_score_unit, settings), units, description="evaluate", item="triplet", workers=workers)
    results = {number: scores for (number, _, _), scores in found}
    return [(case, results[number]) for number, case, _ in units]


def _score_unit(settings: ScoreSettings, unit: tuple[int, Case, bool]) -> CaseScores:
    _, case, with_controls = unit
    return score_case(case, settings, with_controls)


def score_case(case: Case, settings: ScoreSettings, with_controls: bool = True) -> CaseScores:
    """Score the edits and the controls of one triplet. What can't be read or compared gets a reason for every metric."""
    result = CaseScores([], {}, Counter())
    sides = _read_sides(case, settings.rate_hz, result.notes)
    if isinstance(sides, str):
        for system in case.edits:
            _add(case, result, system, dict.fromkeys(settings.metrics, sides))
        return result
    source, target = sides
    known = _Known(case, source, target, settings)
    for system, path in case.edits.items():
        edit = _read(path, settings.rate_hz, len(target), result.notes)
        if isinstance(edit, str):
            _add(case, result, system, dict.fromkeys(settings.metrics, edit))
        else:
            same = (name for name, side in (("target", target), ("source", source)) if np.array_equal(edit, side[: len(edit)]))
            if name := next(same, None):  # as in a table that names a wrong file
                result.notes[f"edits of {system} are the {name} itself"] += 1
            if _is_shifted(edit, target[: len(edit)], settings.rate_hz):
                result.notes[f"edits of {system} are late or early, which metrics of samples such as si_sdr_db punish"] += 1
            _score(case, settings, result, system, known.features(edit))
    if with_controls:
        stranger = case.stranger.read(settings.rate_hz)[1] if case.stranger else None
        for name, edit in controls(case.key, source, target, stranger, known.gain_db):
            _score(case, settings, result, name, known.features(edit))
    return result


def _read_sides(case: Case, rate_hz: int, notes: Counter[str]) -> tuple[Samples, Samples] | str:
    """Read source and target, cut to one length, or say why nothing can be scored."""
    try:
        source, target = case.triplet.read(rate_hz)
    except DataError as error:
        return f"unreadable_triplet: {error}"
    if len(source) != len(target):
        notes["source and target of unequal length were cut to the shorter one"] += 1
        source, target = (each[: min(len(source), len(target))] for each in (source, target))
    if not target.any():
        return "silent_target" if len(target) else "empty_target"
    if np.array_equal(source, target):
        notes["triplets have a target that is the source"] += 1
    return source, target


class _Known:
    """Source and target of a case, cut to the length of an edit."""

    def __init__(self, case: Case, source: Samples, target: Samples, settings: ScoreSettings) -> None:
        self._case, self._settings = case, settings
        self._sides = {"source": source, "target": target}
        self._cut: dict[int, tuple[dict[str, Sound], cells.Cells]] = {}
        self.gain_db = self._of(len(target))[1].gain_db

    def _of(self, length: int) -> tuple[dict[str, Sound], cells.Cells]:
        if length not in self._cut:
            sounds = {name: self._sound(side[:length]) for name, side in self._sides.items()}
            found = cells.find(sounds["target"].samples, sounds["source"].samples, self._case.gain_db)
            self._cut[length] = sounds, found
        return self._cut[length]

    def _sound(self, samples: Samples) -> Sound:
        return Sound(samples, self._settings.features, self._settings.networks, rate_hz=self._settings.rate_hz)

    def features(self, edit: Samples) -> Features:
        """Prepare what the metrics of an edit take; an edit that is one of the sides is not analysed again."""
        sounds, found = self._of(len(edit))
        same = next((sound for sound in sounds.values() if np.array_equal(sound.waveform, edit)), None)
        case = self._case
        commanded = (*sorted(tags((*case.named, *case.added))), *([case.genre] if case.genre else []))
        facts = {"cells": found, "absent": case.absent, "commanded": commanded, "tagger": self._settings.tagger}
        if clap := self._settings.networks.clap:
            after = case.sounding_after()
            facts["described"] = clap_of_text(" ".join([*after, "music"]), clap) if after else None
        return Features({"edit": same or self._sound(edit), **sounds}, facts)


def _read(path: Path, rate_hz: int, length: int, notes: Counter[str]) -> Samples | str:
    """Read an edit, cut to the length of the target, or say why it can't be scored."""
    if not path.is_file():
        refused = path.with_suffix(REFUSED)
        return f"refused: {refused.read_text('utf-8')}" if refused.is_file() else "missing_edit"
    try:
        edit = audio.read(path, rate_hz)
    except DataError as error:
        return f"unreadable_edit: {error}"
    if not len(edit):
        return "empty_edit"
    if abs(len(edit) - length) > MOST_CUT * length:
        return "lengths_differ"
    if len(edit) < length:
        notes["edits were shorter than their targets, and all sides were cut"] += 1
    if len(edit) > length:
        notes["edits were longer than their targets, and were cut"] += 1
    return edit[:length]


def _is_shifted(edit: Samples, target: Samples, rate_hz: int) -> bool:
    """Tell whether an edit fits its target far better some time later or earlier, as after an encoder that adds a delay."""
    from scipy.signal import correlate

    longest = min(int(LONGEST_S * rate_hz), len(target) - 1)
    norm = float(np.linalg.norm(edit)) * float(np.linalg.norm(target))
    if not norm:
        return False
    products = correlate(edit.astype(np.float64), target.astype(np.float64), method="fft")
    likeness = (products[len(target) - 1 - longest : len(target) + longest] / norm) ** 2
    best, here = float(likeness.max()), float(likeness[longest])
    return best >= _LIKE and best * (1 - here) > _BETTER * here * (1 - best)


def _score(case: Case, settings: ScoreSettings, result: CaseScores, system: str, values: Features) -> None:
    _add(case, result, system, score_edit(values, settings.metrics, settings.options))
    sides = {system: "edit", "target": "target", "identity": "source"}
    if "direction" in settings.metrics:
        heard = {name: values[f"{side}_embedding"] for name, side in sides.items()}
        result.frames.setdefault("musicnn", {}).update(heard)
    for network in settings.networks.of_sets():
        heard = {name: getattr(values.sound(side), network) for name, side in sides.items()}
        result.frames.setdefault(network, {}).update(heard)


def _add(case: Case, result: CaseScores, system: str, scores: Mapping[str, Score]) -> None:
    for metric, score in scores.items():
        value, reason = (None, score) if isinstance(score, str) else (float(score), None)
        result.rows.append(EditScore(case.key, case.task, case.dataset, case.song, system, metric, value, reason))


def check_systems(cases: Sequence[Case]) -> list[str]:
    """List the systems of all cases.

    Raises:
        DataError: a system has the name of a control.
    """
    systems = list(dict.fromkeys(system for case in cases for system in case.edits))
    if taken := sorted(set(systems) & (set(CONTROLS) | {"target"})):
        raise DataError(f"{taken[0]} is the name of a control: give that system another name")
    return systems


def notes_of(scored: Sequence[tuple[Case, CaseScores]]) -> Mapping[str, int]:
    """Sum up what was adapted."""
    return sum((scores.notes for _, scores in scored), Counter())
