"""Scan as a whole: tables, several roots, refreshing, filters, messages."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import write_tone
from trees import band, build_folder, build_moisesdb, build_musdb, build_slakh, build_table, slakh_track, sound

from instructme.dataset_tools import layouts
from instructme.manifests import tables
from instructme.manifests.datasets import read_datasets
from instructme.manifests.rows import DataError, Reject, Stem, Track
from instructme.pipelines.cli import main
from instructme.pipelines.stages.scan import scan


@pytest.fixture
def slakh_root(tmp_path: Path) -> Path:
    root = tmp_path / "slakh"
    build_slakh(root)
    return root


@pytest.fixture
def folder_root(tmp_path: Path) -> Path:
    root = tmp_path / "mine"
    build_folder(root)
    return root


def contents(work: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in work.iterdir()}


def test_tables_say_where_they_come_from_and_reading_them_gives_the_rows(slakh_root: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    rows = scan([slakh_root], work, seed=7)
    assert tables.read_rows(work / "tracks.parquet", Track) == rows.tracks
    assert tables.read_rows(work / "stems.parquet", Stem) == rows.stems
    assert read_datasets(work) == {"slakh": {"root": str(slakh_root), "layout": "slakh"}}
    provenance = tables.provenance(work / "tracks.parquet")
    assert provenance["seed"] == 7 and provenance["arguments"]["datasets"] == {"slakh": "slakh"}
    assert str(tmp_path) not in json.dumps(provenance)
    assert tables.broken_chain(work / "stems.parquet") == []
    assert [track.track_id for track in rows.tracks] == ["slakh-track00001", "slakh-track01876"]


def test_same_input_same_bytes_wherever_it_lies(slakh_root: Path, folder_root: Path, tmp_path: Path) -> None:
    scan([slakh_root, folder_root], tmp_path / "one")
    moved = tmp_path / "elsewhere"
    shutil.copytree(slakh_root, moved / "slakh")
    shutil.copytree(folder_root, moved / "mine")
    scan([moved / "mine", moved / "slakh"], tmp_path / "two")
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert one.pop("datasets.json") != two.pop("datasets.json")
    assert one == two


def test_a_root_added_later_gives_what_both_at_once_give(slakh_root: Path, folder_root: Path, tmp_path: Path) -> None:
    scan([slakh_root, folder_root], tmp_path / "both")
    scan([folder_root], tmp_path / "later")
    shutil.move(folder_root, tmp_path / "away")  # The first dataset must not be read again.
    scan([slakh_root], tmp_path / "later")
    assert contents(tmp_path / "both") == contents(tmp_path / "later")


def test_a_root_scanned_again_is_refreshed(slakh_root: Path, folder_root: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    scan([slakh_root, folder_root], work)
    before = contents(work)
    scan([slakh_root], work)
    assert contents(work) == before
    shutil.rmtree(slakh_root / "train")
    (slakh_root / "test" / "Track01876" / "stems" / "S00.flac").write_bytes(b"")
    rows = scan([slakh_root], work)
    assert [track.track_id for track in rows.tracks if track.dataset == "slakh"] == ["slakh-track01876"]
    assert [row.reason for row in tables.read_rows(work / "rejects.parquet", Reject) if row.dataset == "slakh"] == ["empty"]


def test_datasets_are_named_after_folders_or_as_asked(slakh_root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "slakh"
    shutil.copytree(slakh_root, other)
    work = tmp_path / "work"
    scan([slakh_root, other, slakh_root], work)
    assert {name: Path(entry["root"]) for name, entry in read_datasets(work).items()} == {"slakh": slakh_root, "slakh-2": other}
    rows = scan([other], work, names=["Re Made"])
    assert set(read_datasets(work)) == {"slakh", "re-made"} == {track.dataset for track in rows.tracks}
    with pytest.raises(DataError, match="taken"):
        scan([other], work, names=["slakh"])
    with pytest.raises(DataError, match="2 dataset names for 1"):
        scan([other], work, names=["a", "b"])


def test_names_that_differ_only_in_what_ids_can_not_say_stay_apart(tmp_path: Path) -> None:
    for name in ("A b", "a-b", "曲", "歌"):
        write_tone(tmp_path / "data" / name / "bass.wav", 0.1)
    rows = scan([tmp_path / "data"], tmp_path / "work")
    ids = [track.track_id for track in rows.tracks]
    assert len(set(ids)) == 4 and all(name.isascii() for name in ids)


def test_official_copies_of_one_song_in_two_splits_stay_once(tmp_path: Path) -> None:
    root = tmp_path / "slakh"
    for name in ("train/Track00001", "test/Track01876", "train/Track00002"):
        slakh_track(root / name, band(), UUID=("1" if name.endswith("2") else "0") * 32)
    rows = scan([root], tmp_path / "work")
    assert [track.track_id for track in rows.tracks] == ["slakh-track00002", "slakh-track01876"]
    assert [(reject.track_id, reject.reason) for reject in rows.rejects] == [("slakh-track00001", "leaks")]
    assert {stem.track_id for stem in rows.stems} == {track.track_id for track in rows.tracks}


def test_a_song_of_musdb_in_another_dataset_follows_its_official_split(tmp_path: Path) -> None:
    build_musdb(tmp_path / "musdb")
    for number in range(10):
        write_tone(tmp_path / "mine" / f"Other{number} - Song" / "bass.wav", 0.1)
    write_tone(tmp_path / "mine" / "BKS - Bulldozer" / "bass.wav", 0.1)
    write_tone(tmp_path / "mine" / "Animal - rockshow" / "bass.wav", 0.1)
    rows = scan([tmp_path / "mine", tmp_path / "musdb"], tmp_path / "work")
    splits = {track.track_id: track.split for track in rows.tracks}
    assert splits["mine-bks-bulldozer"] == "test" and splits["mine-animal-rockshow"] == "validation"
    shared = [track.song_group for track in rows.tracks if "bulldozer" in track.track_id]
    assert len(shared) == 2 and len(set(shared)) == 1


def test_licences_filter_and_the_others_are_counted(slakh_root: Path, tmp_path: Path) -> None:
    slakh_track(slakh_root / "train" / "Track00007", band(), licence="CC0-1.0")
    rows = scan([slakh_root], tmp_path / "work", licences=["cc*", "MIT"])
    assert [track.licence for track in rows.tracks] == ["CC0-1.0"]
    assert [reject.reason for reject in rows.rejects] == ["licence"] * 2
    with pytest.raises(DataError, match="licence"):
        scan([slakh_root], tmp_path / "none", licences=["MIT"])


def test_aliases_name_what_nobody_knows(tmp_path: Path) -> None:
    write_tone(tmp_path / "data" / "Song" / "Zorgl.wav", 0.1)
    (tmp_path / "names.csv").write_text("label,instrument\nzorgl,theremin\n")
    assert [stem.rule for stem in scan([tmp_path / "data"], tmp_path / "work").stems] == ["unmatched"]
    (tmp_path / "names.csv").write_text("label,instrument\nZorgl,violin\n")
    (stem,) = scan([tmp_path / "data"], tmp_path / "work", aliases=tmp_path / "names.csv").stems
    assert (stem.label, stem.instrument, stem.rule) == ("Zorgl", "violin", "alias")


def test_input_that_can_not_be_used_is_one_line(slakh_root: Path, folder_root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        scan([tmp_path / "absent"], tmp_path / "work")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match=r"no dataset in .* Looked for .*TrackNNNNN"):
        scan([tmp_path / "nothing"], tmp_path / "work")
    with pytest.raises(DataError, match=r"give their folders instead: .*slakh \(slakh\)"):
        scan([slakh_root.parent], tmp_path.parent / "work")
    with pytest.raises(DataError, match="not in the layout musdb"):
        scan([folder_root], tmp_path / "work", layout="musdb")
    with pytest.raises(DataError, match="inside"):
        scan([folder_root], folder_root / "work")
    (tmp_path / "songs.csv").write_text("track_id,path,instrument\na,/elsewhere/a.wav,bass\n")
    with pytest.raises(DataError, match=r"first: /elsewhere/a.wav is outside the folder of its dataset"):
        scan([tmp_path / "songs.csv"], tmp_path / "work")
    with pytest.raises(DataError, match="is inside the other"):
        scan([folder_root, next(each for each in folder_root.iterdir() if each.is_dir())], tmp_path / "work", layout="folder")
    build_table(tmp_path / "songs")
    with pytest.raises(DataError, match="is inside the other"):
        scan([tmp_path / "songs" / "stems.csv", tmp_path / "songs"], tmp_path / "work")
    with pytest.raises(DataError, match="sum to 1"):
        scan([folder_root], tmp_path / "work", split=(0.5, 0.5, 0.5))
    with pytest.raises(DataError, match="shares"):
        scan([folder_root], tmp_path / "work", split=(float("nan"), 0.5, 0.5))
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "datasets.json").write_text("{")
    with pytest.raises(DataError, match="damaged"):
        scan([folder_root], tmp_path / "work")


def test_several_layouts_in_one_root_must_be_chosen(slakh_root: Path, tmp_path: Path) -> None:
    build_table(slakh_root)
    with pytest.raises(DataError, match="slakh, table: choose one with --layout"):
        scan([slakh_root], tmp_path / "work")
    assert len(scan([slakh_root], tmp_path / "work", layout="slakh").tracks) == 2


def test_a_table_and_its_folder_are_told_apart_and_refreshed(tmp_path: Path) -> None:
    build_table(tmp_path)
    work = tmp_path / "work"
    scan([tmp_path / "stems.csv"], work)
    assert read_datasets(work) == {"stems": {"root": str(tmp_path), "layout": "table", "table": "stems.csv"}}
    before = contents(work)
    scan([tmp_path / "stems.csv"], work)
    assert contents(work) == before


def test_the_command_says_what_it_took_and_what_not(tmp_path: Path) -> None:
    build_moisesdb(tmp_path / "moisesdb")
    build_musdb(tmp_path / "musdb18hq")
    for file in ("Song/Zorgl.wav", "Song/bass.wav"):
        write_tone(tmp_path / "mine" / file, 0.1)
    roots = [str(tmp_path / name) for name in ("moisesdb", "musdb18hq", "mine")]
    result = CliRunner().invoke(main, ["scan", *roots, "-o", str(tmp_path / "work")])
    assert result.exit_code == 0, result.output
    for line in (
        "mine: layout folder, 1 track, 2 stems, 0.00 h; train 1, validation 0, test 0 (drawn)",
        "musdb18hq: layout musdb, 3 tracks, 12 stems, 0.00 h; train 1, validation 1, test 1 (official)",
        "1 label without an instrument. Such stems are never edited; name their instruments with --aliases: 'Zorgl' 1",
        "rejected: not_a_stem 3",
    ):
        assert line in result.output


def test_the_command_explains_bad_input(tmp_path: Path) -> None:
    run = CliRunner().invoke
    absent = run(main, ["scan", str(tmp_path / "absent"), "-o", str(tmp_path / "work")])
    assert absent.exit_code == 1 and absent.output.startswith("Error: no such folder") and absent.output.count("\n") == 1
    assert run(main, ["scan", str(tmp_path), "-o", "w", "--layout", "nosuch"]).exit_code == 2
    for split in ("a,b", "1", "0.5,0.5,0.5", "-1,1,1", "nan,nan,nan"):
        assert run(main, ["scan", str(tmp_path), "-o", "w", "--split", split]).exit_code == 2, split


def test_shared_examples_are_read(shared_data: Path, tmp_path: Path) -> None:
    rows = scan([shared_data / "rendered_examples", shared_data / "real_stems"], tmp_path / "work")
    assert {track.dataset: track.layout for track in rows.tracks} == {"rendered_examples": "slakh", "real_stems": "folder"}
    assert len(rows.stems) == 38 and all(stem.certain for stem in rows.stems) and not rows.rejects
    assert [stem.label for stem in rows.stems if "song.ogg" in stem.path] == ["backing track"] * 2


def test_a_bass_among_singers_is_a_guess_at_a_voice(root: Path, tmp_path: Path) -> None:
    for name in ("soprano", "alto", "tenor", "bass"):
        sound(root / "Choir" / f"{name}.wav")
    for name in ("drums", "piano", "bass"):
        sound(root / "Band" / f"{name}.wav")
    rows = scan([root], tmp_path / "work").stems
    by_song = {stem.path.split("/")[0]: stem for stem in rows if stem.label == "bass"}
    assert by_song["Choir"].guess in ("vocals", "backing vocals", "choir") and not by_song["Choir"].editable
    assert (by_song["Band"].instrument, by_song["Band"].guess) == ("bass", None)


def test_what_is_perhaps_a_mixture_is_told_as_a_doubt(root: Path, tmp_path: Path) -> None:
    for name in ("Song/KYRIE_2MIX_gtr.wav", "Song/bass.wav", "Song/mix.wav"):
        sound(root / name)
    details = {row.item: row.detail for row in scan([root], tmp_path / "work").rejects if row.reason == "not_a_stem"}
    assert details["Song/mix.wav"] == "a mixture or click track by its name: mix"
    assert (
        details["Song/KYRIE_2MIX_gtr.wav"].startswith("perhaps a mixture") and "rename it" in details["Song/KYRIE_2MIX_gtr.wav"]
    )


def test_guesses_are_listed_and_not_named_until_they_are_accepted(root: Path, tmp_path: Path) -> None:
    for name in ("Song/Giutar.wav", "Song/bass.wav", "Song/no_bass.wav"):
        sound(root / name)
    told = CliRunner().invoke(main, ["scan", str(root), "-o", str(tmp_path / "work")])
    assert "'Giutar' may be guitar: 1 stem, such as Song/Giutar.wav" in told.output
    assert "stems per song: 2" in told.output and "Song: bass, other" in told.output
    rows = {stem.label: stem for stem in tables.read_rows(tmp_path / "work" / "stems.parquet", Stem)}
    assert (rows["Giutar"].instrument, rows["Giutar"].guess, rows["Giutar"].editable) == ("other", "guitar", False)
    accepted = scan([root], tmp_path / "other", accept_guesses=True)
    assert {stem.instrument for stem in accepted.stems} == {"bass", "guitar"}
    assert [(row.item, row.reason) for row in accepted.rejects] == [("Song/no_bass.wav", "not_a_stem")]


def test_two_files_of_one_instrument_and_the_rest_are_a_song(root: Path, tmp_path: Path) -> None:
    for name in ("Song/vocals.wav", "Song/no_vocals.wav"):
        sound(root / name)
    assert sorted(stem.instrument for stem in scan([root], tmp_path / "work").stems) == ["other", "vocals"]


def test_an_alias_in_another_alphabet_names_its_own_label_alone(root: Path, tmp_path: Path) -> None:
    for name in ("主旋律", "未知", "未知 1", "bass"):
        sound(root / "Song" / f"{name}.wav")
    (tmp_path / "names.csv").write_text("label,instrument\n主旋律,violin\n副歌 1,harp\n", encoding="utf-8")
    rows = scan([root], tmp_path / "work", aliases=tmp_path / "names.csv")
    assert {stem.label: stem.instrument for stem in rows.stems if stem.certain} == {"主旋律": "violin", "bass": "bass"}
    assert [(row.item, row.reason) for row in rows.rejects] == [("副歌 1", "unused_alias")]


def test_an_alias_that_no_stem_has_is_told(root: Path, tmp_path: Path) -> None:
    sound(root / "Song" / "thingy.wav")
    (tmp_path / "names.csv").write_text("label,instrument\nthingy,piano\nthingamajig,harp\n")
    rows = scan([root], tmp_path / "work", aliases=tmp_path / "names.csv")
    assert [(row.item, row.reason) for row in rows.rejects] == [("thingamajig", "unused_alias")]
    assert rows.stems[0].instrument == "piano"


def test_a_dry_run_writes_nothing(root: Path, tmp_path: Path) -> None:
    sound(root / "Song" / "bass.wav")
    told = CliRunner().invoke(main, ["scan", str(root), "-o", str(tmp_path / "work"), "--dry-run"])
    assert told.exit_code == 0 and "Song: bass" in told.output and "nothing was written" in told.output
    assert not (tmp_path / "work").exists()


def test_the_help_lists_every_layout() -> None:
    text = CliRunner().invoke(main, ["scan", "--help"]).output
    assert all(name in text for name in layouts.names())


def test_songs_that_change_their_split_are_told(root: Path, tmp_path: Path) -> None:
    for number in range(30):
        for stem in ("bass", "drums"):
            sound(root / f"Song of {chr(65 + number % 26)}{chr(97 + number)}mber" / f"{stem}.wav")
    work = tmp_path / "work"
    before = {track.title: track.split for track in scan(root, work).tracks}
    again = scan(root, work)
    assert not again.moved
    for title in sorted(before)[::5]:
        shutil.rmtree(root / title)
    rows = scan(root, work)
    moved = sum(before[track.title] != track.split for track in rows.tracks)
    assert rows.moved.startswith(f"{moved} song") if moved else not rows.moved


def test_a_dataset_that_was_moved_keeps_its_name(root: Path, tmp_path: Path) -> None:
    for stem in ("bass", "drums"):
        sound(root / "Song" / f"{stem}.wav")
    work, place = tmp_path / "work", tmp_path / "elsewhere" / root.name
    before = scan(root, work).tracks
    place.parent.mkdir()
    shutil.move(root, place)
    assert scan(place, work).tracks == before and list(read_datasets(work)) == [root.name]


def test_a_split_that_was_not_asked_for_is_not_missed(root: Path, tmp_path: Path) -> None:
    for stem in ("bass", "drums"):
        sound(root / "Song" / f"{stem}.wav")
    run = CliRunner().invoke(main, ["scan", str(root), "-o", str(tmp_path / "work"), "--split", "1,0,0"])
    assert run.exit_code == 0 and "no track is in" not in run.stdout


def test_a_dataset_without_a_split_is_told_so(root: Path, tmp_path: Path) -> None:
    for split in ("Dev", "Test"):
        for stem in ("bass", "drums"):
            sound(root / split / f"Song of {split}" / f"{stem}.wav")
    run = CliRunner().invoke(main, ["scan", str(root), "-o", str(tmp_path / "work")])
    assert "no track is in train: the dataset has no such split" in run.stdout
