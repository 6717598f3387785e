"""Find the beats, downbeats and metre of a track, and say how far to trust them.

The tempo map of the stems' MIDI files is taken where their own notes and the audio confirm it (`grid_check`); else the
audio is asked: BeatNet and librosa for beats, BeatNet for downbeats.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from instructme.dataset_tools.audio import Samples, resample
from instructme.dataset_tools.beats import annotations, bar_witness, chord_changes, pulse_check
from instructme.dataset_tools.midi import bar_check, grid_check, offset_check, tempo_map
from instructme.dataset_tools.recognisers import beat_network, turns
from instructme.dataset_tools.stored import Stored, stretches
from instructme.manifests import limits
from instructme.manifests.rows import DataError

Integers = npt.NDArray[np.int64]
LEAST_SHARE = 0.8
"""Share of notes that must confirm a MIDI grid; of 150 General MIDI songs none lies between 0.1 and 0.9."""
LEAST_BEAT_WEIGHT = 0.7
"""POP909's annotations prove wrong grids up to 0.82, but right songs of syncopated music begin at 0.74."""
LEAST_BAR_LEAD = 1.15
"""What begins on the first beat, against the fullest other beat. Of 89 songs, 79 reach it, and 5 reach it on another beat."""
LEAST_LEAD = 0.8
"""Lead of the downbeat from which bars counted in audio are believed. Of 18 songs, those whose bars come out wrong reach 0.72; 6
reach 0.86 or more, all right."""
LEAST_AGREEMENT = 0.7
"""Beats that a tracker finds in white noise reach 0.55."""
LEAST_WITNESS = 0.6
"""Agreement from which audio may contradict annotated beats; 98 of 100 songs reach it, an orchestra's rubato 0.43, noise 0.33."""
FEWEST_BEATS = 8
REMEDY = "put beats.txt (seconds, position in the bar) into the song's folder, or MIDI that fits the audio"
"""Advice to users whose beats and bars are not certain."""
NO_BARS = "chords, bass and kicks don't tell that bars begin where the MIDI says"
DISAGREE = "MIDI and audio disagree"
BETWEEN = "chords change between the beats of the MIDI: it may be half a beat off its own bars, or have a wrong signature"
PartMidi = tuple[Sequence[Path], npt.NDArray[np.float32]]
"""MIDI files of a part, and `grid_check.onset_envelope` of its audio."""
ONSET_WEIGHT = 0.5
"""Weight of onsets beside BeatNet's probability of a beat, both of deviation 1."""
MEL_DELAY_FRAMES = 2
TEMPOGRAM_S, TEMPOGRAM_FRAMES = 8.0, 6000
"""Length of librosa's tempograms, and how many are in memory at once."""
TEMPI_BPM = (40.0, 250.0)
LONGEST_S = 600
"""Longer recordings are heard in stretches, so that memory stays bounded; a concert has many tempi anyway."""
MARGIN_S = 10
OFFSET_S = 1200
"""The pitches of MIDI are looked for in so much of a recording: its offset is the same throughout."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Beats of a track in samples, with their positions in the bar (1 is the downbeat, 0 unknown).

    `trusted` means good enough to align windows of two tracks on their downbeats: beats confirmed, downbeats known, and
    a tempo between 40 and 250 bpm. The other fields are those of `instructme.manifests.rows.Rhythm`.
    """

    source: str
    recogniser: str | None
    confidence: float
    trusted: bool
    reason: str | None
    downbeat_known: bool
    meter: str | None
    tempo_bpm: float | None
    beats_samples: Integers
    beat_positions: Integers
    against: str | None = None
    """How the audio, or their own times, contradict annotated beats."""
    offset_s: float = 0.0
    """By how much the audio lies after the MIDI; the beats are moved already."""


def nothing(reason: str | None = None) -> Grid:
    """Make the grid of a track whose beats are not known."""
    return Grid("none", None, 0.0, False, reason, False, None, None, np.zeros(0, np.int64), np.zeros(0, np.int64))


def find(
    midi_paths: Sequence[Path], mix: Samples | Stored, rate_hz: int, mode: str = "auto", parts: Sequence[PartMidi] = ()
) -> Grid:
    """Find the rhythm of a track; `mode` is auto (MIDI if it is confirmed, else audio), midi, audio or none.

    `mix` is (T,) at `rate_hz`, the sum of the stems that the MIDI files belong to; `parts` are those that have MIDI of their
    own. Never fails on bad input: what is wrong is the grid's `reason`.
    """
    if mode not in limits.SOURCES:
        raise ValueError(f"no such mode: {mode}")
    if mode == "none":
        return nothing()
    reason = None
    if mode != "audio" and midi_paths:
        grid = from_midi(midi_paths, mix, rate_hz, parts)
        if grid.source == "midi":
            return grid
        reason = grid.reason
    if mode == "midi":
        return nothing(reason or "no MIDI")
    return from_audio(mix, rate_hz, reason)


