"""The verb `verify`: shards -> what is wrong with them."""

from pathlib import Path

import click

from instructme.pipelines.commands import options

ORDER = 60


@click.command("verify", short_help="List what is wrong with shards.")
@click.argument("shards", type=options.Place(exists=True, file_okay=False))
@click.option(
    "--work",
    type=options.Local(exists=True, file_okay=False),
    help="Working folder they were made from: checks the audio against the part files, too.",
)
@click.option("--sample", type=click.IntRange(0), help="Check the audio of so many triplets.  [default: all]")
@options.WORKERS
@options.SCHEDULER
def command(shards: Path, work: Path | None, sample: int | None, workers: int | None, scheduler: str | None) -> None:
    r"""Verify SHARDS: files and hashes, tables, tar members, audio, leaks between splits, and the laws of the tasks.

    Exit code 1 and one line per problem if anything is wrong.

    \b
    Example:
      instructme verify work/shards --work work --sample 1000
      instructme verify s3://bucket/shards
    """
    from instructme.pipelines.stages.verify import summary, verify

    problems = verify(shards, work=work, sample=sample, workers=workers, scheduler=scheduler)
    if problems:
        click.echo("\n".join([*problems, f"{len(problems)} problems in {shards}"]))
        raise SystemExit(1)
    click.echo(summary(shards, work is not None, sample))
