"""Measure `prepare`: its rate and its scaling beside the bare minimum of library calls, recognisers of audio, and memory.

    python tests/benchmarks/prepare.py WORK [--tracks 72] [--rounds 3]    # a working folder that `instructme scan` wrote
    python tests/benchmarks/prepare.py WORK --audio                       # what beats and chords from audio cost
    python tests/benchmarks/prepare.py --memory                           # peak of one worker on a 10-minute track of 20 stems
    python tests/benchmarks/prepare.py --memory --minutes 180 --stems 16  # the same of a concert, with beats from audio
    python tests/benchmarks/prepare.py --memory --minutes 20 --stems 8 --rate-hz 192000  # the same of files of a high rate

The floor decodes each stem with soundfile, resamples with soxr, sums, measures each part once with pyloudnorm and encodes it
as FLAC: the same files in plain processes, and nothing else. The stage is all of `prepare`, from the start of its workers to its
joined tables, with rhythm and chords from MIDI.
"""

import argparse
import json
import resource
import shutil
import sys
import tempfile
import time
from functools import partial
from itertools import count, groupby
from pathlib import Path

import numpy as np
import pyloudnorm
import soundfile
import soxr
from scaling import compare, spread

from instructme.dataset_tools.prepare_track import PrepareSettings
from instructme.dataset_tools.sharding import part_files
from instructme.manifests import tables
from instructme.manifests.rows import Stem, Track
from instructme.pipelines.processes import engine
from instructme.pipelines.stages.prepare import TrackUnit, make, prepare

RATE_HZ = 24000
Stems = list[tuple[Path, str]]
"""The stems of a track: path and instrument."""


def floor(stems: Stems) -> None:
    """Do the least that a track needs."""
    meter = pyloudnorm.Meter(RATE_HZ)
    with tempfile.NamedTemporaryFile(suffix=".flac") as out:
        for _, group in groupby(sorted(stems, key=lambda stem: stem[1]), key=lambda stem: stem[1]):
            part = np.zeros(0, dtype=np.float32)
            for path, _ in group:
                samples, file_rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
                channels = samples.shape[1]
                mono = samples[:, 0] if channels == 1 else samples @ np.full(channels, 1 / channels, np.float32)
                resampled = soxr.resample(mono, file_rate_hz, RATE_HZ)
                length = max(len(part), len(resampled))
                part = np.pad(part, (0, length - len(part))) + np.pad(resampled, (0, length - len(resampled)))
            meter.integrated_loudness(part)
            soundfile.write(out.name, part, RATE_HZ, format="FLAC", subtype="PCM_16")


def subset(work: Path, tracks: int, to: Path) -> list[Stems]:
    """Copy the tables of `scan` with tracks from all over them; give what the floor needs, the largest track first."""
    roots = {name: Path(stated["root"]) for name, stated in json.loads((work / "datasets.json").read_text()).items()}
    found = tables.read_rows(work / "tracks.parquet", Track)
    found = [found[at] for at in np.unique(np.linspace(0, len(found) - 1, tracks).round().astype(int))]
    datasets = {track.track_id: track.dataset for track in found}
    stems = [stem for stem in tables.read_rows(work / "stems.parquet", Stem) if stem.track_id in datasets]
    shutil.copy(work / "datasets.json", to)
    tables.write(to / "tracks.parquet", found, Track)
    tables.write(to / "stems.parquet", stems, Stem)
    hours = sum(stem.length_samples / stem.sample_rate_hz for stem in stems) / 3600
    print(f"{len(found)} tracks, {len(stems)} stems, {hours:.2f} h of stems")
    by_track = groupby(sorted(stems, key=lambda stem: stem.track_id), key=lambda stem: stem.track_id)
    listed = [(track, list(group)) for track, group in by_track]
    listed.sort(key=lambda each: -sum(stem.size_bytes for stem in each[1]))
    return [[(roots[datasets[track]] / stem.path, stem.instrument) for stem in group] for track, group in listed]


def rate(work: Path, tracks: int, rounds: int) -> None:
    """Print how `prepare` compares with its floor, on one and two workers."""
    with tempfile.TemporaryDirectory() as scratch:
        origin, run = Path(scratch, "origin"), count()
        origin.mkdir()
        stems = subset(work, tracks, origin)

        def stage(workers: int) -> None:
            copy = shutil.copytree(origin, Path(scratch, str(next(run))))
            prepare(copy, workers=workers, rhythm="midi", chords="midi")
            shutil.rmtree(copy)

        compare(partial(spread, floor, stems), stage, rounds)


