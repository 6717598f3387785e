"""Write the text vectors of what people call each instrument, for machines without a text encoder.

python tests/gpu/pack_words.py words.npz
"""

import csv
import sys

import numpy as np

from instructme.manifests.word_tables import DATA
from instructme.model.conditions.text import TextEncoder
from instructme.pipelines.training.drawn_mixes import NAMES

MOST_SYNONYMS = 20
CERTAIN_RANKS = ("3", "4")
"""Ranks of names.csv whose words mean the instrument beyond doubt."""
_HITS = ("drums",)
"""Their synonyms are single drums, which nobody separates."""


def main(path: str) -> None:
    """Encode the phrases."""
    synonyms: dict[str, list[str]] = {}
    with (DATA / "names.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["rank"] in CERTAIN_RANKS and row["instrument"] not in _HITS:
                synonyms.setdefault(row["instrument"], []).extend(row["names"].split(";"))
    phrases, owners = [], []
    for index, name in enumerate(NAMES):
        plural = name if name.endswith("s") else f"{name}s"
        own = dict.fromkeys([name, f"the {name}", f"{name} track", plural, *synonyms.get(name, [])[:MOST_SYNONYMS]])
        phrases += own
        owners += [index] * len(own)
    vectors = TextEncoder("minilm", 384).mean(phrases).numpy().astype(np.float16)
    np.savez(path, vectors=vectors, owners=np.array(owners))


if __name__ == "__main__":
    main(sys.argv[1])
