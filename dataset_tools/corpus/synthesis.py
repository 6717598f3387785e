"""Render scores with FluidSynth and write them as tracks of Slakh2100's layout (see Manilow et al., WASPAA 2019)."""

import hashlib
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pretty_midi
import yaml

from instructme.dataset_tools import audio
from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.corpus import midi_score, rough_mix
from instructme.dataset_tools.corpus.timbres import Timbre, played_by
from instructme.manifests.rows import DataError

RATE_HZ = 44100
TAIL_S = 1.5
"""How long the last notes may ring after the end of the music."""
TARGET_PEAK_DB = -1.0
_GAIN = 0.5
"""FluidSynth's master gain; samples stay in float, so that it decides nothing but the unit of integrated_loudness."""
_SILENT_LUFS = -70.0
"""The gate of ITU-R BS.1770-4: a stem without a single block above it is silent."""
# Chorus and reverb off: every sound belongs to a note, so that onsets and activity can be checked against the MIDI.
_SETTINGS = {
    "synth.chorus.active": 0,
    "synth.reverb.active": 0,
    "synth.dynamic-sample-loading": 1,
    "synth.lock-memory": 0,
    "synth.polyphony": 512,
}


class Player(NamedTuple):
    """Who plays a part, and what a mixing engineer does to it."""

    timbre: Timbre
    treatment: rough_mix.Treatment

    def about(self) -> dict[str, Any]:
        """Say the same in words that metadata hold."""
        timbre = asdict(self.timbre) | {"soundfont": self.timbre.soundfont.name}
        return {"timbre": timbre, "treatment": asdict(self.treatment)}


