"""Writes torch_one_cycle.f32: the rate of each step by PyTorch's OneCycleLR, which Keras does not have; the cases one
after the other.

usage: python engine/tests/golden/torch_one_cycle.py
needs Python 3.11 with: torch==2.15.0 numpy==2.4.6"""

import pathlib
from typing import Any

import numpy as np
import torch

CASES: dict[str, dict[str, Any]] = {
    "defaults": {"max_lr": 0.1, "total_steps": 300},
    "half": {"max_lr": 0.1, "total_steps": 301, "pct_start": 0.5, "div_factor": 10.0, "final_div_factor": 100.0},
}


def number(x: Any) -> Any:
    """The nearest that is exact in f32."""
    return float(np.float32(x)) if isinstance(x, float) else x


def main() -> None:
    all_rates = []
    for arguments in CASES.values():
        optimizer = torch.optim.SGD([torch.zeros(1)])
        defaults = {"pct_start": 0.3}
        arguments = {key: number(x) for key, x in (defaults | arguments).items()}
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, cycle_momentum=False, **arguments)
        rates = []
        for step in range(arguments["total_steps"]):
            rates.append(schedule.get_last_lr()[0])
            optimizer.step()
            if step + 1 < arguments["total_steps"]:
                schedule.step()
        all_rates += rates
    np.array(all_rates, "<f4").tofile(pathlib.Path(__file__).with_suffix(".f32"))


if __name__ == "__main__":
    main()
