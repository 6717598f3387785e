"""Measure what edits reach on unseen songs: SI-SDR to the target, beside doing nothing, by task and instrument.

python tests/benchmarks/edits.py RUN SHARDS [--split test] [--triplets 100] [--preserve off ...] [--guidance 1 ...]

Only tasks with one right answer are measured, remove and extract. "source" is the identity: the SI-SDR of an editor that changes
nothing. "vae" is the target decoded from its own latent: what an editor that decodes its output can reach.
"""

import argparse
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from instructme.model.checkpoint import read_config, restore
from instructme.model.losses import si_sdr_db
from instructme.model.vae import Vae
from instructme.pipelines.data.shard_reader import TripletAudio
from instructme.pipelines.data.stream import Triplets
from instructme.pipelines.editing.editor import Editor, EditWarning

TASKS = ("remove", "extract")


def ratio_db(estimate: np.ndarray[Any, Any], target: np.ndarray[Any, Any]) -> float:
    """Compute the SI-SDR of two signals (T,) in dB."""
    made, wanted = (torch.from_numpy(np.ascontiguousarray(each))[None, None] for each in (estimate, target))
    return float(si_sdr_db(made, wanted)[0])


def measure(editor: Editor, vae: Vae, clip: TripletAudio, rate_hz: int, ways: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Measure one triplet: an SI-SDR in dB for each column of the table."""
    with torch.no_grad():
        decoded = vae.from_latent(vae.to_latent(torch.from_numpy(clip.target)[None, None]), len(clip.target))[0, 0].numpy()
    values = {"source": ratio_db(clip.source, clip.target), "vae": ratio_db(decoded, clip.target)}
    for name, way in ways.items():
        edit = editor.edit(clip.source, rate_hz, clip.instruction, **way)
        values[name] = ratio_db(edit, clip.target)
    return values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("shards", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--triplets", type=int, default=100, help="of each task")
    parser.add_argument("--preserve", action="append", default=None, help="off, ratio, wiener or consistent; repeatable")
    parser.add_argument("--guidance", type=float, action="append", default=None, help="scale of the text; repeatable")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    ways: dict[str, dict[str, Any]] = {
        " ".join([mask or "default", *([] if scale is None else [f"w={scale:g}"])]): {"preserve": mask, "text_guidance": scale}
        for mask in options.preserve or [None]
        for scale in options.guidance or [None]
    }
    preset, _ = read_config(options.run, "editor")
    vae = Vae(preset.vae).eval()
    restore(vae, options.run, "vae")
    editor, triplets = Editor.load(options.run, options.device), Triplets(options.shards, options.split, preset)
    warnings.simplefilter("ignore", EditWarning)
    left, found = dict.fromkeys(TASKS, options.triplets), defaultdict(list)
    for row in tqdm(range(len(triplets))):
        clip, _ = triplets.waveforms(row)
        if left.get(clip.task, 0):
            left[clip.task] -= 1
            values = measure(editor, vae, clip, preset.sample_rate_hz, ways)
            found[clip.task, "all"].append(values)
            found[clip.task, clip.instruction.split(" ", 1)[1].lower()].append(values)
    print(f"{'task':9}{'instrument':26}{'n':>4}" + "".join(f"{name:>16}" for name in ("source", "vae", *ways)))
    for (task, instrument), rows in sorted(found.items(), key=lambda each: (each[0][0], -len(each[1]))):
        means = {name: np.nanmean([row[name] for row in rows]) for name in rows[0]}
        print(f"{task:9}{instrument:26}{len(rows):4}" + "".join(f"{value:16.2f}" for value in means.values()))


if __name__ == "__main__":
    main()
