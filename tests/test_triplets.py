"""Recipes: counted exactly, drawn once, balanced, repeatable, and true to the clips they come from."""

from collections import Counter, defaultdict
from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import write_tables

from instructme.dataset_tools import triplets
from instructme.dataset_tools.pairing import combinations as subsets
from instructme.dataset_tools.pairing import pool as pools
from instructme.dataset_tools.pairing.edits import PairOptions
from instructme.dataset_tools.triplets import Order, default_templates, draw
from instructme.manifests import tables
from instructme.manifests.rows import Clip, DataError, Part, Track, Triplet
from instructme.pipelines.stages.pair import pair

ATOMIC = ("add", "extract", "remove", "replace")


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    write_tables(folder)
    return folder


@pytest.fixture(scope="module")
def pool(work):
    return pools.load(work)


def rows_of(pool, *orders, seed=0, **options):
    table, filled = draw(pool, orders, options=PairOptions(**options), templates=default_templates(), seed=seed)
    return table.to_pylist(), filled


def identity(row):
    return row["source_track"], row["source_start_samples"], (*row["source_instruments"],), (*row["target_instruments"],)


def clips_of(work, split):
    splits = {track.track_id: track.split for track in tables.read_rows(work / "tracks.parquet", Track)}
    return [clip for clip in tables.read_rows(work / "clips.parquet", Clip) if splits[clip.track_id] == split]


def edits_by_brute_force(work, split, task):
    """List every edit as (track, start, source, target), from the rows and the words of the paper alone."""
    found = set()
    for clip in clips_of(work, split):
        parts = [name for name, share in zip(clip.instruments, clip.active, strict=True) if share >= 0.3]
        usable = [name for name, fit in zip(clip.instruments, clip.usable, strict=True) if fit]
        for names in [(a, b) for a in usable for b in usable if a != b] if task == "replace" else [(a,) for a in usable]:
            for size in range(1, 5):
                for bed in combinations(sorted(set(parts) - set(names)), size):
                    first, last = sorted((*bed, names[0])), sorted((*bed, names[-1]))
                    sides = {"add": (bed, first), "remove": (first, bed), "extract": (first, names), "replace": (first, last)}
                    source, target = sides[task]
                    found.add((clip.track_id, clip.start_samples, (*source,), (*target,)))
    return found


@pytest.mark.parametrize("task", ATOMIC)
def test_all_that_exist_are_drawn_once_and_no_others(work, pool, task):
    expected = edits_by_brute_force(work, "test", task)
    rows, [filled] = rows_of(pool, Order("test", {task: len(expected) + 5}))
    assert filled.existing == {task: len(expected)}
    assert filled.drawn == {task: len(expected)}
    drawn = [identity(row) for row in rows]
    assert len(set(drawn)) == len(drawn)
    assert set(drawn) == expected


@pytest.mark.parametrize("share", [0.01, 0.4, 0.6, 0.99])
def test_no_recipe_is_drawn_twice(pool, share):
    existing = rows_of(pool, Order("test", {"add": 1}))[1][0].existing["add"]
    count = int(existing * share)
    rows, _ = rows_of(pool, Order("test", {"add": count}), balance=1.0)
    assert len(rows) == len({identity(row) for row in rows}) == count


def test_instruments_come_out_even_with_full_balance_and_as_in_the_data_without(work, pool):
    available = Counter(n for c in clips_of(work, "train") for n, fit in zip(c.instruments, c.usable, strict=True) if fit)
    shares = {}
    for balance in (0.0, 1.0):
        rows, _ = rows_of(pool, Order("train", {"add": 3000}), balance=balance)
        drawn = Counter(row["added"][0] for row in rows)
        assert set(drawn) == set(available)
        shares[balance] = np.array([drawn[name] / len(rows) for name in available])
    counts = np.array([available[name] for name in available])
    assert np.abs(shares[0.0] - counts / counts.sum()).max() < 0.004
    assert np.abs(shares[1.0] - 1 / len(available)).max() < 0.004


