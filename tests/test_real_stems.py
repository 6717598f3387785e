"""One real song of five stems, 10 s long, from its folder to verified shards."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from instructme.dataset_tools import audio
from instructme.manifests import tables
from instructme.manifests.rows import Clip, Part, Stem
from instructme.pipelines.cli import main

INSTRUMENTS = {
    "bassguitar": "electric bass",
    "clav": "clavinet",
    "drums": "drums",
    "horns": "brass section",
    "leadguitar": "guitar",
}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real") / "work"
    options = ["--total", "30", "--eval-count", "0", "--rhythm", "none", "--chords", "none", "--workers", "0"]
    result = CliRunner().invoke(main, ["build", str(Path(__file__).parent / "data" / "real_stems"), str(folder), *options])
    assert result.exit_code == 0, result.output
    return folder


def test_every_stem_has_an_instrument_for_sure(work: Path) -> None:
    stems = tables.read_rows(work / "stems.parquet", Stem)
    assert {stem.label: stem.instrument for stem in stems} == INSTRUMENTS
    assert all(stem.certain and stem.editable for stem in stems)


def test_the_song_is_one_clip_in_which_all_five_play(work: Path) -> None:
    (clip,) = tables.read_rows(work / "clips.parquet", Clip)
    assert set(clip.instruments) == set(INSTRUMENTS.values()) and all(clip.usable)
    parts = {part.instrument: part for part in tables.read_rows(work / "parts.parquet", Part)}
    assert set(parts) == set(INSTRUMENTS.values())


def test_a_part_sounds_as_its_stem(work: Path, data: Path) -> None:
    for part in tables.read_rows(work / "parts.parquet", Part):
        (stem,) = (each for each in tables.read_rows(work / "stems.parquet", Stem) if each.instrument == part.instrument)
        name = Path(stem.path).name
        whole = audio.read(data / "real_stems" / "mdn_multitrack" / name, 24000)
        kept, rate_hz = soundfile.read(work / part.path, dtype="float32")
        assert rate_hz == 24000 and np.abs(kept[: len(whole)] - part.gain * whole).max() <= audio.STEP


def test_shards_of_it_verify(work: Path) -> None:
    counts = json.loads((work / "shards" / "index.json").read_text())["counts"]["train"]
    assert sum(counts.values()) >= 10 and {"add", "remove", "extract"} <= set(counts)
    result = CliRunner().invoke(main, ["verify", str(work / "shards"), "--work", str(work), "--workers", "0"])
    assert result.exit_code == 0, result.output
