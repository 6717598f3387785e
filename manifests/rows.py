"""Define the row of every table: the single source of truth for schemas and their documentation.

Text after a field is its documentation, shown wherever the table is described. Positions and lengths are samples at
the working rate unless the name says otherwise; `list` fields of one row that belong together have equal length.

`KEY` names the fields by which a row is unique in its table, `EQUAL` the lists of equal length, `LATER` the columns that came
after the others: tables without them are read as if all were null, and a table in which all are null is written without them.
Floats are finite.
"""

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

SPLITS = ("train", "validation", "test")
ACTIVITY_RATE_HZ = 10
"""Frames per second of every activity and level curve."""


class DataError(Exception):
    """Input that can't be used: one line that says what is wrong, where, and what to do next.

    Example:
        ```python
        from instructme import DataError, TripletDataset

        try:
            triplets = TripletDataset("work", "train")
        except DataError as error:
            raise SystemExit(f"no triplets: {error}")
        ```
    """


@dataclass(frozen=True, slots=True)
class Rule:
    """What a value keeps to: numbers and lengths of lists their range, text a pattern (RE2) as a whole.

    `tables.read` refuses a table with other values, such as one that was changed by hand.
    """

    least: float = -math.inf
    most: float = math.inf
    pattern: str = ""


_STEP = r"(\.|\.?[^/.\x00][^/\x00]*|\.\.[^/\x00]+)"
Id = Annotated[str, Rule(pattern="[a-z0-9_-]+")]
Key = Annotated[str, Rule(pattern="[a-z0-9_-]{1,99}")]
RelativePath = Annotated[str, Rule(pattern=rf"({_STEP}(/{_STEP})*)?")]
Split = Annotated[str, Rule(pattern="|".join(SPLITS))]
Task = Annotated[str, Rule(pattern="[a-z0-9_]+")]
Stage = Annotated[str, Rule(pattern="scan|prepare|pair")]
Program = Annotated[int, Rule(0, 128)]
RateHz = Annotated[int, Rule(1000, 1_000_000)]
Count = Annotated[int, Rule(1, 1 << 40)]
Position = Annotated[int, Rule(0, 1 << 40)]
Tempo = Annotated[float, Rule(0)]
Share = Annotated[float, Rule(0, 1)]
Decibels = Annotated[float, Rule(-200, 200)]
Channels = Annotated[int, Rule(1, 2)]


@dataclass(frozen=True, slots=True)
class Track:
    """One song of a dataset. Table `tracks.parquet`, written by `scan`."""

    KEY: ClassVar = ("track_id",)
    LATER: ClassVar = ("beats_path", "downbeats_path", "mix_path")
    FILES: ClassVar = ("chords_path", *LATER)
    """Files of the dataset beside the stems; `FoundTrack` has the same fields."""

    track_id: Annotated[Id, "unique over all datasets: `<dataset>-<name>`, characters [a-z0-9_-]"]
    dataset: Annotated[Id, "name of the dataset; `datasets.json` beside the tables maps it to its folder"]
    layout: Annotated[str, "layout that read it, a file name of dataset_tools/layouts"]
    path: Annotated[RelativePath, "folder (or common prefix) of the track, relative to the dataset's folder"]
    title: Annotated[str, "title as shipped"]
    artist: Annotated[str | None, "artist as shipped"]
    genre: Annotated[str | None, "canonical genre (manifests/data/genres.csv)"]
    licence: Annotated[str, "licence of the audio, `unknown` if the dataset doesn't say"]
    split: Annotated[Split, "train, validation or test"]
    official_split: Annotated[bool, "the split is the dataset's own, not drawn by `scan`"]
    song_group: Annotated[str, "recordings or MIDI duplicates of one song share it"]
    leak_group: Annotated[str, "song, artist or chart; a split never cuts one"]
    aligned: Annotated[bool, "the stems belong together in time; if not, the track is only a source of single parts"]
    tempo_bpm: Annotated[Tempo | None, "tempo as the dataset states it"]
    key: Annotated[str | None, "key as the dataset states it, Harte syntax such as `C:maj` or `A:min`"]
    chords_path: Annotated[
        RelativePath | None, "chord chart (.lab: start s, end s, Harte label), relative to the dataset's folder"
    ]
    bleed: Annotated[bool | None, "the dataset says that microphones hear each other"]
    beats_path: Annotated[
        RelativePath | None, "beats that the dataset states (time s, position in the bar), relative to its folder"
    ] = None
    downbeats_path: Annotated[RelativePath | None, "downbeats that the dataset states (time s), relative to its folder"] = None
    mix_path: Annotated[RelativePath | None, "mix of the song, relative to the dataset's folder"] = None


