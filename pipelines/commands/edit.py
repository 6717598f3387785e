"""The verb `edit`."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from instructme.pipelines.commands.options import SET, Finite, WithSettings

ORDER = 100
_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n:.0f} of {total:.0f} s of music [{elapsed}<{remaining}]"


@click.command("edit", cls=WithSettings, short_help="Edit music by instructions.")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("instructions", metavar="INSTRUCTION...", nargs=-1, required=True)
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="File to write: .wav, .flac, .ogg, .mp3 ...")
@click.option("--keep-rounds", is_flag=True, help="Also write the result of each instruction: OUT.round1.wav and so on.")
@click.option("--variations", default=1, show_default=True, type=click.IntRange(1), help="Write so many: OUT.variation1.wav ...")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of chance; variations count up.")
@click.option("--steps", type=click.IntRange(1), help="Steps of the sampler.  [default: the run's]")
@SET
@click.option("--guidance", type=Finite(0), help="Scale of the instruction (w of eq. 4).  [default: the run's; 1 in one step]")
@click.option("--source-guidance", hidden=True, type=Finite(0), help="Scale of the source.  [default: the run's]")
@click.option("--chord-guidance", hidden=True, type=Finite(0), help="Scale of the source's chords.  [default: the run's]")
@click.option("--prompt", hidden=True, help='Steer towards a text such as "a happy music". Also set the embedding.')
@click.option("--embedding", hidden=True, type=click.Path(path_type=Path), help="Run of 'train embedding', or folder of CLAP.")
@click.option(
    "--preserve/--no-preserve",
    hidden=True,
    default=None,
    help="yes: take the kept sound from IN by a mask; no: as the model makes it.  [default: see above]",
)
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

    An instruction adds, removes, extracts or replaces an instrument, or remixes the music. The command warns about words that it
    does not understand or that the run was not trained on, and names the nearest known words.

    IN is any file that libsndfile reads. The result has the same length, rate, channels and level. If the result would clip,
    the command turns all of it down and prints a warning. Silence stays silent.

    The model edits a mono mix, up to half of the run's sample rate. New sound goes to the centre. Stereo differences and higher
    frequencies are kept for add, dropped for remix, and attenuated elsewhere where the edit attenuates the mix.

    By default, a run that predicts the removed and the added sound (tiny, small) makes both add up to IN. With
    preserve=yes, the kept sound is IN, filtered by a mask. With preserve=no, the sounds stay as the model makes them.

    \b
    Example:
      instructme edit runs/editor song.wav "remove drums" "add acoustic guitar" -o out.wav
      instructme edit runs/editor song.flac "remix to Jazz genre" --variations 3 --report out.html -o out.flac
      instructme edit runs/editor song.wav "add piano" --set source_guidance=1.5 --set preserve=no -o out.wav
      instructme edit runs/editor backing.wav "remix with piano, strings" --lead vocals.wav -o out.wav
    """
    if prompt and not embedding:
        raise click.UsageError("prompt needs an embedding: --set embedding=RUN, a run of 'instructme train embedding'")
    import torch
    from tqdm import tqdm

    from instructme.pipelines.editing.denoiser import SamplingSettings
    from instructme.pipelines.editing.editor import Editor
    from instructme.pipelines.editing.song import FileEdit

    job = FileEdit(source, instructions, out, variations=variations, keep_rounds=keep_rounds, lead=lead, page=report)
    editor = Editor.load(run, device or ("cuda" if torch.cuda.is_available() else "cpu"), embedding=embedding)
    settings = SamplingSettings(seed, steps, guidance, source_guidance, chord_guidance, prompt, _preserve(preserve))
    with _printed_warnings(), tqdm(total=job.seconds, desc="edit", bar_format=_BAR, delay=1) as bar:
        for seconds in job.run(editor, settings):
            bar.update(min(seconds, job.seconds - bar.n))  # a sum of floats may end a little over the total
    for path in job.written:
        click.echo(path)


@contextmanager
def _printed_warnings() -> Iterator[None]:
    """Print each warning of the editor once, as a line above the progress bar."""
    from tqdm import tqdm

    from instructme.pipelines.editing.editor import EditWarning

    show = warnings.showwarning

    def show_line(message: Warning | str, category: type[Warning], *place: Any, **options: Any) -> None:
        if issubclass(category, EditWarning):
            tqdm.write(f"warning: {message}", file=sys.stderr)
        else:
            show(message, category, *place, **options)

    with warnings.catch_warnings():
        warnings.simplefilter("default", EditWarning)
        warnings.showwarning = show_line
        yield


def _preserve(wanted: bool | None) -> Any:
    return None if wanted is None else "ratio" if wanted else "off"
