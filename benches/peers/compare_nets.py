#!/usr/bin/env python3
"""Times whole nets in other engines, beside our own sessions, and prints the ratios."""

from __future__ import annotations

import argparse
import json
import sys

import cli
import rounds
from report import Row, Table
from rounds import Best, Ours
from whole_nets import NETS


def options() -> argparse.Namespace:
    """The command line."""
    parser = cli.parser(__doc__, "nets")
    cli.add_engines(parser)
    parser.add_argument("--net", choices=NETS, help="this net alone")
    parser.add_argument(
        "--batch", type=cli.positive, metavar="N",
        help="images of a call (default: "
        + ", ".join(f"{' and '.join(map(str, batches))} for {name}" for name, (_, batches) in NETS.items())
        + ")",
    )  # fmt: skip
    return parser.parse_args()


def compare(asked: argparse.Namespace) -> None:
    """Runs what the command line asks for."""
    cli.check_threads(asked.threads)
    peers_asked = rounds.chosen(asked.engines)
    command = [*cli.ours(asked, "bantam-benches", "nets"), "--threads", str(asked.threads)]
    wanted = {
        f"{net}-b{batch}": (net, batch)
        for net, (_, batches) in NETS.items()
        for batch in ((asked.batch,) if asked.batch else batches)
        if asked.net in (None, net)
    }
    table = None if asked.json else Table(list(wanted), peers_asked)
    rows = []
    with rounds.started(peers_asked, asked.threads) as peers:
        if table:
            print(f"of an image\n{table.head()}", flush=True)
        for name, (net, batch) in wanted.items():
            print(name, file=sys.stderr)
            build, _ = NETS[net]
            ours = Ours(name, [*command, "--net", net, "--batch", str(batch)])
            # Our program tells the seconds of an image, engines those of a call.
            our_seconds, calls = rounds.side_by_side(peers, ours, name, build(batch))
            images = {peer: Best(best.seconds / batch, best.how) for peer, best in calls.items()}
            rows.append(Row(name, our_seconds, images))
            if table:
                print(table.line(rows[-1]), flush=True)
    if table is None:
        print(json.dumps({"nets": {row.name: row.as_json() for row in rows}}, indent=2))


if __name__ == "__main__":
    sys.exit(cli.main(lambda: compare(options())))
