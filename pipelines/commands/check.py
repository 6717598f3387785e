"""The verb `check`: say whether a trained editor listens to its conditions."""

from pathlib import Path

import click

ORDER = 110


@click.command("check", short_help="Check that a trained editor listens to source, text and chords.")
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--seeds", default=8, show_default=True, type=click.IntRange(1), help="Noises that each output is the mean of.")
@click.option("--steps", type=click.IntRange(1), help="Steps of the sampler.  [default: 1, or 50 where the run can't]")
@click.option("--device", default="cpu", show_default=True, help="Device of torch, such as cuda.")
def command(run: Path, seeds: int, steps: int | None, device: str) -> None:
    r"""Measure what source, text and chords do to the output of the editor in RUN, beside what chance does to it.

    Each condition in turn is taken from another example, and the chords are also moved by half the clip. The ratio is the change
    that makes over the change that other noise makes. Ends with exit code 1 where a condition isn't heard over chance.

    A single step hardly depends on its noise, so that any change is over chance there: look at its share of the output, too.
    With --steps 25 other noise changes an output as it changes an edit, and a condition must do more than that.

    \b
    Example:
      instructme check runs/editor
      instructme check runs/editor --steps 25
    """
    from tqdm import tqdm

    from instructme.pipelines.training import conditioning

    with tqdm(desc="check", unit="output") as bar:
        effects = conditioning.check(run, device, seeds, steps, bar.update)
    click.echo(f"{'condition':32}{'change':>10}{'of output':>12}{'over chance':>14}")
    for effect in effects:
        verdict = "" if effect.ratio > 1 else "   NOT HEARD"
        click.echo(f"{effect.condition:32}{effect.change:10.4f}{effect.share:12.2%}{effect.ratio:14.1f}{verdict}")
    if unheard := [effect.condition for effect in effects if effect.ratio <= 1]:
        raise click.ClickException(f"not heard over chance: {', '.join(unheard)}: train longer, or look at {run / 'edits.html'}")
