"""The report page: nothing a user writes becomes code, nothing is fetched, and every part is there."""

import base64
import hashlib
import io
import os
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import av
import numpy as np
import pytest
import torch
from markupsafe import Markup

from latentlab.view.report import PALETTE, Figure, Player, Report, Section, Strip, Table, line_figure

VOID = {"meta", "link", "img", "br", "hr", "input", "source"}
ATTACKS = (
    "<script>alert(1)</script>",
    '"><script>alert(1)</script>',
    "' onmouseover='alert(1)",
    '" autofocus onfocus="alert(1)',
    "<img src=https://evil.example/x.png onerror=alert(1)>",
    "</title></style></script><script>alert(1)</script>",
    "{{ 7 * 7 }}{% raw %}",
)
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


class Page(HTMLParser):
    """The elements and texts of a page; fails where an element is closed that is not open."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> repeats an attribute: {names}"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and data.strip():
            self.texts.setdefault(self.open[-1], []).append(data.strip())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def classes(self, name: str) -> int:
        return sum(name in (attributes.get("class") or "").split() for _, attributes in self.elements)


def clip(frames: int = 4, height: int = 64, width: int = 64) -> torch.Tensor:
    ramp = torch.linspace(-1, 1, frames).reshape(1, 1, frames, 1, 1)
    return ramp.expand(1, 3, frames, height, width).contiguous()


def full_report(word: str = "word") -> Report:
    """Every field that takes text holds `word`."""
    table = Table([word, "x (s)"], [[word, 1.5], [word, None]], note=word)
    line = line_figure([1, 2, 3], {word: [1, 2, 3], "b": [3, float("nan"), 1]}, word, word, word)
    parts = [Strip([Player(clip(), word, word), Player(clip(), word)]), table, line]
    parts += [Figure('<svg xmlns="http://www.w3.org/2000/svg"/>', word, word), Figure(PNG, word)]
    sections = [Section(word, f"{word}\n\n{word}", parts, word), *[Section(f"{word} {i}") for i in range(3)]]
    return Report(word, word, sections, word)


def rgb(color: str) -> list[float]:
    digits = color.lstrip("#")
    digits = "".join(2 * c for c in digits) if len(digits) == 3 else digits
    return [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]


def contrast(a: str, b: str) -> float:
    """WCAG 2 contrast ratio."""

    def luminance(color: str) -> float:
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in rgb(color)]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    light, dark = sorted([luminance(a), luminance(b)], reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("attack", ATTACKS)
def test_text_stays_text(attack):
    page, plain = Page(full_report(attack).html()), Page(full_report().html())
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in plain.elements]
    assert [sorted(attributes) for _, attributes in page.elements] == [sorted(a) for _, a in plain.elements]
    assert page.texts["script"] == plain.texts["script"]
    for tag in ("h1", "h2", "p", "b", "span", "th", "figcaption", "text"):
        assert any(attack in text for text in page.texts[tag]), tag
    assert "".join(page.texts["title"]) == attack
    assert [video["aria-label"] for video in page.all("video")] == [attack, attack]


def test_only_trusted_svg_becomes_part_of_the_page():
    svg = '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script></svg>'
    page = Page(Report("r", sections=[Section("s", parts=[Figure(svg, "alt")])]).html())
    assert not page.all("svg")
    assert not page.all("script")
    (image,) = page.all("img")
    assert base64.b64decode(str(image["src"]).split(",")[1]).decode() == svg
    trusted = Page(Report("r", sections=[Section("s", parts=[Figure(Markup("<svg></svg>"), "alt")])]).html())
    assert len(trusted.all("svg")) == 1


def test_page_fetches_nothing():
    html = full_report().html()
    page = Page(html)
    for tag, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "poster", "srcset", "action", "data", "background"):
            if name in attributes:
                assert re.match(r"data:(video/mp4|image/png|image/svg\+xml);base64,|#", str(attributes[name])), tag
    assert not re.search(r"""(src|href|url)\s*[=(]\s*["']?\s*(https?:)?//""", html)
    assert "@import" not in html
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", html))
    assert not {"link", "iframe", "base", "object", "embed", "form"} & {tag for tag, _ in page.elements}


def test_policy_forbids_all_but_this_script():
    page = Page(full_report().html())
    (policy,) = [m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    html = full_report().html()
    script = html[html.index('<script type="module">') + len('<script type="module">') : html.index("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    rules = dict(rule.split(None, 1) for rule in str(policy).split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == f"'sha256-{digest}'"
    assert not re.search("http", str(policy))


def test_every_part_is_on_the_page():
    page = Page(full_report().html())
    assert not page.open
    assert page.elements[0] == ("html", {"lang": "en"})
    assert len(page.all("video")) == 2
    assert page.classes("strip") == 1
    assert len(page.all("table")) == 1
    assert len(page.all("tr")) == 3
    assert len(page.all("img")) == 2
    assert len(page.all("svg")) == 1
    assert page.classes("how") == 1
    assert len(page.all("h1")) == 1
    assert len(page.all("h2")) == len(page.all("section")) == 4
    assert page.texts["h2"] == ["word", "word 0", "word 1", "word 2"]
    assert len(page.all("nav")) == len(page.all("footer")) == len(page.all("main")) == 1


def test_links_and_ids_hold():
    figures = [line_figure([1, 2], {"a": [1, k]}, "x", "y") for k in (2, 3)]
    html = Report("r", sections=[Section("s", parts=figures), *[Section("t")] * 3]).html()
    ids = [str(a["id"]) for _, a in Page(html).elements if "id" in a]
    assert len(ids) == len(set(ids))
    targets = [a.get("href") or a.get("xlink:href") for _, a in Page(html).elements]
    targets = [str(t)[1:] for t in targets if t] + [t[1:] for t in re.findall(r"url\(([^)]*)\)", html)]
    labelled = [str(a["aria-labelledby"]) for _, a in Page(html).elements if "aria-labelledby" in a]
    assert set(targets + labelled) <= set(ids)
    assert {"section-1", "section-4"} <= set(targets)


def test_pictures_have_words_and_clips_do_not_start_by_themselves():
    page = Page(full_report().html())
    assert all(image["alt"] for image in page.all("img"))
    assert all(a.get("aria-label") for _, a in page.elements if a.get("role") == "img")
    for video in page.all("video"):
        assert "autoplay" not in video  # the script starts them, unless the reader asked for less motion
        assert {"controls", "loop", "muted", "playsinline"} <= set(video)
        assert video["aria-label"]
    assert "prefers-reduced-motion" in page.texts["script"][0]


def test_video_is_the_clip():
    page = Page(Report("r", sections=[Section("s", parts=[Strip([Player(clip(16), "a")])])]).html())
    (video,) = page.all("video")
    assert (video["width"], video["height"], video["class"]) == ("160", "160", "small")
    with av.open(io.BytesIO(base64.b64decode(str(video["src"]).split(",")[1]))) as container:
        assert container.streams.video[0].average_rate == 8
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(pictures) == 16
    levels = [picture.mean() for picture in pictures]
    np.testing.assert_allclose(levels, np.linspace(0, 255, 16), atol=3)


def test_sizes_on_the_page():
    assert Player(clip(1, 32, 64), "wide").size == (160, 80)
    assert Player(clip(1, 144, 256), "larger").size == (256, 144)
    assert Player(clip(1, 360, 640), "larger still").size == (320, 180)
    assert not Player(clip(1, 144, 256), "larger").small


def test_empty_parts_say_so():
    parts = [Strip([]), Table(["a", "b"], []), Table([], [])]
    page = Page(Report("r", sections=[Section("s", parts=parts)]).html())
    assert not page.open
    assert not page.all("video")
    assert not page.all("script")
    assert page.texts["p"] == ["No clips.", "No rows.", "No rows."]
    assert len(page.all("th")) == 2
    bare = Page(Report("bare").html())
    assert bare.texts["h1"] == ["bare"]
    assert not bare.all("footer")


def test_table_numbers():
    rows = [["ddim", 25, 31.456, np.float32(0.0512), "3 ± 1", None], ["x", 5, 8.0, torch.tensor(0.5), "< 0.1", 1.0]]
    table = Table(list("abcdef"), rows)
    assert table.numeric() == [False, True, True, True, True, True]
    assert table.cells()[0] == ["ddim", "25", "31.5", "0.051", "3 ± 1", "\u2013"]
    assert table.cells()[1] == ["x", "5", "8.0", "0.500", "< 0.1", "1.00"]
    small = Table(["a"], [[1e-9], [250.0], [0.0], [float("nan")], [float("-inf")], [True]])
    assert [row[0] for row in small.cells()] == ["1e-09", "250", "0", "nan", "-inf", "True"]
    html = Report("r", sections=[Section("s", parts=[table])]).html()
    assert Page(html).classes("number") == 15  # a header and two cells in five columns


def test_figure_is_well_formed_and_takes_the_colours_of_the_page():
    names = ["a & b", "$x", "_hidden", "<tag>", "ä", "sixth"]
    figure = line_figure(np.arange(5), {n: np.arange(5.0) + i for i, n in enumerate(names)}, "x_$1", "y (dB)")
    svg = figure.svg_or_png
    assert isinstance(svg, str)
    root = ElementTree.fromstring(svg)
    assert root.tag.endswith("svg")
    assert "width" not in root.attrib
    assert root.attrib["style"].startswith("max-width: 360pt")  # 5 inches, and less on a narrow screen
    texts = ["".join(e.itertext()) for e in root.iter() if e.tag.endswith("}text")]
    assert {*names, "x_$1", "y (dB)"} <= set(texts)
    assert "currentColor" in svg
    assert "var(--series-4, #6b6b6b)" in svg
    loose = re.findall(r"(?:fill|stroke): (#\w+)", svg)
    assert set(loose) <= {"#ffffff"}, "colours that would not follow the page"
    assert (
        svg
        == line_figure(np.arange(5), {n: np.arange(5.0) + i for i, n in enumerate(names)}, "x_$1", "y (dB)").svg_or_png
    )
    assert "a & b: 0 to 4." in figure.alt


def test_figure_of_nothing_and_of_gaps():
    for figure in (line_figure([], {}, "x", "y"), line_figure([], {"a": []}, "x", "y")):
        ElementTree.fromstring(str(figure.svg_or_png))
    ElementTree.fromstring(str(line_figure([1, 2], {"a": [float("nan"), float("inf")]}, "x", "y").svg_or_png))


def test_contrast_in_light_and_dark():
    html = Report("r").html()
    style = html[html.index("<style>") : html.index("</style>")]
    themes = [dict(re.findall(r"--([\w-]+): (#\w+);", part)) for part in style.split("prefers-color-scheme: dark")]
    themes = [themes[0], {**themes[1], **themes[2]}]
    for theme, column in zip(themes, zip(*PALETTE, strict=True), strict=True):
        for name in ("ink", "soft", "link"):
            assert contrast(theme[name], theme["page"]) >= 4.5
        for i, color in enumerate(column):
            assert theme[f"series-{i}"] == color
            assert contrast(color, theme["page"]) >= 3
    assert contrast("#fff", "#000") == pytest.approx(21)


def test_save_leaves_the_old_page_whole(tmp_path, monkeypatch):
    path = tmp_path / "new" / "report.html"
    Report("first ä").save(path)
    first = path.read_text(encoding="utf-8")
    assert first == Report("first ä").html()

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        Report("second").save(path)
    assert path.read_text(encoding="utf-8") == first


def test_size_is_sane():
    texture = torch.rand(1, 3, 16, 64, 64, generator=torch.Generator().manual_seed(0)) * 0.2 + clip(16) * 0.5
    players = [Player(clip(16), "flat")] * 6
    assert len(Report("r", sections=[Section("s", parts=[Strip(players)])]).html()) < 50_000
    assert len(Report("r", sections=[Section("s", parts=[Strip([Player(texture, "noise")])])]).html()) < 400_000
    assert len(str(line_figure(range(20), {"a": range(20)}, "x", "y").svg_or_png)) < 20_000


def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r"'two' takes one clip .* got \(2, 3, 1, 8, 8\)"):
        Player(torch.zeros(2, 3, 1, 8, 8), "two")
    with pytest.raises(ValueError, match="row 1 of a table of 2 columns has 1 cells"):
        Table(["a", "b"], [[1, 2], [1]])
    with pytest.raises(ValueError, match="SVG text or PNG bytes"):
        Figure(b"GIF89a", "alt")
    with pytest.raises(ValueError, match="needs `alt`"):
        Figure("<svg/>", " ")
    with pytest.raises(ValueError, match="series 'a' has 3 values for 2 of x"):
        line_figure([1, 2], {"a": [1, 2, 3]}, "x", "y")
