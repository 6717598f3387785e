"""Splits of anybody's own stems: which folders are splits, and what stays in one split."""

from pathlib import Path

import pytest
from trees import found, rejected, sound

from instructme.dataset_tools.layouts import FoundTrack, Rejected, folder
from instructme.pipelines.stages.scan import scan


def test_parts_of_one_song_in_folders_of_instruments_are_in_one_split(root: Path) -> None:
    for song in ("Alpha", "Beta"):
        for instrument in ("Vocals", "Drums", "Bass"):
            sound(root / instrument / f"{song}_{instrument.lower()}.wav")
    items = list(folder.tracks(root))
    assert [item.reason for item in items if isinstance(item, Rejected)] == ["grouping"]
    assert {item.leak_group for item in items if isinstance(item, FoundTrack)} == {"name:alpha", "name:beta"}


@pytest.mark.parametrize("names", [("Take 1", "Take 2"), ("Verse", "Chorus"), ("Demo", "Final v2")])
def test_takes_and_sections_of_a_song_are_in_one_split(root: Path, names: tuple[str, ...]) -> None:
    for song in ("Alpha", "Beta"):
        for name in names:
            for instrument in ("vocals", "drums"):
                sound(root / song / name / f"{instrument}.wav")
    tracks = found("folder", root)
    assert len(tracks) == 4 and len({track.leak_group for track in tracks}) == 2
    assert all(str(track.leak_group).startswith("folder:") for track in tracks)


def test_splits_in_the_names_of_songs_are_told(root: Path) -> None:
    for song in ("train_Alpha", "test_Beta"):
        for instrument in ("vocals", "drums", "bass"):
            sound(root / f"{song}_{instrument}.wav")
    items = list(folder.tracks(root))
    assert [(item.reason, item.count) for item in items if isinstance(item, Rejected)] == [("split_unused", 2)]
    assert len(items) == 3


def test_splits_are_read_from_folders_of_many_names_at_any_depth(root: Path) -> None:
    for place in ("train_set/One", "Test Set/Two", "dev-set/Three", "eval/Four", "Artist/Test"):
        sound(root / place / "bass.wav")
    assert {song.title: song.split for song in found("folder", root)} == {
        **{"One": "train", "Two": "test", "Three": "validation", "Four": "test"},
        "Test": None,
    }


def test_tr_cv_and_tt_are_splits_together_and_one_alone_is_none(root: Path) -> None:
    for place in ("tr/One", "cv/Two", "tt/Three"):
        sound(root / "all" / place / "bass.wav")
        sound(root / "some" / place.split("/")[1] / "drums.wav")
    sound(root / "some" / "tr" / "drums.wav")
    assert {song.title: song.split for song in found("folder", root / "all")} == {
        "One": "train",
        "Two": "validation",
        "Three": "test",
    }
    for place in ("tr/One", "Soul/Two"):
        sound(root / "alone" / place / "bass.wav")
    for alone in ("some", "alone"):
        assert {song.split for song in found("folder", root / alone)} == {None}


def test_a_song_that_is_called_train_is_a_song_beside_songs_and_no_split(root: Path) -> None:
    flat = ("dev/One_bass", "dev/One_drums", "dev/Six_bass", "dev/Six_drums")
    for place in ("Train/bass", "Train/drums", "Hotel/bass", "test/Two/bass", *flat):
        sound(root / f"{place}.wav")
    assert {song.title: song.split for song in found("folder", root)} == {
        **{"Train": None, "Hotel": None, "Two": "test", "One": "validation", "Six": "validation"},
    }


def test_split_folders_of_a_folder_below_the_root_are_splits(root: Path) -> None:
    for place in ("music/train/One", "music/test/Two", "music/Three"):
        sound(root / place / "bass.wav")
    assert {song.title: song.split for song in found("folder", root)} == {"One": "train", "Two": "test", "Three": None}


