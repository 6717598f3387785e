"""Measure a joint embedding on unseen songs: does it find what sounds? Beside chance, and the same networks untrained.

python tests/benchmarks/embedding.py SHARDS RUN [--split test] [--triplets 100]

RUN is a run of `train embedding`, or a folder of CLAP. For both sides of each triplet:
first, five: share of clips whose own description ("a mix of bass and drums") is nearest of all clips', or among the nearest five.
area: mean over instruments of the area under the ROC curve of "music with X" (0.5 is chance).
edit: share of edits in which "music with X" is nearer to the side that has X (0.5 is chance); remixes are left out.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from scipy.stats import rankdata
from tqdm import tqdm

from instructme.model.config import Preset, from_dict
from instructme.model.embedding import Embedding, Joint, load
from instructme.model.presets import SMALL
from instructme.pipelines.training import captions
from instructme.pipelines.training.captions import TRUE, Mix
from instructme.pipelines.training.embedding import Mixes

FEWEST = 5
"""Clips with and without an instrument for its area to count."""


def presence(names: list[str], mixes: list[Mix]) -> np.ndarray:
    return np.array([[name in mix.instruments for name in names] for mix in mixes])


def measure(joint: Joint, heard: np.ndarray, mixes: list[Mix], edits: list[bool]) -> dict[str, float]:
    texts = list(dict.fromkeys(captions.describe(mix) for mix in mixes))
    near = heard @ joint.text([caption.text for caption in texts]).numpy().T
    true = captions.truth(mixes, texts) == TRUE
    ranks = np.array([(row > row[right].max()).sum() for row, right in zip(near, true, strict=True)])
    names = sorted({name for mix in mixes for name in mix.instruments})
    like, has = heard @ joint.text([f"music with {name}" for name in names]).numpy().T, presence(names, mixes)
    areas = [area(like[:, each], has[:, each]) for each in range(len(names)) if FEWEST <= has[:, each].sum() <= len(has) - FEWEST]
    source, target = has[0::2], has[1::2]
    changed = (source != target) & np.array(edits)[:, None]
    right = ((like[0::2] > like[1::2]) == source)[changed]
    return {"first": (ranks == 0).mean(), "five": (ranks < 5).mean(), "area": np.mean(areas), "edit": right.mean()}


def area(scores: np.ndarray, positive: np.ndarray) -> float:
    above = rankdata(scores)[positive].sum() - positive.sum() * (positive.sum() + 1) / 2
    return float(above / (positive.sum() * (~positive).sum()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--triplets", type=int, default=100)
    arguments = parser.parse_args()
    config = json.loads((arguments.run / "config.json").read_text())
    preset = from_dict(Preset, config["preset"]) if "preset" in config else SMALL
    joint = load(arguments.run)
    triplets = Mixes(arguments.shards, arguments.split, preset)
    torch.manual_seed(0)
    untrained = Embedding(preset.embedding, preset.text, joint.trunk).eval() if isinstance(joint, Embedding) else None
    mixes, edits, trained, plain = [], [], [], []
    rows = np.random.default_rng(0).permutation(len(triplets))[: arguments.triplets].tolist()
    with torch.no_grad():
        for row in tqdm(rows, unit="triplet"):
            item = triplets[row]
            mixes += captions.sides(json.loads(item["recipe"]), {})
            edits.append(item["task"] != "remix")
            audio = torch.stack([item["source"], item["target"]])
            if isinstance(joint, Embedding) and untrained:
                heard = joint.hear(audio, preset.sample_rate_hz)
                trained.append(joint.project_audio(heard).numpy())
                plain.append(untrained.project_audio(heard).numpy())
            else:
                trained.append(joint.audio(audio, preset.sample_rate_hz).numpy())
        results = {"trained": measure(joint, np.concatenate(trained), mixes, edits)}
        if untrained:
            results["untrained"] = measure(untrained, np.concatenate(plain), mixes, edits)
    count = len({captions.describe(mix) for mix in mixes})
    results["chance"] = {"first": 1 / count, "five": 5 / count, "area": 0.5, "edit": 0.5}
    print(f"{len(mixes)} clips of {arguments.split}, {count} descriptions, {sum(edits)} edits")
    print(f"{'':10}  first   five   area   edit")
    for name, row in results.items():
        print(f"{name:10}" + "".join(f"  {row[each]:.3f}" for each in ("first", "five", "area", "edit")))


if __name__ == "__main__":
    main()
