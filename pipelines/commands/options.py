"""Options that several verbs share, and types of options that click does not have."""

import copy
import difflib
import functools
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from instructme.manifests import limits, urls
from instructme.manifests.rows import SPLITS

if TYPE_CHECKING:
    from instructme.pipelines.editing.editor import Editor

WORKERS = click.option(
    "--workers",
    type=click.IntRange(0),
    help="Worker processes on this machine. 0: use no other process.  [default: one per core]",
)
SCHEDULER = click.option(
    "--scheduler", metavar="ADDRESS", help="Address of a Dask scheduler to use instead, such as tcp://host:8786."
)


class Finite(click.FloatRange):
    """A number in a range; click's own lets NaN through, and infinity where one end is open."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read a number.

        Raises:
            BadParameter: none, out of range, NaN or infinite.
        """
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


def number(flag: str, *names: str, **others: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make an option that takes the numbers that Python calls take as the argument of its name."""
    least, most, whole = limits.RANGES[(*names, flag.removeprefix("--").replace("-", "_"))[0]]
    kind: Any = click.IntRange if whole else Finite
    return click.option(flag, *names, type=kind(least, None if math.isinf(most) else most), **others)


setting = functools.partial(click.option, hidden=True)
"""Make an option of a command `WithSettings` that is one of its settings."""


class WithSettings(click.Command):
    """A command whose hidden options are settings, given as `--set NAME=VALUE`; their old spelling as options still works."""

    def settings(self) -> dict[str, click.Option]:
        """List the settings by name."""
        return {str(each.name): each for each in self.params if isinstance(each, click.Option) and each.hidden}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, then the settings with their defaults and ranges."""
        super().format_options(ctx, formatter)
        rows = []
        for name, option in self.settings().items():
            shown = copy.copy(option)
            shown.hidden = False
            record = shown.get_help_record(ctx)
            rows.append((name, record[1] if record else ""))
        with formatter.section("Settings (--set NAME=VALUE)"):
            formatter.write_dl(rows)


def _set(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> None:
    """Make each NAME=VALUE the default of a hidden option."""
    assert isinstance(context.command, WithSettings)
    known, defaults = context.command.settings(), dict(context.default_map or {})
    for each in values:
        name, equals, text = each.partition("=")
        if not equals or name not in known:
            near = difflib.get_close_matches(name, known, 3, 0.5) or list(known)
            raise click.BadParameter(f"{each!r}: write NAME=VALUE; nearest names: {', '.join(near)}", context, parameter)
        try:
            known[name].type_cast_value(context, text)
        except click.BadParameter as error:
            raise click.BadParameter(f"{each!r}: {error.message}", context, parameter) from None
        defaults[name] = text
    context.default_map = defaults


SET = click.option(
    "--set",
    metavar="NAME=VALUE",
    multiple=True,
    is_eager=True,
    expose_value=False,
    callback=_set,
    help="Change a setting of the list below. Repeatable.",
)


def read_splits(context: click.Context, parameter: click.Parameter, text: str) -> list[str]:
    """Read the names of splits between commas: the callback of an option."""
    chosen = [name.strip() for name in text.split(",")]
    if unknown := sorted(set(chosen) - set(SPLITS)):
        raise click.BadParameter(f"no such split: {', '.join(unknown)}: choose from {', '.join(SPLITS)}")
    return chosen


MAX_REJECT = click.option(
    "--max-reject",
    metavar="SHARE",
    type=Finite(0, 1),
    help="Exit with code 1, after all tables are written, if more than this share of tracks or stems is rejected.  [default: 1]",
)


def load_editor(run: Path | None, device: str | None, embedding: Path | None = None) -> "Editor":
    """Load the editor of a run, or that of the package, onto a device: by default the GPU where there is one."""
    import torch

    from instructme.pipelines.editing.editor import Editor

    return Editor.load(run, device or ("cuda" if torch.cuda.is_available() else "cpu"), embedding=embedding)


class Local(click.Path):
    """A path on this machine or a disk that machines share."""

    takes_urls = False

    def __init__(self, **options: Any) -> None:
        super().__init__(path_type=Path, **options)

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        """Read a path, or a URL where one may be given.

        Raises:
            DataError: it is a URL that can't be used, or none may be given; see `urls.parse`.
        """
        if self.takes_urls and urls.is_remote(place := urls.parse(str(value))):
            return place
        return super().convert(urls.local(str(value), param.human_readable_name.upper() if param else "it"), param, ctx)


class Place(Local):
    """A path, or a URL of an object store such as s3://bucket/prefix."""

    takes_urls = True


FOLDER, FILE = Local(exists=True, file_okay=False), Local(exists=True, dir_okay=False)
"""Types of arguments: a folder or a file that is there."""
PLACE = Place(exists=True, file_okay=False)
"""A folder that is there, or one of an object store."""
