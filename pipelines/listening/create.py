"""Make a study: level the clips, add reference, anchor and the sounds of the checks, and give every file a random name."""

import dataclasses
import os
import random
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools import audio
from instructme.dataset_tools.audio import Samples
from instructme.manifests.files import atomic_folder
from instructme.manifests.rows import DataError
from instructme.pipelines.evaluation.cases import Case
from instructme.pipelines.evaluation.spectra import RATE_HZ
from instructme.pipelines.listening import check_sounds, clip_levels
from instructme.pipelines.listening.page_order import BEEPS, HEADPHONE_TRIALS, HEADPHONES
from instructme.pipelines.listening.rated_edits import ANCHOR, REFERENCE, SOURCE, check_edits, keeps_nothing, names_instruments
from instructme.pipelines.listening.study import CLIPS, SETTINGS, WORDING, Stimulus, Study, write_study
from instructme.pipelines.listening.wording import default_wording

TRAINING_ITEMS = 2


def create(folder: Path, cases: Sequence[Case], study: Study) -> Iterator[str]:
    """Write a new study into `folder`; yield lines for the user.

    Raises:
        DataError: the folder has a study or other files, an audio file can't be read, or there are too few systems.
    """
    check_edits(cases)
    _check_new(folder)
    study = dataclasses.replace(
        study,
        systems=tuple(sorted({system for case in cases for system in case.edits})),
        completion_code=study.completion_code or secrets.token_hex(4).upper(),
    )
    if study.mode == "pairs" and len(study.systems) + study.reference < 2:
        raise DataError("pairs need two systems: add rows of another system, or keep the reference")
    with atomic_folder(folder) as temporary:
        (clips := temporary / CLIPS).mkdir()
        (temporary / WORDING).write_text(default_wording(), encoding="utf-8")
        stimuli = list(_checks(clips))
        for number, case in enumerate(cases, start=1):
            stimuli += _item(clips, f"{number:04d}", case, study)
        write_study(temporary, study, _with_training(stimuli, study))
        for path in clips.iterdir():
            os.utime(path, (0, 0))  # no header tells when a clip was written
    yield f"made a study of {len(cases)} triplets and {len(study.systems)} systems ({', '.join(study.systems)}) in {folder}"
    if soft := [each for each in stimuli if each.task and each.loudness_lufs < study.loudness_lufs - 3]:
        yield f"{len(soft)} clips are softer than {study.loudness_lufs:g} LUFS because they are nearly silent or have high peaks"


def _check_new(folder: Path) -> None:
    """Refuse a folder that holds anything: the study takes its place as a whole."""
    if (folder / SETTINGS).exists():
        raise DataError(f"{folder} holds a study with its answers; choose another folder")
    if held := sorted(path.name for path in folder.iterdir()) if folder.exists() else []:
        raise DataError(f"{folder} holds other files, such as {held[0]}: choose a new folder for the study")


def _write(clips: Path, samples: npt.NDArray[np.float32], rate_hz: int) -> str:
    """Write (T,) or (T, 2) as WAV under a random name: clips of equal length have files of equal size."""
    name = f"{secrets.token_hex(12)}.wav"
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    audio.write_blocks(clips / name, [audio.to_int16(samples)], rate_hz, channels, "PCM_16", "WAV")
    return name


def _item(clips: Path, name: str, case: Case, study: Study) -> Iterator[Stimulus]:
    """Write the clips of a triplet in random order."""
    sounds = _sounds(case, study, int(name))
    level = clip_levels.levelled(sounds, study.lengths_s, study.loudness_lufs)
    length_s = len(level.clips[SOURCE]) / RATE_HZ
    nearest = min(study.lengths_s, key=lambda each: abs(each - length_s), default=length_s)
    shown_s = nearest if abs(nearest - length_s) <= 0.5 else round(length_s, 1)
    for system in random.Random(f"{study.seed} {name}").sample(sorted(sounds), len(sounds)):
        file = _write(clips, level.clips[system], RATE_HZ)
        loudness = round(level.loudness_lufs[system], 2)
        facts = case.instruction, system, file, loudness, names_instruments(case)
        yield Stimulus(name, case.key, case.task, shown_s, *facts)


def _sounds(case: Case, study: Study, number: int) -> dict[str, Samples]:
    source, target = case.triplet.read()
    sounds = {system: audio.read(path, RATE_HZ) for system, path in case.edits.items()}
    if study.reference:
        sounds[REFERENCE] = target
    if study.anchor == "noise":
        sounds[ANCHOR] = clip_levels.noisy(source, study.seed + number)
    elif study.anchor == "shuffled" and case.stranger is not None:
        sounds[ANCHOR] = case.stranger.read()[1]
    if keeps_nothing(case.task) and case.lead is not None:
        lead = case.lead()
        sounds = {system: clip_levels.with_lead(clip, lead) for system, clip in sounds.items()}
    return {SOURCE: source, **sounds}


def _checks(clips: Path) -> Iterator[Stimulus]:
    """Write the trials with headphones, with the right answer as their system, and the beeps."""
    for number in range(HEADPHONE_TRIALS):
        answer = secrets.randbelow(3) + 1
        file = _write(clips, check_sounds.huggins_trial(answer, secrets.randbits(32)), check_sounds.RATE_HZ)
        yield Stimulus(HEADPHONES, str(number), "", 4.0, "", str(answer), file, 0.0)
    for count in range(1, check_sounds.MOST_BEEPS + 1):
        file = _write(clips, check_sounds.beeps(count), check_sounds.RATE_HZ)
        yield Stimulus(BEEPS, str(count), "", 3.0, "", str(count), file, 0.0)


def _with_training(stimuli: list[Stimulus], study: Study) -> list[Stimulus]:
    """Keep two triplets for the training if at least three others are left to rate."""
    items = sorted({each.item for each in stimuli if each.task})
    if not study.training or len(items) < 2 * TRAINING_ITEMS + 1:
        return stimuli
    drawn = set(random.Random(study.seed).sample(items, TRAINING_ITEMS))
    return [dataclasses.replace(each, training=each.item in drawn) for each in stimuli]
