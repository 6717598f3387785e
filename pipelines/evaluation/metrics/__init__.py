"""Find the metrics: one file each in this folder. The name of the file is the name of the metric.

A metric is a pure function `score`. The names of its arguments say which values it takes: see `features.Features`. It returns a
number, or a text: the reason why no number is defined. Beside `score`, a file has these constants:

- `GROUP`: the table that shows it: `signal`, `music` or `instruction`.
- `UNIT`: such as `dB`, or nothing for a share.
- `BETTER`: `up` or `down`.
- `RANGE`: the least and the largest value; None where there is no limit.
- `PERFECT`: the value of an edit that equals the target; None where it depends on the music.
- `GAIN_FREE`: whether the gain of the edit makes no difference.
- `ABOVE_SOURCE`: whether a good edit scores better than the source itself, so that one that does not is marked.
"""

import importlib
import inspect
import pkgutil
from functools import cache
from types import ModuleType

Score = float | str
"""A number, or the reason why there is none."""


@cache
def metric_modules() -> dict[str, ModuleType]:
    """Import the files of this folder, by the names of the metrics, in the order of the alphabet."""
    names = sorted(name for _, name, _ in pkgutil.iter_modules(__path__) if not name.startswith("_"))
    return {name: importlib.import_module(f"{__name__}.{name}") for name in names}


@cache
def inputs(name: str) -> tuple[str, ...]:
    """Name the values that a metric takes."""
    parameters = inspect.signature(metric_modules()[name].score).parameters.values()
    return tuple(each.name for each in parameters if each.kind is not inspect.Parameter.KEYWORD_ONLY)
