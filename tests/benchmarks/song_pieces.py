"""Measure how many pieces of songs are found in their songs by sound, and how many pairs of other songs are called one.

Run `python tests/benchmarks/song_pieces.py FILE...` with one file for each song. Each song of 80 s and more gives a piece of 20 s
from after its first minute, as a track of its own: softer, and 7 ms off.
"""

from pathlib import Path

import click
import numpy as np

from instructme.dataset_tools import audio, fingerprint, same_songs

RATE_HZ, FIRST_S, PIECE_S = 5000, 60, 20


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def main(files: tuple[Path, ...]) -> None:
    """Report pieces that are found, and pairs of songs."""
    songs, pieces = {}, {}
    for file in files:
        sound = audio.read(file, RATE_HZ)[: same_songs.HEARD_S * RATE_HZ]
        songs[file.stem] = fingerprint.fingerprint(sound, RATE_HZ)
        start = len(sound) - round((PIECE_S + 0.007) * RATE_HZ)
        if start >= FIRST_S * RATE_HZ and np.any(sound[start:]):
            pieces[f"{file.stem}, piece"] = fingerprint.fingerprint(0.3 * sound[start : start + PIECE_S * RATE_HZ], RATE_HZ)
    pairs = list(same_songs.matches(songs))
    for match in pairs:
        click.echo(f"{match.first} and {match.second}: {match.wrong_bits:.0%} of bits over {match.seconds:.0f} s")
    click.echo(f"songs that are called one: {len(pairs)} of {len(songs) * (len(songs) - 1) // 2} pairs of {len(songs)} songs")
    found = {(match.first, match.second) for match in same_songs.matches({**songs, **pieces})}
    own = sum((name.removesuffix(", piece"), name) in found or (name, name.removesuffix(", piece")) in found for name in pieces)
    other = sum(1 for pair in found if len({name.removesuffix(", piece") for name in pair}) == 2) - len(pairs)
    click.echo(f"pieces that are found: {own} of {len(pieces)}; pieces that are found in other songs: {other}")


if __name__ == "__main__":
    main()
