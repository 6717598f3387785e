"""Which triplets of shards are scored: single edits or chains, by task, length and instrument; and how rounds are edited."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from click.testing import CliRunner
from made_work import recipe

from instructme.dataset_tools import audio
from instructme.manifests.rows import DataError
from instructme.pipelines.cli import main
from instructme.pipelines.evaluation import made_edits, protocols, shard_cases
from instructme.pipelines.evaluation.cases import Case
from instructme.pipelines.evaluation.round_tables import lines_of_rounds, markdown_of_rounds
from instructme.pipelines.evaluation.score_cases import ScoreSettings, score_cases
from instructme.pipelines.evaluation.score_tables import Scores
from instructme.pipelines.evaluation.shard_cases import Choice, from_shards, out_of_domain

BAND = ["bass", "drums", "piano"]


def single(number, task="remove", seconds=10, named="drums", **values):
    rest = [each for each in BAND if each != named]
    sides = (rest, BAND) if task == "add" else (BAND, rest)
    named_here = {"added" if task == "add" else "named": [named]}
    made = recipe(task, number, "set-d", 0, *sides, length_samples=seconds * 8000, **named_here, **values)
    return replace(made, triplet_id=f"{made.triplet_id}-{seconds}-{named}")


def chain(number, rounds=3):
    steps = [("remove", "drums"), ("add", "drums"), ("remove", "piano")][:rounds]
    made = [single(number, task, named=named, chain_id=f"chain-{number}") for task, named in steps]
    return [replace(each, round=place + 1, triplet_id=f"chain-{number}-{place}") for place, each in enumerate(made)]


class Reader:
    """Stand in for a split of shards; the gain of a source is 0.5, that of a target 0.25."""

    rows: ClassVar[list] = []
    dataset = "set"

    rates_hz: ClassVar = {8000}

    def __init__(self, shards, split):
        self.sizes = np.array([len(self.rows)])

    def values(self, row):
        """Read the index."""
        made = self.rows[row]
        lengths = {"length_samples": made.length_samples, "sample_rate_hz": 8000}
        return {"triplet_id": made.triplet_id, "dataset": self.dataset, "gain": 0.5, "target_gain": 0.25, **lengths}

    def recipe(self, row):
        """Read a recipe."""
        return self.rows[row]


@pytest.fixture
def shards(monkeypatch):
    """Twelve removes and six adds of 10 s, three removes of 30 s, three of 5 s by instrument, and two chains."""
    singles = [single(number) for number in range(12)] + [single(number, "add") for number in range(6)]
    others = [single(number, seconds=30) for number in range(3)] + [single(number, seconds=5, named=n) for number, n in BY_NAME]
    monkeypatch.setattr(Reader, "rows", [*chain(1), *singles, *others, *chain(2)])
    monkeypatch.setattr(shard_cases, "ShardReader", Reader)


BY_NAME = ((0, "drums"), (1, "piano"), (2, "violin"))


def counted(**choice):
    return Counter((case.dataset, case.task) for case in from_shards(Path("shards"), Choice(**choice), {}))


def test_lengths_are_tables_of_their_own_and_chains_are_apart(shards):
    assert counted(seconds=(10,)) == {("set", "remove"): 12, ("set", "add"): 6}
    assert counted(seconds=(10, 30), count=4) == {("set, 10 s", "remove"): 4, ("set, 10 s", "add"): 4, ("set, 30 s", "remove"): 3}
    assert counted(rounds=True) == {("set", f"round_{number}"): 2 for number in (1, 2, 3)}
    assert counted(rounds=True, count=1) == {("set", f"round_{number}"): 1 for number in (1, 2, 3)}


def test_a_dataset_has_its_whole_name(shards, monkeypatch):
    monkeypatch.setattr(Reader, "dataset", "my-songs-2")
    assert counted(seconds=(10,)) == {("my-songs-2", "remove"): 12, ("my-songs-2", "add"): 6}


def test_protocols_choose_as_the_papers_do(shards):
    assert counted(**vars(protocols.choose("paper", "test", 5, (), False))) == {("set", "remove"): 5, ("set", "add"): 5}
    found = from_shards(Path("shards"), protocols.choose("instruct-musicgen", "test", None, (), False), {})
    assert sorted(case.named for case in found) == [("drums",), ("piano",)]
    assert protocols.choose("paper", "test", None, (), False).count == 800


def test_each_seed_draws_other_triplets(shards):
    def drawn(seed):
        return {
            case.key for case in from_shards(Path("shards"), Choice(count=3, seconds=(10,), tasks=("remove",), seed=seed), {})
        }

    assert len(drawn(42)) == 3 and drawn(42) == drawn(42)
    assert len({frozenset(drawn(seed)) for seed in (None, 42, 43)}) == 3
    assert protocols.choose("instruct-musicgen", "test", None, (), False).seed == 42


def test_a_protocol_of_a_higher_rate_than_the_shards_is_told(shards):
    (line,) = shard_cases.below_rate(Path("shards"), protocols.choose("instruct-musicgen", "test", None, (), False))
    assert "8000 Hz" in line and "prepare WORK --sample-rate 32000" in line
    assert not list(shard_cases.below_rate(Path("shards"), Choice(rate_hz=8000)))


def test_what_is_not_there_is_an_error_with_advice(shards, monkeypatch):
    with pytest.raises(DataError, match="no triplets of 60 s, only of 5, 10, 30 s: run 'pair WORK --seconds 60'"):
        counted(seconds=(60,))
    monkeypatch.setattr(Reader, "rows", [single(0)])
    with pytest.raises(DataError, match="pair WORK --rounds 3"):
        counted(rounds=True)


def test_a_round_follows_the_one_before_at_its_own_level(shards):
    cases = from_shards(Path("shards"), Choice(rounds=True), {})
    assert [case.task for case in cases] == sorted(case.task for case in cases)
    follows = {case.key: case.follows for case in cases}
    assert follows["chain-1-0"] is None and follows["chain-1-2"].key == "chain-1-1"
    assert follows["chain-1-1"].gain_db == pytest.approx(6.02, abs=0.01)  # from gain 0.25 to 0.5


class Sides:
    """A triplet in memory."""

    def read(self, rate_hz=24000):
        """Give both sides."""
        noise = np.random.default_rng(0).standard_normal(24000).astype(np.float32) * 0.05
        return noise, noise / 2


class Halver:
    """Halve the sound, and refuse to add."""

    def edit(self, samples, rate_hz, instruction, settings=None, **changes):
        """Edit (T,)."""
        if instruction.startswith("add"):
            raise DataError("can't add")
        return samples / 2


def test_rounds_edit_the_result_of_the_round_before(shards, tmp_path, monkeypatch):
    monkeypatch.setattr(shard_cases.ShardRow, "read", Sides.read)
    cases = from_shards(Path("shards"), Choice(rounds=True, count=1), {})
    cases = [replace(case, instruction="remove drums") for case in cases]
    (tmp_path / "run").mkdir()
    systems = made_edits.makers({"run": tmp_path / "run"})
    list(made_edits.make_edits(cases, systems, tmp_path / "edits", lambda run: Halver()))
    first, second, third = (
        audio.read(path, 24000) for path in sorted((tmp_path / "edits/run").glob("*.flac"))
    )  # each is halved, and doubled to the level of its source
    source = Sides().read()[0]
    assert np.abs(first - source / 2).max() < 1e-4
    assert np.abs(second - first).max() < 1e-3 and np.abs(third - first).max() < 1e-3
    cases = made_edits.with_edits(cases, systems, tmp_path / "edits")
    rows = [row for _, scores in score_cases(cases, ScoreSettings(("si_sdr_db",)), workers=0) for row in scores.rows]
    text = "\n".join(markdown_of_rounds(Scores(rows)))
    assert "| metric | system | round 1 | round 2 | round 3 |" in text and "| `si_sdr_db` ↑ | **run** |" in text
    ((dataset, (chart,)),) = lines_of_rounds(Scores(rows), ["si_sdr_db", "edit_done"])
    assert (dataset, chart.title, list(chart.series)) == ("set", "si_sdr_db", ["run", "identity"])
    means = {row.task: row.value for row in rows if row.system == "run"}
    assert chart.series["run"] == tuple((float(number), pytest.approx(means[f"round_{number}"])) for number in (1, 2, 3))


def test_a_round_after_a_refused_one_is_refused(shards, tmp_path, monkeypatch):
    monkeypatch.setattr(shard_cases.ShardRow, "read", Sides.read)
    cases = from_shards(Path("shards"), Choice(rounds=True, count=1), {})
    cases = [replace(case, instruction="add drums" if case.task == "round_2" else "remove drums") for case in cases]
    (tmp_path / "run").mkdir()
    list(made_edits.make_edits(cases, made_edits.makers({"run": tmp_path / "run"}), tmp_path / "edits", lambda run: Halver()))
    refused = [path.read_text() for path in sorted((tmp_path / "edits/run").glob("*.refused"))]
    assert refused == ["can't add", "the round before was refused"]


def test_other_music_is_a_dataset_of_its_own(shards):
    assert {case.dataset for case in out_of_domain(from_shards(Path("shards"), Choice(seconds=(10,)), {}))} == {
        "set (out of domain)"
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--pairs", "p.csv", "--rounds"], "choose triplets of SHARDS"), ([".", "--edits", ".", "--ood", "."], "needs --run")],
)
def test_options_that_do_not_belong_together(tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.csv").write_text("key,source,target,edit\n")
    result = CliRunner().invoke(main, ["evaluate", *options, "-o", "out"])
    assert result.exit_code == 2 and message in result.output


@pytest.mark.parametrize(
    ("task", "after"),
    [
        ("add", ("bass", "drums", "piano", "organ")),
        ("remove", ("bass", "drums")),
        ("extract", ("piano",)),
        ("replace", ("bass", "drums", "organ")),
        ("rebalance", ("bass", "drums", "piano")),
        ("remix", ("organ",)),
        ("hum", ()),
    ],
)
def test_a_case_says_which_instruments_sound_after_the_edit(task, after):
    named = () if task in ("add", "remix") else ("piano",)
    added = ("organ",) if task in ("add", "replace", "remix") else ()
    case = Case("k", task, "d", "s", "", None, {}, named, added, sounding=("bass", "drums", "piano"))
    assert case.sounding_after() == after
    unknown = replace(case, sounding=())
    assert unknown.sounding_after() == (after if task in ("extract", "remix") else ())
