"""Stereo from files to shards: `prepare --channels 2`, and all that reads what it makes."""

import base64
import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made_work import LENGTH, RATE_HZ, make_part

from instructme.dataset_tools import audio
from instructme.dataset_tools.sharding import library, render
from instructme.dataset_tools.sharding.windows import Windows
from instructme.manifests import tables
from instructme.manifests.rows import DataError, Part, Reject, Sample, Triplet
from instructme.model.presets import TINY
from instructme.pipelines.data.dataset import TripletDataset
from instructme.pipelines.data.stream import Triplets
from instructme.pipelines.data.tar_stream import open_shards
from instructme.pipelines.evaluation.shard_cases import ShardRow
from instructme.pipelines.pages import sound
from instructme.pipelines.pages.examples import examples
from instructme.pipelines.stages.pair import pair
from instructme.pipelines.stages.prepare import prepare
from instructme.pipelines.stages.scan import scan
from instructme.pipelines.stages.shard import shard
from instructme.pipelines.stages.verify import verify

COUNTS = {"add": 6, "remove": 6, "extract": 4, "replace": 4, "rebalance": 4}
OPTIONS = {"sample_rate_hz": RATE_HZ, "clip_seconds": 2.0, "rhythm": "none", "chords": "none", "workers": 0}


def write(path: Path, *channels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.stack(channels, axis=1), RATE_HZ, subtype="PCM_16")


def make_songs(root: Path) -> Path:
    """Write three songs: drums in stereo, a bass on the left alone, a mono piano, and an organ of a file for each side."""
    for number in range(3):
        place = (np.arange(LENGTH) * (1 + 0.06 * number)).astype(int) % LENGTH
        drums, bass, piano, other = (make_part("set-a", name)[place] for name in ("drums", "bass", "piano", "other"))
        song = root / f"song {number}"
        write(song / "drums.wav", drums, 0.5 * np.roll(drums, 40))
        write(song / "bass.wav", bass, np.zeros(LENGTH))
        write(song / "piano.wav", piano)
        write(song / "organ.R.wav", 0.25 * other)
        write(song / "organ.L.wav", other)
    return root


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stereo")
    scan([make_songs(folder / "songs")], folder / "work")
    prepare(folder / "work", channels=2, **OPTIONS)
    pair(folder / "work", counts=COUNTS, eval_count=3)
    shard(folder / "work", folder / "work/shards", workers=0)
    return folder / "work"


def read_part(work: Path, instrument: str) -> np.ndarray:
    row = next(row for row in tables.read_rows(work / "parts.parquet", Part) if row.instrument == instrument)
    return soundfile.read(work / row.path, dtype="int16")[0]


def test_parts_keep_their_sides(work: Path) -> None:
    rows = tables.read_rows(work / "parts.parquet", Part)
    assert {row.channels for row in rows} == {2} and len(rows) == 12
    assert not [row for row in tables.read_rows(work / "rejects.parquet", Reject) if row.stage == "prepare"]
    drums, bass, piano, organ = (read_part(work, name) for name in ("drums", "bass", "piano", "organ"))
    assert bass[:, 0].any() and not bass[:, 1].any()
    assert piano.any() and (piano[:, 0] == piano[:, 1]).all()
    assert np.abs(0.25 * organ[:, 0] - organ[:, 1]).max() <= 1 < np.abs(organ[:, 1]).max()
    assert np.abs(0.5 * np.roll(drums[:, 0], 40) - drums[:, 1]).max() <= 1


def test_levels_are_those_of_both_sides(work: Path) -> None:
    bass = next(row for row in tables.read_rows(work / "parts.parquet", Part) if row.instrument == "bass")
    left = read_part(work, "bass")[:, 0] / 32768
    assert bass.peak_db == pytest.approx(20 * np.log10(np.abs(left).max()), abs=1e-3)
    assert bass.rms_db == pytest.approx(10 * np.log10(np.square(left).mean() / 2), abs=1e-3)


def test_a_stereo_part_is_in_its_mean_the_mono_part(work: Path, tmp_path: Path) -> None:
    scan([work.parent / "songs"], tmp_path)
    prepare(tmp_path, **OPTIONS)
    assert {row.channels for row in tables.read_rows(tmp_path / "parts.parquet", Part)} == {None}
    for instrument in ("drums", "bass", "piano", "organ"):
        stereo, mono = read_part(work, instrument), read_part(tmp_path, instrument)
        assert np.abs(stereo.mean(axis=1) - mono).max() <= 1


def test_shards_hold_the_laws_in_each_channel(work: Path) -> None:
    assert verify(work / "shards", work=work, workers=0) == []
    index = json.loads((work / "shards/index.json").read_text())
    assert index["channels"] == 2 and all(each["channels"] == 2 for each in index["shards"])
    assert {row.channels for row in tables.read_rows(work / "shards/train-00000.parquet", Sample)} == {2}


