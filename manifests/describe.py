"""Describe the tables for people: `python -m instructme.manifests.describe` prints docs/tables.md."""

from instructme.manifests import rows
from instructme.manifests.tables import schema

TABLES = {
    "tracks.parquet": rows.Track,
    "stems.parquet": rows.Stem,
    "parts.parquet": rows.Part,
    "rhythm.parquet": rows.Rhythm,
    "clips.parquet": rows.Clip,
    "triplets.parquet": rows.Triplet,
    "<split>-NNNNN.parquet": rows.Sample,
    "rejects.parquet": rows.Reject,
}


def markdown() -> str:
    """Write the documentation of every table and column as Markdown, from the row types."""
    lines = ["# Tables", "", "Generated from `rows.py` by `python -m instructme.manifests.describe > docs/tables.md`.", ""]
    lines += [" ".join((rows.__doc__ or "").split("\n\n")[1].split()), ""]
    for name, row_type in TABLES.items():
        lines += [
            f"## `{name}`",
            "",
            (row_type.__doc__ or "").split(" Table")[0],
            "",
            "| column | type | meaning |",
            "|---|---|---|",
        ]
        for field in schema(row_type):
            optional = ", may be null" if field.nullable else ""
            lines.append(f"| `{field.name}` | {field.type}{optional} | {field.metadata[b'doc'].decode()} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown(), end="")
