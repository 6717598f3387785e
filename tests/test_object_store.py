"""Datasets read from, and shards written to, an object store: moto's S3 on loopback, and fsspec's memory."""

import dataclasses
import io
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner, Result
from made_work import RATE_HZ, WINDOW, make_work
from trees import BUILD, build_slakh, sound
from webdataset import WebLoader

from instructme import open_shards
from instructme.dataset_tools import layouts
from instructme.manifests import tables, urls
from instructme.manifests.rows import DataError, Sample
from instructme.model.presets import TINY
from instructme.pipelines.cli import main
from instructme.pipelines.data.stream import Triplets, load
from instructme.pipelines.stages.prepare import prepare
from instructme.pipelines.stages.scan import scan
from instructme.pipelines.stages.shard import shard
from instructme.pipelines.stages.verify import verify
from instructme.pipelines.training.data_card import describe

KEY_ID, SECRET = "AKIASENTINEL", "the-sentinel-secret"
SCANNED = ("tracks.parquet", "stems.parquet", "rejects.parquet")
PREPARED = (*SCANNED, "parts.parquet", "rhythm.parquet", "clips.parquet")
QUICK: dict[str, Any] = {"sample_rate_hz": 8000, "rhythm": "midi", "chords": "midi", "clip_seconds": 1.0, "workers": 0}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make an empty bucket; its URL. Credentials are in the environment."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    settings = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_ENDPOINT_URL": endpoint}
    for name, value in {**settings, "AWS_DEFAULT_REGION": "us-east-1", "AWS_MAX_ATTEMPTS": "1"}.items():
        monkeypatch.setenv(name, value)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    name = f"bucket-{tmp_path.name.replace('_', '-').lower()[:40]}"
    fsspec.filesystem("s3").mkdir(name)
    return f"s3://{name}"


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    # Two threads that open one of its files share a position.
    monkeypatch.setattr(urls, "THREADS", 1)
    yield "memory://store"
    fsspec.filesystem("memory").store.clear()


def upload(folder: Path, url: str) -> Path:
    """Copy a folder to a URL by fsspec alone."""
    place = fsspec.core.url_to_fs(url)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        place[0].pipe_file(f"{place[1]}/{path.relative_to(folder).as_posix()}", path.read_bytes())
    return urls.parse(url)


