"""Write down which triplets and edits an evaluation scored, so that a listening test can be made of the same ones."""

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from instructme.manifests import urls
from instructme.manifests.files import atomic
from instructme.manifests.rows import DataError
from instructme.pipelines.data.shard_reader import ShardReader
from instructme.pipelines.evaluation.cases import Case, from_table
from instructme.pipelines.evaluation.shard_cases import Choice, from_shards

LIST = "cases.json"


def write_list(out: Path, source: Path, choice: Choice, edits: Mapping[str, Path], state: str | None = None) -> None:
    """Write `cases.json` into the folder of an evaluation; paths are relative to it.

    Args:
        out: the folder.
        source: shards, or a table of pairs.
        choice: which triplets of the shards.
        edits: system -> folder of edits of the shards.
        state: of the shards, see `ShardReader.state`.
    """
    text = {
        "source": _relative(source, out),
        "state": state,
        **dataclasses.asdict(choice),
        "families": sorted(choice.families),
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
        DataError: the folder is not of an evaluation, or its shards or table are gone, or the shards have changed.
    """
    try:
        text = json.loads((out / LIST).read_text("utf-8"))
        source, choice = str(text["source"]), _choice(text)
        edits = {str(system): out / folder for system, folder in text["edits"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"can't read {out / LIST} ({error}): give the output folder of 'instructme evaluate', or add --shards SHARDS"
        ) from None
    place = urls.parse(source)
    if not urls.is_remote(place):
        place = out / source
    if place.is_file():
        return from_table(place)
    if text.get("state") not in (None, ShardReader(place, choice.split).state()):
        raise DataError(f"{place} has changed since {out} was made, so its edits are of other triplets: run evaluate again")
    return from_shards(place, choice, edits)


def _choice(text: Mapping[str, Any]) -> Choice:
    """Read the fields that the list has: older ones lack some."""
    fields = {field.name: text[field.name] for field in dataclasses.fields(Choice) if field.name in text}
    of_lists = {"seconds": tuple, "tasks": tuple, "families": frozenset}
    return Choice(**{name: of_lists[name](value) if name in of_lists else value for name, value in fields.items()})
