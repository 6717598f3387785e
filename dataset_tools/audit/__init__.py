"""Examine a dataset before you train on it: its contents, gaps, faults and leaks."""

from pathlib import Path

from instructme.dataset_tools.audit import contents, coverage, distributions, labels, leakage, names, provenance, rejects
from instructme.dataset_tools.audit import inputs as tables_of
from instructme.dataset_tools.audit import midi_files as notes
from instructme.dataset_tools.audit.inputs import AuditTables
from instructme.dataset_tools.audit.report import Report
from instructme.manifests import urls


def audit(work: str | Path, *, shards: str | Path | None = None, audio: bool = True) -> Report:
    """Count and check the contents of a working folder, after any stage.

    `shards` is the folder of the shards, by default WORK/shards. With `audio`, the MIDI files of stems and the first minute of
    each part are read too.

    Example:
        ```python
        from instructme import audit

        print(audit("work").facts)
        ```

    Raises:
        DataError: no tables of `scan` there, or a table that can't be read.
    """
    work = urls.local(work, "the working folder")
    found = tables_of.read(work, urls.parse(shards) if shards else None)
    midi = notes.study(found) if audio else None
    sections = [
        contents.section(found),
        coverage.section(found),
        distributions.section(found),
        leakage.section(found, midi, audio=audio),
        labels.section(found, midi),
        names.section(found),
        rejects.section(found),
        provenance.section(found),
    ]
    return Report(f"Audit of {work.resolve().name}", facts(found), tuple(section for section in sections if section is not None))


def facts(found: AuditTables) -> dict[str, str]:
    """Name what a person asks first."""
    tracks = found.tracks
    told = {
        "datasets": ", ".join(f"{name} ({count:,} songs)" for name, count in tracks["dataset"].value_counts().items()),
        "music": f"{tracks['hours'].sum():,.2f} h in {len(tracks):,} songs of {len(found.stems):,} stems",
        "licences": ", ".join(sorted(tracks["licence"].unique())),
    }
    if found.prepared:
        told["prepared"] = f"{len(found.parts):,} parts, {len(found.clips):,} clips at {found.rate_hz:,} Hz"
    if found.recipes is not None:
        counts = found.recipes.rows["split"].value_counts(sort=False)
        told["triplets"] = ", ".join(f"{split} {count:,}" for split, count in counts.items() if count)
    return {**told, "what to run next": found.next_step()}
