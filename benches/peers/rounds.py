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
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count, repeat
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

import engines
import memory
from nets import Net, expected

ROUNDS = 7
# Of large nets, as many rounds as take this long, and no fewer than these.
SECONDS_OF_ROUNDS = 40.0
FEWEST_ROUNDS = 3
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
    """Seconds of a call or bytes, and of which of the engine's ways."""

    value: float
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
        raise Unavailable(f"gives {result.shape}, not {values.shape}")
    error = float(np.abs(result - values).max())
    # Turned round, so that NaN fails too.
    if not error <= tolerance:
        raise Unavailable(f"off by {error:.2g}, more than {tolerance:.2g}")
    return candidate


class _Server:
    """What an engine's process does when it is asked."""

    def __init__(self, engine: str, threads: int) -> None:
        self.engine = engine
        self.threads = threads
        self.prepared: dict[str, tuple[engines.Candidate, int]] = {}

    def _ways(self, net: Net) -> engines.Ways:
        self.prepared = {}
        gc.collect()
        ways: engines.Ways = engines.load(self.engine).ways(net, self.threads)
        return ways

    def prepare(self, net: Net, values: np.ndarray, tolerance: float) -> dict[str, str]:
        """Builds the net in all ways; why some are left out, by their labels."""
        problems = {}
        for label, make in self._ways(net).items():
            # Engines raise errors of their own kinds. Whatever it is, the others go on.
            try:
                candidate = _checked(make(), values, tolerance)
                self.prepared[label] = candidate, _calls_per_round(candidate.run)
            except Exception as error:  # noqa: BLE001
                problems[label] = _told(error)
        return problems

    def round(self) -> tuple[dict[str, float], bool]:
        """Seconds of a call in each way, and whether it had the core for itself."""
        times = {}
        start, cpu_start = time.perf_counter(), time.process_time()
        for label, (candidate, calls) in self.prepared.items():
            # The others have emptied the caches since.
            candidate.run()
            times[label] = _seconds(candidate.run, calls)
        undisturbed = time.process_time() - cpu_start > UNDISTURBED * (time.perf_counter() - start)
        if self.threads > 1:
            time.sleep(SECONDS_OF_SPINNING)
        return times, undisturbed

    def memory(self, net: Net, place: int) -> tuple[str, int, int | str]:
        """Of the way of that place: its label, how many there are, and what it takes, or why it cannot.

        It is to be the only one that this process is asked for.
        """
        ways = self._ways(net)
        label = list(ways)[place]
        before = memory.now()
        try:
            candidate = ways[label]()
            candidate.run()
            return label, len(ways), memory.most(candidate.run) - before
        except Exception as error:  # noqa: BLE001
            return label, len(ways), _told(error)


def _told(error: Exception) -> str:
    # Some go on for pages.
    said = textwrap.shorten(str(error), 200, placeholder=" …")
    return said if isinstance(error, Unavailable) else f"{type(error).__name__}: {said}"


def _serve(connection: Connection, engine: str, threads: int, folder: str) -> None:
    """Answers what the engine's process is asked, by the names of the server's methods."""
    # Engines print a lot; it is of use only when one of them dies.
    with open(Path(folder, LOG), "wb") as file:
        for output in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), output.fileno())
    os.environ.update(OMP_NUM_THREADS=str(threads), TMPDIR=folder)
    gc.disable()
    server = _Server(engine, threads)
    for asked, *arguments in iter(connection.recv, None):
        try:
            connection.send(getattr(server, asked)(*arguments))
        except Exception as error:  # noqa: BLE001
            connection.send(Unavailable(_told(error)))


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
            answer = self.connection.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError) as error:
            self.process.join()
            log = Path(self.folder.name, LOG)
            said = log.read_text(errors="replace").strip() if log.exists() else ""
            last = said.splitlines()[-1] if said else "without a word"
            status = self.process.exitcode
            self._start()
            raise Unavailable(f"the process of {self.name} ended with status {status}: {last}") from error
        if isinstance(answer, Unavailable):
            raise answer
        return answer

    def prepare(self, net: Net, values: np.ndarray, tolerance: float) -> None:
        """Builds the net and checks what it computes; ways that cannot are told and left out."""
        for label, problem in self._ask("prepare", net, values, tolerance).items():
            print(f"without {self.name}, {label}: {problem}", file=sys.stderr)

    def round(self) -> tuple[dict[str, float], bool]:
        """Seconds of a call in each of the engine's ways, and whether it had the core for itself."""
        times, undisturbed = self._ask("round")
        return times, undisturbed

    def memory(self, net: Net) -> dict[str, int]:
        """Bytes that the net takes in each of the engine's ways; each is measured in a process of its own."""
        found: dict[str, int] = {}
        for place in count():
            self._end()
            self._start()
            label, ways, size = self._ask("memory", net, place)
            if isinstance(size, int):
                found[label] = size
            else:
                print(f"without {self.name}, {label}: {size}", file=sys.stderr)
            if place + 1 == ways:
                return found
        return found

    def _end(self) -> None:
        with suppress(BrokenPipeError):
            self.connection.send(None)
        self.process.join(SECONDS_TO_END)
        self.process.terminate()
        self.process.join()

    def stop(self) -> None:
        """Ends the process, even if it is still at work because the user has interrupted this one."""
        self._end()
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
    """A program of this repository that prints `{"name": number}`, told to measure that name alone."""

    def __init__(self, name: str, command: list[str]) -> None:
        self.name = name
        self.command = command

    def round(self) -> float | None:
        """Seconds of one round, by a process of its own; none if the program leaves the name out."""
        return self.told("--rounds", "1")

    def told(self, *options: str) -> float | None:
        """The number by the name."""
        command = [*self.command, *options, "--json"]
        try:
            number = json.loads(run(command).splitlines()[-1]).get(self.name)
            return None if number is None else float(number)
        except (IndexError, ValueError, AttributeError, TypeError) as error:
            raise Unavailable(f"{shlex.join(command)}: did not print JSON") from error


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
    """Seconds of a call: ours and each engine's, the best of the rounds, in which all take turns.

    There are fewer rounds of nets whose call alone takes longer than a round.
    """
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
    disturbed = turns = 0
    start = time.perf_counter()
    while turns < FEWEST_ROUNDS or (turns < ROUNDS and time.perf_counter() - start < SECONDS_OF_ROUNDS):
        turns += 1
        seconds = ours.round() if ours else None
        if seconds is not None:
            our_best = min(seconds, our_best or seconds)
        for peer in ready:
            times, undisturbed = peer.round()
            disturbed += not undisturbed
            for how, seconds in times.items():
                if peer.name not in best or seconds < best[peer.name].value:
                    best[peer.name] = Best(seconds, how)
    if 2 * disturbed > turns * len(ready):
        print(f"{name}: not to be relied on, something else ran on these cores too", file=sys.stderr)
    return our_best, best


def memory_side_by_side(
    peers: list[Peer], ours: Ours, file: Path, name: str, net: Net
) -> tuple[float | None, dict[str, Best]]:
    """Bytes that the net takes: ours, from our file, and each engine's, in the leanest of its ways."""
    best = {}
    for peer in peers:
        try:
            found = peer.memory(net)
        except Unavailable as error:
            print(f"{name}: without {peer.name}: {error}", file=sys.stderr)
            continue
        if found:
            how = min(found, key=lambda label: found[label])
            best[peer.name] = Best(found[how], how)
    return ours.told("--memory", str(file)), best


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
