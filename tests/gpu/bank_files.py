"""Read the songs that render_music.py writes into a bank.

A bank is a folder with two files a song: NAME.i16 (parts one after the other) and NAME.json (which part is where).
The JSON comes last, so a song can be read as soon as its JSON is there.
"""

import json
from pathlib import Path

import numpy as np


def read_song(path: Path) -> tuple[dict[str, str], list[tuple[str, np.ndarray]]]:
    """Read a song of a bank folder by its JSON: what is written about it, and its parts (instrument, int16 samples).

    The samples stay on disk until they are used: a bank may be larger than the memory.
    """
    song = json.loads(path.read_text(encoding="utf-8"))
    samples = np.memmap(path.with_suffix(".i16"), dtype="<i2", mode="c")
    parts = [(each["instrument"], samples[each["start"] : each["start"] + each["samples"]]) for each in song["parts"]]
    return {key: song.get(key, "") for key in ("song", "split", "source", "genre")}, parts
