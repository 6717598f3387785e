"""Anybody's own stems in folders."""

import os
import unicodedata
from pathlib import Path

import pytest
from trees import build_folder, found, rejected, sound

from instructme.dataset_tools.layouts import FoundTrack, Rejected, folder
from instructme.pipelines.stages.scan import scan


def test_folder_takes_no_mixture_for_a_stem(root: Path) -> None:
    build_folder(root)
    first, second = found("folder", root)
    assert [stem.label for stem in first.stems] == ["Bass DI", "Kick In"] and second.name == "Second"
    assert [item.reason for item in first.rejected] == ["not_a_stem"]


def test_folder_flat_names_splits_artists_and_separator_output(root: Path) -> None:
    for name in ("train/Me - One.bass.wav", "train/Me - One.drums.wav", "valid/Me - Two/vocals.wav", "valid/Me - Two/other.wav"):
        sound(root / name)
    one, two = found("folder", root)
    assert (one.artist, one.title, one.split, [stem.label for stem in one.stems]) == ("Me", "One", "train", ["bass", "drums"])
    assert (two.artist, two.title, two.split) == ("Me", "Two", "validation")


def test_folder_many_songs_in_one_folder_by_dash_or_dot_keep_their_own_midi(root: Path) -> None:
    for name in ("One - drums.wav", "One - bass.wav", "Two - drums.wav", "Two - mixture.wav", "Two - bass.wav"):
        sound(root / "dash" / name)
    for name in ("One.drums.wav", "One.bass.wav", "Two.drums.wav"):
        sound(root / "dot" / name)
    for name in ("One.mid", "Two.drums.mid"):
        (root / "dot" / name).write_bytes(b"MThd")
    for name in ("OH - L.wav", "OH - R.wav", "Snare - Top.wav", "Snare - Bottom.wav"):
        sound(root / "studio" / name)
    tracks = {track.name: track for track in found("folder", root)}
    assert set(tracks) == {"dash/One", "dash/Two", "dot/One", "dot/Two", "studio"}
    assert [stem.label for stem in tracks["dash/Two"].stems] == ["bass", "drums"]
    assert {stem.midi_path and stem.midi_path.name for stem in tracks["dot/One"].stems} == {"One.mid"}
    assert [stem.midi_path and stem.midi_path.name for stem in tracks["dot/Two"].stems] == ["Two.drums.mid"]


def test_folder_numbered_files_are_one_song_and_its_name_is_taken_off_the_labels(root: Path) -> None:
    for name in ("01.Kick.wav", "02.Bass.wav"):
        sound(root / "Numbered" / name)
    for name in ("Piano Man_Kick.wav", "Piano Man_Bass.wav"):
        sound(root / "Piano Man" / name)
    numbered, piano_man = found("folder", root)
    assert len(numbered.stems) == 2 and [stem.label for stem in piano_man.stems] == ["Bass", "Kick"]


def test_folder_per_instrument_is_a_collection_of_unaligned_parts(root: Path, tmp_path: Path) -> None:
    for name in ("drums/a.wav", "drums/b.wav", "bass/a.wav"):
        sound(root / name)
    rows = scan([root], tmp_path / "work")
    assert len(rows.tracks) == 3 and not any(track.aligned for track in rows.tracks)
    assert sorted(stem.instrument for stem in rows.stems) == ["bass", "drums", "drums"]
    assert len({track.leak_group for track in rows.tracks}) == 2


@pytest.mark.parametrize("place", ["mixes/{}.wav", "Masters/{} 24bit.wav", "songs/{}.wav", "full/{}.flac"])
def test_mixtures_of_all_songs_in_a_folder_are_no_song(root: Path, place: str) -> None:
    for song in ("Alpha", "Beta"):
        sound(root / "stems" / song / "bass.wav")
        sound(root / "stems" / song / "drums.wav")
        sound(root / place.format(song))
    items = list(folder.tracks(root))
    assert [item.title for item in items if isinstance(item, FoundTrack)] == ["Alpha", "Beta"]
    assert [item.reason for item in items if isinstance(item, Rejected)] == ["not_a_stem"] * 2


