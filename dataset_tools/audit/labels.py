"""Check labels: program against plugin, notes against sound, known faults, bleed, stems under two names."""

import pandas as pd

from instructme.dataset_tools.audit import bleed, shapes
from instructme.dataset_tools.audit.inputs import AuditTables
from instructme.dataset_tools.audit.midi_files import MidiStudy
from instructme.dataset_tools.audit.report import Finding, Item, Level, Section
from instructme.dataset_tools.midi.tempo_map import DRUMS
from instructme.manifests import instruments

_AGREE = 0.5
"""Less of the notes that sounds, or of the sound that has notes, and a part isn't what its MIDI says."""
_SHORTEST_S = 2.0
"""Parts of less notes and sound are left alone."""


def section(found: AuditTables, midi: MidiStudy | None) -> Section:
    """Compare each label with other facts about its stem."""
    items: list[Item] = [*_programs(found.stems), *_known_bad(found), *_bleed(found), *_flags(found.stems)]
    if len(found.parts):
        items += [_twice(found), bleed.finding(found.work)]
    if midi is None:
        items.append(Finding("note", "Notes were not compared with sound", "Run audit without --no-audio."))
    else:
        items += [*_stated(found, midi), *_contradicted(midi)]
    blurb = "Instructions name instruments. This section lists all facts that contradict a name."
    return Section("labels", "Labels", blurb, tuple(items))


def _programs(stems: pd.DataFrame) -> list[Item]:
    """Compare the instrument of the General MIDI program with that of the sampler patch."""
    known = stems[stems["program"].notna() & stems["plugin"].notna()]
    combos = known.groupby(["program", "label", "plugin", "instrument"]).agg(
        stems=("stem_id", "size"), tracks=("track_id", "nunique")
    )
    combos = combos.reset_index().sort_values("stems", ascending=False)
    if not len(combos):
        return []
    by_program = [instruments.normalise("", program=int(program)) for program in combos["program"]]
    by_plugin = [instruments.normalise("", plugin=plugin) for plugin in combos["plugin"]]
    told = [match.rule == "plugin" for match in by_plugin]
    combos["by program"] = [match.instrument for match in by_program]
    combos["by plugin"] = [match.instrument if knows else None for match, knows in zip(by_plugin, told, strict=True)]
    apart = [knows and one.family != other.family for knows, one, other in zip(told, by_program, by_plugin, strict=True)]
    wrong = combos[apart].rename(columns={"instrument": "taken"}).drop(columns="program")
    silent = combos[[not knows for knows in told]]["stems"].sum()
    checked = int(combos["stems"].sum() - silent)
    said = f"For {checked:,} stems, both program and plugin name an instrument. For {silent:,} stems, the plugin names none."
    if not len(wrong):
        return [Finding("fine" if checked else "note", "No program contradicts its plugin", said)]
    count = int(wrong["stems"].sum())
    title = f"{shapes.counted(count, 'stem')} whose plugin is of another family than their program"
    detail = f"{said} The instrument of the plugin is used, because the plugin made the sound."
    return [shapes.finding("warning", title, detail, tuple(wrong.columns), wrong.itertuples(index=False))]


def _known_bad(found: AuditTables) -> list[Item]:
    bad = found.stems[found.stems["known_bad"].notna()]
    if not len(bad):
        detail = "Known faults of Slakh and MUSDB18 are listed in manifests/data/known_bad.csv."
        return [Finding("fine", "No stem that is known to be wrong", detail)]
    rows = bad[["track_id", "stem_id", "label", "known_bad", "split"]].itertuples(index=False)
    columns = ("track", "stem", "label", "why", "split")
    detail = "They are not used, so their instrument is missing from their songs."
    return [shapes.finding("note", f"{shapes.counted(len(bad), 'stem')} known to be wrong", detail, columns, rows)]


def _bleed(found: AuditTables) -> list[Item]:
    """Count what is said of microphones that hear other instruments: an edit of such a part doesn't remove all of it."""
    stems = found.stems.merge(found.tracks[["track_id", "bleed"]].rename(columns={"bleed": "of song"}), on="track_id")
    flagged = stems["bleed"].eq(True) | stems["of song"].eq(True)
    unknown = stems["bleed"].isna() & stems["of song"].isna()
    if not flagged.any():
        detail = f"The datasets call {(~unknown).sum():,} stems clean, and say nothing about {unknown.sum():,}."
        return [Finding("note" if unknown.any() else "fine", "No stem is marked as having bleed", detail)]
    rows = stems[flagged].groupby(["dataset", "split", "instrument"]).size().sort_values(ascending=False).reset_index()
    title = f"Bleed in {flagged.sum():,} of {len(stems):,} stems"
    detail = "Other instruments are audible in them, so an edit leaves traces. Leave such songs out of test."
    level: Level = "warning" if (stems[flagged]["split"] != "train").any() else "note"
    return [shapes.finding(level, title, detail, ("dataset", "split", "instrument", "stems"), rows.itertuples(index=False))]


