"""Read triplets in your own code, in any order, from shards or from the recipes of a working folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from instructme.manifests import extras, urls
from instructme.manifests.rows import DataError
from instructme.pipelines.data.readers import crop_start, open_split

if TYPE_CHECKING:
    import torch

    from instructme.dataset_tools.audio import Samples


class TripletItem(TypedDict):
    """A triplet. `source` and `target` are float32: numpy `(T,)`, or torch `(1, T)` with `tensors`; stereo is `(2, T)` in both.

    `json` is the text of its JSON in the shards: licence, provenance, gain, chords and beats of the source. It is text because
    PyTorch's `default_collate` can't stack lists of different lengths.
    """

    key: str
    task: str
    instruction: str
    source: "Samples | torch.Tensor"
    target: "Samples | torch.Tensor"
    json: str


class TripletDataset:
    """Read the triplets of one split by their number, in the order of the shards.

    Shards and recipes give the same values. Recipes need much less disk space, but each sample is mixed when it is read.
    PyTorch's `DataLoader` works with numpy arrays and tensors. torch is imported only with `tensors`.

    Example:
        ```python
        from torch.utils.data import DataLoader
        from instructme import TripletDataset

        triplets = TripletDataset("work/shards", "train", crop_s=5.0, tensors=True)
        loader = DataLoader(triplets, batch_size=16, shuffle=True, num_workers=2)
        ```

    Args:
        data: a folder of shards or its URL; or a working folder, whose recipes are mixed when they are read.
        split: `train`, `validation` or `test`.
        crop_s: length of a random crop in seconds, drawn from (seed, row). By default, the whole clip.
        tensors: return torch tensors `(1, T)` instead of numpy arrays `(T,)`. Stereo is `(2, T)` either way.
        normalise: `joint` or `side`, for recipes: see `shard --normalize`. By default `joint`.
        seed: seed of the crops.

    Raises:
        DataError: the folder has no shards or recipes of this split, or shards of several rates or channels, a table is damaged,
            the crop is longer than the clips, or `normalise` is unknown or given for shards.
    """

    def __init__(
        self,
        data: Path | str,
        split: str,
        *,
        crop_s: float | None = None,
        tensors: bool = False,
        normalise: str | None = None,
        seed: int = 0,
    ) -> None:
        place = urls.parse(data)
        self._reader, self._tensors, self._seed = open_split(place, split, normalise), tensors, seed
        if len(self._reader.rates_hz) > 1 or len(self._reader.channels) > 1:
            raise DataError(f"{data} holds shards of several sample rates, or of mono and stereo: give them folders of their own")
        self.sample_rate_hz = max(self._reader.rates_hz)
        self.channels = max(self._reader.channels)
        self._crop_samples = None if crop_s is None else round(crop_s * self.sample_rate_hz)
        shortest_s = min(self._reader.seconds)
        if crop_s is not None and not (self._crop_samples and 0 < crop_s <= shortest_s):
            raise DataError(
                f"a crop of {crop_s:g} s can't be cut from clips of {shortest_s:g} s in {data}: choose another crop_s"
            )

    def __len__(self) -> int:
        return int(self._reader.sizes.sum())

    def __getitem__(self, row: int) -> TripletItem:
        """Read a row, counted from the end if negative.

        Raises:
            IndexError: there is no such row.
            DataError: a shard or a part is missing or damaged.
        """
        place = range(len(self))[row]
        crop = self._crop_samples
        start = 0 if crop is None else crop_start(self._seed, place, self._reader.length_samples(place) - crop)
        audio = self._reader.audio(place, start, crop)
        return TripletItem(
            key=audio.key,
            task=audio.task,
            instruction=audio.instruction,
            source=self._array(audio.source),
            target=self._array(audio.target),
            json=self._reader.json_text(place, audio),
        )

    def _array(self, samples: "Samples") -> Any:
        if not self._tensors:
            return samples
        with extras.named():
            import torch

        return torch.from_numpy(np.atleast_2d(np.ascontiguousarray(samples)))
