"""Edit the sources of cases with trained runs: one file for each key and system, kept, so that a run that was stopped goes on."""

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from instructme.dataset_tools import audio
from instructme.dataset_tools.audio import Samples, write_flac
from instructme.manifests.files import atomic
from instructme.manifests.rows import DataError
from instructme.manifests.tables import sha256
from instructme.pipelines.evaluation.cases import Case, edit_file
from instructme.pipelines.evaluation.spectra import RATE_HZ

if TYPE_CHECKING:
    from instructme.pipelines.editing.editor import Editor

STATE = "made.json"
SHARDS = "shards"
"""Field of STATE that says which shards were edited."""
REFUSED = ".refused"
"""Suffix of a text file that stands for an edit which the run refused: the reason."""


@dataclass(frozen=True)
class Maker:
    """One system: a run with settings of the sampler. Each edit has a seed of its own, from its key and `sample`."""

    name: str
    run: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    sample: int = 0

    def state(self) -> dict[str, Any]:
        """Say what the edits depend on beside their triplets: the weights of the run, and the settings."""
        patterns = ("*.safetensors", "config.json", "separator/*.safetensors", "separator/config.json")
        files = sorted(path for pattern in patterns for path in self.run.glob(pattern))
        return {
            "weights": {path.relative_to(self.run).as_posix(): sha256(path) for path in files},
            "settings": dict(self.settings),
            "sample": self.sample,
        }


def makers(
    runs: Mapping[str, Path], *, guidance: Sequence[float] = (), samples: int = 1, steps: int | None = None
) -> list[Maker]:
    """List the systems that runs make, by their names: each run, or one for each scale of the instruction and each sample."""
    common: dict[str, Any] = {} if steps is None else {"steps": steps}
    scales = [(f" guidance {scale:g}", {**common, "text_guidance": scale}) for scale in guidance] or [("", common)]
    numbers = [(f" sample {number + 1}", number) for number in range(samples)] if samples > 1 else [("", 0)]
    return [
        Maker(f"{name}{of_scale}{of_number}", run, settings, number)
        for (name, run), (of_scale, settings), (of_number, number) in product(runs.items(), scales, numbers)
    ]


def make_edits(
    cases: Sequence[Case],
    systems: Sequence[Maker],
    folder: Path,
    load: Callable[[Path], "Editor"],
    shards: str = "",
    rate_hz: int = RATE_HZ,
) -> Iterator[str]:
    """Make the edits that are missing in `folder`/SYSTEM/KEY.flac, at a rate; yield lines for the user.

    Edits of another state of the run, of other settings, of another rate or of other shards, whose `state` is given, are made
    again.

    Raises:
        DataError: a shard or a source can't be read.
    """
    from tqdm import tqdm

    for system in systems:
        place = folder / system.name
        rate = {} if rate_hz == RATE_HZ else {"rate_hz": rate_hz}
        stale = _prepare(place, {**system.state(), SHARDS: shards, **rate})
        if stale:
            yield f"{stale} edits of {system.name} are made again, because the run, the settings or the shards have changed"
        made = {path.stem for path in place.iterdir() if path.suffix in (".flac", REFUSED)}
        todo = [case for case in cases if case.key not in made]  # the rounds of chains in their order
        if not todo:
            continue
        editor = load(system.run)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of each edit: unknown words, silence, levels
            for case in tqdm(todo, desc=f"edit with {system.name}", unit="edit", dynamic_ncols=True):
                _make(editor, case, system, place, rate_hz)


def _make(editor: "Editor", case: Case, system: Maker, place: Path, rate_hz: int) -> None:
    """Make one edit, or write down why the run refuses it, such as a task that it can't do."""
    seed = crc32(f"{case.key} {system.sample}".encode())
    try:
        edited = editor.edit(_source(case, place, rate_hz), rate_hz, case.instruction, seed=seed, **system.settings)
    except DataError as error:
        with atomic(place / f"{case.key}{REFUSED}") as temporary:
            temporary.write_text(str(error), encoding="utf-8")
        return
    write_flac(place / f"{case.key}.flac", edited, rate_hz)


def _source(case: Case, place: Path, rate_hz: int) -> Samples:
    """Read what is edited: the source, or the edit of the round before at the level of the source.

    Raises:
        DataError: the round before was refused.
    """
    if case.follows is None:
        return case.triplet.read(rate_hz)[0]
    before = edit_file(place, case.follows.key)
    if not before.is_file():
        raise DataError("the round before was refused")
    return audio.read(before, rate_hz) * np.float32(10 ** (case.follows.gain_db / 20))


def _prepare(place: Path, state: dict[str, Any]) -> int:
    """Make the folder of a system, and delete edits of another state: how many."""
    place.mkdir(parents=True, exist_ok=True)
    try:
        same = json.loads((place / STATE).read_text()) == json.loads(json.dumps(state))
    except (OSError, ValueError):
        same = False
    old = [] if same else [path for path in sorted(place.iterdir()) if path.suffix in (".flac", REFUSED)]
    for path in old:
        path.unlink()
    with atomic(place / STATE) as temporary:
        temporary.write_text(json.dumps(state, indent=1, sort_keys=True))
    return len(old)


def check_shards(folder: Path, shards: str) -> None:
    """Check that the edits in a folder, where `make_edits` made them, are of these shards.

    Raises:
        DataError: they are of others, whose triplets have the same keys.
    """
    try:
        made: Any = json.loads((folder / STATE).read_text("utf-8"))
        same = made[SHARDS] == shards
    except (OSError, ValueError, KeyError, TypeError):
        return
    if not same:
        raise DataError(f"{folder} holds edits of other shards: the keys are the same, but not the triplets; make them again")


def with_edits(cases: Sequence[Case], systems: Sequence[Maker], folder: Path) -> list[Case]:
    """Add the edits of systems to cases."""
    return [
        replace(case, edits={**case.edits, **{system.name: edit_file(folder / system.name, case.key) for system in systems}})
        for case in cases
    ]
