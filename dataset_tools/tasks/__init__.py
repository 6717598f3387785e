"""Draw the five edit tasks and state their laws: one file per task, its name is the task's name.

A task is a module with four names; besides, its name stands in `TASKS` of manifests/rows.py, which tables are checked against:

    SHARE: int                                              its part of `--total`, relative to the other tasks
    TEMPLATES: tuple[str, ...]                              texts with fields, such as `add {instrument}`
    draw(pool, count, rng, options) -> Drawn                different recipes as arrays, and how many exist
    law(recipe, source, target, gain, part, **more) -> str | None
                                                            what is wrong with the written audio, in one line

In `law`, `part(instrument)` reads the source window of a part file and `more` holds `source_beats_samples` and `rate_hz`. A
task that edits the parts of one window also has `sides(edited, other, bed)`, from which `edits.draw` does the drawing.
"""
