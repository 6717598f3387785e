"""Fill the templates: everything that users wrote is escaped, the style sheet and the script travel in the page."""

import base64
import hashlib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from manifests.tables import atomic


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("pipelines.pages"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def render(template: str, **values: object) -> str:
    """Fill a template of `templates/`; strings are escaped unless they are `Markup`."""
    return _environment().get_template(template).render(**values)


def write_page(path: Path, template: str, **values: Any) -> None:
    """Write a page that extends `base.html`, atomically.

    The page states a content security policy: nothing is loaded from anywhere, and no script runs but our own, known by its hash.
    """
    folder = resources.files("pipelines.pages") / "templates"
    style, script = (Markup((folder / name).read_text("utf-8")) for name in ("style.css", "player.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    text = render(template, style=style, script=script, script_hash=digest, **values)
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