@dataclass(frozen=True, slots=True)
class Stem:
    """One audio file as the dataset ships it. Table `stems.parquet`, written by `scan` from headers only."""

    KEY: ClassVar = ("track_id", "stem_id")
    LATER: ClassVar = ("guess", "pair")

    track_id: Annotated[Id, "track it belongs to"]
    stem_id: Annotated[str, "unique within the track"]
    path: Annotated[RelativePath, "audio file, relative to the dataset's folder"]
    label: Annotated[str, "raw label as shipped: instrument name, class or file name"]
    program: Annotated[Program | None, "General MIDI program 0-127, 128 for drums"]
    plugin: Annotated[str | None, "sampler patch or plugin as shipped"]
    instrument: Annotated[str, "canonical instrument (manifests/data/instruments.csv)"]
    family: Annotated[str, "family of the instrument"]
    editable: Annotated[bool, "may be named and edited; if not, it only sounds in mixes"]
    lead: Annotated[bool, "sings or plays the lead, by its instrument or by what the dataset says of it"]
    rule: Annotated[str, "rule of normalisation that matched: alias, program, plugin, class, name or unmatched"]
    certain: Annotated[bool, "the rule leaves no doubt"]
    sample_rate_hz: Annotated[RateHz, "rate of the file"]
    channels: Annotated[Count, "channels of the file"]
    length_samples: Annotated[Count, "frames of the file at its own rate"]
    size_bytes: Annotated[Count, "size of the file"]
    midi_path: Annotated[RelativePath | None, "MIDI of this stem, relative to the dataset's folder"]
    bleed: Annotated[bool | None, "the dataset says that other instruments are heard in it"]
    known_bad: Annotated[str | None, "why the stem is known to be wrong (manifests/data/known_bad.csv); such stems make no part"]
    flagged_rendered: Annotated[bool | None, "what the dataset's own metadata claims about the file's existence"]
    guess: Annotated[str | None, "instrument that the label may mean; it is not used as one unless guesses are accepted"] = None
    pair: Annotated[str | None, "stem_id of the other channel of a split stereo stem: left and right, or mid and side"] = None


