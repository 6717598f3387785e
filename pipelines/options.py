"""Types of command-line options that click doesn't have."""

import math
from typing import Any

import click


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
