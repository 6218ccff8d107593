"""Damaged and hostile files for every reader: each is read for what it says, or refused with one line and exit code 2.

    python benchmarks/fuzz_readers.py [--inputs 20000] [--json FILE]

An input is a sound file, a value of ``--set`` or a URL with a few things done to it by hypothesis: words replaced by
what people and machines write in their place, lines lost, doubled, swapped or cut, bytes that are no text. It is given
to the program as on a command line, in this process. A traceback, another exit code than 0 or 2, more than one line of
error, a control character on the terminal, more than ten seconds, or a value that is not what the file says count as
faults and are shown with the smallest input that hypothesis finds. Memory is that of the whole run.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import math
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from damaged_texts import damaged
from hypothesis import HealthCheck, given, seed, settings

from autosched.cli.app import run
from autosched.curves import read_curves
from autosched.curves.csv_files import read_curve
from autosched.errors import AutoschedError, UsageError
from autosched.laws.files import read_law
from autosched.schedules import build
from autosched.space import load_space

LONGEST_SECONDS = 10
MOST_BYTES = 2 << 30
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]")

STEPS = range(20, 201, 20)
CURVE = "step,lr,loss\n" + "".join(f"{s},{1e-3 * (1 - s / 200)!r},{3 + 2 / (1 + s / 50)!r}\n" for s in STEPS)
RUNS = (
    "file,schedule,peak_lr,warmup_steps,horizon,cooldown_fraction,decay_shape,final_lr_ratio\n"
    "curve.csv,wsd,0.001,10,200,0.2,linear,0\n"
)
LRS = "step,lr\n" + "".join(f"{step},{1e-3 * (1 - step / 12)!r}\n" for step in range(12))
SPACE = """\
study: s
seed: 0
trainer:
  use: simulated
  with: {noise: 0.0}
horizon_steps: 40
eval_every: 10
checkpoint_every: 20
schedule:
  wsd:
    peak_lr: {low: 1e-3, high: 1e-1, scale: log}
    warmup_steps: 4
    cooldown_fraction: [0.25, 0.5]
    cooldown_shape: [linear, sqrt]
default:
  wsd: {peak_lr: 1e-2, warmup_steps: 4}
controller: random
pruner: none
budget: {trials: 5}
resources: {workers: 2}
tracking: none
"""
SEARCHED = SPACE.partition("controller:")[0].replace("{low: 1e-3, high: 1e-1, scale: log}", "auto")
KEYS = f"""\
{SEARCHED}  hyperparameters: {{batch: 8, decay_gain: 0.5}}
hyperparameters:
  batch: {{low: 4, high: 16, scale: log, integer: true}}
  decay_gain: [0.5, 1.0]
  weight_decay: {{low: 0.01, high: 1.0, scale: log, when: {{decay_gain: 1.0}}}}
controller: {{use: law, pilots: 3, pool: 40}}
pruner: {{use: law}}
budget: {{full_runs: 8, minutes: 5, worker_seconds: 60}}
confirm: {{finalists: 1, seeds: 2, in_budget: true}}
resources: {{workers: 2, cpus: 1, gpus: 0.5, retries: 1, order: arrival}}
storage: {{ledger: "sqlite:///a.db", checkpoints: here, checkpoints_gib: 2, reports: reports}}
tracking: {{uri: "sqlite:///mlflow.db", experiment: fuzz}}
range_test: {{low: 1e-5, high: 1, steps: 60}}
target: {{steps: 400, width: 64, from_width: 16}}
"""
SETTING = "budget.trials=5"
URL = "sqlite:///ledger.db?timeout=5"


class Fault(AssertionError):
    """What a reader should not have done."""


# -- readers ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reader:
    """A kind of input: what is sound, and what reads it, looks at what was accepted, and says whether anything was."""

    sound: str
    check: Callable[[bytes], bool]


def command(*arguments: str) -> str | None:
    """What a command printed; None when it refused its input, as it should."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(list(arguments))
    if code not in (0, 2):
        raise Fault(f"exit code {code}: {err.getvalue()}")
    if code == 2 and (err.getvalue().count("\n") != 1 or out.getvalue()):
        raise Fault(f"not one line: {err.getvalue()!r}, {out.getvalue()!r}")
    if CONTROL.search(out.getvalue() + err.getvalue()):
        raise Fault(f"control characters: {err.getvalue()!r}")
    return out.getvalue() if code == 0 else None


