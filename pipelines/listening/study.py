"""The folder of a study: `study.yaml` with the settings, `wording.yaml`, `stimuli.csv`, the clips and the answers."""

import csv
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from instructme.manifests.files import atomic
from instructme.manifests.rows import DataError
from instructme.manifests.tables import sha256
from instructme.pipelines.listening.wording import SCALES

SETTINGS, STIMULI, CLIPS, ANSWERS, WORDING = "study.yaml", "stimuli.csv", "clips", "answers.sqlite", "wording.yaml"
MODES = ("scores", "pairs")
ANCHORS = ("noise", "shuffled", "none")
_COMMENT = """\
# Settings of a listening test. You can change them until the first rater comes; "listen create" is needed for other clips.
# mode: scores (five points for each system) or pairs (which of two systems is better).
# scales: asked one after the other, in rounds. Each rater gets them in another order.
# items_per_task: items that each rater gets of each task and length.
# heard_s: seconds of a clip that a rater must play before they can judge it.
# headphones: true asks raters to find a tone that only headphones carry. headphones_right: right answers needed, of six.
#   Who guesses has three right answers in 32 % of the cases, and five in 2 %.
# completion_code: raters see it at the end and give it to the crowd platform.
"""


@dataclass(frozen=True)
class Study:
    """The settings of a study."""

    title: str = "Listening test"
    mode: str = "scores"
    systems: tuple[str, ...] = ()
    reference: bool = True
    anchor: str = "noise"
    scales: tuple[str, ...] = SCALES
    items_per_task: int = 10
    lengths_s: tuple[float, ...] = (10.0, 30.0, 60.0)
    loudness_lufs: float = -23.0
    heard_s: float = 5.0
    headphones: bool = True
    headphones_right: int = 5
    training: bool = True
    attention_checks: bool = True
    completion_code: str = ""
    seed: int = 0


@dataclass(frozen=True)
class Stimulus:
    """A clip of the study.

    item: number of the triplet.
    names_instruments: the instruction names instruments, not a genre or mood; Table 6 has other points for these.
    training: it is only heard in the training.
    """

    item: str
    key: str
    task: str
    length_s: float
    instruction: str
    system: str
    file: str
    loudness_lufs: float
    names_instruments: bool = True
    training: bool = False


def write_study(folder: Path, study: Study, stimuli: list[Stimulus]) -> None:
    """Write settings and table of a study; the settings come last and mark it as complete."""
    with (folder / STIMULI).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(Stimulus)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(dataclasses.asdict(each) for each in stimuli)
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in dataclasses.asdict(study).items()}
    with atomic(folder / SETTINGS) as temporary:
        temporary.write_text(_COMMENT + yaml.safe_dump(values, sort_keys=False, allow_unicode=True), encoding="utf-8")


def read_study(folder: Path) -> Study:
    """Read the settings of a study.

    Raises:
        DataError: there is no study in the folder, or a setting is unknown or has the wrong kind of value.
    """
    path = folder / SETTINGS
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        first = str(error).splitlines()[0]
        raise DataError(f"no study in {folder}: can't read {path.name} ({first}); make one with 'listen create'") from None
    return _checked(path, values)


def _checked(path: Path, values: Any) -> Study:
    defaults = dataclasses.asdict(Study())
    if not isinstance(values, dict):
        raise DataError(f"{path}: it must hold lines like 'title: My test'")
    for name, value in values.items():
        if name not in defaults:
            raise DataError(f"{path}: unknown setting {name}; the settings are {', '.join(defaults)}")
        kind = list if isinstance(defaults[name], tuple) else type(defaults[name])
        if not isinstance(value, (kind, int) if kind is float else kind):
            raise DataError(f"{path}: {name} can't be {value!r}; write it like {defaults[name]!r}")
    settings: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    study = Study(**settings)
    for name, known in (("mode", MODES), ("anchor", ANCHORS)):
        if getattr(study, name) not in known:
            raise DataError(f"{path}: {name} can't be {getattr(study, name)!r}; choose one of {', '.join(known)}")
    if unknown := set(study.scales) - set(SCALES) or not study.scales:
        raise DataError(f"{path}: scales can't be {unknown}; choose from {', '.join(SCALES)}")
    return study


def read_stimuli(folder: Path) -> list[Stimulus]:
    """Read the table of clips.

    Raises:
        DataError: it is missing or damaged.
    """
    path = folder / STIMULI
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return [_stimulus(row) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error, TypeError, ValueError, KeyError) as error:
        raise DataError(f"can't read {path}: {error}; make the study again with 'listen create'") from None


def check_clips(folder: Path, judged: str | None) -> None:
    """Check that the clips that raters judged, by the hash of their table, are those of a study.

    Raises:
        DataError: they are not; numbers of triplets and names of systems would be taken for others.
    """
    if judged not in (None, sha256(folder / STIMULI)):
        raise DataError(f"{folder / ANSWERS} holds answers to other clips than {STIMULI}: put the files of one study together")


def _stimulus(row: dict[str, Any]) -> Stimulus:
    numbers = {"length_s": float(row["length_s"]), "loudness_lufs": float(row["loudness_lufs"])}
    flags = {name: row[name] == "True" for name in ("names_instruments", "training")}
    return Stimulus(**{**row, **numbers, **flags})
