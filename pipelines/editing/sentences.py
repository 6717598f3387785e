"""Read an instruction: the task it asks for, and the instruments or the genre it names."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from string import Formatter
from typing import Any, NamedTuple

from instructme.dataset_tools.tasks import task_module, task_modules, task_names
from instructme.dataset_tools.triplets import default_templates
from instructme.manifests import genres, instruments
from instructme.manifests.instruments import INSTRUMENTS
from instructme.manifests.rows import DataError

LONGEST = 500
"""Most characters of an instruction."""
LARGEST_DB = 24
"""Most decibels by which an instruction may turn a part up or down."""
EXAMPLES = '"add piano", "remove drums", "extract bass", "replace flute with violin" or "remix to Jazz genre"'
_POLITE = re.compile(r"^(?:(?:please|kindly|now|then|just|can you|could you|would you|i want to|let's)\s+)+", re.IGNORECASE)
_MUSIC = r"(?:mix|song|track|music|audio|recording|clip|piece)"
_TAIL = re.compile(rf"(?:\s+(?:(?:to|from|in|of|into)\s+(?:it|(?:the|this|my)\s+{_MUSIC})|please|too))+$", re.IGNORECASE)
_THIS = re.compile(rf"\b(?:the|this|my)\s+{_MUSIC}\b(?=\s+\w)", re.IGNORECASE)
_ARTICLE = re.compile(r"^(?:(?:the|a|an|some|any|all|more|this|that|my|your)\s+)+", re.IGNORECASE)
_STYLE = re.compile(r"^(?:the\s+)?style\s+of\s+|\s+(?:genre|style|music|song|version|remix)$", re.IGNORECASE)
_JOINED = re.compile(r"\s*(?:[,;&+/]|\band\b|\bplus\b)\s*", re.IGNORECASE)
_MORE = re.compile(
    r"\b(?:add|insert|remove|delete|extract|isolate|replace|remix|keep|then|but|not?|without|except)\b", re.IGNORECASE
)
"""Words that no instrument's name has: they ask for something else, too, or for the contrary."""
_EXACT, _CERTAIN, _GUESSED, _UNKNOWN = range(4)


@dataclass(frozen=True)
class Instruction:
    """What an instruction asks for, in the words of `triplets.parquet`.

    text: what the model reads: the user's words where they are a template's, else the same in the first template's words.
    task: None where the words tell none.
    named, added: instruments of the source, and new ones, sorted; those nobody knows are left out.
    gain_db: by how much a part gets louder, or quieter below 0.
    warnings: one line each, for the user.
    """

    text: str
    task: str | None
    named: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    genre: str | None = None
    warnings: tuple[str, ...] = ()
    gain_db: int | None = None


class _NamePhrase(NamedTuple):
    label: str
    name: str | None
    doubt: int


class _Reading(NamedTuple):
    """One template that an instruction fits, with the names in its fields."""

    task: str
    template: str
    trained: bool
    names: Mapping[str, Sequence[_NamePhrase]]

    def doubt(self) -> tuple[int, bool, int]:
        """Tell how unlikely it is: by its names, as a template not trained on, by how little of it is literal."""
        worst = max((name.doubt for names in self.names.values() for name in names), default=_EXACT)
        return worst, not self.trained, -len(re.sub(r"\{\w+\}", "", self.template))


def parse(text: str, templates: Mapping[str, Sequence[str]] | None = None) -> Instruction:
    """Read an instruction; `templates` are those of training by task, the paper's by default (Table 5).

    Words of other templates, articles and synonyms are understood and put into the words of training. What isn't
    understood gives a warning with the nearest known words.

    Raises:
        DataError: empty or too long.
    """
    told = " ".join(text.split())
    if not told:
        raise DataError(f"the instruction is empty: write for example {EXAMPLES}")
    if len(told) > LONGEST:
        raise DataError(f"the instruction has {len(told):,} characters, more than {LONGEST}: write for example {EXAMPLES}")
    trained = templates or default_templates()
    plain = _THIS.sub("it", _TAIL.sub("", _POLITE.sub("", told.strip(" .!?\"'"))))
    readings = sorted((each for words in dict.fromkeys((told, plain)) for each in _readings(words, trained)), key=_Reading.doubt)
    return _instruction(told, readings[0], trained) if readings else Instruction(told, None, warnings=(_no_task(told),))


def _phrases() -> dict[str, Sequence[str]]:
    """Collect the texts that people write for each task beside the templates."""
    modules = task_modules()
    return {name: modules[name].PHRASES for name in task_names()}


def _readings(text: str, trained: Mapping[str, Sequence[str]]) -> Iterator[_Reading]:
    for source, is_trained in ((trained, True), (default_templates(), False), (_phrases(), False)):
        for task, texts in source.items():
            for template in texts:
                if match := re.fullmatch(_pattern(template), text, re.IGNORECASE):
                    yield _Reading(
                        task, template, is_trained, {key: _names(key, each) for key, each in match.groupdict().items()}
                    )


def _pattern(template: str) -> str:
    pieces = Formatter().parse(" ".join(template.split()))
    return "".join(re.escape(literal) + (f"(?P<{field}>.+?)" if field else "") for literal, field, _, _ in pieces)


def _names(field: str, text: str) -> list[_NamePhrase]:
    if field == "genre":
        return [_genre(text)]
    if field == "gain":
        return [_gain(text)]
    return [_instrument(label) for label in _JOINED.split(text) if label] or [_NamePhrase(text, None, _UNKNOWN)]


