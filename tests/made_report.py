"""Make up the report of an audit of about 2,100 tracks and 150 instruments: numbers as large and uneven as real ones."""

from itertools import product

import numpy as np

from instructme.dataset_tools.audit.report import Bars, Finding, Histogram, Matrix, Report, Section, Table
from instructme.dataset_tools.tasks import task_names
from instructme.manifests.instruments import INSTRUMENTS
from instructme.manifests.rows import SPLITS
from instructme.pipelines.pages import PageClip, Row

TASKS = task_names()

GENRES = ("Pop", "Rock", "Jazz", "Classical", "Electronic", "Folk", "Funk", "Blues", "Country", "Latin", "Metal", "Soul", "R&B")
SHARES = (0.72, 0.13, 0.15)
KEYS = [
    f"{root} {mode}" for mode in ("major", "minor") for root in ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
]


def made_names(count: int) -> tuple[str, ...]:
    """Name instruments: those of the vocabulary, then more of their like."""
    more = (f"{name} {number}" for number, name in product(range(2, 99), INSTRUMENTS))
    return tuple([*INSTRUMENTS, *(next(more) for _ in range(count))][:count])


def made_report(tracks: int = 2100, instruments: int = 150, seed: int = 0) -> Report:
    """Make up all sections."""
    rng = np.random.default_rng(seed)
    names = made_names(instruments)
    weight = np.sort(rng.lognormal(0, 1.4, instruments))[::-1]
    facts = {
        "tracks": f"{tracks:,}", "hours": f"{tracks * 0.0562:.1f}", "parts": f"{tracks * 9:,}", "clips": f"{tracks * 20:,}",
        "triplets": f"{tracks * 950:,}", "datasets": "3", "instruments": f"{instruments}", "genres": f"{len(GENRES)}",
        "left out": "3.1 %", "licences": "CC-BY-4.0, CC-BY-NC-SA-4.0, GPL-2.0-or-later",
    }  # fmt: skip
    sections = (
        Section("size", "How much there is", "Hours, tracks, clips and triplets.", _size(rng, tracks, names, weight)),
        Section("leakage", "Leakage", "The same music in two splits or two datasets makes every score too good.", _leaks(rng)),
        Section("labels", "Labels", "What the stems say they are, and whether to believe it.", _labels(rng)),
        Section("music", "Music", "Loudness, activity, tempo, key and metre of what was prepared.", _music(rng, tracks)),
        Section("coverage", "Coverage", "What an editor can learn from this, and what it can't.", _coverage(rng, names, weight)),
        Section("tracks", "Tracks", "Every track.", (_tracks(rng, tracks),)),
    )
    return Report("Audit of slakh2100, musdb18hq and moisesdb", facts, sections)


def _size(rng, tracks, names, weight):
    per_split = [round(tracks * share) for share in SHARES]
    rows = tuple(
        (dataset, split, round(count * part), float(count * part * 0.0562), round(count * part * 9.1), round(count * part * 20.3))
        for dataset, part in (("slakh2100", 0.8), ("moisesdb", 0.12), ("musdb18hq", 0.08))
        for split, count in zip(SPLITS, per_split, strict=True)
    )
    return (
        Table("Datasets and splits", ("dataset", "split", "tracks", "hours", "parts", "clips"), rows),
        Table(
            "Triplets by task",
            ("task", *SPLITS),
            tuple((task, *(int(n) for n in rng.integers(8_000, 400_000, 3))) for task in TASKS),
        ),
        Bars("Hours by genre", "hours", dict(zip(GENRES, np.sort(rng.lognormal(2, 1, len(GENRES)))[::-1].tolist(), strict=True))),
        Bars("Parts by instrument", "parts", dict(zip(names, np.rint(weight * 180).tolist(), strict=True)), "Merged stems."),
        Table(
            "Rejects by reason",
            ("reason", "stage", "rows", "share in %", "what to do"),
            (
                ("no_active_parts", "prepare", 1312, 3.12, "nothing: silence can't be edited"),
                ("length_differs", "prepare", 41, 0.1, "look at the stems; --length-tolerance pads them"),
                ("undecodable", "prepare", 3, 0.007, "copy the files again"),
                ("missing_stem", "scan", 12, None, "the metadata names a file that isn't there"),
            ),
        ),
    )


def _leaks(rng):
    pairs = tuple(
        (f"moisesdb-{rng.integers(1e6):06x}", "train", f"musdb18hq-{rng.integers(1e6):06x}", "test", float(rng.uniform(0.7, 1)))
        for _ in range(24)
    )
    return (
        Finding(
            "error",
            "24 tracks sound in train and in test",
            "Their fingerprints agree. Split again with one leak group for each pair, or leave one of each out.",
            Table("Pairs of tracks", ("track", "split", "other track", "its split", "agreement"), pairs),
        ),
        Finding("warning", "6 songs are in two datasets", "Same artist and title in MUSDB18 and MedleyDB, all in one split."),
        Finding("fine", "No MIDI file is in two splits", "1,702 files compared by their notes."),
        Finding("fine", "No file is in two tracks", "18,931 files compared by SHA-256."),
    )


