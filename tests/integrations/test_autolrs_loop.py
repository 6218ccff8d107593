"""AutoLRS in a training loop: what it trains is, to the last bit, an ordinary run with the schedule it found."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from autolrs_loops import NUMBERS, epochs, equal, examples, loader, make, train, train_by, update
from torch import nn

from autosched.errors import UsageError
from autosched.integrations.autolrs import AutoLRS, RewindableLoader, Settings


@pytest.mark.parametrize(
    ("optimizer", "place"),
    [(torch.optim.SGD, "device"), (torch.optim.AdamW, "cpu"), (torch.optim.AdamW, "folder")],
)
def test_the_run_is_an_ordinary_run_with_the_schedule_that_was_found(optimizer, place, tmp_path):
    """Model, momentum, dropout, batch statistics and batches are rewound; no update has the LR of another."""
    model, optim = make(optimizer=optimizer)
    tuner = train(model, optim, RewindableLoader(loader()), place=tmp_path if place == "folder" else place)
    plain_model, plain_optim = make(optimizer=optimizer)
    train_by(tuner.schedule(), plain_model, plain_optim, epochs(RewindableLoader(loader())))
    assert equal(model.state_dict(), plain_model.state_dict())
    assert equal(optim.state_dict()["state"], plain_optim.state_dict()["state"])
    assert (tuner.position, tuner.trained, tuner.failure) == (240, 240 + 2 * (8 + 16), "")
    assert len(set(tuner.schedule().lrs)) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "trained"),
    [
        (Settings.published(1e-3, 0.5, steps=246, first_stage=80, probes=3, validation_from=None), 246 + 25 + 2 * 24),
        (Settings.far_sighted(1e-3, 0.5, 300, first_stage=160), 300 + 3 * 9 + 4 * 9),
    ],
    ids=["published", "far_sighted"],
)
def test_the_presets_train_ordinary_runs_too(settings, trained):
    """The published one spends updates on messages and trains the winner's probe twice; the other cools down."""
    model, optimizer = make()
    tuner = AutoLRS(model, optimizer, RewindableLoader(loader()), settings=settings)
    for batch in tuner.batches():
        tuner.step(update(model, optimizer, batch))
    assert (tuner.schedule().steps, tuner.trained) == (settings.steps, trained)
    plain, plain_optimizer = make()
    train_by(tuner.schedule(), plain, plain_optimizer, epochs(RewindableLoader(loader())))
    assert equal(model.state_dict(), plain.state_dict())


def test_the_first_update_after_a_rewind_has_the_new_lr():
    """The published client went on with the checkpoint's LR."""
    model, optimizer = make()
    tuner, used = AutoLRS(model, optimizer, RewindableLoader(loader()), **NUMBERS), []
    for batch in tuner.batches():
        used.append((tuner.work.probe, tuner.work.lr, optimizer.param_groups[0]["lr"]))
        tuner.step(update(model, optimizer, batch))
    assert all(asked == had for _, asked, had in used)
    assert [probe for probe, _, _ in used[:24]] == [0] * 8 + [1] * 8 + [2] * 8
    assert len({lr for _, _, lr in used[:24]}) == 3


def test_probes_of_a_stage_see_the_same_batches_and_the_same_dropout():
    model, optimizer = make()
    tuner, seen = AutoLRS(model, optimizer, RewindableLoader(loader()), **NUMBERS), []
    for x, y in tuner.batches():
        loss = update(model, optimizer, (x, y))
        if tuner.work.kind == "probe" and tuner.position == tuner.work.start:
            seen.append((tuner.work.stage, float(loss.detach()), x.sum().item(), float(torch.rand(()))))
        tuner.step(loss)
    assert [stage for stage, *_ in seen] == [0, 0, 0, 1, 1, 1]
    assert seen[0] == seen[1] == seen[2] != seen[3] == seen[4] == seen[5]


def test_groups_keep_the_ratios_of_their_lrs():
    model, _ = make()
    parts = [{"params": model[0].parameters(), "lr": 0.2}, {"params": model[4].parameters(), "lr": torch.tensor(0.02)}]
    optimizer = torch.optim.SGD(parts)
    tuner = AutoLRS(model, optimizer, RewindableLoader(loader()), **NUMBERS)
    for batch in tuner.batches():
        first, second = (float(group["lr"]) for group in optimizer.param_groups)
        assert first == tuner.lr
        assert second == pytest.approx(first / 10, rel=1e-6)
        tuner.step(update(model, optimizer, batch))
    assert isinstance(optimizer.param_groups[1]["lr"], torch.Tensor)