def contents(folder: Path) -> dict[str, bytes]:
    """Read all files of a local folder, by their paths in it."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def stored(url: str) -> dict[str, bytes]:
    """Read all files below a URL by fsspec alone."""
    place, root = fsspec.core.url_to_fs(url, use_listings_cache=False, skip_instance_cache=True)
    return {path.removeprefix(f"{root}/"): place.cat_file(path) for path in place.find(root)}


def invoke(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def one_line(result: Result) -> str:
    """Check that a run ended with exit code 1 and one line that keeps the secret."""
    assert result.exit_code == 1
    lines = [line for line in result.output.splitlines() if line.strip()]
    assert len(lines) == 1 and SECRET not in lines[0] and KEY_ID not in lines[0]
    return lines[0]


@pytest.mark.parametrize("layout", layouts.names())
def test_a_dataset_in_a_store_gives_the_same_tables(layout: str, root: Path, tmp_path: Path, memory: str) -> None:
    BUILD[layout](root)
    sounds = sorted(path for path in root.rglob("*") if path.suffix in (".wav", ".flac") and "mix" not in path.name.lower())
    sounds[0].write_bytes(b"no audio at all")
    (root / ".hidden").mkdir()
    here = scan([root], tmp_path / "here")
    there = scan([upload(root, f"{memory}/data")], tmp_path / "there")
    assert there == here and "unreadable" in {reject.reason for reject in there.rejects}
    for name in SCANNED:
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()


def test_a_table_in_a_store_may_be_the_root(root: Path, tmp_path: Path, bucket: str) -> None:
    sound(root / "a b#1?é.wav")
    (root / "empty.wav").touch()
    rows = ("one,a b#1?é.wav,bass", "two,../../etc/passwd,bass", "three,nowhere.wav,bass", "four,empty.wav,bass")
    (root / "songs.csv").write_text("\n".join(("track_id,path,instrument", *rows)))
    there = upload(root, f"{bucket}/data")
    for place, work in ((root, "here"), (there, "there"), (there, "there")):
        scan([place / "songs.csv"], tmp_path / work)
    for name in SCANNED:
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()
    (there / "songs.csv").write_text(
        "\n".join(("track_id,path,instrument", rows[0], "five,s3://other/x.wav,bass", "six,file:///x,bass"))
    )
    rejects = scan([there / "songs.csv"], tmp_path / "there").rejects
    assert sorted(reject.item for reject in rejects if reject.reason == "no_stems") == ["five", "six"]


def test_scan_fetches_headers_only(root: Path, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("bass.wav", "drums.flac", "vocals.mp3"):
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, 30 * 44100).astype(np.float32)
        (root / "Song").mkdir(exist_ok=True)
        soundfile.write(root / "Song" / name, noise, 44100)
    place = upload(root, f"{bucket}/data")
    fetched: list[int] = []
    from s3fs.core import S3File

    fetch = S3File._fetch_range

    def noted(file: S3File, start: int, end: int) -> bytes:
        fetched.append(end - start)
        return fetch(file, start, end)

    monkeypatch.setattr(S3File, "_fetch_range", noted)
    rows = scan([place], tmp_path / "work")
    assert len(rows.stems) == 3
    total = sum(path.stat().st_size for path in root.rglob("*.*"))
    assert 0 < sum(fetched) < 6 * (1 << 16) < total / 10


def made_dataset(root: Path) -> Path:
    """Write songs with sound, MIDI and chord charts in the layout of Slakh; one stem is no audio, one is missing later."""
    build_slakh(root)
    for number, path in enumerate(sorted(root.rglob("stems/*.flac"))):
        noise = np.random.default_rng(number).uniform(-0.3, 0.3, 3 * 22050).astype(np.float32)
        soundfile.write(path, noise, 22050)
    (root / "train" / "Track00001" / "chords.lab").write_text("0.0 1.5 C:maj\n1.5 3.0 A:min\n")
    return root


def test_a_dataset_in_a_store_is_prepared_to_the_same_bytes(root: Path, tmp_path: Path, bucket: str) -> None:
    there = upload(made_dataset(root), f"{bucket}/data")
    for place, name in ((root, "here"), (there, "there")):
        scan([place], tmp_path / name)
        (place / "train" / "Track00001" / "stems" / "S02.flac").unlink()
        done = prepare(tmp_path / name, **QUICK)
        assert (done.tracks, done.redone, done.clips) == (2, 2, 6)
        assert prepare(tmp_path / name, **QUICK).kept == 2
    here, there_files = (contents(tmp_path / name) for name in ("here", "there"))
    same = [name for name in here if name.endswith((".flac", ".parquet"))]
    assert len([name for name in same if name.endswith(".flac")]) == 5 and set(PREPARED) <= set(same)
    assert {name: there_files.get(name) for name in same} == {name: here[name] for name in same}
    assert not [name for name, content in there_files.items() if SECRET.encode() in content or KEY_ID.encode() in content]
    (there / "test" / "Track01876" / "stems" / "S00.flac").write_bytes((root / "test/Track01876/stems/S02.flac").read_bytes())
    assert prepare(tmp_path / "there", **QUICK).redone == 1


def test_an_empty_store_loses_no_prepared_track(root: Path, tmp_path: Path, memory: str) -> None:
    there = upload(made_dataset(root), f"{memory}/data")
    scan([there], tmp_path / "work")
    prepare(tmp_path / "work", **QUICK)
    fsspec.filesystem("memory").store.clear()
    with pytest.raises(DataError, match="dataset data is not at memory://store/data"):
        prepare(tmp_path / "work", **QUICK)


def made_shards(work: Path, out: Path) -> dict:
    return shard(work, out, per_shard=12, workers=0)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return make_work(tmp_path / "work")


def test_shards_in_a_store_have_the_same_bytes(work: Path, tmp_path: Path, bucket: str) -> None:
    url = f"{bucket}/deep/shards"
    index = made_shards(work, tmp_path / "here")
    assert made_shards(work, urls.parse(url)) == index
    assert stored(url) == contents(tmp_path / "here")
    assert made_shards(work, urls.parse(url))["kept"] == len(index["shards"]) == 8
    assert shard(work, urls.parse(url), per_shard=12, workers=0, splits=["train"])["kept"] == 8
    fewer = shard(work, urls.parse(url), per_shard=12, limit=12, workers=0, splits=["train"])
    assert fewer["kept"] == 5 and not [name for name in stored(url) if name.startswith("train-00001")]


def test_a_run_that_died_while_it_uploaded_goes_on(
    work: Path, tmp_path: Path, memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = made_shards(work, tmp_path / "here")
    put, place = urls.put, urls.parse(f"{memory}/shards")
    done: list[Path] = []

    def dies(files: Sequence[Path], to: Path) -> None:
        for file in files:
            done.append(file)
            if len(done) == 9:
                raise KeyboardInterrupt
            put([file], to)

    monkeypatch.setattr(urls, "put", dies)
    with pytest.raises(KeyboardInterrupt):
        made_shards(work, place)
    assert done[-1].suffix == ".json" and not done[-1].exists()
    assert len([name for name in stored(str(place)) if name.endswith(".json")]) == 2
    monkeypatch.setattr(urls, "put", put)
    again = made_shards(work, place)
    assert again["kept"] == 2 and again["hash"] == index["hash"]
    assert stored(str(place)) == contents(tmp_path / "here")


def test_what_somebody_else_stored_stays(work: Path, memory: str) -> None:
    place = urls.parse(f"{memory}/shards")
    (place / "train-00000.tar").write_bytes(b"mine")
    with pytest.raises(DataError, match=r"train-00000\.tar, which instructme did not write"):
        made_shards(work, place)
    assert stored(str(place)) == {"train-00000.tar": b"mine"}


def test_worker_processes_write_to_a_store(work: Path, tmp_path: Path, bucket: str) -> None:
    url = f"{bucket}/shards"
    result = invoke("shard", work, "-o", url, "--per-shard", 40, "--workers", 2)
    assert result.exit_code == 0 and "80 triplets" in result.output and SECRET not in result.output
    shard(work, tmp_path / "here", per_shard=40, workers=0)
    assert stored(url) == contents(tmp_path / "here")
    assert SECRET.encode() not in b"".join(stored(url).values())
    result = invoke("verify", url, "--work", work, "--workers", 0)
    assert result.exit_code == 0 and f"no faults in {url}: 3 shards, 80 triplets" in result.output


def test_verify_says_the_same_of_a_store(work: Path, tmp_path: Path, memory: str) -> None:
    here = tmp_path / "here"
    made_shards(work, here)
    (here / "train-00000.tar").write_bytes((here / "train-00000.tar").read_bytes()[:-3000])
    (here / "train-00001.parquet").write_bytes(b"no table")
    (here / "train-00002.json").unlink()
    (here / "test-00000.tar").unlink()
    there = upload(here, f"{memory}/shards")
    said = [line.replace(str(here), str(there)) for line in verify(here, work=work, workers=0)]
    assert len(said) > 4 and verify(there, work=work, workers=0) == said
    with pytest.raises(DataError, match="no shards in memory://store/nothing"):
        verify(urls.parse(f"{memory}/nothing"), workers=0)


def test_webdataset_streams_shards_from_a_store(work: Path, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import webdataset

    made_shards(work, urls.parse(f"{bucket}/shards"))
    monkeypatch.setitem(webdataset.gopen_schemes, "s3", lambda url, mode, _: fsspec.open(url, mode).open())
    samples = list(webdataset.WebDataset(f"{bucket}/shards/train-{{00000..00003}}.tar", shardshuffle=False))
    rows = [
        row for number in range(4) for row in tables.read_rows(urls.parse(f"{bucket}/shards/train-{number:05d}.parquet"), Sample)
    ]
    assert len(samples) == 40 and [sample["__key__"] for sample in samples] == [row.triplet_id for row in rows]
    assert json.loads(samples[0]["json"])["instruction"] == rows[0].instruction
    source, rate_hz = soundfile.read(io.BytesIO(samples[0]["source.flac"]))
    assert (source.shape, rate_hz) == ((WINDOW,), RATE_HZ)


def test_training_reads_byte_ranges_from_a_store(work: Path, tmp_path: Path, bucket: str) -> None:
    made_shards(work, tmp_path / "here")
    there = upload(tmp_path / "here", f"{bucket}/shards")
    preset = dataclasses.replace(TINY, sample_rate_hz=RATE_HZ, clip_seconds=WINDOW / RATE_HZ)
    rows = [[3, 39], [0, 12], [25, 1]]
    opened = [Triplets(data, "train", preset, changes=True, work=work) for data in (tmp_path / "here", there)]
    # The second one has been read from before its workers are forked.
    assert torch.equal(opened[1][3]["source"], opened[0][3]["source"])
    read = (list(load(triplets, rows, workers=workers)) for triplets, workers in zip(opened, (0, 2), strict=True))
    for one, other in zip(*read, strict=True):
        assert one["key"] == other["key"]
        assert all(torch.equal(one[name], other[name]) for name in ("source", "target", "removed", "added"))
    assert describe(there) == describe(tmp_path / "here")
    with pytest.raises(DataError, match=f"no index.json in {bucket}/nothing"):
        Triplets(urls.parse(f"{bucket}/nothing"), "train", preset)


def test_whole_shards_are_read_from_a_store_in_worker_processes(work: Path, tmp_path: Path, bucket: str) -> None:
    made_shards(work, tmp_path / "here")
    upload(tmp_path / "here", f"{bucket}/shards")
    expected = [sample["key"] for sample in open_shards(tmp_path / "here")]
    for place in (f"{bucket}/shards", f"{bucket}/shards/train-{{00000..00003}}.tar"):
        assert [sample["key"] for sample in open_shards(place)] == expected
    loaded = WebLoader(open_shards(f"{bucket}/shards"), batch_size=None, num_workers=2)
    assert sorted(sample["key"] for sample in loaded) == sorted(expected)
    with pytest.raises(DataError, match=f"no such shard: {bucket}/none.tar"):
        list(open_shards(f"{bucket}/none.tar"))


def refused(work: Path, url: str, tmp_path: Path) -> list[str]:
    """Use a store that can't be used, in every verb."""
    used = ("scan", url, "-o", tmp_path / "new"), ("shard", work, "-o", url), ("verify", url)
    return [one_line(invoke(*arguments)) for arguments in used]


