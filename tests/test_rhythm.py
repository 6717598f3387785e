"""Check rhythm: tempo maps against pretty_midi, trust against music that is and isn't on its grid."""

import subprocess
import sys

import librosa
import mir_eval
import numpy as np
import pretty_midi
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from played_midi import FEELS, RATE_HZ, chords, feel, write_midi

from instructme.dataset_tools import audio
from instructme.dataset_tools.beats import rhythm
from instructme.dataset_tools.midi import grid_check, tempo_map
from instructme.dataset_tools.recognisers import beat_network
from instructme.manifests.rows import DataError

OFF_GRID = {  # songs recorded without a click, as phase histograms of their notes show
    *("freedoom1_D_BUNNY", "freedoom1_D_INTRO", "freedoom1_D_INTROA", "freedoom2_D_DEAD", "freedoom2_D_DM2INT"),
    *("freedoom2_D_DM2TTL", "freedoom2_D_OPENIN", "freedoom2_D_SHAWN", "freedoom2_D_SHAWN2", "freedoom2_D_THEDA3"),
    "freedoom2_D_THE_DA",
}


def click_track(onsets_s: np.ndarray, seconds: float) -> audio.Samples:
    """Play a short burst of noise at each onset."""
    generator = np.random.default_rng(0)
    mix = np.zeros(round(seconds * RATE_HZ), np.float32)
    burst = (generator.normal(0, 0.3, 1200) * np.exp(-np.arange(1200) / 200)).astype(np.float32)
    for start in np.rint(onsets_s * RATE_HZ).astype(int):
        mix[start : start + 1200] += burst[: max(0, len(mix) - start)]
    return mix


def test_beats_equal_pretty_midi_over_changes_of_tempo_and_metre(tmp_path):
    midi = pretty_midi.PrettyMIDI(resolution=480)
    midi._load_tempo_changes  # noqa: B018  fails if pretty_midi drops what the next lines rely on
    midi._tick_scales = [(0, 60 / (90 * 480)), (480 * 8, 60 / (141 * 480)), (480 * 21, 60 / (77 * 480))]
    midi._update_tick_to_time(480 * 60)
    signs = [(4, 4, 0), (3, 4, 8), (6, 8, 20), (7, 8, 29)]
    midi.time_signature_changes = [pretty_midi.TimeSignature(n, d, midi.tick_to_time(q * 480)) for n, d, q in signs]
    piano = pretty_midi.Instrument(0)
    piano.notes = [pretty_midi.Note(90, 60, midi.tick_to_time(t * 240), midi.tick_to_time(t * 240 + 200)) for t in range(87)]
    midi.instruments = [piano]
    path = tmp_path / "song.mid"
    midi.write(str(path))
    theirs = pretty_midi.PrettyMIDI(str(path))
    tempi = tempo_map.read([path])
    beats_s, positions = tempi.beats()
    end = beats_s[-1]
    assert len(beats_s) > 40
    np.testing.assert_allclose(beats_s, [beat for beat in theirs.get_beats() if beat <= end + 1e-6], atol=1e-4)
    np.testing.assert_allclose(
        beats_s[positions == 1], [beat for beat in theirs.get_downbeats() if beat <= end + 1e-6], atol=1e-4
    )
    notes = sorted(note.start for note in theirs.instruments[0].notes)
    np.testing.assert_allclose(tempi.seconds(tempi.onsets), notes, atol=1e-4)
    assert tempi.meter() == "7/8"


@pytest.mark.parametrize("name", FEELS)
@pytest.mark.parametrize("bpm", [60.0, 97.0, 180.0])
def test_feel_is_confirmed(tmp_path, name, bpm):
    onsets = feel(name, bpm=bpm, jitter_s=0.008)
    path = write_midi(tmp_path / "a.mid", onsets, bpm, pitches=chords(onsets + 0.02, bpm))
    grid = rhythm.from_midi([path], None, RATE_HZ)
    assert (grid.source, grid.trusted, grid.reason, grid.meter) == ("midi", True, None, "4/4")
    assert grid.confidence > 0.9
    assert grid.tempo_bpm == pytest.approx(bpm, rel=1e-4)
    assert grid.beat_positions[:5].tolist() == [1, 2, 3, 4, 1]
    assert grid.beats_samples[4] == pytest.approx(4 * 60 / bpm * RATE_HZ, abs=2)