def test_all_readers_give_the_channels_first(work: Path) -> None:
    mixed, stored = TripletDataset(work, "train"), TripletDataset(work / "shards", "train")
    assert mixed.channels == stored.channels == 2
    streamed = list(open_shards(work / "shards"))
    assert len(streamed) == len(stored) == len(mixed)
    for one, other, third in zip(mixed, stored, streamed, strict=True):
        assert one["source"].shape == one["target"].shape == (2, 2 * RATE_HZ) and third["json"]["channels"] == 2
        for side in ("source", "target"):
            assert (one[side] == other[side]).all() and (one[side] == third[side]).all()
    crop = TripletDataset(work / "shards", "train", crop_s=0.5, tensors=True)[3]
    assert crop["source"].shape == (2, RATE_HZ // 2)


def test_a_triplet_that_adds_the_bass_changes_the_left_side_only(work: Path) -> None:
    chosen = [each for each in open_shards(work / "shards") if each["json"]["added"] == ["bass"]]
    adding = [each for each in chosen if each["task"] == "add"]
    assert adding
    for triplet in adding:
        change = np.abs(triplet["target"] - triplet["source"]).max(axis=1)
        assert change[1] <= 1.01 / 32768 < change[0]


def test_a_remix_stays_on_its_side_when_stretched(work: Path) -> None:
    recipes, music = library.recipes(work, COUNTS), library.read(work)
    alone = {"target_stretch": 1.1, "target_instruments": ["bass"], "gain_db": None}
    recipe = Triplet(**{**recipes.slice(0, 1).to_pylist()[0], **alone})
    sides = render.render(recipe, Windows(music.part, render.windows(recipe), channels=2), rate_hz=RATE_HZ)
    assert sides.target.shape == (2 * RATE_HZ, 2)
    assert sides.target[:, 0].any() and not sides.target[:, 1].any()


def test_what_models_cannot_train_on_is_refused_in_one_line(work: Path) -> None:
    for data in (work, work / "shards"):
        with pytest.raises(DataError, match="stereo") as caught:
            Triplets(data, "train", dataclasses.replace(TINY, sample_rate_hz=RATE_HZ, clip_seconds=2.0))
        assert "\n" not in str(caught.value)


def test_evaluation_hears_the_mean(work: Path) -> None:
    stored = TripletDataset(work / "shards", "test")[0]
    source, _ = ShardRow(work / "shards", "test", 0).read()
    assert source.ndim == 1
    assert np.abs(source - audio.resample(stored["source"].mean(axis=0), RATE_HZ, 24000)).max() < 1e-6


def test_pages_play_both_channels(work: Path) -> None:
    clip = examples(work, 1)[0].clips[0]
    assert clip.samples.shape == (2 * RATE_HZ, 2)
    uri = sound.data_uri(clip.samples, clip.rate_hz, 64)
    assert soundfile.info(io.BytesIO(base64.b64decode(uri.split(",")[1]))).channels == 2


def test_parts_of_other_channels_than_the_table_says_are_refused(work: Path) -> None:
    music = library.read(work)
    track, instrument = next(iter(music.paths))
    with pytest.raises(DataError, match="other channels"):
        Windows(music.part, [])(track, instrument, 0, 100)


def test_six_channels_are_told_and_lie_in_the_middle(tmp_path: Path) -> None:
    waves = [make_part("set-a", "drums") * share for share in (1, 0.5, 0.2, 0.1, 0.1, 0.1)]
    write(tmp_path / "songs/song/drums.wav", *waves)
    write(tmp_path / "songs/song/bass.wav", make_part("set-a", "bass"))
    scan([tmp_path / "songs"], tmp_path / "work")
    prepare(tmp_path / "work", channels=2, **OPTIONS)
    drums = read_part(tmp_path / "work", "drums")
    assert np.abs(drums[:, 0] / 32768 - np.mean(waves, axis=0)).max() < 1e-3 and (drums[:, 0] == drums[:, 1]).all()
    assert "surround" in {row.reason for row in tables.read_rows(tmp_path / "work/rejects.parquet", Reject)}


def test_opposite_sides_are_told_and_the_left_one_is_used(tmp_path: Path) -> None:
    drums = make_part("set-a", "drums")
    write(tmp_path / "songs/song/drums.wav", drums, -drums)
    write(tmp_path / "songs/song/bass.wav", make_part("set-a", "bass"))
    scan([tmp_path / "songs"], tmp_path / "work")
    prepare(tmp_path / "work", channels=2, **OPTIONS)
    part = read_part(tmp_path / "work", "drums")
    assert (part[:, 0] == part[:, 1]).all() and part.any()
    assert "cancels" in {row.reason for row in tables.read_rows(tmp_path / "work/rejects.parquet", Reject)}
