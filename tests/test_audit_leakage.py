"""Songs that are there twice are found by each kind of evidence, other songs are not."""

import io
from collections.abc import Callable
from types import SimpleNamespace

import made_songs
import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from made_songs import RATE_HZ, Song, late, notes, parts, play, write_midi

from instructme.dataset_tools import fingerprint
from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.audit import audit, midi_files
from instructme.dataset_tools.audit.report import Finding
from instructme.manifests import tables
from instructme.manifests.rows import Triplet


def leaks(work, title: str, *, audio: bool = True) -> Finding:
    sections = {section.id: section for section in audit(work, audio=audio).sections}
    (found,) = (item for item in sections["leakage"].items if title in item.title)
    return found


def others() -> list[Song]:
    return [Song("b", "train", parts(2)), Song("c", "validation", parts(3)), Song("d", "test", parts(4))]


def pairs(found: Finding) -> set[frozenset[str]]:
    return {frozenset((row[1], row[3])) for row in found.table.rows} if found.table else set()


def coded(samples: Samples) -> Samples:
    """Send a sound through MP3 at its lowest quality."""
    file = io.BytesIO()
    soundfile.write(
        file, samples, RATE_HZ, format="MP3", subtype="MPEG_LAYER_III", bitrate_mode="CONSTANT", compression_level=0.9
    )
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0][: len(samples)]


COPIES: dict[str, Callable[[Samples], Samples]] = {
    "softer and 5 ms late": lambda sound: late(sound, 5, 0.35),
    "louder and 800 ms late": lambda sound: late(sound, 800, 1.2),
    "as MP3": coded,
}


@pytest.mark.parametrize("how", COPIES)
def test_a_copied_song_is_found_by_its_sound_in_another_split(tmp_path, how):
    copy = {name: COPIES[how](sound) for name, sound in parts(1).items()}
    work = made_songs.write(tmp_path, [Song("a", "train", parts(1)), Song("copy", "test", copy, {"title": "Other"}), *others()])
    found = leaks(work, "the same sound")
    assert found.level == "error" and pairs(found) == {frozenset(("a", "copy"))}


def test_a_copy_of_which_a_part_is_missing_is_found(tmp_path):
    copy = {name: late(sound, 3, 0.5) for name, sound in parts(1).items() if name != "drums"}
    work = made_songs.write(tmp_path, [Song("a", "train", parts(1)), Song("copy", "test", copy), *others()])
    assert pairs(leaks(work, "the same sound")) == {frozenset(("a", "copy"))}


def test_a_copy_in_the_same_split_is_a_warning_unless_it_is_known(tmp_path):
    copy = {name: late(sound, 5, 0.5) for name, sound in parts(1).items()}
    songs = [Song("a", "train", parts(1)), Song("copy", "train", copy), *others()]
    assert leaks(made_songs.write(tmp_path / "1", songs), "the same sound").level == "warning"
    songs[1].track = {"leak_group": "a"}
    known = leaks(made_songs.write(tmp_path / "2", songs), "the same sound")
    assert known.level == "fine" and pairs(known) == {frozenset(("a", "copy"))}


def test_songs_that_share_only_their_drums_are_two(tmp_path):
    same = parts(1)["drums"]
    songs = [Song("a", "train", parts(1)), Song("e", "test", {**parts(5), "drums": same}), *others()]
    assert leaks(made_songs.write(tmp_path, songs), "the same sound").level == "fine"


def test_parts_that_cannot_be_read_are_said(tmp_path):
    work = made_songs.write(tmp_path, [Song("a", "train", parts(1)), *others()])
    (work / "parts/a/piano.flac").write_bytes(b"no FLAC")
    found = leaks(work, "can't be read")
    assert found.level == "warning" and found.table.rows == (("a",),)


def test_equal_parts_are_found_without_audio(tmp_path):
    copy = {**parts(5), "drums": parts(1)["drums"], "piano": parts(1)["piano"]}
    songs = [Song("a", "train", parts(1)), Song("copy", "test", copy), *others()]
    found = leaks(made_songs.write(tmp_path, songs), "equal length", audio=False)
    assert found.level == "error" and found.table.rows[0][1::2][:2] == ("a", "copy") and "67%" in found.table.rows[0][5]


