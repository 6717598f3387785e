"""Measure which sums of stems are left out as buses: `python tests/benchmarks/buses.py FOLDER... [--seconds 60]`.

A FOLDER holds songs, each a folder of stems. Of each song, the sum of all its stems but the last one is added as the stem `bus`,
as it is and through effects; and as `whole`, the sum of all with the last stem taken away from the others, so that it holds
sounds of its own. Prints how many are left out, how many are told, and how often stems of the songs as they are raise an alarm.
"""

import argparse
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

from studio import EFFECTS, RATE_HZ, mixed, songs

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.stems import bus_effects, mixtures
from instructme.dataset_tools.stored import Stored


def verdict(waves: Mapping[str, Samples], bus: str, scratch: Path) -> str:
    """Ask as `prepare` does about a stem whose name is a group's."""
    stored = {name: Stored(scratch).extend([wave]) for name, wave in waves.items()}
    sketches = {name: mixtures.sketch(sound, RATE_HZ) for name, sound in stored.items()}
    seen = mixtures.overlaps(sketches, groups={bus})
    for each in seen:
        effects = each.name == bus and len(each.holds) > 1 and each.share >= mixtures.OVERLAP
        if each.is_sum or (
            effects and bus_effects.explained(stored[bus], [stored[name] for name in each.holds], RATE_HZ) >= mixtures.SUM
        ):
            return "left out" if each.name == bus else "another stem left out"
    return "told" if seen else "nothing"


def main() -> None:
    """Print a line for each kind of bus."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--seconds", type=int, default=60)
    arguments = parser.parse_args()
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        for _, waves in songs(arguments.folders, arguments.seconds):
            counts["songs without a bus"][verdict(waves, "", scratch)] += 1
            *members, last = waves
            if len(members) < 2:
                continue
            inside = mixed([waves[name] for name in members])
            for kind, effect in EFFECTS.items():
                counts[f"bus of all stems but one: {kind}"][verdict({**waves, "bus": effect(inside)}, "bus", scratch)] += 1
            others = {name: waves[name] for name in members}
            whole = mixed([inside, waves[last]])
            counts["sum that holds one more stem"][verdict({**others, "bus": whole}, "bus", scratch)] += 1
    for kind, seen in counts.items():
        print(f"{kind}: {', '.join(f'{what} {count}' for what, count in sorted(seen.items()))}")


if __name__ == "__main__":
    main()
