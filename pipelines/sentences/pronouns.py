"""Read `it` and `them` after an instrument: `the drums are too loud, turn them down`, `the drums, turn them down`."""

import re

from instructme.pipelines.sentences import slots

_COMPLAINT = (
    r"(?:i can (?:barely|hardly) hear (?P<heard>.+?)"
    r"|i want to (?:play|practice|practise|learn|record)(?: the)? (?P<own>.+?)(?: myself)?"
    r"|(?P<name>.+?) (?:is|are) (?:too (?:loud|quiet|soft)|not loud enough))"
)
_ASKED = r"(?P<verb>[a-z]+(?: (?:up|down|off|out))?) (?P<pronoun>it|them)\b(?P<end>[^,;.]*)"
_BETWEEN = r"(?: (?:so|please|can you|could you|just))*"
_PATTERN = re.compile(rf"(?:{_COMPLAINT}(?:[,;.]| and| so)|(?P<topic>[^;.]+?),){_BETWEEN} {_ASKED}")


def named(words: str) -> str:
    """Put the name into the place of the pronoun, and leave out a complaint, which the edit answers."""
    match = _PATTERN.fullmatch(words)
    name = match and (match["heard"] or match["own"] or match["name"] or match["topic"])
    count = len(slots.instruments(name) or ()) if name else 0
    one = count == 1 or (count and match and match["pronoun"] == "them")  # of several, "it" may be the last one
    return f"{match['verb']} {name}{match['end']}" if match and one else words
