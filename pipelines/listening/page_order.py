"""Decide which pages a rater sees, and in which order: Latin squares over systems, items and scales, all from the seed."""

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from instructme.pipelines.listening.rated_edits import ANCHOR, REFERENCE, SOURCE
from instructme.pipelines.listening.study import Stimulus, Study

T = TypeVar("T")
HEADPHONES, BEEPS = "headphones", "beeps"
"""Items of the table of clips that are no triplets."""
HEADPHONE_TRIALS, HEADPHONE_ATTEMPTS = 6, 2


@dataclass(frozen=True)
class Step:
    """One page. clips: what each player plays, in order; source: the clip of the source, played above these."""

    kind: str
    scale: str = ""
    clips: tuple[Stimulus, ...] = ()
    source: Stimulus | None = None
    round: int = 0

    @property
    def players(self) -> tuple[Stimulus, ...]:
        """All clips of the page; the source has the last number."""
        return (*self.clips, *([self.source] if self.source else []))

    @property
    def answers(self) -> int:
        """How many answers the page asks for."""
        return len(self.clips) if self.kind in ("headphones", "example", "check", "rate") else int(self.kind == "pair")


class Planner:
    """Makes the pages of each rater of a study."""

    def __init__(self, study: Study, stimuli: Sequence[Stimulus]) -> None:
        self.study = study
        self.items: dict[str, dict[str, Stimulus]] = {}
        self.checks: dict[str, list[Stimulus]] = {HEADPHONES: [], BEEPS: []}
        for each in stimuli:
            if each.task:
                self.items.setdefault(each.item, {})[each.system] = each
            else:
                self.checks[each.item].append(each)
        self.training = [item for item, clips in self.items.items() if clips[SOURCE].training]
        self.groups: dict[tuple[str, float], list[str]] = {}
        for item in sorted(set(self.items) - set(self.training)):
            source = self.items[item][SOURCE]
            self.groups.setdefault((source.task, source.length_s), []).append(item)
        for group in self.groups.values():
            random.Random(study.seed).shuffle(group)

    def preparation(self) -> list[Step]:
        """Give the pages before the first round; they are the same for all raters."""
        first = self.items[(self.training or sorted(self.items))[0]]
        steps = [Step("volume", clips=(first[SOURCE],))]
        if self.study.headphones:
            steps.append(Step("headphones", clips=tuple(self.checks[HEADPHONES])))
        if self.study.training:
            steps.append(Step("anchors"))
            steps += [step for place, item in enumerate(self.training) for step in self._example(item, place)]
        return steps

    def _example(self, item: str, place: int) -> list[Step]:
        """Make an example of the best and the worst clip, where the study has both."""
        clips = [self.items[item].get(system) for system in (REFERENCE, ANCHOR)]
        shown = [clip for clip in clips if clip]
        if len(shown) < 2 or self.study.mode == "pairs":
            return []
        # Another target sounds as good as this one: it is a bad example of all but quality.
        scales = [scale for scale in self.study.scales if (self.study.anchor, scale) != ("shuffled", "quality")]
        if not scales:
            return []
        scale = scales[place % len(scales)]
        order = tuple(shown if place % 2 else shown[::-1])
        return [Step(kind, scale, order, self.items[item][SOURCE]) for kind in ("example", "explanation")]

    def rounds(self, turn: int) -> list[Step]:
        """Give the pages of the rater who is the `turn`-th to begin the rounds, from 0."""
        scales = latin_row(self.study.scales, turn)
        items = self._drawn(turn)
        steps: list[Step] = []
        for number, scale in enumerate(scales):
            steps.append(Step("round", scale, round=number + 1))
            pages = [step for item in latin_row(items, turn + number) for step in self._rated(item, scale, turn, number + 1)]
            if self.study.attention_checks:
                rng = random.Random(f"{self.study.seed} {turn} {number}")
                beeps = tuple(rng.sample(self.checks[BEEPS], 2))
                pages.insert(rng.randint(len(pages) // 3, len(pages)), Step("check", scale, beeps, round=number + 1))
            steps += pages
        return [*steps, Step("done")]

    def _drawn(self, turn: int) -> list[str]:
        """Draw the items of a rater: the next ones of each group, so that all items get equally many raters."""
        drawn = []
        for group in self.groups.values():
            count = min(self.study.items_per_task, len(group))
            drawn += [group[(turn * count + place) % len(group)] for place in range(count)]
        return drawn

    def _rated(self, item: str, scale: str, turn: int, number: int) -> list[Step]:
        clips = self.items[item]
        systems = sorted(set(clips) - {SOURCE})
        random.Random(f"{self.study.seed} {item}").shuffle(systems)
        if self.study.mode == "scores":
            order = latin_row(systems, turn + number)
            return [Step("rate", scale, tuple(clips[system] for system in order), clips[SOURCE], number)]
        pairs = latin_row(list(itertools.combinations(systems, 2)), turn + number)
        turned = [pair if (turn + place) % 2 else pair[::-1] for place, pair in enumerate(pairs)]
        return [Step("pair", scale, tuple(clips[system] for system in pair), clips[SOURCE], number) for pair in turned]


def latin_row(values: Sequence[T], row: int) -> list[T]:
    """Give a row of a balanced Latin square (Williams 1949).

    Over all rows, each value has each place equally often, and each value follows each other one equally often.

    An odd number of values needs twice as many rows. The second half is the first half reversed.
    """
    count = len(values)
    if count == 0:
        return []
    first = [place // 2 if place % 2 == 0 else count - (place + 1) // 2 for place in range(count)]
    order = [(place + row) % count for place in first]
    if count % 2 and row // count % 2:
        order.reverse()
    return [values[place] for place in order]