@pytest.mark.parametrize(
    ("names", "stems"),
    [
        (("vocals", "accompaniment"), ["accompaniment", "vocals"]),
        (("vocals", "accompaniment", "drums", "bass"), ["bass", "drums", "vocals"]),
        (("vocals", "acompañamiento", "drums", "bass"), ["bass", "drums", "vocals"]),
        (("人声", "伴奏", "鼓", "贝斯"), ["人声", "贝斯", "鼓"]),
        (("vocals", "Original Song", "drums"), ["drums", "vocals"]),
        (("Вокал", "Минус", "Барабаны", "Бас"), ["Барабаны", "Бас", "Вокал"]),
    ],
)
def test_what_accompanies_a_voice_is_no_stem_beside_the_band(root: Path, names: tuple[str, ...], stems: list[str]) -> None:
    for name in names:
        sound(root / "Alpha" / f"{name}.wav")
    (track,) = found("folder", root)
    assert sorted(stem.label for stem in track.stems) == stems


def test_a_mixture_that_is_called_like_its_song_is_no_stem(root: Path) -> None:
    for name in ("Alpha/bass.wav", "Alpha/drums.wav", "Alpha/Alpha.wav", "Anna/Anna.wav", "Anna/bass.wav"):
        sound(root / name)
    alpha, anna = found("folder", root)
    assert ([stem.label for stem in alpha.stems], [each.reason for each in alpha.rejected]) == (["bass", "drums"], ["not_a_stem"])
    assert [stem.label for stem in anna.stems] == ["Anna", "bass"]


@pytest.mark.parametrize(
    ("title", "mix"),
    [
        ("Highway", "Highway.mp3"),
        ("01_Highway_vn_vc", "AuMix_01_Highway_vn_vc"),
        ("01_Highway_vn_vc", "AuMix_01_Highway"),
        ("Highway", "Highway Master"),
        ("Highway", "Highway"),
    ],
)
def test_what_is_called_like_its_song_is_its_mix(title: str, mix: str, root: Path) -> None:
    for name in ("1_vn_01_Highway", "2_vc_01_Highway", mix):
        sound(root / title / f"{name}.wav")
    (song,) = found("folder", root)
    assert len(song.stems) == 2 and song.mix_path == root / title / f"{mix}.wav"


@pytest.mark.parametrize("title", ["01_Bass", "01_Highway_vn"])
def test_the_mix_of_a_song_that_is_called_like_an_instrument_is_no_stem(title: str, root: Path) -> None:
    for name in ("1_vn", "2_vc", "AuMix"):
        sound(root / "x" / f"{name}_{title}.wav")
    (song,) = found("folder", root)
    assert len(song.stems) == 2 and song.mix_path == root / "x" / f"AuMix_{title}.wav"


@pytest.mark.parametrize("own", [True, False])
def test_midi_beside_stems_comes_before_that_of_another_folder(own: bool, root: Path) -> None:
    sound(root / "Song/stems/bass.wav")
    places = ["Song/stems/bass.mid"] * own + ["Song/MIDI/bass.mid"]
    for place in places:
        (root / place).parent.mkdir(exist_ok=True)
        (root / place).touch()
    (song,) = found("folder", root)
    assert song.stems[0].midi_path == root / places[0]


def test_midi_beside_the_root_is_not_read(root: Path) -> None:
    for stem in ("bass", "drums"):
        sound(root / "stems" / f"{stem}.wav")
    (root / "MIDI").mkdir()
    (root / "MIDI/bass.mid").touch()
    (song,) = found("folder", root / "stems")
    assert [stem.midi_path for stem in song.stems] == [None, None]


