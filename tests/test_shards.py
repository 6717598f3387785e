"""Tar shards: fixed bytes, safe names, and reading them with webdataset, Hugging Face datasets and by offset."""

import io
import json
import tarfile
import types
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from instructme.dataset_tools.sharding import tar_file
from instructme.manifests.rows import DataError

RATE_HZ = 8000


def fields(seed: int) -> dict[str, bytes]:
    random = np.random.default_rng(seed)
    sides = {
        f"{side}.flac": tar_file.encode(random.uniform(-0.8, 0.8, 800).astype(np.float32), RATE_HZ)
        for side in ("source", "target")
    }
    return {**sides, "json": tar_file.to_json({"task": "add", "instruction": f"add señor {seed}"})}


@pytest.fixture
def tar(tmp_path: Path) -> Path:
    path = tmp_path / "train-00000.tar"
    tar_file.write_tar(path, [(f"add-{number}", fields(number)) for number in range(5)])
    return path


@given(st.integers(0, 2**32 - 1), st.integers(1, 3000))
def test_flac_holds_every_16_bit_sample_exactly(seed: int, length: int) -> None:
    samples = (np.random.default_rng(seed).integers(-32768, 32768, length) / 32768).astype(np.float32)
    decoded, rate_hz = tar_file.decode(tar_file.encode(samples, 24000))
    assert rate_hz == 24000 and np.array_equal(decoded, samples)


def test_says_what_does_not_decode() -> None:
    with pytest.raises(DataError, match="can't decode audio"):
        tar_file.decode(b"fLaC, but no more")


def test_the_same_samples_make_the_same_bytes_with_fixed_headers(tar: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.tar"
    tar_file.write_tar(again, iter([(f"add-{number}", fields(number)) for number in range(5)]))
    assert again.read_bytes() == tar.read_bytes()
    with tarfile.open(tar) as file:
        members = file.getmembers()
    assert [member.name for member in members[:4]] == [
        "add-0.source.flac",
        "add-0.target.flac",
        "add-0.json",
        "add-1.source.flac",
    ]
    for member in members:
        assert tar_file.MEMBER.fullmatch(member.name) and member.isreg()
        assert all(getattr(member, name) == value for name, value in tar_file.HEADER.items())


def test_the_bytes_are_those_of_webdataset_tarwriter(tar: Path, tmp_path: Path) -> None:
    from webdataset import TarWriter

    fixed = {"user": "", "group": "", "mode": tar_file.MODE, "mtime": 0}
    with (tmp_path / "other.tar").open("wb") as file, TarWriter(file, encoder=False, **fixed) as writer:
        for number in range(5):
            for name in tar_file.MEMBERS:
                writer.write({"__key__": f"add-{number}", name: fields(number)[name]})
    assert (tmp_path / "other.tar").read_bytes() == tar.read_bytes()


def test_keys_of_99_characters_fit(tmp_path: Path) -> None:
    tar_file.write_tar(tmp_path / "a.tar", [("k" * 99, fields(0))])
    places = tar_file.places(tmp_path / "a.tar")
    assert tar_file.read_bytes(tmp_path / "a.tar", *places["k" * 99 + ".json"]) == fields(0)["json"]


def test_reads_members_by_place_without_the_tar_header(tar: Path) -> None:
    for number in range(5):
        for name, data in fields(number).items():
            assert tar_file.read_bytes(tar, *tar_file.places(tar)[f"add-{number}.{name}"]) == data


@pytest.mark.parametrize(
    "name", ["../a.json", "a/b.json", "A.json", "a.pickle", "a.b.json", ".json", "a.flac", "a.json.gz", "k" * 100 + ".json"]
)
def test_unsafe_names_are_no_members(name: str) -> None:
    assert not tar_file.MEMBER.fullmatch(name)


def test_plain_webdataset_reads_them(tar: Path) -> None:
    import webdataset

    def flac(key: str, data: bytes) -> object:
        return soundfile.read(io.BytesIO(data)) if key.endswith(".flac") else None

    samples = list(webdataset.WebDataset(str(tar), shardshuffle=False).decode(flac))
    assert [sample["__key__"] for sample in samples] == [f"add-{number}" for number in range(5)]
    assert set(samples[0]) - {"__url__", "__local_path__"} == {"__key__", "source.flac", "target.flac", "json"}
    assert samples[3]["json"] == {"task": "add", "instruction": "add señor 3"}
    source, rate_hz = samples[3]["source.flac"]
    assert rate_hz == RATE_HZ and np.array_equal(source, tar_file.decode(fields(3)["source.flac"])[0])


def test_hugging_face_datasets_reads_them(tar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from datasets import Features, Value, load_dataset

    binary, text = Value("binary"), Value("string")
    features = Features(
        {"__key__": text, "__url__": text, "source.flac": binary, "target.flac": binary, "json": {"instruction": text}}
    )
    rows = load_dataset("webdataset", data_files={"train": str(tar)}, split="train", features=features, cache_dir=str(tmp_path))
    assert rows["__key__"] == [f"add-{number}" for number in range(5)]
    assert rows[2]["json"]["instruction"] == "add señor 2"
    assert rows[2]["target.flac"] == fields(2)["target.flac"]


def test_nothing_in_a_shard_is_a_pickle(tar: Path) -> None:
    with tarfile.open(tar) as file:
        for member in file.getmembers():
            data = file.extractfile(member).read()
            assert data[:4] == b"fLaC" or json.loads(data)


def test_places_are_known_while_a_tar_is_written(tmp_path: Path) -> None:
    samples = [(f"add-{number}", fields(number)) for number in range(5)]
    samples.append(("whole-blocks", {**fields(9), "json": b"{" + b" " * 510 + b"}"}))
    written = tar_file.write_tar(tmp_path / "a.tar", samples)
    assert written == tar_file.places(tmp_path / "a.tar")
    for key, values in samples:
        for name in tar_file.MEMBERS:
            assert tar_file.read_bytes(tmp_path / "a.tar", *written[f"{key}.{name}"]) == values[name]


def test_files_of_a_tar_are_the_owners_to_write_and_everyones_to_read(tar: Path) -> None:
    with tarfile.open(tar) as file:
        assert {(member.mode, member.mtime, member.uid, member.gid) for member in file} == {(0o644, 0, 0, 0)}


def test_an_index_row_says_where_each_member_lies() -> None:
    row = types.SimpleNamespace(
        source_offset_bytes=1,
        source_size_bytes=2,
        target_offset_bytes=3,
        target_size_bytes=4,
        json_offset_bytes=5,
        json_size_bytes=6,
    )
    assert [tar_file.place(row, member) for member in tar_file.MEMBERS] == [(1, 2), (3, 4), (5, 6)]