def _flags(stems: pd.DataFrame) -> list[Item]:
    wrong = stems[stems["flagged_rendered"].eq(False)]
    if not len(wrong):
        return []
    detail = "The metadata says that they do not exist, but the files are there and are used."
    return [Finding("note", f"{shapes.counted(len(wrong), 'stem')} that the dataset says do not exist", detail)]


def _twice(found: AuditTables) -> Finding:
    """Find parts of one song that hold the very same sound under two names."""
    heard = found.parts[found.parts["first_active"] >= 0]
    keys = ["track_id", "length_samples", "rms_db", "peak_db"]
    twice = heard[heard.duplicated(keys, keep=False)].sort_values([*keys, "instrument"])
    if not len(twice):
        return Finding("fine", "No sound has two names", f"{len(heard):,} parts compared by length, level and peak.")
    names = twice.groupby(keys)["instrument"].agg(", ".join).reset_index()
    detail = "One of the names is wrong, or a stem was copied. An edit of one name leaves the other."
    rows = zip(names["track_id"], names["instrument"], strict=True)
    title = f"{shapes.counted(len(names), 'sound')} under two names in one song"
    return shapes.finding("error", title, detail, ("track", "instruments"), rows)


def _stated(found: AuditTables, midi: MidiStudy) -> list[Item]:
    """Compare the program that a MIDI file states with that of the metadata."""
    stems = found.stems[found.stems["program"].notna()]
    rows = []
    for track, stem, program, label in zip(*(stems[name] for name in ("track_id", "stem_id", "program", "label")), strict=True):
        notes = midi.notes.get((track, stem))
        if notes is None or notes.program is None or notes.program == program:
            continue
        played, named = (instruments.normalise("", program=int(value)) for value in (notes.program, program))
        if played.family != named.family and DRUMS not in (notes.program, program):
            rows.append((track, stem, label, named.instrument, played.instrument))
    if not rows:
        return []
    title = f"{shapes.counted(len(rows), 'stem')} whose MIDI file states another instrument than the metadata"
    detail = "One of them is wrong. The metadata is used."
    return [shapes.finding("warning", title, detail, ("track", "stem", "label", "by metadata", "by MIDI file"), rows)]


def _contradicted(midi: MidiStudy) -> list[Item]:
    """Find parts that sound when their notes are silent, or the other way round."""
    parts = midi.agreement
    if not len(parts):
        detail = "No dataset has a MIDI file for each stem, or its folder is missing."
        return [Finding("note", "No part could be compared with notes", detail)]
    unread = f" {midi.unreadable:,} MIDI files can't be read." if midi.unreadable else ""
    percent = parts.assign(sounding=100 * parts["sounding"], explained=100 * parts["explained"])
    grouped = percent.groupby("instrument")
    columns = {"parts": grouped.size()}
    for what, name in (("sounding", "notes that sound, %"), ("explained", "sound with notes, %")):
        columns |= {f"{name}: median": grouped[what].median(), "lowest" if what == "sounding" else "lowest ": grouped[what].min()}
    scores = pd.DataFrame(columns).round(1).sort_values("lowest").reset_index(names="instrument")
    note = "Counted in frames of 0.1 s. A note explains sound until 2 s after its end."
    table = shapes.table("Notes against sound by instrument", scores, note)
    least = percent[["sounding", "explained"]].min(axis=1)
    wrong = percent[(least < 100 * _AGREE) & (parts[["notes_s", "sound_s"]].max(axis=1) >= _SHORTEST_S)].round(1)
    wrong = wrong.loc[least[wrong.index].sort_values().index]
    if not len(wrong):
        return [Finding("fine", "Every part agrees with its notes", f"{len(parts):,} parts compared.{unread}"), table]
    names = ("track", "instrument", "notes, s", "sound, s", "notes that sound, %", "sound with notes, %")
    title = f"Notes and sound disagree in {len(wrong):,} of {len(parts):,} parts"
    detail = "The MIDI may belong to another part, the rendering may have failed, or notes may decay early. Listen to them."
    return [shapes.finding("warning", title, detail + unread, names, wrong.itertuples(index=False)), table]
