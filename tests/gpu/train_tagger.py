"""Train the tagger of the package on banks of songs in parts: `train_tagger.py BANK OUT --test NAME BANK MIXES`.

Mixes of 1 to 5 parts, 10 s each, heard by MusiCNN at -14 LUFS. A family counts where one of its parts is at most 30 dB under the
mix. Genres are learned from mixes of all parts of the songs whose genre the bank knows. One song in ten calibrates. Embeddings
are kept in OUT, so that a stopped run goes on.
"""

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
from bank_files import read_song

from instructme.manifests.genres import GENRES
from instructme.model.tagger import TagHead
from instructme.pipelines.evaluation.features import embed
from instructme.pipelines.training import tagger
from instructme.pipelines.training.tagger import Examples

RATE_HZ, WINDOW_SAMPLES = 24_000, 240_000
SIZES = (1, 2, 3, 4, 5)
LEAST_SHARE = 1e-3
"""Of the power of the mix, from which on a part counts."""


def main() -> None:
    """Embed, train, measure and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bank", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--mixes", type=int, default=4, help="mixes of each song of BANK")
    parser.add_argument("--test", nargs=3, action="append", default=[], metavar=("NAME", "BANK", "MIXES"))
    parser.add_argument("--beside", nargs=3, action="append", default=[], help="the same, but it decides on no family")
    parser.add_argument("--families", type=Path, help="a head whose families stay; only the genres are trained")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    decides = {name for name, _, _ in options.test}
    sets = {name: examples(Path(bank), int(mixes), options.out / name) for name, bank, mixes in (*options.test, *options.beside)}
    known = examples(options.bank, options.mixes, options.out / "train")
    calibrates = [int(hashlib.sha256(song.encode()).hexdigest(), 16) % 10 == 0 for song, _, _ in known]
    train = [each for each, held in zip(known, calibrates, strict=True) if not held]
    validation = [each for each, held in zip(known, calibrates, strict=True) if held]
    others = {name: as_examples(found) for name, found in sets.items()}
    deciding = {name: each for name, each in others.items() if name in decides}
    head, report = tagger.train(as_examples(train), as_examples(validation), deciding)
    if options.families:
        head = TagHead.read(options.families).keeping(lambda name: name not in GENRES).beside(head.keeping(GENRES.__contains__))
    report |= {name: tagger.measured(head, each) for name, each in others.items() if name not in decides}
    tagger.save(options.out, head, report, {"kind": "tagger", "mixes": len(train)})
    for name, measured in report.items():
        four = [measured[tag]["f1"] for tag in ("drums", "bass", "guitar", "piano") if measured[tag]["f1"] is not None]
        print(name, "macro-F1 of drums, bass, guitar, piano:", round(float(np.mean(four)), 3), json.dumps(measured))


def examples(bank: Path, mixes: int, kept: Path) -> list[tuple[str, np.ndarray, frozenset[str]]]:
    """Embed mixes of all songs of a bank: (song, embedding, tags)."""
    kept.mkdir(exist_ok=True)
    found = []
    for path in sorted(bank.glob("*.json")):
        song = json.loads(path.read_text("utf-8"))["song"]
        for whole in (False, True):
            file = kept / f"{path.stem}-{mixes}{'-whole' if whole else ''}.npz"
            if not file.exists():
                made = list(mixes_of(path, mixes, whole=whole))
                arrays = {
                    "embeddings": np.array([each for each, _ in made]),
                    "tags": np.array([";".join(tags) for _, tags in made]),
                }
                np.savez(file, **arrays)
            with np.load(file, allow_pickle=False) as held:
                rows = zip(held["embeddings"], held["tags"], strict=True)
                found += [(song, each, frozenset(filter(None, str(tags).split(";")))) for each, tags in rows]
    return found


def mixes_of(path: Path, mixes: int, *, whole: bool):
    """Draw windows of a song and some of the parts that sound there; or all parts, if the genre is known."""
    rng = np.random.default_rng(int(hashlib.sha256(path.stem.encode()).hexdigest()[:8], 16))
    about, parts = read_song(path)
    if whole and not about["genre"]:
        return
    length = min(len(sound) for _, sound in parts)
    for _ in range(4 * mixes):
        if mixes == 0:
            return
        start = int(rng.integers(max(1, length - WINDOW_SAMPLES)))
        heard = [(name, sound[start : start + WINDOW_SAMPLES].astype(np.float32) / 32768) for name, sound in parts]
        heard = [(name, sound) for name, sound in heard if np.square(sound).mean() > 1e-7]
        if not heard:
            continue
        size = len(heard) if whole else min(int(rng.choice(SIZES)), len(heard))
        chosen = [heard[place] for place in rng.permutation(len(heard))[:size]]
        mix = sum(sound for _, sound in chosen)
        power = float(np.square(mix).mean())
        names = [name for name, sound in chosen if float(np.square(sound).mean()) > LEAST_SHARE * power]
        labels = tagger.tags(names) | ({about["genre"]} if whole else set())
        yield embed(None, mix, RATE_HZ).mean(axis=0, dtype=np.float64), sorted(labels)
        mixes -= 1


def as_examples(found: list[tuple[str, np.ndarray, frozenset[str]]]) -> Examples:
    """Put embeddings and tags into arrays."""
    return Examples(np.array([each for _, each, _ in found]), [tags for _, _, tags in found])


if __name__ == "__main__":
    main()