def test_a_group_that_is_added_later_is_refused():
    model, optimizer = make()
    tuner = AutoLRS(model, optimizer, RewindableLoader(loader()), **NUMBERS)
    optimizer.add_param_group({"params": [nn.Parameter(torch.zeros(1))]})
    with pytest.raises(UsageError, match="has 2 parameter groups, but had 1"):
        tuner.step(1.0)


def test_a_scheduler_an_average_and_buffers_outside_the_state_dict_are_rewound():
    model, optimizer = make()
    model[0].register_buffer("calls", torch.zeros(1), persistent=False)
    average = torch.optim.swa_utils.AveragedModel(model)
    momentum = torch.optim.lr_scheduler.StepLR(optimizer, step_size=30)
    tuner = AutoLRS(
        model, optimizer, RewindableLoader(loader()), scheduler=momentum, others={"average": average}, **NUMBERS
    )
    for batch in tuner.batches():
        assert model[0].calls == average.n_averaged == momentum.last_epoch == tuner.position
        loss = update(model, optimizer, batch)
        model[0].calls += 1
        average.update_parameters(model)
        momentum.step()
        tuner.step(loss)
        assert tuner.done or optimizer.param_groups[0]["lr"] == tuner.lr
    assert average.n_averaged == 240


def test_accumulated_gradients_count_as_one_update():
    model, optimizer = make()
    tuner = AutoLRS(model, optimizer, RewindableLoader(loader()), **NUMBERS)
    total = 0.0
    for i, (x, y) in enumerate(tuner.batches(), start=1):
        loss = nn.functional.mse_loss(model(x), y) / 2
        loss.backward()
        total += float(loss.detach())
        if i % 2 == 0:
            optimizer.step()
            optimizer.zero_grad()
            tuner.step(total)
            total = 0.0
    plain, plain_optimizer = make()
    batches = epochs(RewindableLoader(loader()))
    for lr in tuner.schedule().lrs:
        for x, y in (next(batches), next(batches)):
            (nn.functional.mse_loss(plain(x), y) / 2).backward()
        plain_optimizer.param_groups[0]["lr"] = float(lr)
        plain_optimizer.step()
        plain_optimizer.zero_grad()
    assert equal(model.state_dict(), plain.state_dict())


def test_a_scaler_is_rewound_and_updates_that_it_skips_count():
    """Half precision on the CPU; the scale grows until gradients overflow, again and again."""
    model, optimizer = make()
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16, growth_interval=5)
    tuner, scales, skipped = AutoLRS(model, optimizer, RewindableLoader(loader()), scaler=scaler, **NUMBERS), {}, 0
    for x, y in tuner.batches():
        if tuner.work.kind == "probe" and tuner.position == tuner.work.start:
            assert scales.setdefault(tuner.work.stage, scaler.state_dict()) == scaler.state_dict()
        with torch.autocast("cpu", dtype=torch.float16):
            loss = nn.functional.mse_loss(model(x).float(), y)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        before = scaler.get_scale()
        scaler.update()
        skipped += scaler.get_scale() < before
        tuner.step(loss)
    assert skipped > 10
    assert tuner.trained == 288
    assert not tuner.failure


def test_tensors_that_an_optimizer_keeps_in_another_dtype_come_back_in_it():
    """Torch's optimizers cast what they load to the dtype of the parameters."""
    model, optimizer = make()
    model.bfloat16()
    tuner = AutoLRS(model, optimizer, RewindableLoader(loader()), **NUMBERS)
    for number, (x, y) in enumerate(tuner.batches()):
        loss = update(model, optimizer, (x.bfloat16(), y.bfloat16()))
        for state in optimizer.state.values():
            state["momentum_buffer"] = state["momentum_buffer"].float() + 1e-6
        if tuner.step(loss) and tuner.position > 0:
            break
        assert number < 100
    assert {state["momentum_buffer"].dtype for state in optimizer.state.values()} == {torch.float32}


