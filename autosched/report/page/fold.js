// What was known at a moment: the moments before it, folded as autosched/ledger/fold.py folds events.

const CLOSED = new Set(["complete", "reached", "pruned", "paused", "diverged", "failed", "stopped"]);

/** The study after its first `until` moments. */
function viewAt(study, until) {
  const view = {
    until, head: study.head, trials: [], best: [], spent: 0, time: 0, finished: null, running: new Map(),
    told: [], workers: new Map(), last: study.moments[until - 1] || null, whole: until === study.moments.length,
  };
  for (let place = 0; place < until; place += 1) happen(view, study, study.moments[place], place);
  return view;
}

function happen(view, study, moment, place) {
  view.spent = moment.spent;
  view.time = moment.time;
  const trial = moment.trial === undefined ? null : view.trials[moment.trial];
  const step = HAPPENS[moment.kind];
  if (step) step(view, trial, moment, study, place);
}

const HAPPENS = {
  trial_proposed(view, _, moment, study) {
    view.trials[moment.trial] = {
      ...study.trials[moment.trial], role: moment.role, until: moment.until, status: "running", step: 0, value: null,
      reason: "", forecast: null, forecasts: [], decisions: [], turns: [moment], worker: null, ended: null,
    };
  },
  trial_resumed(view, trial, moment) {
    Object.assign(trial, { role: moment.role, until: moment.until, status: "running", reason: "", ended: null });
    trial.turns.push(moment);
    trial.decisions.push({ kind: moment.kind, action: "resume", text: moment.text });
  },
  segment_scheduled(view, trial, moment) {
    view.running.set(moment.trial, moment);
  },
  segment_finished(view, trial, moment) {
    if (trial) trial.worker = moment.worker;
    if (moment.worker) view.workers.set(moment.worker, (view.workers.get(moment.worker) || 0) + 1);
  },
  trial_advanced(view, trial, moment) {
    trial.step = moment.step;
    view.running.delete(moment.trial);
  },
  trial_judged(view, trial, moment) {
    trial.decisions.push(moment);
    if (!moment.forecast) return;
    trial.forecast = moment.forecast;
    trial.forecasts.push({ step: moment.step, at: moment.forecast, spent: moment.spent });
  },
  trial_ended(view, trial, moment) {
    Object.assign(trial, { status: moment.status, step: moment.step, reason: moment.text || "", value: moment.value ?? null, ended: moment });
    view.running.delete(moment.trial);
    if (moment.status !== "complete" || trial.role === "confirm" || typeof trial.value !== "number") return;
    for (const one of trial.forecasts) view.told.push({ ...one, trial: trial.trial, value: trial.value, ended: moment.spent });
    const before = view.best[view.best.length - 1];
    if (!before || trial.value < before.value) view.best.push({ trial: trial.trial, value: trial.value, spent: moment.spent });
  },
  study_finished(view, _, moment) {
    view.finished = moment;
  },
};

/** The winner: at the study's end the one that its fresh seeds name, before it the best so far. */
function winnerOf(view) {
  const named = view.whole ? view.head.summary.best : null;
  if (named) return view.trials[named.trial];
  const best = view.best[view.best.length - 1];
  return best ? view.trials[best.trial] : null;
}

/** What a trial is to a reader: pilots, paused and pruned trials are three things, and so are runs on fresh seeds. */
function groupOf(trial) {
  if (trial.role === "confirm") return "fresh seed";
  if (trial.turns.every((turn) => turn.role === "pilot")) return "pilot";
  return trial.status;
}

function roleOf(trial) {
  return trial.role === "confirm" ? `confirms ${trial.of}` : trial.role.replace(/_/g, " ");
}

/** A trial's curve as far as it was known then. */
function seenOf(trial) {
  const steps = trial.steps || [];
  let last = steps.length;
  while (last && steps[last - 1] > trial.step) last -= 1;
  return { steps: steps.slice(0, last), losses: (trial.losses || []).slice(0, last) };
}

function lossOf(trial) {
  if (typeof trial.value === "number") return trial.value;
  return trial.forecast ? trial.forecast[0] : null;
}

function describe(trial) {
  const beside = trial.beside ? ` with ${listed(trial.beside)}` : "";
  return `${trial.family}(${listed(trial.params)})${beside}`;
}

/** What all trials of a family have in common, which need not be repeated for each. */
function commonOf(trials) {
  const common = {};
  for (const trial of trials) {
    const known = common[trial.family];
    if (!known) { common[trial.family] = { ...trial.params }; continue; }
    for (const name of Object.keys(known)) if (known[name] !== (trial.params || {})[name]) delete known[name];
  }
  return common;
}

function commonIn(view) {
  return (view.common ||= commonOf(view.trials.filter(Boolean)));
}

function differing(trial, common, alone) {
  const same = alone ? {} : common[trial.family] || {};
  const own = Object.fromEntries(Object.entries(trial.params || {}).filter(([name]) => !(name in same)));
  return describe({ ...trial, params: own });
}
