"""The verb `pair`."""

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from instructme.manifests.counting import counted
from instructme.pipelines.commands.options import FOLDER, SET, WithSettings, number

if TYPE_CHECKING:
    from instructme.pipelines.stages.pair import PairSummary

ORDER = 40


def _counts(context: click.Context, option: click.Parameter, values: tuple[str, ...]) -> dict[str, int]:
    counts = {}
    for value in values:
        task, equals, number = value.partition("=")
        if not equals or not number.isdecimal() or task in counts:
            raise click.BadParameter(f"{value!r}: write each task once, as in add=300000", context, option)
        counts[task] = int(number)
    return counts


def _weights(context: click.Context, option: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    weights: dict[str, float] = {}
    for value in values:
        dataset, equals, number = value.partition("=")
        try:
            weight = float(number) if equals and dataset and dataset not in weights else 0.0
        except ValueError:
            weight = 0.0
        # Written so that NaN fails, too.
        if not 0 < weight < 1e6:
            raise click.BadParameter(f"{value!r}: write each dataset once, as in musdb18hq=2", context, option)
        weights[dataset] = weight
    return tuple(sorted(weights.items()))


@click.command("pair", cls=WithSettings, short_help="Draw the recipes of the edits.")
@click.argument("work", type=FOLDER)
@click.option(
    "--count", "counts", multiple=True, callback=_counts, metavar="TASK=N", help="Training recipes of this task. Repeatable."
)
@number("--total", help="Training recipes of all tasks, in the shares of the paper.  [default: 20 per clip]")
@number("--eval-count", default=800, help="Recipes of each task for validation, and as many for test.")
@click.option(
    "--weight",
    "weights",
    multiple=True,
    callback=_weights,
    metavar="DATASET=W",
    help="Draw windows of this dataset W times as often as others. Repeatable.",
)
@SET
@number(
    "--balance",
    hidden=True,
    default=0.5,
    help="Draw rare instruments more often. 0: as often as they occur. 1: all equally often.",
)
@click.option(
    "--templates", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="YAML file of texts for the instructions."
)
@number(
    "--paraphrase",
    hidden=True,
    metavar="SHARE",
    default=0.0,
    help="Share of training instructions that are written in other words.",
)
@number("--rounds", default=1, help="For test, also draw chains of this many edits in a row.")
@number("--seconds", multiple=True, help="For test, also draw windows of this length. Repeatable.")
@number("--tempo-tolerance", hidden=True, default=0.06, help="Largest relative difference of the two tempi (remix).")
@number("--remix-harmony", hidden=True, default=0.6, help="Smallest share of time with equal chords (remix).")
@click.option("--seed", default=0, type=click.IntRange(0), help="Seed of everything random.")
@click.option("--plan", is_flag=True, help="Print what would be made, and write nothing.")
def command(work: Path, **given: Any) -> None:
    r"""Draw recipes at random from the clips of WORK, and write triplets.parquet.

    A recipe says which parts sound before and after an edit, and holds the instruction. --total has the shares of the
    paper: remix 10, add 3, replace 3, extract 2, remove 2. For the task rebalance, use --count. No recipe is drawn twice. If
    fewer recipes exist than you ask for, the command draws all of them and prints their number.

    The file of --templates gives texts with fields in braces for each task. Other tasks keep the texts of the paper. Fields:
    {instrument} for add, remove, extract and rebalance; {gain} for rebalance; {instrument_a} and {instrument_b} for replace;
    {instruments} or {genre} for remix.

    \b
      add: ["bring in the {instrument}", "add {instrument}"]
      remix: ["play it with {instruments}", "turn this into {genre}"]

    --set paraphrase=0.3 writes 30 % of the training instructions in other words, such as "get rid of drums". Validation and test
    keep the templates.

    \b
    Example:
      instructme pair work --total 2000000 --plan
      instructme pair work --count add=300000 --count remix=1000000
      instructme pair work --total 20000 --rounds 3 --seconds 30 --seconds 60
      instructme pair work --total 20000 --set paraphrase=0.3
      instructme pair work --total 20000 --set remix_harmony=0 --set balance=0.8
    """
    if given["counts"] and given["total"]:
        raise click.UsageError("give --count or --total, not both")
    from instructme.dataset_tools.pairing.edits import PairOptions
    from instructme.pipelines.stages.pair import pair

    options = PairOptions(**{field.name: given.pop(field.name) for field in fields(PairOptions)})
    _print(pair(work, options=options, **given), given["rounds"], given["plan"])


def _print(summary: "PairSummary", rounds: int, plan: bool) -> None:
    for split, tasks in summary.counts.items():
        click.echo(
            f"{split}: {counted(sum(tasks.values()), 'recipe')}: " + ", ".join(f"{task} {count}" for task, count in tasks.items())
        )
    if summary.chains:
        edits = summary.chains * rounds
        click.echo(f"{edits} of the test recipes are {counted(summary.chains, 'chain')} of {rounds} edits that follow each other")
    for line in summary.shortfalls:
        click.echo(line)
    if summary.rejects:
        click.echo("clips not used: " + ", ".join(f"{reason} {count}" for reason, count in summary.rejects.items()))
    click.echo(
        f"{'would be' if plan else 'as shards:'} {summary.hours:.1f} h of music on each side, "
        f"about {_rounded(summary.gigabytes)} GB of FLAC and {_duration(summary.render_hours)} of rendering here"
    )
    if plan:
        click.echo("nothing was written")


def _duration(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.0f} min" if hours * 60 >= 1 else f"{hours * 3600:.0f} s"


def _rounded(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"
