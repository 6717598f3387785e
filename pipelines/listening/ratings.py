"""Read the answers of a study: one row for each rating, and the raters that are left out, with reasons."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd

from instructme.manifests.rows import DataError
from instructme.pipelines.listening.rated_edits import ANCHOR, REFERENCE
from instructme.pipelines.listening.study import ANSWERS, Study, check_clips, read_stimuli

COLUMNS = ["session", "scale", "page", "item", "task", "length_s", "system", "value", "plays", "at"]
_MOST_FAILED = 0.5
"""Share of wrong answers in the attention checks from which a rater is left out."""
_FASTEST = 0.5
"""A rater whose pages take less than this share of the time that a clip must be heard is left out."""
REASONS = {
    "not_begun": "stopped before the first round",
    "refused": "failed the headphone check",
    "unfinished": "stopped before the end",
    "attention": "counted beeps wrong in half of the checks or more",
    "reference": "rated the reference below the low anchor, on average",
    "too_fast": "spent less time on pages than hearing the clips takes",
}


@dataclass(frozen=True)
class Ratings:
    """rows: session, scale, page, item, task, length_s, system, value, plays; left_out: session -> reason."""

    rows: pd.DataFrame
    left_out: dict[int, str]
    sessions: int

    @property
    def kept(self) -> pd.DataFrame:
        """The rows of raters that are not left out."""
        return self.rows[~self.rows["session"].isin(self.left_out)]


def clicks(folder: Path) -> pd.DataFrame:
    """Read every click of a study, in the order of their arrival.

    Raises:
        DataError: nobody has opened the study yet, or the file is damaged.
    """
    return _table(folder, "SELECT * FROM clicks ORDER BY id")


def _table(folder: Path, query: str) -> pd.DataFrame:
    path = folder / ANSWERS
    if not path.exists():
        raise DataError(f"{folder} has no answers yet; open it to raters with 'listen serve'")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as file:
            return pd.read_sql_query(query, file)
    except (sqlite3.Error, pd.errors.DatabaseError) as error:
        raise DataError(f"can't read {path}: {error}") from None


def _clips(folder: Path) -> str | None:
    """Read which clips were judged; None in answers of older versions."""
    known = len(_table(folder, "SELECT name FROM sqlite_master WHERE name = 'clips'"))
    held = _table(folder, "SELECT hash FROM clips")["hash"].tolist() if known else []
    return held[0] if held else None


def read_ratings(folder: Path, study: Study, *, unfinished: bool = False) -> Ratings:
    """Read the last answer to each question, and decide which raters are left out.

    Args:
        folder: folder of the study.
        study: its settings.
        unfinished: keep raters that stopped before the end.

    Raises:
        DataError: there are no answers, they can't be read, or they are those of another study.
    """
    check_clips(folder, _clips(folder))
    sessions = _table(folder, "SELECT id, state, turn FROM sessions").set_index("id")
    every = clicks(folder)
    every = every[every["late"] == 0]
    answered = every[every["kind"] == "rate"].drop_duplicates(["session", "step", "attempt", "place"], keep="last")
    rows = answered[answered["page"].isin(["rate", "pair"])]
    stimuli = pd.DataFrame(read_stimuli(folder))[["item", "task", "length_s"]]
    rows = rows.merge(stimuli.drop_duplicates("item"), on="item", how="left")
    left_out = {}
    for session, row in sessions.iterrows():
        own = every[every["session"] == session]
        if reason := _reason(row, own, answered[answered["session"] == session], study, unfinished):
            left_out[int(str(session))] = reason
    return Ratings(rows[COLUMNS].astype({"value": int}), left_out, len(sessions))


def _reason(session: pd.Series, own: pd.DataFrame, answered: pd.DataFrame, study: Study, unfinished: bool) -> str:
    if session["state"] == "refused":
        return "refused"
    if pd.isna(session["turn"]):
        return "not_begun"
    if session["state"] != "done" and not unfinished:
        return "unfinished"
    checks = answered[answered["page"] == "check"]
    if len(checks) and (checks["value"] != checks["system"].astype(int)).mean() >= _MOST_FAILED:
        return "attention"
    rated = answered[answered["page"] == "rate"].groupby("system")["value"].mean()
    if {REFERENCE, ANCHOR} <= set(rated.index) and rated[REFERENCE] < rated[ANCHOR]:
        return "reference"
    return "too_fast" if _page_s(own) < _FASTEST * study.heard_s else ""


def _page_s(own: pd.DataFrame) -> float:
    """Find the median time between the first click of a page that is rated and the click on "Next"."""
    pages = own[own["page"].isin(["rate", "pair"])].groupby("step")["at"].agg(["min", "max"])
    seconds = [(datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds() for first, last in pages.to_numpy()]
    return float(pd.Series(seconds).median()) if seconds else float("inf")
