"""The command line `instructme`: a group whose verbs are the files of pipelines/commands."""

import importlib
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import click

from instructme.manifests import extras, urls
from instructme.manifests.rows import DataError
from instructme.model.config import ModelError
from instructme.pipelines import commands
from instructme.pipelines.commands import errors, signals


def _verbs() -> dict[str, ModuleType]:
    """Load the modules of pipelines/commands that hold a verb; they import nothing heavy."""
    names = (name for _, name, _ in pkgutil.iter_modules(commands.__path__))
    modules = {name: importlib.import_module(f"{commands.__name__}.{name}") for name in names}
    return {name: module for name, module in modules.items() if hasattr(module, "command")}


def _verbatim(command: click.Command) -> click.Command:
    r"""Turn the `\b` of raw docstrings into the character by which click keeps the lines of a paragraph."""
    command.help = (command.help or "").replace("\\b\n", "\b\n")
    for verb in command.commands.values() if isinstance(command, click.Group) else ():
        _verbatim(verb)
    return command


def _one_line(error: object) -> str:
    r"""Spell out what no terminal should be sent, such as the `\n` of a file's name."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in str(error))


@contextmanager
def _told() -> Iterator[None]:
    """End input that can't be used, and what the machine refuses, in one line on stderr and exit code 1."""
    try:
        yield
    except (DataError, ModelError) as error:
        raise click.ClickException(_one_line(error)) from None
    except ModuleNotFoundError as error:
        if (line := extras.advice(error)) is None:
            raise
        raise click.ClickException(line) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        errors.leave_full_output()
        raise click.ClickException(_one_line(errors.explain(error))) from None
    except urls.failures() as error:
        raise click.ClickException(urls.advice(error)) from None
    except RuntimeError as error:
        if (told := errors.memory(error)) is None:
            raise
        raise click.ClickException(told) from None
    except MemoryError:
        raise click.ClickException("out of memory: close other programs or use fewer --workers, then run again") from None


class _Verbs(click.Group):
    """List the files of pipelines/commands in the order of the data, and turn expected errors into one line."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Name the verbs, sorted by the `ORDER` of their modules."""
        verbs = _verbs()
        return sorted(verbs, key=lambda name: int(verbs[name].ORDER))

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Load one verb; None if there is no such file."""
        module = _verbs().get(name)
        return _verbatim(module.command) if module else None

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the command line; `--help` already writes."""
        with _told():
            return super().make_context(*args, **kwargs)

    def invoke(self, context: click.Context) -> Any:
        """Run a verb."""
        with _told():
            return super().invoke(context)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run as a program, which Ctrl-C and SIGTERM end."""
        with signals.stoppable():
            return super().__call__(*args, **kwargs)


@click.command(
    cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120, "show_default": True}
)
@click.version_option(package_name="instructme")
def main() -> None:
    r"""Edit music by sentences. Turn multitrack music into <instruction, source, target> triplets, and train an editor on them.

    \b
    Example:
      instructme corpus music --tier mini
      instructme build music work
      instructme verify work/shards --work work
      instructme train vae work/shards -o runs/vae --preset tiny
      instructme train editor work/shards --vae runs/vae --work work -o runs/editor --preset tiny
      instructme edit song.wav "remove drums" --run runs/editor -o out.wav
    """


_verbatim(main)
