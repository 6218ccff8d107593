"""What a study leaves for a script, as the command trainer writes it, for scripts that tests run in their process."""

import json
from pathlib import Path

import numpy as np

from autosched.attached import ATTACHMENT

HORIZON, EVERY = 24, 4
LRS = np.geomspace(2e-2, 1e-4, HORIZON)


class Study:
    """Tells scripts what to do, one after another, and has what they said."""

    def __init__(self, folder: Path, monkeypatch, lrs=LRS, every=EVERY):
        self.folder, self.monkeypatch, self.lrs, self.every = folder, monkeypatch, lrs, every
        self.runs = 0

    def tell(self, start: int, stop: int, *, checkpoints: bool = True, seed: int = 3) -> None:
        """Updates `start` to `stop` come next."""
        self.runs += 1
        place = self.folder / str(self.runs)
        (place / "out").mkdir(parents=True)
        told = {
            "lrs": [*map(float, self.lrs)],
            "start": start,
            "stop": stop,
            "horizon": len(self.lrs),
            "eval_every": self.every,
            "seed": seed,
            "checkpoint_in": str(self.saved(start)) if start else "",
            "checkpoint_out": str(self.saved(stop)) if checkpoints else "",
            "reports": str(place / "reports.jsonl"),
            "out": str(place / "out"),
        }
        (place / "told.json").write_text(json.dumps(told))
        self.monkeypatch.setenv(ATTACHMENT, str(place / "told.json"))

    def saved(self, step: int) -> Path:
        """Where the checkpoint after `step` updates is."""
        return self.folder / f"saved-{step}"

    def heard(self) -> dict[int, float]:
        """The losses of all runs, by step."""
        return {line["step"]: line["loss"] for line in self._losses()}

    def said(self) -> list[int]:
        """The steps of all reports, one by one."""
        return [line["step"] for line in self._losses()]

    def _losses(self) -> list[dict]:
        lines = [line for run in range(1, self.runs + 1) for line in self._lines(run)]
        return [line for line in lines if "step" in line]

    def _lines(self, run: int) -> list[dict]:
        reports = self.folder / str(run) / "reports.jsonl"
        return [json.loads(line) for line in reports.read_text().splitlines()] if reports.exists() else []
