"""Fill the page that a rater sees: nothing on it names a system, an item or a file."""

import math
from collections.abc import Mapping
from typing import Any

from instructme.pipelines.listening.answers import Session
from instructme.pipelines.listening.plan import Step
from instructme.pipelines.listening.rated_edits import REFERENCE
from instructme.pipelines.listening.study import Study
from instructme.pipelines.listening.wording import Wording, anchors
from instructme.pipelines.pages.html import render

_READING_S = 6.0
"""Time for one answer besides playing the clip."""


def consent(study: Study, words: Wording, participant: str) -> str:
    """Fill the first page."""
    return render("listen_consent.html", words=words, title=study.title, participant=participant)


def refusal(study: Study, words: Wording) -> str:
    """Fill the page for raters without headphones."""
    return render("listen_refusal.html", words=words, title=study.title)


def rater_page(
    study: Study, words: Wording, session: Session, steps: list[Step], answered: Mapping[int, int], heard: set[int]
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
        points=anchors(words, step.scale, _task(step)) if step.kind in ("rate", "example", "explanation") else [],
        all_points=_all_points(study, words) if step.kind == "anchors" else [],
        instruction=_task_text(step),
        players=_players(step, words, session)[: len(step.clips)],
        source=_players(step, words, session)[len(step.clips) :],
        all_heard=set(range(len(step.clips))) <= heard,
        options=options(step, words),
        answered=answered,
        heard=heard,
        heard_s=study.heard_s,
        code=study.completion_code if step.kind == "done" else "",
        again=session.attempt > 1,
        explanations=[words["example_reference" if clip.system == REFERENCE else "example_anchor"] for clip in step.clips]
        if step.kind == "explanation"
        else [],
    )


def options(step: Step, words: Wording) -> list[tuple[int, str]]:
    """List the values that an answer of a page may have, with their texts."""
    if step.kind in ("rate", "example"):
        return sorted(anchors(words, step.scale, _task(step)))
    texts = {"headphones": words["headphones_options"], "check": words["beep_options"], "pair": words["pair_options"]}
    return list(enumerate(texts.get(step.kind, []), start=1))


def _task(step: Step) -> str:
    return step.source.task if step.source else ""


def _task_text(step: Step) -> str:
    return step.source.instruction if step.source else ""


def _heading(step: Step, words: Wording) -> str:
    if step.kind in ("rate", "pair"):
        return str(words["rounds"][step.scale])
    if step.kind == "round":
        return f"{words['round']} {step.round}: {words['rounds'][step.scale]}"
    titles = {"explanation": "example_title"}
    return str(words[titles.get(step.kind, f"{step.kind}_title")])


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


def _all_points(study: Study, words: Wording) -> list[tuple[str, str, list[tuple[int, str]]]]:
    """List what the points of each scale mean, for atomic edits and for remixes."""
    tables = []
    for scale in study.scales:
        for task in ("", "remix")[: 1 if scale == "quality" else 2]:
            tables.append((words["rounds"][scale], task, anchors(words, scale, task)))
    return tables


def _seconds(study: Study, step: Step) -> float:
    return sum(min(clip.length_s, 2 * study.heard_s) for clip in step.players) + _READING_S * max(step.answers, 1)