@settings(max_examples=25, deadline=None)
@given(played_bpm=st.floats(50, 220), name=st.sampled_from(sorted(FEELS)), start_s=st.floats(0, 3))
def test_free_playing_over_a_default_tempo_is_refused(tmp_path_factory, played_bpm, name, start_s):
    """Music at a tempo unrelated to the file's 120 bpm, with a player's drift, never passes for its grid.

    A tempo within 2 % of it, or of a simple ratio to it, is related: drift may bring that onto the grid for most of the time.
    """
    assume(all(abs(played_bpm / 120 / ratio - 1) > 0.02 for ratio in (1 / 2, 2 / 3, 3 / 4, 1, 4 / 3, 3 / 2)))
    drift = np.cumsum(np.random.default_rng(7).normal(0, 0.02, 64 * len(FEELS[name])))
    onsets = np.sort(feel(name, bpm=played_bpm) + start_s + drift - drift.min())
    path = write_midi(tmp_path_factory.mktemp("free") / "a.mid", onsets, 120.0)
    grid = rhythm.from_midi([path], None, RATE_HZ)
    assert grid.source == "none"
    assert "grid" in (grid.reason or "")


def test_beats_half_a_beat_off_are_refused(tmp_path):
    onsets = np.concatenate([feel("straight"), np.repeat((np.arange(64) + 0.5) * 0.6, 3)])
    assert "avoid the beats" in str(rhythm.from_midi([write_midi(tmp_path / "a.mid", onsets)], None, RATE_HZ).reason)


def test_bad_midi_gives_a_reason(tmp_path):
    (tmp_path / "broken.mid").write_bytes(b"MThd not a midi file")
    assert rhythm.from_midi([tmp_path / "broken.mid"], None, RATE_HZ).reason == "MIDI broken.mid is cut short or not MIDI"
    assert "can't read" in str(rhythm.from_midi([tmp_path / "absent.mid"], None, RATE_HZ).reason)
    empty = write_midi(tmp_path / "empty.mid", np.zeros(0))
    assert rhythm.from_midi([empty], None, RATE_HZ).reason == "MIDI holds no notes"
    few = write_midi(tmp_path / "few.mid", np.arange(5.0))
    assert rhythm.from_midi([few], None, RATE_HZ).reason == "MIDI holds too few notes"
    slow, fast = (write_midi(tmp_path / f"{bpm}.mid", feel("straight"), bpm) for bpm in (100, 101))
    with pytest.raises(DataError, match="tempo maps"):
        tempo_map.read([slow, fast])
    assert rhythm.find([], click_track(np.zeros(0), 5), RATE_HZ, "midi").reason == "no MIDI"


def test_a_truncated_file_is_refused_or_read_never_a_crash(tmp_path):
    whole = write_midi(tmp_path / "a.mid", feel("straight")).read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 40)):
        (tmp_path / "cut.mid").write_bytes(whole[:length])
        assert rhythm.from_midi([tmp_path / "cut.mid"], None, RATE_HZ).source in ("midi", "none")


@pytest.mark.parametrize("shift_s", [0.0, 0.02, 0.06, 0.11, -0.05])
def test_audio_confirms_a_grid_only_where_it_lies(tmp_path, shift_s):
    generator = np.random.default_rng(3)
    onsets = np.sort(generator.choice(np.arange(128) * 0.3, 90, replace=False)) + 0.6
    path = write_midi(tmp_path / "a.mid", onsets)
    grid = rhythm.from_midi([path], click_track(onsets + shift_s, 42), RATE_HZ)
    assert (grid.source == "midi") == (abs(shift_s) <= 0.03)
    if grid.source != "midi":
        assert grid.reason == "MIDI and audio disagree"


@pytest.mark.parametrize("drift", [0.0, 0.001, 0.0024, -0.0024])
def test_midi_that_drifts_against_the_audio_is_refused(tmp_path, drift):
    generator = np.random.default_rng(3)
    onsets = np.sort(generator.choice(np.arange(80) * 0.3, 60, replace=False)) + 0.6
    grid = rhythm.from_midi([write_midi(tmp_path / "a.mid", onsets)], click_track(onsets * (1 + drift), 25.5), RATE_HZ)
    assert (grid.source == "midi") == (abs(drift) <= 0.001)
    if grid.source != "midi":
        assert "drifts by" in str(grid.reason)


