"""Options that several verbs share, and types of options that click doesn't have."""

import math
from typing import Any

import click

WORKERS = click.option("--workers", type=click.IntRange(1), help="Worker processes on this machine.  [default: one per core]")
SCHEDULER = click.option("--scheduler", metavar="ADDRESS", help="Dask scheduler to use instead, such as tcp://host:8786.")


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
