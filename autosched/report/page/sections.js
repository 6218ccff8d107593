// The parts of a study's page in words and tables. Each takes a view and gives nodes; one without content, a sentence.

function trialButton(trial, best) {
  const star = best && best.trial === trial.trial;
  return el("button", { class: star ? "trial best" : "trial", onclick: () => choose(trial.trial), "aria-pressed": page.chosen === trial.trial ? "true" : "false",
    "aria-label": `${star ? "winner, " : ""}trial ${trial.trial}`, "data-focus": `trial-${trial.trial}` }, `${star ? "★ " : ""}${trial.trial}`);
}

function columnsOf(view, ...names) {
  const best = winnerOf(view), common = commonIn(view), alone = view.trials.length === 1;
  const all = {
    trial: { head: "trial", number: true, cell: (t) => trialButton(t, best), value: (t) => t.trial },
    role: { head: "role", cell: (t) => roleOf(t) },
    schedule: { head: "schedule", cell: (t) => el("code", {}, differing(t, common, alone)), value: (t) => describe(t) },
    peak: { head: "peak LR", number: true, cell: (t) => short(peakOf(t)), value: peakOf },
    status: { head: "status", cell: (t) => t.status },
    step: { head: "updates", number: true, cell: (t) => count(t.step), value: (t) => t.step },
    loss: { head: "loss", number: true, cell: (t) => (typeof t.value === "number" ? number(t.value) : ""), value: (t) => t.value ?? Infinity },
    forecast: { head: "last forecast (90%)", number: true, cell: (t) => (t.forecast ? interval(t.forecast) : ""), value: (t) => (t.forecast ? t.forecast[0] : Infinity) },
    reason: { head: "why", cell: (t) => t.reason },
    now: { head: "in training", number: true, cell: (t) => { const order = view.running.get(t.trial); return order ? `${order.start} to ${order.step}` : "waits"; }, value: (t) => t.step },
    until: { head: "meant to reach", number: true, cell: (t) => count(t.until), value: (t) => t.until },
    worker: { head: "last on", cell: (t) => t.worker || "" },
  };
  return names.map((name) => all[name]);
}

function peakOf(trial) {
  return trial.lr ? Math.max(...trial.lr[1]) : null;
}

function trialTable(view, key, caption, trials, ...names) {
  return table(key, caption, columnsOf(view, ...names), trials, (trial) => trial.trial === page.chosen);
}

function sentence(text) {
  return el("p", { class: "quiet" }, text);
}

function card(label, value, note, first) {
  return el("div", { class: first ? "card first" : "card" }, el("div", { class: "label" }, label), el("div", { class: "value" }, value), el("div", { class: "note" }, note));
}

function cardsOf(view) {
  const { summary, horizon } = view.head;
  return el("div", { class: "cards" }, winnerCard(view), gainCard(view, summary), costCard(view, summary, horizon), timeCard(view, summary), coverageCard(view));
}

function winnerCard(view) {
  const best = winnerOf(view);
  if (!best) return card("Winner", "none", "no trial has reached the horizon", true);
  const told = best.forecasts[best.forecasts.length - 1];
  const predicted = told ? `; forecast ${interval(told.at)} at update ${told.step}` : "";
  return card(view.finished ? "Winner's loss (nats)" : "Best so far (nats)", number(best.value), `trial ${best.trial}, ${count(view.head.horizon)} updates${predicted}`, true);
}

function gainCard(view, summary) {
  const best = winnerOf(view), first = view.trials.find((trial) => trial && trial.role === "default");
  const label = "Gain over the default (nats)";
  if (!best || !first || typeof first.value !== "number") return card(label, "unknown", "the space has no default, or it is not complete");
  if (best === first) return card(label, "none", "nothing the search tried is better than the default");
  const sure = view.whole && summary.confirmation;
  if (!sure || typeof sure.gain !== "number") return card(label, signed(first.value - best.value), `on the search's own seed, default ${number(first.value)}; not confirmed on fresh seeds`);
  const range = typeof sure.gain_low === "number" ? `90% interval ${signed(sure.gain_low)} to ${signed(sure.gain_high)}${sure.gain_low > 0 ? "" : "; it may be chance"}` : "one seed has no interval";
  return card(label, signed(sure.gain), `on ${plural(sure.seeds.length, "fresh seed")}; ${range}`);
}

function signed(value) {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(4)}`;
}

function costCard(view) {
  const sums = view.trials.filter(Boolean).map((trial) => costOf(trial, view)).reduce((sum, one) => sum.map((value, i) => value + one[i]), [0, 0, 0, 0, 0]);
  const runs = (updates) => runsOf(view, updates).toFixed(1), limit = view.head.budget.steps;
  const budget = limit ? `, the search's budget is ${runs(limit)}` : "";
  return card("Full runs trained", runs(view.spent), `${plural(view.trials.length, "trial")}${budget}; ${runs(sums[1])} reused, ${runs(sums[2] + sums[3])} saved, ${runs(sums[4])} left open`);
}

