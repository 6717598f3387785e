"""Measure which dropouts are told: `python tests/benchmarks/dropouts.py FOLDER...`.

Each file below a FOLDER is heard as it is, where nothing should be told. Then, at up to three places that sound, 128 to 1,024
samples of it are set to zero, or those before come again. Prints how many are told.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.stems.dropouts import Dropouts

LEAST_RMS = 0.01


def is_told(samples: Samples, rate_hz: int) -> bool:
    listener = Dropouts(rate_hz)
    listener.hear(samples)
    return listener.detail() is not None


def broken(samples: Samples, rate_hz: int, rng: np.random.Generator) -> Iterator[tuple[str, Samples]]:
    """Take two seconds of a file, and lose samples in their middle."""
    for _ in range(3):
        at, length = int(rng.integers(rate_hz, len(samples) - rate_hz)), int(rng.choice([128, 256, 512, 1024]))
        if np.sqrt(np.mean(samples[at - rate_hz // 100 :][: rate_hz // 50 + length] ** 2)) < LEAST_RMS:
            continue
        lost = slice(rate_hz, rate_hz + length)
        hole = samples[at - rate_hz : at + rate_hz].copy()
        again = hole.copy()
        hole[lost] = 0
        yield "holes", hole
        if length >= 256:
            again[lost] = again[rate_hz - length : rate_hz]
            yield "repeats", again


def main() -> None:
    rng, told = np.random.default_rng(0), {"files": [0, 0], "holes": [0, 0], "repeats": [0, 0]}
    files = sorted(
        path for root in sys.argv[1:] for path in Path(root).rglob("*") if path.suffix in (".flac", ".wav", ".ogg", ".mp3")
    )
    for path in files:
        samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
        cases = [("files", samples)]
        if len(samples) > 3 * rate_hz:
            cases += broken(samples, rate_hz, rng)
        for kind, heard in cases:
            found = is_told(heard, rate_hz)
            told[kind][0] += found
            told[kind][1] += 1
            if found and kind == "files":
                print(path)
    print(", ".join(f"{kind}: {count} of {of}" for kind, (count, of) in told.items()))


if __name__ == "__main__":
    main()
