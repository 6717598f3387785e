"""Compute the share of the music that was rejected, and fail if it is larger than the user allows."""

from collections import Counter
from pathlib import Path

import pyarrow.compute as pc

from instructme.manifests import tables
from instructme.manifests.counting import counted
from instructme.manifests.rows import Clip, DataError, Part, Reject, Stem, Track

_CHOSEN = {"omitted", "licence", "leaks", "not_a_stem", "known_bad"}
"""Reasons by which the dataset or the user left something out."""
_HARMLESS = {
    *("cancels", "dc_offset", "loud", "silent", "unused_alias", "unread_midi", "unread_table"),
    *("split", "split_unused", "silent_clip", "bad_chart", "bad_beats", "midi_refused", "midi_moved", "long"),
    *("grouping", "unpaired", "wrong_length", "time_reference", "mp3_delay", "overlap", "surround"),
    *("trimmed", "stem_moved", "not_understood", "unread_column", "rows_differ", "copy", "names_differ", "low_rate"),
    *("mid_side", "shared_stem", "mix_differs", "mix_unread", "working_folder"),
}
"""Reasons that cost no stem."""
_TRACKS = {"metadata", "no_stems", "link"}
"""Reasons of `scan` that stand for whole tracks."""
_MOST_REASONS = 3


def check(work: Path, most: float | None, *, prepared: bool) -> None:
    """Compare the share that a working folder lost in `scan`, and in `prepare` if it is prepared by now, with `most`.

    Of tracks (those that give no clip) and of stems (those in no part) the larger share counts. What the dataset or the
    user left out counts as neither found nor lost. None allows any loss but tracks on which workers died.

    Raises:
        DataError: more is lost; names the most frequent reasons.
    """
    stages = ("scan", "prepare") if prepared else ("scan",)
    rejects = [row for row in tables.read_rows(work / "rejects.parquet", Reject) if row.stage in stages]
    died = [row.track_id for row in rejects if row.reason == "worker_died"]
    if died and most is None:
        raise DataError(
            f"workers died on {counted(len(died), 'track')}, such as {died[0]}, because memory ran out or a library crashed: "
            "run again with fewer --workers, or accept the loss with --max-reject 1"
        )
    shares = {kind: lost / found for kind, (lost, found) in _losses(work, rejects, prepared).items() if found}
    kind = max(shares, key=shares.__getitem__, default="")
    if most is not None and kind and shares[kind] > most:
        reasons: Counter[str] = Counter()
        for row in rejects:
            reasons[row.reason] += row.count if row.reason not in _CHOSEN | _HARMLESS else 0
        told = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common(_MOST_REASONS) if count)
        raise DataError(
            f"{shares[kind]:.1%} of the {kind} can't be used, more than --max-reject {most:g}: {told}: "
            f"{work / 'rejects.parquet'} lists the reasons; repair the files, or raise --max-reject"
        )


def _losses(work: Path, rejects: list[Reject], prepared: bool) -> dict[str, tuple[int, int]]:
    """Count what is lost and what was found, of tracks and of stems."""
    lost = Counter[str]()
    for row in rejects:
        if row.stage == "scan" and row.reason not in _CHOSEN | _HARMLESS:
            lost["tracks" if row.reason in _TRACKS else "stems"] += row.count
    tracks = tables.read(work / "tracks.parquet", Track, ["track_id"]).num_rows
    stems = pc.sum(tables.read(work / "stems.parquet", Stem, ["known_bad"])["known_bad"].is_null()).as_py()
    usable = {"tracks": tracks, "stems": stems}
    if prepared:
        parts = tables.read(work / "parts.parquet", Part, ["stems"])
        usable["stems"] = pc.sum(pc.list_value_length(parts["stems"])).as_py() or 0
        usable["tracks"] = len(tables.read(work / "clips.parquet", Clip, ["track_id"])["track_id"].unique())
    found = {"tracks": tracks + lost["tracks"], "stems": stems + lost["stems"]}
    return {kind: (found[kind] - usable[kind], found[kind]) for kind in found}
