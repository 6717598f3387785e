"""Render the built-in corpus: plan the songs, render those that are missing, and count."""

import dataclasses
import json
import shutil
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from instructme.dataset_tools.corpus import arrange, midi_score, real, rough_mix, songs, synthesis, timbres
from instructme.manifests.files import atomic_folder, sweep
from instructme.manifests.rows import SPLITS, DataError
from instructme.manifests.tables import sha256, tool_version
from instructme.pipelines.processes import engine, resume

TIERS: dict[str, tuple[Sequence[str] | None, float]] = {"mini": (songs.MINI, 24.0), "standard": (None, 60.0)}
"""Charts and least length of a song in seconds; None is all charts."""
FLUIDR3 = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
"""The soundfont of a folder of recordings, while songs are rendered; other machines of a cluster read it too."""
RECIPE = "recipe.json"
"""The marker of a finished track: all that decides its bytes."""
# Neither MMA's manual nor its FAQ says what licence the music it writes has. Its patterns are GPL-2 or later and go into the
# music, so no more is granted than that. The charts are ours (Apache-2.0), FluidR3 is MIT.
LICENCE = "GPL-2.0-or-later"


@dataclass(frozen=True)
class SongUnit(resume.MarkedUnit):
    """One song to be rendered into the folder of its marker, which will hold the recipe."""

    song: songs.Song | real.GmSong
    soundfont: Path
    orchestra: timbres.Orchestra | None = None
    seed: int = 0


@dataclass(frozen=True)
class CorpusSummary:
    """Counts of a corpus: all tracks, tracks kept from an earlier run, stems, minutes, genres and rejects."""

    tracks: int
    kept: int
    stems: int
    minutes: float
    genres: Counter[str]
    rejects: Counter[str]
    missing: Sequence[str] = ()
    """Sources of timbres that are not installed, each with the package that brings it."""


def corpus(
    root: Path,
    *,
    tier: str = "mini",
    hours: float | None = None,
    soundfonts: Sequence[Path] = (),
    midi: Path | None = None,
    timbres_of: str | None = None,
    sounds: Path | None = None,
    seed: int = 0,
    workers: int | None = None,
) -> CorpusSummary:
    """Render a corpus in the layout of Slakh2100. Finished songs are kept.

    `timbres_of` names sources of timbres ("varied", "held-out", or names between commas): each part gets one of them and a
    treatment, drawn from the seed. `sounds` is a folder of recordings that play too.

    The same arguments give the same bytes, for any number of workers and after a stop.

    Raises:
        DataError: a program or soundfont is missing, the folder holds other tracks, or another command writes into it.
    """
    _check_programs(("fluidsynth",) if tier == "real" else ("mma", "fluidsynth"))
    with resume.held(root):
        orchestra, missing = timbres.orchestra(timbres.names(timbres_of), sounds, root) if timbres_of is not None else (None, [])
        fonts = [_checked(path) for path in soundfonts]
        fonts = fonts or ([next(iter(orchestra.soundfonts.values()))] if orchestra else [_default_soundfont(tier)])
        units = _units(root, tier, hours, fonts, midi, seed)
        if orchestra is not None:
            units = _with_orchestra(units, orchestra, seed)
        ours = {unit.marker.parent for unit in units}
        for path in sorted(root.glob("*/Track*")):
            # A track without a marker is not of our making; nothing is ever written over it.
            if path not in ours or not (path / RECIPE).is_file():
                raise DataError(f"{root} holds other tracks, such as {path.name}: choose an empty folder, or the same arguments")
        todo = [unit for unit in units if not unit.finished()]
        resume.tell("corpus", [unit.marker for unit in todo], "song")
        _sweep(root)
        made = engine.run(make, todo, description="corpus", item="song", workers=workers)
        rejects = Counter(reason for _, reason in made if reason)
        _sweep(root)  # what workers that died have left
        for path in orchestra.made if orchestra else ():
            path.unlink(missing_ok=True)
        return replace(_summary([unit for unit in units if unit.finished()], len(units) - len(todo), rejects), missing=missing)


def _with_orchestra(units: Sequence[SongUnit], orchestra: timbres.Orchestra, seed: int) -> list[SongUnit]:
    paths = [*orchestra.soundfonts.values(), *orchestra.made]
    stated = {"seed": seed, "timbres": [f"{path.name} {sha256(path)}" for path in paths]}
    return [replace(unit, depends=unit.depends | stated, orchestra=orchestra, seed=seed) for unit in units]


def _players(unit: SongUnit, score: midi_score.Score) -> dict[int, synthesis.Player] | None:
    """Draw who plays each part of a song, and how it is treated."""
    if unit.orchestra is None:
        return None
    players = {}
    for program, events in score.stems.items():
        rng = np.random.default_rng([unit.seed, zlib.crc32(unit.song.name.encode()), program])
        times_s = midi_score.seconds(score, [tick for tick, _ in events])
        timbre = timbres.draw(program, events, times_s, unit.orchestra, rng)
        players[program] = synthesis.Player(timbre, rough_mix.draw(rng, program == midi_score.DRUMS, timbre.driven))
    return players


