"""Times side by side, as a table or as JSON."""

from __future__ import annotations

import math

from rounds import Best


class Row:
    """A layer's times."""

    def __init__(self, name: str, ours: float | None, peers: dict[str, Best]) -> None:
        self.name = name
        self.ours = ours
        self.peers = peers
        self.fastest = min(peers, key=lambda peer: peers[peer].seconds, default=None)

    @property
    def ratio(self) -> float | None:
        """How many times as long the fastest of the others takes."""
        if self.ours is None or self.fastest is None:
            return None
        return self.peers[self.fastest].seconds / self.ours

    def as_json(self) -> dict[str, object]:
        """Everything, in seconds."""
        peers = {name: {"seconds": best.seconds, "how": best.how} for name, best in self.peers.items()}
        return {"ours": self.ours, "peers": peers, "fastest": self.fastest, "ratio": self.ratio}


class Table:
    """Lines of one width."""

    def __init__(self, names: list[str], peers: list[str]) -> None:
        self.width = max(map(len, names))
        self.peers = peers

    def head(self) -> str:
        """What the columns are."""
        columns = "".join(f"{name:>13}" for name in self.peers)
        return f"{'µs':{self.width}}{'ours':>10}{columns}  {'fastest peer':24}ratio"

    def line(self, row: Row) -> str:
        """A layer."""
        cells = [micros(row.ours, 10)]
        for peer in self.peers:
            cells.append(micros(row.peers[peer].seconds if peer in row.peers else None, 13))
        ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
        fastest = f"{row.fastest} {row.peers[row.fastest].how}" if row.fastest else "-"
        return f"{row.name:{self.width}}{''.join(cells)}  {fastest:24}{ratio:>5}"


def micros(seconds: float | None, width: int) -> str:
    """Microseconds, or a dash."""
    return f"{'-':>{width}}" if seconds is None else f"{seconds * 1e6:{width}.1f}"


def summary(rows: list[Row]) -> dict[str, object]:
    """The geometric mean of the ratios, and how many of them are 1 or more."""
    ratios = [row.ratio for row in rows if row.ratio is not None]
    mean = math.exp(math.fsum(map(math.log, ratios)) / len(ratios)) if ratios else None
    return {
        "geometric_mean": mean,
        "at_least_1": sum(ratio >= 1.0 for ratio in ratios),
        "compared": len(ratios),
    }