def from_annotation(path: Path, downbeats: Path | None, length: int, rate_hz: int, mix: Samples | Stored | None = None) -> Grid:
    """Take the beats that a dataset states, up to the end of a mix of `length` samples; audio, where given, may contradict them.

    Raises:
        DataError: a file that can't be read, or whose times are not seconds, or not those of beats.
    """
    times_s, counted = annotations.beats(path, downbeats)
    annotations.require_seconds(path, max(times_s, default=0.0), length / rate_hz)
    annotations.require_beats(path, times_s)
    beats_s, positions = np.array(times_s, dtype=np.float64), np.array(counted, dtype=np.int64)
    inside = beats_s < length / rate_hz
    beats_s, positions = beats_s[inside], positions[inside]
    known = bool((positions == 1).any()) and bool(positions.all())
    bars = np.diff(np.flatnonzero(positions == 1))
    meter = f"{int(np.median(bars))}/4" if len(bars) else None
    against = pulse_check.uneven(beats_s, positions)
    if against is None and mix is not None:
        against = _against(beats_s, positions if known else None, mix[: LONGEST_S * rate_hz], rate_hz)
    problem = _join(against, None if known else "downbeats unknown")
    grid = _grid("annotation", path.name, 0.0 if against else 1.0, beats_s, positions, meter, known, problem, rate_hz)
    return replace(grid, against=against)


