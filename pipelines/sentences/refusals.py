"""Say in one line why a sentence is refused: the word that isn't understood, and the nearest sentence that works."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from difflib import SequenceMatcher, get_close_matches
from itertools import pairwise

from instructme.dataset_tools.tasks import task_module, task_names
from instructme.manifests import free_names
from instructme.manifests.instruments import INSTRUMENTS
from instructme.manifests.rows import DataError
from instructme.pipelines.sentences import slots

LARGEST_DB = 24
"""Most decibels by which a sentence may turn a part up or down."""
EXAMPLES = '"add piano", "remove drums", "extract bass", "replace flute with violin" or "remix to Jazz genre"'
_QUESTION = re.compile(r"^(?:what|which|who|why|how|when|where|is|are|was|were|do|does|did|should|has|have)\b")
_NEGATION = re.compile(r"\b(?:don'?t|do not|never|not|doesn'?t|won'?t|can'?t|cannot|stop)\b")
_CANNOT = {
    "no edit changes effects": "reverb delay echo distortion compression compressor eq equalizer filter flanger phaser "
    "autotune overdrive fuzz wah panning pan effect effects fx fade saturation sidechain lofi",
    "no edit changes the tempo": "tempo bpm faster slower speed fast slow double-time half-time",
    "no edit changes pitch or key": "transpose pitch key semitone semitones octave octaves major minor higher detune tune tuning",
    "parts of the song are given in seconds": "verse chorus intro outro bridge drop break bar bars beat beats section half",
    'say from when to when, such as "after 0:30" or "from 0:10 to 0:20"; times count from the start': "at last final",
    "an instrument is edited as a whole": "second third other another left right lead rhythm solo riff chords melody loop",
}
_REASONS = {word: reason for reason, words in _CANNOT.items() for word in words.split()}


_OFFER = '; nearest that works: "'


class SentenceError(DataError):
    """A sentence that is not understood, or that asks for what no edit does.

    Args:
        line: what to tell the user.
        words: the sentence in lower case and plain words, where the line offers another one.
    """

    def __init__(self, line: str, words: str = "") -> None:
        super().__init__(line)
        self.words = words

    def offering(self, can: Callable[[str], bool]) -> "SentenceError":
        """Offer the nearest sentence of those that an editor can make."""
        reason, offer, _ = str(self).rpartition(_OFFER)
        near = next(filter(can, _examples(self.words)), None) if offer else None
        return SentenceError(f'{reason}{_OFFER}{near}"', self.words) if near else SentenceError(reason or str(self))


def refusal(said: str, reason: str, words: str) -> SentenceError:
    """Refuse a sentence for a reason; `words` is the same in lower case and plain words."""
    return SentenceError(f'can\'t read "{short(said)}": {reason}{_OFFER}{_examples(words)[0]}"', words)


def reason(words: str, known: Collection[str], reads: Callable[[str], bool]) -> str:
    """Explain why a sentence can't be read; `known` are all words of the reader, and `reads` tells whether it reads a clause."""
    if match := _QUESTION.search(words):
        return f'"{match[0]}" asks a question, and only edits are read'
    if match := _NEGATION.search(words):
        return f'"{match[0]}" says what not to do'
    spelt = re.findall(r"[a-z][a-z'-]*", words)
    if any(not 0 < float(number) <= LARGEST_DB for number in re.findall(r"(\d+(?:\.\d+)?) ?db\b", words)):
        return f"levels change by up to {LARGEST_DB} dB"
    for word in spelt:
        if word in _REASONS:
            return f'"{word}": {_REASONS[word]}'
    for word in (*map(" ".join, pairwise(spelt)), *spelt):
        if slots.is_piece_of_kit(word):
            return f'"{word}" is a piece of the drums, which are edited as a whole'
    for word in spelt:
        if word not in known and not slots.instrument(word) and not slots.genre(word):
            near = get_close_matches(word, [each for each in known if len(each) > 3], 2, 0.7)
            return f'"{short(word)}" is not known' + (f" (nearest: {', '.join(near)})" if near else "")
    return _first_left(words.split(), reads)


