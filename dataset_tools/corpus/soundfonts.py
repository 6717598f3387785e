"""Make soundfonts (SoundFont 2.04) of recordings, and write them."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

_GAP_SAMPLES = 46
"""The format wants so many zero samples after each sample."""
_KEYS, _VELOCITIES, _RELEASE, _MODE, _EXCLUSIVE, _ROOT, _INSTRUMENT, _SAMPLE = 43, 44, 38, 54, 57, 58, 41, 53
_VERSION_2 = struct.pack("<4sIHH", b"ifil", 4, 2, 4)
PCM = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Soundfont:
    """The three lists of a soundfont: INFO, all samples one after the other, and the tables of presets (pdta)."""

    info: bytes
    samples: PCM
    tables: bytes


@dataclass(frozen=True)
class Zone:
    """One recording of an instrument: which keys and velocities it plays, its own key, and how long it rings on in seconds.

    A note of an exclusive class other than 0 stops the notes of its class, as a closed hi-hat stops an open one.
    """

    name: str
    samples: PCM
    keys: tuple[int, int]
    velocities: tuple[int, int]
    root: int
    release_s: float
    exclusive: int = 0


@dataclass(frozen=True)
class SampledPreset:
    """An instrument of a soundfont; drum kits are in bank 128."""

    name: str
    bank: int
    program: int
    zones: Sequence[Zone]


def _joined(chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join(name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in chunks)


def write(path: Path, font: Soundfont) -> None:
    """Write a soundfont of version 2."""
    data = b"sdta" + _joined([(b"smpl", font.samples.astype("<i2").tobytes())])
    body = b"sfbk" + _joined((b"LIST", part) for part in (font.info, data, font.tables))
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)


def make(name: str, rate_hz: int, presets: Sequence[SampledPreset]) -> Soundfont:
    """Make a soundfont of recordings. Its envelopes and filters are the defaults of the format, and nothing loops."""
    tables = {key: bytearray() for key in ("phdr", "pbag", "pmod", "pgen", "inst", "ibag", "imod", "igen", "shdr")}
    numbers: dict[int, int] = {}
    pieces: list[PCM] = []
    length = 0
    for number, preset in enumerate(sorted(presets, key=lambda preset: (preset.bank, preset.program))):
        bag = len(tables["pbag"]) // 4
        tables["phdr"] += struct.pack("<20sHHHIII", _label(preset.name), preset.program, preset.bank, bag, 0, 0, 0)
        tables["pbag"] += struct.pack("<HH", len(tables["pgen"]) // 4, 0)
        tables["pgen"] += struct.pack("<HH", _INSTRUMENT, number)
        tables["inst"] += struct.pack("<20sH", _label(preset.name), len(tables["ibag"]) // 4)
        for zone in preset.zones:
            if id(zone.samples) not in numbers:
                numbers[id(zone.samples)] = len(numbers)
                end = length + len(zone.samples)
                bounds = length, end, length, end
                tables["shdr"] += struct.pack("<20s5IBbHH", _label(zone.name), *bounds, rate_hz, zone.root, 0, 0, 1)
                pieces += [zone.samples, np.zeros(_GAP_SAMPLES, np.int16)]
                length = end + _GAP_SAMPLES
            tables["ibag"] += struct.pack("<HH", len(tables["igen"]) // 4, 0)
            tables["igen"] += _generators(zone, numbers[id(zone.samples)])
    bag = len(tables["pbag"]) // 4
    tables["phdr"] += struct.pack("<20sHHHIII", b"EOP", 0, 0, bag, 0, 0, 0)
    tables["pbag"] += struct.pack("<HH", len(tables["pgen"]) // 4, 0)
    tables["inst"] += struct.pack("<20sH", b"EOI", len(tables["ibag"]) // 4)
    tables["ibag"] += struct.pack("<HH", len(tables["igen"]) // 4, 0)
    for key, size in (("pmod", 10), ("pgen", 4), ("imod", 10), ("igen", 4)):
        tables[key] += bytes(size)
    tables["shdr"] += struct.pack("<20s5IBbHH", b"EOS", 0, 0, 0, 0, 0, 0, 0, 0, 0)
    title = name.encode("ascii", "replace") + b"\0"
    # FluidSynth refuses a soundfont whose INFO has a chunk of odd size, padded or not.
    info = _VERSION_2 + _joined([(b"isng", b"EMU8000\0"), (b"INAM", title + b"\0" * (len(title) % 2))])
    packed = _joined((key.encode(), bytes(data)) for key, data in tables.items())
    return Soundfont(b"INFO" + info, np.concatenate(pieces), b"pdta" + packed)


def _generators(zone: Zone, sample: int) -> bytes:
    values = [(_KEYS, zone.keys[0] | zone.keys[1] << 8), (_VELOCITIES, zone.velocities[0] | zone.velocities[1] << 8)]
    values += [(_RELEASE, round(1200 * float(np.log2(zone.release_s))) & 0xFFFF), (_MODE, 0)]
    values += [(_EXCLUSIVE, zone.exclusive)] if zone.exclusive else []
    return b"".join(struct.pack("<HH", *value) for value in [*values, (_ROOT, zone.root), (_SAMPLE, sample)])


def _label(text: str) -> bytes:
    return text.encode("ascii", "replace")[:19]
