"""Make soundfonts of a folder of recorded notes and drum hits, so that FluidSynth plays them like any other.

The folder holds audio files and `index.tsv`: a row a file with the columns path, licence, family, instrument, kind and midi.
`kind` is note (with `midi`, its key from 0 to 127) or oneshot (a hit of a drum; files in one folder are one kit, and
`instrument` is one of _KEYS, such as kick or hihat_closed). Rows of other kinds are not read.
"""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import signal

from instructme.dataset_tools.corpus.soundfonts import PCM, SampledPreset, Soundfont, Zone, make
from instructme.manifests import csv_files
from instructme.manifests.instruments import normalise
from instructme.manifests.rows import DataError

RATE_HZ = 24000
"""Recordings are resampled to this rate."""
HELD_OUT = ("discord_gm/kit", "shinyguitar")
"""Folders that play in held-out sets alone: a drum kit and a guitar."""
DRUM_BANK = 128
Floats = npt.NDArray[np.float32]
Row = Mapping[str, str]
_COLUMNS = {"path", "licence", "family", "instrument", "kind", "midi"}
_KEYS = {
    "kick": (35, 36), "snare_sidestick": (37,), "snare": (38, 40), "perc_clap": (39,), "tom_floor": (41, 43),
    "hihat_closed": (42,), "hihat_foot": (44,), "tom_mid": (45, 47), "hihat_open": (46,), "tom_high": (48, 50),
    "cymbal_crash": (49, 57), "cymbal_ride": (51, 59), "cymbal_china": (52,), "cymbal_ridebell": (53,),
    "perc_tambourine": (54,), "cymbal_splash": (55,), "perc_cowbell": (56,), "perc_vibraslap": (58,), "perc_bongo": (60, 61),
    "perc_conga": (62, 63, 64), "perc_timbale": (65, 66), "perc_agogo": (67, 68), "perc_cabasa": (69,), "perc_maracas": (70,),
    "perc_guiro": (73, 74), "perc_claves": (75,), "perc_woodblock": (76, 77), "perc_triangle": (80, 81), "perc_shaker": (82,),
}  # fmt: skip
"""General MIDI's drum notes of each kind of hit."""
_INSTEAD = {
    "snare_sidestick": "snare", "hihat_foot": "hihat_closed", "cymbal_ridebell": "cymbal_ride", "cymbal_china": "cymbal_crash",
    "cymbal_splash": "cymbal_crash", "cymbal_ride": "cymbal_crash", "tom_high": "tom_mid", "tom_floor": "tom_mid",
    "tom_mid": "tom_high", "cymbal_crash": "cymbal_ride", "hihat_closed": "hihat_closed_tip", "hihat_open": "hihat_loose",
}  # fmt: skip
_ACOUSTIC, _CLEAN, DRIVEN = "acoustic guitar", "clean electric guitar", "distorted electric guitar"
# Labels that don't name one instrument of ours: which they can play, and which General MIDI programs (none: all of them).
_LABELS: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
    "guitar": ((_ACOUSTIC,), ()), "nylon_guitar": ((_ACOUSTIC,), ()), "archtop_guitar_acoustic_mic": ((_ACOUSTIC,), ()),
    "acoustic_guitar_steel": ((_ACOUSTIC,), ()), "archtop_guitar_pickup": ((_CLEAN, DRIVEN), ()),
    "electric_guitar": ((_CLEAN, DRIVEN), ()), "electric_guitar_clean_gretsch": ((_CLEAN, DRIVEN), ()),
    "electric_guitar_clean_hofner": ((_CLEAN, DRIVEN), ()), "electric_guitar_di_sg": ((_CLEAN, DRIVEN), ()),
    "double_bass_pizz": (("double bass",), (32,)), "double_bass_arco": (("double bass",), (43,)),
    "double_bass": (("double bass",), (32, 43)), "electric_bass_finger": (("electric bass",), (33, 34, 35)),
    "electric_bass_pick_di": (("electric bass",), (33, 34, 35)), "alto_sax": (("alto saxophone",), ()),
    "saxophone": (("alto saxophone", "tenor saxophone"), ()), "rhodes": (("electric piano",), ()),
    "upright_piano": (("piano",), ()), "string_section_pizzicato": (("string section",), (45,)),
    "string_section_tremolo": (("string section",), (44,)), "trumpet": (("trumpet",), (56,)),
}  # fmt: skip
_DECAYING = ("guitar", "bass", "piano", "keys", "world", "percussion")
"""Families whose notes die away by themselves, however long they are held."""
_LONGEST_NOTE_S, _LONGEST_HIT_S, _LONGEST_CYMBAL_S = 3.0, 1.2, 2.5
_RUMBLE = signal.butter(2, 22, "high", fs=RATE_HZ, output="sos")
_SOFTEST_LAYER = 20
_LEAST_KEYS = 3
_WORST_SHIFT = 5


