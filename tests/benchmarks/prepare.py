"""Measure `prepare`: its rate against the bare minimum of library calls, its scaling, and its memory.

    python tests/benchmarks/prepare.py WORK         # a working folder that `instructme scan` wrote
    python tests/benchmarks/prepare.py --memory     # peak of one worker on a 10-minute track of 20 stems

The floor decodes each stem with soundfile, resamples with soxr, sums, measures each part once with pyloudnorm and encodes it
as FLAC: the same files, one process, nothing else.
"""

import argparse
import json
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np
import pyloudnorm
import soundfile
import soxr

from manifests import tables
from manifests.rows import Stem, Track
from pipelines import engine
from pipelines.prepare import Settings, Unit, prepare, prepare_track


def floor(work: Path, out: Path, rate_hz: int = 24000) -> float:
    """Do the least that is needed; return the seconds of stems decoded."""
    roots = {name: Path(stated["root"]) for name, stated in json.loads((work / "datasets.json").read_text()).items()}
    dataset = {track.track_id: track.dataset for track in tables.read_rows(work / "tracks.parquet", Track)}
    stems = sorted(tables.read_rows(work / "stems.parquet", Stem), key=lambda stem: (stem.track_id, stem.instrument))
    seconds, meter = 0.0, pyloudnorm.Meter(rate_hz)
    for (track, _), group in groupby(stems, key=lambda stem: (stem.track_id, stem.instrument)):
        part = np.zeros(0, dtype=np.float32)
        for stem in group:
            samples, file_rate_hz = soundfile.read(roots[dataset[track]] / stem.path, dtype="float32", always_2d=True)
            mono = (
                samples[:, 0] if samples.shape[1] == 1 else samples @ np.full(samples.shape[1], 1 / samples.shape[1], np.float32)
            )
            resampled = soxr.resample(mono, file_rate_hz, rate_hz)
            length = max(len(part), len(resampled))
            part = np.pad(part, (0, length - len(part))) + np.pad(resampled, (0, length - len(resampled)))
            seconds += len(samples) / file_rate_hz
        meter.integrated_loudness(part)
        soundfile.write(out, part, rate_hz, format="FLAC", subtype="PCM_16")
    return seconds


def spent(work: Callable[[], object]) -> tuple[float, float]:
    """Time some work: seconds on the clock, and of processors in this process and its children."""
    begun, clock = _processor_s(), time.perf_counter()
    work()
    return time.perf_counter() - clock, _processor_s() - begun


def _processor_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def rate(work: Path) -> None:
    """Print the times of the floor, and of `prepare` with one and two workers, start-up included."""
    with tempfile.TemporaryDirectory() as scratch:
        seconds = floor(work, Path(scratch, "warm.flac"))
        least_s, least_processor_s = spent(lambda: floor(work, Path(scratch, "floor.flac")))
        print(f"{seconds / 3600:.2f} h of stems; floor {least_s:.1f} s, {least_processor_s:.1f} s of processor")
        for mode in ("none", "midi"):
            for workers in (1, 2):
                copy = Path(scratch, f"{mode}{workers}")
                copy.mkdir()
                for name in ("tracks.parquet", "stems.parquet", "datasets.json"):
                    shutil.copy(work / name, copy)
                took_s, processor_s = spent(partial(prepare, copy, workers=workers, rhythm=mode, chords=mode))
                print(
                    f"rhythm and chords {mode}, {workers} workers: {took_s:.1f} s, {processor_s:.1f} s of processor; "
                    f"rate {least_s / took_s:.2f} of the floor, {least_processor_s / processor_s:.2f} by processor time"
                )


def memory(minutes: float = 10, stems: int = 20, rate_hz: int = 44100) -> None:
    """Prepare one long track of stereo stems on a worker and print the peak of its resident memory."""
    with tempfile.TemporaryDirectory() as scratch:
        root, rng = Path(scratch), np.random.default_rng(0)
        track = Track("t", "d", "folder", "t", "t", None, None, "unknown", "train", False, "t", "t", True, *[None] * 4)
        rows, length = [], round(minutes * 60 * rate_hz)
        for number in range(stems):
            path = root / f"{number}.flac"
            with soundfile.SoundFile(path, "w", rate_hz, 2, "PCM_16") as file:
                for _ in range(round(minutes)):
                    file.write((rng.standard_normal((length // round(minutes), 2)) * 0.1).astype(np.float32))
            stated = (f"{number}", path.name, "x", None, None, f"instrument {number}", "family", True, False, "name", True)
            rows.append(Stem("t", *stated, rate_hz, 2, length, path.stat().st_size, None, None, None, None))
        unit = Unit(root, root, track, rows, Settings(rhythm="none", chords="none"), "key")
        (peak,) = [peak for _, peak in engine.run(peak_mib, [unit], description="memory", workers=1)]
        print(f"{minutes:g} minutes, {stems} stereo stems: peak of the worker {peak:.0f} MiB")


def peak_mib(unit: Unit) -> float:
    """Prepare a track; give the largest resident memory that this process has had."""
    prepare_track(unit)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", nargs="?", type=Path)
    parser.add_argument("--memory", action="store_true")
    chosen = parser.parse_args()
    if chosen.memory:
        memory()
    if chosen.work:
        rate(chosen.work)
    sys.exit(0 if chosen.memory or chosen.work else parser.print_usage())
