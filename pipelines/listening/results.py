"""Write the results of a study: a page, tables in Markdown, and CSV files of clicks, ratings and scores."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from instructme.manifests.files import atomic
from instructme.pipelines.listening.opinion_scores import ALL, Opinion, opinions
from instructme.pipelines.listening.ratings import Ratings, clicks, read_ratings
from instructme.pipelines.listening.result_tables import result_tables
from instructme.pipelines.listening.study import Study, read_study
from instructme.pipelines.listening.webmushra import read_answers
from instructme.pipelines.pages.html import write_page

PAGE, TEXT, SCORES, RATINGS, ROWS = "results.html", "results.md", "scores.csv", "ratings.csv", "clicks.csv"
_LEFT, _RIGHT = 210, 530
"""Pixels of 1 and 5 points."""


def results(folder: Path, out: Path, *, unfinished: bool = False) -> Iterator[str]:
    """Read the answers of a study and write the results into `out`; yield lines for the user.

    Raises:
        DataError: there is no study, or it has no answers.
    """
    study = read_study(folder)
    ratings = read_ratings(folder, study, unfinished=unfinished)
    out.mkdir(parents=True, exist_ok=True)
    _write_csv(out / ROWS, clicks(folder))
    notes = [f"{ratings.sessions} raters came, and the answers of {ratings.sessions - len(ratings.left_out)} are used."]
    yield from _write(out, study, ratings, notes)
    yield f"wrote {out / PAGE}, {TEXT}, {SCORES}, {RATINGS} and {ROWS}"


def results_of_webmushra(path: Path, out: Path) -> Iterator[str]:
    """Read answers that webMUSHRA wrote, and write the results into `out`; yield lines for the user.

    Raises:
        DataError: the file can't be read.
    """
    ratings, missing = read_answers(path)
    out.mkdir(parents=True, exist_ok=True)
    study = Study(title=path.stem, scales=tuple(ratings.rows["scale"].unique()))
    notes = [f"{ratings.sessions} raters came, and the answers of all are used."]
    if missing:
        notes.append(f"{missing} clips were not judged.")
    yield from _write(out, study, ratings, notes)
    yield f"wrote {out / PAGE}, {TEXT}, {SCORES} and {RATINGS}"


def _write(out: Path, study: Study, ratings: Ratings, notes: list[str]) -> Iterator[str]:
    """Write all but the clicks; yield the tables."""
    kept = ratings.kept
    scores = opinions(kept[kept["page"] == "rate"], study.seed)
    tables = list(result_tables(study, ratings, scores))
    if not len(kept):
        notes.append("There are no answers to count yet.")
    _write_csv(out / RATINGS, kept)
    _write_csv(out / SCORES, pd.DataFrame(list(scores)))
    text = "\n".join([f"# {study.title}", "", *notes, "", *(table.markdown() for table in tables)])
    with atomic(out / TEXT) as temporary:
        temporary.write_text(text, encoding="utf-8")
    _write_page(out / PAGE, study, notes, tables, scores)
    yield text


def _write_csv(path: Path, frame: pd.DataFrame) -> None:
    with atomic(path) as temporary:
        frame.to_csv(temporary, index=False)


def _write_page(path: Path, study: Study, notes: Sequence[str], tables: Sequence[object], scores: Sequence[Opinion]) -> None:
    ticks = [(_pixel(point), str(point)) for point in range(1, 6)]
    plots = []
    for scale in study.scales:
        chosen = [each for each in scores if (each.task, each.length_s, each.scale) == (ALL, ALL, scale)]
        if chosen:
            plots.append((f"{scale.capitalize()}: mean scores with 95 % intervals", [_dot(each) for each in chosen]))
    values: dict[str, Any] = {"notes": notes, "plots": plots, "ticks": ticks, "tables": tables}
    write_page(path, "listen_results.html", styles=["listen_results.css"], title=study.title, subtitle="Results", **values)


def _pixel(points: float) -> float:
    return round(_LEFT + (_RIGHT - _LEFT) * (points - 1) / 4, 1)


def _dot(each: Opinion) -> dict[str, object]:
    dot = {"name": each.system, "mean": _pixel(each.mean), "text": f"{each.mean:.2f}", "low": None, "high": None}
    if np.isnan(each.low):
        return dot
    text = f"{each.mean:.2f} ±{(each.high - each.low) / 2:.2f}"
    return {**dot, "text": text, "low": _pixel(each.low), "high": _pixel(each.high)}
