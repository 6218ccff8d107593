"""Every fault of a space file is one line: the file, the line, what is wrong, what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from space_text import written

from autosched.errors import SpaceError
from autosched.space import load_space


class Fault(NamedTuple):
    """A line that is replaced, the line that is blamed, and what the message must say."""

    name: str
    at: int
    text: str
    blamed: int
    says: tuple[str, ...]


ABOVE_ZERO = "must be > 0, but got "
FAULTS = (
    # names and keys
    Fault("unknown key", 2, "sede: 0", 2, ("sede is not a known key", "seed", "did you mean 'seed'?")),
    Fault("unknown key, nothing close", 2, "colour: red", 2, ("colour is not a known key, must be one of study,",)),
    Fault("misspelled required key", 6, "horizon_stesp: 600", 6, ("horizon_stesp", "did you mean 'horizon_steps'?")),
    Fault("misspelled required parameter", 11, "    peek_lr: 0.1", 11, ("peek_lr", "did you mean 'peak_lr'?")),
    Fault(
        "unknown key of a bound", 11, "    peak_lr:\n      low: 1e-3\n      hihg: 0.1", 13, ("did you mean 'high'?",)
    ),
    Fault("unknown resource", 24, "resources: {gpu: 1}", 24, ("resources.gpu is not", "did you mean 'gpus'?")),
    Fault("duplicate key", 7, "seed: 1", 7, ("'seed' is already given in line 2", "keep one")),
    Fault("duplicate parameter", 15, "    peak_lr: 0.1", 15, ("'peak_lr' is already given in line 11",)),
    Fault("duplicate key in one line", 23, "budget: {trials: 1, trials: 2}", 23, ("'trials' is already given",)),
    Fault("numeric key", 2, "7: 0", 2, ("7 is not a known key",)),
    Fault("empty key", 2, "'': 0", 2, ("'' is not a known key",)),
    Fault("key of two lines", 2, '"a\\nb": 0', 2, (r"'a\nb' is not a known key",)),
    Fault("key that is a list", 2, "? [a, b]\n: 0", 2, ("a key must be a word",)),
    # what a space must have
    Fault("no study", 1, "", 1, ("study is missing; it must be 1 to 64 letters",)),
    Fault("no trainer.use", 4, "", 3, ("trainer.use is missing", "gpt, vision, simulated")),
    Fault("no horizon", 6, "", 1, ("horizon_steps is missing", "a whole number >= 1")),
    Fault("no peak LR", 11, "", 10, ("schedule.wsd.peak_lr is missing; it must be > 0, or bounds",)),
    Fault("no upper bound", 11, "    peak_lr: {low: 1e-3}", 11, ("schedule.wsd.peak_lr.high is missing", "bounds")),
    Fault("no lower bound", 11, "    peak_lr: {high: 1e-3}", 11, ("schedule.wsd.peak_lr.low is missing",)),
    Fault("default without peak LR", 18, "", 17, ("default.wsd.peak_lr is missing; it must be > 0",)),
    Fault("controller without a name", 21, "controller: {seed: 1}", 21, ("controller.use is missing", "tpe, gp")),
    # study, trainer
    Fault("study with a space", 1, "study: my study", 1, ("study must be 1 to 64 letters", "'my study'")),
    Fault("study that is a path", 1, "study: ../up", 1, ("'../up'",)),
    Fault("study that is a number", 1, "study: 12", 1, ("study must be", "but got 12")),
    Fault("study that is too long", 1, f"study: {'x' * 65}", 1, ("1 to 64", "...")),
    Fault("negative seed", 2, "seed: -1", 2, ("seed must be a whole number >= 0, but got -1",)),
    Fault("seed that is true", 2, "seed: true", 2, ("seed must be a whole number >= 0, but got true",)),
    Fault("seed without a value", 2, "seed:", 2, ("seed must be a whole number >= 0, but got nothing",)),
    Fault("unknown trainer", 4, "  use: gtp", 4, ("trainer.use must be one of gpt", "did you mean 'gpt'?")),
    Fault("trainer that is no class", 4, "  use: my.module", 4, ("package.module:Class", "'my.module'")),
    Fault(
        "trainer that is a word",
        3,
        "trainer: gpt\nx:",
        3,
        ("trainer must be a mapping like {use: gpt}, but got 'gpt'",),
    ),
    Fault("trainer options that are a list", 5, "  with: [1]", 5, ("trainer.with must be a mapping, but got [1]",)),
    Fault(
        "infinite trainer option",
        5,
        "  with: {noise: .inf}",
        5,
        ("trainer.with.noise must be a finite number, but got inf",),
    ),
    Fault(
        "trainer option that is no number",
        5,
        "  with:\n    deep: [1, .nan]",
        6,
        ("trainer.with.deep[1] must be a finite number, but got nan",),
    ),
    # horizon and cadence
    Fault("horizon of zero", 6, "horizon_steps: 0", 6, ("horizon_steps must be a whole number >= 1, but got 0",)),
    Fault("horizon as a float", 6, "horizon_steps: 6e2", 6, ("but got 600.0 (write 600)",)),
    Fault("horizon as text", 6, 'horizon_steps: "600"', 6, ("horizon_steps must be a whole number", "but got '600'")),
    Fault("endless horizon", 6, "horizon_steps: 10000000000000", 6, ("must be a whole number <= 10000000",)),
    Fault("eval_every that leaves a rest", 7, "eval_every: 70", 7, ("must divide horizon_steps (600)", "got 70")),
    Fault(
        "eval_every beyond the horizon", 7, "eval_every: 601", 7, ("eval_every must be at most horizon_steps (600)",)
    ),
    Fault("eval_every of zero", 7, "eval_every: 0", 7, ("eval_every must be a whole number >= 1, but got 0",)),
    Fault("checkpoint between evaluations", 8, "checkpoint_every: 50", 8, ("must be a multiple of eval_every (20)",)),
    Fault(
        "checkpoint beyond the horizon", 8, "checkpoint_every: 620", 8, ("at most horizon_steps (600), but got 620",)
    ),
    # families
    Fault("no family", 9, "schedule: {}\nx:", 9, ("schedule must be a mapping or list", "but is empty")),
    Fault("empty list of families", 9, "schedule: []\nx:", 9, ("at least one of constant, linear", "but is empty")),
    Fault("schedule that is a word", 9, "schedule: wsd\nx:", 9, ("schedule must be a mapping or list", "'wsd'")),
    Fault("unknown family", 10, "  wds:", 10, ("family must be one of constant", "got 'wds'; did you mean 'wsd'?")),
    Fault("family listed twice", 9, "schedule: [cosine, cosine]\nx:", 9, ("schedule[1] is 'cosine' again",)),
    Fault("number in the list", 9, "schedule: [3]\nx:", 9, ("schedule[0] must be a family's name", "but got 3")),
    Fault("unknown parameter", 12, "    warmup: 30", 12, ("wsd has no parameter 'warmup'; it has", "'warmup_steps'")),
    Fault("family that is a number", 10, "  cosine: 3\n  wsd:", 10, ("schedule.cosine must be a mapping, but got 3",)),
    # domains
    Fault(
        "inverted bounds", 11, "    peak_lr: {low: 0.1, high: 0.01}", 11, ("low must be below high (0.01)", "got 0.1")
    ),
    Fault("equal bounds", 11, "    peak_lr:\n      high: 0.1\n      low: 0.1", 13, ("must be below high (0.1)",)),
    Fault(
        "log scale from zero", 15, "    final_lr_ratio: {low: 0, high: 1, scale: log}", 15, ("must be > 0 on a log",)
    ),
    Fault(
        "log scale below zero",
        11,
        "    peak_lr: {low: -1, high: 1, scale: log}",
        11,
        ("peak_lr.low", f"{ABOVE_ZERO}-1"),
    ),
    Fault(
        "unknown scale", 11, "    peak_lr: {low: 1, high: 2, scale: lin}", 11, ("must be one of linear, log", "'lin'")
    ),
    Fault(
        "log scale from nothing",
        11,
        "    peak_lr: {low: 1e-320, high: 1, scale: log}",
        11,
        ("peak_lr.low must be >= 1e-300, but got 1",),
    ),
    Fault(
        "two decades without a scale",
        11,
        "    peak_lr: {low: 1e-3, high: 0.1}",
        11,
        ("peak_lr.scale must be log or linear where high is 100 times low and more",),
    ),
    Fault("peak LR of zero", 11, "    peak_lr: 0", 11, (f"schedule.wsd.peak_lr {ABOVE_ZERO}0",)),
    Fault("peak LR that is true", 11, "    peak_lr: true", 11, ("must be a number > 0, but got true",)),
    Fault("peak LR as text", 11, '    peak_lr: "0.1"', 11, ("must be a number > 0, but got '0.1'",)),
    Fault("peak LR that is no number", 11, "    peak_lr: .nan", 11, ("must be a finite number > 0, but got nan",)),
    Fault(
        "infinite bound",
        11,
        "    peak_lr: {low: 1, high: .Inf}",
        11,
        ("peak_lr.high must be a finite number > 0, but got inf",),
    ),
    Fault(
        "parameter without a value", 11, "    peak_lr:", 11, ("schedule.wsd.peak_lr must be a value, a list", "empty")
    ),
    Fault("fraction above one", 13, "    cooldown_fraction: 1.4", 13, ("must be in (0, 1], but got 1.4",)),
    Fault("warmup of half an update", 12, "    warmup_steps: 1.5", 12, ("a whole number >= 0, but got 1.5",)),
    Fault("unknown shape", 14, "    cooldown_shape: [linear, sqr]", 14, ("cooldown_shape[1] must be one of", "'sqr'")),
    Fault("choice given twice", 14, "    cooldown_shape:\n      - sqrt\n      - sqrt", 16, ("'sqrt' again", "differ")),
    Fault("equal numbers as choices", 12, "    warmup_steps: [1, 1.0]", 12, ("warmup_steps[1] is 1.0 again",)),
    Fault(
        "choices without end",
        12,
        f"    warmup_steps: {list(range(90_000))}",
        12,
        ("warmup_steps must have at most 1000 choices, but has 90000; write bounds instead.",),
    ),
    Fault("no choices", 14, "    cooldown_shape: []", 14, ("must have at least one choice",)),
    Fault(
        "choices that are no list", 14, "    cooldown_shape: {choices: sqrt}", 14, ("choices must be a list", "'sqrt'")
    ),
    Fault("bounds of a choice", 14, "    cooldown_shape: {low: 1, high: 2}", 14, ("it has no bounds",)),
    Fault(
        "stage without a number",
        9,
        "schedule:\n  piecewise: {values: [0.1, x], boundaries: [9]}\nx:",
        10,
        ("values[1]",),
    ),
    # rules of a family
    Fault("fixed warmup too long", 12, "    warmup_steps: 600", 12, ("warmup_steps must be below the 600 steps",)),
    Fault(
        "warmup bound too long", 12, "    warmup_steps:\n      low: 1\n      high: 700", 14, ("below the 600", "700")
    ),
    Fault("warmup choice too long", 12, "    warmup_steps:\n      - 10\n      - 900", 14, ("below the 600", "900")),
    Fault("exponential to zero", 14, "    cooldown_shape: [linear, exponential]", 15, ("final_lr_ratio must be > 0",)),
    Fault(
        "power of another shape", 14, "    cooldown_shape: linear\n    cooldown_power: 2", 15, ("can never exist here",)
    ),
    # conditions
    Fault(
        "unknown condition", 15, "    final_lr_ratio: {value: 0, when: {shape: sqrt}}", 15, ("when.shape must name a",)
    ),
    Fault(
        "later condition", 12, "    warmup_steps: {value: 9, when: {cooldown_shape: sqrt}}", 12, ("comes before it",)
    ),
    Fault(
        "condition on a range", 15, "    final_lr_ratio: {value: 0, when: {peak_lr: 0.1}}", 15, ("searched in a range",)
    ),
    Fault(
        "condition never drawn",
        15,
        "    final_lr_ratio: {value: 0, when: {cooldown_shape: cosine}}",
        15,
        ("never hold",),
    ),
    Fault(
        "condition on no shape",
        15,
        "    final_lr_ratio: {value: 0, when: {cooldown_shape: x}}",
        15,
        ("must be one of",),
    ),
    Fault(
        "condition without values",
        15,
        "    final_lr_ratio: {value: 0, when: {cooldown_shape: []}}",
        15,
        ("never hold",),
    ),
    Fault(
        "condition that is a word",
        15,
        "    final_lr_ratio: {value: 0, when: sqrt}",
        15,
        ("when must be a mapping", "sqrt"),
    ),
    Fault(
        "condition on what is always there", 11, "    peak_lr: {value: 1, when: {}}", 11, ("when must be a mapping",)
    ),
    Fault(
        "conditions that exclude each other",
        15,
        "    cooldown_power: 2\n    final_lr_ratio: {value: 0, when: {cooldown_power: 2, cooldown_shape: sqrt}}",
        16,
        ("schedule.wsd.final_lr_ratio.when can never hold",),
    ),
    Fault(
        "fault of what a condition is about",
        14,
        "    cooldown_power: 2\n    cooldown_shape: [linear, pwoer]",
        15,
        ("cooldown_shape[1] must be one of", "'pwoer'"),
    ),
    # the default
    Fault("default of two families", 16, "default: {wsd: {}, cosine: {}}\nx:", 16, ("default must be one family",)),
    Fault("default of no family", 16, "default: {wds: {}}\nx:", 16, ("family must be one of", "did you mean 'wsd'?")),
    Fault(
        "default with a long warmup", 19, "    warmup_steps: 601", 19, ("default.wsd.warmup_steps must be below the",)
    ),
    Fault(
        "default with bounds", 18, "    peak_lr: {low: 1, high: 2}", 18, ("default.wsd.peak_lr must be a number > 0",)
    ),
    Fault("default with a stray power", 20, "    cooldown_power: 2", 20, ("exists only when cooldown_shape is power",)),
    Fault("default with an unknown name", 20, "    shape: sqrt", 20, ("wsd has no parameter 'shape'",)),
    # controller, pruner, budget, resources
    Fault("unknown controller", 21, "controller: tpa", 21, ("controller must be one of law, tpe, gp", "mean 'tpe'?")),
    Fault("controller that is a number", 21, "controller: 3", 21, ("controller must be one of", "but got 3")),
    Fault("unknown pruner", 22, "pruner: {use: medain}", 22, ("pruner.use must be one of law", "mean 'median'?")),
    Fault("empty budget", 23, "budget: {}", 23, ("at least one of trials, steps, full_runs, minutes",)),
    Fault(
        "negative budget", 23, "budget: {trials: -3}", 23, ("budget.trials must be a whole number >= 1, but got -3",)
    ),
    Fault("budget of zero", 23, "budget: {minutes: 0}", 23, ("budget.minutes must be a number > 0, but got 0",)),
    Fault("budget that is a number", 23, "budget: 10", 23, ("budget must be a mapping, but got 10",)),
    Fault(
        "budget without end", 23, "budget: {full_runs: 1e300}", 23, ("budget.full_runs must be at most 10**12 updates",)
    ),
    Fault("infinite budget", 23, "budget: {worker_seconds: .inf}", 23, ("must be a finite number > 0, but got inf",)),
    Fault("worth without a law", 23, "budget: {trials: 9, stop_when: {gain_below: 1}}", 23, ("needs controller law",)),
    Fault("worth of nothing", 23, "budget: {trials: 9, stop_when: {gain_below: 0}}", 23, ("gain_below must be a num",)),
    Fault("worth of what", 23, "budget: {trials: 9, stop_when: {gian: 1}}", 23, ("stop_when.gian is not a known key",)),
    Fault("negative GPUs", 24, "resources: {gpus: -1}", 24, ("resources.gpus must be a number >= 0, but got -1",)),
    Fault("one and a half GPUs", 24, "resources: {gpus: 1.5}", 24, ("gpus must be a share up to 1 or a whole", "1.5")),
    Fault(
        "no workers", 24, "resources: {workers: 0}", 24, ("resources.workers must be a whole number >= 1, but got 0",)
    ),
    Fault(
        "CPUs that are true", 24, "resources: {cpus: true}", 24, ("resources.cpus must be a number > 0, but got true",)
    ),
    Fault("negative retries", 24, "resources: {retries: -1}", 24, ("resources.retries must be a whole number >= 0",)),
    # storage, tracking, confirm
    Fault("ledger that is a path", 25, "storage: {ledger: a.db}", 25, ("a scheme of sqlite, postgresql", "'a.db'")),
    Fault("ledger of another kind", 25, 'storage: {ledger: "mysql://h/d"}', 25, ("storage.ledger must be a URL",)),
    Fault(
        "checkpoints that are a number", 25, "storage: {checkpoints: 3}", 25, ("must be a text of one line, but got 3",)
    ),
    Fault("no room for checkpoints", 25, "storage: {checkpoints_gib: 0}", 25, ("must be a number > 0, but got 0",)),
    Fault("tracking of another kind", 26, 'tracking: {uri: "file:///x"}', 26, ("tracking.uri", "or none to switch")),
    Fault(
        "tracking that is a word",
        26,
        "tracking: off",
        26,
        (
            "tracking must be a mapping like",
            "or none, but got false",
        ),
    ),
    Fault("no finalists", 27, "confirm: {finalists: 0}", 27, ("confirm.finalists must be a whole number >= 1",)),
    Fault(
        "who pays is a number", 27, "confirm: {in_budget: 1}", 27, ("confirm.in_budget must be true or false", "got 1")
    ),
    Fault(
        "paid by a budget without updates",
        27,
        "confirm: {seeds: 3, in_budget: true}",
        27,
        ("confirm.in_budget needs a budget of at least 4200 steps (full_runs: 7)", "got no limit in updates"),
    ),
    # YAML
    Fault("tab", 2, "\tseed: 0", 2, ("not valid YAML", r"'\t'")),
    Fault("open bracket", 27, "confirm: {finalists: 2", 28, ("not valid YAML: while parsing a flow mapping",)),
    Fault("bad indent", 2, " seed: 0", 2, ("not valid YAML", "mapping values are not allowed")),
    Fault("two documents", 2, "---\nstudy: other", 2, ("expected a single document",)),
    Fault("anchor", 2, "seed: &zero 0", 2, ("anchors (&) and aliases (*) are not allowed",)),
    Fault("alias", 2, "seed: *zero", 2, ("anchors (&) and aliases (*) are not allowed",)),
    Fault("merge key", 2, "<<: {seed: 0}", 2, ("merge keys (<<) are not allowed",)),
    Fault("Python tag", 2, "seed: !!python/object:os.system 0", 2, ("YAML tag", "not allowed; write plain values")),
    Fault("own tag", 2, "seed: !mine 0", 2, ("YAML tag !mine is not allowed",)),
    Fault("tag with an impossible value", 2, "seed: !!int x", 2, ("'x' is no whole number",)),
    Fault("very long number", 2, f"seed: {'9' * 5000}", 2, ("is no whole number", "...")),
    Fault("deep nesting", 5, f"  with: {{deep: {'[' * 40}{']' * 40}}}", 5, ("nested deeper than 32 levels",)),
    Fault("control character", 5, "  with: {name: \x07}", 5, ("character U+0007 is not allowed",)),
    Fault("faults on two lines", 7, "eval_every: 0\nseeds: 1", 7, ("eval_every must be",)),
)


def test_what_a_run_must_be_worth_is_no_limit(tmp_path: Path) -> None:
    path = written(tmp_path, {21: "controller: law", 23: "budget: {stop_when: {gain_below: 1}}"})
    with pytest.raises(SpaceError, match=r"space.yaml:23: budget must have at least one of trials, steps"):
        load_space(path)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_names_its_line_and_what_is_allowed(tmp_path: Path, fault: Fault) -> None:
    path = written(tmp_path, {fault.at: fault.text})
    with pytest.raises(SpaceError) as caught:
        load_space(path)
    text = str(caught.value)
    assert text.startswith(f"{path}:{fault.blamed}: "), text
    assert all(part in text for part in fault.says), text
    assert text.isprintable()
    assert len(text) - len(str(path)) < 350


def test_the_table_has_no_two_faults_of_one_name() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) > 45


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", ":1: must hold a search space, but is empty."),
        (b"# only a comment\n", ":1: must hold a search space, but is empty."),
        (b"null\n", ":1: must hold a search space, but is empty."),
        (b"- a\n- b\n", ":1: must be a mapping of keys like study and schedule at the top level."),
        (b"just words\n", ":1: must be a mapping of keys"),
        (b"study: a\nseed: \x00\x01\n", ":2: must be a text file in UTF-8, but has a zero byte here (binary data?)."),
        (b"study: a\nseed: \xff\xfe\n", ":2: must be UTF-8 text, but has byte 0xff here."),
        ("study: größer\n".encode("latin-1"), ":1: must be UTF-8 text, but has byte 0xf6 here."),
        (b"study: a\n" * 150_000, ": must be at most 1048576 bytes, but is larger."),
        (b"{}\n", ":1: study is missing; it must be 1 to 64 letters"),
    ],
    ids=["empty", "comment", "null", "list", "words", "binary", "utf-8", "latin-1", "large", "braces"],
)
def test_a_file_that_is_no_space_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "space.yaml"
    path.write_bytes(content)
    with pytest.raises(SpaceError) as caught:
        load_space(path)
    assert str(caught.value).startswith(f"{path}{says}")


def test_a_missing_file_a_folder_and_a_path_through_a_file_are_refused(tmp_path: Path) -> None:
    plain = written(tmp_path)
    for path, says in [
        (tmp_path / "absent.yaml", "there is no such file."),
        (tmp_path, "must be a YAML file, but is a folder."),
        (plain / "below", "cannot be read: Not a directory."),
    ]:
        with pytest.raises(SpaceError) as caught:
            load_space(path)
        assert str(caught.value) == f"{path}: {says}"


def test_a_byte_order_mark_and_foreign_line_ends_are_read(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert load_space(path).study == "demo"


def test_a_further_check_is_reported_at_the_line_of_its_key_or_option(tmp_path: Path) -> None:
    path = written(tmp_path, {21: "controller:\n  use: tpe\n  n_startup_trials: 0"})

    def refuse(text: str) -> None:
        raise SpaceError(text)

    for text, line in [("option n_startup_trials must be >= 1.", 23), ("this can never work.", 21)]:
        with pytest.raises(SpaceError) as caught:
            load_space(path, [], {"controller": lambda _space, text=text: refuse(text)})
        assert str(caught.value) == f"{path}:{line}: {text}"
