"""Compare a stage with its floor, in processor time and by the clock, on one and two workers: used by prepare.py and shard.py.

Others' work changes the speed of a shared machine within minutes, so floor and stage take turns, and medians of the ratios of
each turn are printed. What a second worker gains is stated beside what the floor gains from a second process in the same turn:
on two idle cores that is 2, on cores that others use as well it is less.
"""

import resource
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any, NamedTuple

from instructme.pipelines.processes import engine


class Spent(NamedTuple):
    """Seconds by the clock, of processors in this process, and of processors in its children."""

    clock_s: float
    main_s: float
    children_s: float

    @property
    def processor_s(self) -> float:
        """Sum both."""
        return self.main_s + self.children_s


def spent(work: Callable[[], object]) -> Spent:
    """Time some work."""
    clock, begun = time.perf_counter(), _processor_s()
    work()
    main, children = (after - before for after, before in zip(_processor_s(), begun, strict=True))
    return Spent(time.perf_counter() - clock, main, children)


def _processor_s() -> list[float]:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return [each.ru_utime + each.ru_stime for each in used]


def spread(function: Callable[[Any], object], units: Sequence[Any], processes: int) -> None:
    """Apply a function to units in plain processes that share nothing."""
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        list(pool.map(function, units))


def idle(_: int) -> None:
    """Do nothing, on a worker."""


def compare(floor: Callable[[int], object], stage: Callable[[int], object], rounds: int) -> None:
    """Let floor and stage, functions of the number of workers, take turns; print the medians of their ratios."""
    works = {(name, workers): partial(work, workers) for workers in (1, 2) for name, work in (("floor", floor), ("stage", stage))}
    taken: dict[tuple[str, int], list[Spent]] = {work: [] for work in works}
    for turn in range(rounds):
        for name, workers in works if turn % 2 else reversed(works):
            one = spent(works[name, workers])
            taken[name, workers].append(one)
            print(
                f"  {name} x {workers}: {one.clock_s:6.1f} s, processor {one.main_s:4.1f} + {one.children_s:5.1f} s", flush=True
            )

    def ratio(above: tuple[str, int], below: tuple[str, int], field: str) -> float:
        pairs = zip(taken[above], taken[below], strict=True)
        return statistics.median(getattr(one, field) / getattr(other, field) for one, other in pairs)

    start = spent(lambda: list(engine.run(idle, [0], description="idle", item="unit", workers=1)))
    rates = [ratio(("floor", 1), ("stage", 1), field) for field in ("processor_s", "clock_s")]
    print(
        f"rate, of the floor's: {rates[0]:.2f} by processor time, {rates[1]:.2f} by the clock; {start.processor_s:.1f} s to start"
    )
    floor_gain, gain = (ratio((name, 1), (name, 2), "clock_s") for name in ("floor", "stage"))
    print(f"two workers, of one's rate: {gain:.2f}; the floor {floor_gain:.2f}, which makes it {gain / floor_gain:.2f} of that")
    floor_more, more = (ratio((name, 2), (name, 1), "processor_s") for name in ("floor", "stage"))
    print(f"processor time of two workers, of one's: {more:.2f}; the floor {floor_more:.2f}")
