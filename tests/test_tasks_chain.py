"""A task is one file: it is drawn, sharded, verified, audited, trained on and understood, and nothing else is told about it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_work import RATE_HZ, make_songs

from instructme.dataset_tools import tasks
from instructme.dataset_tools.audit import audit
from instructme.manifests import tables
from instructme.manifests.rows import Sample, Triplet
from instructme.model.presets import TINY
from instructme.pipelines.data.stream import Triplets, batches
from instructme.pipelines.sentences import sentence_reader, slots
from instructme.pipelines.sentences.refusals import SentenceError
from instructme.pipelines.stages.pair import pair
from instructme.pipelines.stages.prepare import prepare
from instructme.pipelines.stages.scan import scan
from instructme.pipelines.stages.shard import shard
from instructme.pipelines.stages.verify import verify

PRESET = replace(TINY, sample_rate_hz=RATE_HZ, clip_seconds=2.0)
TOY = '''"""Hush: the target is the source without the named part; what `remove` does, in other words."""

from instructme.dataset_tools.tasks.remove import compose, draw, law, sides, split

ORDER, SHARE = 9, 0
TEMPLATES, PHRASES = ("hush {instrument}",), ("shush {instrument}",)
FIELDS = {"instrument": "named"}
KEEPS, BRINGS, CHAINS, SPLIT_NEEDS_PARTS = "rest", False, False, False
__all__ = ["compose", "draw", "law", "sides", "split"]
'''
SAYS = {
    "rebalance": {"make the piano louder": 6, "turn the drums down by 9 dB": -9, "bass quieter": -6, "boost piano by 3 dB": 3},
    "hush": {"hush drums": None, "shush the piano": None},
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("songs")
    scan([make_songs(folder / "songs")], folder / "work")
    prepare(folder / "work", workers=0, sample_rate_hz=RATE_HZ, clip_seconds=2.0)
    return folder / "work"


@pytest.fixture
def toy_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put a file beside the tasks; what the process remembers of the tasks is forgotten before and after."""
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "hush.py").write_text(TOY)
    monkeypatch.setattr(tasks, "__path__", [*tasks.__path__, str(tmp_path / "tasks")])
    remembered = (tasks.task_module, sentence_reader._texts, sentence_reader._whole, sentence_reader._known, slots.idiom)
    for each in remembered:
        each.cache_clear()
    yield
    for each in remembered:
        each.cache_clear()


@pytest.mark.parametrize("task", ["rebalance", "hush"])
def test_a_task_is_one_file(task: str, prepared: Path, toy_folder: None) -> None:
    pair(prepared, counts={task: 12, "remove": 4}, eval_count=3)
    recipes = tables.read_rows(prepared / "triplets.parquet", Triplet)
    drawn = Counter(recipe.split for recipe in recipes if recipe.task == task)
    assert drawn == {"train": 12, "validation": 3, "test": 3}
    out = prepared / f"shards-{task}"
    shard(prepared, out, per_shard=8, workers=0)
    assert not list(verify(out, work=prepared, workers=0))
    assert {row.task for row in tables.read_rows(out / "train-00000.parquet", Sample)} == {task, "remove"}
    report = audit(prepared, shards=out, audio=False)
    assert task in str(report.sections)
    for data in (out, prepared):
        triplets = Triplets(data, "train", PRESET, changes=True, work=prepared)
        batch = next(batches(triplets, batch_size=16))
        assert task in batch["task"]
        for number, name in enumerate(batch["task"]):
            source, removed, added, target = (batch[key][number].numpy() for key in ("source", "removed", "added", "target"))
            assert np.allclose(tasks.task_module(name).compose(source, removed, added), target, atol=1e-4)
    for text, gain_db in SAYS[task].items():
        (step,) = sentence_reader.read(text).steps
        assert (step.task, step.gain_db, len(step.instruments)) == (task, gain_db, 1)


def test_a_task_out_of_the_mix_is_drawn_only_when_asked_for(prepared: Path) -> None:
    made = pair(prepared, total=40, eval_count=2)
    assert set(made.counts["train"]) | set(made.counts["test"]) <= {"add", "remove", "extract", "replace", "remix"}
    assert "gain_db" not in (prepared / "triplets.parquet").read_bytes().decode("latin-1")


def test_a_gain_that_nobody_can_mean_is_said() -> None:
    with pytest.raises(SentenceError, match="24 dB"):
        sentence_reader.read("turn piano up by 90 dB")
