"""Render a pack of songs into a bank of parts, on all cores of a machine without our dependencies.

    python3 tests/gpu/render_music.py PACK BANK --workers 15 --passes 2

Each part is played by a soundfont or by real recordings, drawn from the seed. With --plain FONT, this soundfont of the pack plays
all parts, each with its own program. Finished songs are kept. Needs numpy, mido and soundfile, and the fluidsynth of the pack.
See pack_music.py for what a pack holds.
"""

import argparse
import json
import os
import subprocess
import tempfile
import zlib
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import mido
import numpy as np
import soundfile

RATE_HZ = 24_000
TAIL_S = 1.0
REAL_SHARE = 0.4
"""Share of the parts that real recordings play, where there are some of the instrument."""
RMS_DB = -20.0
_DRUM_KITS = (0, 0, 8, 16, 24, 25, 32, 40)
_HITS = {
    **dict.fromkeys((35, 36), "kick"),
    **{37: "snare_sidestick", 38: "snare", 40: "snare", 42: "hihat_closed", 44: "hihat_foot", 46: "hihat_open"},
    **{41: "tom_floor", 43: "tom_floor", 45: "tom_mid", 47: "tom_mid", 48: "tom_high", 50: "tom_high"},
    **{
        49: "cymbal_crash",
        57: "cymbal_crash",
        51: "cymbal_ride",
        59: "cymbal_ride",
        52: "cymbal_china",
        53: "cymbal_ridebell",
        55: "cymbal_crash",
    },
}
_INSTEAD = {
    "snare_sidestick": "snare", "hihat_foot": "hihat_closed", "cymbal_ridebell": "cymbal_ride", "cymbal_china": "cymbal_crash",
    "cymbal_ride": "cymbal_crash", "cymbal_crash": "hihat_open", "tom_high": "tom_mid", "tom_floor": "tom_mid",
}  # fmt: skip


