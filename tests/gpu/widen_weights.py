"""Give a separator more channels without a change of what it does, so that a wider one need not start from nothing.

    python tests/gpu/widen_weights.py RUN OUT 384

OUT is for `train_separator.py --start OUT --set '{"width": 384}'`. The new channels start with weights that nothing reads,
or that read nothing yet (Net2Net, Chen et al., 2016).
"""

import dataclasses
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from instructme.model.checkpoint import WEIGHTS, read_config
from instructme.model.separator import Separator


def main(run: Path, out: Path, width: int) -> None:
    """Write the weights of a wider separator."""
    config = read_config(run, "separator")[0].separator
    torch.manual_seed(0)
    wide = Separator(dataclasses.replace(config, width=width)).state_dict()
    narrow = load_file(run / f"{WEIGHTS}.safetensors")
    widened = {name: _widened(name, value.float(), wide[name], (width / config.width) ** 0.5) for name, value in narrow.items()}
    out.mkdir(parents=True, exist_ok=True)
    save_file(widened, out / f"{WEIGHTS}.safetensors")


def _widened(name: str, old: Tensor, new: Tensor, growth: float) -> Tensor:
    """Put old weights into new ones. `growth` is what the new, silent channels add to the scale of normalised frames."""
    if old.shape == new.shape:
        return old
    if ".film." in name:
        scale, shift = old.chunk(2)
        return torch.cat([_placed(each, torch.zeros_like(new[: len(new) // 2])) for each in (scale, shift * growth)])
    reads_normed = name.endswith(("wide.weight", "end.weight", "presence.weight"))
    return _placed(old / growth, new) if reads_normed else _placed(old, torch.zeros_like(new))


def _placed(old: Tensor, new: Tensor) -> Tensor:
    """Return `new` with `old` in its first places."""
    placed = new.clone()
    placed[tuple(slice(size) for size in old.shape)] = old
    return placed


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