function timeCard(view, summary) {
  const busy = view.whole && typeof summary.utilisation === "number" ? `workers ${(100 * summary.utilisation).toFixed(0)}% busy; ` : "";
  return card("Time", seconds(view.whole ? summary.seconds : view.time), `${busy}${plural(view.head.workers, "worker")}, backend ${view.head.backend || "none yet"}`);
}

function coverageCard(view) {
  if (!view.told.length) return card("Forecasts held", MISSING, "no forecast can be compared with an end yet");
  const inside = view.told.filter((one) => one.at[1] <= one.value && one.value <= one.at[2]).length;
  return card("Forecasts held", `${((100 * inside) / view.told.length).toFixed(0)}%`, `${inside} of ${view.told.length} ends lay inside the 90% interval forecast for them`);
}

function nowSection(view) {
  const active = view.trials.filter((trial) => trial && trial.status === "running");
  if (view.finished) return [sentence("The study is finished; nothing runs.")];
  if (!active.length) return [sentence("Nothing runs at this moment.")];
  return [trialTable(view, "now", "What is in training, and on which worker it was last", active, "trial", "role", "schedule", "now", "until", "worker", "forecast")];
}

function stoppedSection(view) {
  const groups = new Map([["paused", []], ["pruned", []], ["pilot", []]]), of = (group) => groups.get(group);
  for (const trial of view.trials) if (trial) groups.get(groupOf(trial))?.push(trial);
  const parts = [["paused", "Paused: others promised more; a paused trial may go on", "No trial is paused."],
    ["pruned", "Pruned: stopped by the pruner", "No trial is pruned."]];
  const found = parts.map(([group, caption, none]) => (of(group).length ? trialTable(view, group, caption, of(group), "trial", "schedule", "step", "forecast", "reason") : sentence(none)));
  const pilots = of("pilot");
  return [...found, pilots.length ? trialTable(view, "pilots", "Pilots: short runs that show what a peak LR does", pilots, "trial", "peak", "status", "step", "until") : sentence("There are no pilots.")];
}

function lostSection(view) {
  const lost = view.trials.filter((trial) => trial && (trial.status === "diverged" || trial.status === "failed"));
  const failures = view.head.failures;
  if (!lost.length && !failures.length) return [sentence("Nothing diverged, and nothing failed.")];
  return [lost.length ? trialTable(view, "lost", "Trials that diverged or failed", lost, "trial", "schedule", "status", "step", "reason") : null,
    failures.length ? table("failures", "Failures on workers", ["kind", "worker", "reason"].map((head) => ({ head, cell: (row) => row[head] })), failures) : null];
}

function allSection(view) {
  const trials = view.trials.filter(Boolean);
  if (!trials.length) return [sentence("No trial has been proposed yet.")];
  const common = Object.entries(commonIn(view)).map(([family, params]) => (Object.keys(params).length && trials.length > 1 ? `${family}: ${listed(params)}` : "")).filter(Boolean);
  return [common.length ? el("p", {}, "In all trials: ", el("code", {}, common.join("; "))) : null,
    trialTable(view, "all", "All trials", trials, "trial", "role", "schedule", "status", "step", "loss", "forecast", "reason")];
}

/** Whether the law was in force, by how much it misses, and what stood in for it; all as it was known then. */
function lawSection(view) {
  const { law } = view.head, fitted = page.study.law, parts = [];
  const judged = view.trials.filter(Boolean).flatMap((trial) => trial.decisions.filter((one) => one.kind === "trial_judged"));
  const without = judged.filter((one) => one.text.startsWith(law.lawless)).length;
  if (!law.used.length) parts.push(`No law takes part in what is decided: controller ${view.head.controller}, pruner ${view.head.pruner}.`);
  else if (!judged.length) parts.push(`The law is the ${law.used.join(" and the ")}; nothing has been decided yet.`);
  else if (!without) parts.push(`The law is the ${law.used.join(" and the ")}, and was in force at all ${plural(judged.length, "decision")}.`);
  else parts.push(`No law described the curves at ${without} of ${plural(judged.length, "decision")}: there TPE proposed, and Hyperband stopped trials.`);
  if (fitted?.why) parts.push(`At the end there is no law: ${fitted.why.replace(/\.?$/, ".")}`);
  else if (fitted && typeof fitted.misfit === "number") parts.push(`At the end it misses the curves by ${(100 * fitted.misfit).toPrecision(2)}% (root mean square of what it leaves unexplained).`);
  return [el("p", {}, parts.join(" "))];
}

/** That a longer search would choose among equals. */
function closeSection(view) {
  const { close } = view.head;
  if (!view.whole || !close) return [];
  return [el("p", { class: "notice" }, `Further search is below the noise of the seeds: ${plural(close.near.length, "other trial")} ended within ${number(close.reach)} nats of the best, where seeds scatter a difference by ${number(close.noise)} (${close.seeds} seeds). It would choose among equals.`)];
}

