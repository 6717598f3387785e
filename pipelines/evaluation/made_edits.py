"""Edit the sources of cases with trained runs: one file for each key and system, kept, so that a run that was stopped goes on."""

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol
from zlib import crc32

from instructme.dataset_tools.audio import Samples, write_flac
from instructme.manifests.files import atomic
from instructme.manifests.rows import DataError
from instructme.manifests.tables import sha256
from instructme.pipelines.evaluation.cases import Case, edit_file
from instructme.pipelines.evaluation.spectra import RATE_HZ

STATE = "made.json"


class Edits(Protocol):
    """The part of `Editor` that is needed here."""

    def edit(self, audio: Samples, rate_hz: int, instruction: str, settings: Any = None, **changes: Any) -> Samples:
        """Edit (T,) by an instruction."""


@dataclass(frozen=True)
class Maker:
    """One system: a run with settings of the sampler. Each edit has a seed of its own, from its key and `sample`."""

    name: str
    run: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    sample: int = 0

    def state(self) -> dict[str, Any]:
        """Say what the edits depend on beside their triplets: the weights of the run, and the settings."""
        files = sorted(path for pattern in ("*.safetensors", "config.json") for path in self.run.glob(pattern))
        return {
            "weights": {path.name: sha256(path) for path in files},
            "settings": dict(self.settings),
            "sample": self.sample,
        }


def makers(runs: Sequence[Path], *, guidance: Sequence[float] = (), samples: int = 1, steps: int | None = None) -> list[Maker]:
    """List the systems that runs make: each run, or one for each scale of the instruction, or one for each sample.

    Raises:
        DataError: two runs have one name.
    """
    names = [run.resolve().name for run in runs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise DataError(f"two runs are named {twice}: rename one, because tables name systems by the folders of their runs")
    common: dict[str, Any] = {} if steps is None else {"steps": steps}
    made = [Maker(name, run, common) for name, run in zip(names, runs, strict=True)]
    if guidance:
        made = [
            replace(each, name=f"{each.name} guidance {scale:g}", settings={**common, "text_guidance": scale})
            for each in made
            for scale in guidance
        ]
    if samples > 1:
        made = [
            replace(each, name=f"{each.name} sample {number + 1}", sample=number) for each in made for number in range(samples)
        ]
    return made


def make_edits(cases: Sequence[Case], systems: Sequence[Maker], folder: Path, load: Callable[[Path], Edits]) -> Iterator[str]:
    """Make the edits that are missing in `folder`/SYSTEM/KEY.flac; yield lines for the user.

    Edits of another state of the run or of other settings are made again.

    Raises:
        DataError: a shard or a source can't be read, or the run can't edit.
    """
    from tqdm import tqdm

    for system in systems:
        place = folder / system.name
        stale = _prepare(place, system.state())
        if stale:
            yield f"{stale} edits of {system.name} are made again, because the run or the settings have changed"
        todo = [case for case in cases if not (place / f"{case.key}.flac").exists()]
        if not todo:
            continue
        editor = load(system.run)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of each edit: unknown words, silence, levels
            for case in tqdm(todo, desc=f"edit with {system.name}", unit="edit", dynamic_ncols=True):
                seed = crc32(f"{case.key} {system.sample}".encode())
                edited = editor.edit(case.triplet.read()[0], RATE_HZ, case.instruction, seed=seed, **system.settings)
                write_flac(place / f"{case.key}.flac", edited, RATE_HZ)


def _prepare(place: Path, state: dict[str, Any]) -> int:
    """Make the folder of a system, and delete edits of another state: how many."""
    place.mkdir(parents=True, exist_ok=True)
    try:
        same = json.loads((place / STATE).read_text()) == json.loads(json.dumps(state))
    except (OSError, ValueError):
        same = False
    old = [] if same else sorted(place.glob("*.flac"))
    for path in old:
        path.unlink()
    with atomic(place / STATE) as temporary:
        temporary.write_text(json.dumps(state, indent=1, sort_keys=True))
    return len(old)


def with_edits(cases: Sequence[Case], systems: Sequence[Maker], folder: Path) -> list[Case]:
    """Add the edits of systems to cases."""
    return [
        replace(case, edits={**case.edits, **{system.name: edit_file(folder / system.name, case.key) for system in systems}})
        for case in cases
    ]
