"""Read anybody's own stems: song folders, many songs in one folder, separator output, one folder per instrument.

Found by walking down from the root, never along links:
- a folder with stems is a song; mixtures are recognised by name and are never stems. Folders of instruments in it (`Drums/kick`)
  belong to the song. MIDI files belong to the stems of their names, a single one to all stems
- `chords.lab`, `.jams`, `.csv` or `.txt` is the chord chart of a song, `beats.txt`, `.beats`, `.csv` or `.jams` holds its beats
- a folder of `SongA_bass`, `SongA_drums`, `SongB_bass` holds several songs (see `song_names`)
- a folder of instrument folders is one song if it lies below the root; in the root or a split folder it is a
  collection of single parts that don't belong together in time (`aligned` false)
- `train`, `valid`, `train_2` and the like right below the root are splits; a name `Artist - Title` gives artist and title. So
  does `ArtistName_SongTitle`, if the root holds several artists that are written so
- beside `guitar.ogg` and the like, `song.ogg` is the backing track (Frets on Fire), not the mixture
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from instructme.dataset_tools import song_files, song_names
from instructme.dataset_tools.layouts import (
    AUDIO_SUFFIXES,
    FoundStem,
    FoundTrack,
    Rejected,
    _artists,
    _beside_stems,
    _folder_names,
    _folder_splits,
    _kept_together,
    audio,
    files,
    folders,
    no_stem,
    split_hint,
    split_name,
    unread_audio,
)
from instructme.manifests import spelling
from instructme.manifests.instruments import normalise
from instructme.manifests.paths import slug

EXPECTS = "song folders of stems such as Song/bass.wav, or files such as song.bass.wav"
COMPANIONS = ()
_DEPTH = 32
_DIGIT = re.compile(r"\d")


def recognises(root: Path) -> bool:
    """Tell whether the walk finds a song."""
    return any(isinstance(found, FoundTrack) for found in tracks(root))


def tracks(root: Path) -> Iterator[FoundTrack | Rejected]:
    """Read every song or single part below the root."""
    items = list(_without_mixes(root, list(walk(root, root, None))))
    rules = (
        *(_kept_together.nested, _kept_together.untitled, _kept_together.shelved),
        *(_kept_together.equal_titles, _kept_together.nameless, _artists.in_one_word),
    )
    for rule in rules:
        items = list(rule(items))
    yield from items


def _without_mixes(root: Path, items: Sequence[FoundTrack | Rejected]) -> Iterator[FoundTrack | Rejected]:
    """Leave out files that name no instrument but songs of the dataset, such as `songs/Alpha.wav` beside `stems/Alpha`."""
    known = {slug(item.title) for item in items if isinstance(item, FoundTrack) and any(map(_is_known, item.stems))}
    for item in items:
        stems = item.stems if isinstance(item, FoundTrack) else ()
        if stems and not any(map(_is_known, stems)) and all(slug(stem.path.stem) in known for stem in stems):
            detail = "it names no instrument but a song of this dataset: a mixture by its name"
            yield from (Rejected(stem.path.relative_to(root).as_posix(), "not_a_stem", detail) for stem in stems)
        else:
            yield item


def _is_known(stem: FoundStem) -> bool:
    return normalise(stem.label).rule != "unmatched"


def walk(root: Path, folder: Path, split: str | None, depth: int = _DEPTH) -> Iterator[FoundTrack | Rejected]:
    """Read a folder, which may be one of a split of another layout, and what lies in it."""
    if folder != root and folder.is_symlink():
        where = folder.relative_to(root).as_posix()
        yield Rejected(where, "link", f"links to folders are not followed: give {folder.resolve()} as another root")
        return
    sounds, below = audio(folder), folders(folder)
    mixes = [*filter(_folder_names.holds_mixes, below)]
    parts = [part for part in below if part not in mixes]
    if folder != root and _folder_names.is_working(folder, below):
        detail = "a working folder of this program: its parts are no stems; move it out of the dataset"
        yield Rejected(folder.relative_to(root).as_posix(), "working_folder", detail)
        return
    yield from unread_audio(root, folder)
    grouping = song_files.group(list(sounds))
    top = folder == root or (folder.parent == root and split is not None)
    if grouping.doubtful and not grouping.songs:
        yield _kept_together.doubt(root, folder, "its files are read as one song")
    if folder != root and _folder_names.holds_mixes(folder):
        yield from _unnamed(root, sounds)
    elif grouping.songs:
        yield from _flat(root, folder, sounds, grouping, split)
    elif any(_is_stem(label, sounds) for label in sounds):
        yield from _song_folder(root, folder, sounds, below, split, depth, top=top)
        return
    elif parts and all(map(_folder_names.is_part, parts)) and (not top or any(map(audio, parts))):
        if top or _folder_names.holds_collection(parts):
            yield from _collection(root, folder, parts, split)
        elif grouped := _folder_names.audio_of(parts):
            if _folder_names.may_hold_several(parts):
                yield _kept_together.doubt(root, folder, "its folders of instruments are read as one song")
            yield _track(root, folder, folder, grouped, {}, split)
        for part in mixes:
            yield from _unnamed(root, audio(part))
        return
    elif not top and not sounds and (sections := _folder_names.sections(below)):
        if not _folder_names.are_channels(part.name for part in below):
            yield _kept_together.doubt(root, folder, f"folders without titles are read as one song, {folder.name}")
        yield _track(root, folder, folder, sections, {}, split)
        return
    elif sounds and not top:
        yield from _unnamed(root, sounds)
    yield from _below(root, folder, below, split, depth)


def _collection(root: Path, folder: Path, parts: Sequence[Path], split: str | None) -> Iterator[FoundTrack | Rejected]:
    """Read single parts in folders of instruments; parts of one song stay in one split."""
    songs: Counter[str] = Counter()
    for part in parts:
        for path in audio(part).values():
            song = song_names.without(path.stem, part.name)
            songs[slug(song)] += 1
            yield replace(_single(path, part.name, split), leak_group=f"name:{slug(song)}")
    if several := sum(count > 1 for count in songs.values()):
        reading = f"{several} names are in several folders of instruments, and such files are not read as one song"
        yield _kept_together.doubt(root, folder, reading)


def _below(root: Path, folder: Path, below: list[Path], split: str | None, depth: int) -> Iterator[FoundTrack | Rejected]:
    inner = [part for part in below if _folder_names.is_inner(part.name)] if folder != root else []
    if len(inner) > 1:
        yield from _formats(root, folder, sorted(inner, key=_format_rank), split, depth)
    songs = {part for part in below if _holds_one_song(part)}
    known = _folder_splits.read(below, songs, top=folder == root, inside=split is not None)
    yield from () if split else _folder_splits.unused(root, below, songs, known)
    versions: list[FoundTrack | Rejected] = []
    for part in below:
        if len(inner) > 1 and part in inner:
            continue
        if not song_names.work(part.name) and part in songs:
            versions += walk(root, part, known.get(part, split), depth - 1)
        elif depth:
            yield from walk(root, part, known.get(part, split), depth - 1)
        else:
            yield Rejected(part.relative_to(root).as_posix(), "too_deep", f"more than {_DEPTH} folders deep: give it as a root")
    yield from _kept_together.one_work(root, folder, versions)


def _holds_one_song(folder: Path) -> bool:
    """Tell whether a folder holds the stems of one song and nothing else."""
    sounds = audio(folder)
    return not folders(folder) and any(_is_stem(label, sounds) for label in sounds) and not song_files.group([*sounds]).songs


def _formats(root: Path, folder: Path, inner: list[Path], split: str | None, depth: int) -> Iterator[FoundTrack | Rejected]:
    """Read one song in several formats: folders of the same file names once, others as versions that no split parts."""
    known: dict[frozenset[str], Path] = {}
    read: list[FoundTrack | Rejected] = []
    for part in inner:
        names = frozenset(name.lower() for name in audio(part))
        first = known.setdefault(names, part) if names else part
        if first != part:
            detail = (
                f"{first.relative_to(root).as_posix()} has the same file names: it looks like the same song in another format"
            )
            yield from (Rejected(path.relative_to(root).as_posix(), "twice", detail) for path in audio(part).values())
            continue
        read += _below(root, folder, [part], split, depth)
    yield from _kept_together.one_work(root, folder, read)


def _format_rank(folder: Path) -> int:
    """Rank folders of one song by the format of their audio: without loss first."""
    return min((AUDIO_SUFFIXES.index(path.suffix.lower()) for path in audio(folder).values()), default=len(AUDIO_SUFFIXES))


def _song_folder(
    root: Path, folder: Path, sounds: dict[str, Path], below: list[Path], split: str | None, depth: int, *, top: bool
) -> Iterator[FoundTrack | Rejected]:
    """Read a folder with stems: a song with its instrument folders, or, above folders of songs, files that fit none."""
    inner = [part for part in below if _folder_names.is_inner(part.name)]
    parts = [part for part in below if part not in inner and _folder_names.is_part(part)]
    other = list(_below(root, folder, [part for part in below if part not in parts], split, depth))
    songs = [found for found in other if isinstance(found, FoundTrack)]
    if songs and (top or inner) and all(part.name.lower().removesuffix("s") in _folder_names.ASIDE for part in parts):
        detail = "it is beside folders of songs: move it into the folder of a song, or into a new folder"
        yield from (Rejected(path.relative_to(root).as_posix(), "stray", detail) for path in sounds.values())
        yield from other
        return
    families = {normalise(label).family for label in sounds}
    nested = {}
    for part in parts:
        inside = _folder_names.audio_of([part])
        if normalise(part.name).family in families:
            detail = f"the folder of the song already has {normalise(part.name).family}: remove one of the two"
            yield from (Rejected(path.relative_to(root).as_posix(), "twice", detail) for path in inside.values())
        else:
            nested.update(inside)
    # Above folders of songs, in a split folder or in `fold1`, the folder's name isn't the song's.
    title = song_names.title(list(sounds)) if top or split_name(folder.name) or _folder_names.SHELF.fullmatch(folder.name) else ""
    title = title if top or song_names.is_own(title) else ""
    midi = {label.lower(): path for label, path in _beside_stems.midi(root, folder).items()}
    song = _track(root, folder / title if title else folder, folder, {**sounds, **nested}, midi, split)
    # What lies in a song's folder may be another version of it.
    yield from _kept_together.one_work(root, folder, [song, *other])


def _flat(
    root: Path, folder: Path, sounds: dict[str, Path], grouping: song_files.Grouping, split: str | None
) -> Iterator[FoundTrack | Rejected]:
    """Read several songs in one folder."""
    midi = files(folder, ".mid", ".midi")
    if grouping.doubtful:
        yield _kept_together.doubt(root, folder, f"numbers, letters or words tell {len(grouping.songs)} songs apart")
    hints = {song.name: hint for song in grouping.songs if (hint := split_hint(song.name))}
    if split is None and len({*hints.values()}) > 1:
        detail = "names of its songs may mean splits, but were not read so: if they do, make a folder for each split"
        yield Rejected((folder.relative_to(root) / "*").as_posix(), "split_unused", detail, len(hints))
    versions: defaultdict[str, list[FoundTrack | Rejected]] = defaultdict(list)
    fronts = {name[: name.find(song.name)] for song in grouping.songs for name in song.labels}
    front = fronts.pop() if len(fronts) == 1 else ""  # `Highway Take`, of `Highway Take 1 Bass`
    for song in grouping.songs:
        labels = song_names.labels(list(song.labels.values()))
        own = {labels[label]: sounds[name] for name, label in song.labels.items()}
        if not grouping.aligned:
            ((label, path),) = own.items()
            yield replace(_single(path, label, split), title=song.name)
            continue
        mine = {name: path for name, path in midi.items() if name.lower().startswith(song.name.lower())}
        notes = {name[len(song.name) :].strip(" ._-()").lower(): path for name, path in mine.items()}
        versions[song_names.work(front + song.name)].append(_track(root, folder / song.name, folder, own, notes, split))
    for work, tracks in versions.items():
        yield from _kept_together.one_work(root, folder / work, tracks)
    detail = "its name belongs to no song of this folder: name it like the others, or move it into a new folder"
    yield from (Rejected(sounds[name].relative_to(root).as_posix(), "stray", detail) for name in grouping.strays)


def _unnamed(root: Path, sounds: Mapping[str, Path]) -> Iterator[Rejected]:
    """Tell of audio files of which no name is known to be a stem's."""
    for label, path in sounds.items():
        yield no_stem(path.relative_to(root).as_posix(), label, normalise(label))


