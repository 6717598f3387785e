"""Measure how well remixes are aligned, by the onsets of the audio that they are rendered to.

    python tests/benchmarks/remix.py OUT

OUT gets two small datasets: songs of a steady tempo, and songs whose tempo drifts by up to 4 % within a song, as bands do
without a click. Each is scanned, prepared and paired. Then both sides of each remix are rendered with the
drums alone, whose attacks are alike, and the onset nearest to each beat of the source is located in both to a millisecond. The
beats come from the tempo maps that the songs were written with; the grid that made the recipes isn't used.

The last line of each says what the law of the task notices of targets that are moved.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import mido
import numpy as np
import yaml

from instructme.dataset_tools import audio
from instructme.dataset_tools.audio import Pcm, Samples
from instructme.dataset_tools.corpus import midi_score
from instructme.dataset_tools.pairing.edits import PairOptions
from instructme.dataset_tools.sharding import laws, library, render, windows
from instructme.manifests import tables
from instructme.manifests.rows import Triplet
from instructme.pipelines.stages.pair import pair
from instructme.pipelines.stages.prepare import prepare
from instructme.pipelines.stages.scan import scan

SONGS, BEATS, TICKS, RATE_HZ = 12, 96, 480, 24000
PARTS = {
    midi_score.DRUMS: ("Drums", "Drums"),
    33: ("Electric Bass (finger)", "Bass"),
    0: ("Acoustic Grand Piano", "Piano"),
}
DRIFTS = {"steady": 0.0, "drifting": 0.04}
CHORDS = ((60, 64, 67), (57, 60, 64), (53, 57, 60), (55, 59, 62))
MOVED_MS = (0, 20, 30, 40, 50, 60)
REACH_MS = 60
ONLY_DRUMS = {"source_instruments": ["drums"], "target_instruments": ["drums"]}


def tempi(number: int, drift: float) -> np.ndarray:
    """Draw the tempo of each beat in bpm: a slow swing and a random walk around that of the song."""
    rng = np.random.default_rng(number)
    swing = np.sin(2 * np.pi * (np.arange(BEATS) / rng.uniform(40, 80) + rng.random()))
    walk = np.cumsum(rng.normal(0, 0.1, BEATS))
    return rng.uniform(100, 108) * (1 + drift * np.clip(0.7 * swing + 0.3 * walk, -1, 1))


def score(bpm: np.ndarray) -> midi_score.Score:
    """Write drums, bass and piano, each of which strikes on every beat."""
    conductor = [(0, mido.MetaMessage("time_signature", numerator=4, denominator=4))]
    conductor += [(beat * TICKS, mido.MetaMessage("set_tempo", tempo=round(60e6 / each))) for beat, each in enumerate(bpm)]
    stems: dict[int, list[midi_score.Event]] = {program: [] for program in PARTS}
    for beat in range(BEATS):
        chord = CHORDS[beat // 4 % 4]
        struck = {midi_score.DRUMS: (36 if beat % 2 == 0 else 38, 42), 33: (chord[0] - 24,), 0: chord}
        for channel, (program, notes) in enumerate(struck.items(), 9):
            for note in notes:
                on = {"channel": channel, "note": note, "velocity": 100}
                stems[program].append((beat * TICKS, mido.Message("note_on", **on)))
                stems[program].append((beat * TICKS + TICKS * 3 // 4, mido.Message("note_off", channel=channel, note=note)))
    for channel, program in ((10, 33), (11, 0)):
        stems[program].append((0, mido.Message("program_change", channel=channel, program=program)))
    ordered = {
        program: sorted(events, key=lambda event: (event[0], event[1].type != "program_change"))
        for program, events in stems.items()
    }
    return midi_score.Score(TICKS, conductor, ordered)


def play(notes: midi_score.Score, program: int, length: int) -> Samples:
    """Play a part: each note begins at once and decays; drums are noise, low ones with a tone."""
    sound = np.zeros(length + RATE_HZ, dtype=np.float32)
    struck = [(tick, message.note) for tick, message in notes.stems[program] if message.type == "note_on"]
    noise = np.random.default_rng(program).normal(0, 1, RATE_HZ // 2)
    time = np.arange(RATE_HZ // 2) / RATE_HZ
    for (_, note), at_s in zip(struck, midi_score.seconds(notes, [tick for tick, _ in struck]), strict=True):
        hz = 440 * 2 ** ((note - 69) / 12)
        tone = noise * np.exp(-time * 40) if program == midi_score.DRUMS else np.sin(2 * np.pi * hz * time) * np.exp(-time * 6)
        begin = round(at_s * RATE_HZ)
        sound[begin : begin + len(tone)] += 0.1 * tone.astype(np.float32)
    return sound[:length]


def make(folder: Path, drift: float) -> dict[str, np.ndarray]:
    """Write the songs as a dataset of Slakh's layout; give the true beats of each in seconds.

    FluidSynth doesn't play them: with a tempo event on every beat, its clock runs up to 20 ms away from the tempo map.
    """
    beats_s = {}
    for number in range(SONGS):
        song = score(tempi(number, drift))
        name = f"Track{number:05d}"
        beats_s[name] = np.array(midi_score.seconds(song, [beat * TICKS for beat in range(BEATS)]))
        length = round((float(beats_s[name][-1]) + 1) * RATE_HZ)
        (folder / name / "MIDI").mkdir(parents=True, exist_ok=True)
        stems = {}
        for index, (program, (instrument, kind)) in enumerate(PARTS.items()):
            stem = f"S{index:02d}"
            midi_score.write(folder / name / "MIDI" / f"{stem}.mid", song, [program])
            audio.write_flac(folder / name / "stems" / f"{stem}.flac", play(song, program, length), RATE_HZ)
            about = {"is_drum": program == midi_score.DRUMS, "program_num": program, "plugin_name": "none"}
            stems[stem] = {
                "inst_class": kind,
                "midi_program_name": instrument,
                "audio_rendered": True,
                "midi_saved": True,
                **about,
            }
        midi_score.write(folder / name / "all_src.mid", song, list(PARTS))
        metadata = {"UUID": name, "audio_dir": "stems", "midi_dir": "MIDI", "stems": stems, "licence": "CC0-1.0"}
        (folder / name / "metadata.yaml").write_text(yaml.safe_dump({**metadata, "genre": ("Rock", "Jazz")[number % 2]}))
    return beats_s


def onset_ms(samples: Samples, at_s: np.ndarray, rate_hz: int) -> np.ndarray:
    """Locate the steepest rise of energy within `REACH_MS` of each time: its distance in ms, to a millisecond."""
    hop = rate_hz // 1000
    energy = np.convolve(np.square(samples, dtype=np.float64), np.ones(4 * hop) / (4 * hop), mode="same")[::hop]
    rise = np.diff(np.log(energy + 1e-6), prepend=np.log(energy[0] + 1e-6))
    rise = np.convolve(rise, np.ones(4), mode="same")
    lags = np.arange(-REACH_MS, REACH_MS + 1)
    frames = np.rint(at_s * 1000).astype(int)[:, None] + lags
    return lags[rise[np.clip(frames, 0, len(rise) - 1)].argmax(axis=1)].astype(float)


def measure(work: Path, beats_s: dict[str, np.ndarray]) -> None:
    """Print the errors of all remixes, and what the law notices."""
    music = library.read(work)
    recipes = [recipe for recipe in tables.read_rows(work / "triplets.parquet", Triplet) if recipe.task == "remix"]

    def read(track_id: str, instrument: str, start: int, length: int) -> Pcm:
        return windows.read(music.part(track_id, instrument), start, length)

    errors, noticed = [], []
    for recipe in recipes:
        sides = render.render(recipe, read, rate_hz=music.rate_hz)
        name = next(name for name in beats_s if recipe.source_track.endswith(name.lower()))
        beats = beats_s[name] - recipe.source_start_samples / music.rate_hz
        beats = beats[(beats > 0.1) & (beats < recipe.length_samples / music.rate_hz - 0.1)]
        drums = render.render(replace(recipe, **ONLY_DRUMS), read, rate_hz=music.rate_hz)
        found = [onset_ms(side, beats, music.rate_hz) for side in (drums.source, drums.target)]
        errors.append(np.abs(found[1] - found[0]))
        at = np.rint(beats * music.rate_hz).astype(np.int64)
        moved = [np.roll(sides.target, milliseconds * music.rate_hz // 1000) for milliseconds in MOVED_MS]
        noticed.append([laws.off_the_beat(samples, at, music.rate_hz) is not None for samples in moved])
    every = np.concatenate(errors)
    print(f"  {len(recipes)} remixes, stretched {np.mean([recipe.target_stretch != 1 for recipe in recipes]):.2f}")
    print("  onset error of a beat: median {:.0f} ms, p90 {:.0f} ms, p99 {:.0f} ms".format(*np.percentile(every, [50, 90, 99])))
    print(f"  remixes whose median error is over 10 ms: {np.mean([np.median(each) > 10 for each in errors]):.2f}")
    stated = np.array([recipe.beat_error_ms for recipe in recipes])
    print(f"  beat_error_ms of the recipes: median {np.median(stated):.1f}, most {stated.max():.1f}")
    shares = ", ".join(f"{ms} ms {share:.2f}" for ms, share in zip(MOVED_MS, np.mean(noticed, axis=0), strict=True))
    print(f"  moved targets noticed: {shares}")


def main() -> None:
    """Make, pair and measure both datasets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=200, help="remixes of each dataset")
    options = parser.parse_args()
    for kind, drift in DRIFTS.items():
        print(kind, flush=True)
        folder, work = options.out / kind / "songs", options.out / kind / "work"
        beats_s = make(folder, drift)
        scan([folder], work, split=(1.0, 0.0, 0.0))
        prepare(work, workers=0, chords="none")
        settings = PairOptions(remix_harmony=0.0, tempo_tolerance=0.1)
        pair(work, counts={"remix": options.count}, eval_count=0, options=settings)
        measure(work, beats_s)


if __name__ == "__main__":
    main()
