"""Files that are whole or not there, folders that one process writes to, and the digest by which content is known.

A writer works in a hidden folder beside its target and puts what it made in place in one step, so a killed run leaves
an older file whole. The hidden folder is new and the writer's alone: no two meet in it, and no link that somebody laid
there is followed. What killed writers left is removed by the next one that writes beside it.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

Hashed = str | Path | Any  # text, a file, or whatever holds bytes: bytes, memoryview, a contiguous array
DAY = 86_400.0  # seconds


def digest(*parts: Hashed) -> str:
    """SHA-256 of parts, one after another, as 64 hexadecimal digits.

    A `Path` stands for the bytes of its file, an iterator for the parts that it gives, one at a time.

    Raises:
        OSError: a file that cannot be read.

    >>> digest("a", b"bc") == digest("abc")
    True
    """
    found = hashlib.sha256()
    for part in chain.from_iterable(part if isinstance(part, Iterator) else (part,) for part in parts):
        if isinstance(part, Path):
            with part.open("rb") as file:
                while block := file.read(2**20):
                    found.update(block)
        else:
            found.update(part.encode(errors="surrogateescape") if isinstance(part, str) else part)
    return found.hexdigest()


def short_digest(text: str) -> str:
    """The first twelve digits of a text's digest, which tell texts apart in the names of files."""
    return digest(text)[:12]


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Generator[Path]:
    """Where to write a file or folder that is to stand at `path`: a block that ends without an error puts it there.

    Args:
        path: of the target; folders above it are made, and an older file or folder there is replaced.

    Yields:
        A path of the same name, where nothing is yet.

    Raises:
        ValueError: the target is a device or a pipe.
        OSError: the disk is full, or the folder cannot be written to.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(f"{folder}/a.txt") as partial:
    ...         _ = partial.write_text("whole")
    ...     (Path(folder) / "a.txt").read_text()
    'whole'
    """
    path = Path(path)
    if not path.name:
        raise ValueError(f"cannot write {os.fspath(path)!r}: the name of a file or folder is missing")
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise ValueError(f"cannot write {path}: it is a device or a pipe; give the name of a file")
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent.resolve())
    with tempfile.TemporaryDirectory(prefix=_mark(), dir=path.parent, ignore_cleanup_errors=True) as work:
        made = Path(work) / path.name
        try:
            yield made
        except OSError as error:
            if error.errno is None or error.filename not in (None, str(made)):
                raise
            raise OSError(error.errno, error.strerror, str(path)) from error
        if made.is_dir():
            _swap(made, path, Path(work) / "older" / path.name)
        else:
            plain = Path(work) / "rights"
            plain.touch()  # as any new file of this user; some writers make theirs private
            made.chmod(stat.S_IMODE(plain.stat().st_mode))
            os.replace(made, path)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a text file in UTF-8, whole or not at all; a file's name that is none is written with `\\udcff` in it."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")


_CLAIMED: set[Path] = set()  # by this process


@contextmanager
def claimed(folder: str | os.PathLike[str]) -> Generator[None]:
    """Keeps a folder to this process, for work that two processes would spoil; its death gives the folder free.

    Args:
        folder: is made where it is missing; `.lock` in it says which process has it. Whoever has it may claim it again.

    Raises:
        BlockingIOError: another process has it; its number is named.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    place = folder.resolve()
    if place in _CLAIMED:  # to open and close its lock again would give it free
        yield
        return
    file = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | (0 if sys.platform == "win32" else os.O_NOFOLLOW), 0o666)
    try:
        if not _locked(file):
            holder = os.read(file, 100).decode(errors="replace").strip() or "another process"
            raise BlockingIOError(f"{folder} is in use by {holder}; wait for it, or give another folder")
        os.truncate(file, 0)
        os.write(file, f"process {os.getpid()} on {platform.node()}\n".encode())
        _CLAIMED.add(place)
        yield
        os.truncate(file, 0)
    finally:
        _CLAIMED.discard(place)
        os.close(file)


def _locked(file: int) -> bool:
    """Takes the lock of a file, which belongs to the process and not to its children; False if another has it."""
    try:
        import fcntl
    except ImportError:  # Windows: a folder in use is not noticed
        return True
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:  # a file system without locks
        return True
    return True


@cache  # once a process: it need not look through a large folder at every write
def remove_leftovers(folder: Path) -> None:
    """Removes what writers left in a folder that are no more: killed on this machine, or a day ago on any."""
    for left in folder.glob(".latentlab-*"):
        found = re.fullmatch(r"\.latentlab-([0-9a-f]{8})-(\d+)-\w+", left.name)
        if found is None or left.is_symlink() or not left.is_dir():
            continue
        with suppress(OSError):  # another process may sweep, too
            here = found[1] == _machine()
            if (here and not _alive(int(found[2]))) or time.time() - left.stat().st_mtime > DAY:
                for older in (left / "older").glob("*"):  # killed between the two steps of a swap
                    if not (folder / older.name).exists():
                        os.rename(older, folder / older.name)
                shutil.rmtree(left, ignore_errors=True)


def _mark() -> str:
    return f".latentlab-{_machine()}-{os.getpid()}-"


def _machine() -> str:
    return digest(platform.node())[:8]


def _alive(pid: int) -> bool:
    if os.name == "nt":  # where the question would end it
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def _swap(made: Path, path: Path, older: Path) -> None:
    """Puts a whole folder in place of another in two steps, and the older one back if the second one fails."""
    older.parent.mkdir()
    if path.exists():
        os.rename(path, older)
    try:
        os.rename(made, path)
    except OSError:
        if older.exists():
            os.rename(older, path)
        raise