class Sounds:
    """Real recordings: hits of drum kits, notes of instruments, and whole stems."""

    def __init__(self, pack: Path) -> None:
        self.rows: list[dict[str, Any]] = json.loads((pack / "sounds.json").read_text())
        self.samples = soundfile.read(pack / "sounds.ogg", dtype="float32")[0]
        self.kits: dict[str, dict[str, list[np.ndarray]]] = {}
        self.notes: dict[str, dict[str, dict[int, list[np.ndarray]]]] = {}
        for row in self.rows:
            start, length = row["file"]
            sound = self.samples[start : start + length]
            if row["kind"] == "hit":
                self.kits.setdefault(row["kit"], {}).setdefault(row["instrument"], []).append(sound)
            elif row["kind"] == "note":
                for name in row["names"]:
                    keys = self.notes.setdefault(name, {}).setdefault(f"{row['kit']}", {})
                    keys.setdefault(int(float(row["midi"])), []).append(sound)
        for kit in self.kits.values():
            for hits in kit.values():
                hits.sort(key=lambda sound: float(np.square(sound[:2400]).sum()))

    def drums(self, notes: list[tuple[float, float, int, int]], seconds: float, rng: np.random.Generator) -> np.ndarray:
        """Play General MIDI drum notes with a kit."""
        whole = [name for name, kit in self.kits.items() if "kick" in kit]
        kit = dict(self.kits[whole[rng.integers(len(whole))]])
        if rng.random() < 0.3 and "frankensnare" in self.kits:
            kit["snare"] = self.kits["frankensnare"]["snare"]
        sound = np.zeros(round(seconds * RATE_HZ) + 4 * RATE_HZ, np.float32)
        for start_s, _, key, velocity in notes:
            role = _HITS.get(key)
            while role and role not in kit:
                role = _INSTEAD.get(role)
            if role:
                hits = kit[role]
                which = int(np.clip(round(velocity / 127 * (len(hits) - 1) + rng.normal(0, 1)), 0, len(hits) - 1))
                _add(sound, hits[which] * (0.3 + 0.7 * velocity / 127), start_s)
        return sound[: round(seconds * RATE_HZ)]

    def play(self, name: str, notes: list[tuple[float, float, int, int]], seconds: float, rng: np.random.Generator) -> np.ndarray:
        """Play notes with the recordings of one instrument."""
        sets = list(self.notes[name].values())
        keys = sets[rng.integers(len(sets))]
        pitches = np.array(sorted(keys))
        sound = np.zeros(round(seconds * RATE_HZ) + 5 * RATE_HZ, np.float32)
        for start_s, length_s, key, velocity in notes:
            near = int(pitches[np.argmin(np.abs(pitches - key))])
            if abs(key - near) > 7:
                near = int(pitches[np.argmin(np.abs(pitches - key) % 12)])
                key = near + (key - near) % 12 if (key - near) % 12 < 6 else near + (key - near) % 12 - 12
            takes = keys[near]
            note = takes[rng.integers(len(takes))]
            if key != near:
                place = np.arange(0, len(note) - 1, 2 ** ((key - near) / 12))
                note = np.interp(place, np.arange(len(note)), note).astype(np.float32)
            note = note[: round((length_s + 0.08) * RATE_HZ)].copy()
            fade = min(len(note), round(0.08 * RATE_HZ))
            note[len(note) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
            _add(sound, note * (0.25 + 0.75 * velocity / 127), start_s)
        sound = sound[: round(seconds * RATE_HZ)]
        if name == "distorted electric guitar":
            sound = _amplified(sound, rng)
        return sound


def _add(sound: np.ndarray, note: np.ndarray, start_s: float) -> None:
    start = round(start_s * RATE_HZ)
    room = len(sound) - start
    if start >= 0 and room > 0:
        sound[start : start + len(note)] += note[:room]


def _amplified(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Drive a guitar's direct signal, then roll off the highs as a loudspeaker does."""
    level = np.sqrt(np.square(sound).mean() + 1e-9)
    driven = np.tanh(sound / level * rng.uniform(3, 15))
    spectrum = np.fft.rfft(driven)
    hz = np.fft.rfftfreq(len(driven), 1 / RATE_HZ)
    spectrum *= 1 / (1 + (hz / rng.uniform(3500, 5500)) ** 4) * (hz / 80) ** 2 / (1 + (hz / 80) ** 2)
    return np.fft.irfft(spectrum, len(driven)).astype(np.float32)


def notes_of(file: mido.MidiFile, track: mido.MidiTrack) -> list[tuple[float, float, int, int]]:
    """List the notes of a track: start and length in seconds, key, velocity."""
    tempi, tick = [(0, 500_000)], 0
    for message in file.tracks[0]:
        tick += message.time
        if message.type == "set_tempo":
            tempi.append((tick, message.tempo))
    ticks = np.array([each[0] for each in tempi])
    rates = np.array([each[1] for each in tempi]) / (1e6 * file.ticks_per_beat)
    times = np.concatenate([[0.0], np.cumsum(np.diff(ticks) * rates[:-1])])

    def seconds(tick: int) -> float:
        index = int(np.searchsorted(ticks, tick, side="right")) - 1
        return float(times[index] + (tick - ticks[index]) * rates[index])

    notes, sounding, tick = [], {}, 0
    for message in track:
        tick += message.time
        if message.type in ("note_on", "note_off"):
            key = (message.channel, message.note)
            if key in sounding:
                start, velocity = sounding.pop(key)
                notes.append((start, seconds(tick) - start, message.note, velocity))
            if message.type == "note_on" and message.velocity:
                sounding[key] = (seconds(tick), message.velocity)
    return sorted(notes)


def fluidsynth(pack: Path, font: Path, file: mido.MidiFile, track: mido.MidiTrack, program: int, seconds: float) -> np.ndarray:
    """Play one track with one program (128 and more: a drum kit)."""
    played = mido.MidiFile(type=1, ticks_per_beat=file.ticks_per_beat)
    changed = [message.copy(program=program % 128) if message.type == "program_change" else message for message in track]
    if program >= 128:
        changed.insert(0, mido.Message("program_change", channel=9, program=program - 128, time=0))
    played.tracks = [file.tracks[0], mido.MidiTrack(changed)]
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        midi, raw = Path(folder) / "part.mid", Path(folder) / "part.raw"
        played.save(midi)
        command = [str(pack / "fl" / "fluidsynth"), "-n", "-i", "-q", "-g", "0.4", "-r", str(RATE_HZ), "-R", "0", "-C", "0"]
        command += ["-o", "synth.dynamic-sample-loading=1", "-o", "synth.lock-memory=0", "-o", "synth.cpu-cores=1"]
        command += ["-T", "raw", "-O", "float", "-E", "little", "-F", str(raw), str(font), str(midi)]
        environment = {**os.environ, "LD_LIBRARY_PATH": str(pack / "fl")}
        subprocess.run(command, env=environment, capture_output=True, timeout=120, check=True)
        stereo = np.fromfile(raw, dtype="<f4").reshape(-1, 2)
    mono = stereo.mean(axis=1)[: round(seconds * RATE_HZ)]
    return np.pad(mono, (0, round(seconds * RATE_HZ) - len(mono)))


def levelled(sound: np.ndarray) -> np.ndarray | None:
    """Bring the sounding blocks of a part to RMS_DB as int16, peaks limited; None if it is silent."""
    blocks = sound[: len(sound) // 2400 * 2400].reshape(-1, 2400)
    power = np.square(blocks).mean(axis=1)
    if not len(power) or power.max() < 1e-8:
        return None
    rms = np.sqrt(power[power > power.max() * 1e-3].mean())
    gain = min(10 ** (RMS_DB / 20) / rms, 0.98 / np.abs(sound).max())
    return np.round(sound * gain * 32767).astype("<i2")


_STATE: dict[str, Any] = {}


def _start(pack: Path, plain: str | None) -> None:
    _STATE["sounds"], _STATE["pack"], _STATE["plain"] = Sounds(pack), pack, plain
    _STATE["fonts"] = [pack / "fonts" / plain] if plain else sorted((pack / "fonts").iterdir())
    _STATE["programs"] = json.loads((pack / "programs.json").read_text())


def render_song(about: dict[str, Any], bank: Path, take: int, seed: int) -> str:
    """Render one song and write its two files; the JSON comes last."""
    sounds, pack, fonts, instrument_of = _STATE["sounds"], _STATE["pack"], _STATE["fonts"], _STATE["programs"]
    rng, plain = np.random.default_rng([seed, zlib.crc32(about["song"].encode()), take]), _STATE["plain"]
    file = mido.MidiFile(pack / "songs" / f"{about['song']}.mid", clip=True)
    seconds = min(about["seconds"], 150.0) + TAIL_S
    parts: dict[str, tuple[np.ndarray, list[str]]] = {}
    for program, track in zip(about["programs"], file.tracks[1:], strict=False):
        name = instrument_of[str(program)]
        notes = notes_of(file, track)
        if not notes:
            continue
        if name == "drums" and not plain and sounds.kits and rng.random() < REAL_SHARE + 0.1:
            sound, timbre = sounds.drums(notes, seconds, rng), "real kit"
        elif name in sounds.notes and not plain and rng.random() < REAL_SHARE:
            sound, timbre = sounds.play(name, notes, seconds, rng), "real notes"
        else:
            font = fonts[rng.integers(len(fonts))]
            same = [int(each) for each, named in instrument_of.items() if named == name] if program < 128 else []
            other = same[rng.integers(len(same))] if same else 128 + int(rng.choice(_DRUM_KITS))
            chosen = program if plain else other
            sound, timbre = fluidsynth(pack, font, file, track, chosen, seconds), font.stem
        before = parts.get(name)
        parts[name] = (sound if before is None else before[0] + sound, [timbre] if before is None else [*before[1], timbre])
    levels = {name: (levelled(sound), timbres) for name, (sound, timbres) in parts.items()}
    return _write(bank, _name(about, take, plain), about, levels)


def _name(about: dict[str, Any], take: int, plain: str | None) -> str:
    return f"{about['song']}-{'plain' if plain else ''}{take}"


def _write(bank: Path, name: str, about: dict[str, Any], parts: dict[str, tuple[np.ndarray | None, list[str]]]) -> str:
    rows, place = [], 0
    with (bank / f"{name}.i16").open("wb") as file:
        for instrument, (sound, timbres) in parts.items():
            if sound is not None:
                file.write(sound.tobytes())
                rows.append(
                    {"instrument": instrument, "start": place, "samples": len(sound), "timbre": "+".join(sorted(set(timbres)))}
                )
                place += len(sound)
    known = {key: about.get(key, "") for key in ("song", "split", "source", "genre")}
    text = json.dumps(known | {"rate_hz": RATE_HZ, "parts": rows})
    (bank / f"{name}.tmp").write_text(text)
    (bank / f"{name}.tmp").rename(bank / f"{name}.json")
    return name


def write_recordings(pack: Path, bank: Path) -> None:
    """Write stems and phrases of real songs as they are."""
    sounds = Sounds(pack)
    songs: dict[str, list[dict[str, Any]]] = {}
    for number, row in enumerate(sounds.rows):
        if row["kind"] in ("stem", "phrase"):
            songs.setdefault(row["kit"] if row["kind"] == "stem" else str(number), []).append(row)
    for number, rows in enumerate(songs.values()):
        parts = {row["names"][0]: (levelled(sounds.samples[row["file"][0] :][: row["file"][1]]), ["recording"]) for row in rows}
        _write(
            bank, f"recording-{number:02d}", {"song": f"recording-{number}", "split": "train", "source": rows[0]["source"]}, parts
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pack", type=Path)
    parser.add_argument("bank", type=Path)
    parser.add_argument("--workers", type=int, default=15)
    parser.add_argument("--passes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--songs", type=int, default=None)
    parser.add_argument("--plain", metavar="FONT", help="name of a soundfont of the pack, which plays all parts as they are")
    options = parser.parse_args()
    options.bank.mkdir(parents=True, exist_ok=True)
    songs = json.loads((options.pack / "songs.json").read_text())
    order = np.random.default_rng(options.seed).permutation(len(songs))[: options.songs]
    # A few songs for test come first, so that validation can begin early.
    tests = [each for each in order if songs[each]["split"] == "test"]
    rest = [each for each in order if songs[each]["split"] != "test"]
    order = tests[:12] + rest[:100] + tests[12:] + rest[100:]
    if not options.plain:
        write_recordings(options.pack, options.bank)
    wanted = [
        (songs[index], take) for take in range(options.passes) for index in order if take == 0 or songs[index]["split"] == "train"
    ]
    jobs = [(about, take) for about, take in wanted if not (options.bank / f"{_name(about, take, options.plain)}.json").exists()]
    with ProcessPoolExecutor(options.workers, initializer=_start, initargs=(options.pack, options.plain)) as pool:
        waiting = [(about["song"], pool.submit(render_song, about, options.bank, take, options.seed)) for about, take in jobs]
        failed = 0
        for number, (name, each) in enumerate(waiting, 1):
            try:
                each.result()
            except Exception as error:
                failed += 1
                print(f"can't render {name}: {error}", flush=True)
            if number % 100 == 0:
                print(f"rendered {number} of {len(waiting)} songs, {failed} failed", flush=True)


if __name__ == "__main__":
    main()