NAMES = [
    ({"artist": "Music Delta", "title": "Rock"}, {"artist": "MusicDelta", "title": "Rock"}, True),
    ({"artist": "Music Delta", "title": "Rock"}, {"artist": None, "title": "Music Delta - Rock"}, True),
    (
        {"artist": "Clara Berry & Wooldog", "title": "Air Traffic"},
        {"artist": "Clara Berry And Wooldog", "title": "Air traffic"},
        True,
    ),
    ({"artist": "A", "title": "Song (feat. B)"}, {"artist": "A feat. B", "title": "Song"}, True),
    ({"artist": "A", "title": "Song"}, {"artist": "B", "title": "Song"}, False),
    ({"artist": "Unknown", "title": "Unknown"}, {"artist": None, "title": "unknown"}, False),
]


@pytest.mark.parametrize(("one", "other", "same"), NAMES)
def test_songs_of_the_same_artist_and_title_are_found_in_two_datasets(tmp_path, one, other, same):
    songs = [Song("a", "train", parts(1), one), Song("x", "test", parts(2), {**other, "dataset": "medleydb"})]
    found = leaks(made_songs.write(tmp_path, songs, stage="scan"), "artist and title", audio=False)
    assert (found.level, bool(found.table)) == (("error", True) if same else ("fine", False))


def with_midi(work, songs: list[Song], tempi: dict[str, tuple[int, float]]) -> None:
    """Give the piano of each song the notes of a seed at a tempo, and a bass of its own."""
    for song in songs:
        seed, tempo = tempi[song.track_id]
        for name, tune in (("piano", notes(seed)), ("electric bass", notes(500 + ord(song.track_id[0]))[:20])):
            path = f"{song.track_id}/{name}.mid"
            write_midi(work / "data" / path, tune, tempo=tempo)
            song.stems = {**song.stems, name: {"midi_path": path}}


def test_the_same_notes_at_another_tempo_are_found(tmp_path):
    songs = [Song("a", "train", parts(1)), Song("x", "test", parts(6)), *others()]
    with_midi(tmp_path, songs, {"a": (1, 120), "x": (1, 97), "b": (2, 120), "c": (3, 120), "d": (4, 120)})
    found = leaks(made_songs.write(tmp_path, songs, stage="scan"), "the same notes")
    assert found.level == "error" and pairs(found) == {frozenset(("a", "x"))}


def test_the_same_drum_pattern_is_no_song(tmp_path):
    songs = [Song("a", "train", parts(1)), *others()]
    for song in songs:
        write_midi(tmp_path / f"data/{song.track_id}.mid", notes(1))
        song.stems = {"drums": {"midi_path": f"{song.track_id}.mid"}}
    assert leaks(made_songs.write(tmp_path, songs, stage="scan"), "the same notes").level == "fine"


def same_notes(songs: dict[str, dict[str, int]]) -> list[tuple[str, str, float]]:
    """Compare songs of stems, each of so many notes; stems of one name have the same notes."""
    stems = pd.DataFrame({"track_id": [], "stem_id": [], "family": []})
    none = np.zeros((0, 2))
    notes = {
        (track, stem): midi_files.StemNotes(count, stem, None, none)
        for track, own in songs.items()
        for stem, count in own.items()
    }
    return midi_files.same_notes(SimpleNamespace(stems=stems), notes)


def test_songs_are_one_if_half_of_the_shorter_ones_notes_are_the_same():
    both = {"melody": 20, "bass": 30}
    assert same_notes({"a": {**both, "own a": 50}, "b": {**both, "own b": 90}}) == [("a", "b", 0.5)]
    assert same_notes({"a": {**both, "own a": 51}, "b": {**both, "own b": 90}}) == []
    assert same_notes({"a": {"riff": 15}, "b": {"riff": 15}}) == [], "fewer than 16 notes are no evidence"
    assert same_notes({"a": {"riff": 16}, "b": {"riff": 16}}) == [("a", "b", 1.0)]


