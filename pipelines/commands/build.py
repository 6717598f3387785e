"""The verb `build`: scan, prepare, pair and shard with one command."""

from pathlib import Path
from typing import Any

import click

from instructme.pipelines.commands import pair, prepare, scan, shard
from instructme.pipelines.commands.options import Local, Place

ORDER = 70
PASSED = {
    scan: ("layout", "split", "aliases", "licences", "names", "max_reject"),
    prepare: ("sample_rate_hz", "channels", "clip_seconds", "rhythm", "chords"),
    pair: ("counts", "total", "eval_count", "seed"),
    shard: ("per_shard", "limit", "normalise", "workers", "scheduler"),
}
"""Options that build has from each verb; the others keep their defaults. Verbs with an option of the same name get the same."""


@click.argument("roots", nargs=-1, required=True, metavar="ROOT...", type=Place())
@click.argument("work", metavar="WORK", type=Local(file_okay=False))
def _build(roots: tuple[Path, ...], work: Path, **options: Any) -> None:
    r"""Turn the datasets in ROOT... into shards in WORK/shards: scan, prepare, pair and shard.

    Run it again after a stop or with other options: it keeps all results that do not change. The four commands have more
    options.

    \b
    Example:
      instructme build slakh2100_flac_redux musdb18hq work --total 100000
      instructme build my_stems work --chords none --limit 100
    """
    for verb, arguments in ((scan, [*roots, "-o", work]), (prepare, [work]), (pair, [work]), (shard, [work])):
        name = str(verb.command.name)
        click.secho(name, bold=True)
        parent = click.get_current_context()
        with verb.command.make_context(name, [str(argument) for argument in arguments], parent) as context:
            context.params.update({option: value for option, value in options.items() if option in context.params})
            verb.command.invoke(context)
    click.echo(_next(work))


def _next(work: Path) -> str:
    kept = ", ".join(path.name for path in sorted(work.glob("*.parquet")))
    return (
        f"made {work / 'shards'}; tables kept in {work}: {kept}\n"
        f"next, try:\n"
        f"  instructme verify {work / 'shards'} --work {work}\n"
        f"  instructme pair {work} --total 100000 --plan\n"
        f"  tar xf {work / 'shards' / 'train-00000.tar'} -C some_folder   # FLAC files to listen to"
    )


command = click.command("build", short_help="Scan, prepare, pair and shard with one command.")(_build)
command.params += [parameter for verb, names in PASSED.items() for parameter in verb.command.params if parameter.name in names]
