"""Measure the seams of long edits: `python tests/benchmarks/seams.py [RUN]`, on made music.

RUN is a folder of `train editor`. Without it, the network is `tiny` with random weights. Two chunks of a remix are denoised each
by itself, together, and one after the other. Prints the RMS of the difference of the two takes of the moments that both hear,
beside the RMS of these latents, and the processor time beside that of the first way.
"""

import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from edit import made
from torch import Tensor, nn

from instructme.model.conditions.text import TextEncoder
from instructme.model.config import override
from instructme.model.presets import TINY
from instructme.model.unet import Unet
from instructme.model.vae import Vae
from instructme.pipelines.editing.denoiser import Chunk, Denoise, Denoiser, SamplingSettings
from instructme.pipelines.editing.diffusion_edit import DiffusionEdit
from instructme.pipelines.editing.editor import Editor

STEPS = 10


def random_editor() -> Editor:
    """Make an editor of random weights, with none of the zeros from which training starts."""
    torch.manual_seed(0)
    preset = override(TINY, ["unet.chords=false"])
    unet = Unet(preset).eval().requires_grad_(False)
    for each in unet.parameters():
        if each.ndim > 1 and not each.any():
            nn.init.normal_(each, std=each[0].numel() ** -0.5)
    return Editor(preset, Vae(preset.vae).eval(), Denoiser(preset, unet, TextEncoder(preset.text.encoder, preset.text.width)))


def main() -> None:
    """Print a table."""
    editor = Editor.load(Path(sys.argv[1])) if len(sys.argv) > 1 else random_editor()
    rate_hz, clip_s = editor.preset.sample_rate_hz, round(editor.preset.clip_seconds)
    hop_s = round(0.8 * clip_s)
    audio = made(clip_s + hop_s, rate_hz)
    print("guidance  chunks               apart    time")
    for guidance in (1.0, 3.0):
        settings = SamplingSettings(seed=1, steps=STEPS, text_guidance=guidance)
        assert editor._vae is not None and editor._denoise is not None
        instruction = editor.read("remix to Jazz genre")[0]
        edit = DiffusionEdit(
            editor.preset, editor._vae, editor._denoise, torch.device("cpu"), instruction, settings, rate_hz, 1.0
        )
        with torch.no_grad():
            found = [edit._heard(audio[start * rate_hz : (start + clip_s) * rate_hz], start) for start in (0, hop_s)]
        chunks = [each.chunk for each in found if each]
        first = chunks[1].first

        def denoised(part: Sequence[Chunk], done: Tensor | None = None, denoise: Denoise = edit.denoise) -> Tensor:
            *_, (latents, _) = denoise(part, done)
            return latents

        began = time.process_time()
        left, right = (denoised([chunk]) for chunk in chunks)
        alone_s = time.process_time() - began
        joint = denoised(chunks)
        joint_s = time.process_time() - began - alone_s
        following = denoised(chunks[1:], left[..., first:])
        joint_left, joint_right = joint[..., : left.shape[-1]], joint[..., first:]
        for name, one, other, ratio in (
            ("by themselves", left, right, 1.0),
            ("together", joint_left, joint_right, joint_s / alone_s),
            ("one after the other", left, following, 1.0),
        ):
            count = (left.shape[-1] - first) // (2 if other is following else 1)
            here, there = one[..., first : first + count], other[..., :count]
            apart = (here - there).square().mean() / here.square().mean()
            print(f"{guidance:8}  {name:20}{10 * math.log10(float(apart) + 1e-20):6.1f} dB{ratio:6.2f}", flush=True)


if __name__ == "__main__":
    main()
