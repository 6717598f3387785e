"""Draw the edit tasks, state their laws, and say how people ask for them: one file per task, its name is the task's name.

A task is a module with these names. Nothing else in the package asks for a task by its name:

    ORDER: int                        place among the tasks in tables and lists
    SHARE: int                        its part of `--total`, relative to the other tasks; 0 if it is drawn only when asked for
    TEMPLATES: tuple[str, ...]        texts of training with fields, such as `add {instrument}`
    PHRASES: tuple[str, ...]          other texts that people write for it, with the same fields
    IDIOMS: dict[str, str]            optional: words that ask for the task and name its instrument, such as karaoke
    HALVES: tuple[str, str]           optional: a task that only takes away and one that only brings, to do it in two
    FIELDS: dict[str, str]            field -> column of `Triplet` that fills it: named, added, genre or gain_db
    KEEPS: str                        part of the source that stays: all, rest (all but the removed), named or none
    BRINGS: bool                      the target has sound that the source lacks
    CHAINS: bool                      another edit may follow it
    SPLIT_NEEDS_PARTS: bool           `split` reads the part files
    draw(pool, count, rng, options) -> Drawn
                                      different recipes as arrays, and how many exist
    law(recipe, source, target, gain, part, **more) -> str | None
                                      the fault of the written audio in one line
    split(source, target, **more) -> (removed, added)
                                      the changes that an editor is trained to make, `(T,)` each
    compose(source, removed, added) -> target
                                      the edit of a source: compose(source, *split(source, target)) is the target
    from_part(mix, part, gain_db) -> target
                                      optional: the edit by a separator, which has estimated the named part of the mix

In `law`, `part(instrument)` reads the source window of a part file, and `more` holds `target_part(instrument)`, which reads that
of the target before stretching, `source_beats_samples` and `rate_hz`. In `split`, `more` holds `exchanged()`, which renders the
parts that only one side has, and `recipe()`. Removed and added give the target back: what `KEEPS` names, plus the added signal if
`BRINGS` is true. A task that edits the parts of one window also has `sides(edited, other, bed)`, and its `draw` is that of
`edits` for these sides.

A task whose words say more than its fields, as `louder` does, also has:

    says(text, gain_db) -> mask       recipes that a text may stand for
    meant(text, amount_db) -> float   gain in dB that a text asks for; `amount_db` is its number, None without one
"""

import importlib
import pkgutil
from functools import cache
from types import ModuleType


def task_modules() -> dict[str, ModuleType]:
    """Load the task files, by name in alphabetical order."""
    names = sorted(name for _, name, _ in pkgutil.iter_modules(__path__))
    return {name: task_module(name) for name in names}


@cache
def task_module(name: str) -> ModuleType:
    """Load the file of one task.

    Raises:
        ModuleNotFoundError: no such task.
    """
    return importlib.import_module(f"{__name__}.{name}")


def task_names() -> tuple[str, ...]:
    """Name all tasks, in the order in which tables and lists show them."""
    modules = task_modules()
    return tuple(sorted(modules, key=lambda name: (modules[name].ORDER, name)))
