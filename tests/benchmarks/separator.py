"""SI-SDR of a separator by instrument, beside doing nothing, on folders of songs in parts.

    python -m tests.benchmarks.separator RUN FOLDER... [--splits test] [--seconds 10] [--most 200]

A folder is a bank (see tests/gpu/bank_files.py), or the working folder of songs that were scanned and prepared. Every
window in which an instrument and the rest of the song both sound counts once. Intervals are over songs (bootstrap, 95 %).
SI-SDR ignores levels: `soft` is the share of windows in which an answer is over 12 dB softer than the instrument. A silent one
counts as doing nothing.
"""

import argparse
import csv
import itertools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from instructme.dataset_tools import audio
from instructme.manifests.instruments import INSTRUMENTS
from instructme.manifests.rows import SPLITS, DataError, Part, Track
from instructme.manifests.tables import read_rows
from instructme.model.separation_loss import si_sdr_db, silent
from instructme.pipelines.editing.part_separator import PartSeparator
from instructme.pipelines.training.drawn_mixes import NAMES, covers

sys.path.insert(0, str(Path(__file__).parents[1] / "gpu"))
from bank_files import read_song

Song = tuple[str, Callable[[], list[tuple[str, np.ndarray]]]]
"""A name, and a function that reads the parts (instrument, int16 samples)."""
RATE_HZ = 24_000
ASKED_AS = {"drum machine": "drums", "electric drum kit": "drums"}


