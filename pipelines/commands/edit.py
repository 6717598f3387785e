"""The verb `edit`."""

import json
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from instructme.pipelines.commands.options import SET, Finite, WithSettings, load_editor, setting

if TYPE_CHECKING:
    from instructme.pipelines.editing.changes import Preserve
    from instructme.pipelines.editing.denoiser import SamplingSettings

ORDER = 100
_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n:.0f} of {total:.0f} s of music [{elapsed}<{remaining}]"


@click.command("edit", cls=WithSettings, short_help="Edit a song by sentences.")
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("sentences", metavar="SENTENCE...", nargs=-1, required=True)
@click.option(
    "--run",
    type=click.Path(path_type=Path),
    help="Folder of a trained run, or OWNER/NAME on the Hugging Face hub.  [default: the editor in the package]",
)
@click.option("-o", "--out", type=click.Path(path_type=Path), help="File to write: .wav, .flac, .ogg, .mp3 ...")
@click.option("--plan", is_flag=True, help="Print the steps of the sentences as JSON, and edit nothing.")
@click.option("--keep-rounds", is_flag=True, help="Also write the result after each single edit: OUT.round1.wav and so on.")
@click.option("--variations", default=1, type=click.IntRange(1), help="Number of results: OUT.variation1.wav and so on.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Seed of the noise. Each variation adds 1.")
@setting("--steps", type=click.IntRange(1), help="Steps of the sampler.  [default: the run's]")
@SET
@setting(
    "--guidance",
    type=Finite(0),
    help="How strongly the result follows the instruction (w of eq. 4 in the paper).  [default: the run's; 1 in one step]",
)
@setting("--source-guidance", type=Finite(0), help="How strongly the result follows the source.  [default: the run's]")
@setting("--chord-guidance", type=Finite(0), help="How strongly the result follows the source's chords.  [default: the run's]")
@setting("--prompt", help='Text that the result should sound like, such as "a happy music". Also set the embedding.')
@setting("--embedding", type=click.Path(path_type=Path), help="Run of 'train embedding', or a CLAP model.")
@setting(
    "--preserve/--no-preserve",
    default=None,
    help="yes: filter the kept sound from IN by a mask. no: keep it as the model makes it.  [default: see above]",
)
@click.option("--lead", type=click.Path(path_type=Path), help="Add this audio file, such as vocals, to the result.")
@click.option(
    "--report", type=click.Path(path_type=Path, dir_okay=False), help="Also write an HTML page to compare source and result."
)
@click.option("--device", help="Such as cpu, cuda or cuda:1.  [default: cuda where there is one]")
def command(
    source: Path,
    sentences: tuple[str, ...],
    run: Path | None,
    out: Path | None,
    plan: bool,
    keep_rounds: bool,
    variations: int,
    embedding: Path | None,
    lead: Path | None,
    report: Path | None,
    device: str | None,
    **sampling: Any,
) -> None:
    r"""Edit the music in the audio file IN by one SENTENCE after the other.

    The editor in the package removes instruments, extracts them, and makes them louder or quieter. To add or replace instruments
    or to remix, train an editor and name it with --run.

    A sentence may have several steps and time spans. If the command does not understand a word, it writes nothing and
    exits with code 2. --plan shows how it reads a sentence.

    IN is any file that libsndfile reads. The result has the same length, rate, channels and level. If the result would clip,
    the command turns all of it down and prints a warning. Silence stays silent.

    A separator, such as the editor in the package, edits each channel on its own. A run of 'train editor' edits a mono mix, up to
    half of its sample rate. Its new sound is in the centre. Stereo differences and higher frequencies are kept for add and
    dropped for remix. For the other tasks they become quieter where the edit makes the mix quieter.

    The kept sound is the sound that the edit should not change. By default, a run of the preset tiny or small takes it from IN:
    the kept and the removed sound add up to IN.

    \b
    Example:
      instructme edit song.wav "remove drums" -o out.wav
      instructme edit song.wav "remove the drums, then add an acoustic guitar after 0:10" --run runs/editor -o out.wav
      instructme edit song.wav "make the bass 3 dB louder" --plan
      instructme edit song.flac "turn this into a jazz song" --run runs/editor --variations 3 --report out.html -o out.flac
      instructme edit song.wav "add piano" --run runs/editor --set source_guidance=1.5 --set preserve=no -o out.wav
      instructme edit backing.wav "remix with piano, strings" --run runs/editor --lead vocals.wav -o out.wav
    """
    if sampling["prompt"] and not embedding:
        raise click.UsageError("prompt needs an embedding: --set embedding=RUN, a run of 'instructme train embedding'")
    if run is None and len(sentences) > 1 and (source.is_dir() or Path(sentences[0]).is_file()):  # the order of 0.1: RUN IN ...
        run, source, sentences = source, Path(sentences[0]), sentences[1:]
    if plan:
        _print_plan(run, sentences)
        return
    if out is None:
        raise click.UsageError("give -o OUT, the file to write")
    from tqdm import tqdm

    from instructme.pipelines.editing.run_folders import find_run, separator_beside
    from instructme.pipelines.editing.song import FileEdit
    from instructme.pipelines.sentences.sentence_reader import trained_templates

    folder = find_run(run)
    with _refusals():
        templates = trained_templates(folder)
        job = FileEdit(
            source,
            sentences,
            out,
            variations=variations,
            keep_rounds=keep_rounds,
            lead=lead,
            page=report,
            templates=templates,
            halves=separator_beside(folder) is not None,
        )
    editor = load_editor(folder, device, embedding)
    with _printed_warnings(), tqdm(total=job.seconds, desc="edit", bar_format=_BAR, delay=1) as bar:
        for seconds in job.run(editor, _settings(**sampling)):
            bar.update(min(seconds, job.seconds - bar.n))  # a sum of floats may end a little over the total
    for path in job.written:
        click.echo(path)


def _settings(*, guidance: float | None, preserve: bool | None, **others: Any) -> "SamplingSettings":
    """Put the options of the sampler into the names and values of Python calls."""
    from instructme.pipelines.editing.denoiser import SamplingSettings

    kept: Preserve | None = None if preserve is None else "ratio" if preserve else "off"
    return SamplingSettings(text_guidance=guidance, preserve=kept, **others)


def _print_plan(run: Path | None, sentences: Sequence[str]) -> None:
    """Print the steps of all sentences as a JSON list, and notes on stderr."""
    from instructme.pipelines.sentences.sentence_reader import read, trained_templates

    with _refusals():
        plans = [read(sentence, trained_templates(run) if run else None) for sentence in sentences]
    for plan in plans:
        for note in plan.notes:
            click.echo(f"warning: {note}", err=True)
    click.echo(json.dumps([step.as_json() for plan in plans for step in plan.steps]))


@contextmanager
def _refusals() -> Iterator[None]:
    """End a sentence that is not understood in one line and exit code 2."""
    from instructme.pipelines.sentences.refusals import SentenceError

    try:
        yield
    except SentenceError as error:
        raise _Refusal(str(error)) from None


class _Refusal(click.ClickException):
    exit_code = 2


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
