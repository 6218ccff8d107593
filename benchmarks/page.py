"""What the page of a study costs: of 5,000 trials, in a list of 50 studies, and beside a driver that is watched.

    python benchmarks/page.py [--json] [--trials 5000] [--studies 50] [--rounds 6]

A made study has a search space of three parameters, the fates of a real one (most trials paused or pruned early), a
forecast with each decision, and as many moments as it takes. Chromium (``chromium`` on the path) opens the frozen file
and the live page; `ready` is when its tables can be read and the pictures in the window are drawn. A first visit is
made as soon as a server that has just begun says its link: that of the study, which it says when it has read it
(`first`), or that of the list, which it says at once (`unread`). The watched driver is the simulated trainer's, with a
reader that follows every event; rounds alternate, and processor seconds are the driver's.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from benchmark_command import ended, whole

from autosched.ledger.events import (
    Event,
    SegmentFinished,
    SegmentScheduled,
    SessionStarted,
    Stamped,
    StudyCreated,
    StudyFinished,
    TrialAdvanced,
    TrialEnded,
    TrialJudged,
    TrialProposed,
)
from autosched.ledger.records import Decision, Forecast, Observation, Point
from autosched.ledger.store import Ledger
from autosched.randomness import generator
from autosched.report.html import write_report
from autosched.report.moments import Story
from autosched.schedules import build
from autosched.space import FamilySpace, Fixed, Range, SearchParameter, Space, TrainerSpec, space_to_json
from autosched.study.results import Study
from autosched.testing.chromium import chromium

HORIZON, CUT, EVERY = 2000, 200, 20
QUIET, QUIET_SECONDS = 0.05, 0.4
"""A browser that takes less of a core for so long has nothing to do."""
SPACE = Space(
    study="large",
    seed=0,
    trainer=TrainerSpec(use="simulated"),
    horizon_steps=HORIZON,
    eval_every=EVERY,
    checkpoint_every=CUT,
    schedule=(
        FamilySpace(
            family="wsd",
            parameters={
                "peak_lr": SearchParameter(domain=Range(low=1e-3, high=1e-1, log=True)),
                "warmup_steps": SearchParameter(domain=Fixed(value=100)),
                "cooldown_fraction": SearchParameter(domain=Range(low=0.05, high=0.9)),
                "final_lr_ratio": SearchParameter(domain=Range(low=0.0, high=0.2)),
            },
        ),
    ),
)
WATCHED = """
study: {name}
trainer: {{use: simulated}}
horizon_steps: 2000
eval_every: 20
checkpoint_every: 40
schedule: {{cosine: {{peak_lr: {{low: 1.0e-3, high: 1.0e-1, scale: log}}, warmup_steps: 50}}}}
budget: {{trials: 20}}
controller: random
pruner: none
tracking: {{uri: none}}
"""


def made_events(trials: int) -> Iterator[Event]:
    """A finished study of so many trials."""
    random = generator(0, "page")
    yield StudyCreated(space=space_to_json(SPACE), versions={"autosched": "0"})
    yield SessionStarted(backend="local", workers=8)
    for number in range(trials):
        params = {
            "peak_lr": float(math.exp(random.uniform(math.log(1e-3), math.log(1e-1)))),
            "warmup_steps": 100,
            "cooldown_fraction": float(random.uniform(0.05, 0.9)),
            "final_lr_ratio": float(random.uniform(0.0, 0.2)),
        }
        schedule = build("wsd", params, steps=HORIZON)
        yield TrialProposed(
            trial=number,
            role="search",
            until=HORIZON,
            family="wsd",
            params=params,
            seed=0,
            fingerprint=schedule.fingerprint,
            at=number,
        )
        yield from _trained(number, float(abs(math.log(params["peak_lr"] / 0.02))), random)
    yield StudyFinished(reason=f"{trials} trials are proposed")


def _trained(number: int, miss: float, random: Any) -> Iterator[Event]:
    end = 2.0 + 0.1 * miss + float(random.normal(0, 0.01))
    cuts = int(random.integers(1, 6)) if random.uniform() < 0.8 else HORIZON // CUT
    for cut in range(cuts):
        start, stop, segment = cut * CUT, (cut + 1) * CUT, f"{number}-{cut}"
        yield SegmentScheduled(trial=number, segment=segment, start=start, stop=stop, due=number)
        losses = [
            (step, end + 3 * step**-0.4 + float(random.normal(0, 0.003)))
            for step in range(start + EVERY, stop + 1, EVERY)
        ]
        points = tuple(Point(step=step, loss=loss) for step, loss in losses)
        yield SegmentFinished(
            observation=Observation(
                segment=segment,
                start=start,
                stop=stop,
                points=points,
                checkpoint="memory://",
                trained=CUT,
                seconds=1.0,
                worker=f"w{number % 8}",
            )
        )
        yield TrialAdvanced(trial=number, segment=segment, step=stop, shared=False, at=number)
        if stop < HORIZON:
            mean = end + float(random.normal(0, 0.02))
            forecast = Forecast(mean=mean, low=mean - 0.04, high=mean + 0.04, law="full", step=stop)
            reason = f"trial {number // 2} promises more: an expected improvement of {random.uniform():.3%}"
            yield TrialJudged(
                trial=number, step=stop, decision=Decision(action="keep", reason=reason, forecast=forecast)
            )
    if cuts * CUT == HORIZON:
        yield TrialEnded(trial=number, status="complete", step=HORIZON, at=number, value=losses[-1][1])
    else:
        status = "paused" if number % 2 else "pruned"
        yield TrialEnded(
            trial=number,
            status=status,
            step=cuts * CUT,
            at=number,
            reason=f"its chance to beat the best is {random.uniform():.1%}",
            forecast=forecast,
        )


def write_ledger(url: str, events: Sequence[Event], name: str) -> None:
    store = Ledger(url)
    for first in range(0, len(events), 500):
        store.append(name, first, events[first : first + 500])
    store.close()


# -- the browser -------------------------------------------------------------------------------------------------------


def opened(browser: Any, address: str, *, looks: int = 3) -> dict[str, float]:
    """Some visits: seconds until the page is ready, and processor seconds of Chromium until then, both of the quickest.

    Each is to a window that is open and has nothing more to do. On a machine with others at work the first figure is
    theirs as much as the page's; the second is nearly its own.
    """
    seen = []
    for _ in range(looks):
        with window(browser) as page:
            seen.append(visited(page, address))
    return {name: min(one[name] for one in seen) for name in seen[0]}


@contextmanager
def window(browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(300_000)
    page = context.new_page()
    settle()
    yield page
    context.close()


def visited(page: Any, address: str) -> dict[str, float]:
    before, began = chromium_seconds(), time.monotonic()
    page.goto(address, wait_until="commit")
    page.wait_for_selector("body[data-ready=true]")
    return {"ready_s": time.monotonic() - began, "cpu_s": chromium_seconds() - before}


def first_visit(browser: Any, ledger: str, *study: str) -> dict[str, float]:
    """To a server of this study, or of the list, when it says its link: seconds until then, and until it is ready."""
    with window(browser) as page:
        began = time.monotonic()
        with server(ledger, *study) as (place, process):
            link, used = time.monotonic() - began, processor_seconds(process.pid)
            found = visited(page, f"{place}/study/large")
            return {"link_s": link, "server_cpu_s": used, **found}


def settle() -> None:
    """Wait until the browser has opened its window, which takes it as long as a page does."""
    used = -math.inf
    while (now := chromium_seconds()) - used > QUIET * QUIET_SECONDS:
        used = now
        time.sleep(QUIET_SECONDS)


def chromium_seconds() -> float:
    """Processor seconds of all processes of the browser so far."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "chrom" in process.name():
                used = process.cpu_times()
                total += used.user + used.system
    return total