def test_a_run_whose_lrs_all_diverge_ends_at_its_last_checkpoint_and_says_what_to_try():
    model, optimizer = make()
    before = copy.deepcopy(model.state_dict())
    tuner = AutoLRS(model, optimizer, RewindableLoader(loader()), **NUMBERS)
    for batch in tuner.batches():
        loss = update(model, optimizer, batch) * math.nan
        if tuner.work.probe < 2:
            assert tuner.step(loss)
            continue
        with pytest.warns(UserWarning, match="all 3 LRs tried in stage 0 diverged"):
            tuner.step(loss)
    assert tuner.done
    assert "lower the bounds, now 0.001 to 0.5" in tuner.failure
    assert tuner.trained == 3
    assert tuner.schedule() is None
    assert equal(model.state_dict(), before), "the model is where the stage began, not where the last probe broke it"
    with pytest.raises(UsageError, match="the run is over"):
        tuner.step(1.0)


def test_a_probe_that_diverges_ends_early_and_loses():
    model, optimizer = make()
    tuner, broken = AutoLRS(model, optimizer, RewindableLoader(loader()), **NUMBERS), None
    for batch in tuner.batches():
        loss = update(model, optimizer, batch)
        if tuner.work.probe == 0 and tuner.work.stage == 0 and tuner.position == 3:
            broken = tuner.lr
            loss = loss * math.inf
        tuner.step(loss)
    assert tuner.trained == 288 - 4
    assert tuner.position == 240
    assert broken not in tuner.schedule().lrs
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())


def test_a_stage_that_diverges_after_its_probe_goes_on_from_the_next_best_end():
    model, optimizer = make()
    tuner, refused = AutoLRS(model, optimizer, RewindableLoader(loader()), **NUMBERS), []
    for batch in tuner.batches():
        loss = update(model, optimizer, batch)
        if tuner.work.kind == "commit" and tuner.position == 40 and not refused:
            refused.append(tuner.lr)
            loss = loss * math.nan
            assert tuner.step(loss)
            assert (tuner.work.kind, tuner.position) == ("commit", 8)
            continue
        tuner.step(loss)
    assert tuner.trained == 288 + 33
    plain, plain_optimizer = make()
    train_by(tuner.schedule(), plain, plain_optimizer, epochs(RewindableLoader(loader())))
    assert equal(model.state_dict(), plain.state_dict())
    assert refused[0] != tuner.schedule().lrs[0]


@pytest.mark.parametrize(("keep", "spent"), [(0, 24), (1, 0), (3, 0)])
def test_ends_that_are_not_kept_are_trained_again(keep, spent, tmp_path):
    model, optimizer = make()
    tuner, most = AutoLRS(model, optimizer, RewindableLoader(loader()), keep=keep, place=tmp_path, **NUMBERS), 0
    for batch in tuner.batches():
        tuner.step(update(model, optimizer, batch))
        most = max(most, len(list(tmp_path.iterdir())))
    assert most == 1 + keep
    assert tuner.trained == 288 + spent


@pytest.mark.parametrize(("keep", "spent"), [(0, 24), (1, 0)])
def test_a_decay_goes_on_from_its_probes_end_and_the_run_never_from_its_own(keep, spent, tmp_path):
    numbers = {**NUMBERS, "forecast": "decayed", "decay_share": 0.5, "winner": "forecast"}
    model, optimizer = make()
    tuner = AutoLRS(model, optimizer, RewindableLoader(loader()), keep=keep, place=tmp_path, **numbers)
    kinds, after, most = [], None, 0
    for batch in tuner.batches():
        if tuner.work.kind == "decay" and tuner.position == tuner.work.start:
            assert equal(model.state_dict(), after), "nothing is rewound between the two"
        kinds.append(tuner.work.kind)
        tuner.step(update(model, optimizer, batch))
        after, most = copy.deepcopy(model.state_dict()), max(most, len(list(tmp_path.iterdir())))
    assert kinds[:24] == (["probe"] * 8 + ["decay"] * 4) * 2
    assert tuner.trained == 240 + 2 * 24 + 3 * 12 + spent
    assert most == (1 if keep == 0 else 2 + keep)
    plain, plain_optimizer = make()
    train_by(tuner.schedule(), plain, plain_optimizer, epochs(RewindableLoader(loader())))
    assert equal(model.state_dict(), plain.state_dict())


def test_a_decay_that_is_scored_by_validation_validates_at_its_end():
    model, optimizer = make()
    at = []

    def validate():
        at.append((tuner.work.kind, tuner.position))
        return 1.0 + tuner.work.lr

    numbers = {**NUMBERS, "forecast": "decayed", "validation_from": 0, "winner": "forecast"}
    tuner = AutoLRS(model, optimizer, RewindableLoader(loader()), validate=validate, **numbers)
    for batch in tuner.batches():
        tuner.step(update(model, optimizer, batch))
    assert [position for kind, position in at if kind == "decay"] == [10] * 3 + [100] * 3
    assert tuner.schedule().lrs[0] == min(work.lr for work in tuner._state.passed[0].worths)


