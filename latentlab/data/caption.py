"""Captions in text files, whatever editor saved them."""

import codecs
from pathlib import Path

from latentlab.warning import warn

_MARKS = (  # that of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def read_caption(path: Path) -> str:
    """The text of a file without its byte order mark and the white space around it.

    UTF-8, else UTF-16 or UTF-32 by their marks, UTF-16 without one by its zeros, else the single bytes of Windows-1252,
    which a warning says.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "wave.txt")
    ...     _ = path.write_text("a large red star", encoding="utf-16")
    ...     read_caption(path)
    'a large red star'
    """
    data = path.read_bytes()
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    if encoding == "utf-8" and b"\0" in data:
        encoding = "utf-16-be" if data[0::2].count(0) > data[1::2].count(0) else "utf-16-le"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        warn(f"{path} is not {encoding} ({error.reason} at byte {error.start}), read as cp1252")
        text = data.decode("cp1252", errors="replace")
    return text.lstrip("\ufeff").strip().replace("\r\n", "\n")
