"""`instructme models`: fetch the pretrained weights that recognise beats and notes and hear music, and list them."""

import click

ORDER = 15


@click.group("models", short_help="Fetch pretrained weights into the user's cache.")
def command() -> None:
    r"""Fetch pretrained weights by hash into the user's cache, and list them.

    They are optional. Without beatnet, downbeats are known only from MIDI. 'train embedding' starts from musicnn, and 'evaluate'
    takes musicnn and notes. The first two run with torch: pip install 'instructme[train]'. The last one runs with onnxruntime:
    pip install 'instructme[evaluate]'.

    \b
    Example:
      instructme models fetch
      instructme models list
    """


@command.command("fetch", short_help="Download weights.")
@click.argument("names", metavar="[NAME...]", nargs=-1)
def fetch(names: tuple[str, ...]) -> None:
    r"""Download the weights NAME..., all of them if none is named, with this Python's pip. A fetched file is not fetched again.

    \b
    Example:
      instructme models fetch beatnet
    """
    from instructme.dataset_tools.recognisers import weights

    for name in names or sorted(weights.WEIGHTS):
        click.echo(f"{name}: {weights.fetch(name)}")


@command.command("list", short_help="List weights, their licence and credit.")
def list_() -> None:
    r"""List what can be fetched: name, whether it is here, purpose, licence and whom to credit.

    \b
    Example:
      instructme models list
    """
    from instructme.dataset_tools.recognisers import weights

    for name, each in sorted(weights.WEIGHTS.items()):
        state = "fetched" if weights.available(name) else "not fetched"
        click.echo(f"{name}  {state}  {each.purpose}; {each.licence}; {each.credit}")
