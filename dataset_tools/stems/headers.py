"""Turn what a layout found into rows of tracks.parquet and stems.parquet: audio headers, canonical names, rejects."""

import itertools
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from instructme.dataset_tools import broken_headers
from instructme.dataset_tools.broken_headers import Facts
from instructme.dataset_tools.layouts import FoundStem, FoundTrack, Rejected, no_stem
from instructme.dataset_tools.stems import alignment, mid_side, stereo_pairs
from instructme.manifests import genres, instruments, urls
from instructme.manifests.companions import companions
from instructme.manifests.instruments import INSTRUMENTS, InstrumentMatch
from instructme.manifests.paths import inside, slug
from instructme.manifests.rows import DataError, Stem, Track
from instructme.manifests.splits import song_key

_KEY = re.compile(r"([A-Ga-g])([#b]?)\s*:?\s*(M|maj|major|m|min|minor)?")
_LONGEST_SAMPLES = 1 << 40
"""Some headers state the largest number there is for a length they don't know."""
_LONGEST_S = 6 * 3600
_RATES_HZ = range(1000, 1_000_001)
"""A lower rate would be resampled to more samples than memory holds."""


def read(
    found: FoundTrack,
    root: Path,
    *,
    dataset: str,
    layout: str,
    track_id: str,
    aliases: Mapping[str, str] | None = None,
    accept_guesses: bool = False,
) -> tuple[Track | None, list[Stem], list[Rejected]]:
    """Read the headers of a track's stems and normalise its labels.

    Returns:
        The track, its split empty where the dataset has none, or None without usable stems; its stems; what was rejected.
    """
    found = _named(found, root, aliases or {})
    rejected = list(found.rejected)
    stems: list[Stem] = []
    facts: dict[str, Facts] = {}
    among = companions((stem.label for stem in found.stems), found.title)
    for stem in found.stems:
        match = instruments.normalise(
            stem.label, layout=layout, program=stem.program, plugin=stem.plugin, aliases=aliases, among=among
        )
        row = _stem(stem, root, match, track_id, accept_guesses, facts)
        if isinstance(row, Stem):
            stems.append(row)
        else:
            rejected.append(row)
    stems, mixtures = _without_mixtures(stems)
    rejected += mixtures
    rejected += [Rejected(stem.path, "wrong_length", detail) for stem in stems if (detail := facts[stem.path].wrong_length)]
    if found.aligned:
        stems, unfit = alignment.check(stems, facts)
        rejected += unfit
    if not stems:
        return None, [], [*rejected, Rejected(found.name, "no_stems", "none of its stems can be used")]
    track = _track(found, root, dataset=dataset, layout=layout, track_id=track_id)
    rejected += [*_outside(root, found), *_unknown(found, track)]
    stems, unpaired = stereo_pairs.join(_distinct(stems))
    stems, doubted = mid_side.join(stems)
    return track, stems, [*rejected, *unpaired, *doubted]


def _track(found: FoundTrack, root: Path, *, dataset: str, layout: str, track_id: str) -> Track:
    song = found.song_group or song_key(found.artist, found.title) or track_id
    return Track(
        track_id=track_id,
        dataset=dataset,
        layout=layout,
        path=relative(root, found.path) or "",
        title=found.title,
        artist=found.artist,
        genre=genres.normalise(found.genre) if found.genre else None,
        licence=found.licence,
        split=found.split or "",
        official_split=found.split is not None,
        song_group=song,
        leak_group=found.leak_group or song,
        aligned=found.aligned,
        tempo_bpm=found.tempo_bpm,
        key=harte_key(found.key),
        chords_path=relative(root, found.chords_path),
        bleed=found.bleed,
        beats_path=relative(root, found.beats_path),
        downbeats_path=relative(root, found.downbeats_path),
        mix_path=relative(root, found.mix_path) if found.aligned else None,
    )


def _named(found: FoundTrack, root: Path, aliases: Mapping[str, str]) -> FoundTrack:
    """Take back the files that look like mixtures by their names, but whose instruments the user's aliases give."""
    if not aliases:
        return found
    labels = {each: PurePosixPath(each.item).stem for each in found.rejected if each.reason == "not_a_stem"}
    named = {
        each: label
        for each, label in labels.items()
        if (match := instruments.normalise(label, aliases=aliases)).rule == "alias" and match.is_stem
    }
    stems = tuple(FoundStem(slug(label), root / each.item, label) for each, label in named.items())
    return replace(found, stems=found.stems + stems, rejected=tuple(each for each in found.rejected if each not in named))


def _without_mixtures(stems: list[Stem]) -> tuple[list[Stem], list[Rejected]]:
    """Leave out mixtures without one instrument, such as `no_vocals`, of songs that hold their parts as well."""
    lacking = {stem.path: instruments.lacks(stem.label) for stem in stems}
    families = {stem.family for stem in stems if not lacking[stem.path]}
    doubled = [stem for stem in stems if lacking[stem.path] and families - {lacking[stem.path]}]
    detail = "its name says that it is a mixture, and its parts are there too"
    kept = [stem for stem in stems if stem not in doubled]
    return kept, [Rejected(stem.path, "not_a_stem", detail) for stem in doubled]


