"""A run that loses more than the user allows fails in one line, with every table written."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from conftest import write_tone
from trees import slakh_stem, slakh_track

from instructme.manifests import tables
from instructme.manifests.rows import DataError, Reject
from instructme.pipelines.cli import main
from instructme.pipelines.stages import reject_share

QUICK = ["--sample-rate", "8000", "--clip-seconds", "1", "--rhythm", "none", "--chords", "none", "--workers", "0"]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make 4 tracks of 2 stems: one stem without a readable header (found by scan), one that is cut short (by prepare)."""
    root = tmp_path_factory.mktemp("rejects") / "music"
    for number in range(4):
        for hz, instrument in ((110, "bass"), (440, "piano")):
            write_tone(root / f"song {number}" / f"{instrument}.wav", 2.0, 8000, hz)
    (root / "song 0" / "bass.wav").write_bytes(b"RIFF nothing")
    whole = write_tone(root / "song 1" / "bass.flac", 2.0, 8000)
    (root / "song 1" / "bass.wav").unlink()
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    return root


def failed(result: Result, share: str, reasons: str) -> None:
    assert result.exit_code == 1, result.output
    last = result.output.splitlines()[-1]
    assert last.startswith(f"Error: {share} can't be used") and reasons in last and "rejects.parquet" in last, last
    assert "Traceback" not in result.output


def test_scan_counts_what_it_can_not_read(music: Path, tmp_path: Path) -> None:
    assert run("scan", music, "-o", tmp_path / "work", "--max-reject", 0.125).exit_code == 0
    failed(run("scan", music, "-o", tmp_path / "work", "--max-reject", 0.12), "12.5% of the stems", "unreadable 1")
    assert run("scan", music, "-o", tmp_path / "other").exit_code == 0
    for name in ("tracks", "stems", "rejects"):
        assert tables.sha256(tmp_path / f"work/{name}.parquet") == tables.sha256(tmp_path / f"other/{name}.parquet")


def test_prepare_adds_what_it_can_not_decode_and_writes_all_tables(music: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    assert run("scan", music, "-o", work).exit_code == 0
    failed(run("prepare", work, *QUICK, "--max-reject", 0.2), "25.0% of the stems", "unreadable 2")
    before = {path.name: tables.sha256(path) for path in work.glob("*.parquet")}
    assert {"parts.parquet", "rhythm.parquet", "clips.parquet", "rejects.parquet"} <= set(before)
    again = run("prepare", work, *QUICK, "--max-reject", 0.25)
    assert again.exit_code == 0 and "kept 4, redid 0" in again.output
    assert {path.name: tables.sha256(path) for path in work.glob("*.parquet")} == before


def test_build_stops_at_the_stage_that_loses_too_much(music: Path, tmp_path: Path) -> None:
    options = [*QUICK, "--total", 4, "--eval-count", 1]
    failed(run("build", music, tmp_path / "work", *options, "--max-reject", 0.2), "25.0% of the stems", "unreadable 2")
    assert (tmp_path / "work/clips.parquet").exists() and not (tmp_path / "work/triplets.parquet").exists()


def test_a_lost_track_counts_as_a_track(tmp_path: Path) -> None:
    """One of three tracks without metadata, all stems of the others usable: a third of the tracks is lost."""
    for number in range(3):
        stems = {f"S0{stem}": slakh_stem(stem, "Piano") for stem in range(8)}
        slakh_track(tmp_path / "music" / "train" / f"Track0000{number}", stems)
    (tmp_path / "music/train/Track00002/metadata.yaml").write_text("{broken")
    arguments = ("scan", tmp_path / "music", "-o", tmp_path / "work", "--max-reject")
    failed(run(*arguments, 0.3), "33.3% of the tracks", "metadata 1")
    assert run(*arguments, 0.34).exit_code == 0


def test_what_the_user_or_the_dataset_leaves_out_is_no_loss(tmp_path: Path) -> None:
    for number in range(2):
        slakh_track(tmp_path / "music" / "train" / f"Track0000{number}", {"S00": slakh_stem(0, "Piano")})
    slakh_track(tmp_path / "music" / "omitted" / "Track00009", {"S00": slakh_stem(0, "Piano")})
    result = run("scan", tmp_path / "music", "-o", tmp_path / "work", "--max-reject", 0)
    assert result.exit_code == 0 and "omitted 1" in result.output


def test_tracks_without_a_clip_are_lost(music: Path, tmp_path: Path) -> None:
    assert run("scan", music, "-o", tmp_path / "work").exit_code == 0
    options = [*QUICK[:3], "60", *QUICK[4:]]
    failed(run("prepare", tmp_path / "work", *options, "--max-reject", 0.5), "100.0% of the tracks", "too_short 4")


def test_tracks_on_which_workers_died_must_be_done_without_knowingly(music: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    assert run("scan", music, "-o", work).exit_code == 0 and run("prepare", work, *QUICK).exit_code == 0
    row = Reject("prepare", "music", "music-song-3", "song 3", "worker_died", "workers died on it", 1)
    tables.write_rejects(work / "rejects.parquet", "prepare", [row])
    with pytest.raises(DataError, match=r"workers died on 1 track, such as music-song-3, .*--workers.*--max-reject 1"):
        reject_share.check(work, None, prepared=True)
    reject_share.check(work, None, prepared=False)
    reject_share.check(work, 1.0, prepared=True)


@pytest.mark.parametrize("share", ["-0.1", "1.1", "nan", "some"])
def test_a_share_is_a_share(share: str, tmp_path: Path) -> None:
    assert run("scan", tmp_path, "-o", tmp_path / "work", "--max-reject", share).exit_code == 2
