"""What the programs' command lines share."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Callable

import engines
from layers import BadList
from rounds import Unavailable, built


def parser(description: str, program: str) -> argparse.ArgumentParser:
    """With the options that all have; `program` is the one of ours that is timed."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--threads", type=positive, default=1, metavar="N", help="threads (default: 1)")
    made.add_argument("--json", action="store_true", help="print JSON instead of the table")
    made.add_argument(
        "--ours", metavar="CMD", help=f"our program `{program}`, built (default: cargo builds it)"
    )
    return made


def add_engines(made: argparse.ArgumentParser) -> None:
    """The option that chooses among the engines."""
    made.add_argument(
        "--engines", metavar="NAMES",
        help=f"engines with commas between (default: all installed of {','.join(engines.NEEDS)})",
    )  # fmt: skip


def ours(asked: argparse.Namespace, package: str, program: str) -> list[str]:
    """The command of our program, which cargo builds unless the user has."""
    return shlex.split(asked.ours) if asked.ours else built(package, program)


def positive(text: str) -> int:
    """A number of threads or images."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, found {number}")
    return number


def check_threads(threads: int) -> None:
    """On fewer cores than threads every engine would wait for itself."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if threads > cores:
        raise Unavailable(f"--threads {threads}: this process may run on {cores} of the cores alone")


def main(run: Callable[[], None]) -> int:
    """The exit status; an error that a user can mend is told without a traceback."""
    # Ended that way too, it stops its engines and removes their folders.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        run()
    except (BadList, Unavailable) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    return 0
