"""Describe the tables for people: `python -m instructme.manifests.describe` prints docs/tables.md."""

from instructme.manifests import rows
from instructme.manifests.tables import schema

ROWS: tuple[type, ...] = (
    *(rows.Track, rows.Stem, rows.Part, rows.Rhythm, rows.Clip),
    *(rows.Triplet, rows.Sample, rows.Reject, rows.EditScore, rows.SetScore),
)
TABLES = {(row_type.__doc__ or "").split("`")[1]: row_type for row_type in ROWS}
"""Types of rows by the names of their tables, which their docstrings say."""
INTRODUCTION = """
All tables are parquet files in the working folder. The index of a shard is beside its tar. `scores.parquet` and `sets.parquet`
are in the folder that `evaluate` writes.

- Positions and lengths are counted in samples at the working rate (`prepare --sample-rate`), unless the name has another unit.
- If list columns of a row belong together, their lists have the same length.
- Each file also holds its schema version, its arguments, its seed, and the SHA-256 of the tables that it was made from.
- A canonical name is the one that the package uses. `manifests/data` lists the canonical instruments and genres.

This page is generated: `python -m instructme.manifests.describe > docs/tables.md`.
""".strip()


def markdown() -> str:
    """Write the documentation of every table and column as Markdown, from the row types."""
    lines = ["# Tables", "", *INTRODUCTION.splitlines(), ""]
    for name, row_type in TABLES.items():
        meaning = (row_type.__doc__ or "").split(" Table")[0]
        lines.append(f"## `{name}`\n\n{meaning}\n\n| column | type | meaning |\n|---|---|---|")
        for field in schema(row_type):
            optional = ", may be null" if field.nullable else ""
            lines.append(f"| `{field.name}` | {field.type}{optional} | {field.metadata[b'doc'].decode()} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown(), end="")
