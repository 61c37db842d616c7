"""Draws docs/architecture.svg: the parts of latentlab by layer, and what each imports, from the code as it stands.

    python docs/layers.py

An import that follows from others is not drawn: where a imports b and b imports c, no line goes from a to c.
"""

from __future__ import annotations

import ast
import re
from html import escape
from pathlib import Path

DOCS = Path(__file__).parent
WIDE, HIGH, ROW, GAP = 96, 26, 62, 14


def layers() -> list[list[str]]:
    """The layers of architecture.md, lowest first."""
    block = re.search(r"```text\n(.*?)```", (DOCS / "architecture.md").read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    return [layer.split() for layer in block.group(1).replace(",", " ").split("<")]


def imported(part: Path) -> set[str]:
    """Parts that the modules of a part import."""
    found = set()
    files = [part.with_suffix(".py")] if part.with_suffix(".py").is_file() else part.rglob("*.py")
    if part.name == "page":
        files = part.parent.glob("*/page.py")
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("latentlab"):
                home = (node.module or "").split(".")
                page = home[2:] == ["page"]
                found |= {"page"} if page else {a.name for a in node.names} if len(home) == 1 else {home[1]}
    return found - {part.name}


def drawing(rows: list[list[str]], uses: dict[str, set[str]]) -> str:
    """The picture as SVG."""
    width = max(map(len, rows)) * (WIDE + GAP) + GAP
    places = {
        part: ((width - len(row) * (WIDE + GAP) + GAP) / 2 + i * (WIDE + GAP), (len(rows) - 1 - level) * ROW + GAP)
        for level, row in enumerate(rows)
        for i, part in enumerate(row)
    }
    lines, boxes = [], []
    for part, below in uses.items():
        for other in sorted(below - set().union(*(_all(uses, one) for one in below))):
            (x, y), (to_x, to_y) = places[part], places[other]
            ends = f'x1="{x + WIDE / 2:g}" y1="{y + HIGH}" x2="{to_x + WIDE / 2:g}" y2="{to_y}"'
            lines.append(f'<line {ends} stroke="#8a8f98"/>')
    for part, (x, y) in places.items():
        boxes.append(f'<rect x="{x:g}" y="{y}" width="{WIDE}" height="{HIGH}" rx="4" fill="#fff" stroke="#444"/>')
        boxes.append(f'<text x="{x + WIDE / 2:g}" y="{y + 17}" text-anchor="middle">{escape(part)}</text>')
    size = f'viewBox="0 0 {width} {len(rows) * ROW}" width="{width}" height="{len(rows) * ROW}"'
    style = 'font-family="sans-serif" font-size="12" role="img" aria-label="Parts of latentlab by layer"'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>', *lines, *boxes, "</svg>", ""])


def _all(uses: dict[str, set[str]], part: str) -> set[str]:
    """Whatever a part imports, directly or not."""
    return uses[part].union(*(_all(uses, one) for one in uses[part]))


if __name__ == "__main__":
    rows = layers()
    level = {part: i for i, row in enumerate(rows) for part in row}
    uses = {
        part: {o for o in imported(DOCS.parent / "latentlab" / part) if level.get(o, len(rows)) < level[part]}
        for part in level
    }
    (DOCS / "architecture.svg").write_text(drawing(rows, uses), encoding="utf-8")
