"""The verb `scan`."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from instructme.manifests.counting import counted
from instructme.manifests.rows import SPLITS, Stem
from instructme.pipelines.commands import options

if TYPE_CHECKING:
    from instructme.pipelines.stages.scan import Rows

ORDER = 20
_EXAMPLES = 3
_SHOWN_REJECTS = 20


def _shares(context: click.Context, parameter: click.Parameter, value: str) -> tuple[float, ...]:
    try:
        shares = tuple(float(share) for share in value.split(","))
    except ValueError:
        shares = ()
    # Written so that NaN fails, too.
    if len(shares) != 3 or not (min(shares) >= 0 and abs(sum(shares) - 1) <= 1e-6):
        raise click.BadParameter("give three shares that sum to 1, such as 0.8,0.1,0.1")
    return shares


@click.command("scan", short_help="Find the tracks and stems of datasets.")
@click.argument("roots", nargs=-1, required=True, metavar="ROOT...", type=options.Place())
@click.option("-o", "--work", required=True, type=options.Local(), help="Working folder for the tables.")
@click.option(
    "--layout",
    default="auto",
    help="Layout of all roots: folder, medleydb, moisesdb, musdb, slakh, table, or `auto` to recognise it.",
)
@click.option(
    "--split",
    default="0.8,0.1,0.1",
    callback=_shares,
    help="Shares of train, validation and test, if there are no official splits.",
)
@click.option("--seed", default=0, type=click.IntRange(0), help="Seed of the random splits.")
@click.option("--aliases", type=click.Path(path_type=Path), help="CSV file with the columns label,instrument.")
@click.option("--accept-guesses", is_flag=True, help="Treat guessed instruments as certain.")
@click.option(
    "--licence", "licences", multiple=True, help="Use only tracks of this licence, such as `CC-BY-4.0` or `CC*`. Repeatable."
)
@click.option(
    "--dataset-name", "names", multiple=True, help="Name of the dataset, once for each ROOT.  [default: name of its folder]"
)
@click.option("--allow-outside", is_flag=True, help="Read files outside the folder of a table, and absolute paths.")
@click.option("--follow-links", is_flag=True, help="Read links to files outside the dataset, as in Hugging Face snapshots.")
@click.option("--dry-run", is_flag=True, help="Show the result, but write nothing.")
@options.MAX_REJECT
def command(roots: tuple[Path, ...], work: Path, max_reject: float | None, **given: Any) -> None:
    r"""Find the tracks and stems of datasets in any supported layout, from names, metadata and audio headers.

    The command writes tracks.parquet and stems.parquet to the working folder. It keeps the other datasets in that folder. A root
    that you scan again replaces its old rows. If a dataset has official splits, the command uses them. Otherwise it chooses
    splits at random.

    \b
    Example:
      instructme scan slakh2100_flac_redux musdb18hq -o work
      instructme scan my_stems -o work --layout folder --aliases my_names.csv
      instructme scan s3://bucket/slakh2100_flac_redux -o work
    """
    from instructme.dataset_tools.layouts import names as known_layouts
    from instructme.pipelines.stages.reject_share import check
    from instructme.pipelines.stages.scan import scan

    if given["layout"] not in ("auto", *known_layouts()):
        raise click.BadParameter(f"choose from auto, {', '.join(known_layouts())}", param_hint="--layout")
    _report(scan(roots, work, **given), work, given["split"], dry_run=given["dry_run"])
    if not given["dry_run"]:
        check(work, max_reject, prepared=False)


def _report(rows: "Rows", work: Path, fractions: tuple[float, ...], *, dry_run: bool) -> None:
    for dataset in sorted({track.dataset for track in rows.tracks}):
        _songs(rows, dataset)
    _splits(rows, fractions)
    unmatched = Counter(stem.label for stem in rows.stems if stem.rule == "unmatched")
    if unmatched:
        frequent = sorted(unmatched.items(), key=lambda item: (-item[1], item[0]))[:20]
        shown = ", ".join(f"{name!r} {count}" for name, count in frequent)
        number = counted(len(unmatched), "label")
        click.echo(f"{number} without an instrument. Such stems are never edited; name their instruments with --aliases: {shown}")
    _guesses(rows)
    reasons: Counter[str] = Counter()
    for reject in rows.rejects:
        reasons[reject.reason] += reject.count
    if reasons:
        shown = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()))
        click.echo(f"rejected: {shown}" + ("" if dry_run else f" (reasons: {work / 'rejects.parquet'})"))
    if dry_run:
        for reject in rows.rejects[:_SHOWN_REJECTS]:
            click.echo(f"  {reject.item}: {reject.reason}: {reject.detail}")
        click.echo("nothing was written")
        return
    click.echo(f"wrote {work / 'tracks.parquet'} and {work / 'stems.parquet'}")


def _songs(rows: "Rows", dataset: str) -> None:
    """Show a dataset: its size and splits, stems per song, and a few songs with their instruments."""
    from statistics import median

    tracks = {track.track_id: track for track in rows.tracks if track.dataset == dataset}
    stems: dict[str, list[Stem]] = {track: [] for track in tracks}
    for stem in rows.stems:
        if stem.track_id in stems:
            stems[stem.track_id].append(stem)
    counts = Counter(track.split for track in tracks.values())
    own, sizes = sum(track.official_split for track in tracks.values()), [len(each) for each in stems.values()]
    origin = "official" if own == len(tracks) else "drawn" if not own else f"{own} official, others drawn"
    hours = sum(max(stem.length_samples / stem.sample_rate_hz for stem in each) for each in stems.values()) / 3600
    click.echo(
        f"{dataset}: layout {next(iter(tracks.values())).layout}, {counted(len(tracks), 'track')}, "
        f"{counted(sum(sizes), 'stem')}, {hours:.2f} h; {', '.join(f'{split} {counts[split]}' for split in SPLITS)} ({origin})"
    )
    click.echo(f"  stems per song: {median(sizes):g} (from {min(sizes)} to {max(sizes)})")
    for track in sorted(stems)[:: max(1, len(stems) // _EXAMPLES)][:_EXAMPLES]:
        click.echo(f"  {tracks[track].path}: {', '.join(sorted(stem.instrument for stem in stems[track]))}")


def _splits(rows: "Rows", fractions: tuple[float, ...]) -> None:
    """Tell of splits without songs, of songs that have moved, and of too few songs to draw from."""
    used = {track.split for track in rows.tracks}
    if empty := [split for split, share in zip(SPLITS, fractions, strict=True) if share and split not in used]:
        given = all(track.official_split for track in rows.tracks)
        cause = "the dataset has no such split (`dev` means validation)" if given else "there are too few artists or songs"
        click.echo(f"no track is in {' or '.join(empty)}: {cause}; see --split")
    if rows.moved:
        click.echo(rows.moved)
    drawn = {track.leak_group for track in rows.tracks if not track.official_split}
    if len(drawn) > 1 and any(0 < share * len(drawn) < 1 for share in fractions[1:]):
        click.echo(
            f"few songs or artists ({len(drawn)}): test and validation get one each, and train gets the rest; "
            "--split 1,0,0 puts all into train"
        )


def _guesses(rows: "Rows") -> None:
    """List the labels that may mean an instrument, the most frequent first, each with an example."""
    guesses: dict[tuple[str, str], list[str]] = {}
    for stem in rows.stems:
        if stem.guess:
            guesses.setdefault((stem.label, stem.guess), []).append(stem.path)
    if guesses:
        click.echo(
            f"{counted(len(guesses), 'label')} may mean an instrument. "
            "Instructions do not name it without --accept-guesses or --aliases:"
        )
    for (label, guess), paths in sorted(guesses.items(), key=lambda item: (-len(item[1]), item[0])):
        click.echo(f"  {label!r} may be {guess}: {counted(len(paths), 'stem')}, such as {paths[0]}")
