"""Two drivers that start on one study at the same moment: one runs it, the other says in one line who has it.

    python benchmarks/two_drivers.py [--rounds 50] [--stores sqlite postgresql] [--seed 0] [--json]

Each round has a ledger and a tracking store that are not there yet, so that both drivers want to make the tables, the
study and the experiment. They are forked from a process that has loaded everything and let go together; the second of
them waits for up to `--apart` seconds more, so that rounds meet at all stages of a start. PostgreSQL is a server that
may be filled with databases: AUTOSCHED_TEST_POSTGRES, default that on 127.0.0.1:5432; a round's are dropped after it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from benchmark_command import ended, whole

from autosched.cli.app import run
from autosched.ledger.events import SegmentFinished
from autosched.ledger.store import Ledger
from autosched.study.start import Settings, start
from autosched.tracking.mlflow_store import SETTINGS

SERVER = "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
SPACE = """\
study: s
trainer: {use: simulated, with: {seconds_per_step: 0.004}}
horizon_steps: 100
checkpoint_every: 50
eval_every: 10
schedule:
  wsd: {peak_lr: {low: 1e-3, high: 1e-1, scale: log}, warmup_steps: 10, cooldown_fraction: 0.2}
controller: random
pruner: none
budget: {trials: 4}
"""
TUNE = ("tune", "--space", "space.yaml", "--backend", "local")
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "tune": TUNE,
    "tune --resume": (*TUNE, "--resume"),
    "resume": ("resume", "s", "--backend", "local"),
}
TRIALS = 4
FORK = multiprocessing.get_context("fork")
HAS_IT = re.compile(
    r"autosched: error: another process is running the study 's' "
    r"\((process \d+ on \S+|connected to the server from .+)\); "
    r"wait for it or stop it\.\n"
)
LIVE = re.compile(r"autosched: `autosched serve s --ledger \S+` shows it live: http://\S+\n")


@dataclass(frozen=True, slots=True)
class Said:
    """What a driver left behind: its exit code and its stderr."""

    code: int
    error: str


@contextmanager
def store(kind: str, folder: Path) -> Iterator[str]:
    """The URL of a database without any tables, for the ledger and the tracking store of one round."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/both.db"
        return
    name = f"two_drivers_{os.getpid()}"
    _on_server(f"CREATE DATABASE {name}")
    try:
        yield _server().set(database=name).render_as_string(hide_password=False)
    finally:
        _on_server(f"DROP DATABASE {name} WITH (FORCE)")


def _server() -> sa.URL:
    return sa.make_url(os.environ.get("AUTOSCHED_TEST_POSTGRES", SERVER))


def _on_server(statement: str) -> None:
    engine = sa.create_engine(_server(), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text(statement))


def drive(command: Sequence[str], folder: Path, number: int, together: Any, wait: float) -> None:
    """What a driver's process does."""
    os.chdir(folder)
    for name, descriptor in {"out": 1, "err": 2}.items():
        os.dup2(os.open(f"{name}-{number}.txt", os.O_WRONLY | os.O_CREAT), descriptor)
    together.wait()
    time.sleep(wait)
    sys.exit(run(list(command)))


