"""Edit audio of any length, rate and number of channels with a trained run."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from instructme.dataset_tools.audio import FLOOR_DB, Samples, db, peak, rms_db
from instructme.manifests.rows import DataError
from instructme.manifests.tables import sha256
from instructme.model import embedding as joint_embedding
from instructme.model.checkpoint import CONFIG, read_config, restore
from instructme.model.conditions.text import TextEncoder
from instructme.model.config import ModelError, Preset
from instructme.model.devices import check_device
from instructme.model.unet import Unet, latents
from instructme.model.vae import Vae
from instructme.pipelines.data.chord_frames import chord_matrix, on_clock
from instructme.pipelines.editing import sentences
from instructme.pipelines.editing.changes import EditedSound, Preserve, from_changes, from_target
from instructme.pipelines.editing.channels import hear, spread
from instructme.pipelines.editing.crossfade import join, spans
from instructme.pipelines.editing.denoiser import Chunk, Denoise, Denoiser, Listen, SamplingSettings, noise
from instructme.pipelines.editing.sentences import Instruction

RMS_DB = -22.0
"""Level at which the model hears music where the run doesn't say what it was trained on: median of the built-in corpus."""
SILENCE_DB = -80.0
"""Below this RMS nothing is edited."""
MOST_CHANNELS = 64
"""More are samples: an array the wrong way round."""
Say = Callable[[str], object]
Progress = Callable[[float], object]


def _nothing(_: object) -> None:
    pass


class Audio(Protocol):
    """An array (n, channels), or what is read like one."""

    def __len__(self) -> int: ...
    def __getitem__(self, span: slice, /) -> Samples: ...