def main() -> None:
    """Print a table of each folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--most", type=int, default=200, help="windows of a folder")
    parser.add_argument("--out", type=Path, help="CSV of all windows")
    parser.add_argument("--splits", nargs="*", default=SPLITS, help="songs of a working folder that count")
    options = parser.parse_args()
    torch.set_num_threads(1)
    separator, rows = PartSeparator.load(options.run), []
    for folder in options.folders:
        found = list(measure(separator, folder, options.seconds, options.most, options.splits))
        rows += found
        show(folder.name, found)
    if options.out:
        with options.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)


def measure(
    separator: PartSeparator, folder: Path, seconds: int, most: int, splits: Sequence[str] = SPLITS
) -> list[dict[str, object]]:
    """Measure windows spread over all songs of a folder."""
    rows, rng = [], np.random.default_rng(0)
    songs = [*_songs_of_work(folder, splits)] if (folder / "tracks.parquet").exists() else [*_songs_of_bank(folder)]
    share = max(1, most // len(songs))
    for name, read in songs:
        parts = read()
        length = min(len(sound) for _, sound in parts)
        windows = [
            (start, index)
            for start in range(0, max(1, length - seconds * RATE_HZ // 2), seconds * RATE_HZ)
            for index in range(len(parts))
        ]
        rng.shuffle(windows)
        done = 0
        for start, index in windows:
            row = _measure(separator, parts, index, start, seconds * RATE_HZ) if done < share else None
            if row:
                rows.append({"folder": folder.name, "song": name, "start_s": start / RATE_HZ} | row)
                done += 1
    return rows


def _songs_of_bank(folder: Path) -> Iterator[Song]:
    for path in sorted(folder.glob("*.json")):
        yield path.stem, lambda path=path: read_song(path)[1]


def _songs_of_work(work: Path, splits: Sequence[str]) -> Iterator[Song]:
    tracks = {track.track_id for track in read_rows(work / "tracks.parquet", Track) if track.split in splits}
    rows = sorted(
        (row for row in read_rows(work / "parts.parquet", Part) if row.track_id in tracks),
        key=lambda row: (row.track_id, row.path),
    )
    if wrong := next((row for row in rows if row.sample_rate_hz != RATE_HZ), None):
        raise DataError(f"{work / wrong.path} has {wrong.sample_rate_hz} Hz: prepare with --sample-rate {RATE_HZ}")
    for track, own in itertools.groupby(rows, key=lambda row: row.track_id):
        paths = [(row.instrument, work / row.path) for row in own]
        yield track, lambda paths=paths: [(name, audio.to_int16(audio.read(path))) for name, path in paths]


def _measure(
    separator: PartSeparator, parts: list[tuple[str, np.ndarray]], index: int, start: int, length: int
) -> dict[str, object] | None:
    instrument = parts[index][0]
    if not INSTRUMENTS[instrument].editable:
        return None
    name = ASKED_AS.get(instrument, instrument)
    sounds = [(each, sound[start : start + length].astype(np.float32) / 32768) for each, sound in parts]
    mix = sum(sound for _, sound in sounds)
    answer = sum(sound for each, sound in sounds if covers(name, each))
    powers = [float(np.square(each).mean()) for each in (mix, answer, mix - answer)]
    if min(powers[1:]) < 1e-3 * powers[0] or powers[0] < 1e-7:
        return None
    begun_s = time.process_time()
    estimate = np.concatenate(list(separator.parts(mix[:, None], RATE_HZ, [name])))[:, 0]
    spent_s = time.process_time() - begun_s
    absent = next(each for each in ("harp", "accordion", "tuba", "sitar") if not any(covers(each, other) for other, _ in sounds))
    ghost = np.concatenate(list(separator.parts(mix[:, None], RATE_HZ, [absent])))[:, 0]
    db = lambda ours, theirs: float(si_sdr_db(torch.from_numpy(ours), torch.from_numpy(theirs)))  # noqa: E731
    heard = mix if silent(torch.from_numpy(estimate), torch.from_numpy(answer)) else estimate
    return {
        "instrument": instrument,
        "family": INSTRUMENTS[instrument].family,
        "remove": db(mix - estimate, mix - answer),
        "remove_identity": db(mix, mix - answer),
        "extract": db(heard, answer),
        "extract_identity": db(mix, answer),
        "soft": float(np.square(estimate).mean()) < 10**-1.2 * powers[1],
        "processor_s": spent_s,
        "ghost_db": 10 * np.log10(max(float(np.square(ghost).mean()) / powers[0], 1e-9)),
    }


def show(title: str, rows: list[dict[str, object]]) -> None:
    """Print means of gains over doing nothing: of all, and by family."""
    print(f"\n{title}: {len(rows)} windows of {len({row['song'] for row in rows})} songs")
    print(f"processor time of an answer: {np.median([row['processor_s'] for row in rows]):.2f} s (median)")
    print(
        f"{'':24} {'n':>4} {'remove':>7} {'gain':>6} {'interval':>14} "
        f"{'extract':>8} {'gain':>6} {'interval':>14} {'soft':>5} {'absent':>7}"
    )
    groups = {"all": rows, "pitched": [row for row in rows if row["family"] not in ("drums", "percussion")]}
    for name in sorted({str(row["instrument" if len({each["song"] for each in rows}) < 12 else "family"]) for row in rows}):
        groups[name] = [row for row in rows if name in (row["instrument"], row["family"])]
    for name, group in groups.items():
        cells = []
        for task in ("remove", "extract"):
            gains = np.array([row[task] - row[f"{task}_identity"] for row in group])
            low, high = _interval(gains, np.array([row["song"] for row in group]))
            cells.append(f"{np.mean([row[task] for row in group]):7.2f} {gains.mean():6.2f} [{low:5.1f}, {high:5.1f}]")
        soft, absent_db = np.mean([row["soft"] for row in group]), np.median([row["ghost_db"] for row in group])
        print(f"{name:24} {len(group):4} {cells[0]} {cells[1]} {soft:5.0%} {absent_db:7.1f}")


def _interval(gains: np.ndarray, songs: np.ndarray) -> tuple[float, float]:
    rng, names = np.random.default_rng(0), np.unique(songs)
    if len(names) < 2:
        return float("nan"), float("nan")
    by_song = {name: gains[songs == name] for name in names}
    means = [np.concatenate([by_song[name] for name in rng.choice(names, len(names))]).mean() for _ in range(1000)]
    return float(np.percentile(means, 2.5)), float(np.percentile(means, 97.5))


if __name__ == "__main__":
    assert set(NAMES) <= set(INSTRUMENTS)
    sys.exit(main())