def audio(work: Path, tracks: int) -> None:
    """Print the processor time of each recogniser for a minute of music."""
    with tempfile.TemporaryDirectory() as scratch:
        origin = Path(scratch)
        subset(work, tracks, origin)
        found = tables.read_rows(origin / "tracks.parquet", Track)
        stems = tables.read_rows(origin / "stems.parquet", Stem)
        root = {name: Path(each["root"]) for name, each in json.loads((origin / "datasets.json").read_text()).items()}
        minutes, taken = 0.0, {}
        for number, track in enumerate(found):
            own = [stem for stem in stems if stem.track_id == track.track_id]
            minutes += (own[0].length_samples / own[0].sample_rate_hz / 60) if number else 0
            for mode in (("none", "none"), ("midi", "midi"), ("audio", "none"), ("none", "audio")):
                settings = PrepareSettings(rhythm=mode[0], chords=mode[1])
                begun = time.process_time()
                marker = origin / "-".join(mode) / "parts" / track.track_id / part_files.MARKER
                make(TrackUnit(marker, {}, root[track.dataset], track, own, settings))
                # The first track loads the networks.
                taken[mode] = taken.get(mode, 0.0) + (time.process_time() - begun if number else 0)
        bare = taken.pop(("none", "none")) / minutes
        print(f"{minutes:.1f} minutes of music: {bare:.2f} s of processor a minute without rhythm and chords")
        for (beats, chords), seconds in taken.items():
            print(f"rhythm {beats}, chords {chords}: {seconds / minutes - bare:+.2f} s")


def memory(minutes: int, stems: int, rhythm: str, chords: str, rate_hz: int | None = None) -> None:
    """Prepare one long track on a worker and print the peak of its resident memory.

    Up to an hour, the stems are stereo noise of 44.1 kHz; longer ones are mono, of 24 kHz. Of those, and of a rate that is given,
    10 s of every 10 minutes sound, to save disk space.
    """
    with tempfile.TemporaryDirectory() as scratch:
        root, rng = Path(scratch), np.random.default_rng(0)
        track = Track("t", "d", "folder", "t", "t", None, None, "unknown", "train", False, "t", "t", True, *[None] * 4)
        rows, channels = [], 2 if minutes <= 60 else 1
        dense = channels == 2 and rate_hz is None
        rate_hz = rate_hz or (44100 if channels == 2 else 24000)
        for number in range(stems):
            path = root / f"{number}.flac"
            with soundfile.SoundFile(path, "w", rate_hz, channels, "PCM_16") as file:
                for minute in range(minutes):
                    noise = np.zeros((60 * rate_hz, channels), dtype=np.float32)
                    sounding = noise if dense else noise[: 10 * rate_hz if minute % 10 == 0 else 0]
                    sounding += rng.standard_normal(sounding.shape) * 0.1
                    file.write(noise)
            stated = (f"{number}", path.name, "x", None, None, f"instrument {number}", "family", True, False, "name", True)
            length, size = 60 * minutes * rate_hz, path.stat().st_size
            rows.append(Stem("t", *stated, rate_hz, channels, length, size, None, None, None, None))
        settings = PrepareSettings(rhythm=rhythm, chords=chords)
        unit = TrackUnit(root / "parts/t" / part_files.MARKER, {}, root, track, rows, settings)
        (peak,) = [peak for _, peak in engine.run(peak_mib, [unit], description="memory", item="unit", workers=1)]
        track_size = f"{minutes} minutes, {stems} stems of {channels} channels, {rate_hz} Hz, rhythm {rhythm}, chords {chords}"
        print(f"{track_size}: peak of the worker {peak:.0f} MiB")


def peak_mib(unit: TrackUnit) -> float:
    """Prepare a track; give the largest resident memory that this process has had."""
    make(unit)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", nargs="?", type=Path)
    parser.add_argument("--tracks", type=int, default=72)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--audio", action="store_true")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--stems", type=int, default=20)
    parser.add_argument("--rate-hz", type=int)
    parser.add_argument("--rhythm", choices=("none", "audio"))
    parser.add_argument("--chords", choices=("none", "audio"), default="none")
    chosen = parser.parse_args()
    if chosen.memory:
        rhythm = chosen.rhythm or ("audio" if chosen.minutes > 60 else "none")
        memory(chosen.minutes, chosen.stems, rhythm, chosen.chords, chosen.rate_hz)
    if chosen.work and chosen.audio:
        audio(chosen.work, chosen.tracks)
    elif chosen.work:
        rate(chosen.work, chosen.tracks, chosen.rounds)
    sys.exit(0 if chosen.memory or chosen.work else parser.print_usage())
