"""Verification: sound shards pass, and each kind of damage is named."""

import dataclasses
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from made_work import RATE_HZ, WINDOW, make_part, make_work, recipe, recipes

from instructme.dataset_tools import audio
from instructme.dataset_tools.audio import STEP
from instructme.dataset_tools.sharding import samples, tar_file
from instructme.dataset_tools.sharding.index import index_of
from instructme.dataset_tools.sharding.library import PARENTS
from instructme.dataset_tools.tasks import remix, task_names
from instructme.manifests import tables
from instructme.manifests.rows import DataError, Part, Rhythm, Sample, Track, Triplet
from instructme.pipelines.cli import main
from instructme.pipelines.stages import verify
from instructme.pipelines.stages.shard import shard

Fields = dict[str, bytes]
SHARD = "train-00000"
OTHER = dict(zip(task_names(), [*task_names()[1:], task_names()[0]], strict=True))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a working folder with sound shards; tests change copies of it only."""
    work = make_work(tmp_path_factory.mktemp("whole") / "work")
    shard(work, work / "shards", per_shard=20, workers=0)
    return work


@pytest.fixture
def work(whole: Path, tmp_path: Path) -> Path:
    """Copy it, to be damaged; its shards are checked in this process."""
    return Path(shutil.copytree(whole, tmp_path / "work"))


def problems(work: Path, **options: object) -> str:
    return "\n".join(verify.verify(work / "shards", work=work, **{"workers": 0, **options}))  # type: ignore[arg-type]


def forge(
    work: Path,
    change: Callable[[Sample, Fields], Sample | None],
    tasks: tuple[str, ...] = ("add", "remove", "extract", "replace", "remix"),
    name: str = SHARD,
) -> str:
    """Change the first sample of these tasks and make every hash, place and level fit again; returns its id."""
    folder = work / "shards"
    tar, index = folder / f"{name}.tar", folder / f"{name}.parquet"
    provenance, rows, content = tables.provenance(index), tables.read_rows(index, Sample), {}
    for row in rows:
        content[row.triplet_id] = {member: tar_file.read_bytes(tar, *tar_file.place(row, member)) for member in tar_file.MEMBERS}
    number = next(number for number, row in enumerate(rows) if row.task in tasks)
    forged = rows[number].triplet_id
    changed = change(rows[number], content[forged])
    rows[number] = levelled(changed or rows[number], content[forged])
    places = tar_file.write_tar(tar, [(row.triplet_id, fields) for row, fields in zip(rows, content.values(), strict=True)])
    tables.write(index, samples.locate(rows, places), Sample, arguments=provenance["arguments"], parents=provenance["parents"])
    seal(folder)
    return forged


def levelled(row: Sample, fields: Fields) -> Sample:
    levels = {}
    for side in ("source", "target"):
        decoded, _ = tar_file.decode(fields[f"{side}.flac"])
        levels |= {f"{side}_rms_db": audio.rms_db(decoded), f"{side}_peak_db": audio.peak_db(decoded)}
    return dataclasses.replace(row, **levels)


def seal(folder: Path) -> None:
    """Make markers and index.json fit the files as they are."""
    markers = {}
    for path in sorted(folder.glob("*.tar")):
        marker = json.loads(path.with_suffix(".json").read_text())
        marker["files"] = {
            file.name: {"bytes": file.stat().st_size, "sha256": tables.sha256(file)}
            for file in (path, path.with_suffix(".parquet"))
        }
        path.with_suffix(".json").write_text(json.dumps(marker))
        markers[path.stem] = marker
    (folder / "index.json").write_text(json.dumps(index_of(markers)))


def edit(fields: Fields, side: str, change: Callable[[np.ndarray], np.ndarray], rate_hz: int = RATE_HZ) -> None:
    fields[f"{side}.flac"] = tar_file.encode(change(tar_file.decode(fields[f"{side}.flac"])[0]), rate_hz)


def retold(row: Sample, old: str, new: str) -> Sample:
    return dataclasses.replace(row, recipe=row.recipe.replace(old, new))


def edit_json(fields: Fields, **values: object) -> None:
    fields["json"] = tar_file.to_json({**json.loads(fields["json"]), **values})


def test_sound_shards_pass(whole: Path) -> None:
    result = CliRunner().invoke(main, ["verify", str(whole / "shards"), "--work", str(whole), "--workers", "0"])
    assert result.exit_code == 0, result.output
    assert all(
        words in result.output for words in ("no faults", "4 shards, 80 triplets", "the audio and the laws of 80 triplets")
    )


def test_the_command_lists_problems_and_exits_1(work: Path) -> None:
    (work / "shards" / "test-00000.tar").unlink()
    result = CliRunner().invoke(main, ["verify", str(work / "shards"), "--workers", "0"])
    assert result.exit_code == 1 and "test-00000.tar: missing" in result.output and "1 problem in" in result.output


def test_an_empty_folder_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no shards in"):
        verify.verify(tmp_path)


def test_forging_nothing_leaves_all_well(work: Path) -> None:
    forge(work, lambda row, fields: None)
    assert problems(work) == ""


def test_a_flipped_byte_in_audio(work: Path) -> None:
    row = tables.read_rows(work / "shards" / f"{SHARD}.parquet", Sample)[3]
    data = bytearray((work / "shards" / f"{SHARD}.tar").read_bytes())
    data[row.source_offset_bytes + row.source_size_bytes // 2] ^= 0x10
    (work / "shards" / f"{SHARD}.tar").write_bytes(data)
    found = problems(work)
    assert f"{SHARD}.tar: changed since it was written: SHA-256 differs" in found and row.triplet_id in found


def test_a_tar_that_is_not_there_is_named_once(work: Path) -> None:
    (work / "shards" / f"{SHARD}.tar").unlink()
    assert problems(work).splitlines() == [f"{SHARD}.tar: missing: run shard again"]


def test_a_truncated_tar(work: Path) -> None:
    path = work / "shards" / f"{SHARD}.tar"
    path.write_bytes(path.read_bytes()[:100_000])
    found = problems(work)
    assert f"{SHARD}.tar: 100000 bytes, not" in found and f"{SHARD}.tar: truncated or not a tar" in found


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../evil.json", tarfile.REGTYPE),
        ("evil.pickle", tarfile.REGTYPE),
        ("/etc/evil.json", tarfile.REGTYPE),
        ("evil.json", tarfile.SYMTYPE),
    ],
)
def test_an_unsafe_member(work: Path, name: str, kind: bytes) -> None:
    with tarfile.open(work / "shards" / f"{SHARD}.tar", "a") as tar:
        header = tarfile.TarInfo(name)
        header.type, header.mode, header.linkname, header.size = kind, tar_file.MODE, "/etc/passwd", 2 * (kind == tarfile.REGTYPE)
        tar.addfile(header, io.BytesIO(b"{}"))
    seal(work / "shards")
    found = problems(work)
    assert f"unsafe member {name!r}" in found and f"1 extra, first {name!r}" in found


def test_a_header_with_a_time(work: Path) -> None:
    path = work / "shards" / f"{SHARD}.tar"
    with tarfile.open(path) as tar:
        held = [(member, tar.extractfile(member).read()) for member in tar.getmembers()]  # type: ignore[union-attr]
    with tarfile.open(path, "w") as tar:
        for member, data in held:
            member.mtime = 1_700_000_000
            tar.addfile(member, io.BytesIO(data))
    seal(work / "shards")
    assert "has another time" in problems(work)


def test_a_moved_offset(work: Path) -> None:
    index = work / "shards" / f"{SHARD}.parquet"
    provenance, rows = tables.provenance(index), tables.read_rows(index, Sample)
    rows[2] = dataclasses.replace(rows[2], target_offset_bytes=rows[2].target_offset_bytes + 512)
    tables.write(index, rows, Sample, arguments=provenance["arguments"], parents=provenance["parents"])
    seal(work / "shards")
    assert f"{rows[2].triplet_id}.target.flac is not at the place that the index states" in problems(work)


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("task", ["add", "remove", "extract", "replace"])
def test_a_side_shifted_by_one_sample_breaks_the_law(work: Path, task: str, side: str) -> None:
    forged = forge(work, lambda row, fields: edit(fields, side, lambda audio: np.roll(audio, 1)), (task,))
    assert f"{SHARD}: {forged}: law of {task} broken" in problems(work)


@pytest.mark.parametrize("task", ["add", "remove", "extract", "replace", "remix"])
def test_two_16_bit_steps_in_one_source_sample_break_the_law(work: Path, task: str) -> None:
    def change(audio: np.ndarray) -> np.ndarray:
        audio[100] += 2 * 2**-15
        return audio

    forged = forge(work, lambda row, fields: edit(fields, "source", change), (task,))
    assert f"{SHARD}: {forged}: law of {task} broken" in problems(work)


def test_a_remix_off_the_beat_breaks_the_law(work: Path) -> None:
    forged = forge(
        work, lambda row, fields: edit(fields, "target", lambda audio: np.roll(audio, round(0.08 * RATE_HZ))), ("remix",)
    )
    assert f"{SHARD}: {forged}: law of remix broken: onsets lie" in problems(work)


@pytest.mark.parametrize("change", [np.flip, lambda audio: 0 * audio, lambda audio: audio * 10 ** (-1 / 20)])
def test_the_target_of_a_remix_is_that_of_its_parts(work: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    forged = forge(work, lambda row, fields: edit(fields, "target", change), ("remix",))
    found = [line for line in problems(work).splitlines() if f"{forged}: law of remix broken" in line]
    assert found and ("has other levels than its parts" in found[0] or "onsets lie" in found[0])


def test_a_remix_that_was_not_stretched_is_compared_by_the_sample() -> None:
    kept = np.random.default_rng(0).integers(-9000, 9000, 48000).astype(np.int16)
    sound = kept.astype(np.float32) * np.float32(STEP)
    made = recipe("remix", 0, "set-a", 0, ["drums"], ["drums"])
    reads = {"part": lambda name: kept, "source_beats_samples": np.array([], dtype=np.int64), "rate_hz": RATE_HZ}
    assert remix.law(made, sound, sound, 1.0, target_part=lambda name: kept, **reads) is None
    broken = remix.law(made, sound, np.roll(sound, 1), 1.0, target_part=lambda name: kept, **reads)
    assert broken is not None and broken.startswith("target is off by")


def test_a_wrong_part_breaks_the_law(work: Path) -> None:
    audio.write_flac(work / "parts/set-c/bass.flac", make_part("set-c", "piano"), RATE_HZ)
    found = problems(work)
    assert "validation-00000: " in found and "law of" in found and "train-0" not in found


@pytest.mark.parametrize(("task", "gain"), [("add", 0.5), ("extract", 0.99)])
def test_a_gain_that_was_not_applied(work: Path, task: str, gain: float) -> None:
    def change(row: Sample, fields: Fields) -> Sample:
        edit_json(fields, gain=gain, target_gain=gain)
        return dataclasses.replace(row, gain=gain, target_gain=gain)

    forged = forge(work, change, (task,))
    found = problems(work)
    assert f"{forged}: law of {task} broken" in found
    assert (f"{forged}: gain 0.9900 although no side reaches -1 dBFS" in found) == (gain == 0.99)


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("JSON: gain differs from the index", lambda row, fields: edit_json(fields, gain=0.123)),
        ("JSON: instruction differs from the index", lambda row, fields: edit_json(fields, instruction="sing")),
        ("JSON: differs from the tables", lambda row, fields: edit_json(fields, beat_times_s=[0.25])),
        ("JSON of the sample or of its recipe can't be read", lambda row, fields: fields.update(json=b"{")),
        ("source: can't decode audio", lambda row, fields: None),
        ("above -1 dBFS", lambda row, fields: edit(fields, "target", lambda audio: audio / np.abs(audio).max())),
        ("not (16000,) at 8000 Hz", lambda row, fields: edit(fields, "source", lambda audio: audio[:-1])),
        ("at 16000 Hz, not", lambda row, fields: edit(fields, "source", lambda audio: audio, 16000)),
        ("both sides need the same gain", lambda row, fields: dataclasses.replace(row, target_gain=row.gain / 2)),
        ("recipe: task differs", lambda row, fields: retold(row, f'"task": "{row.task}', f'"task": "{OTHER[row.task]}')),
        ("unknown task 'x", lambda row, fields: retold(row, '"task": "', '"task": "x')),
        ("can't be read", lambda row, fields: dataclasses.replace(row, recipe="{}")),
        ("can't be read", lambda row, fields: retold(row, '"round": 1', '"round": "x"')),
    ],
)  # fmt: skip
def test_one_wrong_sample_is_named(work: Path, what: str, change: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    forged = forge(work, change)
    if "decode" in what:
        row = next(row for row in tables.read_rows(work / "shards" / f"{SHARD}.parquet", Sample) if row.triplet_id == forged)
        data = bytearray((work / "shards" / f"{SHARD}.tar").read_bytes())
        data[row.source_offset_bytes : row.source_offset_bytes + 4] = b"OggS"
        (work / "shards" / f"{SHARD}.tar").write_bytes(data)
    found = problems(work)
    assert what in found and forged in found


def test_levels_that_are_not_those_of_the_audio(work: Path) -> None:
    index = work / "shards" / f"{SHARD}.parquet"
    provenance, rows = tables.provenance(index), tables.read_rows(index, Sample)
    rows[0] = dataclasses.replace(rows[0], source_rms_db=rows[0].source_rms_db + 0.1)
    tables.write(index, rows, Sample, arguments=provenance["arguments"], parents=provenance["parents"])
    seal(work / "shards")
    assert f"{rows[0].triplet_id}: source: rms is" in problems(work)


def test_a_track_that_leaks_into_another_split(work: Path) -> None:
    tracks = tables.read_rows(work / "tracks.parquet", Track)
    alike = [dataclasses.replace(track, leak_group="songs") if track.split != "test" else track for track in tracks]
    tables.write(work / "tracks.parquet", alike, Track, seed=0)
    found = problems(work, sample=0)
    assert "leak: songs is in 2 splits: train has" in found and "test has" not in found


def test_a_leaked_track_is_found_without_the_working_folder(work: Path) -> None:
    def change(row: Sample, fields: Fields) -> Sample:
        return retold(row, '"source_track": "set-c"', '"source_track": "set-a"')

    forge(work, change, name="validation-00000")
    found = "\n".join(verify.verify(work / "shards", workers=0))
    assert "leak: set-a is in 2 splits" in found


def test_ids_that_occur_twice(work: Path) -> None:
    folder = work / "shards"
    for suffix in ("tar", "parquet", "json"):
        text = folder / f"train-00009.{suffix}"
        shutil.copy(folder / f"{SHARD}.{suffix}", text)
    marker = (folder / "train-00009.json").read_text().replace(SHARD, "train-00009")
    (folder / "train-00009.json").write_text(marker)
    seal(folder)
    assert f"is also in {SHARD}" in problems(work)


@pytest.mark.parametrize("row_type", [Track, Part, Rhythm, Triplet])
def test_a_table_that_changed_since(work: Path, row_type: type) -> None:
    path = next(work / name for name in PARENTS if tables.provenance(work / name)["schema"] == row_type.__name__)
    tables.write(path, tables.read_rows(path, row_type), row_type, seed=99)
    assert f"{SHARD}.parquet: {path.name} in {work} is missing or has changed since: run shard again" in problems(work, sample=0)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("index.json", "index.json: missing"),
        (f"{SHARD}.json", f"{SHARD}: unfinished"),
        (f"{SHARD}.parquet", f"{SHARD}.parquet: missing"),
        (f"{SHARD}.tar", f"{SHARD}.tar: missing"),
    ],
)
def test_a_missing_file(work: Path, name: str, line: str) -> None:
    (work / "shards" / name).unlink()
    assert line in problems(work)


def test_a_marker_without_sizes(work: Path) -> None:
    marker = work / "shards" / f"{SHARD}.json"
    marker.write_text(json.dumps({"files": {f"{SHARD}.{suffix}": {} for suffix in ("tar", "parquet")}}))
    assert f"{SHARD}: unfinished" in problems(work)


def test_a_shard_that_the_index_does_not_list(work: Path) -> None:
    index = json.loads((work / "shards" / "index.json").read_text())
    index["shards"] = index["shards"][1:]
    (work / "shards" / "index.json").write_text(json.dumps(index))
    assert "index.json: differs from the markers" in problems(work)


def test_sample_checks_so_many_samples_over_the_whole_dataset() -> None:
    units = verify._units({"a": 30, "b": 0, "c": 70}, 10)
    assert [unit.name for unit in units] == ["a", "b", "c"] and sum(len(unit.chosen) for unit in units) == 10
    assert units[0].chosen and units[2].chosen and max(units[0].chosen) < 30
    assert [len(unit.chosen) for unit in verify._units({"a": 3, "b": 4}, None)] == [3, 4]


def test_lists_at_most_ten_problems_of_a_shard(work: Path) -> None:
    for instrument in ("bass", "drums", "piano"):
        audio.write_flac(work / f"parts/set-d/{instrument}.flac", make_part("set-a", instrument)[WINDOW:], RATE_HZ)
    lines = [line for line in problems(work).splitlines() if line.startswith("test-00000")]
    assert len(lines) == 11 and lines[-1] == "test-00000: and 6 more problems"


def test_sides_levelled_on_their_own_are_checked_against_their_own_gains(work: Path) -> None:
    shutil.rmtree(work / "shards")
    both = ["bass", "drums"]
    turned = [recipe("rebalance", gain, "set-a", 0, both, both, named=["drums"], gain_db=gain) for gain in (-9, 6)]
    parents = [work / f"{name}.parquet" for name in ("clips", "parts", "rhythm", "tracks")]
    tables.write(work / "triplets.parquet", [*recipes(), *turned], Triplet, seed=0, parents=parents)

    shard(work, work / "shards", per_shard=20, normalise="side", workers=0)
    assert problems(work) == ""
    forged = forge(work, lambda row, fields: edit(fields, "target", lambda audio: np.roll(audio, 1)), ("replace",))
    assert f"{forged}: law of replace broken: target is off" in problems(work)
