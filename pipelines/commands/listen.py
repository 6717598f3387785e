"""`instructme listen`: make a listening test, open it to raters, and read its results."""

from pathlib import Path

import click

from instructme.pipelines.commands import options

ORDER = 95


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
    required=True,
    type=options.Local(exists=True, dir_okay=False),
    help="CSV file with the columns key, task, instruction, source, target, edit, system.",
)
@click.option("--title", default="Listening test", show_default=True, help="Title that raters see.")
@click.option(
    "--mode", default="scores", show_default=True, type=click.Choice(["scores", "pairs"]), help="Five points, or which of two."
)
@click.option(
    "--items", default=10, show_default=True, type=click.IntRange(1), help="Triplets of each task and length for a rater."
)
@click.option(
    "--anchor",
    default="noise",
    show_default=True,
    type=click.Choice(["noise", "shuffled", "none"]),
    help="Low anchor: the source with noise, another target, or none.",
)
@click.option("--reference/--no-reference", default=True, help="Hide the true target among the clips.  [default: reference]")
@click.option("--headphones/--no-headphones", default=True, help="Check that raters wear headphones.  [default: headphones]")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of all orders.")
def create_(
    study: Path, pairs: Path, title: str, mode: str, items: int, anchor: str, reference: bool, headphones: bool, seed: int
) -> None:
    r"""Make a listening test in the new folder STUDY: clips of equal loudness and random names, and its settings.

    The file study.yaml holds more settings, and wording.yaml holds the words that raters read. You can change both.

    \b
    Example:
      instructme listen create study --pairs edits.csv
    """
    from instructme.pipelines.listening.create import create
    from instructme.pipelines.listening.edit_table import read_table
    from instructme.pipelines.listening.study import Study

    settings = Study(
        title=title, mode=mode, items_per_task=items, anchor=anchor, reference=reference, headphones=headphones, seed=seed
    )
    for line in create(study, read_table(pairs), settings):
        click.echo(line)


@command.command("serve", short_help="Open a study to raters.")
@click.argument("study", type=options.Local(exists=True, file_okay=False))
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port of the web server.")
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
    click.echo(f"raters open http://{'THIS-MACHINE' if public else host}:{port}/ ; press Ctrl-C to stop")
    if public:
        click.echo(
            "every machine that reaches this port can open the pages and clips of this study, but no results or other files"
        )
    uvicorn.run(app, host=host, port=port, log_level="warning", access_log=False, server_header=False)


@command.command("results", short_help="Write the tables of a study.")
@click.argument("study", type=options.Local(exists=True, file_okay=False))
@click.option("-o", "--out", type=options.Local(file_okay=False), help="Folder to write into.  [default: STUDY/results]")
@click.option("--unfinished", is_flag=True, help="Use the answers of raters who stopped before the end, too.")
def results_(study: Path, out: Path | None, unfinished: bool) -> None:
    r"""Print the mean opinion scores of STUDY, and write them with all clicks as CSV files.

    You can do so while raters are at work.

    \b
    Example:
      instructme listen results study
    """
    from instructme.pipelines.listening.results import results

    for line in results(study, out or study / "results", unfinished=unfinished):
        click.echo(line)
