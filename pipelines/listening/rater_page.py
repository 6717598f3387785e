"""Fill the page that a rater sees: nothing on it names a system, an item or a file."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from instructme.pipelines.listening.answers import Session
from instructme.pipelines.listening.page_order import Step
from instructme.pipelines.listening.rated_edits import REFERENCE, keeps_nothing
from instructme.pipelines.listening.study import Stimulus, Study
from instructme.pipelines.listening.wording import Wording, anchors
from instructme.pipelines.pages.html import render

_READING_S = 6.0
"""Time for one answer besides playing the clip."""


def consent(study: Study, words: Wording, participant: str) -> str:
    """Fill the first page."""
    return render("listen_consent.html", words=words, title=study.title, participant=participant)


def notice(study: Study, words: Wording, name: str) -> str:
    """Fill a page of one sentence: `sorry` for raters without headphones, `unknown` for a wrong link."""
    return render("listen_message.html", words=words, title=study.title, heading=words[f"{name}_title"], text=words[name])


def rater_page(
    study: Study, words: Wording, session: Session, steps: Sequence[Step], answered: Mapping[int, int], heard: set[int]
) -> str:
    """Fill the page at which a session is.

    Args:
        study: settings.
        words: what the rater reads.
        session: the session.
        steps: all pages of the session.
        answered: answers that are stored: place -> value.
        heard: places whose clips the rater has played.
    """
    step = steps[session.step]
    left_s = sum(_seconds(study, each) for each in steps[session.step :])
    progress = words["progress"].format(page=session.step + 1, pages=len(steps), minutes=max(1, math.ceil(left_s / 60)))
    return render(
        "listen_page.html",
        words=words,
        title=study.title,
        step=step,
        session=session,
        share=session.step / max(len(steps) - 1, 1),
        progress=progress,
        heading=_heading(step, words),
        question=_question(step, words),
        points=points_of(words, step.scale, step.source) if step.kind in ("rate", "example", "explanation") else [],
        all_points=_all_points(study, words, steps) if step.kind == "anchors" else [],
        instruction=step.source.instruction if step.source else "",
        players=_players(step, words, session)[: len(step.clips)],
        source=_players(step, words, session)[len(step.clips) :],
        all_heard=set(range(len(step.clips))) <= heard,
        options=options(step, words),
        answered=answered,
        heard=heard,
        heard_s=study.heard_s,
        play_first=words["play_both" if step.kind == "pair" else "play_first"].format(seconds=f"{_heard_s(study, step):g}"),
        code=study.completion_code if step.kind == "done" else "",
        again=session.attempt > 1,
        explanations=[words[f"example_{REFERENCE if clip.system == REFERENCE else study.anchor}"] for clip in step.clips]
        if step.kind == "explanation"
        else [],
    )


def options(step: Step, words: Wording) -> list[tuple[int, str]]:
    """List the values that an answer of a page may have, with their texts."""
    if step.kind in ("rate", "example"):
        return sorted(points_of(words, step.scale, step.source))
    texts = {"headphones": words["headphones_options"], "check": words["beep_options"], "pair": words["pair_options"]}
    return list(enumerate(texts.get(step.kind, []), start=1))


def points_of(words: Wording, scale: str, source: Stimulus | None) -> list[tuple[int, str]]:
    """List what the points of a scale mean for the instruction of a source, best first."""
    if source is None:
        return anchors(words, scale)
    return anchors(words, scale, remix=keeps_nothing(source.task), instruments=source.names_instruments)


def _heading(step: Step, words: Wording) -> str:
    if step.kind in ("rate", "pair"):
        return str(words["rounds"][step.scale])
    if step.kind == "round":
        return f"{words['round']} {step.round}: {words['rounds'][step.scale]}"
    if step.kind in ("example", "explanation"):
        return f"{words['example_title']}: {words['rounds'][step.scale]}"
    return str(words[f"{step.kind}_title"])


def _question(step: Step, words: Wording) -> str:
    if step.kind in ("rate", "example", "explanation", "round"):
        return str(words["questions"][step.scale])
    return str(words["pair_question"][step.scale] if step.kind == "pair" else words[step.kind])


def _players(step: Step, words: Wording, session: Session) -> list[dict[str, Any]]:
    names = [f"{words['clip']} {chr(ord('A') + place)}" for place in range(len(step.clips))]
    clips = zip([*names, words["source"]], step.players, strict=False)
    return [
        {"place": place, "name": name, "seconds": clip.length_s, "url": f"clip/{session.step}/{session.attempt}/{place}"}
        for place, (name, clip) in enumerate(clips)
    ]


def _all_points(study: Study, words: Wording, steps: Sequence[Step]) -> list[tuple[str, list[tuple[int, str]]]]:
    """List what the points of each scale mean, for the instructions that the rater will see."""
    sources = [step.source for step in steps if step.source]
    kinds = {
        "quality": [],
        "relevance": sorted({"instruments" if each.names_instruments else "genre" for each in sources}, reverse=True),
        "harmony": sorted({"remix" if keeps_nothing(each.task) else "atomic" for each in sources}),
    }
    tables = []
    for scale in study.scales:
        name, own = str(words["rounds"][scale]), kinds[scale]
        for kind in own or [""]:
            heading = words["points_of"][kind].format(name=name) if len(own) > 1 else name
            tables.append((heading, anchors(words, scale, remix=kind == "remix", instruments=kind != "genre")))
    return tables


def _heard_s(study: Study, step: Step) -> float:
    """Give how long each clip must be heard, as the page counts it."""
    shortest = min((clip.length_s for clip in step.clips), default=study.heard_s)
    return round(min(study.heard_s, 0.9 * shortest), 1)


def _seconds(study: Study, step: Step) -> float:
    return sum(min(clip.length_s, 2 * study.heard_s) for clip in step.players) + _READING_S * max(step.answers, 1)
