"""Pages: HTML, CSS and JavaScript in files of their own, put together into one file that needs nothing else.

A page is a template `NAME.html`, which takes `style("NAME.css")` and `script("NAME.mjs")` in. Scripts are modules, so
that node runs and tests their parts; a line `import { a, b } from "./OTHER.mjs";` puts that file before its reader.
"""

from __future__ import annotations

import base64
import re
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from latentlab.store import digest

IMPORT = re.compile(r'^import \{[^}]*\} from "\./([\w.]+)";\n', re.M)
EXPORT = re.compile(r"^export (?!default)", re.M)


def render_page(name: str, **values: Any) -> str:
    """A page.

    Args:
        name: of its template, such as "report.html".
        values: what the template asks for; text is escaped, `Markup` is not.

    Raises:
        jinja2.UndefinedError: something that the template asks for is not there.

    >>> from latentlab.view.report import Report
    >>> render_page("report.html", report=Report("Inversion"), palette=()).startswith("<!doctype html>")
    True
    """
    return _templates().get_template(name).render(**values)


def source(name: str) -> str:
    """The text of a file of this folder."""
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


@cache
def script(name: str) -> str:
    """A module with all that it imports in one text, each file once, before whoever reads it.

    >>> script("scatter.mjs").count("const inside =")
    1
    """
    parts: dict[str, str] = {}

    def add(name: str) -> None:
        if name not in parts:
            text = source(name)
            for other in IMPORT.findall(text):
                add(other)
            parts[name] = EXPORT.sub("", IMPORT.sub("", text))

    add(name)
    return "".join(parts.values())


def sha256(text: str) -> str:
    """SHA-256 of a script, by which the page's policy knows it, in base64; of the bytes that `write_text` writes."""
    return base64.b64encode(bytes.fromhex(digest(text.encode(errors="backslashreplace")))).decode("ascii")


@cache
def _templates() -> Environment:
    found = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=FunctionLoader(source)
    )
    found.globals.update(style=lambda name: Markup(source(name).rstrip()), script=lambda name: Markup(script(name)))
    found.filters.update(sha256=sha256, paragraphs=lambda text: [p for p in re.split(r"\n\s*\n", text.strip()) if p])
    return found