class Editor:
    """A trained run, ready to edit.

    Music of any length is cut into chunks of the run's clip length that overlap and are cross-faded. The mean of the channels
    is edited, brought into the range of levels that the run was trained at and back; see `channels.spread` for stereo and for
    what lies above the model's Nyquist frequency.

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
        vae: Vae,
        denoise: Denoise,
        *,
        data: Mapping[str, Any] | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        """Put the networks of a run together; `data` is what its config.json says it was trained on."""
        self.preset, self.data = preset, data or {}
        self._vae, self._denoise, self._device = vae, denoise, torch.device(device)

    @classmethod
    def load(cls, run: Path | str, device: str | torch.device = "cpu", *, embedding: Path | str | None = None) -> "Editor":
        """Load a run folder that `train editor` wrote; prompts also need an `embedding`: a run, or a folder of CLAP.

        Raises:
            ModelError: no such run, damaged, weights of another preset, no text encoder, or no such device.
        """
        preset, config = read_config(Path(run), "editor")
        data = _described(Path(run), config.get("data") or {})
        check_device(device)
        vae, unet = Vae(preset.vae), Unet(preset)
        _restore_vae(vae, Path(run), data)
        restore(unet, Path(run))
        for network in (vae, unet):
            network.eval().requires_grad_(False).to(device)
        text = TextEncoder(preset.text.encoder, preset.text.width)
        listen = _listen(Path(embedding), preset.sample_rate_hz, device) if embedding else None
        return cls(preset, vae, Denoiser(preset, unet, text, listen), data=data, device=device)

    def edit(
        self,
        audio: Samples,
        rate_hz: int,
        instruction: str,
        *,
        seed: int = 0,
        steps: int | None = None,
        text_guidance: float | None = None,
        source_guidance: float | None = None,
        chord_guidance: float | None = None,
        prompt: str | None = None,
        preserve: Preserve | None = None,
        progress: Progress = _nothing,
        say: Say = warnings.warn,
    ) -> Samples:
        """Edit audio (T,) or (T, channels) by one instruction: the same shape, level and rate, never over full scale.

        Args:
            audio: float samples.
            rate_hz: any rate.
            instruction: such as "remove drums".
            seed: of the noise that sampling starts from.
            steps: of the sampler; None takes the preset's, as for the scales of guidance.
            text_guidance: w of eq. 4.
            source_guidance: scale of the source.
            chord_guidance: scale of the chords.
            prompt: what the result shall sound like.
            preserve: how what is kept comes from the source; None makes kept and removed sound add up to it, if a run has both.
            progress: called with the seconds of music that were done since the last call.
            say: called with each warning, a line.

        Raises:
            DataError: no samples, NaN, an instruction that is empty or too long.
        """
        whole = np.asarray(audio)
        if whole.ndim not in (1, 2) or not whole.size or not np.issubdtype(whole.dtype, np.floating):
            raise DataError(f"can't edit an array of {whole.dtype} {whole.shape}: give float samples (T,) or (T, channels)")
        if whole.ndim == 2 and whole.shape[1] > MOST_CHANNELS:
            raise DataError(f"can't edit {whole.shape[1]} channels: give samples as (T, channels), or a single channel (T,)")
        shaped = whole.astype(np.float32, copy=False).reshape(len(whole), -1)
        settings = SamplingSettings(seed, steps, text_guidance, source_guidance, chord_guidance, prompt, preserve)
        edited = np.concatenate(list(self.blocks(shaped, rate_hz, instruction, settings, progress=progress, say=say)))
        return (edited * np.float32(safe_gain(peak(edited), say))).reshape(whole.shape)

    def read(self, instruction: str, say: Say = warnings.warn) -> Instruction:
        """Read an instruction, and say what in it is not understood or was not trained on.

        Raises:
            DataError: empty or too long.
        """
        told = sentences.parse(instruction, self.data.get("templates"))
        for line in (*told.warnings, *sentences.untrained(told, self.data)):
            say(line)
        return told

    def blocks(
        self,
        audio: Audio,
        rate_hz: int,
        instruction: str,
        settings: SamplingSettings,
        *,
        progress: Progress = _nothing,
        say: Say = warnings.warn,
    ) -> Iterator[Samples]:
        """Edit (n, channels) in bounded memory: yield blocks (n, channels), as long together; they may exceed full scale.

        Raises:
            DataError: NaN, or an instruction that is empty or too long.
        """
        told = self.read(instruction, say)
        most = self.preset.diffusion.steps
        if settings.steps is not None and not 1 <= settings.steps <= most:
            raise DataError(f"can't sample in {settings.steps} steps: take 1 to {most}, or leave it to the run")
        level = level_db(audio, rate_hz)
        if level <= SILENCE_DB:
            say("the music is silent: there is nothing to edit, so it stays as it is")
        low, high = self.data.get("rms_range_db") or [self.data.get("rms_db", RMS_DB)] * 2
        gain = 10 ** ((min(max(level, low), high) - level) / 20)

        chunks = spans(len(audio) / rate_hz, self.preset.clip_seconds)
        share = len(audio) / rate_hz / sum(stop - start for start, stop in chunks)

        def edited(start: int, stop: float) -> tuple[int, Samples]:
            chunk = audio[start * rate_hz : round(stop * rate_hz)]
            done = lambda seconds: progress(share * seconds)  # noqa: E731
            return start * rate_hz, self._chunk(chunk, rate_hz, start, gain, told, settings, done)

        yield from join(edited(start, stop) for start, stop in chunks)

    def _chunk(
        self,
        audio: Samples,
        rate_hz: int,
        start_s: int,
        gain: float,
        told: Instruction,
        settings: SamplingSettings,
        progress: Progress,
    ) -> Samples:
        """Edit (n, channels) that the model hears at once."""
        seconds, model_hz = len(audio) / rate_hz, self.preset.sample_rate_hz
        heard = hear(audio, rate_hz, model_hz)
        if rms_db(heard) <= SILENCE_DB:
            progress(seconds)
            return audio
        wave = torch.from_numpy(heard * np.float32(gain))[None].to(self._device)
        made = self._made(wave, start_s, told, settings, lambda share: progress(share * seconds))
        sound, kept = ((each[0].float().cpu() / gain).numpy() for each in made)
        if not np.isfinite(sound).all():
            raise DataError("the run makes sound that isn't finite: its weights are damaged, take an earlier checkpoint")
        return spread(audio, heard, sound, kept, told.task, rate_hz=rate_hz, model_hz=model_hz)

    @torch.no_grad()
    def _made(self, wave: Tensor, start_s: int, told: Instruction, settings: SamplingSettings, progress: Progress) -> EditedSound:
        """Edit (1, T) at the model's rate and level."""
        source = self._vae.to_latent(wave[:, None])
        changes = self.preset.diffusion.predict == "changes"

        def compose(latent: Tensor, how: Preserve) -> EditedSound:
            def decode(each: Tensor) -> Tensor:
                return self._vae.from_latent(each, wave.shape[1])[:, 0]

            return (
                from_changes(told.task, wave, latent, decode, how)
                if changes
                else from_target(told.task, wave, decode(latent), how)
            )

        first_frame = round(start_s * self.preset.sample_rate_hz / self.preset.hop_samples)
        chunk = Chunk(
            instruction=told,
            settings=settings,
            source=source,
            chords=self._chords(wave, source.shape[-1]),
            noise=noise(settings.seed, first_frame, source.shape[-1], latents(self.preset)).to(self._device),
            sound=lambda latent: compose(latent, "off").sound,
            progress=progress,
        )
        return compose(self._denoise(chunk), settings.preserve or ("consistent" if changes else "off"))

    def _chords(self, wave: Tensor, frames: int) -> Tensor | None:
        """Recognise the chords of what the model hears, as in training: (1, 100, frames)."""
        if not self.preset.unet.chords:
            return None
        matrix = chord_matrix(wave[0].cpu().numpy(), self.preset.sample_rate_hz)
        rate_hz = self.preset.sample_rate_hz / self.preset.hop_samples
        return torch.from_numpy(on_clock(matrix, frames, rate_hz))[None].to(self._device)