def test_the_mix_and_the_midi_of_a_folder_of_stems_are_beside_it(root: Path) -> None:
    for song, inner in (("A", "stems"), ("B", "stems_audio")):
        sound(root / song / "mix.wav")
        for name in ("1_violin", "2_cello"):
            sound(root / song / inner / f"{name}.wav")
            (root / song / "stems_midi").mkdir(exist_ok=True)
            (root / song / "stems_midi" / f"{name}.mid").touch()
    songs = found("folder", root)
    assert [song.title for song in songs] == ["A", "B"]
    assert [song.mix_path for song in songs] == [root / "A/mix.wav", root / "B/mix.wav"]
    assert all(stem.midi_path and stem.midi_path.stem == stem.path.stem for song in songs for stem in song.stems)
    assert {row.reason for row in rejected("folder", root)} == {"not_a_stem"}


def test_recordings_in_folders_are_told(root: Path) -> None:
    for name in ("000/000002", "000/000005", "Song/bass", "Song/001"):
        sound(root / f"{name}.wav")
    assert [(row.item, row.reason) for row in rejected("folder", root)] == [("000", "grouping")]


def test_an_album_called_like_an_instrument_holds_songs(root: Path) -> None:
    for name in ("bass", "drums", "vocals"):
        sound(root / "The Pianos" / "Keys" / "Third" / f"{name}.wav")
    (track,) = found("folder", root)
    assert (track.title, sorted(stem.label for stem in track.stems)) == ("Third", ["bass", "drums", "vocals"])


def test_a_second_render_of_a_song_is_told(root: Path) -> None:
    for day in ("2023-05-01", "2023-06-01"):
        for name in ("bass", "drums"):
            sound(root / "Alpha" / f"Render {day}" / f"{name}.wav")
    items = list(folder.tracks(root))
    assert [item.title for item in items if isinstance(item, FoundTrack)] == ["Alpha"]
    assert [item.reason for item in items if isinstance(item, Rejected)] == ["twice", "twice"]


def test_a_folder_of_files_with_other_names_stays_a_song(root: Path) -> None:
    for name in ("Alpha/bass.wav", "Alpha/drums.wav", "Beta/Alphabet.wav", "Beta/Gamma.wav", "Mix/bass.wav", "Mix/drums.wav"):
        sound(root / name)
    assert [track.title for track in found("folder", root)] == ["Alpha", "Beta", "Mix"]


def test_folder_of_instrument_folders_below_the_root_is_one_song(root: Path) -> None:
    for name in ("Song/drums/kick.wav", "Song/drums/snare.wav", "Song/bass/take 3.wav", "Other/stems/bass.wav", "Other/mix.wav"):
        sound(root / name)
    other, song = found("folder", root)
    assert (other.title, song.title, song.aligned) == ("Other", "Song", True)
    assert sorted(stem.label for stem in song.stems) == ["bass/take 3", "drums/kick", "drums/snare"]


def test_folder_midi_goes_to_its_stem_or_a_single_one_to_all(root: Path) -> None:
    for name in ("A/bass.wav", "A/drums.wav", "B/guitar.ogg", "B/song.ogg"):
        sound(root / name)
    for name in ("A/bass.mid", "A/other.mid", "B/notes.mid"):
        (root / name).write_bytes(b"MThd")
    a, b = found("folder", root)
    assert [stem.midi_path and stem.midi_path.name for stem in a.stems] == ["bass.mid", None]
    assert [(stem.label, stem.midi_path and stem.midi_path.name) for stem in b.stems] == [
        ("guitar", "notes.mid"),
        ("backing track", "notes.mid"),
    ]


def test_folder_unread_formats_are_rejected_with_advice_and_hidden_files_ignored(root: Path) -> None:
    sound(root / "A" / "bass.wav")
    (root / "A" / "piano.m4a").write_bytes(b"x")
    (root / "A" / "._bass.wav").write_bytes(b"x")
    (track,) = found("folder", root)
    assert len(track.stems) == 1
    assert [(item.item, item.reason) for item in rejected("folder", root)] == [("A/piano.m4a", "unsupported_format")]


