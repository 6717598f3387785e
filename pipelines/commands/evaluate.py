"""The verb `evaluate`: edits -> scores, tables."""

import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from instructme.manifests.rows import SPLITS, DataError
from instructme.pipelines.commands import options

ORDER = 105
PACKAGE = "package"
"""Name of the editor in the package."""


@click.command("evaluate", cls=options.WithSettings, short_help="Score edits, and write tables.")
@click.argument("shards", required=False, type=options.PLACE)
@click.option(
    "--pairs",
    type=options.FILE,
    help="CSV table of files with the columns key, source, target, edit, and perhaps task, instruction, system.",
)
@click.option(
    "--edits",
    multiple=True,
    type=options.FOLDER,
    help="Folder of edits, one file for each key of SHARDS, such as KEY.flac. Repeatable.",
)
@click.option(
    "--run", "runs", multiple=True, metavar="RUN", help="Run that edits SHARDS: a folder, OWNER/NAME, or 'package'. Repeatable."
)
@click.option("-o", "--out", required=True, type=options.Local(file_okay=False), help="Folder to write.")
@click.option("--protocol", type=click.Choice(["paper", "instruct-musicgen"]), help="Choose triplets as this paper does.")
@click.option("--count", type=click.IntRange(1), help="Triplets of each task of SHARDS.  [default: all]")
@click.option("--rounds", is_flag=True, help="Score chains of edits: each round edits the result of the round before.")
@click.option("--ood", type=options.PLACE, help="Shards of other music, scored beside SHARDS.")
@options.SET
@options.setting("--split", default="test", type=click.Choice(SPLITS), help="Split of SHARDS.")
@options.setting("--seconds", metavar="N,N...", help="Lengths of the triplets, such as 30,60.  [default: all]")
@options.setting("--tagger", type=options.FOLDER, help="Run of 'train tagger'.  [default: the package's]")
@options.setting("--vggish", type=options.FILE, help="Weights of VGGish, for fad_vggish: a .pth file.")
@options.setting("--vggish-pca", type=options.FILE, help="Post-processing of VGGish, for fad_vggish_pca: a .pth file.")
@options.setting("--panns", type=options.FILE, help="Weights of PANNs, for kl_panns: a .pth file.")
@options.setting("--clap", type=options.FOLDER, help="Folder of a CLAP model of transformers, for clap_score.")
@options.setting("--device", help="Device for the edits, such as cuda.  [default: cuda where there is one]")
@options.setting(
    "--absent", is_flag=True, help="yes: also name instruments that are not there. The run should then change nothing."
)
@options.setting("--samples", default=1, type=click.IntRange(1), help="Edits of each triplet, with other seeds.")
@options.setting("--guidance", metavar="W,W...", help="Scales of the instruction to compare, such as 1,2,3,5.")
@options.setting("--steps", type=click.IntRange(1), help="Steps of the sampler.  [default: the run's]")
@options.setting(
    "--controls", default=100, type=click.IntRange(0), help="Triplets of each task for which control edits are made."
)
@options.setting("--least-done", default=0.5, type=options.Finite(max=1), help="Least edit_done for joint.")
@options.setting("--most-error", default=3.0, type=options.Finite(0), help="Most kept_error_db for joint.")
@options.WORKERS
def command(
    shards: Path | None,
    pairs: Path | None,
    edits: tuple[Path, ...],
    runs: tuple[str, ...],
    out: Path,
    protocol: str | None,
    count: int | None,
    rounds: bool,
    ood: Path | None,
    split: str,
    seconds: str | None,
    tagger: Path | None,
    device: str | None,
    absent: bool,
    samples: int,
    guidance: str | None,
    steps: int | None,
    controls: int,
    least_done: float,
    most_error: float,
    workers: int | None,
    **networks: Path | None,
) -> None:
    r"""Score edits against their targets, and write scores.parquet, sets.parquet, tables.md and scores.html into OUT.

    Each RUN gets a model card, README.md.

    Give one of these:

    \b
      --pairs FILE.csv   a table of audio files of any system. Paths are relative to the table.
      SHARDS --edits D   a folder of edits, one file for each key of the shards.
      SHARDS --run RUN   a run that edits the sources, or 'package': the editor in the package.

    With --run, the edits are kept in OUT/edits. Run the command again after a stop: it continues. Edits that a run can't make
    count as refused.

    For comparison, each table has rows of control edits: the target itself, the source (identity), the target of another song,
    and the target with noise. A system that is worse than identity is worse than doing nothing. Intervals are 95 % intervals over
    songs.

    Results of the recognisers are kept in OUT/features, so that a second run is fast.

    \b
    Example:
      instructme evaluate --pairs edits.csv -o scores
      instructme evaluate work/shards --run runs/editor --count 100 -o scores
      instructme evaluate work/shards --edits mine --edits theirs -o scores --protocol paper
      instructme evaluate work/shards --ood other/shards --run runs/editor -o scores
      instructme evaluate work/shards --run runs/editor -o scores --rounds
    """
    _check(click.get_current_context().params)
    from instructme.pipelines.data.shard_reader import ShardReader
    from instructme.pipelines.evaluation import evaluate, made_edits, protocols, shard_cases
    from instructme.pipelines.evaluation.absent_cases import absent_cases
    from instructme.pipelines.evaluation.case_list import write_list
    from instructme.pipelines.evaluation.cases import from_table, unmatched
    from instructme.pipelines.evaluation.embeddings import Networks
    from instructme.pipelines.evaluation.shard_cases import from_shards, out_of_domain
    from instructme.pipelines.processes import resume

    folders = _folders(runs)
    systems = made_edits.makers(folders, guidance=_numbers(guidance, "--guidance"), samples=samples, steps=steps)
    choice = protocols.choose(protocol, split, count, tuple(map(round, _numbers(seconds, "--seconds"))), rounds)
    given = evaluate.names(edits, [system.name for system in systems])
    tell = functools.partial(click.echo, err=True)
    found = from_table(pairs, tell) if pairs else from_shards(shards or Path(), choice, given)
    told = (line for place in (shards, ood) if place for line in shard_cases.below_rate(place, choice))
    for line in (*unmatched(found, given), *told):
        tell(line)
    groups = {"edits": (found, ShardReader(shards, split).state() if shards else "")}
    if ood:
        groups["edits-ood"] = out_of_domain(from_shards(ood, choice, {})), ShardReader(ood, split).state()
    load = functools.partial(options.load_editor, device=device)
    with resume.held(out):
        cases = []
        for folder, (found, state) in groups.items():
            found += absent_cases(found) if absent else []
            for line in made_edits.make_edits(found, systems, out / folder, load, state, choice.rate_hz):
                click.echo(line)
            cases += made_edits.with_edits(found, systems, out / folder)
        made = {system.name: out / "edits" / system.name for system in systems}
        write_list(out, shards or pairs or Path(), choice, {**given, **made}, groups["edits"][1] or None)
        scored = evaluate.evaluate(
            cases,
            out,
            options={"joint": {"least_done": least_done, "most_kept_error_db": most_error}},
            tagger=tagger,
            networks=Networks(**networks),
            runs={name: run for name, run in folders.items() if name != PACKAGE},
            shards=shards,
            controls=controls,
            rate_hz=choice.rate_hz,
            workers=workers,
        )
        for line in scored:
            click.echo(line)


