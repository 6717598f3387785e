"""The verb `app`."""

from pathlib import Path

import click

from instructme.pipelines.commands.options import load_editor

ORDER = 101


@click.command("app", short_help="Edit songs on a page in the browser.")
@click.option("--run", type=click.Path(path_type=Path), help="Folder of a trained run.  [default: the editor in the package]")
@click.option("--host", default="127.0.0.1", help="Address of the page. 0.0.0.0: also for other machines.")
@click.option("--port", default=8080, type=click.IntRange(0, 65535), help="Port. 0: any free port.")
@click.option("--device", help="Such as cpu, cuda or cuda:1.  [default: cuda where there is one]")
def command(run: Path | None, host: str, port: int, device: str | None) -> None:
    r"""Edit songs on a page in the browser. It works offline.

    Choose a song, type a sentence, and compare the source and the result by ear and eye. Without --host, only this machine can
    open the page. The page asks for no password.

    The command keeps songs in a temporary folder, and deletes the folder when it ends.

    \b
    Example:
      instructme app
      instructme app --run runs/editor --port 0
    """
    from instructme.pipelines.app.edit_server import serve

    serve(load_editor(run, device), host, port, lambda address: click.echo(f"Open {address} in a browser. Ctrl-C ends it."))
