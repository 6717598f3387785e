"""Define the row of every table: the single source of truth for schemas and their documentation.

Text after a field is its documentation, shown wherever the table is described. Positions and lengths are samples at
the working rate unless the name says otherwise; `list` fields of one row that belong together have equal length.
"""

from dataclasses import dataclass
from typing import Annotated

SPLITS = ("train", "validation", "test")
TASKS = ("add", "remove", "extract", "replace", "remix")
ACTIVITY_RATE_HZ = 10
"""Frames per second of every activity and level curve."""


class DataError(Exception):
    """Input that can't be used: one line saying what, where, and what to do next."""


@dataclass(frozen=True, slots=True)
class Track:
    """One song of a dataset. Table `tracks.parquet`, written by `scan`."""

    track_id: Annotated[str, "unique over all datasets: `<dataset>-<name>`, characters [a-z0-9_-]"]
    dataset: Annotated[str, "name of the dataset; `datasets.json` beside the tables maps it to its folder"]
    layout: Annotated[str, "layout that read it, a file name of dataset_tools/layouts"]
    path: Annotated[str, "folder (or common prefix) of the track, relative to the dataset's folder"]
    title: Annotated[str, "title as shipped"]
    artist: Annotated[str | None, "artist as shipped"]
    genre: Annotated[str | None, "canonical genre (manifests/data/genres.csv)"]
    licence: Annotated[str, "licence of the audio, `unknown` if the dataset doesn't say"]
    split: Annotated[str, "train, validation or test"]
    official_split: Annotated[bool, "the split is the dataset's own, not drawn by `scan`"]
    song_group: Annotated[str, "recordings or MIDI duplicates of one song share it"]
    leak_group: Annotated[str, "song, artist or chart; a split never cuts one"]
    aligned: Annotated[bool, "the stems belong together in time; if not, the track is only a source of single parts"]
    tempo_bpm: Annotated[float | None, "tempo as the dataset states it"]
    key: Annotated[str | None, "key as the dataset states it, Harte syntax such as `C:maj` or `A:min`"]
    chords_path: Annotated[str | None, "chord chart (.lab: start s, end s, Harte label), relative to the dataset's folder"]
    bleed: Annotated[bool | None, "the dataset says that microphones hear each other"]


@dataclass(frozen=True, slots=True)
class Stem:
    """One audio file as the dataset ships it. Table `stems.parquet`, written by `scan` from headers only."""

    track_id: Annotated[str, "track it belongs to"]
    stem_id: Annotated[str, "unique within the track"]
    path: Annotated[str, "audio file, relative to the dataset's folder"]
    label: Annotated[str, "raw label as shipped: instrument name, class or file name"]
    program: Annotated[int | None, "General MIDI program 0-127, 128 for drums"]
    plugin: Annotated[str | None, "sampler patch or plugin as shipped"]
    instrument: Annotated[str, "canonical instrument (manifests/data/instruments.csv)"]
    family: Annotated[str, "family of the instrument"]
    editable: Annotated[bool, "may be named and edited; if not, it only sounds in beds and full mixes"]
    lead: Annotated[bool, "sings or plays the lead, by its instrument or by what the dataset says of it"]
    rule: Annotated[str, "rule of normalisation that matched: alias, program, plugin, class, name or unmatched"]
    certain: Annotated[bool, "the rule leaves no doubt"]
    sample_rate_hz: Annotated[int, "rate of the file"]
    channels: Annotated[int, "channels of the file"]
    length_samples: Annotated[int, "frames of the file at its own rate"]
    size_bytes: Annotated[int, "size of the file"]
    midi_path: Annotated[str | None, "MIDI of this stem, relative to the dataset's folder"]
    bleed: Annotated[bool | None, "the dataset says that other instruments are heard in it"]
    known_bad: Annotated[str | None, "why the stem is known to be wrong (manifests/data/known_bad.csv); such stems make no part"]
    flagged_rendered: Annotated[bool | None, "what the dataset's own metadata claims about the file's existence"]


