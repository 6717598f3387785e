"""Count hours, tracks, parts, clips and triplets, by split, dataset, genre, instrument, task and licence."""

import pandas as pd

from instructme.dataset_tools.audit import shapes
from instructme.dataset_tools.audit.inputs import AuditTables, RecipeTable
from instructme.dataset_tools.audit.report import Bars, Finding, Item, Matrix, Section, Table
from instructme.manifests.rows import SPLITS


def section(found: AuditTables) -> Section:
    """Count everything."""
    items: list[Item] = [*_findings(found), _splits(found)]
    for key in ("dataset", "genre", "licence"):
        items += [_by(found, key), *_hours(found.tracks, key)]
    if len(found.parts):
        items += [_instruments(found), _families(found)]
    if found.recipes is not None:
        items += [_tasks(found.recipes, found.rate_hz), _licences(found.recipes, found.tracks)]
    blurb = "Hours count songs, not stems. A part is all stems of one instrument in a song. A clip is a window of a song."
    return Section("contents", "Contents", blurb, tuple(items))


def _splits(found: AuditTables) -> Table:
    """Count everything by split."""
    counts = {
        "hours": found.tracks.groupby("split")["hours"].sum(),
        "tracks": found.tracks.groupby("split").size(),
        "stems": found.stems.groupby("split").size(),
        "parts": found.parts.groupby("split").size(),
        "clips": found.clips.groupby("split").size(),
        "triplets": found.recipes.rows.groupby("split", observed=True).size() if found.recipes else pd.Series(dtype=int),
    }
    frame = pd.DataFrame(counts).reindex(SPLITS).fillna(0).astype({name: int for name in counts if name != "hours"})
    return shapes.table("By split", frame.reset_index(names="split"))


def _by(found: AuditTables, key: str) -> Table:
    """Count hours, tracks, clips, and triplets by their source, for each value of a column of the tracks."""
    tracks = found.tracks.assign(**{key: found.tracks[key].astype(object).fillna("unknown")})
    of_track = tracks.set_index("track_id")[key]
    frame = tracks.groupby(key).agg(hours=("hours", "sum"), tracks=("track_id", "size"))
    for split in SPLITS:
        frame[f"{split} tracks"] = tracks[tracks["split"] == split].groupby(key).size()
    frame["clips"] = found.clips["track_id"].map(of_track).value_counts()
    if found.recipes is not None:
        sources = found.recipes.rows["source_track"].value_counts()
        frame["triplets"] = sources.groupby(of_track.reindex(sources.index.astype(str)).to_numpy()).sum()
    frame = frame.fillna(0).astype({name: int for name in frame if name != "hours"})
    frame = frame.sort_values(["hours", "tracks"], ascending=False)
    return shapes.table(f"By {key}", frame.reset_index(names=key), "A triplet counts at its source track.")


def _hours(tracks: pd.DataFrame, key: str) -> list[Item]:
    """Draw hours by a column of the tracks, where there is more than one value."""
    hours = tracks.groupby(tracks[key].astype(object).fillna("unknown"))["hours"].sum().sort_values(ascending=False)
    if len(hours) < 2:
        return []
    return [Bars(f"Hours by {key}", "h", {str(name): float(value) for name, value in hours.items()})]


def _instruments(found: AuditTables) -> Table:
    """Count for each instrument where it is and how often it is asked for."""
    parts = found.parts.assign(playing_h=found.parts["active"] * found.parts["length_samples"] / found.rate_hz / 3600)
    grouped = parts.groupby("instrument")
    frame = grouped.agg(family=("family", "first"), editable=("editable", "any"), tracks=("track_id", "nunique"))
    frame["hours playing"] = grouped["playing_h"].sum()
    usable = found.sounding[found.sounding["usable"]]
    frame["clips to edit it in"] = usable["instrument"].value_counts()
    for split in SPLITS:
        frame[f"{split} parts"] = parts[parts["split"] == split].groupby("instrument").size()
    if found.recipes is not None:
        frame["asked for in triplets"] = found.recipes.asked.groupby("instrument")["recipes"].sum()
    whole = [name for name in frame if name not in ("family", "editable", "hours playing")]
    frame = frame.fillna(dict.fromkeys(whole, 0)).astype(dict.fromkeys(whole, int)).sort_values("tracks", ascending=False)
    return shapes.table("By instrument", frame.reset_index(names="instrument"))


def _families(found: AuditTables) -> Bars:
    hours = found.parts["active"] * found.parts["length_samples"] / found.rate_hz / 3600
    by_family = hours.groupby(found.parts["family"]).sum().sort_values(ascending=False)
    return Bars("Hours playing by family", "h", {str(name): float(value) for name, value in by_family.items()})


def _tasks(recipes: RecipeTable, rate_hz: int) -> Table:
    """Count triplets by task and split, and their hours on each side."""
    grouped = recipes.rows.groupby("task", observed=True)
    frame = pd.DataFrame({"triplets": grouped.size(), "hours per side": grouped["length_samples"].sum() / (rate_hz or 1) / 3600})
    for split in SPLITS:
        frame[split] = (recipes.rows["split"] == split).groupby(recipes.rows["task"], observed=True).sum()
    return shapes.table("Triplets by task", frame.reset_index(names="task"))


def _licences(recipes: RecipeTable, tracks: pd.DataFrame) -> Matrix:
    """Count triplets by task and licence."""
    licence = tracks.set_index("track_id")["licence"]
    keys = ["task", "source_track", "target_track"]
    counted = recipes.rows.groupby(keys, observed=True).size().rename("triplets").reset_index()
    sides = [counted[key].astype(str).map(licence).fillna("unknown") for key in keys[1:]]
    joined = pd.Series([" AND ".join(sorted({source, target})) for source, target in zip(*sides, strict=True)], dtype=object)
    title, note = "Triplets by licence and task", "The licences of both sides, joined where they differ."
    return shapes.matrix(title, joined, counted["task"], weights=counted["triplets"], column_names=recipes.tasks, note=note)


def _findings(found: AuditTables) -> list[Finding]:
    """Say what is missing as a whole."""
    findings = []
    if empty := [split for split in SPLITS if not (found.tracks["split"] == split).any()]:
        detail = "There are too few songs or artists. Scan more, or choose other shares with --split."
        findings.append(Finding("warning", f"No track is in {' or '.join(empty)}", detail))
    unknown = found.tracks[found.tracks["licence"] == "unknown"]
    if len(unknown):
        of = ", ".join(sorted(unknown["dataset"].unique()))
        detail = f"{unknown['hours'].sum():.2f} h of {of}. A table of your own can state licences: --layout table."
        findings.append(Finding("note", f"{shapes.counted(len(unknown), 'song')} of unknown licence", detail))
    if found.tracks["genre"].notna().mean() < 0.5:
        detail = "Without genres, remixes name instruments only. Scan a table that states genres to get remixes to a genre."
        title = f"{shapes.counted(int(found.tracks['genre'].isna().sum()), 'song')} without a genre"
        findings.append(Finding("note", title, detail))
    if len(found.parts) and not found.parts["first_active"].ge(0).all():
        silent = found.parts[found.parts["first_active"] < 0]
        title = f"{shapes.counted(len(silent), 'part')} without a sound"
        detail = "They are in no triplet. Either their rendering failed, or the song does not use the stem."
        rows = silent[["track_id", "instrument", "rms_db"]].itertuples(index=False)
        findings.append(shapes.finding("note", title, detail, ("track", "instrument", "RMS, dBFS"), rows))
    return findings