def test_folder_links_out_of_the_root_and_loops_end(root: Path, tmp_path: Path) -> None:
    sound(root / "A" / "bass.wav")
    sound(tmp_path / "elsewhere" / "drums.wav")
    (root / "A" / "drums.wav").symlink_to(tmp_path / "elsewhere" / "drums.wav")
    (root / "B").symlink_to(tmp_path / "elsewhere")
    (root / "C").symlink_to(root)
    (root / "A" / "gone.wav").symlink_to(root / "nowhere.wav")
    os.mkfifo(root / "A" / "pipe.wav")
    rows = scan([root], tmp_path / "work")
    assert [stem.path for stem in rows.stems] == ["A/bass.wav"]
    assert sorted(reject.reason for reject in rows.rejects) == ["link", "link", "missing", "unsafe_path"]


@pytest.mark.skipif(os.name != "posix", reason="names of files are text there")
def test_folder_names_that_are_not_utf8_are_rejected(root: Path, tmp_path: Path) -> None:
    sound(root / "A" / "bass.wav")
    (root / "A" / os.fsdecode(b"dr\xffums.wav")).write_bytes((root / "A" / "bass.wav").read_bytes())
    rows = scan([root], tmp_path / "work")
    assert len(rows.stems) == 1 and [reject.reason for reject in rows.rejects] == ["unsafe_path"]


def test_a_chart_belongs_to_the_song_whose_folder_it_lies_in(root: Path) -> None:
    flat = [f"flat/{song} - {stem}.wav" for song in ("Three", "Four") for stem in ("bass", "drums")]
    for name in ("One/bass.wav", "One/drums.wav", "Two/bass.wav", *flat):
        sound(root / name)
    for place in ("One", "flat"):
        (root / place / "chords.lab").write_text("0 1 C:maj")
    charts = {track.name: track.chords_path for track in found("folder", root)}
    assert charts == {"One": root / "One" / "chords.lab", "Two": None, "flat/Three": None, "flat/Four": None}


def test_folder_of_instruments_in_the_plural_is_one_song(root: Path) -> None:
    for name in ("Song/Guitars/left.wav", "Song/Guitars/right.wav", "Song/Drums/kick.wav", "Song/Keyboards/pad.wav"):
        sound(root / name)
    (song,) = found("folder", root)
    assert song.title == "Song" and len(song.stems) == 4


@pytest.mark.parametrize("inner", ["WAV", "24bit", "24 bit wavs", "48kHz", "Stems", "Audio Files"])
def test_folders_of_a_format_give_no_title(inner: str, root: Path) -> None:
    for song in ("Me - One", "Me - Two"):
        sound(root / song / inner / "bass.wav")
    assert [track.title for track in found("folder", root)] == ["One", "Two"]


def test_links_to_files_elsewhere_are_read_on_request(root: Path, tmp_path: Path) -> None:
    blob = sound(tmp_path / "blobs" / "a.wav").rename(tmp_path / "blobs" / "0123abcd")
    (root / "Song").mkdir()
    (root / "Song" / "bass.wav").symlink_to(blob)
    sound(root / "Song" / "drums.wav")
    (root / "list.csv").write_text("a,b")
    rows = scan(root, tmp_path / "work")
    assert [row.reason for row in rows.rejects if "bass" in row.item] == ["unsafe_path"] and "--follow-links" in rows.rejects[
        0
    ].detail
    for _ in range(2):
        rows = scan(root, tmp_path / "work", follow_links=True)
        assert {row.instrument: row.path for row in rows.stems} == {"bass": "blobs/0123abcd", "drums": "data/Song/drums.wav"}
        assert [(row.item, row.reason) for row in rows.rejects] == [("list.csv", "unread_table")]
        assert len(rows.tracks) == 1


def paths_by_song(root: Path) -> dict[str, list[str]]:
    return {track.name: sorted(str(stem.path.relative_to(root)) for stem in track.stems) for track in found("folder", root)}


@pytest.mark.parametrize("drums", ["01 Drums", "Drums & Perc", "Gtrs", "BGV", "02_Vox", "Electric Guitars", "FX", "Samples"])
def test_folders_of_instruments_belong_to_the_song_however_they_are_called(drums: str, root: Path) -> None:
    for name in ("Song/bass.wav", f"Song/{drums}/one.wav", f"Song/{drums}/more/two.wav"):
        sound(root / name)
    assert paths_by_song(root) == {"Song": [f"Song/{drums}/more/two.wav", f"Song/{drums}/one.wav", "Song/bass.wav"]}


