"""Rounds of timing, by turns: each engine in a process of its own, and our programs beside them."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import repeat
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

import engines
from nets import Net, expected

ROUNDS = 7
SECONDS_PER_ROUND = 0.03
# Threads of some engines spin for this long after a call, on the cores that the next engine needs.
SECONDS_OF_SPINNING = 0.05
SECONDS_TO_END = 1.0
# So much of a round an engine must have had the core, or something else ran there.
UNDISTURBED = 0.97
# For glibc, in every process, ours too. PyTorch frees its results, and would pay for fresh pages at the
# next call. NumPy asks for huge pages for its arrays, which some engines compute on: all get them.
MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 25),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
LOG = "log"
REPOSITORY = Path(__file__).resolve().parents[2]


class Unavailable(Exception):
    """An engine or a program of ours that cannot do what is asked."""


@dataclass(frozen=True)
class Best:
    """Seconds of a call, and of which of the engine's ways."""

    seconds: float
    how: str


def _calls_per_round(run: Callable[[], object]) -> int:
    """As many calls as take a round; found by doubling, for a single call is too short to time."""
    run()
    calls = 1
    while True:
        seconds = _seconds(run, calls)
        if seconds * calls >= SECONDS_PER_ROUND / 4:
            return max(1, round(SECONDS_PER_ROUND / seconds))
        calls *= 2


def _seconds(run: Callable[[], object], calls: int) -> float:
    start = time.perf_counter()
    for _ in repeat(None, calls):
        run()
    return (time.perf_counter() - start) / calls


def _checked(candidate: engines.Candidate, values: np.ndarray, tolerance: float) -> engines.Candidate:
    candidate.run()
    result = candidate.result()
    if result.shape != values.shape:
        raise Unavailable(f"{candidate.label}: gives {result.shape}, not {values.shape}")
    error = float(np.abs(result - values).max())
    # Turned round, so that NaN fails too.
    if not error <= tolerance:
        raise Unavailable(f"{candidate.label}: off by {error:.2g}, more than {tolerance:.2g}")
    return candidate


def _serve(connection: Connection, engine: str, threads: int, folder: str) -> None:
    """What an engine's process does: prepares a net when it gets one, times a round when asked."""
    # Engines print a lot; it is of use only when one of them dies.
    with open(Path(folder, LOG), "wb") as file:
        for output in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), output.fileno())
    os.environ.update(OMP_NUM_THREADS=str(threads), TMPDIR=folder)
    gc.disable()
    prepared: list[tuple[engines.Candidate, int]] = []
    for net, values, tolerance in iter(connection.recv, None):
        if net is not None:
            prepared = []
            gc.collect()
            # Engines raise errors of their own kinds. Whatever it is, the others go on.
            try:
                found = [
                    _checked(candidate, values, tolerance)
                    for candidate in engines.load(engine).candidates(net, threads)
                ]
                prepared = [(candidate, _calls_per_round(candidate.run)) for candidate in found]
            except Exception as error:  # noqa: BLE001
                connection.send(f"{type(error).__name__}: {error}")
                continue
            connection.send(None)
        else:
            times = {}
            start, cpu_start = time.perf_counter(), time.process_time()
            for candidate, calls in prepared:
                # The others have emptied the caches since.
                candidate.run()
                times[candidate.label] = _seconds(candidate.run, calls)
            undisturbed = time.process_time() - cpu_start > UNDISTURBED * (time.perf_counter() - start)
            if threads > 1:
                time.sleep(SECONDS_OF_SPINNING)
            connection.send((times, undisturbed))


class Peer:
    """An engine in its process."""

    def __init__(self, engine: str, threads: int) -> None:
        self.name = engine
        self.threads = threads
        self.folder = tempfile.TemporaryDirectory()
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        arguments = (other, self.name, self.threads, self.folder.name)
        self.process = context.Process(target=_serve, args=arguments, daemon=True)
        os.environ.update(MEMORY)
        # What ignores Ctrl-C now does so in the process too: only this one has to answer it.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.process.start()
        signal.signal(signal.SIGINT, before)
        other.close()

    def _ask(self, *message: object) -> Any:
        try:
            self.connection.send(message)
            return self.connection.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError) as error:
            self.process.join()
            log = Path(self.folder.name, LOG)
            said = log.read_text(errors="replace").strip() if log.exists() else ""
            last = said.splitlines()[-1] if said else "without a word"
            status = self.process.exitcode
            self._start()
            raise Unavailable(f"the process of {self.name} ended with status {status}: {last}") from error

    def prepare(self, net: Net, values: np.ndarray, tolerance: float) -> None:
        """Builds the net and checks what it computes."""
        problem = self._ask(net, values, tolerance)
        if problem:
            raise Unavailable(str(problem).strip().splitlines()[0])

    def round(self) -> tuple[dict[str, float], bool]:
        """Seconds of a call in each of the engine's ways, and whether it had the core for itself."""
        times, undisturbed = self._ask(None, None, None)
        return times, undisturbed

    def stop(self) -> None:
        """Ends the process, even if it is still at work because the user has interrupted this one."""
        with suppress(BrokenPipeError):
            self.connection.send(None)
        self.process.join(SECONDS_TO_END)
        self.process.terminate()
        self.process.join()
        self.folder.cleanup()


