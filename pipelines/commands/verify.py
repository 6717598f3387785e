"""The verb `verify`: find faults in shards."""

from pathlib import Path

import click

from instructme.manifests.counting import counted
from instructme.pipelines.commands import options

ORDER = 60


@click.command("verify", short_help="Find faults in shards.")
@click.argument("shards", type=options.PLACE)
@click.option(
    "--work", type=options.FOLDER, help="Working folder of the shards. With it, the audio is also checked against the part files."
)
@options.number("--sample", help="Check the audio of only SAMPLE triplets, drawn at random.  [default: all]")
@options.WORKERS
@options.SCHEDULER
def command(shards: Path, work: Path | None, sample: int | None, workers: int | None, scheduler: str | None) -> None:
    r"""Check SHARDS: files and hashes, tables, tar members, audio, songs that are in two splits, and the laws of the tasks.

    A law says how source and target differ. For the task remove, the difference is the removed part, within one 16-bit step.
    The instruction must ask for the edit that source and target show.

    The command prints one line for each problem. If there is one, the exit code is 1.

    \b
    Example:
      instructme verify work/shards --work work --sample 1000
      instructme verify s3://bucket/shards
    """
    from instructme.pipelines.stages.verify import summary, verify

    problems = verify(shards, work=work, sample=sample, workers=workers, scheduler=scheduler)
    if problems:
        click.echo("\n".join([*problems, f"{counted(len(problems), 'problem')} in {shards}"]))
        raise SystemExit(1)
    click.echo(summary(shards, work is not None, sample))
