"""Measure which sums of stems are left out as buses: `python tests/benchmarks/buses.py FOLDER... [--seconds 60]`.

A FOLDER holds songs, each a folder of stems. Of each song, the sum of all its stems but the last one is added as the stem `bus`,
as it is and through effects; and as `whole`, the sum of all with the last stem taken away from the others, so that it holds
sounds of its own. Each bus is also made late by up to a second. Prints how many are left out, how many are told, and how often
stems of the songs as they are raise an alarm.
"""

import argparse
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from studio import EFFECTS, RATE_HZ, mixed, songs

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.stems import heard_twice, mixtures, song_spectra
from instructme.dataset_tools.stored import Stored


def verdict(waves: Mapping[str, Samples], bus: str, scratch: Path) -> str:
    """Ask as `prepare` does about a stem whose name is a group's."""
    stored = {name: Stored(scratch).extend([wave]) for name, wave in waves.items()}
    length = max(map(len, stored.values()))
    song = heard_twice.Song(
        stems=[SimpleNamespace(path=name, label="drums" if name == bus else "x", rule="name") for name in stored],  # type: ignore[misc]
        sketches={name: mixtures.sketch(sound, RATE_HZ) for name, sound in stored.items()},
        spectra={name: song_spectra.of(sound, RATE_HZ, length) for name, sound in stored.items()},
        read=lambda name: Stored(scratch).extend([waves[name]]),
        rate_hz=RATE_HZ,
        channels=1,
        scratch=scratch,
    )
    seen = heard_twice.find(song)
    if any(each.is_sum for each in seen):
        return "left out" if all(each.name == bus for each in seen if each.is_sum) else "another stem left out"
    return "told" if seen else "nothing"


def main() -> None:
    """Print a line for each kind of bus."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--seconds", type=int, default=60)
    arguments = parser.parse_args()
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        for _, waves in songs(arguments.folders, arguments.seconds):
            counts["songs without a bus"][verdict(waves, "", scratch)] += 1
            *members, last = waves
            if len(members) < 2:
                continue
            inside = mixed([waves[name] for name in members])
            for kind, effect in EFFECTS.items():
                bus = effect(inside)
                counts[f"bus of all stems but one: {kind}"][verdict({**waves, "bus": bus}, "bus", scratch)] += 1
                late = np.pad(bus, (random.integers(1, RATE_HZ), 0))
                counts[f"bus of all stems but one, late: {kind}"][verdict({**waves, "bus": late}, "bus", scratch)] += 1
            others = {name: waves[name] for name in members}
            whole = mixed([inside, waves[last]])
            counts["sum that holds one more stem"][verdict({**others, "bus": whole}, "bus", scratch)] += 1
    for kind, seen in counts.items():
        print(f"{kind}: {', '.join(f'{what} {count}' for what, count in sorted(seen.items()))}")


if __name__ == "__main__":
    main()
