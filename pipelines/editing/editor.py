"""Edit audio of any length, rate and number of channels with a trained run."""

import dataclasses
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from instructme.dataset_tools.audio import FLOOR_DB, Samples, db, peak, power_db, rms_db
from instructme.dataset_tools.tasks import task_module
from instructme.manifests.rows import DataError
from instructme.model import embedding as joint_embedding
from instructme.model.checkpoint import read_config, restore
from instructme.model.conditions.text import TextEncoder
from instructme.model.config import Preset
from instructme.model.devices import check_device
from instructme.model.unet import Unet
from instructme.model.vae import Vae
from instructme.pipelines.editing.denoiser import Denoise, Denoiser, Listen, SamplingSettings
from instructme.pipelines.editing.diffusion_edit import SILENCE_DB, DiffusionEdit, EditBlock
from instructme.pipelines.editing.part_separator import Audio, PartSeparator
from instructme.pipelines.editing.run_folders import described, find_run, restore_vae, separator_beside
from instructme.pipelines.sentences import sentence_reader
from instructme.pipelines.sentences.plan import EditStep, Instruction, within_span

RMS_DB = -22.0
"""Level at which the model hears music where the run doesn't say what it was trained on: median of the built-in corpus."""
FAINT_DB = 20.0
"""A separated part that is softer than the music by more than this is doubted: an instrument that does not play is as soft."""
_SEPARATED = "remove, extract and rebalance instruments"
_TRAIN = "For the other tasks train an editor ('instructme train editor') and name its folder with --run"
MOST_CHANNELS = 64
"""More are samples: an array the wrong way round."""


class EditWarning(UserWarning):
    """Warn about unknown words, instruments that are hardly heard, silence, and a result that is turned down.

    Example:
        ```python
        import warnings
        from instructme import EditWarning

        warnings.simplefilter("error", EditWarning)  # or "ignore"
        ```
    """


