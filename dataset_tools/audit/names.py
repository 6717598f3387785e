"""Names of stems that nobody knows, or that were guessed."""

import pandas as pd

from instructme.dataset_tools.audit import shapes
from instructme.dataset_tools.audit.inputs import AuditTables
from instructme.dataset_tools.audit.report import Finding, Item, Section

_MEND = (
    "Write a CSV file with the columns label,instrument (`-` for what is no stem, names from manifests/data/instruments.csv) and "
    "scan again with --aliases FILE."
)


def section(found: AuditTables) -> Section:
    """List labels that were not understood, and those that were guessed."""
    stems = found.stems
    unmatched = stems[stems["rule"] == "unmatched"]
    unsure = stems[~stems["certain"].astype(bool) & (stems["rule"] != "unmatched")]
    items: list[Item] = [
        _finding("warning", "without an instrument", unmatched, stems, "They sound in full mixes and are never named."),
        _finding("note", "whose instrument was guessed", unsure, stems, "A listener hears a wrong name: look through them."),
        shapes.matrix("By which rule a stem got its name", stems["rule"], stems["dataset"], note="alias: yours."),
    ]
    silent = stems[~stems["editable"].astype(bool) & (stems["rule"] != "unmatched")]
    if len(silent):
        counts = silent.groupby(["instrument", "label"]).size().sort_values(ascending=False).rename("stems").reset_index()
        items.append(shapes.table("Understood, but never edited", counts, "Effects, loops, and mixtures of instruments."))
    return Section("names", "Names of instruments", "How the labels of stems were read.", tuple(items))


def _finding(level: str, what: str, rows: pd.DataFrame, stems: pd.DataFrame, why: str) -> Finding:
    if not len(rows):
        return Finding("fine", f"No stem {what}", f"{len(stems):,} stems, {stems['label'].nunique():,} labels.")
    counts = rows.groupby(["label", "instrument", "dataset"]).agg(stems=("stem_id", "size"), tracks=("track_id", "nunique"))
    counts = counts.sort_values("stems", ascending=False).reset_index()
    title = f"{shapes.counted(counts['label'].nunique(), 'label')} {what}, {len(rows):,} of {len(stems):,} stems"
    serious = level == "warning" and len(rows) > 0.01 * len(stems)
    return shapes.finding(
        "warning" if serious else "note", title, f"{why} {_MEND}", tuple(counts.columns), counts.itertuples(index=False)
    )
