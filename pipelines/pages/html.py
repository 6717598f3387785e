"""Fill the templates: everything that users wrote is escaped, the style sheet and the script travel in the page."""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from instructme.manifests.tables import atomic


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("instructme.pipelines.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, **values: object) -> str:
    """Fill a template of `templates/`; strings are escaped unless they are `Markup`."""
    return _environment().get_template(template).render(**values)


def write_page(path: Path, template: str, *, styles: Sequence[str] = (), scripts: Sequence[str] = (), **values: Any) -> None:
    """Write a page that extends `base.html`, atomically.

    styles, scripts: files of `templates/` that this page needs beyond `style.css` and `player.js`, in order.
    """
    text = page_text(template, styles=styles, scripts=["player.js", *scripts], **values)
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def page_text(
    template: str, *, styles: Sequence[str] = (), scripts: Sequence[str] = (), subtitle: str = "", **values: Any
) -> str:
    """Fill a page that extends `base.html`.

    The page states a content security policy: nothing is loaded from anywhere, and no script runs but our own, known by its hash.

    styles, scripts: files of `templates/` that this page needs beyond `style.css`, in order.
    """
    texts = [_file(name) for name in scripts]
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
    style = Markup("").join(_file(name) for name in ("style.css", *styles))
    return render(template, style=style, scripts=texts, script_hashes=digests, subtitle=subtitle, **values)


def _file(name: str) -> Markup:
    return Markup((resources.files("instructme.pipelines.pages") / "templates" / name).read_text("utf-8"))