def _instrument(text: str) -> _NamePhrase:
    label = _ARTICLE.sub("", text).strip(" .!?\"'")
    if label.casefold() in INSTRUMENTS:
        return _NamePhrase(label, label.casefold(), _EXACT)
    match = instruments.normalise(label)
    if not match.editable or _MORE.search(label):
        return _NamePhrase(label, None, _UNKNOWN)
    return _NamePhrase(label, match.instrument, _CERTAIN if match.certain else _GUESSED)


def _gain(text: str) -> _NamePhrase:
    """Read a whole number of decibels."""
    amount = re.fullmatch(r"(\d{1,2})(?:\.0+)?", text.strip())
    known = amount[1] if amount and 0 < int(amount[1]) <= LARGEST_DB else None
    return _NamePhrase(text, known, _UNKNOWN if known is None else _EXACT)


def _genre(text: str) -> _NamePhrase:
    label = _STYLE.sub("", _ARTICLE.sub("", text)).strip(" .!?\"'")
    name = genres.normalise(label)
    return _NamePhrase(label, name, _UNKNOWN if name is None else _EXACT if name.casefold() == label.casefold() else _CERTAIN)


def _instruction(told: str, reading: _Reading, trained: Mapping[str, Sequence[str]]) -> Instruction:
    found = {field: tuple(sorted({name.name for name in names if name.name})) for field, names in reading.names.items()}
    task = task_module(reading.task)
    columns = {column: found.get(field, ()) for field, column in task.FIELDS.items()}
    amount_db = next(map(int, columns.get("gain_db", ())), None)
    worst, foreign, _ = reading.doubt()
    as_told = re.fullmatch(_pattern(reading.template), told, re.IGNORECASE) and worst == _EXACT and not foreign
    return Instruction(
        text=told if as_told or worst == _UNKNOWN else _rewrite(reading, trained),
        task=reading.task,
        named=columns.get("named", ()),
        added=columns.get("added", ()),
        genre=next(iter(found.get("genre", ())), None),
        warnings=tuple(_doubts(reading)),
        gain_db=task.meant(told, amount_db) if hasattr(task, "meant") else None,
    )


def _rewrite(reading: _Reading, trained: Mapping[str, Sequence[str]]) -> str:
    """Say it in the words of the first template of training that has the same fields."""
    fields = {field: ", ".join(str(name.name) for name in names) for field, names in reading.names.items()}
    same = (text for text in trained.get(reading.task, ()) if set(re.findall(r"\{(\w+)\}", text)) == set(fields))
    if meant := getattr(task_module(reading.task), "meant", None):  # "louder" and "quieter" have the same fields
        same = (text for text in same if meant(text, 1) == meant(reading.template, 1))
    return next(same, reading.template).format(**fields)


def _doubts(reading: _Reading) -> Iterator[str]:
    for field, names in reading.names.items():
        known = genres.GENRES if field == "genre" else tuple(INSTRUMENTS)
        for name in names:
            if name.doubt == _UNKNOWN and field == "gain":
                yield f'"{_short(name.label)}" is no whole number of decibels from 1 to {LARGEST_DB}'
            elif name.doubt == _UNKNOWN:
                kind = "genre" if field == "genre" else "instrument"
                yield f'no {kind} is known as "{_short(name.label)}": nearest are {_nearest(name.label, known)}'
            elif name.doubt == _GUESSED:
                yield f'"{_short(name.label)}" is read as {name.name}'
        if field.startswith("instrument") and field != "instruments" and len(names) > 1:
            yield f"{reading.task} was trained on one instrument at a time: better give an instruction for each"


def _no_task(text: str) -> str:
    first = {template.split()[0] for texts in _phrases().values() for template in texts}
    verbs = sorted(word for word in first if "{" not in word)
    near = get_close_matches(text.split()[0].lower(), verbs, 3, 0.6) or task_names()
    return f'can\'t tell what "{_short(text)}" asks for: nearest known words are {", ".join(near)}; write for example {EXAMPLES}'


def _nearest(label: str, known: Sequence[str]) -> str:
    by_lower = {name.lower(): name for name in known}
    near = get_close_matches(label.lower(), list(by_lower), 3, 0.4)
    return ", ".join(by_lower[name] for name in near) or ", ".join(known[:5])


def untrained(instruction: Instruction, data: Mapping[str, Any]) -> Iterator[str]:
    """Say what a run was not trained on, a line each; `data` of its config.json may list `tasks`, `instruments`, `genres`."""
    if instruction.task and data.get("tasks") and instruction.task not in data["tasks"]:
        yield f"the run was not trained on the task {instruction.task}, only on {', '.join(data['tasks'])}"
    for name in (*instruction.named, *instruction.added):
        if data.get("instruments") and name not in data["instruments"]:
            yield f"the run was not trained on {name}: nearest are {_akin(name, data['instruments'])}"
    if instruction.genre and data.get("genres") and instruction.genre not in data["genres"]:
        yield f"the run was not trained on {instruction.genre}: nearest are {_nearest(instruction.genre, data['genres'])}"


def _akin(name: str, known: Iterable[str]) -> str:
    """Name the instruments of the same family, else those spelt alike."""
    family = [each for each in known if each in INSTRUMENTS and INSTRUMENTS[each].family == INSTRUMENTS[name].family]
    return ", ".join(family[:5]) or _nearest(name, list(known))


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
