"""`instructme train`: train the models of the editor, each into a run folder."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from instructme.manifests.rows import SPLITS
from instructme.model.presets import PRESETS
from instructme.pipelines.commands.options import Local, Place, read_splits

ORDER = 90
_FOLDER = Local(file_okay=False)
_DATA = Place(file_okay=False)
_READING = (
    click.option(
        "--order",
        default="exact",
        type=click.Choice(["exact", "sequential"]),
        help="exact: triplets in random order. sequential: whole shards from front to back, for object stores.",
    ),
    click.option("--workers", type=click.IntRange(0), help="Processes that read data.  [default: 4, fewer on few cores]"),
)
"""Options of data that is read from shards."""
_SHARED = (
    click.option(
        "-o",
        "--run",
        required=True,
        type=_FOLDER,
        help="Run folder. If it has checkpoints, training continues from the last one.",
    ),
    click.option("--preset", default="small", type=click.Choice(list(PRESETS)), help="Sizes and settings of the model."),
    click.option(
        "--set", "settings", metavar="PART.FIELD=VALUE", multiple=True, help="Change a field of the preset. Repeatable."
    ),
    click.option("--steps", type=click.IntRange(1), help="Steps to train.  [default: of the preset]"),
    click.option(
        "--batch-size", type=click.IntRange(1), help="Triplets in a step, on all devices together.  [default: of the preset]"
    ),
    click.option("--precision", type=click.Choice(["no", "bf16"]), help="Mixed precision.  [default: of the preset]"),
    click.option("--seed", default=0, type=click.IntRange(0, 2**31 - 1), help="Seed of weights, order and noise."),
    click.option(
        "--device",
        default="auto",
        type=click.Choice(["auto", "cpu"]),
        help="auto: the GPU if there is one. Choose among several with CUDA_VISIBLE_DEVICES.",
    ),
    *_READING,
    click.option("--tracker", help="Also send the metrics to a tracker, such as tensorboard or wandb."),
    click.option("--compile", "compiled", is_flag=True, help="Compile the networks with torch.compile."),
)


def _shared(*left_out: Callable[..., Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the shared options, but for those that are left out."""
    chosen = [option for option in reversed(_SHARED) if option not in left_out]
    return lambda function: functools.reduce(lambda inner, option: option(inner), chosen, function)


@click.group("train", short_help="Train the separator, VAE, editor, embedding and tagger.")
def command() -> None:
    r"""Train a model. For the editor, train the VAE first.

    The VAE compresses audio to a short sequence of vectors, the latent. The editor works on latents.

    Each command writes a run folder: config.json, weights.safetensors (those of the best validation), metrics.jsonl and
    checkpoints. Run the same command again to continue from the last checkpoint. On a CPU, the result is the same as without a
    break, bit for bit. Raise --steps to train longer. Ctrl-C and SIGTERM save a checkpoint first; the exit codes are 130 and 143.

    \b
    Example:
      instructme train vae work/shards -o runs/vae
      instructme train latents runs/vae work/shards --work work
      instructme train editor work/shards --vae runs/vae --work work -o runs/editor
      instructme train tagger work/shards -o runs/tagger
      torchrun --nproc-per-node 8 --no-python instructme train editor work/shards --vae runs/vae -o runs/editor
    """


@command.command("vae", short_help="Train the VAE: audio to latent and back.")
@click.argument("data", type=_DATA)
@_shared()
def vae(data: Path, **shared: Any) -> None:
    r"""Train the VAE on the sources and targets in DATA.

    DATA is a folder of shards, or a working folder. The recipes of a working folder are rendered during training.

    \b
    Example:
      instructme train vae work/shards -o runs/vae --preset tiny
    """
    from instructme.pipelines.training import start

    start.vae(data, start.Choices(**shared))


@command.command("latents", short_help="Encode shards beforehand, for a fast 'train editor'.")
@click.argument("vae_run", metavar="VAE_RUN", type=_FOLDER)
@click.argument("data", metavar="SHARDS", type=_DATA)
@click.option("-o", "--out", type=_FOLDER, help="Folder of the latents.  [default: beside the shards]")
@click.option("--work", type=_FOLDER, help="Working folder of the shards. Training on 'replace' needs its parts.")
@click.option("--splits", default="train,validation", callback=read_splits, help="Splits to encode.")
@click.option("--limit", type=click.IntRange(1), help="Encode only the first LIMIT shards of each split.")
@click.option("--set", "settings", metavar="PART.FIELD=VALUE", multiple=True, help="Change a field of the VAE's preset.")
@click.option("--device", default="auto", help="auto: the GPU if there is one; or the name of a device in torch.")
@click.option("--workers", type=click.IntRange(0), help="Processes that decode and find chords.  [default: one per core]")
def latents(vae_run: Path, data: Path, **options: Any) -> None:
    r"""Encode the triplets of SHARDS with the VAE of VAE_RUN, and find the chords of their sources.

    It writes two files beside each shard: latents-train-00000.tar and .json. 'train editor' uses them if it has the same VAE. If
    the command was stopped, run it again: finished shards are kept.

    \b
    Example:
      instructme train latents runs/vae work/shards --work work
    """
    from instructme.pipelines.training.latents import latents as encode

    counts = encode(vae_run, data, **options)
    click.echo(f"{counts['triplets']:,} triplets encoded in {counts['shards']} shards, {counts['kept']} shards kept")


