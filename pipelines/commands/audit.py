"""The verb `audit`: count the contents of a working folder, and find faults in them."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from instructme.pipelines.commands import options

if TYPE_CHECKING:
    from instructme.dataset_tools.audit.report import Report

ORDER = 65


@click.command("audit", short_help="Examine a dataset: contents, leaks, faults.")
@click.argument("work", type=options.FOLDER)
@click.option("--shards", type=options.PLACE, help="Folder of the shards.  [default: WORK/shards]")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Page to write.  [default: WORK/audit.html]")
@click.option("--examples", default=2, type=click.IntRange(0), help="Number of random triplets of each task on the page.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Seed of the examples.")
@click.option("--audio/--no-audio", default=True, help="Compare the sound of songs with each other and with their MIDI.")
@click.option("--strict", is_flag=True, help="Exit with code 1 if a finding is an error.")
def command(work: Path, shards: Path | None, html: Path | None, examples: int, seed: int, audio: bool, strict: bool) -> None:
    r"""Examine WORK after any stage: its contents, gaps, songs in two splits, labels, names, rejects and tables.

    The command prints its findings. It writes one HTML page with all numbers, and with a few triplets to listen to.

    \b
    Example:
      instructme audit work --html work/audit.html
    """
    from instructme.dataset_tools.audit import audit
    from instructme.manifests.rows import DataError
    from instructme.pipelines.pages.audit import audit_page
    from instructme.pipelines.pages.examples import examples as draw

    report = audit(work, shards=shards, audio=audio)
    rows = []
    if examples and (work / "triplets.parquet").exists():
        try:
            rows = draw(work, examples, seed)
        except DataError as error:
            click.echo(f"no examples to listen to: {error}")
    page = html or work / "audit.html"
    audit_page(page, report, rows)
    errors = _summary(report)
    click.echo(f"wrote {page}")
    if strict and errors:
        raise SystemExit(1)


def _summary(report: "Report") -> int:
    """Print facts and findings, the worst first; count the errors."""
    from instructme.dataset_tools.audit.report import Finding

    for name, value in report.facts.items():
        click.echo(f"{name}: {value}")
    findings = [item for section in report.sections for item in section.items if isinstance(item, Finding)]
    for level in ("error", "warning", "note"):
        for finding in (finding for finding in findings if finding.level == level):
            click.echo(f"{level}: {finding.title}")
    fine = sum(finding.level == "fine" for finding in findings)
    click.echo(f"{fine} of {len(findings)} checks found nothing wrong")
    return sum(finding.level == "error" for finding in findings)