def _sweep(root: Path) -> None:
    for split in SPLITS:
        sweep(root / split)


def _check_programs(programs: Sequence[str]) -> None:
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        raise DataError(f"the corpus needs {' and '.join(missing)}: apt-get install mma fluidsynth fluid-soundfont-gm")


def _default_soundfont(tier: str) -> Path:
    if tier != "real":
        if FLUIDR3.exists():
            return FLUIDR3
        raise DataError(f"no soundfont at {FLUIDR3}: apt-get install fluid-soundfont-gm, or give --soundfont FILE")
    if path := real.soundfont():
        return path
    raise DataError("pretty_midi has no soundfont on this machine: give one with --soundfont FILE")


def _checked(path: Path) -> Path:
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError as error:
        raise DataError(f"can't read soundfont {path}: {error.strerror}") from None
    if head[:4] != b"RIFF" or head[8:] != b"sfbk":
        raise DataError(f"not a soundfont: {path}: give a .sf2 or .sf3 file")
    return path


def _units(root: Path, tier: str, hours: float | None, fonts: Sequence[Path], midi: Path | None, seed: int) -> list[SongUnit]:
    total_s = hours * 3600 if hours else None
    stated = [{"tool_version": tool_version(), "soundfont": f"{path.name} {sha256(path)}"} for path in fonts]
    units = []
    if tier == "real":
        for turn, piece in enumerate(real.until(real.find(midi), total_s)):
            recipe = {"midi": f"{piece.path.name} {sha256(piece.path)}", "licence": piece.licence, **stated[turn % len(fonts)]}
            units.append(SongUnit(root / piece.split / piece.name / RECIPE, recipe, piece, fonts[turn % len(fonts)]))
        return units
    for song in songs.plan(*TIERS[tier], total_s, seed):
        turn = song.take % len(fonts)
        # Through JSON once, so that it equals what is read back.
        recipe = json.loads(json.dumps({**dataclasses.asdict(song), **stated[turn]}))
        units.append(SongUnit(root / song.split / song.name / RECIPE, recipe, song, fonts[turn]))
    return units


def make(unit: SongUnit) -> str | None:
    """Render one song into its folder, which appears when it is finished.

    Returns:
        Why it was left out, None if it wasn't.
    """
    try:
        with atomic_folder(unit.marker.parent) as folder:
            if isinstance(unit.song, songs.Song):
                _write_song(folder, unit, unit.song)
            else:
                score, end_s = real.load(unit.song)
                title = {"licence": unit.song.licence, "chart": unit.song.path.stem, "source": unit.song.path.name}
                players = _players(unit, score)
                levels_lufs = arrange.levels(score.stems) if players else None
                synthesis.write_track(folder, score, unit.soundfont, end_s, title, levels_lufs, players)
            resume.write(folder / RECIPE, {**unit.depends, "bytes": resume.sizes(folder)})
    except DataError as error:
        if isinstance(unit.song, songs.Song):
            raise
        return str(error).split(":")[0]
    return None


def _write_song(folder: Path, unit: SongUnit, song: songs.Song) -> None:
    score, levels_lufs = arrange.score(song)
    about = {
        "genre": song.groove.genre,
        "chart": song.chart.name,
        "licence": LICENCE,
        "tempo_bpm": song.chart.tempo_bpm,
        "key": song.chart.key,
        "source": f"mma {song.groove.name}",
    }
    synthesis.write_track(folder, score, unit.soundfont, song.music_s, about, levels_lufs, _players(unit, score))
    beat_s = song.microseconds_per_beat / 1e6
    per_bar = song.chart.beats_per_bar
    beats = [f"{beat * beat_s:.6f}\t{beat % per_bar + 1}\n" for beat in range(song.bars * per_bar)]
    (folder / "beats.txt").write_text("".join(beats), encoding="ascii")
    chords = [f"{start * beat_s:.6f}\t{end * beat_s:.6f}\t{label}\n" for start, end, label in song.chart.segments(song.bars)]
    chords.append(f"{song.music_s:.6f}\t{song.music_s + synthesis.TAIL_S:.6f}\tN\n")
    (folder / "chords.lab").write_text("".join(chords), encoding="ascii")


def _summary(units: Sequence[SongUnit], kept: int, rejects: Counter[str]) -> CorpusSummary:
    import soundfile

    folders = [unit.marker.parent for unit in units]
    stems = sum(len(list((folder / "stems").iterdir())) for folder in folders)
    seconds = sum(soundfile.info(folder / "mix.flac").duration for folder in folders)
    genres = Counter(unit.song.groove.genre for unit in units if isinstance(unit.song, songs.Song))
    return CorpusSummary(len(units), kept, stems, seconds / 60, genres, rejects)
