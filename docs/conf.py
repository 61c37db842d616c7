"""The site: `python -m sphinx docs site` from the root of the checkout, then open site/index.html.

The reference comes from the docstrings, whose examples the tests run. Notebooks are run, and again when they change.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
import latentlab  # noqa: E402
from latentlab.parsers import parser  # noqa: E402

shutil.copytree(HERE.parent / "notebooks", HERE / "notebooks", dirs_exist_ok=True)  # Sphinx reads only below itself

project, author, release = "latentlab", "The latentlab authors", latentlab.__version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "myst_nb"]
exclude_patterns = ["_build", "_cache", "**/.ipynb_checkpoints"]
suppress_warnings = ["myst.xref_missing", "mystnb.unknown_mime_type"]  # the README's links into the checkout

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_type_aliases = {"ArrayLike": "ArrayLike"}  # not the ten types that it stands for
autodoc_class_signature = "mixed"
python_maximum_signature_line_length = 100
default_role = "code"  # docstrings put names between single backticks, as Markdown does
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
add_module_names = False

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
nb_execution_mode = os.environ.get("LATENTLAB_NOTEBOOKS", "cache")  # "off" builds the reference alone, in a minute
nb_execution_cache_path = str(HERE / "_cache")
nb_execution_timeout = 900
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_merge_streams = True
# A page has no kernel: widgets show the snapshot beside them instead, and no script of theirs is fetched.
nb_mime_priority_overrides = [("*", "application/vnd.jupyter.widget-view+json", None)]
nb_ipywidgets_js = {}

html_theme = "furo"
html_title = f"latentlab {release}"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0072b2", "color-brand-content": "#0072b2"},
    "dark_css_variables": {"color-brand-primary": "#56b4e9", "color-brand-content": "#56b4e9"},
}


class CommandHelp(Directive):
    """`{command-help}`: what each command says of itself in the terminal, a section each."""

    def run(self) -> list[nodes.Node]:
        (found,) = (a for a in parser()._actions if isinstance(a, argparse._SubParsersAction))
        sections = [nodes.section("", nodes.title(text=name), ids=[name]) for name in found.choices]
        for section, command in zip(sections, found.choices.values(), strict=True):
            section += nodes.literal_block(text=command.format_help(), language="text")
            for inner in (a for a in command._actions if isinstance(a, argparse._SubParsersAction)):
                for one in inner.choices.values():
                    section += nodes.literal_block(text=one.format_help(), language="text")
        return sections


def plain(app, what, name, obj, options, lines: list[str]) -> None:
    """A bar is the absolute value in formulas, not a substitution of reStructuredText."""
    lines[:] = [line if ">>>" in line else line.replace("|", r"\|") for line in lines]


def skip(app, what, name, obj, skip, options) -> bool | None:
    """What scikit-learn adds to every estimator is documented there."""
    return True if name.startswith("set_") and name.endswith("_request") else None


def setup(app) -> None:
    app.connect("autodoc-process-docstring", plain)
    app.connect("autodoc-skip-member", skip)
    app.add_directive("command-help", CommandHelp)
