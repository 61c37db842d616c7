"""The command of rated batches."""

from __future__ import annotations

from latentlab.asked import add_model
from latentlab.parsers.options import Asking, command, positive, whole_number


def add_batch(commands) -> Asking:
    p = command(
        commands,
        "batch",
        "Clips of a brief, to be rated; then the next ones, by what was liked, until the ratings settle it.",
        "latentlab batch brief.toml --out batch/     # draws, and writes batch/contact.html to rate on\n"
        "  latentlab batch brief.toml --out batch/ --ratings ratings.csv     # the next batch\n"
        "  latentlab batch brief.toml --out batch/ --serve 8008     # rate at http://127.0.0.1:8008/\n\n"
        "brief.toml:\n"
        '  caption = "a {size} {hue} star moving left {speed}"\n'
        '  forbidden = ["green"]\n'
        "  batch = 6\n  ratings = 60\n  [axes]\n"
        '  size = ["small", "large"]\n  hue = ["red", "cyan", "blue"]\n  speed = ["slowly", "quickly"]\n'
        '  guidance = [2, 4]     # also seed, adapter = ["", "ink.safetensors=0.7"], image = ["a.png"],\n'
        '                        # control = ["", { clip = "my.mp4", mask = "8,8,32,32" }]',
        out="batch",
        seed=False,
    )
    yield p
    p.add_argument("brief", metavar="BRIEF", help="TOML file: a caption with slots, axes of values, forbidden words")
    p.add_argument("--ratings", metavar="FILE", help="what the page's button downloaded: clip,liked with 1 and 0")
    p.add_argument("--serve", type=whole_number, metavar="PORT", help="take ratings in the browser; 0 is a free port")
    add_model(p, positive(int), told=True)