def _check(given: Mapping[str, Any]) -> None:
    """Refuse options that contradict each other, by their names.

    Raises:
        UsageError: they do.
    """
    shards, pairs, edits, runs, ood = (given[name] for name in ("shards", "pairs", "edits", "runs", "ood"))
    if (shards is None) == (pairs is None) or (pairs and (edits or runs)) or (shards and not (edits or runs)):
        raise click.UsageError("give --pairs FILE.csv, or SHARDS with --edits FOLDER or --run RUN")
    if (given["absent"] or given["guidance"] or given["samples"] > 1) and not runs:
        raise click.UsageError("the settings absent, samples and guidance need --run RUN, because they make new edits")
    if not shards and (given["protocol"] or given["rounds"] or ood or given["seconds"]):
        raise click.UsageError(
            "--protocol, --rounds, --ood and --set seconds choose triplets of SHARDS: give SHARDS, not --pairs"
        )
    if given["vggish_pca"] and not given["vggish"]:
        raise click.UsageError("--set vggish_pca post-processes the embedding of VGGish: add --set vggish=FILE")
    if ood and edits:
        raise click.UsageError("--ood needs --run: a folder of --edits holds edits of SHARDS only")


def _folders(runs: tuple[str, ...]) -> dict[str, Path]:
    """Find the folders of runs, by the names of their systems.

    Raises:
        DataError: two runs have one name.
    """
    if not runs:
        return {}
    from instructme.pipelines.editing.run_folders import find_run

    found = {Path(run).resolve().name: find_run(None if run == PACKAGE else run) for run in runs}
    if len(found) < len(runs):
        raise DataError("two runs have the same name: rename a folder, because tables name systems by the folders of their runs")
    return found


def _numbers(text: str | None, option: str) -> list[float]:
    """Read numbers between commas."""
    try:
        numbers = [float(each) for each in (text or "").split(",") if each.strip()]
    except ValueError:
        numbers = [math.nan]
    if not all(0 <= number < math.inf for number in numbers):
        raise click.BadParameter(f"{text}: write numbers between commas, such as 1,2,3", param_hint=option)
    return numbers
