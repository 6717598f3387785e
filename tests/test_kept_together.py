"""What may be one song is in one split, or read as one song, and told."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from trees import rejected, sound

from instructme.dataset_tools.layouts import FoundTrack, folder
from instructme.pipelines.stages.scan import scan


def _tracks(root: Path, *names: str) -> list[FoundTrack]:
    for name in names:
        sound(root / f"{name}.wav")
    return [item for item in folder.tracks(root) if isinstance(item, FoundTrack)]


def _told(root: Path) -> list[tuple[str, int]]:
    return [(item.item, item.count) for item in rejected("folder", root) if item.reason == "grouping"]


@pytest.mark.parametrize(
    "names",
    [
        ("Rhythm/Drums/Kick/in", "Rhythm/Drums/Kick/out", "Rhythm/Bass/DI", "Melody/Keys/Rhodes", "Melody/Vox/Lead"),
        ("Rhythm/drums", "Rhythm/bass", "Backing/strings", "Backing/brass"),
    ],
)
def test_folders_of_sections_are_one_song_and_told(root: Path, names: tuple[str, ...]) -> None:
    songs = _tracks(root, *(f"{song}/{name}" for song in ("Alpha", "Beta") for name in names))
    assert [(song.title, len(song.stems)) for song in songs] == [("Alpha", len(names)), ("Beta", len(names))]
    assert _told(root) == [("Alpha/*", 1), ("Beta/*", 1)]


@pytest.mark.parametrize("sides", [("L", "R"), ("left", "right"), ("links", "rechts")])
def test_folders_of_channels_are_one_song_of_stereo_stems(root: Path, tmp_path: Path, sides: tuple[str, str]) -> None:
    _tracks(root, *(f"{song}/{side}/{stem}" for song in ("Alpha", "Beta") for side in sides for stem in ("bass", "drums")))
    rows = scan(root, tmp_path / "work")
    assert [track.title for track in rows.tracks] == ["Alpha", "Beta"] and not _told(root)
    own = {stem.stem_id: stem for stem in rows.stems if stem.track_id == rows.tracks[0].track_id}
    assert len(own) == 4 and all(stem.pair and own[stem.pair].instrument == stem.instrument for stem in own.values())


def test_two_arrangements_of_a_song_are_in_one_split_and_told(root: Path) -> None:
    songs = _tracks(
        root,
        *(
            f"{song}/{name}/{stem}"
            for song in ("Alpha", "Beta")
            for name in ("Acoustic", "Electric")
            for stem in ("bass", "drums")
        ),
    )
    assert [song.leak_group for song in songs] == ["folder:alpha", "folder:alpha", "folder:beta", "folder:beta"]
    assert [count for _, count in _told(root)] == [1, 1]


@pytest.mark.parametrize(
    "names",
    [
        ("2023-05-01", "20230611_1530"),
        ("Original", "Remaster"),
        ("T1", "T2"),
        ("V1.0", "V2.1"),
        ("Radio Edit", "Extended"),
        ("dry", "Club Mix"),
        ("Album Version", "Tiesto Remix"),
        ("01 Intro", "02 Verse"),
    ],
)
def test_versions_in_a_folder_of_their_song_are_in_one_split(root: Path, names: tuple[str, str]) -> None:
    songs = _tracks(
        root, *(f"{song}/{name}/{stem}" for song in ("Alpha", "Beta") for name in names for stem in ("bass", "drums"))
    )
    assert [song.leak_group for song in songs] == ["folder:alpha", "folder:alpha", "folder:beta", "folder:beta"]


@pytest.mark.parametrize(
    "names", [("Highway (Tiesto Remix) - ", "Highway (Avicii Remix) - "), ("Highway Take 1 ", "Highway Take 2 ")]
)
def test_versions_in_one_folder_are_in_one_split_and_told(root: Path, names: tuple[str, str]) -> None:
    songs = _tracks(root, *(f"Set/{name}{stem}" for name in names for stem in ("Bass", "Drums", "Vox")))
    assert len(songs) == 2 and len({song.leak_group for song in songs} - {None}) == 1 and _told(root)


@pytest.mark.parametrize("names", [("01 Intro", "02 Highway", "12 Outro"), ("Ignition Remix", "Highway", "Lonely Remix")])
def test_songs_of_a_set_that_are_called_like_sections_or_remixes_are_songs(root: Path, names: tuple[str, ...]) -> None:
    songs = _tracks(root, *(f"Berlin/{name}/{stem}" for name in names for stem in ("Bass", "Drums", "Vox")))
    assert len(songs) == 3 and not any(song.leak_group for song in songs) and not _told(root)


@pytest.mark.parametrize("above", ["data/", "data/train/", ""])
@pytest.mark.parametrize("mixes", ["", "mix", "mixtures"])
@pytest.mark.parametrize("names", [("0001", "0002", "0003"), ("Angela - Old Days", "Cristina - Safe")])
def test_songs_in_folders_of_instruments_are_never_summed(root: Path, above: str, mixes: str, names: tuple[str, ...]) -> None:
    songs = _tracks(root, *(f"{above}{part}/{name}" for part in ("bass", "drums", mixes) if part for name in names))
    assert len(songs) == 2 * len(names) and not any(song.aligned for song in songs)
    assert {song.stems[0].label for song in songs} == {"bass", "drums"}
    assert _told(root) == [(f"{above}*", 1)]
    told = [item.item for item in rejected("folder", root) if item.reason == "not_a_stem"]
    assert told == [f"{above}{mixes}/{name}.wav" for name in names if mixes]


@pytest.mark.parametrize(
    ("names", "told"), [(("1", "2"), 1), (("Take 1", "Take 2"), 1), (("left", "right"), 0), (("DI", "amp"), 0)]
)
def test_equal_names_in_two_folders_of_instruments_are_one_song_and_told_if_they_may_be_several(
    root: Path, names: tuple[str, str], told: int
) -> None:
    (song,) = _tracks(root, *(f"Alpha/{part}/{name}" for part in ("Bass", "Guitar") for name in names))
    assert len(song.stems) == 4 and len(_told(root)) == told


def test_a_folder_of_mixes_parts_no_song(root: Path) -> None:
    (song,) = _tracks(root, "Alpha/Drums/kick", "Alpha/Bass/DI", "Alpha/Mix/Alpha")
    assert [stem.label for stem in song.stems] == ["Bass/DI", "Drums/kick"] and not _told(root)


@pytest.mark.parametrize("names", [("ch01", "ch02"), ("ch01", "ch02", "ch17-18")])
def test_channels_of_a_mixing_desk_are_one_song_and_told(root: Path, names: tuple[str, ...]) -> None:
    (song,) = _tracks(root, *(f"Session/{name}" for name in names))
    assert song.aligned and len(song.stems) == len(names) and len(_told(root)) == 1


def test_songs_by_number_are_songs(root: Path) -> None:
    songs = _tracks(
        root, *(f"music/{name}/{stem}" for name in ("Track 01", "Track 02", "0003", "Song 4") for stem in ("bass", "drums"))
    )
    assert len(songs) == 4 and not any(song.leak_group for song in songs) and not _told(root)


def test_a_song_that_is_called_like_a_style_is_no_part_of_its_neighbours(root: Path) -> None:
    songs = _tracks(root, *(f"{song}/{stem}" for song in ("Ambient", "Electric", "Highway") for stem in ("bass", "drums")))
    assert not any(song.leak_group for song in songs) and not _told(root)
    numbered = _tracks(root / "others", *(f"{song}/{stem}" for song in ("L001", "L002") for stem in ("bass", "drums")))
    assert not any(song.leak_group for song in numbered)


def test_what_lies_in_the_folder_of_a_song_is_in_its_split_and_told(root: Path) -> None:
    names = ("Exports/Highway Bass", "Exports/Highway Drums", "Samples/Recorded/0001 1-Audio", "Samples/Freeze/Freeze 1-Audio")
    songs = _tracks(root, *(f"Highway Project/{name}" for name in names), "Lonely/bass", "Lonely/drums")
    assert [song.leak_group for song in songs] == [*["folder:highway-project"] * 3, None]
    assert _told(root) == [("Highway Project/Samples/Recorded", 2)]


def test_titles_that_are_there_twice_are_told_once(root: Path) -> None:
    separated = [
        f"{model}/{song}/{stem}"
        for model in ("htdemucs", "mdx_extra")
        for song in ("Alpha", "Beta")
        for stem in ("bass", "drums")
    ]
    assert len(_tracks(root, *separated)) == 4
    assert _told(root) == [("htdemucs/Alpha", 2)]


@pytest.mark.parametrize("names", [("Alpha", "alpha"), ("Alpha", "ALPHA")])
def test_folders_that_differ_in_capitals_only_are_told(root: Path, names: tuple[str, str]) -> None:
    _tracks(root, f"{names[0]}/bass", f"{names[0]}/drums", f"{names[1]}/keys", f"{names[1]}/vox", "Beta/bass", "Beta/drums")
    assert len(_told(root)) == 1


def test_titles_that_say_nothing_are_not_told(root: Path) -> None:
    assert len(_tracks(root, *(f"{artist}/Intro/{stem}" for artist in ("Anna", "Bert") for stem in ("bass", "drums")))) == 2
    assert not _told(root)


def test_loops_in_folders_of_instruments_are_told(root: Path) -> None:
    names = [
        f"{part}/{title}_{part}_Loop_{take}" for part in ("Bass", "Drums") for title in ("Funk", "Sunset") for take in (1, 2)
    ]
    assert len(_tracks(root, *(f"Pack/{name}" for name in names))) == 1
    assert _told(root) == [("Pack/*", 1)]
    _tracks(
        root / "session",
        *(f"Song/{name}" for name in ("Drums/Kick In", "Drums/Room", "Guitars/Room", "Vox/Lead", "Guitars/Lead")),
    )
    assert not _told(root / "session")


@pytest.mark.parametrize(
    ("names", "mix"),
    [
        (("01-Highway", "01-Highway-violin", "01-Highway-clarinet", "01-Highway-bassoon"), "01-Highway"),
        (("Highway", "Highway_bass", "Highway_drums"), "Highway"),
        (("AuSep_1_vn_02_Sonata", "AuSep_2_vc_02_Sonata", "AuMix_02_Sonata"), "AuMix_02_Sonata"),
    ],
)
def test_a_mixture_beside_the_stems_of_its_song_is_no_song(root: Path, names: tuple[str, ...], mix: str) -> None:
    (song,) = _tracks(root, *(f"Some Folder/{name}" for name in names))
    assert [stem.path.stem for stem in song.stems] == sorted({*names} - {mix})
    assert [(item.item, item.reason) for item in song.rejected] == [(f"Some Folder/{mix}.wav", "not_a_stem")]


def test_a_folder_of_recordings_without_instruments_is_told(root: Path) -> None:
    assert len(_tracks(root, "0001", "0002", "0003")) == 1 and _told(root) == [("data", 1)]
    _tracks(root / "named", "0001", "0002", "bass")
    assert not _told(root / "named")


ARTISTS = [f"{first} {second}" for first in ("Amber", "Boreal", "Cedar") for second in ("Lights", "Rivers", "Hills")]
TITLES = ["Window", "Harvest", "Lantern", "Meadow", "Copper", "Willow", "Marble", "Saffron", "Juniper"]


def _shelved(root: Path, shelves: Sequence[str], counts: Sequence[int]) -> dict[str, list[str | None]]:
    """Make as many songs in each folder as are counted, and give their leak groups."""
    titles = [[f"{first} {second}" for second in TITLES[:count]] for first, count in zip(TITLES, counts, strict=True)]
    places = [f"{shelf}/{title}" for shelf, own in zip(shelves, titles, strict=True) for title in own]
    songs = _tracks(root, *(f"{place}/{stem}" for place in places for stem in ("bass", "drums")))
    return {shelf: [song.leak_group for song in songs if song.name.startswith(f"{shelf}/")] for shelf in shelves}


@pytest.mark.parametrize("above", ["", "archive/"])
def test_songs_in_folders_of_artists_are_in_one_split_and_told_once(root: Path, above: str) -> None:
    shelves = [above + artist for artist in ARTISTS]
    groups = _shelved(root, shelves, [3, 2, 2, 1, 2, 2, 3, 2, 1])
    assert all(len(set(own)) == 1 for own in groups.values())
    assert len({own[0] for own in groups.values() if len(own) > 1}) == 7 and groups[shelves[3]] == [None]
    assert [count for _, count in _told(root)] == [7]


@pytest.mark.parametrize(
    ("shelves", "counts"),
    [
        (ARTISTS, [9, 2, 1, 1, 1, 1, 1, 1, 1]),
        (ARTISTS, [1] * 9),
        (["Rock", "Jazz", "Pop", "Blues", "Country", "Reggae", "Funk", "Metal", "Other Things"], [2] * 9),
        (["archive/a", "archive/b", "archive/c", *(f"more/{letter}" for letter in "defghi")], [1] * 9),
    ],
)
def test_uneven_folders_and_those_of_genres_are_not_kept_together(root: Path, shelves: list[str], counts: list[int]) -> None:
    assert {group for own in _shelved(root, shelves, counts).values() for group in own} == {None} and not _told(root)


def test_an_album_in_which_a_title_names_an_instrument_is_told(root: Path) -> None:
    names = ("01 Piano Man", "02 Guitar Town", "03 Drummer Boy", "04 Honesty", "05 Uptown Girl", "06 Bass Down Low")
    assert len(_tracks(root, *(f"Hits/{name}" for name in names))) == 1 and _told(root) == [("Hits", 1)]
    _tracks(root / "band", *(f"Song/{name}" for name in ("Sally", "Honey", "Bass", "Drums")))
    assert not _told(root / "band")


@pytest.mark.parametrize(
    ("files", "songs", "told"),
    [
        ("{part}_001|{part}_002|{part}_003", 6, 1),
        ("{part}_001|{part}_002", 1, 1),
        ("90bpm_{part}|120bpm_{part}", 1, 1),
        ("{part}_L|{part}_R", 1, 0),
    ],
)
def test_files_that_are_called_like_their_folders_may_be_songs(root: Path, files: str, songs: int, told: int) -> None:
    names = [f"data/{part}/{name.format(part=part)}" for part in ("bass", "drums") for name in files.split("|")]
    assert len(_tracks(root, *names)) == songs and len(_told(root)) == told


def test_names_of_title_and_artist_are_told(root: Path) -> None:
    songs = _tracks(root, *(f"{title} - Ann/{stem}" for title in ("Home", "Moon", "Sun") for stem in ("bass", "drums")))
    assert [count for _, count in _told(root)] == [3] and len(songs) == 3
    names = ("Ann - Home", "Bert - Home", "Carl - Home", "Ann - Moon", "Bert - Sun")
    _tracks(root / "right", *(f"{name}/{stem}" for name in names for stem in ("bass", "drums")))
    assert not _told(root / "right")