@pytest.mark.parametrize(
    ("train", "test"),
    [("train_1", "test_1"), ("train2", "Test-02"), ("01_train", "02_test"), ("Train Set 1", "eval 1"), ("train_1of2", "test")],
)
def test_numbered_folders_of_splits_are_splits(train: str, test: str, root: Path, tmp_path: Path) -> None:
    for place in (f"{train}/Highway/bass", f"{train}/Lonely/bass", f"{test}/Rivers_bass", f"{test}/Rivers_drums"):
        sound(root / f"{place}.wav")
    rows = scan([root], tmp_path / "work")
    assert {track.title: (track.split, track.official_split, track.track_id) for track in rows.tracks} == {
        "Highway": ("train", True, "data-highway"),
        "Lonely": ("train", True, "data-lonely"),
        "Rivers": ("test", True, "data-rivers"),
    }
    assert not rows.rejects and len(rows.stems) == 4


def test_songs_that_are_numbered_by_split_keep_their_names(root: Path) -> None:
    for place in ("train_001", "train_002", "test_001"):
        sound(root / place / "bass.wav")
    songs = [(song.title, song.split) for song in found("folder", root)]
    assert songs == [("test_001", "test"), ("train_001", "train"), ("train_002", "train")]


def test_folds_and_shelves_are_no_splits_and_no_songs(root: Path) -> None:
    for place in (
        "fold1/Highway/bass",
        "fold1/Lonely/bass",
        "fold2/Rivers_bass",
        "fold2/Rivers_drums",
        "split0/Sunset/bass",
        "Part 1/Verse Bass",
    ):
        sound(root / f"{place}.wav")
    songs = {song.name: (song.title, song.split) for song in found("folder", root)}
    titles = ("fold1/Highway", "fold1/Lonely", "fold2/Rivers", "split0/Sunset", "Part 1")
    assert songs == {name: (name.rpartition("/")[2], None) for name in titles}


@pytest.mark.parametrize(
    ("places", "told"),
    [
        (("fold1_train/One", "fold1_test/Two"), [("fold1_test", 2)]),
        (("train_A/One", "test/Two"), [("train_A", 1)]),
        (("Test 1", "Test 2"), [("Test 1", 2)]),
        (("Test 1", "Highway"), []),
        (("Test 1",), []),
        (("train_A/One", "train_B/Two", "Soul/Three"), []),
        (("Train/One", "train_small/Two", "Soul/Three"), []),
    ],
)
def test_folders_that_may_be_splits_are_told(places: tuple[str, ...], told: list, root: Path) -> None:
    for place in places:
        sound(root / place / "bass.wav")
    rejects = rejected("folder", root)
    assert [(each.item, each.count) for each in rejects] == told
    assert all(("its name and 1 more may" if each.count == 2 else "its name may") in each.detail for each in rejects)
    assert {song.split for song in found("folder", root)} <= {None, "test", "train"}


def test_versions_of_a_song_share_a_group_that_no_split_parts(root: Path) -> None:
    for name in ("S/RAW/bass_di.wav", "S/STEMS/bass.wav", "flat/Hi_bass.wav", "flat/Hi_drums.wav"):
        sound(root / name)
    for stem in ("bass", "drums"):
        sound(root / "flat" / f"Hi (Live)_{stem}.wav")
        sound(root / "flat" / f"Yo_{stem}.wav")
    groups = {track.title: track.leak_group for track in found("folder", root)}
    assert groups == {"S": "folder:s", "Hi": "folder:flat-hi", "Hi (Live)": "folder:flat-hi", "Yo": None}


def test_songs_of_one_artist_keep_the_artist_as_their_group(root: Path, tmp_path: Path) -> None:
    for name in (
        "Me - One/RAW/kick.wav",
        "Me - One/STEMS/drums.wav",
        "Me - Two/bass.wav",
        *(f"{song}_({stem}).wav" for song in ("1_Me - Three", "2_Me - Four") for stem in ("Bass", "Vocals")),
    ):
        sound(root / name)
    assert {track.leak_group for track in scan(root, tmp_path / "work").tracks} == {"artist:me"}