def read_by(reader: Callable[[], Any]) -> Any:
    """What a reader made of its file; None when it refused it, as it should."""
    try:
        return reader()
    except UsageError as error:
        if "\n" in str(error):
            raise Fault(f"not one line: {error}") from error
        return None


def numbers(raw: bytes, column: str) -> list[float]:
    """The numbers of a CSV column, read without any care."""
    rows = csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline=""))
    found = []
    for row in rows:
        cells = {(name or "").strip().lower(): value for name, value in row.items()}
        with contextlib.suppress(ValueError):  # a row that no file belongs to, or an empty cell
            found.append(float(cells.get(column) or ""))
    return found


def curve(raw: bytes) -> bool:
    """A curve: its losses are the column's."""
    Path("curve.csv").write_bytes(raw)
    found = read_by(lambda: read_curve("curve.csv"))
    if found is not None and not set(found.losses.tolist()) <= set(numbers(raw, "loss")):
        raise Fault("a loss that is not in the file")
    return found is not None


def runs_table(raw: bytes) -> bool:
    """A table of runs: the curves beside it, which log no LR, have the horizon it says."""
    Path("curve.csv").write_text(re.sub(r",.*,", ",,", CURVE).replace(",,", ",lr,", 1))
    Path("runs.csv").write_bytes(raw)
    found = read_by(lambda: read_curves("."))
    Path("runs.csv").unlink()
    for each in found or ():
        if each.schedule.steps not in map(int, numbers(raw, "horizon")):
            raise Fault(f"{each.schedule.steps} updates")
    return found is not None


def logged_lrs(raw: bytes) -> bool:
    """LRs of a log: ``import`` gives those of the column, or refuses."""
    Path("lrs.csv").write_bytes(raw)
    printed = command("import", "lrs.csv")
    if printed is not None and not set(json.loads(printed)["lrs"]) <= set(numbers(raw, "lr")):
        raise Fault("an LR that is not in the file")
    return printed is not None


def schedule(raw: bytes) -> bool:
    """A schedule file: what is exported are the LRs it lists."""
    Path("schedule.json").write_bytes(raw)
    printed = command("export", "schedule.json", "--to", "csv")
    if printed is not None:
        document = json.loads(raw.decode("utf-8-sig"))
        lrs = [float(row["lr"]) for row in csv.DictReader(io.StringIO(printed))]
        if lrs != document["lrs"] or type(document["version"]) is not int or document["steps"] != len(lrs):
            raise Fault("not the LRs of the file")
    return printed is not None


def law(raw: bytes) -> bool:
    """A law file: it has the curves that the file says."""
    Path("law.json").write_bytes(raw)
    found = read_by(lambda: read_law(Path("law.json")))
    if found is not None and json.loads(found.to_json())["curves"] != json.loads(raw.decode("utf-8-sig"))["curves"]:
        raise Fault("not the curves of the file")
    return found is not None


def space(raw: bytes) -> bool:
    """A space file: names and numbers are the file's."""
    import yaml

    Path("space.yaml").write_bytes(raw)
    printed = command("validate", "space.yaml", "--json")
    if printed is not None:
        read, said = load_space(Path("space.yaml")), yaml.safe_load(raw.decode("utf-8-sig"))
        for key in ("study", "seed", "horizon_steps", "eval_every", "checkpoint_every"):
            if key in said and getattr(read, key) != said[key]:
                raise Fault(f"{key} is {said[key]!r} in the file and {getattr(read, key)!r} as read")
        for part in ("target", "budget", "confirm", "resources"):
            for key, value in (said.get(part) or {}).items():
                if (
                    key != "full_runs" and getattr(getattr(read, part), key) != value
                ):  # full_runs are counted in updates
                    raise Fault(f"{part}.{key} is {value!r} in the file, {getattr(getattr(read, part), key)!r} as read")
        if list(read.hyperparameters) != list(said.get("hyperparameters") or ()):
            raise Fault(f"hyperparameters are {list(read.hyperparameters)!r}")
    return printed is not None