def test_stages_that_are_scored_by_validation_validate_at_even_distances_and_draw_nothing():
    model, optimizer = make()
    at, whole = [], examples()

    def validate():
        at.append((tuner.work.stage, tuner.work.probe, tuner.work.kind, tuner.position))
        torch.rand(3)
        model.eval()
        with torch.no_grad():
            loss = nn.functional.mse_loss(model(whole.tensors[0]), whole.tensors[1])
        model.train()
        return loss

    tuner = AutoLRS(
        model, optimizer, RewindableLoader(loader()), validate=validate, validation_from=1, validations=8, **NUMBERS
    )
    for batch in tuner.batches():
        tuner.step(update(model, optimizer, batch))
    probes = [position for stage, probe, kind, position in at if (stage, probe, kind) == (1, 1, "probe")]
    assert probes == list(range(82, 97, 2))
    assert all(stage == 1 for stage, *_ in at)
    commit = [position for *_, kind, position in at if kind == "commit"]
    assert commit == list(range(98, 241, 2))
    plain, plain_optimizer = make()
    train_by(tuner.schedule(), plain, plain_optimizer, epochs(RewindableLoader(loader())))
    assert equal(model.state_dict(), plain.state_dict())


def test_warmup_and_cooldown_are_trained_and_belong_to_the_schedule():
    model, optimizer = make()
    numbers = {"steps": 300, "warmup_steps": 20, "warmup_lr": 0.1, "cooldown_fraction": 0.2}
    tuner = train(model, optimizer, RewindableLoader(loader()), **numbers)
    lrs = tuner.schedule().lrs
    assert lrs[:20] == pytest.approx([0.1 * (i + 1) / 20 for i in range(20)])
    assert (len(lrs), lrs[240], lrs[299]) == (300, lrs[239], pytest.approx(lrs[239] / 60))
    plain, plain_optimizer = make()
    train_by(tuner.schedule(), plain, plain_optimizer, epochs(RewindableLoader(loader())))
    assert equal(model.state_dict(), plain.state_dict())


def test_a_run_without_an_end_goes_on_until_its_loop_is_left():
    model, optimizer = make()
    tuner = AutoLRS(model, optimizer, loader(), **{**NUMBERS, "steps": None, "longest_stage": 80})
    for batch in tuner.batches():
        tuner.step(update(model, optimizer, batch))
        if tuner.position == 400:
            break
    assert tuner.schedule().steps == 400


def test_a_loop_of_ones_own_fetches_its_batches_again_after_a_rewind():
    model, optimizer = make()
    data = RewindableLoader(loader())
    tuner = AutoLRS(model, optimizer, data, settings=Settings(**NUMBERS, validation_from=None))
    while not tuner.done:
        for batch in data:
            if tuner.step(update(model, optimizer, batch)) or tuner.done:
                break
    same, same_optimizer = make()
    train(same, same_optimizer, RewindableLoader(loader()))
    assert equal(model.state_dict(), same.state_dict())


def test_bad_input_is_refused_in_one_line():
    model, optimizer = make()
    settings = Settings(**NUMBERS)
    for options, text in [
        ({"settings": settings, "low": 1}, "either settings or its fields, but got settings and low"),
        ({"low": 1e-3, "hihg": 1}, "unexpected keyword argument 'hihg'"),
        ({"settings": replace(settings, validation_from=1)}, "stages from 1 on are scored by validation losses"),
        ({**NUMBERS, "keep": -1}, "keep must be at least 0, but got -1"),
        ({**NUMBERS, "data": 3}, "an iterable of batches or a function of their number, but got 3"),
        ({**NUMBERS, "scaler": 3}, "scaler must have state_dict and load_state_dict, but int has not"),
    ]:
        with pytest.raises(UsageError, match=text):
            AutoLRS(model, optimizer, **options)
    tuner = AutoLRS(model, optimizer, **NUMBERS)
    with pytest.raises(UsageError, match="a loss must be one number"):
        tuner.step(torch.zeros(2))
    with pytest.raises(UsageError, match="needs data"):
        next(tuner.batches())
    optimizer.param_groups[0]["lr"] = 0.0
    with pytest.raises(UsageError, match="the first one's above 0"):
        AutoLRS(model, optimizer, **NUMBERS)
