"""The verb `corpus`: render the built-in multitrack dataset."""

from pathlib import Path
from typing import Any

import click

from instructme.manifests.counting import counted
from instructme.pipelines.commands import options

ORDER = 10


@click.command("corpus", short_help="Render songs in stems, if you have none.")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--tier", type=click.Choice(["mini", "standard", "real"]), default="mini", help="Set of songs.")
@click.option(
    "--hours",
    type=options.Finite(min=0, min_open=True),
    help="Length of all songs together. Keys, tempi and rhythm patterns vary.",
)
@click.option(
    "--soundfont",
    "soundfonts",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A .sf2 or .sf3 file. With several files, each song uses the next one. Repeatable.",
)
@click.option(
    "--midi", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder of General MIDI songs (tier real)."
)
@click.option(
    "--timbres",
    "timbres_of",
    metavar="SOURCES",
    help="Sound sources: varied, held-out, or names with commas between them. Each part gets one, and random effects.",
)
@click.option(
    "--sounds",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of recorded notes and drums with an index.tsv, for --timbres.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Seed of everything random.")
@options.WORKERS
def command(folder: Path, **given: Any) -> None:
    r"""Render multitrack music with chords, beats and genres into DIR, in the layout of Slakh2100.

    The tiers mini (about 6 minutes) and standard (about 72 minutes) use the chord charts of this package. MMA plays
    each chart in several genres, and FluidSynth renders it. The tier real uses General MIDI songs written by people: those in
    the folder --midi, or those of Debian's packages openttd-openmsx and simutrans-data. Run the command again after a stop:
    finished songs are kept.

    With --timbres, each part gets a random soundfont or recording, and a random treatment: equaliser, saturation
    or amplifier, compressor, reverb and level. Each track's metadata.yaml names both, with their licences.

    \b
    Example:
      instructme corpus music --tier mini
      instructme corpus music100 --tier standard --hours 100 --soundfont A.sf2 --soundfont B.sf2
      instructme corpus songs --tier real --midi my_midi_files
      instructme corpus many --timbres varied --sounds my_recordings
    """
    if given["midi"] and given["tier"] != "real":
        raise click.UsageError("--midi needs --tier real")
    if given["sounds"] and not given["timbres_of"]:
        raise click.UsageError("--sounds needs --timbres, such as --timbres varied")
    if given["timbres_of"] and given["soundfonts"]:
        raise click.UsageError("--soundfont and --timbres exclude each other: leave one out")
    from instructme.pipelines.stages.corpus import corpus

    summary = corpus(folder, **given)
    kept = f", {summary.kept} of them kept from before" if summary.kept else ""
    click.echo(
        f"{counted(summary.tracks, 'track')}, {counted(summary.stems, 'stem')}, {summary.minutes:.1f} minutes in {folder}{kept}"
    )
    for source in summary.missing:
        click.echo(f"not installed: {source}")
    if summary.genres:
        click.echo("genres: " + ", ".join(f"{genre} {count}" for genre, count in sorted(summary.genres.items())))
    for reason, count in sorted(summary.rejects.items()):
        click.echo(f"left out: {counted(count, 'song')}: {reason}")