@dataclass(frozen=True, slots=True)
class Part:
    """All stems of one instrument in one track, merged to mono. Table `parts.parquet`, written by `prepare`."""

    track_id: Annotated[str, "track it belongs to"]
    instrument: Annotated[str, "canonical instrument; unique within the track"]
    family: Annotated[str, "family of the instrument"]
    editable: Annotated[bool, "may be named and edited"]
    lead: Annotated[bool, "one of its stems sings or plays the lead; `remix` leaves it out of both sides"]
    path: Annotated[str, "16-bit mono FLAC, relative to the working folder"]
    stems: Annotated[list[str], "stem_ids merged into it"]
    sample_rate_hz: Annotated[int, "working rate"]
    length_samples: Annotated[int, "length, equal for all parts of a track"]
    gain: Annotated[float, "gain applied to all parts of the track, 1 unless a merged part would have clipped"]
    lufs: Annotated[float | None, "integrated loudness (ITU-R BS.1770-4), null where it is not defined"]
    rms_db: Annotated[float, "RMS of the whole part in dBFS, -120 for silence"]
    peak_db: Annotated[float, "sample peak in dBFS, -120 for silence"]
    bandwidth_hz: Annotated[int, "half of the lowest sample rate of its stems: nothing sounds above it"]
    level_db: Annotated[list[int], "RMS per frame in dBFS, rounded, -120 for silence, 10 frames/s"]
    activity: Annotated[list[bool], "energy VAD, 10 frames/s"]


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Beats, chords and key of one track. Table `rhythm.parquet`, written by `prepare`."""

    track_id: Annotated[str, "track"]
    source: Annotated[str, "midi, audio or none"]
    recogniser: Annotated[str | None, "what found it: tempo map, librosa version, weights and their hash"]
    confidence: Annotated[float, "0 to 1: share of onsets that confirm the grid (midi), or agreement of beats and onsets (audio)"]
    trusted: Annotated[bool, "good enough to match windows of different tracks"]
    reason: Annotated[str | None, "why the MIDI grid was not taken, or why nothing is trusted"]
    downbeat_known: Annotated[bool, "bar positions are known, not guessed"]
    meter: Annotated[str | None, "time signature such as `4/4`, null where unknown"]
    tempo_bpm: Annotated[float | None, "mean of the beat intervals that lie within 10 % of their median"]
    beats_samples: Annotated[list[int], "beat times"]
    beat_positions: Annotated[list[int], "position of each beat in its bar, 1 is the downbeat, 0 unknown"]
    chord_source: Annotated[str, "chart, midi, audio or none"]
    chord_recogniser: Annotated[str | None, "what found the chords: weights and their hash"]
    chord_starts_samples: Annotated[list[int], "start of each chord; a chord lasts until the next one"]
    chord_labels: Annotated[list[str], "Harte labels, `N` for no chord"]
    key: Annotated[str | None, "key, Harte syntax such as `C:maj` or `A:min`"]
    key_confidence: Annotated[float, "0 to 1: lead over the next best key"]


@dataclass(frozen=True, slots=True)
class Clip:
    """A window of a track and what sounds in it. Table `clips.parquet`, written by `prepare`."""

    clip_id: Annotated[str, "`<track_id>-<index>`"]
    track_id: Annotated[str, "track it was cut from"]
    start_samples: Annotated[int, "first sample of the window"]
    length_samples: Annotated[int, "length of the window"]
    instruments: Annotated[list[str], "parts of the track that make any sound in the window"]
    active: Annotated[list[float], "share of the window in which each part is active"]
    rms_db: Annotated[list[float], "RMS of each part in the window, dBFS"]
    peak_db: Annotated[list[float], "sample peak of each part in the window, dBFS"]
    usable: Annotated[list[bool], "each part may be edited here: editable, active enough, not too far under the mix"]
    mix_rms_db: Annotated[float, "RMS of the sum of all parts, dBFS"]
    tempo_bpm: Annotated[float | None, "median tempo of the beats in the window"]
    chords: Annotated[list[str], "Harte labels that sound in the window, in order"]


@dataclass(frozen=True, slots=True)
class Triplet:
    """A recipe: enough to render <instruction, source, target>. Table `triplets.parquet`, written by `pair`."""

    triplet_id: Annotated[str, "key of the sample in the shards, [a-z0-9_-], shorter than 100 characters"]
    split: Annotated[str, "train, validation or test"]
    task: Annotated[str, "add, remove, extract, replace or remix"]
    instruction: Annotated[str, "the text command"]
    length_samples: Annotated[int, "length of source and target"]
    source_track: Annotated[str, "track of the source mix"]
    source_start_samples: Annotated[int, "first sample of the source window"]
    source_instruments: Annotated[list[str], "parts that sound in the source, sorted"]
    target_track: Annotated[str, "track of the target mix; differs from the source's for remix only"]
    target_start_samples: Annotated[int, "first sample of the target window, before stretching"]
    target_instruments: Annotated[list[str], "parts that sound in the target, sorted"]
    target_stretch: Annotated[float, "samples of the target window per rendered sample; 1 is no time-stretch, above 1 is faster"]
    named: Annotated[list[str], "instruments of the source that the instruction names (remove, extract, replace)"]
    added: Annotated[list[str], "instruments that the instruction brings (add, replace, remix by instruments)"]
    genre: Annotated[str | None, "genre that the instruction asks for (remix by genre)"]
    left_out: Annotated[list[str], "lead or vocal parts of the source track left out of both sides (remix)"]
    beat_error_ms: Annotated[float | None, "largest distance of a target beat to its source beat in the window (remix)"]
    chord_agreement: Annotated[float | None, "share of the window in which both sides have the same chord (remix)"]
    chain_id: Annotated[str | None, "edits of one window that follow each other share it (`--rounds`)"]
    round: Annotated[int, "1 for the first edit of a chain, and for single edits"]


@dataclass(frozen=True, slots=True)
class Sample:
    """A rendered triplet in a shard. Table `<split>-NNNNN.parquet` beside its tar, written by `shard`."""

    triplet_id: Annotated[str, "key of the sample in the tar"]
    task: Annotated[str, "edit task"]
    instruction: Annotated[str, "the text command"]
    dataset: Annotated[str, "dataset of the source track"]
    licence: Annotated[str, "licences of all audio in it, joined by ` AND `"]
    recipe: Annotated[str, "the row of triplets.parquet as JSON with sorted keys"]
    sample_rate_hz: Annotated[int, "rate of both sides"]
    length_samples: Annotated[int, "length of both sides"]
    gain: Annotated[float, "gain of the source, and of the target unless sides are normalised on their own"]
    target_gain: Annotated[float, "gain of the target"]
    source_rms_db: Annotated[float, "RMS of the written source, dBFS"]
    target_rms_db: Annotated[float, "RMS of the written target, dBFS"]
    source_peak_db: Annotated[float, "sample peak of the written source, dBFS"]
    target_peak_db: Annotated[float, "sample peak of the written target, dBFS"]
    source_offset_bytes: Annotated[int, "where the bytes of <key>.source.flac begin in the tar"]
    source_size_bytes: Annotated[int, "size of <key>.source.flac"]
    target_offset_bytes: Annotated[int, "where the bytes of <key>.target.flac begin in the tar"]
    target_size_bytes: Annotated[int, "size of <key>.target.flac"]
    json_offset_bytes: Annotated[int, "where the bytes of <key>.json begin in the tar"]
    json_size_bytes: Annotated[int, "size of <key>.json"]


@dataclass(frozen=True, slots=True)
class Reject:
    """Something that could not be used, and why. Table `rejects.parquet`, written by every stage."""

    stage: Annotated[str, "scan, prepare or pair"]
    dataset: Annotated[str | None, "dataset, if known"]
    track_id: Annotated[str | None, "track, if known"]
    item: Annotated[str, "file, stem, clip or task that was rejected"]
    reason: Annotated[str, "reason code such as `unreadable`, `too_long`, `silent_clip`"]
    detail: Annotated[str, "one line for a person"]
    count: Annotated[int, "how many things this row stands for"]
