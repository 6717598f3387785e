"""Read `it` and `them` after a complaint about an instrument: `the drums are too loud, turn them down`."""

import re

from instructme.pipelines.editing import slots

_COMPLAINT = (
    r"(?:i can (?:barely|hardly) hear (?P<heard>.+?)|(?P<name>.+?) (?:is|are) (?:too (?:loud|quiet|soft)|not loud enough))"
)
_ASKED = r"(?P<verb>[a-z]+(?: (?:up|down|off|out))?) (?:it|them)\b(?P<end>[^,;.]*)"
_PATTERN = re.compile(rf"{_COMPLAINT}(?:[,;.]| and| so)(?: (?:so|please|can you|could you|just))* {_ASKED}")


def named(words: str) -> str:
    """Put the name into the place of the pronoun, and leave out the complaint, which the edit answers."""
    match = _PATTERN.fullmatch(words)
    name = match and (match["heard"] or match["name"])
    return f"{match['verb']} {name}{match['end']}" if match and name and slots.instruments(name) else words
