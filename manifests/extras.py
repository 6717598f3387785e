"""Name the extra of `instructme` that installs a missing package, such as `train` for torch."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, requires

_REQUIREMENT = re.compile(r"([\w.-]+).*;.*extra == ['\"](\w+)['\"]")
_TOGETHER = "instructme"
"""The extra `all` lists other extras of this package."""


def advice(error: ModuleNotFoundError) -> str | None:
    """Say in one line which extras install the package that an import misses; None if no extra does."""
    package = (error.name or "").partition(".")[0]
    extras = {}
    for requirement in _requirements():
        match = _REQUIREMENT.match(requirement)
        if match and match[1] != _TOGETHER and match[1].replace("-", "_").lower() == package:
            extras[match[2]] = match[1]
    choices = " or ".join(f"'instructme[{extra}]'" for extra in extras)
    return f"{next(iter(extras.values()))} is not installed: pip install {choices}" if extras else None


@contextmanager
def named() -> Iterator[None]:
    """Add the extra to the error of an import.

    Raises:
        ModuleNotFoundError: a package is missing. Its message is one line that says how to install it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (line := advice(error)) is None:
            raise
        raise ModuleNotFoundError(line, name=error.name) from None


def _requirements() -> list[str]:
    try:
        return requires("instructme") or []
    except PackageNotFoundError:
        return []