function useSection(view) {
  const best = winnerOf(view);
  if (!best) return [sentence("There is no winner yet.")];
  const rows = [...Object.entries(best.params || {}), ...Object.entries(best.beside || {}).map(([name, value]) => [`${name} (of the trainer)`, value]), ["updates", view.head.horizon]];
  const name = view.head.study;
  return [
    table("winner", `The winner: ${best.family}, trial ${best.trial}`, [{ head: "parameter", cell: (row) => row[0] }, { head: "value", cell: (row) => short(row[1]) }], rows),
    el("p", {}, "The LR of every update is in ", el("code", {}, "schedule.json"), ". With PyTorch:"),
    el("pre", { tabindex: 0 }, el("code", {}, snippet(view, best))),
    el("p", {}, "Or let ", el("code", {}, `autosched export ${name} --to torch`), " write a module that needs nothing but torch."),
  ];
}

const TORCH = { adamw: "AdamW", adam: "Adam", sgd: "SGD", rmsprop: "RMSprop", adagrad: "Adagrad", adafactor: "Adafactor", nadam: "NAdam", radam: "RAdam", muon: "Muon" };

/** Code that trains with the winner, and with the optimizer that the space trains with. */
function snippet(view, best) {
  const name = view.head.optimizer, known = name && TORCH[name.toLowerCase()];
  const made = known ? `torch.optim.${known}(model.parameters(), lr=1.0)  # the schedule holds absolute LRs`
    : `...  # ${name ? `the study's own, ${name}` : "the one that your training has"}, with lr=1.0: the schedule holds absolute LRs`;
  const lines = ["import json", "import torch", "", 'with open("schedule.json") as file:', '    lrs = json.load(file)["lrs"]  # the LR of every update', "",
    `optimizer = ${visible(made)}`, "scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: lrs[min(step, len(lrs) - 1)])", "# after every optimizer.step(): scheduler.step()"];
  if (best.beside) lines.push("", 'with open("schedule.json") as file:', '    beside = json.load(file)["hyperparameters"]  # what it was tuned with: give the model and the optimizer these');
  return lines.join("\n");
}

function againSection(view) {
  const { head } = view, { tracking } = head.summary;
  const facts = [["backend", `${head.backend || "none yet"}, workers: ${head.workers}, order: ${head.summary.order}`], ...Object.entries(head.versions), ...Object.entries(head.fingerprints).map(([name, print]) => [`SHA-256 of ${name}`, print])];
  if (tracking.run_id) facts.push(["MLflow", `run ${tracking.run_id}, experiment ${tracking.experiment}, ${tracking.uri}`]);
  return [
    el("p", {}, "The space with all defaults filled in; save it and run:"), el("pre", { tabindex: 0 }, el("code", {}, "autosched tune --space space.yaml")),
    table("facts", "Versions and code that decided the numbers", [{ head: "what", cell: (row) => row[0] }, { head: "which", cell: (row) => row[1] }], facts),
    folded("space.yaml", head.space), folded("summary as JSON", JSON.stringify(head.summary, null, 2)),
  ];
}

function folded(title, text) {
  return el("details", { "data-open": title }, el("summary", {}, title), el("pre", { tabindex: 0 }, el("code", {}, text || "")));
}

// -- the chosen trial -------------------------------------------------------------------------------------------------

function chosenSection(view) {
  const trial = view.trials[page.chosen];
  if (!trial) return [sentence("Choose a trial: click it in a picture or in a table.")];
  const turns = trial.turns.map((turn) => `${turn.role.replace(/_/g, " ")} to update ${count(turn.until)}`).join(", then ");
  const facts = [["status", `${trial.status} at update ${count(trial.step)} of ${count(view.head.horizon)}`], ["trained as", turns], ["seed", String(trial.seed)],
    ["final loss", typeof trial.value === "number" ? number(trial.value) : ""], ["last forecast (90%)", trial.forecast ? interval(trial.forecast) : ""], ["why", trial.reason], ["last on worker", trial.worker || ""],
    ...Object.entries(trial.named || {}).map(([name, losses]) => [`loss ${name}`, number(losses[losses.length - 1])])].filter(([, value]) => value !== "");
  const decisions = trial.decisions.map((one) => ({ step: one.step ?? trial.step, action: one.holdout ? "keep (holdout)" : one.action, forecast: one.forecast ? interval(one.forecast) : "", why: one.text || "" }));
  return [
    el("p", {}, el("code", {}, describe(trial))),
    table("chosen", null, [{ head: "what", cell: (row) => row[0] }, { head: `trial ${trial.trial}`, cell: (row) => row[1] }], facts),
    decisions.length ? table("decisions", "What was decided about it, and why", ["step", "action", "forecast", "why"].map((head) => ({ head: head === "forecast" ? "forecast (90%)" : head, number: head === "step", cell: (row) => row[head] })), decisions) : sentence("Nothing was decided about it yet."),
    page.live ? logOf(trial) : null,
  ];
}

function logOf(trial) {
  const shown = el("pre", { class: "log", tabindex: 0, hidden: true });
  const load = async () => {
    const answer = await fetch(`${page.live}/logs/${trial.trial}`);
    shown.textContent = visible(await answer.text());
    shown.hidden = false;
  };
  return el("div", {}, el("button", { onclick: load, "data-focus": "log" }, `what trial ${trial.trial} printed`), shown);
}