@contextmanager
def started(names: list[str], threads: int) -> Iterator[list[Peer]]:
    """Those engines, each in its process."""
    peers: list[Peer] = []
    try:
        for name in names:
            peers.append(Peer(name, threads))
        yield peers
    finally:
        for peer in peers:
            peer.stop()


class Ours:
    """A program of this repository that prints `{"name": seconds}`, told to time that name alone."""

    def __init__(self, name: str, command: list[str]) -> None:
        self.name = name
        self.command = command

    def round(self) -> float | None:
        """Seconds of one round, by a process of its own; none if the program leaves the name out."""
        lines = run([*self.command, "--rounds", "1", "--json"]).splitlines()
        try:
            seconds = json.loads(lines[-1]).get(self.name)
            return None if seconds is None else float(seconds)
        except (IndexError, ValueError, AttributeError, TypeError) as error:
            raise Unavailable(f"{shlex.join(self.command)}: did not print JSON") from error


def run(command: list[str]) -> str:
    """What a command prints."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except OSError as error:
        raise Unavailable(f"{command[0]}: {error.strerror}") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip() or f"ended with status {error.returncode}"
        raise Unavailable(f"{shlex.join(command)}:\n{said}") from error
    return done.stdout


def built(package: str, program: str) -> list[str]:
    """The path to a program of this repository, compiled if it is not yet."""
    print(f"building {program}", file=sys.stderr)
    command = ["cargo", "build", "--release", "-p", package, "--bin", program]
    manifest = ["--manifest-path", str(REPOSITORY / "Cargo.toml")]
    output = run([*command, *manifest, "--message-format=json-render-diagnostics"])
    for message in map(json.loads, output.splitlines()):
        if message.get("target", {}).get("name") == program and message.get("executable"):
            return [message["executable"]]
    raise Unavailable(f"cargo did not tell where it put {program}")


def side_by_side(
    peers: list[Peer], ours: Ours | None, name: str, net: Net
) -> tuple[float | None, dict[str, Best]]:
    """Seconds of a call: ours and each engine's, the best of the rounds, in which all take turns."""
    values, tolerance = expected(net)
    ready = []
    for peer in peers:
        try:
            peer.prepare(net, values, tolerance)
            ready.append(peer)
        except Unavailable as error:
            print(f"{name}: without {peer.name}: {error}", file=sys.stderr)
    our_best: float | None = None
    best: dict[str, Best] = {}
    disturbed = 0
    for _ in range(ROUNDS):
        seconds = ours.round() if ours else None
        if seconds is not None:
            our_best = min(seconds, our_best or seconds)
        for peer in ready:
            times, undisturbed = peer.round()
            disturbed += not undisturbed
            for how, seconds in times.items():
                if peer.name not in best or seconds < best[peer.name].seconds:
                    best[peer.name] = Best(seconds, how)
    if 2 * disturbed > ROUNDS * len(ready):
        print(f"{name}: not to be relied on, something else ran on these cores too", file=sys.stderr)
    return our_best, best


def chosen(asked: str | None) -> list[str]:
    """The engines of a list with commas, or all; those that are not installed are told and left out."""
    names = list(engines.NEEDS) if asked is None else [name for name in asked.split(",") if name]
    for name in names:
        if name not in engines.NEEDS:
            raise Unavailable(f"--engines: expected {', '.join(engines.NEEDS)}, found {name}")
    found = []
    for name in dict.fromkeys(names):
        missing = engines.missing(name)
        if missing:
            print(f"{name}: left out, not installed: {', '.join(missing)}", file=sys.stderr)
        else:
            found.append(name)
    if not found:
        raise Unavailable("no engine to compare with: see requirements.txt")
    return found
