"""The verb `shard`: recipes -> WebDataset shards."""

from pathlib import Path
from typing import Any

import click

from instructme.manifests.rows import SPLITS
from instructme.pipelines.commands import options

ORDER = 50


@click.command("shard", short_help="Render recipes into WebDataset shards.")
@click.argument("work", type=options.FOLDER)
@click.option(
    "-o",
    "--out",
    type=options.Place(file_okay=False),
    help="Folder of the shards, or its URL such as s3://bucket/prefix.  [default: WORK/shards]",
)
@options.number("--per-shard", default=500, help="Triplets in a shard.")
@options.number("--shard-size-mb", help="Approximate size of a shard in MB, instead of --per-shard.")
@options.number("--limit", help="Render only the first LIMIT triplets of each split.")
@click.option("--splits", default=",".join(SPLITS), callback=options.read_splits, help="Splits to render.")
@click.option(
    "--normalize",
    "normalise",
    default="joint",
    type=click.Choice(["joint", "side"]),
    help="joint: one gain for source and target. side: a gain for each, so that its peak is at -1 dBFS.",
)
@options.WORKERS
@options.SCHEDULER
def command(work: Path, out: Path | None, **others: Any) -> None:
    r"""Render the recipes of WORK/triplets.parquet into shards: tar files, each with a parquet index beside it.

    Run it again after a stop: finished shards are kept. The number of workers does not change the bytes.

    \b
    Example:
      instructme shard work -o work/shards --per-shard 500
      instructme shard work -o s3://bucket/shards --scheduler tcp://host:8786
    """
    from instructme.pipelines.stages.shard import shard, summary

    click.echo(summary(shard(work, out or work / "shards", **others)))