def test_a_song_that_is_called_like_an_instrument_is_a_song(root: Path) -> None:
    for name in (
        "Bells/bass.wav",
        "Bells/drums.wav",
        "Piano/bass.wav",
        "Piano/vox.wav",
        "Guitars/Lead/bass.wav",
        "Guitars/Lead/vox.wav",
    ):
        sound(root / name)
    assert set(paths_by_song(root)) == {"Bells", "Piano", "Guitars/Lead"}


def test_songs_by_name_in_folders_of_instruments_are_single_parts_at_any_depth(root: Path) -> None:
    for name in ("album/bass/Alpha.wav", "album/drums/Alpha.wav", "album/bass/Beta.wav", "album/drums/Beta.wav"):
        sound(root / name)
    tracks = found("folder", root)
    assert len(tracks) == 4 and not any(track.aligned for track in tracks)
    assert {track.leak_group for track in tracks} == {"name:alpha", "name:beta"}


@pytest.mark.parametrize(("kept", "left"), [("WAV", "MP3"), ("44.1", "48k"), ("dry", "wet"), ("24bit", "mono")])
def test_one_song_in_two_formats_is_read_once_and_told(kept: str, left: str, root: Path) -> None:
    for stem in ("bass", "drums"):
        sound(root / "Song" / kept / f"{stem}.wav")
        sound(root / "Song" / left / f"{stem}.{'mp3' if left == 'MP3' else 'wav'}")
    assert len(found("folder", root)) == 1 and {item.reason for item in rejected("folder", root)} == {"twice"}


def test_a_grouping_that_may_be_wrong_is_told(root: Path, tmp_path: Path) -> None:
    for name in ("001_bass", "001_drums", "002_bass", "002_drums"):
        sound(root / f"{name}.wav")
    rows = scan(root, tmp_path / "work")
    assert len(rows.tracks) == 2 and [(row.item, row.reason) for row in rows.rejects] == [("*", "grouping")]


def test_names_that_differ_in_capitals_only_are_one_stem(root: Path, tmp_path: Path) -> None:
    for name in ("bass.wav", "Bass.WAV", "BASS.flac", "drums.wav"):
        sound(root / "Song" / name)
    rows = scan(root, tmp_path / "work")
    assert [row.path for row in rows.stems] == ["Song/BASS.flac", "Song/drums.wav"]
    assert [row.reason for row in rows.rejects] == ["not_read", "not_read"]


def test_names_in_two_encodings_are_one_song(root: Path) -> None:
    """Archives of macOS hold accents as letters of their own."""
    for song in ("Can\u00e7\u00e3o", "Lonely"):
        for label, form in (("bass", "NFC"), ("drums", "NFD"), ("keys", "NFC"), ("vox", "NFD")):
            sound(root / f"{unicodedata.normalize(form, song)}_{label}.wav")
    songs = found("folder", root)
    assert {song.title: sorted(stem.label for stem in song.stems) for song in songs} == {
        title: ["bass", "drums", "keys", "vox"] for title in ("Can\u00e7\u00e3o", "Lonely")
    }


def test_folders_that_are_called_like_instruments_and_players_are_parts(root: Path) -> None:
    for part in ("Bass - Tim", "Drums - Al"):
        sound(root / "Highway" / part / "take 1.wav")
    (song,) = found("folder", root)
    assert song.title == "Highway" and [stem.label for stem in song.stems] == ["Bass - Tim/take 1", "Drums - Al/take 1"]


def test_deleted_files_are_no_songs(root: Path) -> None:
    for place in ("Song", "$RECYCLE.BIN/S-1-5", "lost+found", "@eaDir"):
        sound(root / place / "bass.wav")
    (song,) = found("folder", root)
    assert song.title == "Song" and not rejected("folder", root)
