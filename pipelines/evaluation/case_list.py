"""Write down which triplets and edits an evaluation scored, so that a listening test can be made of the same ones."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from instructme.manifests import urls
from instructme.manifests.files import atomic
from instructme.manifests.rows import DataError
from instructme.pipelines.evaluation.cases import Case, from_shards, from_table

LIST = "cases.json"


def write_list(out: Path, source: Path, split: str, count: int | None, edits: Mapping[str, Path]) -> None:
    """Write `cases.json` into the folder of an evaluation; paths are relative to it.

    Args:
        out: the folder.
        source: shards, or a table of pairs.
        split: split of the shards.
        count: most triplets of a task of the shards; None for all.
        edits: system -> folder of edits of the shards.
    """
    text = {
        "source": _relative(source, out),
        "split": split,
        "count": count,
        "edits": {system: _relative(folder, out) for system, folder in edits.items()},
    }
    out.mkdir(parents=True, exist_ok=True)
    with atomic(out / LIST) as temporary:
        temporary.write_text(json.dumps(text, indent=1), encoding="utf-8")


def _relative(path: Path, out: Path) -> str:
    return str(path) if urls.is_remote(path) else os.path.relpath(path.resolve(), out.resolve())


def read_list(out: Path) -> list[Case]:
    """List the triplets and edits that an evaluation scored.

    Raises:
        DataError: the folder is not of an evaluation, or its shards or table are gone.
    """
    try:
        text = json.loads((out / LIST).read_text("utf-8"))
        source, split, count = str(text["source"]), str(text["split"]), text["count"]
        edits = {str(system): out / folder for system, folder in text["edits"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"can't read {out / LIST} ({error}): give the output folder of 'instructme evaluate', or add --shards SHARDS"
        ) from None
    place = urls.parse(source)
    if not urls.is_remote(place):
        place = out / source
    return from_table(place) if place.is_file() else from_shards(place, split, count, edits)
