"""Draw distributions by split: lengths, loudness, activity, tempo, metre, key, and values of the recipes."""

import numpy as np
import pandas as pd

from instructme.dataset_tools.audit import shapes
from instructme.dataset_tools.audit.inputs import AuditTables, RecipeTable
from instructme.dataset_tools.audit.report import Finding, Item, Level, Section
from instructme.dataset_tools.tasks import task_modules
from instructme.manifests.rows import SPLITS

_PERCENT = list(range(0, 101, 5))


def section(found: AuditTables) -> Section:
    """Draw histograms by split."""
    minutes = found.tracks["hours"] * 60
    edges = np.linspace(0, max(6.0, float(np.ceil(minutes.quantile(0.99)))) if len(minutes) else 6.0, 31)
    items: list[Item] = [shapes.histogram("Length of songs", "min", minutes, found.tracks["split"], edges.tolist())]
    if found.prepared:
        items += [*_levels(found), *_music(found)]
    if found.recipes is not None:
        items += _recipes(found.recipes)
    blurb = "Each chart compares the splits. The values of the test split should lie within those of the train split."
    return Section("distributions", "Distributions", blurb, tuple(items))


def _levels(found: AuditTables) -> list[Item]:
    parts, clips = found.parts, found.clips
    decibels, counts = np.arange(-60, 1, 2).tolist(), [n - 0.5 for n in range(17)]
    items: list[Item] = [
        shapes.histogram("Loudness of parts", "LUFS", parts["lufs"], parts["split"], decibels),
        shapes.histogram("Level of the mix of a clip", "dBFS RMS", clips["mix_rms_db"], clips["split"], decibels),
        shapes.histogram("Share of a song in which a part plays", "%", parts["active"] * 100, parts["split"], _PERCENT),
        shapes.histogram("Parts that can be edited in a clip", "parts", clips["usable"], clips["split"], counts),
    ]
    if len(parts):
        items += [_loudness_table(parts), *_bandwidth(found)]
    scaled = parts[parts["gain"] < 1].drop_duplicates("track_id")
    if len(scaled):
        detail = f"Without it, their parts would clip. The lowest gain is {20 * np.log10(scaled['gain'].min()):.1f} dB."
        items.append(Finding("note", f"Turned down: {shapes.counted(len(scaled), 'song')}", detail))
    return items


def _loudness_table(parts: pd.DataFrame) -> Item:
    grouped = parts.groupby("instrument")
    quantiles = {"5 %": 0.05, "median LUFS": 0.5, "95 %": 0.95}
    frame = pd.DataFrame({name: grouped["lufs"].quantile(share).round(1) for name, share in quantiles.items()})
    frame.insert(0, "parts", grouped.size())
    frame["plays, % of the song"] = (grouped["active"].median() * 100).round()
    return shapes.table("Loudness by instrument", frame.sort_values("parts", ascending=False).reset_index(names="instrument"))


def _bandwidth(found: AuditTables) -> list[Item]:
    """Find parts that were recorded or compressed at a lower rate than they are stored."""
    dull = found.parts[found.parts["bandwidth_hz"] < found.rate_hz // 2]
    if not len(dull):
        return []
    rows = dull.groupby(["dataset", "bandwidth_hz"]).size().reset_index()
    detail = f"Their files hold nothing above this bandwidth. The other parts reach {found.rate_hz // 2:,} Hz."
    title = f"{shapes.counted(len(dull), 'part')} of less bandwidth than the others"
    return [shapes.finding("note", title, detail, ("dataset", "bandwidth, Hz", "parts"), rows.to_numpy())]


def _music(found: AuditTables) -> list[Item]:
    rhythm = found.rhythm
    items: list[Item] = [
        shapes.histogram("Tempo of songs", "bpm", rhythm["tempo_bpm"], rhythm["split"], list(range(40, 241, 5))),
        shapes.matrix("Metre", rhythm["split"], rhythm["meter"].fillna("unknown"), row_names=_splits(rhythm)),
    ]
    if rhythm["key"].notna().any():
        stated = rhythm[rhythm["key"].notna()]
        keys = sorted(set(stated["key"]), key=lambda key: (key.partition(":")[2], key))
        items.append(shapes.matrix("Key of songs", stated["key"], stated["split"], row_names=keys, column_names=_splits(rhythm)))
    trust = rhythm["source"] + rhythm["trusted"].map({True: ", trusted", False: ", not trusted"})
    items.append(shapes.matrix("Source of beats, and whether remix trusts them", trust, rhythm["split"]))
    items.append(shapes.matrix("Source of chords", rhythm["chord_source"], rhythm["split"]))
    lost = rhythm[~rhythm["trusted"].astype(bool)]
    if len(lost):
        why = lost["reason"].fillna("unknown").value_counts()
        level: Level = "warning" if len(lost) > len(rhythm) / 2 else "note"
        detail = "They are in no remix. The other tasks do not need beats."
        title = f"{len(lost):,} of {len(rhythm):,} songs without trusted beats"
        items.append(shapes.finding(level, title, detail, ("why", "songs"), why.items()))
    return items


def _splits(frame: pd.DataFrame) -> list[str]:
    return [split for split in SPLITS if (frame["split"] == split).any()]


def _recipes(recipes: RecipeTable) -> list[Item]:
    rows = recipes.rows
    remixes = rows[rows["task"].isin([name for name, module in task_modules().items() if module.KEEPS == "none"])]
    title, numbers = "Parts of the source by task", [str(number) for number in sorted(rows["source_parts"].unique())]
    cells = (rows["source_parts"], rows["task"])
    items: list[Item] = [shapes.matrix(title, *cells, row_names=numbers, column_names=recipes.tasks)]
    if len(remixes):
        stretch, edges = (remixes["target_stretch"] - 1) * 100, np.arange(-25.5, 26, 1.0).tolist()
        items.append(shapes.histogram("Remix: time-stretch of targets", "%", stretch, remixes["split"], edges))
        agreement, title = remixes["chord_agreement"] * 100, "Remix: share of the time with the same chord"
        items.append(shapes.histogram(title, "%", agreement, remixes["split"], _PERCENT))
    items.append(_reuse(recipes))
    return items


def _reuse(recipes: RecipeTable) -> Item:
    """Tell how often the same source window comes again: that many epochs the model sees of it in one."""
    window = ["split", "source_track", "source_start_samples", "length_samples"]
    windows = recipes.rows.groupby(window, observed=True).size()
    grouped = windows.groupby(level="split", observed=True)
    table = pd.DataFrame(
        {"triplets": grouped.sum(), "windows": grouped.size(), "median of a window": grouped.median(), "most": grouped.max()}
    )
    note = f"{recipes.distinct_instructions:,} different instructions in {len(recipes.rows):,} triplets."
    return shapes.table("How often a source window is used", table.reset_index(names="split"), note)
