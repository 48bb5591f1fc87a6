#!/usr/bin/env python3
"""Times whole nets in other engines, or measures their memory, beside our own sessions, and prints the ratios."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import cli
import read_onnx
import rounds
from nets import Net
from report import MEMORY, TIME, Row, Table, summary
from rounds import Best, Ours
from whole_nets import NETS, ZOO


def options() -> argparse.Namespace:
    """The command line."""
    parser = cli.parser(__doc__, "nets")
    cli.add_engines(parser)
    parser.add_argument(
        "--net", choices=(*NETS, *ZOO, "zoo"),
        help=f"this net alone, or all of the zoo (default: {', '.join(NETS)})",
    )  # fmt: skip
    parser.add_argument(
        "--batch", type=cli.positive, metavar="N",
        help="images of a call (default: "
        + ", ".join(f"{' and '.join(map(str, batches))} for {name}" for name, (_, batches) in NETS.items())
        + ", else 1)",
    )  # fmt: skip
    parser.add_argument(
        "--memory", action="store_true",
        help="time nothing: compare how much more memory each process takes to run the net",
    )  # fmt: skip
    return parser.parse_args()


def wanted(asked: argparse.Namespace) -> dict[str, tuple[str, int]]:
    """Nets and batches by the names of the rows."""
    match asked.net:
        case None:
            nets = tuple(NETS)
        case "zoo":
            nets = ZOO
        case net:
            nets = (net,)
    found = {}
    for net in nets:
        _, batches = NETS.get(net, (None, (1,)))
        for batch in (asked.batch,) if asked.batch else batches:
            found[f"{net}-b{batch}"] = net, batch
    return found


def build(program: list[str], net: str, batch: int, folder: Path) -> Net:
    """The net with its numbers; if it is one of the zoo, those of our program."""
    if net in NETS:
        return NETS[net][0](batch)
    file = folder / f"{net}.onnx"
    rounds.run([*program, "--net", net, "--write", str(file)])
    found = read_onnx.read(file, batch)
    file.unlink()
    return found


def compare(asked: argparse.Namespace) -> None:
    """Runs what the command line asks for."""
    cli.check_threads(asked.threads)
    peers_asked = rounds.chosen(asked.engines)
    program = cli.ours(asked, "bantam-benches", "nets")
    rows_wanted = wanted(asked)
    measure = MEMORY if asked.memory else TIME
    table = None if asked.json else Table(list(rows_wanted), peers_asked, measure)
    rows = []
    with (
        tempfile.TemporaryDirectory() as folder,
        rounds.started(peers_asked, asked.threads) as peers,
    ):
        if table:
            print(f"{'' if asked.memory else 'of an image'}\n{table.head()}".lstrip(), flush=True)
        for name, (net, batch) in rows_wanted.items():
            print(name, file=sys.stderr)
            steps = build(program, net, batch, Path(folder))
            size = ["--net", net, "--batch", str(batch), "--threads", str(asked.threads)]
            ours = Ours(name, [*program, *size])
            if asked.memory:
                file = Path(folder, f"{net}.bantam")
                rounds.run([*program, "--net", net, "--write", str(file)])
                our_number, found = rounds.memory_side_by_side(peers, ours, file, name, steps)
                file.unlink()
            else:
                # Our program tells the seconds of an image, engines those of a call.
                our_number, calls = rounds.side_by_side(peers, ours, name, steps)
                found = {peer: Best(best.value / batch, best.how) for peer, best in calls.items()}
            rows.append(Row(name, our_number, found))
            if table:
                print(table.line(rows[-1]), flush=True)
    if table is None:
        nets = {row.name: row.as_json(measure) for row in rows}
        print(json.dumps({"nets": nets, **summary(rows)}, indent=2))
    elif asked.net == "zoo":
        mean = summary(rows)["geometric_mean"]
        print(f"geometric mean of the ratios: {'-' if mean is None else f'{mean:.2f}'}")


if __name__ == "__main__":
    sys.exit(cli.main(lambda: compare(options())))
