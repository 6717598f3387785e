"""Edit music of any length by diffusion: chunks that overlap are denoised together, a minute at a time."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from instructme.dataset_tools.audio import Samples, rms_db
from instructme.manifests.rows import DataError
from instructme.model.config import Preset
from instructme.model.unet import latents as latent_channels
from instructme.model.vae import Vae
from instructme.pipelines.data.chord_frames import chord_matrix, on_clock
from instructme.pipelines.editing.changes import EditedSound, Preserve, as_changes, from_changes, from_target
from instructme.pipelines.editing.channels import hear, spread
from instructme.pipelines.editing.crossfade import FADE_S, cross_fade, spans
from instructme.pipelines.editing.denoiser import Chunk, Denoise, SamplingSettings, noise
from instructme.pipelines.editing.part_separator import Audio
from instructme.pipelines.sentences.plan import Instruction, touches, within_span

SILENCE_DB = -80.0
"""Below this RMS nothing is edited."""
STRETCH_S = 60
"""Most seconds that are denoised together. Their latents are small, and the networks see one chunk at a time."""


class EditBlock(NamedTuple):
    """The next finished samples (n, channels) of an edit, n often 0, and the seconds of music done since the last block."""

    samples: Samples
    seconds: float


class _Heard(NamedTuple):
    """A chunk of music.

    start_s: where it starts.
    audio: (n, channels).
    heard: (T,) what the model hears of it, at the level of the music.
    wave: (1, T) the same, at the level of the model.
    chunk: the input of the denoiser.
    """

    start_s: int
    audio: Samples
    heard: Samples
    wave: Tensor
    chunk: Chunk


class _Progress(NamedTuple):
    """Seconds that are done; or an edited chunk, where it starts, and whether it continues another stretch."""

    seconds: float
    start_s: int = 0
    edited: Samples | None = None
    continues: bool = False


@dataclass(frozen=True)
class DiffusionEdit:
    """One edit by the networks of a run.

    Args:
        preset: of the run.
        vae: of the run.
        denoise: makes new sound.
        device: of the networks.
        instruction: one pass of the model.
        settings: see `SamplingSettings`.
        rate_hz: of the music.
        gain: brings the music to the level that the model was trained on.
    """

    preset: Preset
    vae: Vae
    denoise: Denoise
    device: torch.device
    instruction: Instruction
    settings: SamplingSettings
    rate_hz: int
    gain: float

    @torch.no_grad()
    def blocks(self, audio: Audio) -> Iterator[EditBlock]:
        """Edit (n, channels) in bounded memory: yield a block for each chunk in each step, and for each edited chunk."""
        pending, first = audio[:0], 0

        def done(samples: Samples) -> EditBlock:
            source = audio[first : first + len(samples)]
            return EditBlock(within_span(source, samples, self.instruction.step, self.rate_hz, first), 0.0)

        for progress in self._chunks(audio):
            yield EditBlock(audio[:0], progress.seconds)
            if progress.edited is None:
                continue
            shared = progress.start_s * self.rate_hz - first
            yield done(pending[:shared])
            old = pending[shared:]
            if progress.continues:  # Both are equal there; see `continued`.
                old = old[: len(old) // 2]
            pending, first = cross_fade(old, progress.edited, FADE_S * self.rate_hz), progress.start_s * self.rate_hz
        yield done(pending)

    def _chunks(self, audio: Audio) -> Iterator[_Progress]:
        """Edit the chunks in stretches. A chunk that is silent, or that the step does not touch, stays as it is."""
        length_s = len(audio) / self.rate_hz
        chunks = spans(length_s, self.preset.clip_seconds)
        share = length_s / sum(stop - start for start, stop in chunks)
        stretch: list[_Heard] = []
        made: tuple[int, Tensor] | None = None
        for start, stop in chunks:
            heard = self._heard(audio[start * self.rate_hz : round(stop * self.rate_hz)], start)
            follows = heard is not None and bool(stretch) and self._on_frame(start - stretch[0].start_s)
            if stretch and (not follows or stop - stretch[0].start_s > STRETCH_S):
                latents = yield from self._stretch(stretch, made, share)
                made = (stretch[0].chunk.first, latents) if follows else None
                stretch = []
            if heard is None:
                yield _Progress(share * (stop - start), start, audio[start * self.rate_hz : round(stop * self.rate_hz)])
            else:
                stretch.append(heard)
        if stretch:
            yield from self._stretch(stretch, made, share)

    def _on_frame(self, seconds: int) -> bool:
        return seconds * self.preset.sample_rate_hz % self.preset.hop_samples == 0

    def _heard(self, audio: Samples, start_s: int) -> _Heard | None:
        """Prepare a chunk (n, channels); None if nothing is to be done."""
        model_hz = self.preset.sample_rate_hz
        heard = hear(audio, self.rate_hz, model_hz)
        if rms_db(heard) <= SILENCE_DB or not touches(self.instruction.step, start_s, start_s + len(audio) / self.rate_hz):
            return None
        wave = torch.from_numpy(heard * np.float32(self.gain))[None].to(self.device)
        source = self.vae.to_latent(wave[:, None])
        frames, first = source.shape[-1], start_s * model_hz // self.preset.hop_samples
        drawn = noise(self.settings.seed, first, frames, latent_channels(self.preset)).to(self.device)

        def sound_of(latents: Tensor) -> Tensor:
            return self._composed(wave, source, latents, "off").sound

        chunk = Chunk(self.instruction, self.settings, first, source, self._chords(wave, frames), drawn, sound_of)
        return _Heard(start_s, audio, heard, wave, chunk)

    def _stretch(
        self, stretch: Sequence[_Heard], made: tuple[int, Tensor] | None, share: float
    ) -> Generator[_Progress, None, Tensor]:
        """Edit the chunks of a stretch; return its latents.

        made: the first frame and the latents of another stretch that this one continues.
        """
        begins = stretch[0].chunk.first
        seconds = share * sum(len(each.audio) for each in stretch) / self.rate_hz
        done = None if made is None else made[1][..., begins - made[0] :]
        for latents, part in self.denoise([each.chunk for each in stretch], done):  # noqa: B007
            yield _Progress(part * seconds)
        for number, each in enumerate(stretch):
            first = each.chunk.first - begins
            edited = self._edited(each, latents[..., first : first + each.chunk.source.shape[-1]])
            yield _Progress(0.0, each.start_s, edited, continues=number == 0 and made is not None)
        return latents

    def _edited(self, heard: _Heard, latents: Tensor) -> Samples:
        """Make the edit (n, channels) of a chunk from its latents (1, Cz, F)."""
        made = self._composed(heard.wave, heard.chunk.source, latents, self.settings.preserve)
        sound, kept = ((each[0].float().cpu() / self.gain).numpy() for each in made)
        if not np.isfinite(sound).all():
            raise DataError("the run makes sound that isn't finite: its weights are damaged, take an earlier checkpoint")
        task, model_hz = self.instruction.step.task, self.preset.sample_rate_hz
        return spread(heard.audio, heard.heard, sound, kept, task, rate_hz=self.rate_hz, model_hz=model_hz)

    def _composed(self, wave: Tensor, source: Tensor, latents: Tensor, how: Preserve | None) -> EditedSound:
        """Compose the edit of (1, T), at the model's rate and level, from its latent and latents (1, Cz, F)."""

        def decode(latent: Tensor) -> Tensor:
            return self.vae.from_latent(latent, wave.shape[1])[:, 0]

        task = self.instruction.step.task
        if not self.preset.diffusion.makes_changes:
            return from_target(task, wave, decode(latents), how or "off")
        if self.preset.diffusion.predict == "named":
            latents = as_changes(task, latents, source)
        return from_changes(task, wave, latents, decode, how or "consistent")

    def _chords(self, wave: Tensor, frames: int) -> Tensor | None:
        """Recognise the chords of what the model hears, as in training: (1, 100, frames)."""
        if not self.preset.unet.chords:
            return None
        matrix = chord_matrix(wave[0].cpu().numpy(), self.preset.sample_rate_hz)
        rate_hz = self.preset.sample_rate_hz / self.preset.hop_samples
        return torch.from_numpy(on_clock(matrix, frames, rate_hz))[None].to(self.device)