@dataclass(frozen=True)
class RecordedPreset:
    """What a preset of recordings can play: instruments, programs (none: all), lowest and highest key, longest note."""

    name: str
    bank: int
    program: int
    instruments: tuple[str, ...]
    programs: tuple[int, ...]
    keys: tuple[int, int]
    note_s: float
    licence: str

    def suits(self, instrument: str, program: int | None, keys: tuple[float, float], note_s: float) -> bool:
        """Tell whether these recordings can play a part: its program (None: any), its range of keys, its long notes."""
        if instrument not in self.instruments or self.bank == DRUM_BANK:
            return instrument in self.instruments
        right = program is None or not self.programs or program in self.programs
        within = keys[0] >= self.keys[0] - _WORST_SHIFT and keys[1] <= self.keys[1] + _WORST_SHIFT
        return right and within and note_s <= self.note_s


def rows(folder: Path) -> list[dict[str, str]]:
    """Read the index of a folder of recordings.

    Raises:
        DataError: there is none, or a column is missing.
    """
    try:
        columns, listed = csv_files.read(folder / "index.tsv")
        found = [row for _, row in listed]
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"can't read {folder / 'index.tsv'} ({error}): --sounds takes a folder with such a table") from None
    if missing := sorted(_COLUMNS - set(columns)):
        raise DataError(
            f"{folder / 'index.tsv'} has no column {' and '.join(missing)}: its columns must be {', '.join(sorted(_COLUMNS))}"
        )
    return found


def build(folder: Path, held_out: bool) -> tuple[Soundfont, list[RecordedPreset]] | None:
    """Make a soundfont of the recordings that are held out, or of all the others.

    Drum kits lack some drums; these are taken from the folder's other kits. A kit has at least a kick and a snare.

    Returns:
        The soundfont and what its presets can play; None if there is nothing to play.

    Raises:
        DataError: the index or a recording can't be read.
    """
    index = [row for row in rows(folder) if row["path"].startswith(HELD_OUT) == held_out or row["family"] == "percussion"]
    sampled: list[SampledPreset] = []
    about: list[RecordedPreset] = []
    pools = _pools(index)
    for kit in _kits(pools):
        licence = next(row["licence"] for row in index if row["path"].startswith(f"{kit}/"))
        sampled.append(SampledPreset(kit, DRUM_BANK, len(about), drum_zones(folder, complete_kit(pools, kit))))
        about.append(RecordedPreset(kit, DRUM_BANK, len(about), ("drums",), (), (0, 127), np.inf, licence))
    places = sorted(
        {(str(Path(row["path"]).parent), row["instrument"]) for row in index if row["kind"] == "note" and row["midi"]}
    )
    program = 0
    for place, label in places:
        instruments, programs = _LABELS.get(label) or ((normalise(label.replace("_", " ")).instrument,), ())
        notes = [row for row in index if row["instrument"] == label and str(Path(row["path"]).parent) == place and row["midi"]]
        if len({row["midi"] for row in notes}) < _LEAST_KEYS or "other" in instruments or "staccato" in place:
            continue
        zones, keys, note_s = _note_zones(folder, notes)
        sampled.append(SampledPreset(label, 0, program, zones))
        about.append(RecordedPreset(place, 0, program, instruments, programs, keys, note_s, notes[0]["licence"]))
        program += 1
    return (make("recordings", RATE_HZ, sampled), about) if sampled else None