def _restore_vae(vae: Vae, run: Path, data: Mapping[str, Any]) -> None:
    """Load RUN/vae.safetensors, which must be the VAE that the run was trained with.

    Raises:
        ModelError: missing, damaged, or another one.
    """
    restore(vae, run, "vae")
    path = run / "vae.safetensors"
    if data.get("vae") not in (None, sha256(path)):
        raise ModelError(f"{path} isn't the VAE that this run was trained with: copy the run folder again")


def _described(run: Path, data: Any) -> Mapping[str, Any]:
    """Check what a run says it was trained on."""
    kinds = {"tasks": list, "instruments": list, "genres": list, "templates": dict, "rms_db": float | int, "rms_range_db": list}
    if not isinstance(data, dict) or not all(isinstance(data[name], kind) for name, kind in kinds.items() if name in data):
        raise ModelError(f"{run / CONFIG} is damaged where it describes the data: copy the run folder again")
    return data


def _listen(folder: Path, rate_hz: int, device: str | torch.device) -> Listen:
    joint = joint_embedding.load(folder)
    if isinstance(joint, nn.Module):
        joint.to(device)
    return lambda sound, prompt: joint_embedding.distance(joint, sound[:, None], rate_hz, [prompt])


def level_db(audio: Audio, rate_hz: int) -> float:
    """Measure the RMS of the mean of the channels over all seconds that sound, in dBFS; -120 if none does.

    Raises:
        DataError: NaN or infinite samples.
    """
    power, seconds = 0.0, 0
    for start in range(0, len(audio), rate_hz):
        block = audio[start : start + rate_hz]
        if not np.isfinite(block).all():
            raise DataError(f"the audio holds NaN or infinite samples at {start / rate_hz:.0f} s: export it again")
        loudness = rms_db(block.mean(axis=1))
        if loudness > SILENCE_DB:
            power, seconds = power + 10 ** (loudness / 10), seconds + 1
    return db(np.sqrt(power / seconds)) if seconds else FLOOR_DB


def safe_gain(highest: float, say: Say) -> float:
    """Find the gain that brings a peak down to full scale, and say so; 1 where it is not above."""
    if highest <= 1.0:
        return 1.0
    say(f"the result peaks {db(highest):.1f} dB over full scale: all of it is turned down by as much")
    return 1.0 / highest