class Editor:
    """Edit music with a trained run, or with the editor in the package.

    A separator edits each channel. A run of `train editor` cuts music of any length into overlapping chunks of its clip length,
    and denoises them together, up to a minute at once. It edits the mean of the channels, within the range of levels that it was
    trained on. The page "Editing" of the manual says what happens to stereo and to frequencies above half of the run's sample
    rate.

    Example:
        ```python
        import soundfile
        from instructme import Editor

        editor = Editor.load("runs/editor")
        song, rate_hz = soundfile.read("song.wav")
        soundfile.write("out.wav", editor.edit(song, rate_hz, "remove drums"), rate_hz)
        ```
    """

    def __init__(
        self,
        preset: Preset,
        vae: Vae | None = None,
        denoise: Denoise | None = None,
        separator: PartSeparator | None = None,
        *,
        data: Mapping[str, Any] | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        """Put the networks of a run together.

        Args:
            preset: of the run.
            vae: goes with `denoise`.
            denoise: makes new sound. Without it, the editor only does the tasks that the separator can do.
            separator: does all tasks that need nothing but a named part, if there is one.
            data: the part of config.json that describes the training data.
            device: of the networks.
        """
        self.preset, self.data = preset, data or {}
        self._vae, self._denoise, self._separator, self._device = vae, denoise, separator, torch.device(device)

    @classmethod
    def load(
        cls, run: Path | str | None = None, device: str | torch.device = "cpu", *, embedding: Path | str | None = None
    ) -> "Editor":
        """Load a trained editor.

        Args:
            run: a folder that `train editor` or `train separator` wrote, or OWNER/NAME on the Hugging Face hub. A folder
                `separator` in an editor's folder holds the separator that works beside it. None is the editor in the package:
                it removes, extracts and rebalances.
            device: such as "cuda".
            embedding: a run of `train embedding`, or a folder of CLAP. Prompts need it.

        Raises:
            ModelError: no such run, damaged, weights of another preset, no text encoder, or no such device.
        """
        folder = find_run(run)
        preset, config = read_config(folder)
        data = described(folder, config.get("data") or {})
        check_device(device)
        if config["kind"] == "separator":
            return cls(preset, separator=PartSeparator.load(folder, device), device=device)
        preset, _ = read_config(folder, "editor")
        vae, unet = Vae(preset.vae), Unet(preset)
        restore_vae(vae, folder, data)
        restore(unet, folder)
        for network in (vae, unet):
            network.eval().requires_grad_(False).to(device)
        text = TextEncoder(preset.text.encoder, preset.text.width)
        listen = _listen(Path(embedding), preset.sample_rate_hz, device) if embedding else None
        separator = PartSeparator.load(beside, device) if (beside := separator_beside(folder)) else None
        return cls(preset, vae, Denoiser(preset, unet, text, listen), separator, data=data, device=device)

    def check(self, step: EditStep) -> None:
        """Check that the editor can make a step.

        Raises:
            DataError: a task that it was not made for, or an instrument that it does not know.
        """
        separated = self.separates(step)
        if self._denoise is None and not separated:
            raise DataError(f"this editor can't {step.task}: it can {_SEPARATED}. {_TRAIN}")
        if separated and self._separator:
            self._separator.check(step.instruments)

    @property
    def halves(self) -> bool:
        """Whether a step that removes and adds is made in two: the separator removes, diffusion adds."""
        return self._separator is not None and self._denoise is not None

    def separates(self, step: EditStep) -> bool:
        """Say whether a step is made by the separator, which draws nothing and has no sampler."""
        return self._separator is not None and hasattr(task_module(step.task), "from_part")

    def edit(
        self,
        audio: Samples,
        rate_hz: int,
        instruction: str | EditStep,
        settings: SamplingSettings | None = None,
        **changes: Any,
    ) -> Samples:
        """Edit audio (T,) or (T, channels) by a sentence: the same shape, level and rate, never over full scale.

        Args:
            audio: float samples.
            rate_hz: any rate.
            instruction: a sentence such as "remove drums, then add piano after 0:10", or one step of a plan.
            settings: see `SamplingSettings`.
            **changes: fields of the settings, such as seed=3.

        Raises:
            DataError: no samples, or NaN.
            SentenceError: a sentence that is not understood.

        Warns:
            EditWarning: a word that is read as another, or that the run does not know; an instrument that is hardly heard;
                silence; a result that is turned down.
        """
        whole = np.asarray(audio)
        if whole.ndim not in (1, 2) or not whole.size or not np.issubdtype(whole.dtype, np.floating):
            raise DataError(f"can't edit an array of {whole.dtype} {whole.shape}: give float samples (T,) or (T, channels)")
        if whole.ndim == 2 and whole.shape[1] > MOST_CHANNELS:
            raise DataError(f"can't edit {whole.shape[1]} channels: give samples as (T, channels), or a single channel (T,)")
        shaped = whole.astype(np.float32, copy=False).reshape(len(whole), -1)
        settings = dataclasses.replace(settings or SamplingSettings(), **changes)
        edited = shaped
        for each in self.read(instruction):
            edited = np.concatenate([block.samples for block in self.blocks(edited, rate_hz, each, settings)])
        return (edited * np.float32(safe_gain(peak(edited)))).reshape(whole.shape)

    def read(self, instruction: str | EditStep) -> list[Instruction]:
        """Put a sentence, or one step of a plan, into texts of the run's training, one for each pass of the model.

        Raises:
            SentenceError: not understood.

        Warns:
            EditWarning: a word that is read as another.
        """
        templates = self.data.get("templates")
        if isinstance(instruction, EditStep):
            return list(instruction.instructions(templates, halves=self.halves))
        plan = sentence_reader.read(instruction, templates)
        for line in plan.notes:
            warnings.warn(line, EditWarning, stacklevel=2)
        return [each for step in plan.steps for each in step.instructions(templates, halves=self.halves)]

    def blocks(
        self, audio: Audio, rate_hz: int, instruction: str | Instruction, settings: SamplingSettings | None = None
    ) -> Iterator[EditBlock]:
        """Edit (n, channels) in bounded memory: yield a block after each chunk in each step of the sampler, and for each chunk.

        The samples of all blocks are as long as the audio together, and may exceed full scale. Warnings are those of `edit`.

        Args:
            audio: (n, channels), or an object that is read like it.
            rate_hz: any rate.
            instruction: one of `read`, or a sentence that asks for one edit of one instrument.
            settings: see `SamplingSettings`.

        Raises:
            DataError: NaN, a time span after the end, or a sentence that asks for several edits.
            SentenceError: a sentence that is not understood.
        """
        read, settings = self._single(instruction), settings or SamplingSettings()
        self._refuse(read.step, settings, len(audio) / rate_hz)
        for line in sentence_reader.untrained(read.step, self.data):
            warnings.warn(line, EditWarning, stacklevel=2)
        separated = self.separates(read.step)
        level = level_db(audio, rate_hz, mixed=not separated)
        if level <= SILENCE_DB:
            silent = f"the music is silent, or softer than {SILENCE_DB:g} dBFS"
            warnings.warn(silent if separated else f"{silent}: it stays as it is", EditWarning, stacklevel=2)
        if separated:
            _tell_unused(settings)
            yield from self._separated(audio, rate_hz, read.step)
            return
        low, high = self.data.get("rms_range_db") or [self.data.get("rms_db", RMS_DB)] * 2
        gain = 10 ** ((min(max(level, low), high) - level) / 20)
        assert self._vae is not None and self._denoise is not None
        edit = DiffusionEdit(self.preset, self._vae, self._denoise, self._device, read, settings, rate_hz, gain)
        yield from edit.blocks(audio)

    def _refuse(self, step: EditStep, settings: SamplingSettings, length_s: float) -> None:
        """Refuse what this run, or music of this length, can't do."""
        self.check(step)
        if step.span[0] >= length_s:
            raise DataError(f"the edit starts at {step.start_s:g} s, but the music is {length_s:.1f} s long")
        most = self.preset.diffusion.steps
        if settings.steps is not None and not 1 <= settings.steps <= most:
            raise DataError(f"can't sample in {settings.steps} steps: take 1 to {most}, or leave it to the run")

    def _separated(self, audio: Audio, rate_hz: int, step: EditStep) -> Iterator[EditBlock]:
        """Edit by the part that the separator takes out."""
        assert self._separator is not None
        first, powers = 0, np.zeros(2)
        for part in self._separator.parts(audio, rate_hz, step.instruments, *step.span):
            source = np.asarray(audio[first : first + len(part)], np.float32)
            start, end = (min(max(0.0, at_s * rate_hz - first), len(part)) for at_s in step.span)
            powers += [np.square(each[int(start) : int(end)], dtype=np.float64).sum() for each in (part, source)]
            edited = task_module(step.task).from_part(source, part, step.gain_db)
            if not np.isfinite(edited).all():
                raise DataError("the run makes sound that isn't finite: its weights are damaged, take an earlier checkpoint")
            yield EditBlock(within_span(source, edited, step, rate_hz, first), len(part) / rate_hz)
            first += len(part)
        _tell_faint(step, *powers)

    def _single(self, instruction: str | Instruction) -> Instruction:
        """Take an instruction as it is, or read a sentence that gives exactly one."""
        if isinstance(instruction, Instruction):
            return instruction
        found = self.read(instruction)
        if len(found) > 1:
            raise DataError(f'"{instruction}" asks for {len(found)} edits: loop over Editor.read, or call Editor.edit')
        return found[0]


def _listen(folder: Path, rate_hz: int, device: str | torch.device) -> Listen:
    joint = joint_embedding.load(folder)
    if isinstance(joint, nn.Module):
        joint.to(device)
    return lambda sound, prompt: joint_embedding.distance(joint, sound[:, None], rate_hz, [prompt])


def _tell_unused(settings: SamplingSettings) -> None:
    """Warn of settings of the sampler where there is none."""
    given = {name: value for name, value in dataclasses.asdict(settings).items() if name != "seed"}
    if unused := [name for name, value in given.items() if value is not None]:
        warnings.warn(
            f"{', '.join(unused)} changed nothing: a separator made this edit, without a sampler", EditWarning, stacklevel=3
        )


def _tell_faint(step: EditStep, part: float, music: float) -> None:
    """Warn of a part that the separator hardly hears."""
    if music > 0 and (under_db := -power_db(part / music)) > FAINT_DB:
        much = f"hardly any, {under_db:.0f} dB softer than the music" if under_db < -FLOOR_DB else "none"
        line = f"{' and '.join(step.instruments)}: the editor hears {much}: does it play there?"
        warnings.warn(f"{line} If it does, the editor does not know its sound", EditWarning, stacklevel=3)


def level_db(audio: Audio, rate_hz: int, mixed: bool = True) -> float:
    """Measure the RMS over all seconds that sound, in dBFS, of the mean of the channels or of each; -120 if none does.

    Raises:
        DataError: NaN or infinite samples.
    """
    power, seconds = 0.0, 0
    for start in range(0, len(audio), rate_hz):
        block = audio[start : start + rate_hz]
        if not np.isfinite(block).all():
            raise DataError(f"the audio holds NaN or infinite samples at {start / rate_hz:.0f} s: export it again")
        loudness = rms_db(block.mean(axis=1) if mixed else np.ravel(block))
        if loudness > SILENCE_DB:
            power, seconds = power + 10 ** (loudness / 10), seconds + 1
    return db(np.sqrt(power / seconds)) if seconds else FLOOR_DB


def safe_gain(highest: float, name: str = "the result") -> float:
    """Compute the gain that turns a peak down to full scale, with a warning; 1 if the peak is not above."""
    if highest <= 1.0:
        return 1.0
    line = f"{name} peaks {db(highest):.1f} dB over full scale: all of it is turned down by as much"
    warnings.warn(line, EditWarning, stacklevel=2)
    return 1.0 / highest
