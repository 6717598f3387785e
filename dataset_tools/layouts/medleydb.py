"""Read MedleyDB 1 and 2, in the metadata format of version 1.2.

`<track>/{<track>_MIX.wav, <track>_STEMS/, <track>_RAW/}`, in the root or one folder deeper (`Audio/`, `V1/`), with
`<track>_METADATA.yaml` in the track's folder, in the root, or in a folder `Metadata` in or beside the root. A stem whose
file is missing is replaced by its raw tracks. Bleed is stated per song. There is no official split.

Source: Bittner et al., ISMIR 2014; CC BY-NC-SA 4.0.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from instructme.dataset_tools.layouts import (
    FoundStem,
    FoundTrack,
    Rejected,
    audio,
    folders,
    is_file,
    is_folder,
    mapping,
    read_mapping,
    text,
    yes,
)
from instructme.manifests.rows import DataError

EXPECTS = "<Artist_Title>/<Artist_Title>_STEMS/ and <Artist_Title>_METADATA.yaml"
COMPANIONS = ("*_MIX.*", "*_METADATA.yaml", "*_RAW/*", "*_RANKING.*", "Annotations/*")
_LICENCE = "CC-BY-NC-SA-4.0"
_METADATA = ("Metadata", "metadata", "METADATA")


def recognises(root: Path) -> bool:
    """Tell whether a track folder with stems or raw tracks lies in the root or one folder deeper."""
    return next(_folders(root), None) is not None


def tracks(root: Path) -> Iterator[FoundTrack | Rejected]:
    """Read every track; one without metadata has no labels and is rejected."""
    for folder in _folders(root):
        where = folder.relative_to(root).as_posix()
        path = _metadata(root, folder)
        if path is None:
            yield Rejected(where, "metadata", f"no {folder.name}_METADATA.yaml in the track, the root or the folder Metadata")
            continue
        try:
            metadata = read_mapping(path.parent, path)
        except DataError as error:
            yield Rejected(where, "metadata", str(error))
            continue
        bleed = yes(metadata.get("has_bleed"))
        yield FoundTrack(
            name=folder.name,
            path=folder,
            title=text(metadata.get("title")) or folder.name,
            # One artist signs half of its songs in another way.
            artist=text(metadata.get("artist")).removesuffix(" Multitracks") or None,
            genre=text(metadata.get("genre")) or None,
            stems=tuple(_stems(folder, metadata, bleed)),
            licence=_LICENCE,
            bleed=bleed,
            mix_path=audio(folder).get(f"{folder.name}_MIX"),
        )


def _folders(root: Path) -> Iterator[Path]:
    for parent in (root, *folders(root)):
        for folder in folders(parent):
            if any(is_folder(folder / f"{folder.name}_{kind}") for kind in ("STEMS", "RAW")):
                yield folder


def _metadata(root: Path, folder: Path) -> Path | None:
    places = [folder, root, *(parent / name for parent in (root, root.parent) for name in _METADATA)]
    return next((path for place in places if is_file(path := place / f"{folder.name}_METADATA.yaml")), None)


def _stems(folder: Path, metadata: dict[str, Any], bleed: bool | None) -> Iterator[FoundStem]:
    stem_dir = folder / (text(metadata.get("stem_dir")) or f"{folder.name}_STEMS")
    raw_dir = folder / (text(metadata.get("raw_dir")) or f"{folder.name}_RAW")
    for stem_id, stem in sorted(mapping(metadata.get("stems")).items()):
        stated = mapping(stem)
        path = _file(stem_dir, stated)
        raws = {raw_id: mapping(raw) for raw_id, raw in sorted(mapping(stated.get("raw")).items())}
        present = {raw_id: raw for raw_id, raw in raws.items() if is_file(_file(raw_dir, raw))}
        if is_file(path) or not present:
            yield FoundStem(stem_id, path, _label(stated), bleed=bleed)
            continue
        for raw_id, raw in present.items():
            yield FoundStem(stem_id + raw_id, _file(raw_dir, raw), _label(raw) or _label(stated), bleed=bleed)


def _file(folder: Path, stated: dict[str, Any]) -> Path:
    return folder / Path(text(stated.get("filename")))


def _label(stated: dict[str, Any]) -> str:
    """Take the instrument, which may be a list."""
    instrument = stated.get("instrument")
    return ", ".join(map(text, instrument)) if isinstance(instrument, list) else text(instrument)
