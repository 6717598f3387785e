"""The verb `edit`."""

import sys
from pathlib import Path
from typing import Any

import click

from instructme.pipelines.commands.options import Finite

ORDER = 100
_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n:.0f} of {total:.0f} s of music [{elapsed}<{remaining}]"


@click.command("edit", short_help="Edit music by instructions.")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("instructions", metavar="INSTRUCTION...", nargs=-1, required=True)
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="File to write: .wav, .flac, .ogg, .mp3 ...")
@click.option("--keep-rounds", is_flag=True, help="Also write the result of each instruction: OUT.round1.wav and so on.")
@click.option("--variations", default=1, show_default=True, type=click.IntRange(1), help="Write so many: OUT.variation1.wav ...")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of chance; variations count up.")
@click.option("--steps", type=click.IntRange(1), help="Steps of the sampler.  [default: the run's]")
@click.option("--guidance", type=Finite(0), help="Scale of the instruction: w of eq. 4.  [default: the run's; 1 in one step]")
@click.option("--source-guidance", type=Finite(0), help="Scale of the source.  [default: the run's]")
@click.option("--chord-guidance", type=Finite(0), help="Scale of the source's chords.  [default: the run's]")
@click.option("--prompt", help='Also steer towards a text such as "a happy music"; needs --embedding.')
@click.option("--embedding", type=click.Path(path_type=Path), help="Run of 'train embedding', or folder of CLAP.")
@click.option("--preserve/--no-preserve", default=None, help="Take what an edit keeps from IN by a mask.  [default: see above]")
@click.option("--lead", type=click.Path(path_type=Path), help="Lay this file, such as vocals, over the result.")
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Also write a page to compare by ear and eye.")
@click.option("--device", help="Such as cpu, cuda or cuda:1.  [default: cuda where there is one]")
def command(
    run: Path,
    source: Path,
    instructions: tuple[str, ...],
    out: Path,
    keep_rounds: bool,
    variations: int,
    seed: int,
    steps: int | None,
    guidance: float | None,
    source_guidance: float | None,
    chord_guidance: float | None,
    prompt: str | None,
    embedding: Path | None,
    preserve: bool | None,
    lead: Path | None,
    report: Path | None,
    device: str | None,
) -> None:
    r"""Edit the music in IN with the editor in RUN, by one INSTRUCTION after the other.

    Instructions add, remove, extract or replace an instrument, or remix with instruments or to a genre. What isn't understood, or
    was not trained on, is told with the nearest known words.

    IN is any file that libsndfile reads, of any length, rate and number of channels. The result has its length, rate and
    channels; the gain by which the model hears it is undone. If it would clip, all of it is turned down, and that is told
    (decoders of .ogg and .mp3 may still go over full scale). Silence stays silent.

    The mean of the channels is edited, up to half of the run's sample rate. Their differences, and what lies higher, stay for
    add, go for remix, and else follow the edit: they are turned down where and when it turns down the same frequencies.
    What is new stands in the centre.

    A run that makes the removed and the added part (tiny, small) has both add up to IN. --preserve instead takes each bin of
    time and frequency from IN, scaled, where the edit keeps over half of its magnitude, and from the edit elsewhere; what add
    and replace bring is laid over it. --no-preserve takes the parts as they are.

    \b
    Example:
      instructme edit runs/editor song.wav "remove drums" "add acoustic guitar" -o out.wav
      instructme edit runs/editor song.flac "remix to Jazz genre" --variations 3 --report out.html -o out.flac
      instructme edit runs/editor backing.wav "remix with piano, strings" --lead vocals.wav -o out.wav
    """
    if prompt and not embedding:
        raise click.UsageError("--prompt needs --embedding: the run of 'instructme train embedding' that hears it")
    import torch
    from tqdm import tqdm

    from instructme.pipelines.editing.denoiser import SamplingSettings
    from instructme.pipelines.editing.editor import Editor
    from instructme.pipelines.editing.song import edit

    written = edit(
        lambda: Editor.load(run, device or ("cuda" if torch.cuda.is_available() else "cpu"), embedding=embedding),
        source,
        instructions,
        out,
        settings=SamplingSettings(seed, steps, guidance, source_guidance, chord_guidance, prompt, _preserve(preserve)),
        variations=variations,
        keep_rounds=keep_rounds,
        lead=lead,
        page=report,
        bar=lambda seconds: tqdm(total=seconds, desc="edit", bar_format=_BAR, delay=1),
        say=lambda line: tqdm.write(f"warning: {line}", file=sys.stderr),
    )
    for path in written:
        click.echo(path)


def _preserve(wanted: bool | None) -> Any:
    return None if wanted is None else "ratio" if wanted else "off"
