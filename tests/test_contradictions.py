"""Instructions that ask for another edit than their recipe are found, in all wordings of the tasks."""

import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from made_work import make_work

import instructme
from instructme.manifests import tables
from instructme.manifests.rows import Triplet
from instructme.pipelines.cli import main
from instructme.pipelines.sentences.contradictions import contradictions
from instructme.pipelines.stages.shard import shard


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_work(tmp_path_factory.mktemp("made") / "work")


def rows(work: Path) -> list[Triplet]:
    return tables.read_rows(work / "triplets.parquet", Triplet)


WORDS = {"add": "Add {b}", "remove": "mute {a}", "extract": "just the {a}", "replace": "swap {a} for {b}"}


def test_what_recipes_make_is_what_their_instructions_ask_for(work: Path) -> None:
    said = [
        replace(row, instruction=WORDS[row.task].format(a=", ".join(row.named), b=", ".join(row.added)))
        for row in rows(work)
        if row.task in WORDS
    ]
    assert len({row.task for row in said}) == 4 and not list(contradictions(said))


@pytest.mark.parametrize("words", ["remove harp", "remix to Jazz genre", "add {part}", "extract {part}"])
def test_another_task_instrument_or_genre_is_told(work: Path, words: str) -> None:
    made = next(row for row in rows(work) if row.task == "remove")
    wrong = replace(made, instruction=words.format(part=made.named[0]))
    (line,) = contradictions([made, wrong, wrong])
    assert made.triplet_id in line and wrong.instruction in line and "1 other triplet" in line


@pytest.mark.parametrize("words", ["do something nice", "remove piano and then add harp", "entferne das Klavier"])
def test_an_instruction_that_edit_can_not_read_as_one_step_is_not_judged(work: Path, words: str) -> None:
    assert not list(contradictions([replace(rows(work)[0], instruction=words)]))


def test_verify_finds_an_instruction_that_was_changed_by_hand(work: Path, tmp_path: Path) -> None:
    again = Path(shutil.copytree(work, tmp_path / "work"))
    path, changed = again / "triplets.parquet", rows(again)
    place = next(place for place, row in enumerate(changed) if row.task == "remove")
    changed[place] = replace(changed[place], instruction="remove harp")
    held = pq.read_schema(path).metadata
    pq.write_table(tables.to_table(changed, Triplet).replace_schema_metadata(held), path)
    shard(again, tmp_path / "shards", workers=0)
    (line,) = instructme.verify(tmp_path / "shards", workers=0)
    assert line.startswith(f"{changed[place].triplet_id} 'remove harp'")
    done = CliRunner().invoke(main, ["verify", str(tmp_path / "shards"), "--workers", "0"])
    assert done.exit_code == 1 and line in done.stdout
