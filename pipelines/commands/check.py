"""The verb `check`: test whether a trained editor uses its conditions."""

from pathlib import Path

import click

ORDER = 110


@click.command("check", short_help="Check that a trained editor uses source, text and chords.")
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--seeds", default=8, type=click.IntRange(1), help="Random noises over which each output is averaged.")
@click.option("--steps", type=click.IntRange(1), help="Steps of the sampler.  [default: 1, or 50 if the run can't do 1]")
@click.option("--device", default="cpu", help="Device of torch, such as cuda.")
def command(run: Path, seeds: int, steps: int | None, device: str) -> None:
    r"""Measure how much the output of the editor in RUN depends on source, text and chords.

    Source, text and chords are the conditions. The command replaces one of them at a time by that of another example. It also
    moves the chords by half the clip. It compares the change of the output with the change that other random noise makes. The
    column "over chance" is the ratio of the two.
    The last column says how much the error to the target grows. For chords, there is one more row, with add and replace alone:
    their new notes must fit the chords.

    The exit code is 1 if a ratio is 1 or less, if a change is less than 1 % of the output, or if the error does not grow.

    A single step hardly depends on its noise, so its ratios are large. Also look at the share of the output, or use --steps 25.

    \b
    Example:
      instructme check runs/editor
      instructme check runs/editor --steps 25
    """
    from tqdm import tqdm

    from instructme.pipelines.training import conditioning

    with tqdm(desc="check", unit="output", delay=1) as bar:  # none before an error
        effects = conditioning.check(run, device, seeds, steps, bar.update)
    click.echo(f"{'condition':32}{'change':>10}{'of output':>12}{'over chance':>14}{'error':>10}")
    for effect in effects:
        verdict = "" if effect.used else "   NOT USED"
        error = "" if effect.error is None else f"{effect.error:+.2%}"
        click.echo(f"{effect.condition:32}{effect.change:10.4f}{effect.share:12.2%}{effect.ratio:14.1f}{error:>10}{verdict}")
    if unheard := [effect.condition for effect in effects if not effect.used]:
        raise click.ClickException(f"the editor does not use {', '.join(unheard)}: train longer, or look at {run / 'edits.html'}")
