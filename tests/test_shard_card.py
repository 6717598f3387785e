"""The card of a folder of shards: README.md and croissant.json say what is in it, and nobody's own words are lost."""

import json
from pathlib import Path

import mlcroissant
import pytest
import yaml
from made_work import make_work

from instructme.dataset_tools.sharding import card
from instructme.manifests import tables
from instructme.manifests.rows import Track
from instructme.pipelines.data.shard_reader import ShardReader
from instructme.pipelines.stages.shard import shard


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = make_work(tmp_path_factory.mktemp("work"))
    shard(work, work / "shards", per_shard=13, limit=20, workers=0)
    return work / "shards"


def test_the_card_counts_triplets_and_names_licences(made: Path) -> None:
    text = (made / card.README).read_text()
    front = yaml.safe_load(text.split("---")[1])
    assert front["tags"] == ["music", "webdataset"] and front["source_datasets"] == ["set"]
    index = json.loads((made / "index.json").read_text())
    assert index["hash"] in text and f"{index['samples']:,} triplets" in text
    counts = index["counts"]["train"]
    assert f"| train | {' | '.join(str(counts.get(task, 0)) for task in sorted(counts))} |" in text
    licences = {row.licence for row in tables.read_rows(made.parent / "tracks.parquet", Track)}
    assert licences and all(f"| set | {licence} |" in text for licence in licences)


INDEX = {
    "samples": 1234,
    "seconds": 6 * 3600 + 1800,
    "sample_rate_hz": 24000,
    "hash": "h",
    "counts": {"train": {"add": 1000, "remix": 200}, "test": {"add": 34}},
    "shards": [{"files": {"a-0.tar": {"bytes": 5, "sha256": "x"}, "a-0.parquet": {"bytes": 6, "sha256": "y"}}}],
}


def test_the_card_says_hours_sound_and_counts() -> None:
    text = card.readme(INDEX, {card.DatasetSource("mine | yours", ""): 2, card.DatasetSource("a", "MIT"): 1500})
    assert "1,234 triplets of an instruction, a source and a target: 6.50 hours a side,\nmono, 24,000 Hz" in text
    assert "| train | 1,000 | 200 |\n| test | 34 | 0 |" in text
    assert "| a | MIT | 1,500 |\n| mine / yours | not stated | 2 |" in text
    assert "\nstereo, 24,000 Hz" in card.readme({**INDEX, "channels": 2}, {})


def test_croissant_says_what_kind_of_file_each_is() -> None:
    text = card.croissant(INDEX, {card.DatasetSource("à", "é"): 1})
    described = json.loads(text)
    assert {each["name"]: each["encodingFormat"] for each in described["distribution"]} == {
        "a-0.tar": "application/x-tar",
        "a-0.parquet": "application/x-parquet",
    }
    assert '\n "license": [\n  "é"\n ]' in text, "for people to read, too"


def test_croissant_names_every_file_with_its_hash(made: Path) -> None:
    described = json.loads((made / card.CROISSANT).read_text())
    for each in described["distribution"]:
        assert tables.sha256(made / each["contentUrl"]) == each["sha256"]
    shipped = {path.name for path in made.iterdir() if path.suffix in (".tar", ".parquet")}
    assert {each["@id"] for each in described["distribution"]} == shipped
    assert {each["@id"] for each in described["recordSet"]} == {name.removesuffix(".tar") for name in shipped if ".tar" in name}


def test_croissant_is_valid_and_its_records_are_the_index(made: Path) -> None:
    described = mlcroissant.Dataset(str(made / card.CROISSANT))
    records = list(described.records("test-00000"))
    reader = ShardReader(made, "test")
    assert [each["test-00000/triplet_id"].decode() for each in records] == [
        reader.values(row)["triplet_id"] for row in reader.rows("test-00000")
    ]
    assert {each["test-00000/sample_rate_hz"] for each in records} == reader.rates_hz


def test_own_words_are_kept(made: Path) -> None:
    held = (made / card.README).read_text()
    shard(made.parent, made, per_shard=13, limit=20, workers=0)
    assert (made / card.README).read_text() == held
    (made / card.README).write_text("# My music\n")
    shard(made.parent, made, per_shard=13, limit=20, workers=0)
    assert (made / card.README).read_text() == "# My music\n"
    (made / card.README).unlink()
    shard(made.parent, made, per_shard=13, limit=20, workers=0)
    assert (made / card.README).read_text() == held