@command.command("editor", short_help="Train the editor in the VAE's latent space.")
@click.argument("data", type=_DATA)
@click.option("--vae", "vae_run", required=True, type=_FOLDER, help="Run of 'train vae'.")
@click.option("--work", type=_FOLDER, help="Working folder of the shards. Training on 'replace' needs its parts.")
@click.option("--latents", type=_DATA, help="Folder that 'train latents' wrote.  [default: beside the shards]")
@click.option("--on-the-fly", is_flag=True, help="If there are no latents, encode audio and find its chords in each step.")
@_shared()
def editor(data: Path, vae_run: Path, work: Path | None, latents: Path | None, on_the_fly: bool, **shared: Any) -> None:
    r"""Train the editor on DATA: a folder of shards, or a working folder.

    The recipes of a working folder are rendered during training. If 'train latents' has encoded the shards with the same VAE, its
    latents are used, and a message says so. Without latents, each step must encode its clips and find their chords in the audio.
    This is slow, so the command stops. To train without latents, add --on-the-fly.

    \b
    Example:
      instructme train editor work/shards --vae runs/vae --work work -o runs/editor --preset tiny
    """
    from instructme.pipelines.evaluation.edit_scores import score
    from instructme.pipelines.training import start

    start.editor(data, vae_run, work, latents, on_the_fly, score, start.Choices(**shared))


@command.command("separator", short_help="Train the separator: a named part out of a mix.")
@click.argument("work", type=_FOLDER)
@click.option(
    "--start", metavar="package|RUN", help="Begin with the weights of the package, or of another run.  [default: random weights]"
)
@_shared(*_READING)
def separator(work: Path, start: str | None, **shared: Any) -> None:
    r"""Train a separator on the parts of WORK, a folder that 'instructme prepare' wrote.

    Each step makes new mixes. Half of the mixes have parts of one song, the others parts of different songs. Levels, equaliser,
    compression, saturation, room and speed are random. All parts must fit into memory: 170 MB for each
    hour of each part.

    With --start, the run begins with trained weights. weights.safetensors keeps them until a validation is better.

    \b
    Example:
      instructme train separator work -o runs/separator
      instructme edit song.wav "remove drums" --run runs/separator -o out.wav
      instructme train separator work --start package -o runs/mine --steps 1000 --set separator_training.learning_rate=2e-4
    """
    from instructme.pipelines.evaluation.edit_scores import score
    from instructme.pipelines.training import start as training

    training.separator(work, start, score, training.Choices(**shared))


@command.command("embedding", short_help="Train the embedding that 'edit --set prompt' needs.")
@click.argument("data", type=_DATA)
@click.option(
    "--captions",
    type=click.Path(path_type=Path, dir_okay=False),
    help="CSV file with the columns track_id,caption: your own words.",
)
@_shared()
def embedding(data: Path, captions: Path | None, **shared: Any) -> None:
    r"""Train the joint embedding of text and music on DATA: a folder of shards, or a working folder.

    It learns the names of instruments and genres from the recipes. From --captions it learns your own words for your tracks.
    First fetch the weights of its audio network: instructme models fetch musicnn.

    \b
    Example:
      instructme train embedding work/shards -o runs/embedding --preset tiny
    """
    from instructme.pipelines.training import start

    start.embedding(data, captions, start.Choices(**shared))


@command.command("tagger", short_help="Train the tagger that 'evaluate' names instruments with.")
@click.argument("data", type=_DATA)
@click.option("-o", "--run", required=True, type=_FOLDER, help="Run folder to write.")
@click.option("--other", type=_DATA, help="Shards or working folder of another soundfont, to measure the tagger on.")
@click.option("--count", type=click.IntRange(1), help="Triplets of each split.  [default: all]")
@click.option("--workers", type=click.IntRange(0), help="Processes that embed.  [default: one per core]")
def tagger(data: Path, run: Path, other: Path | None, count: int | None, workers: int | None) -> None:
    r"""Train a tagger of instrument families and genres on the music in DATA: a folder of shards, or a working folder.

    For each family and genre, it has one linear layer on MusiCNN's embedding. It is trained on the split train, calibrated on
    validation, and measured on test and on --other. 'evaluate --set tagger=RUN' uses the families and genres whose AUC is at
    least 0.75 on all of these. Genres are learned from the targets of remixes whose instructions name a genre.

    \b
    Example:
      instructme models fetch musicnn
      instructme train tagger work/shards -o runs/tagger
      instructme train tagger work/shards --other work2/shards -o runs/tagger --count 1000
    """
    from instructme.dataset_tools.recognisers import weights
    from instructme.pipelines.evaluation.features import embed
    from instructme.pipelines.processes import resume
    from instructme.pipelines.training import tagger as training

    hear = functools.partial(embed, run / "features")
    with resume.held(run):
        sets = {split: training.examples(data, split, hear, count, workers) for split in SPLITS}
        others = {"test": sets["test"]} | ({"other": training.examples(other, "test", hear, count, workers)} if other else {})
        head, report = training.train(sets["train"], sets["validation"], others)
        stated = {"kind": "tagger", "embedding": weights.label("musicnn"), "triplets": len(sets["train"].labels) // 2}
        training.save(run, head, report, stated)
    for name, measured in report["test"].items():
        click.echo(f"{name:20} AUC {measured['auc']}  F1 {measured['f1']}  in {measured['positive']} of {measured['sounds']}")
    click.echo(f"wrote {run / training.HEAD} with {len(head.reliable().names)} reliable tags of {len(head.names)}")
