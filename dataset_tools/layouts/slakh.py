"""Read Slakh2100 (original, redux, split2), BabySlakh, and every dataset in their layout, the built-in corpus included.

`[train|validation|test|omitted/]TrackNNNNN/{metadata.yaml, all_src.mid, MIDI/SXX.mid, stems/SXX.flac}`. What is there
is decided by the files alone: the flags and folder names in `metadata.yaml` are wrong in several releases, and numbers
of stems have holes. The built-in corpus adds `chords.lab`, `recipe.json` and the keys genre, chart, licence,
tempo_bpm and key.

Splits: the folder where there are split folders. A flat tree of Slakh2100 (numbers 1 to 2100, beyond the 20 of
BabySlakh, MIDI from Lakh) has the ranges of the original release, and, if it holds tracks that redux omits, the moves
of split2, which keep duplicates together. Any other flat tree has no split of its own.

Source: Manilow et al., WASPAA 2019; the lists are those of ethman/slakh-utils.
"""

import functools
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from instructme.dataset_tools.layouts import (
    FoundStem,
    FoundTrack,
    Rejected,
    audio,
    files,
    folders,
    known_faults,
    mapping,
    positive,
    read_mapping,
    split_name,
    text,
    yes,
)
from instructme.manifests.rows import DataError
from instructme.manifests.word_tables import rows

EXPECTS = "TrackNNNNN/metadata.yaml and TrackNNNNN/stems/, flat or in train/, validation/, test/"
COMPANIONS = ("mix.*", "metadata.yaml", "recipe.json", "all_src.mid", "MIDI/*")
_TRACK = re.compile(r"Track(\d{5})")
_TRAIN_UNTIL, _VALIDATION_UNTIL, _LAST, _LAST_OF_BABY = 1500, 1875, 2100, 20


def recognises(root: Path) -> bool:
    """Tell whether a track folder with metadata.yaml lies in the root or in a split folder."""
    return any((folder / "metadata.yaml").is_file() for folder, _ in _folders(root))


def tracks(root: Path) -> Iterator[FoundTrack | Rejected]:
    """Read every track; those of `omitted/` are counted, not read."""
    omitted = sum(1 for folder in folders(root / "omitted") if _TRACK.fullmatch(folder.name))
    if omitted:
        yield Rejected("omitted", "omitted", "the dataset leaves them out: they are duplicates of other tracks", omitted)
    found = list(_folders(root))
    flat = _flat_splits(tuple(int(folder.name[5:]) for folder, split in found if split is None))
    for folder, split in found:
        name = folder.relative_to(root).as_posix()
        try:
            metadata = read_mapping(root, folder / "metadata.yaml")
        except DataError as error:
            yield Rejected(name, "metadata", str(error))
            continue
        yield _track(folder, metadata, split or (flat.get(int(folder.name[5:])) if _from_lakh(metadata) else None))


def _folders(root: Path) -> Iterator[tuple[Path, str | None]]:
    split_folders = [(folder, split) for folder in folders(root) if (split := split_name(folder.name))]
    for parent, split in [(root, None), *split_folders]:
        yield from ((folder, split) for folder in folders(parent) if _TRACK.fullmatch(folder.name))


def _flat_splits(numbers: tuple[int, ...]) -> dict[int, str]:
    if not numbers or not _LAST_OF_BABY < max(numbers) <= _LAST:
        return {}
    lists = _official()
    moves = any(lists[number][0] for number in numbers if number in lists)
    original = {
        number: "train" if number <= _TRAIN_UNTIL else "validation" if number <= _VALIDATION_UNTIL else "test"
        for number in numbers
    }
    return {number: (moves and number in lists and lists[number][1]) or split for number, split in original.items()}


@functools.cache
def _official() -> dict[int, tuple[str, str]]:
    """Read what redux (`omitted` or nothing) and split2 (new split or nothing) change, by track number."""
    return {int(row["track"]): (row["redux"], row["split2"]) for row in rows("slakh_splits.csv")}


def _from_lakh(metadata: dict[str, Any]) -> bool:
    return text(metadata.get("lmd_midi_dir")).startswith("lmd_matched")


def _track(folder: Path, metadata: dict[str, Any], split: str | None) -> FoundTrack:
    stems, rejected = _stems(folder, mapping(metadata.get("stems")), _from_lakh(metadata))
    chart, chords = text(metadata.get("chart")), folder / "chords.lab"
    midi = _midi_md5(folder, text(metadata.get("UUID")))
    return FoundTrack(
        name=folder.name,
        path=folder,
        title=text(metadata.get("title")) or folder.name,
        stems=tuple(stems),
        genre=text(metadata.get("genre")) or None,
        licence=text(metadata.get("licence")) or ("CC-BY-4.0" if _from_lakh(metadata) else "unknown"),
        split=split,
        song_group=f"midi:{midi}" if midi else None,
        leak_group=f"chart:{chart}" if chart else None,
        tempo_bpm=positive(metadata.get("tempo_bpm")),
        key=text(metadata.get("key")) or None,
        chords_path=chords if chords.is_file() else None,
        mix_path=audio(folder).get("mix"),
        rejected=tuple(rejected),
    )


def _midi_md5(folder: Path, uuid: str) -> str | None:
    """Identify the song by the MD5 of all_src.mid, which is also Lakh's name for it and Slakh's UUID."""
    if re.fullmatch(r"[0-9a-f]{32}", uuid):
        return uuid
    path = folder / "all_src.mid"
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() if path.is_file() else None


def _stems(folder: Path, metadata: dict[str, Any], from_lakh: bool) -> tuple[list[FoundStem], list[Rejected]]:
    sounds, midi = audio(folder / "stems"), files(folder / "MIDI", ".mid")
    faults = known_faults("slakh") if from_lakh else {}
    stems = []
    for stem_id, path in sounds.items():
        stated = mapping(metadata.get(stem_id))
        program = 128 if yes(stated.get("is_drum")) else stated.get("program_num")
        plugin = text(stated.get("plugin_name"))
        stems.append(
            FoundStem(
                stem_id=stem_id,
                path=path,
                label=text(stated.get("midi_program_name")) or text(stated.get("inst_class")) or stem_id,
                program=program if isinstance(program, int) and 0 <= program <= 128 else None,
                plugin="" if plugin == "None" else plugin,
                midi_path=midi.get(stem_id),
                known_bad=faults.get((folder.name, stem_id), ("", None))[1],
                flagged_rendered=yes(stated.get("audio_rendered")),
                lead=yes(stated.get("lead")) or False,
            )
        )
    absent = {stem_id: text(mapping(metadata[stem_id]).get("inst_class")) for stem_id in sorted(metadata.keys() - sounds.keys())}
    detail = "in metadata.yaml without audio"
    return stems, [Rejected(f"{folder.name}/{name}", "not_rendered", f"{detail}: {kind}") for name, kind in absent.items()]
