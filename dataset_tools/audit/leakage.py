"""Find leaks: one song in two splits, by its groups, name, notes, parts and sound."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from instructme.dataset_tools import audio, fingerprint
from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.audit import shapes
from instructme.dataset_tools.audit.inputs import AuditTables
from instructme.dataset_tools.audit.midi_files import MOST_OWNERS, MidiStudy, same_notes
from instructme.dataset_tools.audit.report import Finding, Item, Section
from instructme.manifests.paths import inside
from instructme.manifests.rows import ACTIVITY_RATE_HZ, DataError
from instructme.manifests.splits import artist_key, says_song

HEARD_S = 60
_EQUAL_PARTS = 0.5
"""Two songs that share this much of their parts are one."""
_KINDS = ("two splits", "one split by chance", "kept together")
Pair = tuple[str, str, str]


def section(found: AuditTables, midi: MidiStudy | None, *, audio: bool) -> Section:
    """Find songs that occur twice, in any two splits or datasets."""
    items: list[Item] = [_groups(found, "leak_group"), _groups(found, "song_group"), _names(found)]
    if found.recipes is not None:
        items.append(_recipes(found))
    if len(found.parts):
        items.append(_pairs(found, "parts of equal length, level and peak", _equal_parts(found)))
    if midi is not None and midi.notes:
        pairs = [(one, other, f"{share:.0%} of the notes") for one, other, share in same_notes(found, midi.notes)]
        items.append(_pairs(found, "the same notes (MIDI, without drums)", pairs))
    if audio and len(found.parts):
        items += _sound(found)
    else:
        items.append(Finding("note", "Songs were not compared by sound", "Run prepare first, and run audit without --no-audio."))
    blurb = (
        "A song that is in train and in test makes the test useless. A pair of songs in two splits is an error. "
        "A pair that is in one split only by chance is a warning."
    )
    return Section("leakage", "Songs that occur twice", blurb, tuple(items))


def _groups(found: AuditTables, column: str) -> Finding:
    """Check that no group is in two splits."""
    splits = found.tracks.groupby(column)["split"].agg(lambda names: ", ".join(sorted(set(names))))
    cut = splits[splits.str.contains(", ")]
    if not len(cut):
        return Finding("fine", f"No {column} is in two splits", f"{len(splits):,} groups of {len(found.tracks):,} songs.")
    members = found.tracks[found.tracks[column].isin(cut.index)].groupby(column)["track_id"].agg(", ".join)
    rows = ((group, cut[group], members[group]) for group in cut.index)
    detail = "The table was changed by hand, or its stages belong to different runs. Scan again."
    title = f"{shapes.counted(len(cut), column)} in two splits"
    return shapes.finding("error", title, detail, (column, "splits", "tracks"), rows)


def _recipes(found: AuditTables) -> Finding:
    """Check that recipes use tracks of their own split only."""
    assert found.recipes is not None
    rows, split = found.recipes.rows, found.tracks.set_index("track_id")["split"]
    wrong = np.zeros(len(rows), dtype=bool)
    for side in ("source_track", "target_track"):
        home = pd.Series(rows[side].cat.categories).map(split).to_numpy(dtype=object)
        wrong |= home[rows[side].cat.codes.to_numpy()] != rows["split"].astype(object).to_numpy()
    if not wrong.any():
        return Finding("fine", "Every recipe uses tracks of its own split", f"{len(rows):,} recipes.")
    bad = rows[wrong][["split", "task", "source_track", "target_track"]].drop_duplicates()
    title = f"{shapes.counted(int(wrong.sum()), 'recipe')} with tracks of another split"
    detail = "The splits have changed since. Run prepare and pair again."
    return shapes.finding("error", title, detail, tuple(bad.columns), bad.to_numpy())


def _names(found: AuditTables) -> Finding:
    """Compare songs by artist and title, however they are divided among the two columns."""
    artists, titles = (found.tracks[name].astype(object).where(found.tracks[name].notna(), None) for name in ("artist", "title"))
    members: dict[str, list[str]] = {}
    for track, artist, title in zip(found.tracks["track_id"], artists, titles, strict=True):
        # A title such as Intro or 24bit is many songs' own; with an artist beside it, it is one song's.
        by, plain = artist_key(artist) or "", artist_key(title) or ""
        if plain and (by or says_song(title)):
            members.setdefault(by + plain, []).append(track)
    pairs = [(tracks[0], other, key) for key, tracks in members.items() for other in tracks[1:]]
    return _pairs(found, "the same artist and title", pairs)


def _equal_parts(found: AuditTables) -> list[Pair]:
    """Pair songs half of whose parts have the very same length, level and peak."""
    heard = found.parts[found.parts["first_active"] >= 0]
    keys = ["length_samples", "rms_db", "peak_db"]
    twice = heard[["track_id", *keys]].drop_duplicates()
    owners = twice.groupby(keys)["track_id"].transform("size")
    twice = twice[(owners > 1) & (owners <= MOST_OWNERS)]
    joined = twice.merge(twice, on=keys)
    joined = joined[joined["track_id_x"] < joined["track_id_y"]]
    totals = heard.groupby("track_id").size()
    common = joined.groupby(["track_id_x", "track_id_y"]).size().reset_index(name="parts")
    fewer = np.minimum(common["track_id_x"].map(totals), common["track_id_y"].map(totals))
    shares = common.assign(share=common.pop("parts") / fewer).query("share >= @_EQUAL_PARTS")
    return [(one, other, f"{share:.0%} of the parts") for one, other, share in shares.to_numpy().tolist()]


def _sound(found: AuditTables) -> list[Item]:
    prints = fingerprints(found)
    pairs = []
    for one, other, late_s, wrong, seconds in fingerprint.matches(prints):
        pairs.append((one, other, f"{wrong:.0%} of bits differ over {seconds:.0f} s, {1000 * late_s:+.0f} ms"))
    what = f"the same sound (the first {HEARD_S} s of {len(prints):,} songs)"
    items: list[Item] = [_pairs(found, what, pairs)] if prints else []
    if lost := sorted(set(found.parts["track_id"]) - set(prints)):
        detail = "A part is missing, damaged or outside the folder. Run prepare again. These songs were not compared with others."
        title = f"{shapes.counted(len(lost), 'song')} can't be read"
        items.append(shapes.finding("warning", title, detail, ("track",), ((name,) for name in lost)))
    return items


def fingerprints(found: AuditTables) -> dict[str, fingerprint.Print]:
    """Hear the first minute of every song, all its parts together, with a progress bar; what can't be read is left out."""
    from tqdm import tqdm

    songs = {str(track): rows for track, rows in found.parts.groupby("track_id")}
    with ThreadPoolExecutor() as threads:
        heard = threads.map(lambda rows: _hear(found.work, rows), songs.values())
        shown = tqdm(heard, desc="sound", total=len(songs), unit="song", dynamic_ncols=True, leave=False)
        prints = dict(zip(songs, shown, strict=True))
    return {track: words for track, words in prints.items() if words is not None}