def test_no_bucket_is_one_line(work: Path, tmp_path: Path, bucket: str) -> None:
    for line in refused(work, f"{bucket}-not/x", tmp_path):
        assert f"can't use {bucket}-not/x: The specified bucket does not exist: " in line
    assert f"no such folder: {bucket}/x" in one_line(invoke("scan", f"{bucket}/x", "-o", tmp_path / "new"))


def test_no_credentials_is_one_line(work: Path, tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    for line in refused(work, f"{bucket}/x", tmp_path):
        assert f"can't use {bucket}/x: Unable to locate credentials: " in line


def test_an_endpoint_that_is_down_is_one_line(work: Path, tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    for line in refused(work, f"{bucket}/x", tmp_path):
        assert f"can't use {bucket}/x: Could not connect to the endpoint URL: " in line
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{KEY_ID}:{SECRET}@127.0.0.1:9")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    one_line(invoke("verify", f"{bucket}/x"))


def test_an_endpoint_that_goes_down_ends_prepare_and_keeps_what_is_finished(
    root: Path, tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, work = upload(made_dataset(root), f"{bucket}/data"), tmp_path / "work"
    scan([there], work)
    store = type(there.fs)
    get_file, down = store._get_file, True

    async def goes_down(store: object, path: str, *rest: object, **options: object) -> None:
        from botocore.exceptions import EndpointConnectionError

        if down and "Track01876" in path:
            raise EndpointConnectionError(endpoint_url="http://gone")
        await get_file(store, path, *rest, **options)

    monkeypatch.setattr(store, "_get_file", goes_down)
    store.clear_instance_cache()
    with pytest.raises(DataError, match=r"can't use .*/data: Could not connect to the endpoint URL"):
        prepare(work, **QUICK)
    down = False
    done = prepare(work, **QUICK)
    assert done.tracks == 2 and done.kept == 1
    assert not list(work.rglob("*.tmp"))
