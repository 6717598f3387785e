"""Correct a misspelt word where only one known word is near it."""

from collections.abc import Collection

SHORTEST = 4
"""In shorter words, only neighbours are swapped back: `teh`. Too many other words are near."""
LONG = 8
"""Words of so many letters may have two mistakes, shorter ones one."""


def distance(left: str, right: str, most: int = 2) -> int:
    """Count insertions, deletions, substitutions and swaps of neighbours (optimal string alignment), up to `most` + 1."""
    if abs(len(left) - len(right)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(right) + 1))
    for number, letter in enumerate(left, 1):
        older, before, row = before, row, [number] + [0] * len(right)
        for place, other in enumerate(right, 1):
            row[place] = min(before[place] + 1, row[place - 1] + 1, before[place - 1] + (letter != other))
            if number > 1 and place > 1 and letter == right[place - 2] and left[number - 2] == other:
                row[place] = min(row[place], older[place - 2] + 1)
    return min(row[-1], most + 1)


def correct(word: str, known: Collection[str]) -> str | None:
    """Find the known word that alone is nearest; None if none is near enough, or several are equally near.

    A word and its plural count as one.
    """
    for allowed in (1, 2) if len(word) >= LONG else (1,):
        near = {each for each in known if len(each) > 2 and distance(word, each, allowed) <= allowed}
        near = {each for each in near if len(word) >= SHORTEST or sorted(each) == sorted(word)}
        # The last letter of a verb in Portuguese, Spanish or Italian: `remova` is no English word with a typo.
        near = {each for each in near if not (word[-1] in "ao" and each == f"{word[:-1]}e")}
        near -= {each.removesuffix("s") for each in near if each.endswith("s")}
        if near:
            return near.pop() if len(near) == 1 else None
    return None
