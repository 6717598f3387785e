"""Pack songs, soundfonts and recorded sounds for render_music.py.

    python tests/gpu/pack_music.py PACK --midi FOLDER --sounds FOLDER --font FILE.sf2 [--hours 11]

Songs are the charts of the built-in corpus, played by MMA in all fitting grooves, and General MIDI songs of the folders of
--midi. The charts of the corpus's validation and test splits, and one of twelve other songs, are for test. A folder of sounds
holds index.tsv (path, source, family, instrument, kind, midi). `tar cJf pack.tar.xz PACK` makes it ready to travel.
"""

import argparse
import csv
import hashlib
import json
import shutil
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from tqdm import tqdm

from instructme.dataset_tools.corpus import arrange, midi_score, songs
from instructme.manifests.instruments import _PROGRAMS
from instructme.manifests.rows import DataError

SEED, SONG_S, LONGEST_S, SHORTEST_S = 77, 75.0, 150.0, 15.0
LONGEST_SOUND_S = {"oneshot": 2.5, "note": 4.0}
VORBIS = 0.75
"""Compression of the sounds, 0 to 1."""
KITS = ("muldjordkit/mix", "gogodze_phu_vol2/mix", "gogodze_phu_vol2/retro", "frankensnare")
"""Kits to train on; the other kits, and the Hofner guitar, are kept for the out-of-domain test."""
NOTES = {
    "electric_guitar_clean_gretsch": "clean electric guitar",
    "electric_guitar_di_sg": "distorted electric guitar",
    "archtop_guitar_pickup": "clean electric guitar",
    "electric_guitar": "clean electric guitar",
    **dict.fromkeys(
        ("archtop_guitar_acoustic_mic", "acoustic_guitar_steel", "acoustic_guitar", "nylon_guitar"), "acoustic guitar"
    ),
    **dict.fromkeys(("electric_bass_finger", "electric_bass_pick_di"), "electric bass"),
    **dict.fromkeys(("double_bass_pizz", "double_bass", "double_bass_arco"), "double bass"),
    "rhodes": "electric piano",
    "upright_piano": "piano",
    "string_section_tremolo": "string section",
    "alto_sax": "alto saxophone",
    "french_horn": "french horn",
    **{name: name for name in ("cello", "violin", "trumpet", "bassoon", "clarinet", "flute", "sitar")},
}
SHARE_ALIKE = ("philharmonia", "guitarset")
"""Left out: notes under a share-alike licence, and fragments."""
STEMS = {"bass_synth": "synth bass", "drums": "drum machine", "fx": "sound effects", "synth": "synthesizer", "vocals": "vocals"}
HELD_OUT_SONGS = ("4_", "6_", "7_")
"""Songs in stems that are for evaluation."""


