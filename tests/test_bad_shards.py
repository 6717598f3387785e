"""Shards that were cut, forged or damaged: verify names it, training and plain loops end in one line and run nothing."""

import dataclasses
import io
import json
import pickle
import random
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hostile import HERE, error_of, invoke
from hypothesis import given, settings
from hypothesis import strategies as st
from made_work import RATE_HZ, WINDOW, make_work, read_sample

from instructme.dataset_tools.sharding import samples, tar_file
from instructme.dataset_tools.sharding.index import index_of
from instructme.manifests import tables
from instructme.manifests.rows import DataError, Sample
from instructme.model.presets import TINY
from instructme.pipelines.data import shard_reader
from instructme.pipelines.data.stream import Triplets, load
from instructme.pipelines.stages.shard import shard
from instructme.pipelines.stages.verify import verify

SHARD = "train-00000"
PRESET = dataclasses.replace(TINY, sample_rate_hz=RATE_HZ, clip_seconds=WINDOW / RATE_HZ)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = make_work(tmp_path_factory.mktemp("whole") / "work")
    shard(work, work / "shards", per_shard=5, limit=5, workers=0)
    return work / "shards"


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """Copy the shards, to be damaged."""
    shard_reader._open.cache_clear()
    return Path(shutil.copytree(whole, tmp_path / "shards"))


def seal(folder: Path) -> None:
    """Make the marker of the shard and index.json fit the files as they are."""
    markers = {path.stem: json.loads(path.with_suffix(".json").read_text()) for path in sorted(folder.glob("*.tar"))}
    for file in (folder / f"{SHARD}.tar", folder / f"{SHARD}.parquet"):
        markers[SHARD]["files"][file.name] = {"bytes": file.stat().st_size, "sha256": tables.sha256(file)}
    (folder / f"{SHARD}.json").write_text(json.dumps(markers[SHARD]))
    (folder / "index.json").write_text(json.dumps(index_of(markers)))


def heard(folder: Path, workers: int = 0) -> list[dict[str, Any]]:
    """Read all of the training split as training does."""
    return list(load(Triplets(folder, "train", PRESET), [[row] for row in range(5)], workers=workers))


