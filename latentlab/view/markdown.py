"""A report as Markdown: text and tables for a terminal, a repository or an issue; clips and figures by their words."""

from __future__ import annotations

from latentlab.view.report import Figure, Part, Report, Strip


def markdown(report: Report) -> str:
    """The report as Markdown text.

    >>> from latentlab.view.report import Section, Table
    >>> print(markdown(Report("R", sections=[Section("S", parts=[Table(["a", "b"], [["x", 1]])])])))
    # R
    <BLANKLINE>
    ## S
    <BLANKLINE>
    | a | b |
    | --- | ---: |
    | x | 1 |
    <BLANKLINE>
    """
    blocks = [f"# {report.title}", report.lead]
    for section in report.sections:
        blocks += [f"## {section.title}", section.text, section.how_to_read]
        blocks += [_part(part) for part in section.parts]
    return "\n\n".join(block for block in (*blocks, report.footer) if block) + "\n"


def _part(part: Part) -> str:
    if isinstance(part, Strip):
        return ", ".join(f"[clip: {p.title}{f', {p.note}' if p.note else ''}]" for p in part.players)
    if isinstance(part, Figure):
        return f"[figure: {part.alt}] {part.caption}".strip()
    rule = ["---:" if number and part.rows else "---" for number in part.numeric()]
    rows = [list(part.columns), rule, *part.cells()]
    table = "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in rows
    )
    return f"{table}\n\n{part.note}" if part.note else table