def _labels(rng):
    names = ("Elec Gtr DI 2", "SynthLd (print)", "BV stack L+R", "FX riser 3", "Perc loop", "Room mic", "GUIDE", "Sax?", "Keys 1")
    unmatched = tuple((name, int(rng.integers(1, 60)), "moisesdb") for name in names * 4)
    return (
        Finding(
            "warning", "41 stems have a program that their plugin contradicts", "Slakh renders some programs with another plugin."
        ),
        Finding("note", "212 stems are marked as bleeding", "They can sound in mixes; recipes never name them."),
        Table("Unmatched names", ("label", "stems", "dataset"), unmatched, "These became “other”: an alias file can name them."),
        Table("Licences", ("licence", "tracks"), (("CC-BY-4.0", 1710), ("CC-BY-NC-SA-4.0", 240), (None, 150))),
    )


def _spread(rng, draw, edges, count):
    return {
        split: tuple(np.histogram(draw(rng, round(count * share)), edges)[0].tolist())
        for split, share in zip(SPLITS, SHARES, strict=True)
    }


def _music(rng, tracks):
    def histogram(title, unit, edges, draw, count, note=""):
        return Histogram(title, unit, tuple(map(float, edges)), _spread(rng, draw, edges, count), note)

    every = np.sort(rng.normal(-21, 5, tracks * 9))
    return (
        histogram("Loudness of parts", "LUFS", np.arange(-60, -2, 2), lambda rng, n: rng.normal(-21, 6, n), tracks * 9),
        histogram("Tempo", "bpm", np.arange(50, 216, 5), lambda rng, n: rng.lognormal(np.log(112), 0.24, n), tracks),
        histogram(
            "Activity of parts", "% of the time", np.arange(0, 101, 5), lambda rng, n: 100 * rng.beta(1.6, 0.9, n), tracks * 9
        ),
        histogram("Parts in a clip", "parts", np.arange(0.5, 17), lambda rng, n: rng.poisson(6, n), tracks * 20, "That sound."),
        Histogram("Peak of stems", "dB", tuple(np.linspace(-40, 0, 41)), {"": tuple(np.histogram(every, 40)[0].tolist())}),
        Bars("Keys", "tracks", {key: int(rng.integers(10, 190)) for key in KEYS}),
        Bars("Change of level", "dB", {"drums": 2.5, "bass": -1.25, "piano": 0.0}),
        Table("Metre", ("metre", "tracks", "trusted in %"), (("4/4", 1863, 98.1), ("3/4", 151, 91.4), ("6/8", 86, 88.0))),
    )


def _coverage(rng, names, weight):
    together = rng.poisson(np.outer(weight, weight) * 9)
    together = together + together.T
    columns = tuple(f"{task} {split}" for task in TASKS for split in SPLITS)
    drawn = rng.poisson(np.outer(weight, np.tile([60, 3, 4], len(TASKS))))
    families = ("strings", "brass", "reed", "pipe", "guitar", "keys", "bass", "drums")
    return (
        Matrix(
            "Recipes by instrument, task and split", names, columns, tuple(map(tuple, drawn.tolist())),
            "What a task never shows in training it can't teach; what is missing in test isn't measured.", True,
        ),
        Matrix("Parts in one clip", names, names, tuple(map(tuple, together.tolist())), "How often two sound together."),
        Matrix("Families by genre", families, GENRES, tuple(map(tuple, rng.integers(0, 900, (8, 13)).tolist()))),
    )  # fmt: skip


def _tracks(rng, tracks):
    rows = tuple(
        (
            f"slakh2100-track{number:05d}", SPLITS[int(rng.choice(3, p=SHARES))], GENRES[int(rng.integers(len(GENRES)))],
            float(rng.uniform(60, 420)), int(rng.integers(3, 19)), float(rng.normal(-18, 3)),
            float(rng.uniform(60, 190)) if rng.random() < 0.9 else None, int(rng.integers(0, 3000)),
        )
        for number in range(tracks)
    )  # fmt: skip
    return Table(
        "Tracks", ("track", "split", "genre", "length in s", "parts", "loudness in LUFS", "tempo in bpm", "triplets"), rows
    )


def made_examples(count: int = 5, seconds: float = 4.0, rate_hz: int = 8000) -> list[Row]:
    """Make source, target and difference for some of the tasks."""
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    rows = []
    for number in range(count):
        bed, part = (
            (0.3 * np.sin(2 * np.pi * hz * time) * np.exp(-(time * 2 % 1) * 3)).astype(np.float32)
            for hz in (220, 660 + 90 * number)
        )
        clips = [("Source", bed), ("Target", bed + part), ("Difference", part)]
        rows.append(
            Row(
                f"{TASKS[number % len(TASKS)]} flute",
                [PageClip(label, samples, rate_hz) for label, samples in clips],
            )
        )
    return rows