def test_every_clip_is_visited_as_often_as_its_parts_allow(work, pool):
    rows, _ = rows_of(pool, Order("train", {"add": 1000}), balance=0.0)
    drawn = Counter((row["source_track"], row["source_start_samples"]) for row in rows)
    usable = {(clip.track_id, clip.start_samples): sum(clip.usable) for clip in clips_of(work, "train")}
    expected = {key: 1000 * count / sum(usable.values()) for key, count in usable.items()}
    assert max(abs(drawn[key] - expected[key]) for key in expected) < 4


def test_same_seed_same_table_other_seed_other_table(pool):
    order = Order("train", {"add": 200, "remix": 50})
    first, again, other = (rows_of(pool, order, seed=seed)[0] for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_adding_an_order_leaves_the_others_alone(pool):
    train = Order("train", {"add": 100})
    alone, _ = rows_of(pool, train)
    together, _ = rows_of(pool, train, Order("test", {"add": 50}), Order("test", {"add": 20}, rounds=2))
    assert together[:100] == alone


def test_rows_are_valid_and_stay_in_their_split(pool):
    wanted = dict.fromkeys((*ATOMIC, "remix"), 40)
    table, _ = draw(
        pool, [Order("train", wanted), Order("test", wanted)], options=PairOptions(), templates=default_templates(), seed=0
    )
    assert table.schema.equals(tables.schema(Triplet))
    assert pc.count_distinct(table["triplet_id"]).as_py() == table.num_rows
    assert table["instruction"].null_count == 0
    splits = dict(zip(pool.tracks, pool.splits.tolist(), strict=True))
    for row in table.to_pylist():
        assert splits[row["source_track"]] == splits[row["target_track"]] == row["split"]
        assert row["triplet_id"].startswith(f"{row['split']}-{row['task']}-")
        assert row["source_instruments"] == sorted(row["source_instruments"]) != []
        assert row["target_instruments"] == sorted(row["target_instruments"]) != []


def test_columns_that_do_not_apply_are_empty(pool):
    rows, _ = rows_of(pool, Order("train", dict.fromkeys(ATOMIC, 20)), Order("train", {"rebalance": 200}))
    for row in rows:
        assert (row["target_stretch"], row["round"]) == (1.0, 1)
        assert row["genre"] is row["chain_id"] is row["beat_error_ms"] is row["chord_agreement"] is None
    gains = {row["gain_db"] for row in rows if row["task"] == "rebalance"}
    assert gains == {-12, -9, -6, -3, 3, 6, 9, 12}
    assert {row["gain_db"] for row in rows if row["task"] != "rebalance"} == {None}
    chained, _ = rows_of(pool, Order("test", {"chains": 3}, rounds=3))
    assert [row["chain_id"] for row in chained[::3]] == [f"test-chain-{number:06d}" for number in range(3)]


def test_neighbouring_rows_come_from_as_many_clips_as_there_are(pool):
    rows, _ = rows_of(pool, Order("train", {"add": 700, "remove": 300}))
    clips = {(row["source_track"], row["source_start_samples"]) for row in rows}
    for begin in range(0, 1000, 125):
        shard = {(row["source_track"], row["source_start_samples"]) for row in rows[begin : begin + 125]}
        assert len(shard) >= 0.9 * len(clips)


def test_windows_of_one_track_are_spread_like_those_of_others(pool):
    """Rows of a window come at even distances, also where windows begin at nearly the same time."""
    rows, _ = rows_of(pool, Order("train", {"add": 1000}))
    windows = [(row["source_track"], row["source_start_samples"]) for row in rows]
    for window, count in Counter(windows).most_common(20):
        places = [place for place, each in enumerate(windows) if each == window]
        assert max(np.diff(places)) < 2 * len(rows) / count


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_rows_are_the_same_however_many_are_written_at_a_time(pool, monkeypatch, share):
    def drawn():
        orders, options = [Order("train", {"add": 50, "remove": 30})], PairOptions()
        table, _ = draw(pool, orders, options=options, templates=default_templates(), seed=0, paraphrase=share)
        return table.drop_columns(["instruction"]).to_pylist()

    whole = drawn()
    monkeypatch.setattr(triplets, "_CHUNK", 16)
    assert drawn() == whole
    assert {row["triplet_id"] for row in whole} >= {"train-add-0000000", "train-add-0000049", "train-remove-0000029"}


def test_chains_follow_each_other_and_never_undo_an_edit(pool):
    rows, [filled] = rows_of(pool, Order("test", {"chains": 20}, rounds=3))
    assert filled.drawn == {"chains": 20}
    chains = defaultdict(list)
    for row in rows:
        chains[row["chain_id"]].append(row)
    assert len(chains) == 20
    assert len({tuple(map(identity, chain)) for chain in chains.values()}) == 20
    for chain in chains.values():
        assert [row["round"] for row in chain] == [1, 2, 3]
        edited = [name for row in chain for name in row["named"] + row["added"]]
        assert len(edited) == len(set(edited))
        for before, after in pairwise(chain):
            assert after["source_instruments"] == before["target_instruments"]
            assert after["source_start_samples"] == before["source_start_samples"]


def test_chains_begin_with_two_or_three_parts_and_take_each_task_alike(pool):
    rows, _ = rows_of(pool, Order("train", {"chains": 400}, rounds=3))
    first = [row for row in rows if row["round"] == 1]
    sizes = Counter(len(row["source_instruments"]) for row in first)
    assert set(sizes) == {2, 3} and 0.4 < sizes[2] / len(first) < 0.6
    tasks = Counter(row["task"] for row in first)
    assert set(tasks) == {"add", "remove", "replace"} and min(tasks.values()) > 0.2 * len(first)
    for row in rows:
        assert bool(row["named"]) == (row["task"] != "add") and bool(row["added"]) == (row["task"] != "remove")
    assert any(row["task"] == "remove" and len(row["source_instruments"]) == 2 for row in first)


def test_longer_windows_lie_in_the_track_and_know_what_sounds(pool):
    rows, _ = rows_of(pool, Order("test", {"extract": 60}, length=30 * pool.rate_hz))
    lengths = dict(zip(pool.tracks, pool.lengths.tolist(), strict=True))
    assert rows
    for row in rows:
        assert row["length_samples"] == 30 * pool.rate_hz
        assert row["source_start_samples"] + row["length_samples"] <= lengths[row["source_track"]]


def test_curves_agree_with_the_clips_that_prepare_cut(pool):
    windows = pool.windows
    heard = pool.curves.hear(windows["track"], windows["start"], windows["length"])
    assert (heard.sounds == windows["sounds"]).all()
    assert (heard.active == windows["bed"]).all()
    assert (heard.usable == windows["usable"]).all()


def test_windows_of_another_length_tile_each_track_from_its_start(pool):
    length = 25 * pool.rate_hz
    cut = pool.with_windows(length).windows
    assert set(cut["length"].tolist()) == {length} and (cut["bed"] != 0).all()
    for track in np.unique(pool.windows["track"]):
        starts = cut["start"][cut["track"] == track]
        fit = list(range(0, int(pool.lengths[track]) - length + 1, length))
        heard = pool.curves.hear(np.full(len(fit), track), np.array(fit), np.full(len(fit), length))
        assert starts.tolist() == [start for start, bed in zip(fit, heard.active, strict=True) if bed]


def test_windows_in_which_nothing_plays_are_left_out(pool):
    at = np.unique(pool.windows["track"])[0]
    silent = replace(pool.curves, active=np.zeros_like(pool.curves.active))
    assert len(pool.with_windows(pool.rate_hz).windows) and at >= 0
    assert not len(replace(pool, curves=silent).with_windows(pool.rate_hz).windows)


@pytest.mark.parametrize("name", ["parts", "clips"])
def test_tables_of_tracks_that_are_gone_are_refused(tmp_path, name):
    write_tables(tmp_path, 4, 2)
    kind = {"parts": Part, "clips": Clip}[name]
    path = tmp_path / f"{name}.parquet"
    rows, stated = tables.read_rows(path, kind), tables.provenance(path)["arguments"]
    renamed = {"clip_id": "made-99999-0"} if name == "clips" else {}
    stranger = replace(rows[0], track_id="made-99999", **renamed)
    tables.write(path, [*rows, stranger], kind, parents=[tmp_path / "tracks.parquet"], arguments=stated)
    with pytest.raises(DataError, match=rf"{name}\.parquet has tracks that tracks.parquet doesn't have: run prepare again"):
        pools.load(tmp_path)


def test_clips_of_parts_that_are_gone_are_refused(tmp_path):
    write_tables(tmp_path, 4, 2)
    path = tmp_path / "clips.parquet"
    rows, stated = tables.read_rows(path, Clip), tables.provenance(path)["arguments"]
    rows[0] = replace(rows[0], instruments=["theremin", *rows[0].instruments[1:]])
    tables.write(path, rows, Clip, parents=[tmp_path / "tracks.parquet"], arguments=stated)
    with pytest.raises(DataError, match=r"names parts that parts\.parquet doesn't have"):
        pools.load(tmp_path)


def test_tracks_whose_stems_do_not_belong_together_are_counted_not_used(tmp_path):
    write_tables(tmp_path, 10, 2, aligned=False)
    pool = pools.load(tmp_path)
    assert not len(pool.windows)
    assert sum(reject.count for reject in pool.rejects) == 20
    assert {reject.reason for reject in pool.rejects} == {"unaligned"}


def test_a_parent_that_changed_is_refused(tmp_path):
    write_tables(tmp_path, 10, 2)
    tracks = tables.read_rows(tmp_path / "tracks.parquet", Track)
    tables.write(tmp_path / "tracks.parquet", tracks[:-1], Track)
    with pytest.raises(DataError, match=r"tracks\.parquet has changed"):
        pools.load(tmp_path)


UNITS = st.lists(st.tuples(st.integers(0, 2**62 - 1), st.integers(0, 5)), min_size=1, max_size=8)


@settings(max_examples=200, deadline=None)
@given(UNITS, st.integers(0, 300), st.integers(0, 9))
def test_subsets_are_distinct_and_of_their_units(units, count, seed):
    masks, sizes = (np.array(values, dtype=np.int64) for values in zip(*units, strict=True))
    existing = subsets.subsets(masks, sizes)
    unit, chosen = subsets.draw(masks, sizes, np.ones(len(units)), count, np.random.default_rng(seed))
    assert len(chosen) == min(count, int(existing.sum()))
    assert len(set(zip(unit.tolist(), chosen.tolist(), strict=True))) == len(chosen)
    assert ((chosen & ~masks[unit]) == 0).all()
    assert (subsets.popcount(chosen) == sizes[unit]).all()


def test_every_subset_is_as_likely_as_any_other_of_its_unit():
    masks, sizes = np.array([0b110111]), np.array([2])
    drawn = Counter()
    for seed in range(3000):
        _, chosen = subsets.draw(masks, sizes, np.ones(1), 2, np.random.default_rng(seed))
        drawn.update(chosen.tolist())
    assert len(drawn) == 10
    assert 500 < min(drawn.values()) <= max(drawn.values()) < 700


def test_a_weight_draws_more_of_a_dataset(pool):
    halves = replace(pool, datasets=["one" if number % 2 else "two" for number in range(len(pool.tracks))])
    ones = {track for track, dataset in zip(halves.tracks, halves.datasets, strict=True) if dataset == "one"}
    shares = []
    for weights in ((), (("one", 4.0),)):
        rows, _ = rows_of(halves, Order("train", {"add": 600}), weights=weights)
        shares.append(sum(row["source_track"] in ones for row in rows) / len(rows))
    odds = shares[1] / (1 - shares[1]) / (shares[0] / (1 - shares[0]))
    assert 3 < odds < 5.5


def test_the_plan_names_chains(work):
    summary = pair(work, counts={"add": 10}, eval_count=5, rounds=3, plan=True)
    assert summary.chains == 5
    assert pair(work, counts={"add": 10}, eval_count=5, plan=True).chains == 0