def test_beats_end_with_the_mix(tmp_path):
    onsets = feel("sixteenths")
    grid = rhythm.from_midi([write_midi(tmp_path / "a.mid", onsets)], click_track(onsets[onsets < 21], 21.5), RATE_HZ)
    assert (grid.source, len(grid.beats_samples)) == ("midi", 36)


def test_auto_asks_the_audio_when_midi_fails(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(rhythm, "from_audio", lambda mix, rate_hz, reason=None: asked.append(reason) or rhythm.nothing(reason))
    onsets = feel("straight")
    path, mix = write_midi(tmp_path / "a.mid", onsets), click_track(onsets, 40)
    assert rhythm.find([path], mix, RATE_HZ).source == "midi"
    assert rhythm.find([path], mix, RATE_HZ, "none").source == "none"
    assert not asked
    rhythm.find([path], np.roll(mix, 2400), RATE_HZ)
    rhythm.find([], mix, RATE_HZ)
    rhythm.find([path], mix, RATE_HZ, "audio")
    assert asked == ["MIDI and audio disagree", None, None]
    with pytest.raises(ValueError, match="mode"):
        rhythm.find([path], mix, RATE_HZ, "guess")


@settings(max_examples=20, deadline=None)
@given(bpm=st.floats(40, 250), seconds=st.floats(0, 60), seed=st.integers(0, 99))
def test_grid_invariants(tmp_path_factory, bpm, seconds, seed):
    """Whatever the notes: rising beats, equal lengths, positions that count, trust only with known downbeats."""
    onsets = np.sort(np.random.default_rng(seed).uniform(0, seconds + 1, 40))
    path = write_midi(tmp_path_factory.mktemp("any") / "a.mid", onsets, bpm)
    for grid in (rhythm.from_midi([path], None, RATE_HZ), rhythm.nothing("why")):
        assert grid.beats_samples.dtype == grid.beat_positions.dtype == np.int64
        assert len(grid.beats_samples) == len(grid.beat_positions)
        assert (np.diff(grid.beats_samples) > 0).all()
        assert 0 <= grid.confidence <= 1
        assert grid.trusted == (grid.reason is None)
        assert grid.downbeat_known or not (grid.trusted or grid.meter or grid.beat_positions.any())


@pytest.mark.parametrize("rate_hz", [8000, 11025])
def test_a_long_recording_has_the_beats_of_its_stretches(monkeypatch, rate_hz):
    """The tempo of the second half is another one; at 11,025 Hz a second is no whole number of frames."""
    onsets_s = np.concatenate([np.arange(0.5, 30, 0.5), np.arange(30, 60, 0.4)])
    mix = audio.resample(click_track(onsets_s, 60), RATE_HZ, rate_hz)
    monkeypatch.setattr(rhythm, "LONGEST_S", 30)
    beats_s = rhythm.from_audio(mix, rate_hz).beats_samples / rate_hz
    assert mir_eval.beat.f_measure(mir_eval.beat.trim_beats(onsets_s), mir_eval.beat.trim_beats(beats_s)) > 0.95
    assert np.diff(beats_s[beats_s > 5]).max() < 0.6 and np.diff(beats_s).min() > 0.3


@pytest.mark.parametrize("rate_hz", [8000, 11025])
def test_the_tempo_of_pieces_is_that_of_librosa(monkeypatch, rate_hz):
    """At 11,025 Hz the tempogram has an odd width."""
    curve, hop = np.random.default_rng(0).random(2500), rate_hz // 100
    curve[::37] += 1
    monkeypatch.setattr(rhythm, "TEMPOGRAM_FRAMES", 600)
    assert rhythm._curve_bpm(curve, rate_hz, hop) == librosa.feature.tempo(onset_envelope=curve, sr=rate_hz, hop_length=hop)


def test_onset_envelope_peaks_at_the_onset():
    envelope = grid_check.onset_envelope(click_track(np.array([0.5, 1.25]), 2), RATE_HZ)
    assert len(envelope) == 201
    assert abs(int(envelope[:90].argmax()) - 50) <= 1
    assert abs(int(envelope[90:].argmax()) + 90 - 125) <= 1


def test_midi_needs_neither_librosa_nor_torch(tmp_path):
    path = write_midi(tmp_path / "a.mid", feel("straight"))
    code = (
        "import sys, numpy as np; from pathlib import Path; from instructme.dataset_tools.beats import rhythm;"
        f"grid = rhythm.from_midi([Path({str(path)!r})], np.zeros(48000, np.float32), {RATE_HZ});"
        "assert not {'librosa', 'torch', 'numba', 'scipy.signal'} & set(sys.modules), sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_general_midi_songs_written_by_people(shared_data):
    """All 150: those off their grid and those without time signature come out as such, and none lies between."""
    off, unsigned, total = set(), 0, 0
    for path in sorted((shared_data / "gm_midi").glob("*/*.mid")):
        total += 1
        tempi = tempo_map.read([path])
        share = grid_check.share_on_grid(tempi)
        assert share < 0.1 or share > 0.9, path
        grid = rhythm.from_midi([path], None, RATE_HZ)
        if grid.source == "none":
            off.add(path.stem)
        if not tempi.signatures:
            unsigned += 1
            assert (grid.meter, grid.downbeat_known, grid.trusted) == (None, False, False)
    assert total == 150
    assert off == OFF_GRID
    assert unsigned == 49


def test_annotated_songs_are_taken_only_where_the_grid_is_theirs(shared_data):
    """POP909 states a tempo but seldom the phase: whatever is trusted must agree with its beat annotations."""
    trusted = 0
    for folder in sorted((shared_data / "pop909").glob("0*")):
        grid = rhythm.from_midi([folder / f"{folder.name}.mid"], None, RATE_HZ)
        if grid.trusted:
            trusted += 1
            truth = np.loadtxt(folder / "beat_midi.txt")[:, 0]
            assert mir_eval.beat.f_measure(truth, grid.beats_samples / RATE_HZ) > 0.99, folder
    assert trusted >= 2


def test_real_stems(shared_data):
    """One game's chart lies on its recording; another's runs 45 ms ahead of it."""
    for name, source in (("chaos_god", "midi"), ("Metal_madness", "none")):
        folder = shared_data / "real_stems" / "fretsonfire" / name
        stems = [audio.read(folder / f"{part}.ogg", RATE_HZ) for part in ("song", "guitar")]
        mix = sum(stem[: min(map(len, stems))] for stem in stems)
        grid = rhythm.from_midi([folder / "notes.mid"], mix, RATE_HZ)
        assert grid.source == source, name


def test_rendered_examples_match_their_truth(shared_data):
    for track in sorted((shared_data / "rendered_examples").glob("Track9000[123]")):
        grid = rhythm.find(sorted((track / "MIDI").glob("*.mid")), audio.read(track / "mix.flac", RATE_HZ), RATE_HZ)
        truth = np.loadtxt(track / "beats.txt")
        assert grid.trusted
        assert mir_eval.beat.f_measure(truth[:, 0], grid.beats_samples / RATE_HZ) > 0.98
        ours = grid.beats_samples[grid.beat_positions == 1] / RATE_HZ
        assert mir_eval.beat.f_measure(truth[truth[:, 1] == 1, 0], ours) > 0.97


@pytest.mark.parametrize(
    ("met", "lead", "reason"),
    [
        (1.0, 0.9, None),
        (0.75, 0.9, None),
        (0.65, 0.9, "beats disagree with onsets"),
        (1.0, 0.75, "downbeats unknown"),
        (1.0, 0.85, None),
    ],
)
def test_beats_of_audio_are_trusted_if_seven_of_ten_meet_onsets_and_the_downbeat_is_clear(
    monkeypatch: pytest.MonkeyPatch, met: float, lead: float, reason: str | None
) -> None:
    """40 beats, half a second apart; the network is made up."""
    frames = 50 + 50 * np.arange(40)
    envelope = np.zeros(2100)
    envelope[frames[: round(40 * met)]] = 1.0
    monkeypatch.setattr(rhythm, "_listen", lambda *_: rhythm._Stretch(frames, envelope, np.zeros((0, 3))))
    monkeypatch.setattr(beat_network, "count_bars", lambda _, beats_s: (np.arange(len(beats_s)) % 4 + 1, 4, lead))
    grid = rhythm.from_audio(np.zeros(0, np.float32), RATE_HZ)
    assert (grid.reason, grid.trusted, grid.confidence) == (reason, reason is None, met)
    assert grid.meter == ("4/4" if lead > 0.8 else None) and grid.tempo_bpm == 120
    assert grid.beats_samples.tolist() == (frames * 240).tolist()
