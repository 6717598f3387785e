"""Measure the speed of editing: `python tests/benchmarks/edit.py RUN [SECONDS] [DEVICE]`, on made music (30 s, cpu).

RUN is a folder of `train editor`. Prints, for 1, 25 and 200 sampling steps, the real-time factor (time of work over length
of the music) of the fastest of two edits after one to warm up, and the shares of sampling, of chords and of the rest in it.
"""

import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from instructme.pipelines.editing import diffusion_edit as module
from instructme.pipelines.editing.editor import Editor

STEPS = (1, 25, 200)
RUNS = 2


def made(seconds: float, rate_hz: int) -> np.ndarray:
    """Make chords of decaying partials: (T, 2)."""
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    roots = np.array([220.0, 174.6, 261.6, 196.0])[(times / 2).astype(int) % 4]
    voices = [np.sin(2 * np.pi * np.cumsum(roots * ratio) / rate_hz) for ratio in (0.5, 1, 1.26, 1.5, 3, 5)]
    mono = 0.08 * sum(voices) * np.exp(-4 * (times % 0.5))
    return np.stack([mono, 0.8 * mono], axis=1).astype(np.float32)


def timed(name: str, function: Callable[..., Any], spent_s: Counter[str]) -> Callable[..., Any]:
    """Add the time of each call to `spent_s[name]`."""

    def call(*arguments: Any, **named: Any) -> Any:
        begun = time.perf_counter()
        result = function(*arguments, **named)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        spent_s[name] += time.perf_counter() - begun
        return result

    return call


def main() -> None:
    """Print a line for each number of steps."""
    run, seconds = Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 30.0
    device = sys.argv[3] if len(sys.argv) > 3 else "cpu"
    editor, audio = Editor.load(run, device), made(seconds, 44100)
    spent_s: Counter[str] = Counter()
    editor._denoise = timed("sampling", lambda *stretch, denoise=editor._denoise: list(denoise(*stretch)), spent_s)
    module.chord_matrix = timed("chords", module.chord_matrix, spent_s)
    edit = timed("whole", lambda steps: editor.edit(audio, 44100, "replace piano with bass", steps=steps), spent_s)
    config = editor.preset.diffusion
    print(f"{run}, preset {editor.preset.name}, {seconds:.0f} s of stereo at 44,100 Hz on {device}")
    print("steps  real-time factor  sampling  chords  rest")
    for steps in STEPS if config.zero_terminal_snr and config.prediction == "v" else STEPS[1:]:
        found = []
        for _ in range(RUNS + 1):
            spent_s.clear()
            edit(steps)
            found.append(dict(spent_s))
        least = min(found[1:], key=lambda spent: spent["whole"])
        sampling, chords = (least.get(name, 0.0) / least["whole"] for name in ("sampling", "chords"))
        print(f"{steps:5}{least['whole'] / seconds:18.3f}{sampling:10.0%}{chords:8.0%}{1 - sampling - chords:6.0%}")


if __name__ == "__main__":
    main()