def setting(raw: bytes) -> bool:
    """A value of ``--set``: the space has it, or it is refused."""
    import yaml

    Path("space.yaml").write_text(SPACE)
    text = argument(raw)
    if command("validate", "space.yaml", "--json", "--set", text) is None:
        return False
    read, (key, _, value) = load_space(Path("space.yaml"), [text]), text.partition("=")
    if key == "budget.trials" and read.budget.trials != yaml.safe_load(value):
        raise Fault(f"{text!r} is read as {read.budget.trials!r}")
    return True


def url(raw: bytes) -> bool:
    """A ledger's URL: a study is not found there, and no file is made."""
    text = argument(raw)
    if "postgresql" in text:  # its host would be asked
        return False
    before = set(Path().iterdir())
    printed = command("status", "--ledger", text)
    made = set(Path().iterdir()) - before
    if made:
        raise Fault(f"files were made: {made}")
    return printed is not None


def argument(raw: bytes) -> str:
    """Bytes as an argument, which holds no zero byte."""
    return raw.decode("utf-8", "replace").replace("\0", "")


def sound_law() -> str:
    """A law file of the tests: a fitted one."""
    return (Path(__file__).parents[1] / "tests" / "laws" / "old_laws" / "functional.json").read_text()


READERS: dict[str, Reader] = {
    "curve": Reader(CURVE, curve),
    "runs.csv": Reader(RUNS, runs_table),
    "logged LRs": Reader(LRS, logged_lrs),
    "schedule": Reader(build("cosine", {"peak_lr": 0.1}, steps=6).to_json(), schedule),
    "law": Reader(sound_law(), law),
    "space": Reader(SPACE, space),
    "every key": Reader(KEYS, space),
    "--set": Reader(SETTING, setting),
    "URL": Reader(URL, url),
}


# -- running ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def in_time(seconds: int) -> Iterator[None]:
    """A `Fault` after so many seconds."""

    def late(number: int, frame: Any) -> None:
        raise Fault(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def check(reader: Reader, raw: bytes) -> bool:
    """Give an input to its reader; says whether it was accepted.

    Raises:
        Fault: a traceback, a wrong exit code, no clear line, too long, or not what the file says.
    """
    try:
        with in_time(LONGEST_SECONDS):
            return reader.check(raw)
    except (Fault, KeyboardInterrupt):
        raise
    except AutoschedError as error:
        raise Fault(f"exit code {error.exit_code}: {error}") from error
    except Exception as error:
        raise Fault("".join(traceback.format_exception(error)[-3:])) from error


def fuzz(name: str, inputs: int, *, of_seed: int = 0) -> str | None:
    """Give `inputs` inputs to a reader, in the current folder; the first fault with its smallest input, or None."""
    reader, last = READERS[name], b""

    @seed(of_seed)
    @settings(max_examples=inputs, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(damaged(reader.sound))
    def holds(raw: bytes) -> None:
        nonlocal last
        last = raw
        check(reader, raw)

    try:
        holds()
    except Fault as fault:
        return f"{name}: {last!r:.2000}\n{fault}"
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=20_000, help="of all readers together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the counts here")
    arguments = parser.parse_args()
    out = None if arguments.json is None else arguments.json.resolve()
    each, faults, began = math.ceil(arguments.inputs / len(READERS)), {}, time.monotonic()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for name in READERS:
            faults[name] = fuzz(name, each, of_seed=arguments.seed)
            print(f"{name:12s} {each} inputs: {faults[name] or 'no fault'}", flush=True)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"memory       {most / 2**30:.2f} GiB at most, limit {MOST_BYTES / 2**30:g} GiB")
    minutes = (time.monotonic() - began) / 60
    print(f"time         {minutes:.1f} min")
    if out is not None:
        found = [{"reader": name, "faults": int(fault is not None)} for name, fault in faults.items()]
        values = {
            "inputs_each": each,
            "readers": found,
            "most_gib": round(most / 2**30, 2),
            "minutes": round(minutes, 1),
        }
        out.write_text(json.dumps(values, indent=1) + "\n")
    return int(any(faults.values()) or most > MOST_BYTES)


if __name__ == "__main__":
    sys.exit(main())