def _first_left(words: Sequence[str], reads: Callable[[str], bool]) -> str:
    """Name the one word without which the rest can be read, else the word after the longest beginning that can be read."""
    for place, word in enumerate(words):
        if reads(" ".join([*words[:place], *words[place + 1 :]])):
            return f'"{short(word)}" fits nothing'
    for count in range(len(words) - 1, 0, -1):
        if reads(" ".join(words[:count])):
            return f'"{short(words[count])}" after "{short(" ".join(words[:count]))}" fits nothing'
    first = words[0] if words else ""
    starts = any(text.startswith(f"{first} ") for task in task_names() for text in task_module(task).PHRASES)
    return f'"{short(first)}" is followed by words that fit no edit' if starts else f'no edit starts with "{short(first)}"'


def _examples(words: str) -> list[str]:
    """Sort the templates of training, filled with the names in a sentence, by their likeness to it.

    Those of the tasks that its first verb asks for come before the others.
    """
    plain = re.sub(r"@\d+", "", words)
    first = _tasks(plain)
    others = [task for task in task_names() if task not in first]
    return [*_by_likeness(plain, first), *_by_likeness(plain, others)]


def _by_likeness(words: str, tasks: Collection[str]) -> list[str]:
    return sorted(_candidates(words, tasks), key=lambda text: -SequenceMatcher(None, words, text.lower()).ratio())


def _tasks(words: str) -> Collection[str]:
    """Name the tasks of the first word that texts begin with, or the task of most such texts; all tasks if there is none."""
    whole: dict[str, dict[str, None]] = {}
    begun: dict[str, Counter[str]] = {}
    for task in task_names():
        module = task_module(task)
        for text in (*module.TEMPLATES, *module.PHRASES):
            verb = text.partition("{")[0].strip()
            if verb and ("{gain}" not in text or " db" in words):
                whole.setdefault(verb, {})[task] = None
                begun.setdefault(verb.split()[0], Counter())[task] += 1
    first = next((word for word in words.split() if word in begun), None)
    if first is None:
        return task_names()
    return list(whole[first]) if first in whole else [begun[first].most_common(1)[0][0]]


def _candidates(words: str, tasks: Collection[str]) -> Iterator[str]:
    named = list(dict.fromkeys(_named(words)))
    old, new = (*named, *(name for name in ("drums", "piano") if name not in named))[:2]
    kinds = [genre for word in words.split() if (genre := slots.genre(word))] or ["Jazz"]
    for task in task_names():
        for template in task_module(task).TEMPLATES if task in tasks else ():
            if template[0].islower():
                values = {"instrument": old, "instrument_a": old, "instrument_b": new, "instruments": f"{old}, {new}"}
                yield template.format(**values, genre=kinds[0], gain=6)


def _named(words: str) -> Iterator[str]:
    """Find the instruments in a sentence, the longest names first."""
    spelt = re.findall(r"[a-z][a-z'-]*", words)
    start = 0
    while start < len(spelt):
        for end in range(min(start + 3, len(spelt)), start, -1):
            if name := _name(" ".join(spelt[start:end])):
                yield name
                break
        else:
            end = start + 1
        start = end


def _name(label: str) -> str | None:
    known = None if label in slots.UNCLEAR else free_names.whole_name(label)
    entry = INSTRUMENTS.get(known[0]) if known and known[1] >= slots.GROUP else None
    return entry.name if entry and entry.editable else None


def nearest(label: str, known: Sequence[str]) -> str:
    """Name the known words that are spelt most alike."""
    by_lower = {name.lower(): name for name in known}
    near = get_close_matches(label.lower(), list(by_lower), 3, 0.4)
    return ", ".join(by_lower[name] for name in near) or ", ".join(known[:5])


def akin(name: str, known: Iterable[str]) -> str:
    """Name the instruments of the same family, else those spelt alike."""
    family = [each for each in known if each in INSTRUMENTS and INSTRUMENTS[each].family == INSTRUMENTS[name].family]
    return ", ".join(family[:5]) or nearest(name, list(known))


def short(text: str) -> str:
    """Cut a long text."""
    return text if len(text) <= 60 else text[:57] + "..."