def _is_backing(label: str, sounds: Mapping[str, Path]) -> bool:
    return label.lower() == "song" and len(sounds) > 1


def _is_stem(label: str, sounds: Mapping[str, Path]) -> bool:
    return _is_backing(label, sounds) or (normalise(label).is_stem and not _is_sum(label, sounds))


def _is_sum(label: str, sounds: Mapping[str, Path]) -> bool:
    """Tell whether a label means all that accompanies a voice, beside two or more instruments that do."""
    if all(word.word != "accompaniment" for word in spelling.read_words(label)[-1:]):
        return False
    others = [match for match in map(normalise, sounds) if match.certain and match.editable and match.family != "vocals"]
    return len({match.family for match in others}) > 1


def _names(root: Path, place: Path, split: str | None) -> tuple[str, str | None, str]:
    """Give the name, artist and title of a song from where it lies."""
    inside = [part for part in place.relative_to(root).parts if not _folder_names.is_inner(part)]
    if inside and split and split_name(inside[0]) and (len(inside) > 1 or not _DIGIT.search(inside[0])):
        inside = inside[1:]  # unless `train_001` is a song itself
    return "/".join(inside) or root.name, *_artists.artist_and_title(inside[-1] if inside else root.name)


def _track(
    root: Path, place: Path, folder: Path, sounds: Mapping[str, Path], midi: Mapping[str, Path], split: str | None
) -> FoundTrack:
    """Make a track of a song's files by label, `midi` by label in small letters; its name comes from its `place`."""
    name, artist, title = _names(root, place, split)
    alone = len(midi) == 1 and not midi.keys() & {label.lower() for label in sounds}
    shared = next(iter(midi.values())) if alone else None
    wholes = _beside_stems.wholes(sounds, (title, place.name))
    mixes = {label: path for label, path in sounds.items() if label in wholes or not _is_stem(label, sounds)}
    labels = song_names.labels([label for label in sounds if label not in mixes], place.name)
    stems = tuple(
        FoundStem(
            slug(label),
            path,
            "backing track" if _is_backing(label, sounds) else labels[label],
            midi_path=midi.get(label.lower(), shared),
        )
        for label, path in sounds.items()
        if label not in mixes
    )
    own = place == folder
    return FoundTrack(
        name=name,
        path=place,
        title=title,
        artist=artist,
        stems=stems,
        split=split,
        chords_path=_beside_stems.annotation(folder, "chords", ".lab", ".jams", ".csv", ".txt") if own else None,
        beats_path=_beside_stems.annotation(folder, "beats", ".beats", ".txt", ".csv", ".jams") if own else None,
        mix_path=_beside_stems.mix(mixes, wholes) or _beside_stems.mix_above(root, folder),
        rejected=tuple(_unnamed(root, mixes)),
    )


def _single(path: Path, instrument: str, split: str | None) -> FoundTrack:
    """Make a track of one part; parts of the same file name may be of one song and share a leak group."""
    return FoundTrack(
        name=f"{instrument}/{path.stem}",
        path=path.with_suffix(""),
        title=path.stem,
        stems=(FoundStem(slug(path.stem), path, instrument),),
        split=split,
        leak_group=f"name:{slug(path.stem)}",
        aligned=False,
    )
