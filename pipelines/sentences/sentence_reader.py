"""Read a sentence: a plan of edits, or a refusal that names the word that isn't understood.

A sentence is cut into clauses, and each clause must be a text of a task (its TEMPLATES, PHRASES and IDIOMS) in which every
word of every field is known. Words that change nothing, such as `please`, are listed here. No other word is ever dropped.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from string import Formatter
from typing import Any, NamedTuple

from instructme.dataset_tools.tasks import task_module, task_modules, task_names
from instructme.manifests import genres, spelling
from instructme.manifests.instruments import INSTRUMENTS
from instructme.pipelines.sentences import conflicts, kept_parts, phrasing, pronouns, refusals, slots, time_spans, typos
from instructme.pipelines.sentences.plan import EditStep, Plan
from instructme.pipelines.sentences.refusals import LARGEST_DB, SentenceError

LONGEST = 500
"""Most characters of a sentence."""
Templates = Mapping[str, Sequence[str]]


class _Text(NamedTuple):
    """A text of a task, as a pattern of clauses in lower case."""

    task: str
    template: str
    trained: bool
    needs_gain: bool
    pattern: re.Pattern[str]
    start: str
    end: str


class _Clause(NamedTuple):
    """A clause that is read: its step without time, the words before its first field, its time span, and what follows it."""

    step: EditStep
    verb: str
    span: int | None = None
    leads: bool = False
    joint: str = "stop"


def read(sentence: str, templates: Templates | None = None) -> Plan:
    """Read a sentence; `templates` are those of a run's training by task, read beside the paper's.

    Raises:
        SentenceError: empty, too long, or not understood to the last word.
    """
    said = " ".join(sentence.split())
    if not said:
        raise SentenceError(f"the sentence is empty: write for example {refusals.EXAMPLES}")
    if len(said) > LONGEST:
        raise SentenceError(
            f"the sentence has {len(said):,} characters, more than {LONGEST}: write for example {refusals.EXAMPLES}"
        )
    trained = json.dumps(templates or {}, sort_keys=True)
    if step := _verbatim(said, trained):
        return Plan((step,))
    words = pronouns.named(phrasing.plain(said))
    if steps := _edits(words, trained, said):
        return Plan(steps)
    corrected, notes = _corrected(words, trained)
    if notes and (steps := _edits(corrected, trained, said)):
        return Plan(steps, notes)
    reason = refusals.reason(words, _known(trained), lambda clause: bool(_whole(clause, trained)))
    raise refusals.refusal(said, reason, words)


def single_step(sentence: str) -> EditStep | None:
    """Read a sentence of one step; None for one that has several, or can't be read."""
    try:
        steps = read(sentence).steps
    except SentenceError:
        return None
    return steps[0] if len(steps) == 1 else None


