"""Measure which wrong stems the mix beside them shows: `python tests/benchmarks/mix_check.py FOLDER... [--seconds 120]`.

A FOLDER holds songs, each a folder of stems. The mix is the sum of all stems; a master of it (equaliser, limiter, Vorbis); or a
sum of stems at other levels, each with an effect. Of each song, one stem after the other is made late, inverted, reversed or
louder, is taken out of the mix, or is left out beside it. Prints in how many songs this is told of the right stem or of the song,
and how often right stems are told.
"""

import argparse
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from studio import EFFECTS, RATE_HZ, master, mixed, songs

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.layouts import Rejected
from instructme.dataset_tools.stems import mix_check, song_spectra
from instructme.dataset_tools.stored import Stored

FAULTS = (
    "none",
    "30 ms late",
    "0.4 s late",
    "inverted",
    "reversed",
    "0.4 s late from the middle on",
    "18 dB louder",
    "not in the mix",
    "missing",
)
_MOST_DB = 6.0


def produced(waves: Mapping[str, Samples], random: np.random.Generator) -> dict[str, Samples]:
    """Give each stem an effect, and a level of its own."""
    effects = list(EFFECTS.values())
    return {
        name: effects[random.integers(len(effects))](wave) * np.float32(10 ** (random.uniform(-_MOST_DB, _MOST_DB) / 20))
        for name, wave in waves.items()
    }


def changed(wave: Samples, fault: str) -> Samples:
    """Give a stem a fault."""
    late_s = {"30 ms late": 0.03, "0.4 s late": 0.4}.get(fault, 0.0)
    if late_s:
        return np.concatenate([np.zeros(round(late_s * RATE_HZ), np.float32), wave])[: len(wave)]
    if "middle" in fault:
        middle = len(wave) // 2
        return np.concatenate([wave[:middle], np.zeros(round(0.4 * RATE_HZ), np.float32), wave[middle:]])[: len(wave)]
    return {"inverted": -wave, "reversed": wave[::-1], "18 dB louder": 8 * wave}.get(fault, wave)


def told(stems: Mapping[str, Samples], mix: Samples, scratch: Path) -> list[Rejected]:
    """Compare stems with a mix as `prepare` does."""
    spectra = {
        name: song_spectra.of(Stored(scratch).extend([np.ascontiguousarray(wave)]), RATE_HZ, len(mix))
        for name, wave in {**stems, "": mix}.items()
    }
    whole = spectra.pop("")
    return mix_check.check(spectra, whole, mix_check.common_lag_s(spectra, whole), "the mix")


def verdict(rows: list[Rejected], name: str, fault: str, stems: int) -> str:
    """Say whether what is told is the fault: of the stem, of the other one of two, or of the song."""
    named = {row.item for row in rows}
    if fault == "none":
        return "told" if rows else "nothing"
    of_song = fault in ("18 dB louder", "missing")
    right = "" in named if of_song else name in named or (stems == 2 and named - {""})
    return "right" if right else "told of another" if named else "nothing"


def main() -> None:
    """Print a line for each kind of mix and fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--seconds", type=int, default=120)
    arguments = parser.parse_args()
    random = np.random.default_rng(0)
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    with tempfile.TemporaryDirectory() as scratch:
        for number, (song, waves) in enumerate(songs(arguments.folders, arguments.seconds)):
            waves = {name: np.pad(wave, (0, max(map(len, waves.values())) - len(wave))) for name, wave in waves.items()}
            name = sorted(waves)[number % len(waves)]
            for kind in ("sum", "master", "produced"):
                heard = produced(waves, random) if kind == "produced" else waves
                for fault in FAULTS:
                    inside = {other: wave for other, wave in heard.items() if fault != "not in the mix" or other != name}
                    beside = {other: wave for other, wave in waves.items() if fault != "missing" or other != name}
                    mix = mixed([*inside.values()])
                    mix = master(mix) if kind == "master" else mix
                    stems = beside | ({name: changed(waves[name], fault)} if fault != "missing" else {})
                    rows = told(stems, mix[: len(waves[name])], Path(scratch))
                    counts[f"{kind}, {fault}"][verdict(rows, name, fault, len(waves))] += 1
                    print(song, kind, fault, name, *(f"{row.item}: {row.detail}" for row in rows), sep=" | ", flush=True)
    for kind, seen in counts.items():
        print(f"{kind}: {', '.join(f'{what} {count}' for what, count in sorted(seen.items()))}")


if __name__ == "__main__":
    main()