def plain_loop(folder: Path) -> list[str]:
    """Read a shard with the plain loop of the README, in another process and folder, and return its instructions."""
    code = (
        "import io, json, soundfile, webdataset\n"
        f"for sample in webdataset.WebDataset({str(folder / SHARD)!r} + '.tar', shardshuffle=False):\n"
        "    source, rate_hz = soundfile.read(io.BytesIO(sample['source.flac']), dtype='float32')\n"
        "    print(json.loads(sample['json'])['instruction'], flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder.parent, check=False)
    return [*done.stdout.splitlines(), *(["failed"] if done.returncode else [])]


class Trap:
    """An object whose unpickling leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


def with_members(folder: Path, *added: tuple[str, bytes, bytes], first: bool = False) -> None:
    """Put members (name, kind, content) into the tar of the shard, after or before its own, and make all else fit."""
    tar, index = folder / f"{SHARD}.tar", folder / f"{SHARD}.parquet"
    with tarfile.open(tar) as file:
        own = [(member, file.extractfile(member).read()) for member in file.getmembers()]  # type: ignore[union-attr]
    forged = []
    for name, kind, content in added:
        member = tarfile.TarInfo(name)
        member.type, member.mode, member.linkname = kind, tar_file.MODE, "/etc/passwd"
        member.size = len(content) if kind == tarfile.REGTYPE else 0
        forged.append((member, content))
    with tarfile.open(tar, "w") as file:
        for member, content in [*forged, *own] if first else [*own, *forged]:
            file.addfile(member, io.BytesIO(content))
    rows, provenance = tables.read_rows(index, Sample), tables.provenance(index)
    located = samples.locate(rows, tar_file.places(tar))
    tables.write(index, located, Sample, arguments=provenance["arguments"], parents=provenance["parents"])
    seal(folder)


def test_sealing_alone_leaves_all_well(folder: Path) -> None:
    with_members(folder)
    assert verify(folder, workers=0) == []
    assert len(heard(folder)) == 5 == len(plain_loop(folder))


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("name", ["x.pickle", "x.pyd", "add.source.pickle"])
def test_a_pickle_is_named_and_never_loaded(name: str, first: bool, folder: Path, tmp_path: Path) -> None:
    trace = tmp_path / "loaded"
    trap = pickle.dumps(Trap(trace))
    pickle.loads(trap)
    assert trace.exists()
    trace.unlink()
    whole = [item["key"] for item in heard(folder)]
    with_members(folder, (name, tarfile.REGTYPE, trap), first=first)
    shard_reader._open.cache_clear()
    told = invoke("verify", folder, *HERE)
    assert told.exit_code == 1 and f"unsafe member {name!r}" in told.stdout
    assert [item["key"] for item in heard(folder)] == whole
    if name == "x.pickle":
        plain_loop(folder)
    for row in tables.read_rows(folder / f"{SHARD}.parquet", Sample):
        read_sample(folder / f"{SHARD}.tar", row)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../escaped.json", tarfile.REGTYPE),
        ("../../x/escaped.json", tarfile.REGTYPE),
        ("/tmp/escaped.json", tarfile.REGTYPE),
        ("a/escaped.json", tarfile.REGTYPE),
        ("escaped.json", tarfile.SYMTYPE),
        ("escaped.json", tarfile.LNKTYPE),
        ("escaped.json", tarfile.FIFOTYPE),
        ("escaped.json", tarfile.CHRTYPE),
        ("escaped\n.json", tarfile.REGTYPE),
        ("\udcff.json", tarfile.REGTYPE),
        ("x" * 300 + ".json", tarfile.REGTYPE),
    ],
)
def test_a_member_that_leads_elsewhere_is_named_and_nothing_is_written(name: str, kind: bytes, folder: Path) -> None:
    with_members(folder, (name, kind, b"{}"))
    before = sorted(path.name for path in folder.parent.rglob("*"))
    told = invoke("verify", folder, *HERE)
    assert told.exit_code == 1 and f"unsafe member {name!r}" in told.stdout
    assert len(heard(folder)) == 5
    assert sorted(path.name for path in folder.parent.rglob("*")) == before


def test_members_are_not_extracted_by_a_plain_loop(folder: Path) -> None:
    with_members(folder, ("../escaped.json", tarfile.REGTYPE, b'{"instruction": "x"}'))
    assert len(plain_loop(folder)) >= 5
    assert not list(folder.parent.glob("escaped*"))


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.6, 0.99])
@pytest.mark.parametrize("sealed", [False, True])
def test_a_shard_cut_short_is_named_wherever_it_is_read(share: float, sealed: bool, folder: Path) -> None:
    tar = folder / f"{SHARD}.tar"
    rows = tables.read_rows(folder / f"{SHARD}.parquet", Sample)
    end = max(row.json_offset_bytes + row.json_size_bytes for row in rows)
    tar.write_bytes(tar.read_bytes()[: int(end * share)])
    if sealed:
        seal(folder)
    told = invoke("verify", folder, *HERE)
    assert told.exit_code == 1 and f"{SHARD}.tar: " in told.stdout
    with pytest.raises(DataError, match="run 'instructme shard' again") as caught:
        heard(folder)
    assert "\n" not in str(caught.value) and "train-00000" in str(caught.value)
    if sealed and share in (0.3, 0.6):
        assert plain_loop(folder)[-1] == "failed" or len(plain_loop(folder)) < 5
        with pytest.raises(DataError):
            for row in rows:
                read_sample(tar, row)


def test_an_index_whose_recipe_is_none_is_one_line(folder: Path) -> None:
    path = folder / f"{SHARD}.parquet"
    rows, provenance = tables.read_rows(path, Sample), tables.provenance(path)
    for recipe in ("{", "[]", "{}", '{"triplet_id": 3}', json.dumps({**json.loads(rows[0].recipe), "length_samples": -1})):
        forged = [dataclasses.replace(rows[0], recipe=recipe), *rows[1:]]
        tables.write(path, forged, Sample, arguments=provenance["arguments"], parents=provenance["parents"])
        seal(folder)
        assert "can't be read" in "\n".join(verify(folder, workers=0))
        with pytest.raises(DataError, match=r"recipe of .*train-00000.*: run 'instructme shard' again"):
            shard_reader._open.cache_clear()
            shard_reader.ShardReader(folder, "train").recipe(0)


def damaged(data: bytes, seed: int) -> bytes:
    """Cut, overwrite, insert or remove some bytes."""
    rng = random.Random(seed)
    at, length = rng.randrange(len(data) + 1), rng.choice([1, 4, 100, 512, 5000])
    noise = rng.choice([rng.randbytes(length), b"\0" * length, b"\xff" * length])
    return rng.choice(
        [data[:at], data[:at] + noise + data[at + length :], data[:at] + noise + data[at:], data[:at] + data[at + length :]]
    )


def same(one: bytes, other: bytes) -> bool:
    """Tell whether two files say the same; blanks don't matter in JSON."""
    try:
        return one == other or bool(json.loads(one) == json.loads(other))
    except ValueError:
        return False


@settings(max_examples=25)
@given(suffix=st.sampled_from(["tar", "parquet", "json", "index"]), seed=st.integers(0, 2**32), sealed=st.booleans())
def test_any_damage_is_named_and_ends_in_one_line(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, suffix: str, seed: int, sealed: bool
) -> None:
    folder = Path(shutil.copytree(whole, tmp_path_factory.mktemp("any") / "shards"))
    path = folder / ("index.json" if suffix == "index" else f"{SHARD}.{suffix}")
    before = path.read_bytes()
    path.write_bytes(damaged(before, seed))
    if sealed and suffix in ("tar", "parquet"):
        seal(folder)
    shard_reader._open.cache_clear()
    told = invoke("verify", folder, *HERE)
    if same(path.read_bytes(), before):
        assert told.exit_code == 0
    elif not sealed:
        assert told.exit_code == 1 and re.search(rf"problems? in {folder}$", told.stdout.strip())
    try:
        heard(folder)
    except DataError as error:
        assert "\n" not in str(error)
    shutil.rmtree(folder.parent)


def names() -> st.SearchStrategy[str]:
    return st.from_regex("[a-z0-9_-]{1,99}", fullmatch=True)


@given(
    st.dictionaries(names(), st.tuples(st.binary(max_size=2000), st.binary(max_size=2000), st.binary(max_size=50)), max_size=5)
)
def test_random_samples_survive_the_round_trip(
    tmp_path_factory: pytest.TempPathFactory, held: dict[str, tuple[bytes, bytes, bytes]]
) -> None:
    path = tmp_path_factory.mktemp("round") / "a.tar"
    content = [(key, dict(zip(tar_file.MEMBERS, each, strict=True))) for key, each in held.items()]
    places = tar_file.write_tar(path, content)
    assert places == tar_file.places(path)
    assert list(places) == [f"{key}.{member}" for key in held for member in tar_file.MEMBERS]
    for key, fields in content:
        for member, data in fields.items():
            assert tar_file.MEMBER.fullmatch(f"{key}.{member}")
            assert tar_file.read_bytes(path, *places[f"{key}.{member}"]) == data
    with tarfile.open(path) as file:
        read = {member.name: file.extractfile(member).read() for member in file.getmembers()}  # type: ignore[union-attr]
    assert read == {f"{key}.{member}": data for key, fields in content for member, data in fields.items()}


def test_what_is_not_there_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    assert "no shards in" in error_of(invoke("verify", tmp_path / "shards"))
