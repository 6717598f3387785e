"""Measure which cut stems are found in their mix: `python tests/benchmarks/mix_lags.py FOLDER... [--seconds 240]`.

A FOLDER holds songs, each a folder of stems. Each stem loses up to 5 s of its start, its end, or both, and is looked for in the
sum of all stems, and in a master of it (equaliser, limiter, Vorbis). Prints how many are found where they were, and how many are
found elsewhere.
"""

import argparse
from collections import Counter, defaultdict

import numpy as np
from studio import RATE_HZ, master, mixed, songs

from instructme.dataset_tools import audio
from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.stems import mix_lags

NEAR_S = 0.002


def cut(wave: Samples, kind: str, random: np.random.Generator) -> tuple[Samples, float]:
    """Cut a wave; give what is left, and how much of its start is gone in seconds."""
    start_s = {"start, whole seconds": float(random.integers(0, 5)), "end": 0.0}.get(kind, random.uniform(0, 5))
    end_s = 0.0 if kind == "start, whole seconds" else random.uniform(1, 5)
    return wave[round(start_s * RATE_HZ) : len(wave) - round(end_s * RATE_HZ)], start_s


def main() -> None:
    """Print a line for each kind of cut and mix."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--seconds", type=int, default=240)
    arguments = parser.parse_args()
    random = np.random.default_rng(0)
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for _, waves in songs(arguments.folders, arguments.seconds):
        whole = mixed([*waves.values()])
        for name, mix in {"sum": whole, "master": master(whole)}.items():
            heard = audio.resample(mix, RATE_HZ, mix_lags.RATE_HZ)
            for wave in waves.values():
                for kind in ("start, whole seconds", "start and end", "end"):
                    left, start_s = cut(np.pad(wave, (0, len(whole) - len(wave))), kind, random)
                    lag_s = mix_lags._lag_s(heard, audio.resample(left, RATE_HZ, mix_lags.RATE_HZ))
                    right = lag_s is not None and abs(lag_s - start_s) < NEAR_S
                    counts[f"{name}, cut: {kind}"]["found" if right else "not certain" if lag_s is None else "wrong"] += 1
    for kind, seen in counts.items():
        print(f"{kind}: {', '.join(f'{what} {count}' for what, count in sorted(seen.items()))}")


if __name__ == "__main__":
    main()