@pytest.mark.parametrize(("songs", "found"), [(50, 50 * 49 // 2), (51, 0)])
def test_what_more_than_fifty_songs_share_is_a_pattern(songs, found):
    assert len(same_notes({f"{number:02}": {"loop": 40} for number in range(songs)})) == found


@pytest.mark.parametrize("group", ["leak_group", "song_group"])
def test_a_group_that_is_cut_is_an_error(tmp_path, group):
    songs = [Song("a", "train", parts(1), {group: "one"}), Song("b", "test", parts(2), {group: "one"}), *others()[1:]]
    found = leaks(made_songs.write(tmp_path, songs, stage="scan"), group, audio=False)
    assert found.level == "error" and found.table.rows == (("one", "test, train", "a, b"),)


def test_a_recipe_of_another_split_is_an_error(tmp_path):
    songs = [Song("a", "train", parts(1)), *others()]
    recipes = [made_songs.recipe(0, songs[0], "remove", ["drums"], []), made_songs.recipe(1, songs[0], "remix", [], ["piano"])]
    work = made_songs.write(tmp_path, songs, recipes=recipes)
    assert leaks(work, "recipe", audio=False).level == "fine"
    moved = [recipes[0], Triplet(**{**tables.to_table(recipes[1:], Triplet).to_pylist()[0], "target_track": "d"})]
    found = leaks(made_songs.write(tmp_path, songs, recipes=moved), "tracks of another split", audio=False)
    assert found.level == "error" and found.table.rows == (("train", "remix", "a", "d"),)


SONG = sum(parts(1).values())
OTHER = sum(parts(2).values())


@settings(max_examples=15)
@given(gain=st.floats(0.01, 4), shift=st.integers(0, 4000), other=st.sampled_from([OTHER, None]))
def test_fingerprints_hold_for_any_gain_and_start(gain, shift, other):
    moved = late(SONG, 1000 * shift / RATE_HZ, gain)
    heard = {"one": fingerprint.fingerprint(SONG, RATE_HZ), "moved": fingerprint.fingerprint(moved, RATE_HZ)}
    if other is not None:
        heard["other"] = fingerprint.fingerprint(other, RATE_HZ)
    (match,) = fingerprint.matches(heard)
    assert {match.first, match.second} == {"one", "moved"}
    assert match.late_s == pytest.approx(shift / RATE_HZ, abs=1.5 * fingerprint.HOP_SAMPLES / fingerprint.RATE_HZ)
    assert match.wrong_bits < 0.15


@settings(max_examples=20)
@given(
    st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=50),
    st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=50),
    st.integers(-60, 60),
)
def test_wrong_bits_are_counted_as_by_hand(one, other, lag):
    pairs = [(one[at], other[at + lag]) for at in range(len(one)) if 0 <= at + lag < len(other) and one[at] and other[at + lag]]
    wrong, frames = fingerprint._wrong(np.array(one, np.uint32), np.array(other, np.uint32), lag)
    assert frames == len(pairs)
    assert wrong == pytest.approx(sum((a ^ b).bit_count() for a, b in pairs) / len(pairs) / 32 if pairs else 1.0)


def test_silence_and_scraps_have_no_fingerprint():
    assert not fingerprint.fingerprint(np.zeros(RATE_HZ * 5, np.float32), RATE_HZ).any()
    assert not len(fingerprint.fingerprint(play(notes(1))[:100], RATE_HZ))
    silent = np.zeros(4000, np.uint32)
    assert fingerprint.matches({"a": silent, "b": silent, "c": np.zeros(0, np.uint32)}) == []


def test_what_is_60_db_softer_than_the_song_says_nothing():
    """Two songs of one studio end in the same hiss; they are still two songs. A fade of 40 dB is part of its song."""
    hiss = np.random.default_rng(0).normal(0, 0.1, RATE_HZ * 12).astype(np.float32)

    def prints(gain: float) -> dict[str, fingerprint.Print]:
        songs = {"one": SONG, "other": OTHER}
        return {name: fingerprint.fingerprint(np.concatenate([song, gain * hiss]), RATE_HZ) for name, song in songs.items()}

    assert fingerprint.matches(prints(10 ** (-70 / 20))) == []
    (match,) = fingerprint.matches(prints(10 ** (-40 / 20)))
    assert match.seconds > 8
