"""Train the joint embedding of text and music that prompts need, on the user's own mixes and what sounds in them (eq. 5).

It learns the words that captions have: instruments, the genres that remixes ask for, and whatever users write in a table of their
own. "A happy music" means something only where such captions call music happy; the frozen encoders help with what is near.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from instructme.dataset_tools.recognisers import weights
from instructme.model import musicnn
from instructme.model.config import Preset
from instructme.model.embedding import Embedding
from instructme.pipelines.data.stream import Item, ReadAudio, Triplets, load
from instructme.pipelines.pages import PageClip, Row, training_page
from instructme.pipelines.training import captions
from instructme.pipelines.training.captions import Caption, Mix
from instructme.pipelines.training.loop import Batch, Trainer, descend
from instructme.pipelines.training.loss_curves import curves
from instructme.pipelines.training.micro_batches import NORM
from instructme.pipelines.training.optimizers import optimizer

CACHED = 50_000
"""Triplets whose sound is remembered as the trunk heard it: 6 kB each, so that later epochs hear nothing again."""
_EXAMPLES = 6
_NEAREST = 3


class Mixes(Triplets):
    """Triplets, whole, whose items also hold their `recipe` as JSON: it says what sounds in both sides."""

    def audio_item(self, row: int, number: int, read: ReadAudio) -> Item:
        """Make the item of a row from its audio, with its recipe."""
        return {**super().audio_item(row, number, read), "recipe": json.dumps(dataclasses.asdict(self.read.recipe(row)))}


class EmbeddingTrainer(Trainer):
    """The trainer of the projections. MusiCNN and the text encoder are frozen; the weights hold the former, too.

    Both sides of a triplet are in one batch: they differ by what the instruction names, so the loss has to hear it. Clips are
    compared with the captions of their own rank.
    """

    kind = "embedding"
    averaged = "embedding"

    def __init__(self, preset: Preset, validation: Mixes, user_captions: Path | None = None, seed: int = 0) -> None:
        """Build the towers.

        Raises:
            DataError: MusiCNN's weights aren't fetched, or the table of captions can't be read.
            ModelError: the text encoder can't be loaded.
        """
        self.preset, self.seed, self.validation = preset, seed, validation
        self._captions = captions.read(user_captions) if user_captions else {}
        trunk = musicnn.MusiCnn.from_file(weights.tensors("musicnn"))
        torch.manual_seed(seed)
        self.modules = {"embedding": Embedding(preset.embedding, preset.text, trunk)}
        self.optimizers = {"embedding": optimizer(self.modules["embedding"].parameters(), preset.embedding_training)}
        self._cache: dict[str, Tensor] = {}
        self._validated: tuple[Tensor, list[Mix]] | None = None

    def update(self, batch: Batch, step: int, accelerator: Any) -> dict[str, Tensor]:
        """Take a step on the contrastive loss of both sides of each triplet and a caption of each."""
        embedding, mixes = accelerator.unwrap_model(self.modules["embedding"]), self._mixes(batch)
        drawn = self._draw(mixes, self.seed, batch["number"])
        heard, read = self._hear(batch, embedding), embedding.read([caption.text for caption in drawn])
        truth = torch.from_numpy(captions.truth(mixes, drawn)).to(heard.device)
        with accelerator.autocast():
            loss = self.modules["embedding"](heard, read, truth)
        clip_norm = self.preset.embedding_training.clip_norm
        norm = descend(accelerator, loss, self.modules["embedding"], self.optimizers["embedding"], clip_norm)
        return {"loss": loss.detach(), "temperature": (-embedding.log_scale.detach()).exp(), NORM: norm}

    def validate(self, accelerator: Any) -> dict[str, float]:
        """Compute the loss on the first triplets of the validation split, with the same captions each time.

        Returns:
            `loss`; `retrieved`, the share of clips whose nearest description is true of them; `chance`, that of any description.
        """
        embedding = accelerator.unwrap_model(self.modules["embedding"])
        heard, mixes = self._validation(embedding)
        drawn = self._draw(mixes, self.seed + 1, range(len(mixes) // 2))
        truth = torch.from_numpy(captions.truth(mixes, drawn)).to(heard.device)
        loss = embedding(heard, embedding.read([caption.text for caption in drawn]), truth)
        nearest, texts = self._nearest(embedding, heard, mixes)
        right = captions.truth(mixes, texts) == captions.TRUE
        retrieved = right[np.arange(len(mixes)), nearest[:, 0]].mean()
        return {"loss": float(loss), "retrieved": float(retrieved), "chance": float(right.mean())}

    def preview(self, run: Path, step: int, accelerator: Any) -> None:
        """Write RUN/edits.html: training curves, and clips with the descriptions that are nearest to them."""
        if not accelerator.is_main_process:
            return
        embedding = accelerator.unwrap_model(self.modules["embedding"])
        heard, mixes = self._validation(embedding)
        nearest, texts = self._nearest(embedding, heard, mixes)
        rows = []
        for number in range(min(_EXAMPLES, len(mixes) // 2)):
            source = self.validation[number]["source"][0].numpy()
            found = "; ".join(texts[place].text for place in nearest[2 * number, :_NEAREST])
            caption = f"{captions.describe(mixes[2 * number]).text}. Nearest: {found}"
            rows.append(Row(caption, [PageClip("source", source, self.preset.sample_rate_hz)]))
        training_page(run / "edits.html", f"{run.name}: nearest descriptions after step {step}", rows, curves(run))

    def _mixes(self, batch: Batch) -> list[Mix]:
        """Describe the clips of a batch of b triplets: 2b, source and target of each."""
        return [mix for recipe in batch["recipe"] for mix in captions.sides(json.loads(recipe), self._captions)]

    def _draw(self, mixes: Sequence[Mix], seed: int, numbers: Sequence[int] | Tensor) -> list[Caption]:
        """Draw a caption of each clip from its triplet's number."""
        randoms = [np.random.default_rng([seed, int(number), side]) for number in numbers for side in range(2)]
        return [captions.draw(mix, random) for mix, random in zip(mixes, randoms, strict=True)]

    @torch.no_grad()
    def _hear(self, batch: Mapping[str, Any], embedding: Embedding) -> Tensor:
        """Run the trunk on the clips of a batch of b triplets (2b, 1506); triplet by triplet, so that none depends on others."""
        device, heard = embedding.log_scale.device, []
        for key, *both in zip(batch["key"], batch["source"], batch["target"], strict=True):
            if key not in self._cache:
                if len(self._cache) >= CACHED:
                    self._cache.clear()
                audio = torch.stack(both).to(device)
                self._cache[key] = embedding.hear(audio, self.preset.sample_rate_hz).half().cpu()
            heard.append(self._cache[key])
        return torch.cat(heard).to(device).float()

    def _validation(self, embedding: Embedding) -> tuple[Tensor, list[Mix]]:
        """Hear the validation triplets, once: (2n, 1506), and what is known of them."""
        if self._validated is None:
            rows = range(min(self.preset.embedding_training.validation_triplets, len(self.validation)))
            batches = list(load(self.validation, sampler=rows, batch_size=1))
            heard = torch.cat([self._hear(batch, embedding) for batch in batches])
            self._validated = heard, [mix for batch in batches for mix in self._mixes(batch)]
        return self._validated

    def _nearest(self, embedding: Embedding, heard: Tensor, mixes: Sequence[Mix]) -> tuple[Any, list[Caption]]:
        """Sort the descriptions of all clips by their distance from each: places (n, texts), and the texts."""
        texts = list(dict.fromkeys(captions.describe(mix) for mix in mixes))
        read = embedding.text([caption.text for caption in texts])
        return (embedding.project_audio(heard) @ read.T).argsort(dim=1, descending=True).cpu().numpy(), texts