def trained_templates(run: Path) -> Templates | None:
    """Read the texts that a run was trained on from its config.json; None where it has none."""
    try:
        templates = json.loads((run / "config.json").read_text(encoding="utf-8"))["data"]["templates"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return templates if isinstance(templates, dict) and all(isinstance(each, list) for each in templates.values()) else None


@lru_cache(maxsize=16)
def _texts(trained: str) -> tuple[_Text, ...]:
    """List all texts: those of training, the paper's, and the other words of each task."""
    own: Templates = json.loads(trained)
    modules = ((task, task_module(task)) for task in task_names())
    return tuple(
        _text(task, template, template in own.get(task, module.TEMPLATES))
        for task, module in modules
        for template in dict.fromkeys((*own.get(task, ()), *module.TEMPLATES, *module.PHRASES))
    )


def _text(task: str, template: str, trained: bool) -> _Text:
    bare = re.sub(r"\s*(?:by )?\{gain\} dB", "", template)
    # An instrument may have its own article.
    plain = re.sub(r"\bthe (?=\{instrument)", "", " ".join(bare.lower().split()))
    pieces = list(Formatter().parse(plain)) or [("", None, None, None)]
    end = "" if pieces[-1][1] else pieces[-1][0]
    return _Text(task, template, trained, bare != template, re.compile(_pattern(plain)), pieces[0][0], end)


def _pattern(template: str) -> str:
    """Write a template as a pattern, with a group for each field."""
    pieces = Formatter().parse(" ".join(template.split()))
    return "".join(re.escape(literal) + (f"(?P<{field}>.+?)" if field else "") for literal, field, _, _ in pieces)


def _verbatim(said: str, trained: str) -> EditStep | None:
    """Read a text of training in exactly its words, with the canonical names in its fields."""
    for text in _texts(trained):
        if text.trained and (match := re.fullmatch(_pattern(text.template), said, re.IGNORECASE)):
            fields = {name: words.lower() for name, words in match.groupdict().items()}
            if all(_canonical(name, words) for name, words in fields.items()):
                gain = fields.pop("gain", None)
                step = _step(text, fields, float(gain) if gain else None)
                return step and replace(step, words=said)
    return None


def _canonical(field: str, words: str) -> bool:
    if field == "genre":
        return words in {name.lower() for name in genres.GENRES}
    if field == "gain":
        return words.isdecimal() and 0 < int(words) <= LARGEST_DB
    names = words.split(", ") if field == "instruments" else [words]
    return all(name in INSTRUMENTS and INSTRUMENTS[name].editable for name in names)


def _edits(words: str, trained: str, said: str) -> tuple[EditStep, ...] | None:
    """Read all clauses, and those that say what to keep; None if they can't all be read.

    Raises:
        SentenceError: what they say isn't clear or can't be.
    """
    steps = _steps(words, trained, said) or kept_parts.read(words, lambda edit: _steps(edit, trained, said))
    if steps and (reason := conflicts.find(steps)):
        raise refusals.refusal(said, reason, words)
    return steps


def _steps(words: str, trained: str, said: str) -> tuple[EditStep, ...] | None:
    """Read all clauses; None if they can't all be read.

    Raises:
        SentenceError: what they say isn't clear or can't be.
    """
    try:
        marked, spans = time_spans.find(words)
    except ValueError as error:
        raise refusals.refusal(said, f'"{error}" is no time span', words) from None
    if "@" in words:
        return None
    cuts = [(cut.start(), cut.end(), phrasing.joint(cut[0])) for cut in phrasing.CONNECTOR.finditer(marked)]
    readings = _readings(marked, [*cuts, (len(marked), len(marked), "stop")], trained)
    plans = {tuple(_timed(clauses, spans, said, words)): None for clauses in readings}
    if len(plans) > 1:
        raise refusals.refusal(said, "it can be read in two ways", words)
    return next(iter(plans), None)


def _readings(text: str, ends: Sequence[tuple[int, int, str]], trained: str) -> list[list[_Clause]]:
    """Cut a text into the fewest clauses that can all be read, in all ways.

    ends: where a clause may end, where the next one then starts, and what joins them.
    """

    @cache
    def after(first: int, verb: str) -> list[list[_Clause]]:
        """Read the text after the first so many ends; `verb` is that of the clause before."""
        start = ends[first - 1][1] if first else 0
        found: list[list[_Clause]] = []
        for number, (end, _, joint) in enumerate(ends[first:], first + 1):
            for clause in _clauses(text[start:end], trained, verb):
                rests = after(number, clause.verb) if number < len(ends) else [[]]
                found += [[clause._replace(joint=joint), *rest] for rest in rests]
        least = min(map(len, found), default=0)
        return [clauses for clauses in found if len(clauses) == least]

    return after(0, "")


def _clauses(part: str, trained: str, verb: str) -> list[_Clause]:
    """Read a clause with its time span; one without a verb takes that of the clause before."""
    marks = time_spans.MARK.findall(part)
    if len(marks) > 1 or (marks and phrasing.beside_connector(part)):
        return []
    bare = " ".join(time_spans.MARK.sub(" ", part).split()).strip(" ,")
    found = _whole(bare, trained) or (_whole(f"{verb} {bare}", trained) if verb and bare else ())
    span = int(marks[0][1:]) if marks else None
    return [clause._replace(span=span, leads=bool(marks) and part.lstrip(" ,").startswith("@")) for clause in found]


@lru_cache(maxsize=4096)
def _whole(clause: str, trained: str) -> tuple[_Clause, ...]:
    """Read a clause without a time span, in all ways that give different steps."""
    levels = phrasing.level(clause)
    if levels is None:
        return ()
    found: dict[EditStep, _Clause] = {}
    bare, gain_db = levels
    for variant in phrasing.variants(bare):
        if (known := slots.idiom(variant)) and gain_db is None:
            found.setdefault(EditStep(known[0], (known[1],)), _Clause(EditStep(known[0], (known[1],)), ""))
        for text in _texts(trained):
            if not variant.startswith(text.start) or not variant.endswith(text.end) or (text.needs_gain and gain_db is None):
                continue
            if (match := text.pattern.fullmatch(variant)) and (step := _step(text, match.groupdict(), gain_db)):
                found.setdefault(step, _Clause(step, text.start.strip()))
    # A list of instruments is likelier than a genre of the same words: "remix with drum and bass".
    return tuple(found.values())[: 1 if {task_module(step.task).KEEPS for step in found} == {"none"} else None]


def _step(text: _Text, fields: Mapping[str, str], gain_db: float | None) -> EditStep | None:
    """Fill a step; None where a word of a field isn't known, or a level is said of a task that has none."""
    module = task_module(text.task)
    heard = "gain" in module.FIELDS
    if (gain_db is not None and not heard) or (heard and slots.NEW.search(fields.get("instrument", ""))):
        return None
    if set(fields) == {"genre"} and (known := slots.idiom(fields["genre"])):
        return EditStep(known[0], (known[1],))
    either = bool(phrasing.NEGATIVE.match(text.start))
    values: dict[str, Any] = {}
    for field, words in fields.items():
        key = "genre" if field == "genre" else "with_instruments" if field == "instrument_b" else "instruments"
        values[key] = slots.genre(words) if field == "genre" else slots.instruments(words, either)
    if None in values.values() or set(values.get("instruments", ())) & set(values.get("with_instruments", ())):
        return None
    if heard:
        values["gain_db"] = float(module.meant(text.template, gain_db))
        if not 0 < abs(values["gain_db"]) <= LARGEST_DB:
            return None
    return EditStep(text.task, **values)


def _timed(clauses: Sequence[_Clause], spans: Sequence[time_spans.TimeSpan], said: str, words: str) -> Iterator[EditStep]:
    """Give the clauses their time spans; one that leads is that of all clauses that `and` joins to it.

    Raises:
        SentenceError: a span may belong to one clause or to several.
    """
    shared: int | None = None
    joint = "stop"
    before: _Clause | None = None
    for clause in clauses:
        alone = clause.span is None
        if before and (
            (joint == "and" and before.span is None and shared is None and not (alone or clause.leads))
            or (joint == "then" and before.leads and alone)
        ):
            reason = "its time may belong to one step or to several: give each step its own time"
            raise refusals.refusal(said, reason, words)
        shared = clause.span if clause.leads else shared if joint == "and" else None
        span = shared if alone else clause.span
        yield clause.step if span is None else replace(clause.step, **spans[span]._asdict())
        before, joint = clause, clause.joint


@lru_cache(maxsize=16)
def _known(trained: str) -> frozenset[str]:
    """List the words of all texts, of names, and of the words that change nothing."""
    literal = " ".join(re.sub(r"\{\w+\}", " ", text.template) for text in _texts(trained))
    idioms = " ".join(" ".join(getattr(module, "IDIOMS", {})) for module in task_modules().values())
    return frozenset(re.findall(r"[a-z]+", f"{literal} {idioms}".lower())) | slots.words() | phrasing.WORDS


def _corrected(words: str, trained: str) -> tuple[str, tuple[str, ...]]:
    """Correct words that nobody knows; one note for each."""
    known = _known(trained)
    notes: list[str] = []

    def nearest(match: re.Match[str]) -> str:
        word = match[0]
        right = None if word in known or spelling.knows(word) or slots.genre(word) else typos.correct(word, known)
        if right:
            notes.append(f'"{word}" is read as "{right}"')
        return right or word

    return re.sub(r"[a-z]+", nearest, words), tuple(dict.fromkeys(notes))


def untrained(step: EditStep, data: Mapping[str, Any]) -> Iterator[str]:
    """Say what a run was not trained on, a line each; `data` of its config.json may list `tasks`, `instruments`, `genres`."""
    if data.get("tasks") and step.task not in data["tasks"]:
        yield f"the run was not trained on the task {step.task}, only on {', '.join(data['tasks'])}"
    for name in (*step.instruments, *step.with_instruments):
        if data.get("instruments") and name not in data["instruments"]:
            yield f"the run was not trained on {name}: nearest are {refusals.akin(name, data['instruments'])}"
    if step.genre and data.get("genres") and step.genre not in data["genres"]:
        yield f"the run was not trained on {step.genre}: nearest are {refusals.nearest(step.genre, data['genres'])}"
    if data and "instrument" in task_module(step.task).FIELDS and len(step.instruments) > 1:
        yield f"{step.task} was trained on one instrument at a time: several at once may sound worse"
    if data and step.genre and step.instruments:
        yield "remix was trained on instruments or a genre, not on both at once"
