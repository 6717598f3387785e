"""Count rejects and their reasons."""

from collections.abc import Iterable

from instructme.dataset_tools.audit import shapes
from instructme.dataset_tools.audit.inputs import AuditTables
from instructme.dataset_tools.audit.report import Bars, Finding, Item, Level, Section

_HEAVY = 0.1
"""A larger share of songs without a clip is worth a warning."""


def section(found: AuditTables) -> Section:
    """Count rejects by stage and reason, each with an example."""
    rejects = found.rejects
    items: list[Item] = [_lost(found)] if found.prepared else []
    if len(rejects):
        grouped = rejects.groupby(["stage", "reason"], sort=False)
        frame = grouped.agg(
            things=("count", "sum"), tracks=("track_id", "nunique"), example=("item", "first"), why=("detail", "first")
        )
        frame = frame.sort_values("things", ascending=False).reset_index()
        items.append(
            shapes.table("By reason", frame, "Item and detail are those of the first reject. All rejects are in rejects.parquet.")
        )
        things = frame.groupby("reason", sort=False)["things"].sum()
        items.append(Bars("Rejects", "rejects", {str(reason): float(count) for reason, count in things.items()}))
        by_dataset = rejects.assign(dataset=rejects["dataset"].fillna("unknown"))
        items.append(shapes.matrix("Rejects by dataset", by_dataset["reason"], by_dataset["dataset"], weights=rejects["count"]))
        items.append(_songs(found))
    else:
        items.append(Finding("fine", "Nothing was rejected", "rejects.parquet is empty or missing."))
    return Section("rejects", "Rejects", "Everything that can't be used has a row with its reason.", tuple(items))


def _lost(found: AuditTables) -> Finding:
    """Name the songs that were scanned and gave no clip."""
    lost = found.tracks[~found.tracks["track_id"].isin(found.clips["track_id"])]
    if not len(lost):
        return Finding("fine", "Every song that was scanned gave a clip", f"{len(found.tracks):,} songs.")
    reasons = found.rejects[found.rejects["stage"] == "prepare"].groupby("track_id")["reason"].agg(_joined)
    rows = zip(lost["track_id"], lost["split"], lost["track_id"].map(reasons).fillna("unknown"), strict=True)
    level: Level = "warning" if len(lost) > _HEAVY * len(found.tracks) else "note"
    title = f"{len(lost):,} of {len(found.tracks):,} songs gave no clip"
    return shapes.finding(level, title, "They are in no triplet.", ("track", "split", "reasons"), rows)


def _joined(reasons: Iterable[str]) -> str:
    return ", ".join(sorted(set(reasons)))


def _songs(found: AuditTables) -> Item:
    """List the songs that lost the most."""
    rows = found.rejects[found.rejects["track_id"].notna()]
    grouped = rows.groupby("track_id")
    frame = grouped.agg(things=("count", "sum"), reasons=("reason", _joined))
    frame = frame.sort_values("things", ascending=False).head(20).reset_index(names="track")
    return shapes.table("Songs with most rejects", frame)