def drivers(command: Sequence[str], folder: Path, apart: float) -> list[Said]:
    """Let two drivers go at once, the second a moment later."""
    together = FORK.Barrier(2)
    both = [FORK.Process(target=drive, args=(command, folder, n, together, n * apart)) for n in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    return [Said(process.exitcode, (folder / f"err-{n}.txt").read_text()) for n, process in enumerate(both)]


def faults(said: Sequence[Said], url: str, *, tracked: bool) -> Iterator[str]:
    """What is not as it should be after a round."""
    ran = [one for one in said if one.code == 0]
    refused = [one for one in said if one.code == 2 and HAS_IT.fullmatch(one.error)]
    if len(ran) != 1 or len(refused) != 1:
        yield "; ".join(f"exit code {one.code}: {one.error.strip() or 'nothing said'}" for one in said)
    elif not LIVE.fullmatch(ran[0].error):
        yield f"the one that ran said: {ran[0].error.strip()}"
    ledger = Ledger(url)
    names = [row.name for row in ledger.studies()]
    if names != ["s"]:
        yield f"the ledger has the studies {names}"
    state = ledger.state(names[0])
    trained = Counter(s.event.observation.segment for s in ledger.read("s") if isinstance(s.event, SegmentFinished))
    ledger.close()
    if state.finished is None or len(state.trials) != TRIALS:
        yield f"the study has {len(state.trials)} trials and ended {state.finished}"
    if max(trained.values(), default=0) > 1:
        yield "a segment is in the ledger twice"
    if tracked:
        runs = sorted((tags.get("autosched.trial", ""), status) for status, tags in tracked_runs(url))
        if runs != [("", "FINISHED"), *((str(number), "FINISHED") for number in range(TRIALS))]:
            yield f"the tracking store has {runs}"


def tracked_runs(url: str) -> list[tuple[str, Mapping[str, str]]]:
    """Status and tags of all runs of the tracking store."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=url)
    experiment = client.get_experiment_by_name("autosched")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    return [(found.info.status, found.data.tags) for found in runs]


def meet(url: str, folder: Path, how: str, apart: float, tracked: bool) -> None:
    """One round; what was wrong is left in a file."""
    (folder / "space.yaml").write_text(SPACE)
    os.chdir(folder)
    os.environ["AUTOSCHED_LEDGER"] = url
    tracking = f"tracking={{uri: '{url}'}}" if tracked else "tracking=none"
    command = COMMANDS[how]
    if how == "resume":  # a study that was entered, and whose driver died before it did anything
        start("space.yaml", Settings(overrides=["tracking=none"])).ledger.close()
        command = (*command, "--tracking", url if tracked else "none")
    else:
        command = (*command, "--set", tracking)
    found = list(faults(drivers(command, folder, apart), url, tracked=tracked))
    (folder / "faults.json").write_text(json.dumps(found))


def measure(kind: str, rounds: int, seed: int, *, tracked: bool, longest: float) -> dict[str, Any]:
    """All rounds with one kind of store."""
    chance, wrong = random.Random(f"{kind} {seed}"), []
    for number in range(rounds):
        how, apart = list(COMMANDS)[number % len(COMMANDS)], chance.choice((0.0, longest)) * chance.random()
        with tempfile.TemporaryDirectory() as place, store(kind, Path(place)) as url:
            one = FORK.Process(target=meet, args=(url, Path(place), how, apart, tracked))
            one.start()
            one.join()
            left = Path(place, "faults.json")
            found = json.loads(left.read_text()) if left.exists() else [f"the round ended with {one.exitcode}"]
        wrong += [{"round": number, "command": how, "apart": apart, "fault": fault} for fault in found]
        for fault in found:
            print(f"{kind}, round {number}, {how}, {apart:.3f} s apart: {fault}", file=sys.stderr, flush=True)
    broken = len({fault["round"] for fault in wrong})
    return {"store": kind, "rounds": rounds, "one_ran_and_one_was_told": rounds - broken, "faults": wrong}


def load_everything(*, tracked: bool) -> None:
    """What a driver imports, and a study that leaves no connection open: done once, for all that are forked."""
    if tracked:
        import mlflow.store.tracking.sqlalchemy_store  # noqa: F401
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place), Path("said").open("w") as said:
        Path("space.yaml").write_text(SPACE)
        with contextlib.redirect_stdout(said):
            run([*TUNE, "--set", "tracking=none", "--ledger", "sqlite:///first.db"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=whole, default=50)
    parser.add_argument("--stores", nargs="+", choices=("sqlite", "postgresql"), default=["sqlite", "postgresql"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--apart", type=float, default=0.3, help="seconds that the second one may come later")
    parser.add_argument("--untracked", action="store_true", help="leave the tracking store out")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    load_everything(tracked=not asked.untracked)

    def measured() -> tuple[dict[str, Any], list[str]]:
        rows = [
            measure(kind, asked.rounds, asked.seed, tracked=not asked.untracked, longest=asked.apart)
            for kind in asked.stores
        ]
        lines = [f"{row['store']}: {row['one_ran_and_one_was_told']} of {row['rounds']} rounds" for row in rows]
        return {"rows": rows}, lines

    return ended(measured, as_json=asked.json)


if __name__ == "__main__":
    sys.exit(main())