@dataclass(frozen=True, slots=True)
class Part:
    """All stems of one instrument in one track, merged. Table `parts.parquet`, written by `prepare`."""

    KEY: ClassVar = ("track_id", "instrument")
    EQUAL: ClassVar = (("level_db", "activity"),)
    LATER: ClassVar = ("balance_db", "channels")

    track_id: Annotated[Id, "track it belongs to"]
    instrument: Annotated[str, "canonical instrument; unique within the track"]
    family: Annotated[str, "family of the instrument"]
    editable: Annotated[bool, "may be named and edited"]
    lead: Annotated[bool, "one of its stems sings or plays the lead; `remix` leaves it out of both sides"]
    path: Annotated[RelativePath, "16-bit FLAC, relative to the working folder"]
    stems: Annotated[list[str], "stem_ids merged into it"]
    sample_rate_hz: Annotated[RateHz, "working rate"]
    length_samples: Annotated[Count, "length, equal for all parts of a track"]
    gain: Annotated[float, Rule(0), "gain applied to all parts of the track; 1 unless they would clip or are very soft"]
    lufs: Annotated[Decibels | None, "integrated loudness (ITU-R BS.1770-4), null where it is not defined"]
    rms_db: Annotated[Decibels, "RMS of the whole part in dBFS, -120 for silence"]
    peak_db: Annotated[Decibels, "sample peak in dBFS, -120 for silence"]
    bandwidth_hz: Annotated[Count, "half of the lowest sample rate of its stems: nothing sounds above it"]
    level_db: Annotated[list[int], "RMS per frame in dBFS, rounded, -120 for silence, 10 frames/s"]
    activity: Annotated[list[bool], "whether the part is active, 10 frames/s"]
    balance_db: Annotated[Decibels | None, "gain of this part alone, by `prepare --balance-stems`"] = None
    channels: Annotated[Channels | None, "2 where the file is stereo (`prepare --channels 2`), null for mono"] = None


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Beats, chords and key of one track. Table `rhythm.parquet`, written by `prepare`."""

    KEY: ClassVar = ("track_id",)
    EQUAL: ClassVar = (("beats_samples", "beat_positions"), ("chord_starts_samples", "chord_labels"))

    track_id: Annotated[Id, "track"]
    source: Annotated[str, "annotation, midi, audio or none"]
    recogniser: Annotated[str | None, "what found it: tempo map, librosa version, weights and their hash"]
    confidence: Annotated[Share, "0 to 1: share of onsets that confirm the grid (midi), or agreement of beats and onsets (audio)"]
    trusted: Annotated[bool, "good enough to match windows of different tracks"]
    reason: Annotated[str | None, "why the MIDI grid was moved or not taken, or why nothing is trusted"]
    downbeat_known: Annotated[bool, "bar positions are known, not guessed"]
    meter: Annotated[str | None, "time signature such as `4/4`, null where unknown"]
    tempo_bpm: Annotated[Tempo | None, "mean of the beat intervals that lie within 10 % of their median"]
    beats_samples: Annotated[list[Position], "beat times"]
    beat_positions: Annotated[list[Position], "position of each beat in its bar, 1 is the downbeat, 0 unknown"]
    chord_source: Annotated[str, "chart, midi, audio or none"]
    chord_recogniser: Annotated[str | None, "what found the chords: weights and their hash"]
    chord_starts_samples: Annotated[list[Position], "start of each chord; a chord lasts until the next one"]
    chord_labels: Annotated[list[str], "Harte labels, `N` for no chord"]
    key: Annotated[str | None, "key, Harte syntax such as `C:maj` or `A:min`"]
    key_confidence: Annotated[Share, "0 to 1: lead over the next best key"]


@dataclass(frozen=True, slots=True)
class Clip:
    """A window of a track and what sounds in it. Table `clips.parquet`, written by `prepare`."""

    KEY: ClassVar = ("clip_id",)
    EQUAL: ClassVar = (("instruments", "active", "rms_db", "peak_db", "usable"),)

    clip_id: Annotated[Id, "`<track_id>-<index>`"]
    track_id: Annotated[Id, "track it was cut from"]
    start_samples: Annotated[Position, "first sample of the window"]
    length_samples: Annotated[Count, "length of the window"]
    instruments: Annotated[list[str], "parts of the track that make any sound in the window"]
    active: Annotated[list[Share], "share of the window in which each part is active"]
    rms_db: Annotated[list[Decibels], "RMS of each part in the window, dBFS"]
    peak_db: Annotated[list[Decibels], "sample peak of each part in the window, dBFS"]
    usable: Annotated[list[bool], "each part may be edited here: editable, active enough, not too far under the mix"]
    mix_rms_db: Annotated[Decibels, "RMS of the sum of all parts, dBFS"]
    tempo_bpm: Annotated[Tempo | None, "median tempo of the beats in the window"]
    chords: Annotated[list[str], "Harte labels that sound in the window, in order"]


@dataclass(frozen=True, slots=True)
class Triplet:
    """A recipe: enough to render <instruction, source, target>. Table `triplets.parquet`, written by `pair`."""

    KEY: ClassVar = ("triplet_id",)
    LATER: ClassVar = ("gain_db",)

    triplet_id: Annotated[Key, "key of the sample in the shards, [a-z0-9_-], shorter than 100 characters"]
    split: Annotated[Split, "train, validation or test"]
    task: Annotated[Task, "add, remove, extract, replace, remix or rebalance"]
    instruction: Annotated[str, "the text command"]
    length_samples: Annotated[Count, "length of source and target"]
    source_track: Annotated[Id, "track of the source mix"]
    source_start_samples: Annotated[Position, "first sample of the source window"]
    source_instruments: Annotated[list[str], Rule(1), "parts that sound in the source, sorted"]
    target_track: Annotated[Id, "track of the target mix; differs from the source's for remix only"]
    target_start_samples: Annotated[Position, "first sample of the target window, before stretching"]
    target_instruments: Annotated[list[str], Rule(1), "parts that sound in the target, sorted"]
    target_stretch: Annotated[
        float, Rule(0.1, 10), "samples of the target window per rendered sample; 1 is no time-stretch, above 1 is faster"
    ]
    named: Annotated[list[str], "instruments of the source that the instruction names (remove, extract, replace, rebalance)"]
    added: Annotated[
        list[str], "instruments that the instruction asks for and the target has (add, replace, remix by instruments)"
    ]
    genre: Annotated[str | None, "genre that the instruction asks for (remix by genre)"]
    left_out: Annotated[list[str], "lead or vocal parts of the source track left out of both sides (remix)"]
    beat_error_ms: Annotated[float | None, "largest distance of a target beat to its source beat in the window (remix)"]
    chord_agreement: Annotated[float | None, "share of the window in which both sides have the same chord (remix)"]
    chain_id: Annotated[str | None, "edits of one window that follow each other share it (`--rounds`)"]
    round: Annotated[Count, "1 for the first edit of a chain, and for single edits"]
    gain_db: Annotated[int | None, Rule(-60, 60), "by how much the named part gets louder, or quieter below 0 (rebalance)"] = None


@dataclass(frozen=True, slots=True)
class Sample:
    """A rendered triplet in a shard. Table `<split>-NNNNN.parquet` beside its tar, written by `shard`."""

    KEY: ClassVar = ("triplet_id",)
    LATER: ClassVar = ("channels",)

    triplet_id: Annotated[Key, "key of the sample in the tar"]
    task: Annotated[Task, "edit task"]
    instruction: Annotated[str, "the text command"]
    dataset: Annotated[str, "dataset of the source track"]
    licence: Annotated[str, "licences of all audio in it, joined by ` AND `"]
    recipe: Annotated[str, "the row of triplets.parquet as JSON with sorted keys"]
    sample_rate_hz: Annotated[RateHz, "rate of both sides"]
    length_samples: Annotated[Count, "length of both sides"]
    gain: Annotated[float, "gain of the source, and of the target unless sides are normalised on their own"]
    target_gain: Annotated[float, "gain of the target"]
    source_rms_db: Annotated[Decibels, "RMS of the written source, dBFS"]
    target_rms_db: Annotated[Decibels, "RMS of the written target, dBFS"]
    source_peak_db: Annotated[Decibels, "sample peak of the written source, dBFS"]
    target_peak_db: Annotated[Decibels, "sample peak of the written target, dBFS"]
    source_offset_bytes: Annotated[Position, "where the bytes of <key>.source.flac begin in the tar"]
    source_size_bytes: Annotated[Count, "size of <key>.source.flac"]
    target_offset_bytes: Annotated[Position, "where the bytes of <key>.target.flac begin in the tar"]
    target_size_bytes: Annotated[Count, "size of <key>.target.flac"]
    json_offset_bytes: Annotated[Position, "where the bytes of <key>.json begin in the tar"]
    json_size_bytes: Annotated[Count, "size of <key>.json"]
    channels: Annotated[Channels | None, "channels of both sides, null for mono"] = None


@dataclass(frozen=True, slots=True)
class Reject:
    """Something that could not be used, and why. Table `rejects.parquet`, written by `scan`, `prepare` and `pair`."""

    stage: Annotated[Stage, "scan, prepare or pair"]
    dataset: Annotated[str | None, "dataset, if known"]
    track_id: Annotated[str | None, "track, if known"]
    item: Annotated[str, "file, stem, clip or task that was rejected"]
    reason: Annotated[str, "reason code such as `unreadable`, `too_long`, `silent_clip`"]
    detail: Annotated[str, "one line for a person"]
    count: Annotated[Count, "how many things this row stands for"]


@dataclass(frozen=True, slots=True)
class EditScore:
    """One metric of one edit. Table `scores.parquet`, written by `evaluate`."""

    KEY: ClassVar = ("dataset", "key", "system", "metric")

    key: Annotated[str, "the edit: the key of the triplet in the shards, or the column `key` of the list of pairs"]
    task: Annotated[Task, "edit task"]
    dataset: Annotated[str, "dataset of the source"]
    song: Annotated[str, "song of the source; intervals are drawn by song"]
    system: Annotated[str, "what made the edit, or a control: oracle, identity, shuffled, noise-30, noise-20, rest-20"]
    metric: Annotated[str, "file name of the metric in pipelines/evaluation/metrics"]
    value: Annotated[float | None, "the score, null where it is not defined"]
    reason: Annotated[str | None, "why there is no score"]


@dataclass(frozen=True, slots=True)
class SetScore:
    """One distance between the set of edits and the set of targets. Table `sets.parquet`, written by `evaluate`."""

    KEY: ClassVar = ("dataset", "task", "system", "metric")

    task: Annotated[Task, "edit task"]
    dataset: Annotated[str, "dataset of the sources"]
    system: Annotated[str, "what made the edits, or a control"]
    metric: Annotated[str, "fad_musicnn, kad_musicnn, fad_vggish or fad_vggish_pca"]
    value: Annotated[float | None, "the distance, null where it is not defined"]
    reason: Annotated[str | None, "why there is no distance"]
    edits: Annotated[int, Rule(0), "edits in the set"]
    frames: Annotated[int, Rule(0), "frames of all edits"]
    low: Annotated[float | None, "lower end of the 95 % interval of the difference to identity"]
    high: Annotated[float | None, "upper end of it"]