def _against(beats_s: npt.NDArray[np.float64], positions: Integers | None, mix: Samples, rate_hz: int) -> str | None:
    """Say what audio (T,) tells against annotated beats and bars. Audio in which no steady beats are heard tells no beats."""
    own = _stretch(mix, rate_hz, rate_hz // grid_check.ENVELOPE_HZ)
    steady = len(own.frames) >= FEWEST_BEATS and grid_check.agreement(own.frames, own.envelope) >= LEAST_WITNESS
    if steady and (problem := pulse_check.against(beats_s, own.activation, own.envelope)):
        return problem
    beats_s = beats_s[beats_s < len(mix) / rate_hz]
    if len(beats_s) < FEWEST_BEATS:
        return None
    sums = chord_changes.pitch_sums(mix, rate_hz)
    changes_s = chord_changes.times_s(sums, float(np.median(np.diff(beats_s))))
    if problem := bar_witness.half_beat_against(changes_s, own.activation, beats_s):
        return problem
    if positions is None:
        return None
    downbeats = beat_network.downbeat_share(own.activation, beats_s)
    return bar_witness.bars_against(chord_changes.changes(sums, beats_s), downbeats, positions[: len(beats_s)])


def from_midi(paths: Sequence[Path], mix: Samples | Stored | None, rate_hz: int, parts: Sequence[PartMidi] = ()) -> Grid:
    """Take the grid of MIDI files that share a tempo map, if notes, and audio where given, confirm it.

    An offset to the audio that is beyond doubt is applied; `reason` then states it. The grid ends with the last note or the
    mix. Without a time signature positions and metre stay unknown.
    """
    try:
        tempi = tempo_map.read(paths)
    except DataError as error:
        return nothing(str(error))
    if len(tempi.onsets) < grid_check.FEWEST_NOTES:
        return nothing("MIDI holds too few notes")
    share = grid_check.share_on_grid(tempi)
    if share < LEAST_SHARE:
        return nothing("MIDI notes are off their own grid")
    if grid_check.beat_weight(tempi) < LEAST_BEAT_WEIGHT:
        return nothing("MIDI notes avoid the beats of their grid")
    offset = offset_check.Offset(0.0, True) if mix is None else _offset(tempi, mix, rate_hz, parts)
    if isinstance(offset, str):
        return nothing(offset)
    lag_s = offset.lag_s
    beats_s, positions = tempi.beats()
    inside = (beats_s + lag_s >= 0) & (beats_s + lag_s < (np.inf if mix is None else len(mix) / rate_hz))
    meter = tempi.meter()
    between = meter is not None and bar_check.is_between(tempi)
    downbeat_known = meter is not None and not between and bar_check.lead(tempi) >= LEAST_BAR_LEAD
    reason = None if downbeat_known else "no time signature" if meter is None else BETWEEN if between else NO_BARS
    if not offset.sure:
        reason = "the notes don't tell whether the MIDI is whole beats off"
    beats_s, positions = beats_s[inside] + lag_s, positions[inside]
    grid = _grid("midi", "tempo map", share, beats_s, positions, meter, downbeat_known, reason, rate_hz)
    moved = f"the beats were moved by {1000 * lag_s:+.0f} ms from the MIDI to the audio" if lag_s else None
    return replace(grid, reason=_join(moved, grid.reason), offset_s=lag_s)


def _offset(
    tempi: tempo_map.TempoMap, mix: Samples | Stored, rate_hz: int, parts: Sequence[PartMidi]
) -> offset_check.Offset | str:
    """Find the offset of the MIDI to the audio, 0 if it is small or in doubt, or say how the audio contradicts the notes."""
    envelope, onsets_s = grid_check.onset_envelope(mix, rate_hz), tempi.seconds(tempi.onsets)
    heard = [(_onsets_s(files), own) for files, own in parts] or [(onsets_s, envelope)]
    offset = offset_check.find(tempi, mix[: OFFSET_S * rate_hz], rate_hz, heard)
    if not offset.sure and abs(offset.lag_s) > offset_check.NEAR_S:
        return DISAGREE
    if not offset.sure or abs(offset.lag_s) <= grid_check.LARGEST_LAG_S:
        offset = replace(offset, lag_s=0.0)
    if grid_check.share_in_audio(onsets_s + offset.lag_s, envelope) < LEAST_SHARE:
        return DISAGREE
    drift_s = grid_check.drift_s(onsets_s + offset.lag_s, envelope)
    if abs(drift_s) > grid_check.LARGEST_DRIFT_S:
        return f"the audio drifts by {1000 * drift_s:+.0f} ms against the MIDI"
    return offset


def _onsets_s(paths: Sequence[Path]) -> npt.NDArray[np.float64]:
    """List the onsets of the notes of some files in seconds."""
    files = [tempo_map.read_file(path) for path in paths]
    return np.concatenate([np.zeros(0), *(file.seconds(file.onsets) for file in files)])


def from_audio(mix: Samples | Stored, rate_hz: int, reason: str | None = None) -> Grid:
    """Find beats with BeatNet's probabilities and librosa's beat tracker, and downbeats with BeatNet.

    The level of the mix doesn't matter. Beats of more than `LONGEST_S` are found in stretches. `reason` says why the
    MIDI grid was not taken.
    """
    hop = rate_hz // grid_check.ENVELOPE_HZ
    frames, envelope, activation = _listen(mix, rate_hz, hop)
    if not envelope.any():
        return nothing(_join(reason, "no sound"))
    if len(frames) < FEWEST_BEATS:
        return nothing(_join(reason, "too few beats"))
    beats_s = np.asarray(frames * (hop / rate_hz), dtype=np.float64)
    agreement = grid_check.agreement(frames, envelope)
    positions, bar, lead = beat_network.count_bars(activation, beats_s)
    problem = "downbeats unknown" if lead < LEAST_LEAD else "beats disagree with onsets" if agreement < LEAST_AGREEMENT else None
    recogniser = f"librosa {version('librosa')}, {beat_network.LABEL}"
    grid = _grid("audio", recogniser, agreement, beats_s, positions, f"{bar}/4", lead >= LEAST_LEAD, problem, rate_hz)
    return replace(grid, reason=_join(reason, grid.reason))


class _Stretch(NamedTuple):
    """Frames of beats, the onset envelope at 100 frames/s, and BeatNet's probabilities at 50."""

    frames: Integers
    envelope: npt.NDArray[np.float64]
    activation: beat_network.Floats


def _listen(mix: Samples | Stored, rate_hz: int, hop: int) -> _Stretch:
    """Find the beats of a recording, stretch by stretch. Each is heard with a margin, so that no beat is lost at its ends."""
    margin, envelope = MARGIN_S * rate_hz, np.zeros(len(mix) // hop)
    found, heard = [np.zeros(0, np.int64)], [np.zeros((0, 3), np.float32)]
    for start, stop in stretches(len(mix), rate_hz, LONGEST_S):
        first = max(start - margin, 0)
        own = _stretch(mix[first : stop + margin], rate_hz, hop)
        frames = own.frames + first // hop
        found.append(frames[(frames >= start // hop) & (frames * hop < stop)])
        inside = own.envelope[start // hop - first // hop :][: stop // hop - start // hop]
        envelope[start // hop :][: len(inside)] = inside
        activation = own.activation[(start - first) // rate_hz * beat_network.FRAME_RATE_HZ :]
        heard.append(activation if stop == len(mix) else activation[: (stop - start) // rate_hz * beat_network.FRAME_RATE_HZ])
    joined = np.concatenate(found)
    if len(found) > 2:  # two stretches may find one beat on either side of their border
        joined = joined[np.diff(joined, prepend=-grid_check.ENVELOPE_HZ) >= grid_check.ENVELOPE_HZ * 60 / TEMPI_BPM[1]]
    return _Stretch(joined, envelope, np.concatenate(heard))


def _stretch(mix: Samples, rate_hz: int, hop: int) -> _Stretch:
    """Find the beats of a stretch, in frames from its start."""
    mix = beat_network.level(mix)
    # the spectrum rises fastest one frame after an onset, measured on rendered music
    envelope = grid_check.onset_envelope(mix, rate_hz)[1:].astype(np.float64)
    if not envelope.any():
        silent = np.tile(np.array([0, 0, 1], np.float32), (-(-len(mix) * beat_network.FRAME_RATE_HZ // rate_hz), 1))
        return _Stretch(np.zeros(0, np.int64), envelope, silent)
    activation = beat_network.activations(resample(mix, rate_hz, beat_network.RATE_HZ))
    with turns.first_use("beats"):
        import librosa

        curve = beat_network.onset_envelope(activation, np.arange(len(envelope)) * (hop / rate_hz))
        curve = curve / max(1e-9, curve.std()) + ONSET_WEIGHT * _median_onsets(mix, rate_hz, hop, len(envelope))
        bpm = _curve_bpm(curve, rate_hz, hop)
        _, frames = librosa.beat.beat_track(onset_envelope=curve, sr=rate_hz, hop_length=hop, units="frames", bpm=bpm)
    return _Stretch(np.asarray(frames, np.int64), envelope, activation)


def _curve_bpm(curve: npt.NDArray[np.float64], rate_hz: int, hop: int) -> npt.NDArray[np.float64]:
    """Estimate the tempo as `librosa.beat.beat_track` does, in pieces: its tempogram of 10 minutes would take 2 GB."""
    import librosa

    width = int(librosa.time_to_frames(TEMPOGRAM_S, sr=rate_hz, hop_length=hop))
    padded, total = np.pad(curve, width // 2, mode="linear_ramp"), np.zeros(width)
    for start in range(0, len(curve), TEMPOGRAM_FRAMES):
        piece = padded[start : min(start + TEMPOGRAM_FRAMES, len(curve)) + width - 1]
        total += librosa.feature.tempogram(onset_envelope=piece, win_length=width, center=False).sum(axis=1)
    mean = total[:, None] / len(curve)
    return np.asarray(librosa.feature.tempo(tg=mean, sr=rate_hz, hop_length=hop), np.float64)


def _median_onsets(mix: Samples, rate_hz: int, hop: int, count: int) -> npt.NDArray[np.float64]:
    """Measure onsets as `librosa.beat.beat_track` does, with deviation 1: the median over mel bands of their rise in dB.

    A sum over frequencies, as in `grid_check`, follows the loudest band: cymbals and chords in triplets then hide the beat of a
    rock band, and the tracker takes two thirds of its tempo. librosa's own frames are two of ours late.
    """
    import librosa

    strength = librosa.onset.onset_strength(y=mix, sr=rate_hz, hop_length=hop, aggregate=np.median)
    strength = np.pad(strength, (0, MEL_DELAY_FRAMES + 1))[MEL_DELAY_FRAMES:][:count].astype(np.float64)
    return np.asarray(np.pad(strength, (0, count - len(strength))) / max(1e-9, strength.std()))


def _join(*reasons: str | None) -> str | None:
    return "; ".join(reason for reason in reasons if reason) or None


def _grid(
    source: str,
    recogniser: str,
    confidence: float,
    beats_s: npt.NDArray[np.float64],
    positions: Integers,
    meter: str | None,
    downbeat_known: bool,
    reason: str | None,
    rate_hz: int,
) -> Grid:
    """Turn beat times into samples and decide on trust."""
    tempo_bpm = _tempo_bpm(beats_s)
    plausible = tempo_bpm is not None and TEMPI_BPM[0] <= tempo_bpm <= TEMPI_BPM[1]
    if reason is None and not (plausible and len(beats_s) >= FEWEST_BEATS):
        reason = "too few beats" if plausible else "implausible tempo"
    if not downbeat_known:
        positions, meter = np.zeros_like(positions), None
    samples = np.rint(beats_s * rate_hz).astype(np.int64)
    trusted = reason is None and downbeat_known
    return Grid(source, recogniser, round(confidence, 4), trusted, reason, downbeat_known, meter, tempo_bpm, samples, positions)


def _tempo_bpm(beats_s: npt.NDArray[np.float64]) -> float | None:
    """Average the intervals within 10 % of their median, which alone would be rounded to the tracker's frames."""
    if len(beats_s) < 2:
        return None
    intervals = np.diff(beats_s)
    return float(60 / intervals[np.abs(intervals / np.median(intervals) - 1) <= 0.1].mean())
