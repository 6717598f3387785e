"""Who hears what, in which order: fair to all systems and items, the same for the same seed."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructme.pipelines.listening.page_order import BEEPS, HEADPHONES, Planner, latin_row
from instructme.pipelines.listening.study import Stimulus, Study


def planner(items: int, systems: int, **settings) -> Planner:
    names = ["source", *(f"system{number}" for number in range(systems))]
    stimuli = [
        Stimulus(f"{item:04d}", f"key{item}", ("add", "remix")[item % 2], 10.0, "add drums", name, f"{item}{name}.wav", -23.0)
        for item in range(items)
        for name in names
    ]
    checks = [
        Stimulus(item, str(number), "", 3.0, "", str(number), "", 0.0) for item in (HEADPHONES, BEEPS) for number in (1, 2, 3)
    ]
    return Planner(Study(training=False, **settings), [*stimuli, *checks])


@given(st.integers(1, 9))
def test_each_value_has_each_place_equally_often(count: int) -> None:
    rows = [latin_row(range(count), row) for row in range(2 * count)]
    assert all(sorted(row) == list(range(count)) for row in rows)
    assert all(set(Counter(row[place] for row in rows).values()) == {2} for place in range(count))


@given(st.integers(2, 9))
def test_each_value_follows_each_other_one_equally_often(count: int) -> None:
    follows = Counter(pair for row in range(2 * count) for pair in pairwise(latin_row(range(count), row)))
    assert len(follows) == count * (count - 1) and set(follows.values()) == {2}


@given(st.integers(1, 25), st.integers(1, 4), st.integers(1, 12), st.integers(1, 12), st.integers(0, 9))
def test_items_are_rated_equally_often_within_one(items: int, systems: int, drawn: int, raters: int, seed: int) -> None:
    made = planner(items, systems, items_per_task=drawn, seed=seed)
    counts: Counter[tuple[str, str, str]] = Counter()
    for turn in range(raters):
        heard = Counter(
            (step.scale, clip.task, clip.item, clip.system)
            for step in made.rounds(turn)
            if step.kind == "rate"
            for clip in step.clips
        )
        assert set(heard.values()) <= {1}, "nobody hears one item of a system twice in a round"
        counts.update({(task, item, system): 1 for scale, task, item, system in heard if scale == "quality"})
    for task in ("add", "remix"):
        own = [
            counts[task, item, f"system{number}"]
            for group in made.groups.items()
            for item in group[1]
            if group[0][0] == task
            for number in range(systems)
        ]
        assert not own or max(own) - min(own) <= 1


def test_scales_take_turns_and_are_asked_in_separate_rounds() -> None:
    made = planner(4, 2)
    orders = [[step.scale for step in made.rounds(turn) if step.kind == "round"] for turn in range(3)]
    assert sorted(order[0] for order in orders) == ["harmony", "quality", "relevance"]
    scales = [step.scale for step in made.rounds(0) if step.kind == "rate"]
    assert sum(one != other for one, other in pairwise(scales)) == 2


def test_pairs_hold_each_two_systems_once_in_a_round() -> None:
    pages = [step for step in planner(2, 3, mode="pairs").rounds(0) if step.kind == "pair" and step.scale == "quality"]
    heard = Counter((step.clips[0].item, frozenset(clip.system for clip in step.clips)) for step in pages)
    assert len(heard) == 6 and set(heard.values()) == {1}


@pytest.mark.parametrize("turn", [0, 3])
def test_the_plan_depends_on_nothing_but_seed_and_turn(turn: int) -> None:
    assert planner(6, 2, seed=1).rounds(turn) == planner(6, 2, seed=1).rounds(turn) != planner(6, 2, seed=2).rounds(turn)