def main() -> None:
    """Write the pack; finished songs are kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pack", type=Path)
    parser.add_argument("--midi", type=Path, action="append", default=[])
    parser.add_argument("--sounds", type=Path)
    parser.add_argument("--font", type=Path, action="append", default=[], help="a General MIDI soundfont; may be repeated")
    parser.add_argument("--hours", type=float, default=11.0, help="music of our own charts")
    options = parser.parse_args()
    (options.pack / "songs").mkdir(parents=True, exist_ok=True)
    (options.pack / "fonts").mkdir(exist_ok=True)
    found = [*_charts(options.pack, options.hours), *_general_midi(options.pack, options.midi)]
    (options.pack / "songs.json").write_text(json.dumps(found))
    (options.pack / "programs.json").write_text(json.dumps(_PROGRAMS))
    _sounds(options.pack, options.sounds)
    for font in options.font:
        shutil.copy(font, options.pack / "fonts")
    _synthesiser(options.pack / "fl")


def _charts(pack: Path, hours: float) -> Iterator[dict[str, Any]]:
    for number, song in enumerate(tqdm(songs.plan(None, SONG_S, hours * 3600, SEED), unit="song")):
        name = f"mma-{number:04d}"
        path, about = pack / "songs" / f"{name}.mid", pack / "songs" / f"{name}.json"
        if not about.exists():
            score, _ = arrange.score(song)
            midi_score.write(path, score, list(score.stems))
            split = "train" if song.split == "train" else "test"
            about.write_text(json.dumps(_about(name, split, "MMA", song.music_s, score) | {"genre": song.groove.genre}))
        yield json.loads(about.read_text())


def _general_midi(pack: Path, folders: list[Path]) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    for path in sorted(path for folder in folders for path in folder.rglob("*") if path.suffix.lower() in (".mid", ".midi")):
        digest = hashlib.sha1(path.read_bytes()).hexdigest()
        if digest in seen:
            continue
        seen.add(digest)
        try:
            score = midi_score.cut(midi_score.split(midi_score.read(path)), LONGEST_S)
            ticks = [tick for events in score.stems.values() for tick, each in events if each.type in ("note_on", "note_off")]
            seconds = max(midi_score.seconds(score, ticks), default=0.0)
        except DataError:
            continue
        if seconds >= SHORTEST_S:
            name = f"gm-{digest[:10]}"
            midi_score.write(pack / "songs" / f"{name}.mid", score, list(score.stems))
            split = "test" if zlib.crc32(digest.encode()) % 12 == 0 else "train"
            yield _about(name, split, path.parent.name, min(seconds, LONGEST_S), score)


def _about(name: str, split: str, source: str, seconds: float, score: midi_score.Score) -> dict[str, Any]:
    return {"song": name, "split": split, "source": source, "seconds": seconds, "programs": list(score.stems)}


def _sounds(pack: Path, folder: Path | None) -> None:
    """Join the chosen recordings to one Ogg file, with an index of where each lies."""
    rows, sounds, place = [], [np.zeros(1, np.float32)], 1
    for row in _table(folder) if folder else ():
        kind, names = _use(row)
        if not kind or folder is None:
            continue
        sound, rate_hz = soundfile.read(folder / row["path"], dtype="float32")
        sound = sound[: round(LONGEST_SOUND_S.get(row["kind"], 1e6) * rate_hz)].copy()
        fade = min(len(sound), 1200)
        sound[len(sound) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
        kit = str(Path(row["path"]).parent)
        rows.append({"file": [place, len(sound)], "kind": kind, "names": names, "kit": kit} | {each: row[each] for each in _KEPT})
        sounds.append(sound)
        place += len(sound)
    whole = np.concatenate(sounds)
    with soundfile.SoundFile(
        pack / "sounds.ogg", "w", 24_000, 1, format="OGG", subtype="VORBIS", compression_level=VORBIS
    ) as file:
        for start in range(0, len(whole), 240_000):  # libsndfile overflows its stack on long blocks
            file.write(whole[start : start + 240_000])
    (pack / "sounds.json").write_text(json.dumps(rows))


_KEPT = ("instrument", "midi", "licence", "source", "path")


def _table(folder: Path) -> Iterator[dict[str, str]]:
    with (folder / "index.tsv").open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file, delimiter="\t")


def _use(row: dict[str, str]) -> tuple[str, list[str]]:
    """Tell how a recording is used: as a hit, a note, a phrase or a stem, and of which instruments; "" if it is not."""
    folder, top = str(Path(row["path"]).parent), row["path"].split("/")[0]
    if row["kind"] == "oneshot" and row["family"] == "drums" and folder in KITS:
        return "hit", ["drums"]
    if row["kind"] == "note" and row["midi"] and row["instrument"] in NOTES and top not in SHARE_ALIKE:
        return ("note", [NOTES[row["instrument"]]]) if "staccato" not in row["path"] else ("", [])
    if top in ("voice_everything_is_free", "vocadito"):
        return "phrase", ["vocals"]
    if top == "sms_tools" and row["family"] == "voice":
        return "phrase", ["female vocals" if "female" in row["instrument"] else "male vocals"]
    if top == "songs" and row["kind"] == "stem" and row["instrument"] in STEMS:
        return ("stem", [STEMS[row["instrument"]]]) if not Path(folder).name.startswith(HELD_OUT_SONGS) else ("", [])
    return "", []


def _synthesiser(folder: Path) -> None:
    """Copy FluidSynth and the libraries that it needs, all but the C library's own."""
    folder.mkdir(exist_ok=True)
    program = shutil.which("fluidsynth") or "/usr/bin/fluidsynth"
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    paths = [line.split("=> ")[1].split()[0] for line in listed.splitlines() if "=> /" in line]
    own = ("libc.so", "libm.so", "libpthread", "libdl.so", "librt.so", "ld-linux")
    for path in [program, *(each for each in paths if not Path(each).name.startswith(own))]:
        shutil.copy(path, folder / Path(path).name)


if __name__ == "__main__":
    main()
