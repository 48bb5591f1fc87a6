"""Times, or memory, side by side, as a table or as JSON."""

from __future__ import annotations

import math

from dataclasses import dataclass

from rounds import Best


@dataclass(frozen=True)
class Measure:
    """What is compared; less of it is better."""

    name: str
    # The table's unit, and how many of them a second or a byte is.
    unit: str
    factor: float
    best: str


TIME = Measure("seconds", "µs", 1e6, "fastest peer")
MEMORY = Measure("resident_bytes", "MB", 1e-6, "leanest peer")


class Row:
    """A layer's or net's numbers."""

    def __init__(self, name: str, ours: float | None, peers: dict[str, Best]) -> None:
        self.name = name
        self.ours = ours
        self.peers = peers
        self.best = min(peers, key=lambda peer: peers[peer].value, default=None)

    @property
    def ratio(self) -> float | None:
        """How many times as much the best of the others takes."""
        if self.ours is None or self.best is None:
            return None
        return self.peers[self.best].value / self.ours

    def as_json(self, measure: Measure = TIME) -> dict[str, object]:
        """Everything, in seconds or bytes."""
        peers = {name: {measure.name: best.value, "how": best.how} for name, best in self.peers.items()}
        return {"ours": self.ours, "peers": peers, measure.best.split()[0]: self.best, "ratio": self.ratio}


class Table:
    """Lines of one width."""

    def __init__(self, names: list[str], peers: list[str], measure: Measure = TIME) -> None:
        self.width = max(map(len, names))
        self.peers = peers
        self.measure = measure

    def head(self) -> str:
        """What the columns are."""
        columns = "".join(f"{name:>13}" for name in self.peers)
        return f"{self.measure.unit:{self.width}}{'ours':>10}{columns}  {self.measure.best:24}ratio"

    def line(self, row: Row) -> str:
        """A layer or net."""
        cells = [self._cell(row.ours, 10)]
        for peer in self.peers:
            cells.append(self._cell(row.peers[peer].value if peer in row.peers else None, 13))
        ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
        best = f"{row.best} {row.peers[row.best].how}" if row.best else "-"
        return f"{row.name:{self.width}}{''.join(cells)}  {best:24}{ratio:>5}"

    def _cell(self, number: float | None, width: int) -> str:
        """In the table's unit, or a dash."""
        return f"{'-':>{width}}" if number is None else f"{number * self.measure.factor:{width}.1f}"


def summary(rows: list[Row]) -> dict[str, object]:
    """The geometric mean of the ratios, and how many of them are 1 or more."""
    ratios = [row.ratio for row in rows if row.ratio is not None]
    mean = math.exp(math.fsum(map(math.log, ratios)) / len(ratios)) if ratios else None
    return {
        "geometric_mean": mean,
        "at_least_1": sum(ratio >= 1.0 for ratio in ratios),
        "compared": len(ratios),
    }