def _read(folder: Path, path: str, longest_s: float) -> Floats:
    """Read a recording from its attack to its end, mono."""
    import soundfile
    import soxr

    try:
        samples, rate_hz = soundfile.read(folder / path, dtype="float32", always_2d=True)
    except (OSError, RuntimeError) as error:
        raise DataError(f"can't read the recording {folder / path}: {error}: correct the file or its row") from None
    mono = signal.sosfilt(_RUMBLE, soxr.resample(samples.mean(axis=1), rate_hz, RATE_HZ)).astype(np.float32)
    loud = np.flatnonzero(np.abs(mono) > 0.02 * np.abs(mono).max(initial=1e-9))
    if not len(loud):
        raise DataError(f"the recording {folder / path} is silent: remove its row from the index")
    start, end = max(0, loud[0] - 48), min(len(mono), loud[-1] + 2400, loud[0] + int(longest_s * RATE_HZ))
    fade = min((end - start) // 2, 1200)
    cut: Floats = mono[start:end].copy()
    cut[len(cut) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return cut


def _loudness(samples: Floats) -> float:
    """Measure the root mean square of the first 0.2 s."""
    return float(np.sqrt((samples[:4800].astype(np.float64) ** 2).mean())) + 1e-6


def _layers(recordings: Sequence[Floats], level: float, count: int) -> list[PCM]:
    """Choose recordings from soft to loud, all brought to one level: FluidSynth itself plays soft notes softly."""
    ordered = sorted(recordings, key=_loudness)
    indices = np.unique(np.linspace(0, len(ordered) - 1, min(count, len(ordered))).astype(int))
    scaled = [ordered[index] * (level / _loudness(ordered[index])) for index in indices]
    return [np.round(samples * min(1.0, 0.95 / float(np.abs(samples).max())) * 32767).astype(np.int16) for samples in scaled]


def _zones(name: str, layers: list[PCM], keys: tuple[int, int], root: int, release_s: float, exclusive: int = 0) -> list[Zone]:
    edges = [0, *np.linspace(_SOFTEST_LAYER, 128, len(layers) + 1).astype(int)[1:].tolist()]
    return [
        Zone(name, layer, keys, (low, high - 1), root, release_s, exclusive)
        for layer, low, high in zip(layers, edges[:-1], edges[1:], strict=True)
    ]


def _pools(index: Sequence[Row]) -> dict[tuple[str, str], list[str]]:
    """List the hits of each folder by drum."""
    pools: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in index:
        if row["kind"] == "oneshot" and row["family"] in ("drums", "percussion"):
            pools[str(Path(row["path"]).parent), row["instrument"]].append(row["path"])
    return pools


def _kits(pools: Mapping[tuple[str, str], list[str]]) -> list[str]:
    return sorted({place for place, _ in pools if (place, "kick") in pools and (place, "snare") in pools})


def complete_kit(pools: Mapping[tuple[str, str], list[str]], kit: str) -> dict[str, list[str]]:
    """List the hits of each drum of a kit. The largest of the other kits lends a drum that the kit lacks."""
    others = sorted(
        {place for place, _ in pools} - {kit}, key=lambda place: -sum(len(pools[key]) for key in pools if key[0] == place)
    )
    found = {drum: next((paths for place in (kit, *others) if (paths := _hits(pools, place, drum))), []) for drum in _KEYS}
    return {drum: paths for drum, paths in found.items() if paths}


def drum_zones(folder: Path, hits: Mapping[str, Sequence[str]], gains: Mapping[str, float] | None = None) -> list[Zone]:
    """Place the hits of a kit on their notes; toms and hand drums of two notes are tuned a semitone apart.

    Args:
        folder: holds the recordings.
        hits: paths of the hits of each drum.
        gains: of drums that were not recorded with the right level.
    """
    zones: list[Zone] = []
    for drum, paths in hits.items():
        keys = _KEYS[drum]
        rings = drum.startswith("cymbal") or drum == "hihat_open"
        recordings = [_read(folder, path, _LONGEST_CYMBAL_S if rings else _LONGEST_HIT_S) for path in paths]
        peak = max(float(np.abs(samples).max()) for samples in recordings)
        level = max(map(_loudness, recordings)) * min((gains or {}).get(drum, 1.0), 0.8 / peak)
        layers = _layers(recordings, level, 6 if drum in ("kick", "snare", "hihat_closed") else 3)
        for number, key in enumerate(keys):
            shift = number - len(keys) // 2 if drum.startswith(("tom", "perc_bongo", "perc_conga")) else 0
            zones += _zones(drum, layers, (key, key), key - shift, 4.0, 1 if drum.startswith("hihat") else 0)
    return zones


def _hits(pools: Mapping[tuple[str, str], list[str]], place: str, drum: str) -> list[str]:
    for _ in range(3):
        if paths := pools.get((place, drum)):
            return paths
        drum = _INSTEAD.get(drum, "")
    return []


def _note_zones(folder: Path, notes: Sequence[Row]) -> tuple[list[Zone], tuple[int, int], float]:
    """Spread the notes of an instrument over the keys; return the zones, the lowest and highest note, the longest note."""
    recordings: dict[int, list[Floats]] = defaultdict(list)
    for row in notes:
        recordings[int(float(row["midi"]))].append(_read(folder, row["path"], _LONGEST_NOTE_S))
    keys = sorted(recordings)
    level = min(0.25, float(np.median([max(map(_loudness, recordings[key])) for key in keys])))
    edges = [0, *((low + high) // 2 + 1 for low, high in pairwise(keys)), 128]
    zones: list[Zone] = []
    for key, low, high in zip(keys, edges[:-1], edges[1:], strict=True):
        zones += _zones(str(key), _layers(recordings[key], level, 2), (low, high - 1), key, 0.15)
    length_s = float(np.median([len(samples) for key in keys for samples in recordings[key]])) / RATE_HZ
    return zones, (keys[0], keys[-1]), np.inf if notes[0]["family"] in _DECAYING else 0.8 * length_s
