"""Sum up the shards of a folder in `index.json`, which is written last."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import Any

from instructme.manifests import tables

PER_SHARD = 500
"""Triplets in a shard, by default."""


def index_of(markers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Sum up the markers of all shards; `hash` stands for the bytes of the whole dataset."""
    files = {name: file for marker in markers.values() for name, file in marker["files"].items()}
    listed = "".join(f"{file['sha256']}  {name}\n" for name, file in sorted(files.items()))
    counts: dict[str, Counter[str]] = {}
    for name, marker in sorted(markers.items()):  # whatever worker ended first
        counts.setdefault(name.split("-")[0], Counter()).update(marker["tasks"])
    return {
        "tool_version": tables.tool_version(),
        "sample_rate_hz": max(marker["sample_rate_hz"] for marker in markers.values()),
        **({"channels": channels} if (channels := max(marker.get("channels", 1) for marker in markers.values())) > 1 else {}),
        "counts": counts,
        "samples": sum(marker["samples"] for marker in markers.values()),
        "seconds": round(sum(marker["seconds"] for marker in markers.values()), 3),
        "bytes": sum(file["bytes"] for file in files.values()),
        "hash": hashlib.sha256(listed.encode()).hexdigest(),
        "shards": [{"name": name, **markers[name]} for name in sorted(markers)],
    }
