"""`instructme listen`: make a listening test, open it to raters, and read its results."""

import functools
from pathlib import Path
from typing import Any

import click

from instructme.pipelines.commands import options

ORDER = 107


@click.group("listen", short_help="Run a listening test in the browser.")
def command() -> None:
    r"""Run the paper's listening test as a web page that stores every click.

    Raters judge quality, relevance and harmony of edits from 1 to 5, and don't know which system made them.

    \b
    Example:
      instructme listen create study --pairs edits.csv
      instructme listen serve study
      instructme listen results study
    """


@command.command("create", short_help="Make a study from edits.")
@click.argument("study", type=options.Local())
@click.option(
    "--pairs",
    type=options.FILE,
    help="CSV table of files with the columns key, instruction, source, target, edit, system, and perhaps task, lead.",
)
@click.option(
    "--edits",
    multiple=True,
    type=options.FOLDER,
    help="Output folder of 'evaluate'. With --shards: folder of edits of a system, with files such as KEY.flac; repeatable.",
)
@click.option("--shards", type=options.PLACE, help="Shards whose test split was edited.")
@click.option(
    "--work",
    type=options.FOLDER,
    help="Working folder of the shards. The lead of the source is then added to the clips of a remix.",
)
@click.option("--count", type=click.IntRange(1), help="Triplets of each task in the study.  [default: all]")
@click.option(
    "--mode",
    default="scores",
    type=click.Choice(["scores", "pairs"]),
    help="scores: 1 to 5 points. pairs: choose the better of two.",
)
@click.option(
    "--items", "items_per_task", default=10, type=click.IntRange(1), help="Triplets of each task and length for a rater."
)
@click.option(
    "--anchor",
    default="noise",
    type=click.Choice(["noise", "shuffled", "none"]),
    help="Low anchor: the source with noise, another target, or none.",
)
@click.option(
    "--length",
    "lengths_s",
    multiple=True,
    type=options.Finite(1),
    help="Length in seconds to which clips are cut. Repeatable.  [default: 10, 30 and 60]",
)
@click.option("--seed", default=0, type=click.IntRange(0), help="Seed of the order of clips and pages.")
def create_(
    study: Path,
    pairs: Path | None,
    edits: tuple[Path, ...],
    shards: Path | None,
    work: Path | None,
    count: int | None,
    **settings: Any,
) -> None:
    r"""Make a listening test in the new folder STUDY: clips of equal loudness and random names, and its settings.

    Give --pairs, --edits, or --shards with --edits. They are read as 'evaluate' reads them. Triplets that a run refused to edit
    are left out. The file study.yaml holds more settings, and wording.yaml holds the words that raters read. You can change both
    before the first rater comes.

    \b
    Example:
      instructme listen create study --pairs edits.csv
      instructme listen create study --edits scores --count 10
      instructme listen create study --shards work/shards --edits mine --edits theirs
    """
    if (pairs is None) == (not edits) or (shards and not edits) or (not shards and len(edits) > 1):
        raise click.UsageError("give --pairs FILE.csv, --edits FOLDER of 'evaluate', or --shards SHARDS with --edits FOLDERS")
    from instructme.pipelines.evaluation import case_list, cases, evaluate
    from instructme.pipelines.evaluation.shard_cases import Choice, from_shards
    from instructme.pipelines.listening import leads, rated_edits
    from instructme.pipelines.listening.create import create
    from instructme.pipelines.listening.study import Study

    if pairs:
        found = cases.from_table(pairs, functools.partial(click.echo, err=True))
    elif shards:
        found = from_shards(shards, Choice(), evaluate.names(edits))
        for line in cases.unmatched(found, evaluate.names(edits)):
            click.echo(line, err=True)
    else:
        found = case_list.read_list(edits[0])
    edited = rated_edits.without_refused(found)
    if refused := len(found) - len(edited):
        click.echo(f"{refused} of {len(found)} triplets are left out, because a run refused to edit them")
    if count:
        edited = rated_edits.drawn_by_task(edited, count)
    if work:
        edited = leads.with_leads(edited, work)
    for line in create(study, edited, Study(**{name: value for name, value in settings.items() if value != ()})):
        click.echo(line)


@command.command("serve", short_help="Open a study to raters.")
@click.argument("study", type=options.FOLDER)
@click.option("--port", default=8000, type=click.IntRange(0, 65535), help="Port of the web server.")
@click.option(
    "--public", is_flag=True, help="Accept raters from other machines. Without it, only this machine can open the pages."
)
def serve(study: Path, port: int, public: bool) -> None:
    r"""Open STUDY to raters until you press Ctrl-C. Start it again at any time: no click is lost.

    \b
    Example:
      instructme listen serve study
    """
    import uvicorn

    from instructme.pipelines.listening.server import make_app

    app = make_app(study)
    host = "0.0.0.0" if public else "127.0.0.1"
    click.echo(f"address for raters: http://{'THIS-MACHINE' if public else host}:{port}/ (press Ctrl-C to stop)")
    if public:
        click.echo(
            "every machine that reaches this port can open the pages and clips of this study, but no results or other files"
        )
    uvicorn.run(app, host=host, port=port, log_level="warning", access_log=False, server_header=False)


@command.command("results", short_help="Write the tables of a study.")
@click.argument("study", type=options.Local(exists=True))
@click.option("-o", "--out", type=options.Local(file_okay=False), help="Folder to write into.  [default: STUDY/results]")
@click.option("--unfinished", is_flag=True, help="Use the answers of raters who stopped before the end, too.")
def results_(study: Path, out: Path | None, unfinished: bool) -> None:
    r"""Print the mean opinion scores of STUDY, and write them with all clicks as CSV files.

    You can do this while raters are at work. STUDY can also be a CSV file that webMUSHRA wrote: mushra.csv, lms.csv or lss.csv.

    \b
    Example:
      instructme listen results study
      instructme listen results lms.csv -o tables
    """
    from instructme.pipelines.listening import results

    if study.is_dir():
        lines = results.results(study, out or study / "results", unfinished=unfinished)
    else:
        lines = results.results_of_webmushra(study, out or study.with_suffix(""))
    for line in lines:
        click.echo(line)


@command.command("export", short_help="Write a study for webMUSHRA.")
@click.argument("study", type=options.FOLDER)
@click.option("-o", "--out", required=True, type=options.Local(file_okay=False), help="Folder to write into.")
def export_(study: Path, out: Path) -> None:
    r"""Write STUDY as a configuration of webMUSHRA with its clips, for those who use that program.

    The pages use the same points. 'listen results' reads the file lms.csv that webMUSHRA writes.

    \b
    Example:
      instructme listen export study -o webmushra
    """
    from instructme.pipelines.listening.webmushra import export

    click.echo(export(study, out))


@command.command("simulate", short_help="Try a study with simulated raters.")
@click.argument("study", type=options.FOLDER)
@click.option("-o", "--out", required=True, type=options.Local(file_okay=False), help="New folder for a copy of the study.")
@click.option("--raters", default=50, type=click.IntRange(1, 500), help="Raters who take the test at the same time.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Seed of their answers.")
def simulate_(study: Path, out: Path, raters: int, seed: int) -> None:
    r"""Let simulated raters with known preferences take a copy of STUDY over HTTP. Then compare the results with the preferences.

    This tests the server and the statistics. It says nothing about people or edits.

    \b
    Example:
      instructme listen simulate study -o simulated --raters 50
    """
    from instructme.pipelines.listening.simulation import simulate

    for line in simulate(study, out, raters, seed):
        click.echo(line)
