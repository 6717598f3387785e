"""Exchange with webMUSHRA: write a study as its configuration, and read the answers that it wrote."""

import csv
import html
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from instructme.manifests import csv_files
from instructme.manifests.files import atomic
from instructme.manifests.rows import DataError
from instructme.pipelines.listening.page_order import Planner
from instructme.pipelines.listening.rated_edits import SOURCE
from instructme.pipelines.listening.rater_page import points_of
from instructme.pipelines.listening.ratings import COLUMNS, Ratings
from instructme.pipelines.listening.study import CLIPS, WORDING, Stimulus, Study, read_stimuli, read_study
from instructme.pipelines.listening.wording import Wording, read_wording

ANSWERS = {"rating_score": "rating_stimulus", "stimuli_rating": "stimuli"}
"""Column of the answer -> column of the stimulus: pages of the kinds mushra and likert."""
_TRIAL = re.compile(r"(?P<item>\d{4}) (?P<task>\w+) (?P<length_s>[\d.]+) s (?P<scale>\w+)")
_STARS = {
    "img": "configs/resources/images/star_off.png",
    "imgSelected": "configs/resources/images/star_on.png",
    "imgHigherResponseSelected": "configs/resources/images/star_on.png",
}
_NONE = ("", "NA", "undefined")
"""What webMUSHRA writes for a clip that a rater did not judge."""


def export(folder: Path, out: Path) -> str:
    """Write `configs/NAME.yaml` and the clips into `out`, to be copied into the folder of webMUSHRA; say what was written.

    Each scale has its own pages, in random order, and a page asks for five points of each system.

    Raises:
        DataError: there is no study.
    """
    study, words = read_study(folder), read_wording(folder / WORDING)
    planner = Planner(study, read_stimuli(folder))
    name = re.sub(r"[^a-z0-9_-]+", "-", folder.resolve().name.lower())
    place = f"configs/resources/{name}"
    items = [clips for item, clips in sorted(planner.items.items()) if item not in planner.training]
    rounds = [["random", *(_page(words, scale, clips, place) for clips in items)] for scale in study.scales]
    (out / place).mkdir(parents=True, exist_ok=True)
    for clip in (clip for clips in items for clip in clips.values()):
        shutil.copyfile(folder / CLIPS / clip.file, out / place / clip.file)
    with atomic(out / "configs" / f"{name}.yaml") as temporary:
        text = yaml.safe_dump(_config(study, words, name, rounds), sort_keys=False, allow_unicode=True)
        temporary.write_text(text, encoding="utf-8")
    return (
        f"wrote {out}/configs: copy it into the folder of webMUSHRA, and open webMUSHRA with ?config={name}.yaml ;"
        f" {len(items)} triplets on {len(study.scales)} scales, without headphone check, training and attention checks"
    )


def _config(study: Study, words: Wording, name: str, rounds: list[list[Any]]) -> dict[str, Any]:
    question = {"type": "text", "label": "Participant", "name": "participant"}
    consent = "".join(f"<p>{html.escape(line)}</p>" for line in words["consent"])
    return {
        "testname": study.title,
        "testId": name,
        "bufferSize": 2048,
        "stopOnErrors": True,
        "showButtonPreviousPage": False,
        "remoteService": "service/write.php",
        "pages": [
            {"type": "generic", "id": "consent", "name": words["consent_title"], "content": consent},
            *rounds,
            {"type": "finish", "name": words["done_title"], "content": f"{words['done_code']}: {study.completion_code}"}
            | {"showResults": False, "writeResults": True, "questionnaire": [question]},
        ],
    }


def _page(words: Wording, scale: str, clips: dict[str, Stimulus], place: str) -> dict[str, Any]:
    source = clips[SOURCE]
    parts = [f"{words['instruction']}: <b>{html.escape(source.instruction)}</b>", html.escape(words["questions"][scale])]
    sound = f'{html.escape(words["source"])}: <audio controls src="{place}/{source.file}"></audio>'
    points = sorted(points_of(words, scale, source))
    return {
        "type": "likert_multi_stimulus",
        "id": f"{source.item} {source.task} {source.length_s:g} s {scale}",
        "name": words["rounds"][scale],
        "content": "<br>".join([*parts, sound]),
        "mustRate": True,
        "mustPlayback": "processUpdate",
        "stimuli": {system: f"{place}/{clip.file}" for system, clip in clips.items() if system != SOURCE},
        "response": [{"value": value, "label": f"{value}: {text}", **_STARS} for value, text in points],
    }


def read_answers(path: Path) -> tuple[Ratings, int]:
    """Read `lms.csv`, `lss.csv` or `mushra.csv` of webMUSHRA as ratings.

    MUSHRA's scores from 0 to 100 become 1 to 5. Pages that `export` made give task, length and scale; others have none.

    Returns:
        The ratings, and the number of clips that a rater did not judge.

    Raises:
        DataError: the file can't be read, or has other columns.
    """
    try:
        header, listed = csv_files.read(path)
        rows = list(listed)
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"can't read {path}: {error}") from None
    if not rows:
        raise DataError(f"{path} has no answers")
    answer = next((name for name in ANSWERS if name in header), "")
    if "trial_id" not in header or ANSWERS.get(answer) not in header:
        raise DataError(
            f"{path} is no result of webMUSHRA: it needs trial_id, and rating_score or stimuli_rating; it has {', '.join(header)}"
        )
    made: list[dict[str, Any]] = []
    raters: dict[tuple[str, ...], int] = {}
    missing = 0
    visits: Counter[tuple[Any, ...]] = Counter()
    for line, row in rows:
        stimulus = row[ANSWERS[answer]]
        who = tuple(row[name] for name in header[1 : header.index("trial_id")])
        # Without a question that tells raters apart, the same page again is another rater.
        visits[who, row["trial_id"], stimulus] += 1
        session = raters.setdefault((*who, str(visits[who, row["trial_id"], stimulus])), len(raters) + 1)
        if row[answer] in _NONE:
            missing += 1
            continue
        value = _value(row[answer], answer, f"{path}, line {line}")
        made.append({**_trial(row["trial_id"]), "session": session, "page": "rate", "system": stimulus, "value": value})
    if not made:
        raise DataError(f"{path} has no answers")
    return Ratings(pd.DataFrame(made).reindex(columns=COLUMNS), {}, len(raters)), missing


def _value(text: str, column: str, where: str) -> float:
    least, most = (0, 100) if column == "rating_score" else (1, 5)
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not least <= value <= most:
        raise DataError(f"{where}: {column} is {text!r}; it must be a number up to {most}")
    return 1 + value * 4 / most if column == "rating_score" else value


def _trial(name: str) -> dict[str, Any]:
    """Read what `export` wrote as the name of a page."""
    if match := _TRIAL.fullmatch(name):
        return {**match.groupdict(), "length_s": float(match["length_s"])}
    return {"item": name, "scale": "score"}
