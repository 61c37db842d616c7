"""The command line: `latentlab COMMAND ...`, parsed by `latentlab.parsers`, done by `latentlab.commands`."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

from latentlab.asked import gathered
from latentlab.parsers import parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit code: 0, 2 if something went wrong, 130 if interrupted, 143 if terminated."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file's name may hold what the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    top = parser()
    if argv is None and len(sys.argv) == 1:
        top.print_help(sys.stderr)
        return 2
    arguments = gathered(vars(top.parse_args(argv)))
    name, traceback = arguments.pop("command"), arguments.pop("traceback")
    try:
        with _ended_at_once(name):
            import latentlab.commands  # torch and the models load only now, so that --help is instant
        with _terminated():
            latentlab.commands.COMMANDS[name](**arguments)
    except KeyboardInterrupt:
        return _ends(name, "interrupted", 130)
    except _Terminated:
        return _ends(name, "terminated", 143)
    except Exception as error:
        if traceback:
            raise
        return _ends(name, _said(error), 2)
    return 0


class _Terminated(BaseException):
    """SIGTERM, as KeyboardInterrupt is SIGINT: what was begun is put in order on the way out."""


def _ends(name: str, why: str, code: int) -> int:
    if sys.stderr is not None:
        print(f"latentlab {name}: {why}", file=sys.stderr, flush=True)
    return code


def _said(error: Exception) -> str:
    """What an error says, in one line, and its kind where it was not written for users."""
    said = " ".join(str(error.args[0] if isinstance(error, KeyError) and error.args else error).split())
    if isinstance(error, MemoryError):
        return f"out of memory{': ' * bool(said)}{said}"
    for_users = isinstance(error, ValueError | OSError | RuntimeError | ImportError)
    if said and (for_users or (isinstance(error, KeyError) and " " in said)):
        return said
    return f"{type(error).__name__}: {said}; --traceback shows where, which helps whoever mends it"


@contextmanager
def _ended_at_once(name: str) -> Generator[None]:
    """While libraries load, where an interruption would end in an error of theirs: one line, and out."""

    def end(signum: int, frame: object) -> None:
        os._exit(_ends(name, "interrupted", 130) if signum == signal.SIGINT else _ends(name, "terminated", 143))

    with _handled(signal.SIGINT, end), _handled(signal.SIGTERM, end):
        yield


@contextmanager
def _terminated() -> Generator[None]:
    def end(signum: int, frame: object) -> None:
        raise _Terminated

    with _handled(signal.SIGTERM, end):
        yield


@contextmanager
def _handled(number: signal.Signals, end: Callable[[int, object], None]) -> Generator[None]:
    """Answers a signal, unless whoever started this process has it ignored or answers it."""
    before = signal.getsignal(number)
    ours = before in (signal.SIG_DFL, signal.default_int_handler)
    if not ours or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(number, end)
    try:
        yield
    finally:
        signal.signal(number, before)


if __name__ == "__main__":
    sys.exit(main())