def synthesise(path: Path, soundfont: Path, length_samples: int) -> Samples:
    """Render a MIDI file alone, left and right averaged, cut or padded to a length.

    Returns:
        (length_samples,) float32 at RATE_HZ; peaks may exceed 1.

    Raises:
        DataError: FluidSynth fails.
    """
    settings = [part for name, value in _SETTINGS.items() for part in ("-o", f"{name}={value}")]
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "stem.raw"
        command = ["fluidsynth", "-n", "-i", "-q", "-g", str(_GAIN), "-r", str(RATE_HZ), *settings]
        command += ["-T", "raw", "-O", "float", "-E", "little", "-F", str(raw), str(soundfont), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        # FluidSynth plays its default soundfont where it can't load ours, and exits with 0.
        if done.returncode or not raw.exists() or "Failed to load" in done.stderr:
            raise DataError(f"FluidSynth can't render {path.name} with {soundfont}: {' '.join(done.stderr.split())[-300:]}")
        stereo = np.fromfile(raw, dtype="<f4", count=2 * length_samples).reshape(-1, 2)
    mono = stereo.mean(axis=1, dtype=np.float32)
    return np.pad(mono, (0, length_samples - len(mono)))


def write_track(
    folder: Path,
    score: midi_score.Score,
    soundfont: Path,
    end_s: float,
    about: Mapping[str, Any],
    levels_lufs: Mapping[int, float] | None = None,
    players: Mapping[int, Player] | None = None,
) -> None:
    """Write one track: MIDI and audio of each stem, their mix, and metadata; silent stems are left out.

    The mix is the sum of the stems to the bit; its peak, or that of the highest stem, is at -1 dBFS.

    Args:
        folder: a folder that doesn't exist yet.
        score: the music.
        soundfont: what plays it.
        end_s: end of the music; the audio is TAIL_S longer.
        about: more keys of the metadata.
        levels_lufs: loudness of each program; None leaves the balance to the score.
        players: who plays each program in place of the soundfont, and how it is treated.

    Raises:
        DataError: nothing sounds.
    """
    (folder / "MIDI").mkdir(parents=True)
    stems = _stems(folder, score, soundfont, round((end_s + TAIL_S) * RATE_HZ), levels_lufs, players)
    if not stems:
        raise DataError("nothing sounds in it")
    midi_score.write(folder / "all_src.mid", score, [program for program, _, _ in stems.values()])
    gain = _write_audio(folder, {name: samples for name, (_, _, samples) in stems.items()})
    metadata = {
        "UUID": hashlib.md5((folder / "all_src.mid").read_bytes()).hexdigest(),
        "audio_dir": "stems",
        "lmd_midi_dir": "",
        "midi_dir": "MIDI",
        "normalization_factor": None if levels_lufs is None else max(levels_lufs.values()),
        "normalized": levels_lufs is not None,
        "overall_gain": gain,
        "stems": {
            name: _stem(program, loudness_lufs, players[program].timbre.soundfont if players else soundfont)
            | ({"lead": True} if program == score.lead_program else {})
            | (players[program].about() if players else {})
            for name, (program, loudness_lufs, _) in stems.items()
        },
        "target_peak": TARGET_PEAK_DB,
        **about,
    }
    (folder / "metadata.yaml").write_text(yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _stems(
    folder: Path,
    score: midi_score.Score,
    soundfont: Path,
    length_samples: int,
    levels_lufs: Mapping[int, float] | None,
    players: Mapping[int, Player] | None,
) -> dict[str, tuple[int, float, Samples]]:
    """Write the MIDI of each stem that sounds, and render it: its program, loudness in LUFS, and samples."""
    stems: dict[str, tuple[int, float, Samples]] = {}
    for program in score.stems:
        name = f"S{len(stems):02d}"
        path = folder / "MIDI" / f"{name}.mid"
        midi_score.write(path, score, [program])
        player = players[program] if players else None
        samples = _played(score, program, player, length_samples) if player else synthesise(path, soundfont, length_samples)
        loudness_lufs = _loudness_lufs(samples)
        if loudness_lufs < _SILENT_LUFS:
            path.unlink()
            continue
        if levels_lufs is not None:
            level_lufs = levels_lufs[program] + (player.treatment.level_db if player else 0.0)
            samples *= 10 ** ((level_lufs - loudness_lufs) / 20)
            loudness_lufs = level_lufs
        stems[name] = program, loudness_lufs, samples
    return stems


def _played(score: midi_score.Score, program: int, player: Player, length_samples: int) -> Samples:
    """Render a part with its own timbre and treatment."""
    stems = {program: played_by(score.stems[program], player.timbre.program)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "part.mid"
        midi_score.write(path, midi_score.Score(score.ticks_per_beat, score.conductor, stems), [program])
        samples = synthesise(path, player.timbre.soundfont, length_samples)
    return rough_mix.apply(samples, player.treatment, RATE_HZ)


def _write_audio(folder: Path, stems: Mapping[str, Samples]) -> float:
    """Write stems and mix, scaled by the gain that is returned."""
    whole: Samples = np.add.reduce(list(stems.values()))
    gain = 10 ** (TARGET_PEAK_DB / 20) / max(float(np.abs(samples).max()) for samples in [whole, *stems.values()])
    mix = np.zeros(len(whole), dtype=np.int64)
    for name, samples in stems.items():
        scaled = audio.to_int16(samples * np.float32(gain))
        mix += scaled
        audio.write_flac(folder / "stems" / f"{name}.flac", scaled * np.float32(audio.STEP), RATE_HZ)
    audio.write_flac(folder / "mix.flac", mix.astype(np.float32) * np.float32(audio.STEP), RATE_HZ)
    return float(gain)


def _stem(program: int, loudness_lufs: float, soundfont: Path) -> dict[str, Any]:
    drums = program == midi_score.DRUMS
    return {
        "audio_rendered": True,
        "inst_class": _slakh_class(program),
        "integrated_loudness": loudness_lufs,
        "is_drum": drums,
        "midi_program_name": "Drums" if drums else pretty_midi.program_to_instrument_name(program),
        "midi_saved": True,
        "plugin_name": soundfont.name,
        "program_num": program,
    }


def _slakh_class(program: int) -> str:
    """Name the class of a program as Slakh2100 does: the General MIDI family, with names of its own for some."""
    if program == midi_score.DRUMS:
        return "Drums"
    if program >= 119:
        return "Sound effects"
    family: str = pretty_midi.program_to_instrument_class(program)
    return {"Ensemble": "Strings (continued)", "Synth Effects": "Sound Effects"}.get(family, family)


def _loudness_lufs(samples: Samples) -> float:
    """Measure the integrated loudness (ITU-R BS.1770-4), minus infinity where every block is under the gate."""
    import pyloudnorm

    return float(pyloudnorm.Meter(RATE_HZ).integrated_loudness(samples))
