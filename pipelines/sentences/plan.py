"""What a sentence asks for: a plan of steps, the texts of training that say them, and the time span of a step."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.tasks import task_module

FADE_S = 0.02
"""Cross-fade at each end of a time span."""


@dataclass(frozen=True)
class EditStep:
    """One step of a plan.

    Args:
        task: name of the task.
        instruments: canonical names of what is added, removed, extracted, replaced or turned, or of the sound of a remix.
        with_instruments: canonical names of what `replace` brings.
        genre: genre of a remix.
        gain_db: by how much `rebalance` makes the instruments louder, or quieter below 0.
        start_s: where the edit starts; None at the start.
        end_s: where the edit ends; None at the end.
        words: the sentence itself, where it is in the words of training.
    """

    task: str
    instruments: tuple[str, ...] = ()
    with_instruments: tuple[str, ...] = ()
    genre: str | None = None
    gain_db: float | None = None
    start_s: float | None = None
    end_s: float | None = None
    words: str | None = field(default=None, compare=False)

    @property
    def named(self) -> tuple[str, ...]:
        """Name the instruments of the source that the step edits, as in the column `named` of triplets."""
        return self.instruments if "named" in task_module(self.task).FIELDS.values() else ()

    @property
    def added(self) -> tuple[str, ...]:
        """Name the instruments that are new, as in the column `added` of triplets."""
        return self.with_instruments or (() if self.named else self.instruments)

    @property
    def span(self) -> tuple[float, float]:
        """Seconds where the edit starts and ends; infinity is the end of the music."""
        return self.start_s or 0.0, np.inf if self.end_s is None else self.end_s

    def as_json(self) -> dict[str, Any]:
        """Describe the step in the words of `edit --plan`; absent fields are left out."""
        described = {name: value for name, value in vars(self).items() if name != "words" and value not in (None, ())}
        return {name.removesuffix("_instruments"): _plain(value) for name, value in described.items()}

    def singles(self, *, halves: bool = False) -> Iterator["EditStep"]:
        """Cut the step into steps that name one instrument each, as in training; whole if one would undo the other.

        With `halves`, a step that takes away and brings becomes steps that do one of them: remove, then add.
        """
        module = task_module(self.task)
        halves = halves and hasattr(module, "HALVES")
        if not halves and (module.KEEPS not in ("all", "rest") or max(len(self.instruments), len(self.with_instruments)) < 2):
            yield self
            return
        remove, add = getattr(module, "HALVES", (self.task, self.task))
        pairs = 0 if halves else min(len(self.instruments), len(self.with_instruments))
        for old, new in zip(self.instruments[:pairs], self.with_instruments[:pairs], strict=True):
            yield replace(self, instruments=(old,), with_instruments=(new,), words=None)
        for name in self.instruments[pairs:]:
            yield replace(self, task=remove, instruments=(name,), with_instruments=(), words=None)
        for name in self.with_instruments[pairs:]:
            yield replace(self, task=add, instruments=(name,), with_instruments=(), words=None)

    def text(self, templates: Mapping[str, Sequence[str]] | None = None) -> str:
        """Say the step in the first fitting template of training: the paper's, if a run's `templates` by task hold them."""
        if self.words:
            return self.words
        module = task_module(self.task)
        values = _values(self)
        own = (templates or {}).get(self.task, ())
        for template in [*(text for text in module.TEMPLATES if text in own), *own, *module.TEMPLATES, *module.PHRASES]:
            if set(re.findall(r"\{(\w+)\}", template)) == set(values) and self._means(template):
                return str(template.format(**values))
        raise AssertionError(f"no text says {self}")

    def _means(self, template: str) -> bool:
        if self.gain_db is None:
            return True
        return bool(task_module(self.task).meant(template, 1) * self.gain_db > 0)

    def instructions(
        self, templates: Mapping[str, Sequence[str]] | None = None, *, halves: bool = False
    ) -> tuple["Instruction", ...]:
        """Put the step into texts of training, one for each pass of the model; see `singles`."""
        return tuple(Instruction(step.text(templates), step) for step in self.singles(halves=halves))


@dataclass(frozen=True)
class Instruction:
    """One pass of the model: the text that it reads, and the step that the text says."""

    text: str
    step: EditStep


@dataclass(frozen=True)
class Plan:
    """What a sentence asks for.

    steps: in the order in which they are made.
    notes: one line for each word that is read as another word.
    """

    steps: tuple[EditStep, ...]
    notes: tuple[str, ...] = ()


def _values(step: EditStep) -> dict[str, str]:
    """Fill the fields of the templates of a task."""
    fields = task_module(step.task).FIELDS
    old, new = ", ".join(step.instruments), ", ".join(step.with_instruments)
    values = {name: old for name in fields if name in ("instrument", "instruments", "instrument_a")}
    values |= {"instrument_b": new, "genre": step.genre or ""}
    if step.gain_db is not None and abs(step.gain_db) != getattr(task_module(step.task), "USUAL_DB", None):
        values["gain"] = f"{abs(step.gain_db):g}"
    return {name: value for name, value in values.items() if value}


def _plain(value: Any) -> Any:
    """Write tuples as lists, and whole numbers without a fraction."""
    if isinstance(value, tuple):
        return list(value)
    return int(value) if isinstance(value, float) and value == int(value) else value


def within_span(source: Samples, edited: Samples, step: EditStep, rate_hz: int, first: int = 0) -> Samples:
    """Take the edit inside the time span of a step, and the source outside; both cross-fade inside the span.

    Args:
        source: (n, channels).
        edited: (n, channels), the edit of it.
        step: see `EditStep`; without a span the result is the edit.
        rate_hz: rate of both.
        first: place of their first sample in the music.

    Returns:
        (n, channels); outside of the span exactly the source.
    """
    if step.start_s is None and step.end_s is None:
        return edited
    place = (np.arange(first, first + len(source)) + 0.5) / rate_hz
    start, end = step.span
    fade = min(FADE_S, (end - start) / 2)
    rise = np.clip((place - start) / fade, 0, 1) if start > 0 else np.ones(len(place))
    weight = np.minimum(rise, np.clip((end - place) / fade, 0, 1)).astype(np.float32)[:, None]
    mixed: Samples = (1 - weight) * source + weight * edited
    return mixed


def touches(step: EditStep, start_s: float, end_s: float) -> bool:
    """Tell whether any of a stretch of music lies in the time span of a step."""
    start, end = step.span
    return start < end_s and start_s < end
