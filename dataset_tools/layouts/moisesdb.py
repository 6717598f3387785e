"""Read MoisesDB.

`<provider>/<track>/data.json` and `<provider>/<track>/<stem>/<id>.<extension>`, the provider folder optional. A stem may
come twice in data.json: both are read. Labels are `stem/track type`. There is no official split; with the artist as leak
group the drawn one is disjoint in artists.

Source: Pereira et al., ISMIR 2023; CC BY-NC-SA 4.0.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from instructme.dataset_tools.layouts import FoundStem, FoundTrack, Rejected, folders, is_file, mapping, read_mapping, text, yes
from instructme.manifests.rows import DataError

EXPECTS = "<track>/data.json, in the root or in a provider folder such as moisesdb_v0.1/"
COMPANIONS = ("data.json",)
_LICENCE = "CC-BY-NC-SA-4.0"


def recognises(root: Path) -> bool:
    """Tell whether a folder with a data.json lies in the root or one folder deeper."""
    return next(_folders(root), None) is not None


def tracks(root: Path) -> Iterator[FoundTrack | Rejected]:
    """Read every track."""
    for folder in _folders(root):
        try:
            metadata = read_mapping(root, folder / "data.json")
        except DataError as error:
            yield Rejected(folder.relative_to(root).as_posix(), "metadata", str(error))
            continue
        yield FoundTrack(
            name=folder.name,
            path=folder,
            title=text(metadata.get("song")) or folder.name,
            artist=text(metadata.get("artist")) or None,
            genre=text(metadata.get("genre")) or None,
            stems=tuple(_stems(folder, metadata.get("stems"))),
            licence=_LICENCE,
        )


def _folders(root: Path) -> Iterator[Path]:
    for parent in (root, *folders(root)):
        yield from (folder for folder in folders(parent) if (folder / "data.json").is_file())


def _stems(folder: Path, stated: Any) -> Iterator[FoundStem]:
    for stem in map(mapping, stated if isinstance(stated, list) else []):
        stem_name = text(stem.get("stemName"))
        sources = stem.get("tracks")
        for source in map(mapping, sources if isinstance(sources, list) else []):
            stem_id, track_type = text(source.get("id")), text(source.get("trackType"))
            file = f"{stem_id}.{text(source.get('extension')).lstrip('.') or 'wav'}"
            as_stated = folder / Path(stem_name, file)
            # Names of stems have spaces in some releases of data.json, underscores on disk.
            path = as_stated if is_file(as_stated) else folder / Path(stem_name.replace(" ", "_"), file)
            yield FoundStem(
                stem_id, path, f"{stem_name}/{track_type}" if track_type else stem_name, bleed=yes(source.get("has_bleed"))
            )
