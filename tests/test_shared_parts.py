"""Parts of two songs that sound the same are told, also from other files; parts that are only alike are not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hostile import HERE, invoke
from test_parts import noise
from test_splits import track

from instructme.dataset_tools import audio, shared_parts
from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.stored import Stored
from instructme.manifests import tables
from instructme.manifests.rows import Part, Reject

RATE_HZ = 24000


def numbers(folder: Path, wave: Samples) -> Samples:
    channels = wave.ndim
    return shared_parts.numbers(Stored(folder, channels).extend([wave.astype(np.float32)]), RATE_HZ)


COPIES = {
    "level": lambda wave: -0.1 * wave,
    "16 bit": lambda wave: np.rint(0.2 * wave * 32767) / 32768,
    "later": lambda wave: np.concatenate([np.zeros(12345), wave]),
    "rate": lambda wave: audio.resample(audio.resample(wave, RATE_HZ, 44100), 44100, RATE_HZ),
    "longer": lambda wave: np.concatenate([wave, noise(2, seed=8)]),
    "two channels": lambda wave: np.stack([wave, wave], axis=1),
}


@pytest.fixture
def horns(data: Path) -> Samples:
    """Repeat a real stem until 40 s."""
    return np.tile(audio.read(next((data / "real_stems" / "mdn_multitrack").glob("horns.*")), RATE_HZ), 4)[: 40 * RATE_HZ]


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_has_the_same_numbers(kind: str, horns: Samples, tmp_path: Path) -> None:
    assert abs(numbers(tmp_path, horns) @ numbers(tmp_path, COPIES[kind](horns))) > shared_parts.SAME


def test_real_stems_have_other_numbers(data: Path, tmp_path: Path) -> None:
    folder = data / "real_stems" / "mdn_multitrack"
    rows = np.stack([numbers(tmp_path, audio.read(path, RATE_HZ)) for path in sorted(folder.glob("*.*"))])
    alike = np.abs(rows @ rows.T)
    assert np.allclose(alike.diagonal(), 1, atol=1e-6) and (alike - np.eye(len(rows))).max() < 0.8


def test_silent_and_short_parts_are_like_nothing(tmp_path: Path) -> None:
    hit = np.zeros(20 * RATE_HZ, np.float32)
    assert not numbers(tmp_path, hit).any()
    hit[RATE_HZ : 4 * RATE_HZ] = noise(3)
    assert not numbers(tmp_path, hit).any()
    hit[RATE_HZ : 6 * RATE_HZ] = noise(5)
    assert numbers(tmp_path, hit).any()


def test_parts_that_begin_alike_and_go_on_otherwise_are_not_the_same(tmp_path: Path) -> None:
    one, other = (np.concatenate([noise(5), noise(15, seed=seed)]) for seed in (1, 2))
    assert abs(numbers(tmp_path, one) @ numbers(tmp_path, other)) < 0.8


def part(name: str, instrument: str) -> dict[str, object]:
    return {"track_id": name, "instrument": instrument, "stems": [f"{instrument} 1"]}


def test_each_part_is_told_once_and_versions_are_not(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    loop, other = (row / np.linalg.norm(row) for row in rng.standard_normal((2, 64)).astype(np.float32))
    own = {"a": [loop, other], "b": [0 * loop, -loop], "c": [loop], "d": [other], "e": [loop]}
    folders = {name: tmp_path / name for name in own}
    for name, rows in own.items():
        folders[name].mkdir()
        shared_parts.write(folders[name], rows)
    (folders["e"] / shared_parts.FILE).unlink()  # an older version prepared it
    tracks = [replace(track(name), split=split) for name, split in zip("abcde", ("test", "train", *["test"] * 3), strict=True)]
    tracks[3] = replace(tracks[3], song_group=tracks[0].song_group)
    parts = [part(name, instrument) for name in own for instrument, _ in zip(("bass", "drums"), own[name], strict=False)]
    told = shared_parts.find(folders, tracks, parts, [])
    assert [(row.track_id, row.item, row.reason) for row in told] == [("b", "drums", "shared_stem"), ("c", "bass", "shared_stem")]
    assert told[0].detail == "it sounds the same as bass of a: one song is in train, and the other one in test"
    assert told[1].detail == "it sounds the same as bass of a: both songs are in test"
    assert [row.track_id for row in shared_parts.find(folders, tracks, parts, [("b", "drums 1")])] == ["c"]
    assert not shared_parts.find({name: folders[name] for name in "bd"}, tracks, parts, [])
    assert not shared_parts.find({}, tracks, parts, [])


def test_a_loop_in_two_songs_at_another_level_and_rate_is_told(tmp_path: Path) -> None:
    """From the files to the table; the second run changes nothing."""
    loop = noise(6, seed=1, rate_hz=8000)
    for number, name in enumerate(("One", "Two", "Three")):
        (tmp_path / "d" / name).mkdir(parents=True)
        soundfile.write(tmp_path / "d" / name / "drums.wav", noise(6, seed=10 + number, rate_hz=8000), 8000)
    soundfile.write(tmp_path / "d" / "One" / "bass.wav", loop, 8000)
    soundfile.write(tmp_path / "d" / "Two" / "guitar.wav", 0.2 * audio.resample(loop, 8000, 16000), 16000)
    work = tmp_path / "work"
    options = ("--sample-rate", 8000, "--clip-seconds", 2, "--rhythm", "none", "--chords", "none", *HERE)
    assert invoke("scan", tmp_path / "d", "-o", work).exit_code == 0
    seen = []
    for _ in range(2):
        assert invoke("prepare", work, *options).exit_code == 0
        seen.append({path.name: path.read_bytes() for path in work.glob("*.parquet")})
    assert seen[0] == seen[1] and len(tables.read_rows(work / "parts.parquet", Part)) == 5
    (row,) = [row for row in tables.read_rows(work / "rejects.parquet", Reject) if row.reason == "shared_stem"]
    assert (row.stage, row.track_id, row.item) == ("prepare", "d-two", "guitar") and "bass of d-one" in row.detail
