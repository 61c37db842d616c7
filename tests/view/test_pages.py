"""Pages as files: node checks scripts and tests their pure parts; styles and templates hold what they use."""

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

import latentlab.view.pages as pages

FOLDER = Path(pages.__file__).parent
SCRIPTS = sorted(path.name for path in FOLDER.glob("*.mjs"))
TEMPLATES = sorted(path.name for path in FOLDER.glob("*.html"))
node = pytest.mark.skipif(shutil.which("node") is None, reason="no node; Debian's package is `nodejs`")
VOID = {"meta", "input", "img", "br", "hr", "link", "source", "wbr"}


def run(*command) -> None:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


@node
def test_pure_parts():
    run("node", "--test", *sorted((Path(__file__).parent / "pages").glob("*.test.mjs")))


@node
def test_scripts_are_javascript_apart_and_put_together(tmp_path):
    for name in SCRIPTS:
        (tmp_path / name).write_text(pages.script(name), encoding="utf-8")  # two files of one name clash here
        run("node", "--check", FOLDER / name)
        run("node", "--check", tmp_path / name)


def test_every_part_has_a_test_or_touches_the_page():
    tested = {path.name.replace(".test", "") for path in (Path(__file__).parent / "pages").glob("*.test.mjs")}
    for name in set(SCRIPTS) - tested:
        assert "document." in pages.source(name), f"{name} is pure and has no test"


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_import_what_they_use(name):
    text = pages.source(name)
    for names, other in re.findall(r'^import \{([^}]*)\} from "\./([\w.]+)";$', text, re.M):
        for used in (word.strip() for word in names.split(",")):
            assert len(re.findall(rf"\b{used}\b", text)) > 1, f"{used} is imported for nothing"
            assert re.search(rf"^export (const|class|function\*?) {used}\b", pages.source(other), re.M), (
                f"{other}: no {used}"
            )
    assert text.count("import ") == len(pages.IMPORT.findall(text))
    assert not re.search(r"\bvar |\beval\(|innerHTML|[^=!]==[^=]|!=[^=]|[ \t]+$", text, re.M)


class Reader(HTMLParser):
    """What a template has; its own words between braces are text to it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.classes: set[str] = set()
        self.tags: set[str] = set()
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.ids += [value for key, value in attrs if key == "id"]
        self.classes |= {word for key, value in attrs if key == "class" for word in value.split()}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates_close_what_they_open_and_have_what_scripts_and_styles_ask_for(name):
    text = pages.source(name)
    wanted = {kind: re.findall(rf'{kind}\("([\w.]+)"\)', text) for kind in ("script", "style")}
    css = "".join(map(pages.source, wanted["style"]))
    code = "".join(map(pages.script, set(wanted["script"])))
    plain = re.sub(r"\{#.*?#\}", "", text, flags=re.S)
    plain = re.sub(r"<\{\{ name \}\}.*?</\{\{ name \}\}>", "", plain, flags=re.S)  # a cell, th or td
    plain = re.sub(r"\{%-?.*?-?%\}", " ", plain, flags=re.S).replace("{% if part.rows", "")
    found = Reader(plain)
    assert not found.open
    assert len(found.ids) == len(set(found.ids))
    asked = set(re.findall(r'(?:\$\(|getElementById\()"([\w-]+)"', code)) | set(
        re.findall(r'querySelector\("#([\w-]+)"', code)
    )
    assert asked <= set(found.ids)
    assert css.count("{") == css.count("}")
    defined = set(re.findall(r"(--[\w-]+):", css + text))
    assert set(re.findall(r"var\((--[\w-]+)\)", css)) <= defined
    selectors = re.sub(r"\{[^{}]*\}", " ", re.sub(r"@media[^{]*", "", css))
    for kind, word in re.findall(r"([.#])([a-zA-Z][\w-]*)", selectors):
        there = found.ids if kind == "#" else found.classes
        assert word in there or f'"{word}"' in code + text, f"{kind}{word} is styled, and nowhere"


def test_a_script_takes_in_what_it_imports_once_and_before_it():
    text = pages.script("scatter.mjs")
    assert "import {" not in text
    assert "export " not in text
    assert text.index("const SHAPES") < text.index("const byCard") < text.index("const scene = sceneOf")
    assert text.count("const SHAPES") == 1
    assert pages.script("brush.mjs").endswith("export default { render };\n")


def test_a_page_needs_all_its_values():
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError, match="is undefined"):
        pages.render_page("scatter.html")
