"""Logs of training programs are read as the run that they tell, or refused by what they lack."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from autosched.curves.log_columns import LogOptions, parse_columns, read_runs
from autosched.errors import CurveError, UsageError
from autosched.schedules import build
from autosched.study.curve_sources import named_curves

SCHEDULE = build("wsd", {"peak_lr": 3e-4, "warmup_steps": 40, "cooldown_fraction": 0.3}, steps=400)
STEPS = np.arange(20, 401, 20)
LRS = SCHEDULE.lrs[STEPS - 1]
LOSSES = 2.0 + 3.0 / np.sqrt(STEPS)
ROWS = [(int(step), float(lr), float(loss)) for step, lr, loss in zip(STEPS, LRS, LOSSES, strict=True)]


def lines(file: Path, texts: list[str]) -> Path:
    file.write_text("".join(f"{text}\n" for text in texts))
    return file


def trainer_state(folder: Path) -> Path:
    from transformers.trainer_callback import TrainerState

    history: list[dict[str, float]] = []
    for step, lr, loss in ROWS:
        history += [{"epoch": step / 100, "grad_norm": 1.0, "learning_rate": lr, "loss": loss + 0.1, "step": step}]
        history += [{"epoch": step / 100, "eval_loss": loss, "eval_runtime": 0.1, "step": step}]
    history += [{"train_runtime": 3.0, "train_loss": 9.9, "total_flos": 1e12, "step": 400}]
    TrainerState(log_history=history).save_to_json(str(folder / "trainer_state.json"))
    return folder / "trainer_state.json"


def lightning(folder: Path) -> Path:
    from lightning.pytorch.loggers import CSVLogger

    logger = CSVLogger(str(folder))
    for step, lr, loss in ROWS:
        logger.log_metrics({"lr-AdamW": lr, "train_loss": loss + 0.1}, step)
        logger.log_metrics({"val_loss": loss, "epoch": 0}, step)
    logger.save()
    return Path(logger.log_dir) / "metrics.csv"


def event_file(folder: Path) -> Path:
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        writer.add_text("note", "no number")
        for step, lr, loss in ROWS:
            writer.add_scalar("train/lr", lr, step)
            writer.add_scalar("train/loss", loss, step)
    return next(folder.glob("*tfevents*"))


def killed_writer(folder: Path) -> Path:
    file = event_file(folder)
    file.write_bytes(file.read_bytes() + file.read_bytes()[:30])
    return file


def wandb_export(folder: Path) -> Path:
    head = 'Step,"warm - eval/loss","warm - eval/loss__MIN","warm - eval/loss__MAX","warm - lr"'
    return lines(folder / "wandb.csv", [head, *(f'"{s}","{loss}","{loss}","{loss}","{lr}"' for s, lr, loss in ROWS)])


def json_lines(folder: Path) -> Path:
    records = [{"_step": s, "optim": {"lr": lr}, "train": {"loss": loss}, "note": "x"} for s, lr, loss in ROWS]
    return lines(folder / "history.jsonl", [json.dumps(record) for record in records])


def megatron(folder: Path) -> Path:
    texts = [
        f" iteration {s:8d}/     400 | consumed samples: {64 * s:12d} | elapsed time per iteration (ms): 315.2 | "
        f"learning rate: {lr:.15E} | global batch size:    64 | lm loss: {loss:.15E} | grad norm: 2.100 |"
        for s, lr, loss in ROWS
    ]
    return lines(folder / "log.txt", ["using world size: 8, tensor-parallel size: 1", *texts])


def llm_c(folder: Path) -> Path:
    return lines(folder / "main.log", [f"s:{s} trl:{loss!r} lr:{lr!r} norm:1.25" for s, lr, loss in ROWS])


def llm_c_stdout(folder: Path) -> Path:
    texts = [
        f"step {s:4d}/400 | loss {loss!r} (+0.01z)| norm 1.2 (-0.3z)| lr {lr!r} | 30.1 ms | 51.7% bf16 MFU"
        for s, lr, loss in ROWS
    ]
    return lines(folder / "stdout.log", texts)


def printed_dicts(folder: Path) -> Path:
    texts = [str({"loss": loss, "learning_rate": lr, "epoch": 0.1, "step": s}) for s, lr, loss in ROWS]
    return lines(folder / "out.txt", ["***** Running training *****", *texts])


def table(folder: Path) -> Path:
    return lines(
        folder / "runs.tsv", ["iteration\tlearning rate\tloss", *(f"{s}\t{lr}\t{loss}" for s, lr, loss in ROWS)]
    )


WRITERS = (
    trainer_state,
    lightning,
    event_file,
    killed_writer,
    wandb_export,
    json_lines,
    megatron,
    llm_c,
    llm_c_stdout,
    printed_dicts,
    table,
)


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_a_log_is_the_run_that_it_tells(write: Callable[[Path], Path], tmp_path: Path) -> None:
    (named,) = named_curves([str(write(tmp_path))])
    curve = named.curve
    assert curve.steps.tolist() == STEPS.tolist()
    single = 1e-6 if "event" in write.__name__ or "killed" in write.__name__ else 1e-12  # event files hold float32
    np.testing.assert_allclose(curve.losses, LOSSES, rtol=single)
    np.testing.assert_allclose(curve.schedule.lrs[STEPS - 1], LRS, rtol=single, atol=1e-12)


def timm(folder: Path, first: int = 0) -> Path:
    """As timm.utils.update_summary writes it, but without timm, which would bring torchvision."""
    head = "epoch,train_loss,eval_loss,eval_top1,eval_top5,lr"
    rows = [f"{epoch + first},{loss + 0.1},{loss},50.0,90.0,{lr}" for epoch, (_, lr, loss) in enumerate(ROWS)]
    return lines(folder / "summary.csv", [head, *rows])


def timm_from_epoch_1(folder: Path) -> Path:
    return timm(folder, first=1)


def keras(folder: Path) -> Path:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    from keras import Sequential
    from keras.callbacks import CSVLogger

    file = folder / "history.csv"
    logger = CSVLogger(str(file))
    logger.set_model(Sequential())
    logger.on_train_begin()
    for epoch, (_, lr, loss) in enumerate(ROWS):
        logger.on_epoch_end(epoch, {"loss": loss + 0.1, "val_loss": loss, "learning_rate": lr})
    logger.on_train_end()
    return file


BY_EPOCH = (timm, timm_from_epoch_1, pytest.param(keras, marks=pytest.mark.slow))


@pytest.mark.parametrize("write", BY_EPOCH, ids=lambda write: write.__name__)
def test_epochs_become_updates_when_a_person_says_how_many(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    file = write(tmp_path)
    with pytest.raises(CurveError, match=r"'epoch' counts epochs, and laws need updates: give --updates-per-epoch\.$"):
        named_curves([str(file)])
    (curve,) = read_runs(file, LogOptions(updates_per_epoch=20))
    assert curve.steps.tolist() == STEPS.tolist()
    np.testing.assert_allclose(curve.losses, LOSSES, rtol=1e-12)


def test_lrs_that_were_not_logged_come_from_a_schedule(tmp_path: Path) -> None:
    texts = [f"iter {s}: loss {loss!r}, time 9.86ms, mfu 37.78%" for s, _, loss in ROWS]
    file = lines(tmp_path / "nanogpt.log", ["step 0: train loss 4.2874, val loss 4.2823", *texts])
    with pytest.raises(CurveError, match=r"tells the LR: it has step, .* or give the schedule with --schedule\.$"):
        named_curves([str(file)])
    (curve,) = read_runs(file, LogOptions(schedule=SCHEDULE, columns={"loss": "loss"}))
    assert curve.schedule.lrs.tobytes() == SCHEDULE.lrs.tobytes()
    assert curve.steps.tolist() == STEPS.tolist()


def test_two_runs_of_one_chart_are_two_curves(tmp_path: Path) -> None:
    head = 'Step,"a - loss","a - lr","b - loss","b - lr"'
    file = lines(tmp_path / "chart.csv", [head, *(f"{s},{loss},{lr},{loss + 1},{lr}" for s, lr, loss in ROWS)])
    first, second = named_curves([str(file)])
    assert (first.name, second.name) == (f"{file} (a)", f"{file} (b)")
    np.testing.assert_allclose(second.curve.losses - first.curve.losses, 1.0)


def test_columns_may_be_told_and_must_be_there(tmp_path: Path) -> None:
    file = lines(tmp_path / "odd.csv", ["n,eta,nll", *(f"{s},{lr},{loss}" for s, lr, loss in ROWS)])
    with pytest.raises(CurveError, match=r"no column tells the update: it has n, eta, nll\. Say which with --columns"):
        read_runs(file, LogOptions())
    (curve,) = read_runs(file, LogOptions(columns=parse_columns(["step=n,lr=eta", "loss=nll"])))
    assert curve.steps.tolist() == STEPS.tolist()
    with pytest.raises(CurveError, match="has no column 'mu' for lr: it has n, eta, nll"):
        read_runs(file, LogOptions(columns={"step": "n", "lr": "mu"}))
    with pytest.raises(UsageError, match="must be ROLE=NAME with a ROLE of step, lr, loss, but got 'time=t'"):
        parse_columns(["time=t"])


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.jsonl", b'{"step": 1}\nnot json\n', "must be a JSON object in each line"),
        ("x.json", b"[1, 2]", "must be a list of objects, or Hugging Face's trainer_state.json"),
        ("x.json", b"{", "is no JSON document"),
        ("x.log", b"nothing here\n", "has no numbers that could be read as a text log"),
        ("events.out.tfevents.1", b"\xff" * 40, "is no event file of TensorBoard"),
        (
            "events.out.tfevents.1",
            bytes([4, *[0] * 11]) + b"\xff" * 8,
            "is no event file of TensorBoard, or is damaged",
        ),
        ("events.out.tfevents.1", b"", "has no numbers"),
    ],
)
def test_a_damaged_log_is_one_line(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CurveError, match=says):
        named_curves([str(tmp_path / name)])
