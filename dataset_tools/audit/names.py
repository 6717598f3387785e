"""List the names of stems that are unknown or guessed."""

import pandas as pd

from instructme.dataset_tools.audit import shapes
from instructme.dataset_tools.audit.inputs import AuditTables
from instructme.dataset_tools.audit.report import Finding, Item, Level, Section

_MEND = (
    "Write a CSV file with the columns label,instrument and scan again with --aliases FILE. The names of instruments are in "
    "manifests/data/instruments.csv; `-` means that the file is no stem."
)


def section(found: AuditTables) -> Section:
    """List labels that name no instrument, and labels that were guessed."""
    stems = found.stems
    unmatched = stems[stems["rule"] == "unmatched"]
    unsure = stems[~stems["certain"].astype(bool) & (stems["rule"] != "unmatched")]
    items: list[Item] = [
        _finding("warning", "without an instrument", unmatched, stems, "They sound in mixes, but no instruction names them."),
        _finding("note", "whose instrument was guessed", unsure, stems, "Check whether the names are right."),
        shapes.matrix("Rules that named the stems", stems["rule"], stems["dataset"], note="alias: your own table."),
    ]
    silent = stems[~stems["editable"].astype(bool) & (stems["rule"] != "unmatched")]
    if len(silent):
        counts = silent.groupby(["instrument", "label"]).size().sort_values(ascending=False).rename("stems").reset_index()
        items.append(shapes.table("Known, but never edited", counts, "Effects, loops, and mixtures of instruments."))
    return Section("names", "Names of instruments", "Instruments that were read from the labels of stems.", tuple(items))


def _finding(level: str, what: str, rows: pd.DataFrame, stems: pd.DataFrame, why: str) -> Finding:
    if not len(rows):
        return Finding("fine", f"No stem {what}", f"{len(stems):,} stems, {stems['label'].nunique():,} labels.")
    counts = rows.groupby(["label", "instrument", "dataset"]).agg(stems=("stem_id", "size"), tracks=("track_id", "nunique"))
    counts = counts.sort_values("stems", ascending=False).reset_index()
    title = f"{shapes.counted(counts['label'].nunique(), 'label')} {what}, {len(rows):,} of {len(stems):,} stems"
    serious = level == "warning" and len(rows) > 0.01 * len(stems)
    rank: Level = "warning" if serious else "note"
    return shapes.finding(rank, title, f"{why} {_MEND}", tuple(counts.columns), counts.itertuples(index=False))
