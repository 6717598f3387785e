"""Describe a folder of shards for people and machines: README.md, a card as the Hugging Face hub reads it, and croissant.json."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from instructme.manifests.files import atomic

README, CROISSANT = "README.md", "croissant.json"
MARK = "<!-- Written by instructme shard. Delete this line to keep your own words. -->"
_TEXT, _INTEGER = "sc:Text", "sc:Integer"
FIELDS = {
    "triplet_id": (_TEXT, "Key of the sample: KEY.source.flac, KEY.target.flac and KEY.json in the tar"),
    "task": (_TEXT, "Edit task"),
    "instruction": (_TEXT, "Text command"),
    "dataset": (_TEXT, "Dataset of the source track"),
    "licence": (_TEXT, "Licences of all audio in it"),
    "sample_rate_hz": (_INTEGER, "Sample rate of both sides"),
    "length_samples": (_INTEGER, "Length of both sides"),
}
"""Columns of the index that croissant.json describes: type and meaning."""
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    **{name: f"cr:{name}" for name in ("column", "extract", "field", "fileObject", "fileSet", "format", "includes", "md5")},
    **{name: f"cr:{name}" for name in ("key", "parentField", "path", "recordSet", "references", "regex", "repeated", "replace")},
    **{
        name: f"cr:{name}" for name in ("separator", "source", "subField", "transform", "isLiveDataset", "citeAs", "fileProperty")
    },
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "jsonPath": "cr:jsonPath",
}


class DatasetSource(NamedTuple):
    """A dataset that the music comes from, with its licence."""

    dataset: str
    licence: str


def readme(index: Mapping[str, Any], sources: Mapping[DatasetSource, int]) -> str:
    """Write the card.

    Args:
        index: the content of index.json.
        sources: how many tracks come from each.
    """
    return "\n".join([*_front(sources), MARK, "", *_body(index, sources)]) + "\n"


def _front(sources: Mapping[DatasetSource, int]) -> Iterator[str]:
    yield from ("---", "pretty_name: Triplets for music editing", "license: other", "license_name: as listed below")
    yield from ("task_categories:", "- audio-to-audio", "tags:", "- music", "- webdataset", "language:", "- en")
    yield from ("source_datasets:", *(f"- {json.dumps(name)}" for name in sorted({source.dataset for source in sources})), "---")


def _body(index: Mapping[str, Any], sources: Mapping[DatasetSource, int]) -> Iterator[str]:
    tasks = sorted({task for counts in index["counts"].values() for task in counts})
    yield "# Triplets for instruction-guided music editing"
    yield ""
    yield f"{index['samples']:,} triplets of an instruction, a source and a target: {index['seconds'] / 3600:.2f} hours a side,"
    sound = "stereo" if index.get("channels") == 2 else "mono"
    yield f"{sound}, {index['sample_rate_hz']:,} Hz, FLAC in WebDataset shards. SHA-256 of the set: `{index['hash']}`."
    yield from ("", f"| split | {' | '.join(tasks)} |", "|---|" + "---:|" * len(tasks))
    for split, counts in index["counts"].items():
        yield f"| {split} | {' | '.join(f'{counts.get(task, 0):,}' for task in tasks)} |"
    yield from ("", "## Licences", "")
    yield from ("The audio keeps the licences of its sources. Each sample names its own in `KEY.json`.", "")
    yield from ("| source | licence | tracks |", "|---|---|---:|")
    for source, tracks in sorted(sources.items()):
        yield f"| {_cell(source.dataset)} | {_cell(source.licence)} | {tracks:,} |"
    yield from ("", "## Use", "", "```python", "from instructme import TripletDataset", "")
    yield from ('triplets = TripletDataset("FOLDER", "train")', "```", "")
    yield "Each tar has a parquet index with the recipe of every sample and its place in it. See also `croissant.json`."


def _cell(text: str) -> str:
    return text.replace("|", "/") or "not stated"


def croissant(index: Mapping[str, Any], sources: Mapping[DatasetSource, int]) -> str:
    """Describe files and records in the format Croissant 1.0; arguments as for `readme`."""
    files = [(name, facts) for shard in index["shards"] for name, facts in sorted(shard["files"].items())]
    described = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": "triplets",
        "description": f"{index['samples']} triplets of instruction, source and target for instruction-guided music editing.",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "license": sorted({source.licence for source in sources}),
        "version": "1.0.0",
        "identifier": index["hash"],
        "distribution": [_file(name, facts) for name, facts in files],
        "recordSet": [_records(name) for name, _ in files if name.endswith(".parquet")],
    }
    return json.dumps(described, indent=1, ensure_ascii=False) + "\n"


def _file(name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    kind = "application/x-tar" if name.endswith(".tar") else "application/x-parquet"
    sizes = {"contentSize": f"{facts['bytes']} B", "sha256": facts["sha256"]}
    return {"@type": "cr:FileObject", "@id": name, "name": name, "contentUrl": name, "encodingFormat": kind, **sizes}


def _records(name: str) -> dict[str, Any]:
    records = name.removesuffix(".parquet")
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"{records}/{column}",
            "name": column,
            "description": meaning,
            "dataType": kind,
            "source": {"fileObject": {"@id": name}, "extract": {"column": column}},
        }
        for column, (kind, meaning) in FIELDS.items()
    ]
    return {"@type": "cr:RecordSet", "@id": records, "name": records, "key": {"@id": f"{records}/triplet_id"}, "field": fields}


def write(folder: Path, index: Mapping[str, Any], sources: Mapping[DatasetSource, int], keep_readme: bool = False) -> None:
    """Write README.md, unless somebody else wrote it, and croissant.json."""
    for name, text in {README: readme(index, sources), CROISSANT: croissant(index, sources)}.items():
        if name != README or not keep_readme:
            with atomic(folder / name) as temporary:
                temporary.write_text(text, encoding="utf-8")