def _unknown(found: FoundTrack, track: Track) -> list[Rejected]:
    """Tell of a key and a genre that are stated, but in no known words."""
    lost = [("key", found.key, track.key, "A minor"), ("genre", found.genre, track.genre, "rock")]
    return [
        Rejected(f"{found.name}: {stated}", "not_understood", f"no known {kind}: write it as {example}")
        for kind, stated, read, example in lost
        if stated and not read
    ]


def _outside(root: Path, found: FoundTrack) -> list[Rejected]:
    """Tell of annotations that lie outside the dataset or aren't there."""
    paths = [path for path in (found.beats_path, found.downbeats_path, found.chords_path) if path is not None]
    told = [
        Rejected(str(path), "unsafe_path", f"{path} lies outside the folder") for path in paths if relative(root, path) is None
    ]
    return told + [
        Rejected(str(path), "missing", f"{path} isn't there") for path in paths if relative(root, path) and not path.is_file()
    ]


def _stem(
    found: FoundStem,
    root: Path,
    match: InstrumentMatch,
    track_id: str,
    accept_guesses: bool,
    facts: dict[str, Facts],
) -> Stem | Rejected:
    """Make the row of a stem; what its bytes say goes into `facts`, by path."""
    path = relative(root, found.path)
    if path is None:
        detail = f"{found.path} is outside the folder of its dataset, or is not UTF-8; "
        detail += "links are read with --follow-links, and files that a table names with --allow-outside"
        return Rejected(str(found.path), "unsafe_path", detail)
    if not match.is_stem:
        return no_stem(path, found.label, match)
    guess = match.instrument if match.editable and not match.certain and not accept_guesses else None
    name = guess or match.instrument
    if guess:
        match = match._replace(instrument="other", family="other", editable=False)
    header = _header(found.path, path)
    if isinstance(header, Rejected):
        return header
    rate_hz, channels, length_samples, size_bytes, facts[path] = header
    return Stem(
        track_id=track_id,
        stem_id=found.stem_id,
        path=path,
        label=found.label,
        program=found.program,
        plugin=found.plugin or None,
        instrument=match.instrument,
        family=match.family,
        editable=match.editable,
        lead=found.lead or (name in INSTRUMENTS and INSTRUMENTS[name].is_lead),
        rule=match.rule,
        certain=match.certain,
        sample_rate_hz=rate_hz,
        channels=channels,
        length_samples=length_samples,
        size_bytes=size_bytes,
        midi_path=relative(root, found.midi_path),
        bleed=found.bleed,
        known_bad=found.known_bad,
        flagged_rendered=found.flagged_rendered,
        guess=guess,
    )


def _header(path: Path, item: str) -> tuple[int, int, int, int, Facts] | Rejected:
    """Read rate, channels, length and size of a file, and what else its bytes say."""
    import soundfile

    try:
        size_bytes = path.stat().st_size
        if not size_bytes:
            return Rejected(item, "empty", f"{path} has no bytes")
        with urls.opened(path) as file:
            if isinstance(file, Path):
                with file.open("rb") as opened:
                    facts = broken_headers.look(opened)
                    info = soundfile.info(broken_headers.repaired(opened, facts.repair) if facts.repair else file)
            else:
                facts, info = Facts(), soundfile.info(file)
    except FileNotFoundError:
        return Rejected(item, "missing", f"{path} isn't there")
    except (OSError, RuntimeError) as error:
        return Rejected(item, "unreadable", f"{path}: {' '.join(str(getattr(error, 'error_string', error)).split())}")
    if not 0 < info.frames < _LONGEST_SAMPLES:
        return Rejected(item, "empty", f"{path} has no samples, or its header doesn't say how many")
    if info.samplerate not in _RATES_HZ:
        return Rejected(item, "unreadable", f"{path} has a sample rate of {info.samplerate} Hz by its header")
    if info.frames > _LONGEST_S * info.samplerate:
        hours = f"{info.frames / info.samplerate / 3600:.0f} h"
        return Rejected(item, "too_long", f"{path} lasts {hours} by its header: cut it into songs")
    return info.samplerate, info.channels, info.frames, size_bytes, facts


def _distinct(stems: list[Stem]) -> list[Stem]:
    """Give stems that share an id numbers: the second one gets `-2`, or the next that is free."""
    free = {stem.stem_id: itertools.count(2) for stem in stems}
    distinct: dict[str, Stem] = {}
    for stem in stems:
        stem_id = stem.stem_id
        while stem_id in distinct:
            stem_id = f"{stem.stem_id}-{next(free[stem.stem_id])}"
        distinct[stem_id] = replace(stem, stem_id=stem_id)
    return list(distinct.values())


def harte_key(key: str | None) -> str | None:
    """Write a key such as `A minor`, `Am`, `C# Major` or `C:maj` in Harte syntax; None for what is no key."""
    text = (key or "").strip().replace("♯", "#").replace("♭", "b")
    match = _KEY.fullmatch(text) or _KEY.fullmatch(text[:2] + text[2:].lower())
    if not match:
        return None
    return f"{match[1].upper()}{match[2]}:{'min' if match[3] in ('m', 'min', 'minor') else 'maj'}"


def relative(root: Path, path: Path | None) -> str | None:
    """Write a path relative to its root; None if there is none, if it leaves the root, also through a link, or isn't UTF-8."""
    if path is None:
        return None
    try:
        written = path.relative_to(root).as_posix() or "."
        inside(root, written)
        written.encode()
    except (ValueError, OSError, DataError):
        return None
    return None if ".." in Path(written).parts else written
