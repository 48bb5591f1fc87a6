#!/usr/bin/env python3
"""Times other engines on our list of layers, beside our own kernels, and prints the ratios."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import cli
import layers
import rounds
from report import Row, Table, summary
from rounds import Ours, Peer

HERE = Path(__file__).resolve().parent
# A convolution of one number: what it costs to call an engine at all.
ONE_NUMBER = "(one number)"
ONE_NUMBER_SIZES = dict(zip(layers.CONV, [1, 1, 1, 1, 1, 1, 1, 1, 0, 1]))


def options() -> argparse.Namespace:
    """The command line."""
    parser = cli.parser(__doc__, "layers")
    cli.add_engines(parser)
    parser.add_argument(
        "--layers", type=Path, default=HERE.parent / "layers.json", metavar="FILE",
        help="JSON list of layers (default: benches/layers.json)",
    )  # fmt: skip
    parser.add_argument("--only", default="", metavar="TEXT", help="only layers whose name contains this")
    return parser.parse_args()


def progress(done: int, total: int, start: float, name: str) -> None:
    """Where we are and how long it will take, over the line before."""
    left = f", {(time.monotonic() - start) / done * (total - done):.0f} s left" if done else ""
    text = f"{done + 1}/{total} {name}{left}"
    if sys.stderr.isatty():
        print(f"\r\033[K{text}\r", end="", file=sys.stderr, flush=True)
    else:
        print(text, file=sys.stderr)


def timed(
    peers: list[Peer], command: list[str], wanted: dict[str, dict[str, int]], table: Table | None
) -> list[Row]:
    """Each layer in all engines; its line is printed as soon as there is one."""
    rows = []
    start = time.monotonic()
    for done, (name, sizes) in enumerate(wanted.items()):
        progress(done, len(wanted), start, name)
        ours = Ours(name, [*command, "--exact", name])
        rows.append(Row(name, *rounds.side_by_side(peers, ours, name, layers.net(sizes))))
        if table:
            print(table.line(rows[-1]), flush=True)
    return rows


def compare(asked: argparse.Namespace) -> None:
    """Runs what the command line asks for."""
    wanted = {name: sizes for name, sizes in layers.read(asked.layers).items() if asked.only in name}
    if not wanted:
        raise rounds.Unavailable(f"--only {asked.only}: no layer of {asked.layers} has that in its name")
    cli.check_threads(asked.threads)
    names = rounds.chosen(asked.engines)
    program = cli.ours(asked, "bantam-benches", "layers")
    command = [*program, "--layers", str(asked.layers), "--threads", str(asked.threads)]
    table = None if asked.json else Table([*wanted, ONE_NUMBER], names)
    with rounds.started(names, asked.threads) as peers:
        if table:
            print(table.head())
        rows = timed(peers, command, wanted, table)
        one_number = layers.net(ONE_NUMBER_SIZES)
        calls = Row(ONE_NUMBER, *rounds.side_by_side(peers, None, ONE_NUMBER, one_number))
    end = summary(rows)
    if table is None:
        times = {row.name: row.as_json() for row in rows}
        print(json.dumps({"layers": times, **end, "call": calls.as_json()["peers"]}, indent=2))
        return
    print(table.line(calls))
    if end["compared"]:
        print(
            f"\ngeometric mean of the ratios {end['geometric_mean']:.3f}, "
            f"at least 1.0 in {end['at_least_1']} of {end['compared']} layers"
        )


if __name__ == "__main__":
    sys.exit(cli.main(lambda: compare(options())))