def _hear(work: Path, parts: pd.DataFrame) -> fingerprint.Print | None:
    rate_hz = int(parts["sample_rate_hz"].iloc[0])
    begins = parts["first_active"][parts["first_active"] >= 0]
    start = int(begins.min()) * rate_hz // ACTIVITY_RATE_HZ if len(begins) else 0
    length = min(HEARD_S * rate_hz, int(parts["length_samples"].min()) - start)
    mix: Samples = np.zeros(max(length, 0), dtype=np.float32)
    try:
        for path in parts["path"]:
            mix += audio.read(inside(work, path), start=start, length=length)
    except (DataError, ValueError):
        return None
    return fingerprint.fingerprint(mix, rate_hz)


def _pairs(found: AuditTables, what: str, pairs: Iterable[Pair]) -> Finding:
    """Judge pairs of songs that are one by some evidence: in two splits, in one by chance, or kept together."""
    tracks = {track: home for track, *home in found.tracks[["track_id", "split", "leak_group"]].to_numpy().tolist()}
    rows = []
    for one, other, evidence in pairs:
        (split, group), (other_split, other_group) = tracks[one], tracks[other]
        kind = 0 if split != other_split else 1 if group != other_group else 2
        rows.append((_KINDS[kind], one, split, other, other_split, evidence))
    rows.sort(key=lambda row: _KINDS.index(row[0]))
    leaks, lucky, together = (sum(row[0] == kind for row in rows) for kind in _KINDS)
    columns = ("where", "track", "split", "other track", "its split", "evidence")
    if leaks:
        detail = "Leave one song of each pair out, or give both the same group_id in a table, and scan again."
        return shapes.finding("error", f"{shapes.counted(leaks, 'pair')} in two splits: {what}", detail, columns, rows)
    if lucky:
        detail = "Another --seed may put them into two splits. In training, such a song counts twice."
        return shapes.finding("warning", f"{shapes.counted(lucky, 'pair')} in one split by chance: {what}", detail, columns, rows)
    known = f"{shapes.counted(together, 'pair')} known to be one song and kept in one split."
    detail = known if together else "No pair was found."
    return shapes.finding("fine", f"No leak: {what}", detail, columns, rows)