@contextmanager
def server(ledger: str, *study: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server that has said its link."""
    port = str(8400 + os.getpid() % 500)
    command = [sys.executable, "-m", "autosched", "serve", *study, "--port", port, "--ledger", ledger]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        place = f"http://127.0.0.1:{port}"
        try:
            while place not in process.stdout.readline():
                pass
            yield place, process
        finally:
            process.terminate()


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# -- what is measured --------------------------------------------------------------------------------------------------


def large(folder: Path, trials: int, browser: Any) -> dict[str, Any]:
    events = list(made_events(trials))
    ledger = f"sqlite:///{folder / 'large.db'}"
    write_ledger(ledger, events, "large")
    stamped = [Stamped(number=number, time=float(number), event=event) for number, event in enumerate(events)]
    study = Study("large", ledger=ledger)
    began = time.process_time()
    path = write_report(Story.of("large", stamped), study.space, study.summary, folder)
    written = time.process_time() - began
    found = {"trials": trials, "events": len(events), "write_cpu_s": written, "file_mb": path.stat().st_size / 1e6}
    found["frozen"] = opened(browser, path.as_uri())
    found["first"] = first_visit(browser, ledger, "large")
    found["unread"] = first_visit(browser, ledger)
    with server(ledger, "large") as (place, _):
        found["live"] = opened(browser, f"{place}/study/large")
    return found


def listed(folder: Path, studies: int, browser: Any) -> dict[str, Any]:
    ledger = f"sqlite:///{folder / 'many.db'}"
    for number in range(studies):
        write_ledger(ledger, list(made_events(100)), f"study-{number}")
    with server(ledger) as (place, _):
        began = time.monotonic()
        urllib.request.urlopen(f"{place}/api/studies", timeout=60).read()
        return {"studies": studies, "answer_s": time.monotonic() - began, **opened(browser, place)}


def watched(folder: Path, rounds: int) -> dict[str, Any]:
    """A driver's seconds with and without a reader of its page, in alternating rounds."""
    alone, seen, server_share = [], [], []
    ledger = f"sqlite:///{folder / 'watched.db'}"
    Ledger(ledger).close()
    with server(ledger) as (place, process):
        for number in range(rounds):
            alone.append(_driver(folder, ledger, f"alone-{number}"))
            name, stop = f"seen-{number}", threading.Event()
            reader = threading.Thread(target=_follow, args=(place, name, stop))
            reader.start()
            before, began = processor_seconds(process.pid), time.monotonic()
            seen.append(_driver(folder, ledger, name))
            server_share.append((processor_seconds(process.pid) - before) / (time.monotonic() - began))
            stop.set()
            reader.join()
    pairs = list(zip(alone, seen, strict=True))
    return {
        "rounds": rounds,
        "driver_cpu_s": statistics.median(one["cpu_s"] for one in alone),
        "cpu_ratio": statistics.median(b["cpu_s"] / a["cpu_s"] for a, b in pairs),
        "wall_ratio": statistics.median(b["wall_s"] / a["wall_s"] for a, b in pairs),
        "server_share_of_a_core": statistics.median(server_share),
    }


def _driver(folder: Path, ledger: str, name: str) -> dict[str, float]:
    space = folder / f"{name}.yaml"
    space.write_text(WATCHED.format(name=name))
    command = [sys.executable, "-m", "autosched", "tune", "--space", space.name, "--backend", "local", "--fresh"]
    began = time.monotonic()
    process = subprocess.Popen([*command, "--ledger", ledger], cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"the driver ended with {status}")
    return {"cpu_s": usage.ru_utime + usage.ru_stime, "wall_s": time.monotonic() - began}


def _follow(place: str, name: str, stop: threading.Event) -> None:
    """Read the page's document as soon as there is one, and then all news."""
    while not stop.is_set():
        try:
            urllib.request.urlopen(f"{place}/api/study/{name}/document", timeout=60).read()
            with urllib.request.urlopen(f"{place}/api/study/{name}/follow?after=1", timeout=60) as stream:
                while stream.readline() and not stop.is_set():
                    pass
            return
        except OSError:
            time.sleep(0.2)


def measured(arguments: argparse.Namespace) -> tuple[Mapping[str, Any], list[str]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with chromium() as browser:
            found = {
                "large": large(folder, arguments.trials, browser),
                "list": listed(folder, arguments.studies, browser),
            }
        found["watched"] = watched(folder, arguments.rounds)
    lines = [f"{part}.{key}: {value}" for part, values in found.items() for key, value in values.items()]
    return found, lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=whole, default=5000)
    parser.add_argument("--studies", type=whole, default=50)
    parser.add_argument("--rounds", type=whole, default=6)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    return ended(lambda: measured(arguments), as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
