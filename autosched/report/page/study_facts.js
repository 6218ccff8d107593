// Further facts of a study: the peak LR, its target, holdouts, how often intervals held.

const PHRASES = { no_cooldown: "before a run had cooled", cooling: "before a run was complete", complete: "after" };

function peakSection(view) {
  const { summary } = view.head, parts = [];
  const tested = summary.range_test;
  if (tested) {
    const edge = typeof tested.divergence_lr === "number" ? `training diverges at ${short(tested.divergence_lr)}` : "no divergence seen";
    parts.push(el("p", {}, typeof tested.low === "number" ? `Range test: peak_lr from ${short(tested.low)} to ${short(tested.high)}; ${edge} (${tested.steps} updates).` : `Range test: no bounds: ${tested.reason} (${tested.steps} updates).`));
    if (view.head.range) parts.push(picture("range", () => rangePicture(page.view), 300));
  }
  if (summary.stages.length) parts.push(table("stages", "Stages: the LR that each was trained with", [{ head: "stage", number: true, cell: (s) => s.stage }, { head: "to update", number: true, cell: (s) => count(s.step) }, { head: "LR", number: true, cell: (s) => short(s.lr) }, { head: "tried by trial", number: true, cell: (s) => s.trial }], summary.stages));
  if (summary.lr_sensitivity.length) parts.push(...sensitivity(summary.lr_sensitivity));
  return parts.length ? parts : [sentence("Nothing is known of the peak LR yet.")];
}

function sensitivity(found) {
  const known = (key) => (row) => (typeof row[key] === "number" ? short(row[key]) : "");
  return [el("p", {}, "LR sensitivity is the expected excess loss when the peak LR is drawn log-uniformly from the range instead of chosen, diverged runs counting as untrained (Wortsman et al. 2023). It compares over equal ranges only."),
    table("sensitivity", "LR sensitivity", [{ head: "family", cell: (row) => row.family }, { head: "sensitivity (nats)", number: true, cell: (row) => (typeof row.value === "number" ? number(row.value) : "") },
      { head: "from LR", number: true, cell: known("low") }, { head: "to LR", number: true, cell: known("high") }, { head: "best LR", number: true, cell: known("best_lr") },
      { head: "from", cell: (row) => (typeof row.value === "number" ? `${row.runs} trials in ${row.cells} quarter decades` : row.reason) }], found)];
}

function rangePicture(view) {
  const { lrs, losses } = view.head.range, { low, high, divergence_lr: edge } = view.head.summary.range_test;
  const known = losses.filter((loss) => typeof loss === "number"), start = known[0], least = Math.min(...known), pad = 0.08 * Math.max(start - least, 1e-3);
  const shapes = typeof low === "number" ? [{ type: "rect", xref: "x", yref: "paper", x0: low, x1: high, y0: 0, y1: 1, fillcolor: "#009e73", opacity: 0.14, line: { width: 0 } }] : [];
  if (typeof edge === "number") shapes.push({ type: "line", xref: "x", yref: "paper", x0: edge, x1: edge, y0: 0, y1: 1, line: { color: "#d55e00", dash: "dash", width: 1.6 } });
  return { data: [{ x: lrs, y: losses, mode: "markers", type: "scatter", marker: { size: 3, color: colour("muted") }, hovertemplate: "LR %{x:.3g}: %{y:.4f}<extra></extra>" }],
    alt: "Training loss against the LR in the range test.", caption: "One model, trained once while the LR rises exponentially. The search's bounds are shaded; dashed: where training diverges.",
    layout: { shapes, showlegend: false, xaxis: { title: "LR", type: "log", exponentformat: "power" }, yaxis: { title: "training loss (nats)", range: [least - pad, start + 6 * pad] } } };
}

function targetSection(view) {
  const { target } = view.head.summary;
  if (!target) return [sentence("The space names no target.")];
  const parts = [];
  if (target.new) {
    const fresh = target.new, size = [`${fresh.steps} updates`, ...["batch", "width"].filter((name) => fresh[name]).map((name) => `${name} ${fresh[name]}`)].join(", ");
    parts.push(el("p", {}, `For ${size}: peak LR ${short(fresh.peak_lr)}, 90% interval ${short(fresh.low)} to ${short(fresh.high)}. The whole schedule is in `, el("code", {}, "target.json"), "."));
    parts.push(table("rules", "Rules that were used", [{ head: "rule", cell: (r) => r.name }, { head: "peak LR times", number: true, cell: (r) => short(r.factor) }, { head: "says", cell: (r) => r.formula }, { head: "known to hold for", cell: (r) => r.validity }], target.rules));
    if (typeof target.factor_of_others === "number") parts.push(el("p", {}, `That is for ${target.weights}, in a parameter group of their own; all others keep ${short(target.old.peak_lr * target.factor_of_others)}: `, el("code", {}, "target-others.json"), "."));
    parts.push(...target.warnings.map((warning) => el("p", {}, `Warning: ${warning}`)));
  }
  const { ladder } = target;
  if (ladder) {
    parts.push(table("rungs", `Fitted to the ladder: ${ladder.formula}`, [{ head: "study", cell: (r) => r.study }, { head: ladder.axis === "horizon" ? "updates" : "width", number: true, cell: (r) => short(r.size) }, { head: "best peak LR", number: true, cell: (r) => short(r.peak_lr) },
      { head: "90% interval", cell: (r) => `within a factor of ${Math.exp(1.6449 * r.log_sd).toFixed(2)}` }], ladder.rungs));
    const { check } = ladder;
    if (check) parts.push(el("p", {}, `The smaller ones say ${short(check.predicted)} (${short(check.low)} to ${short(check.high)}) of the largest, where ${short(check.found)} was found: the rule ${check.held ? "holds" : "does not hold"}.`));
    parts.push(picture("ladder", () => ladderPicture(page.view), 320));
  }
  return parts;
}

function ladderPicture(view) {
  const { target } = view.head.summary, { ladder } = target, sizes = ladder.rungs.map((rung) => rung.size), peaks = ladder.rungs.map((rung) => rung.peak_lr);
  const wide = ladder.rungs.map((rung) => Math.exp(1.6449 * rung.log_sd)), base = sizes[sizes.length - 1];
  const end = target.new ? target.new[ladder.axis === "horizon" ? "steps" : "width"] : base, last = Math.max(end, base);
  const at = Array.from({ length: 40 }, (_, i) => sizes[0] * (last / sizes[0]) ** (i / 39));
  const spread = (values, low, high) => ({ type: "data", symmetric: false, array: values.map((value, i) => high(value, i) - value), arrayminus: values.map((value, i) => value - low(value, i)) });
  const data = [{ x: at, y: at.map((size) => Math.exp(ladder.intercept + ladder.exponent * Math.log(size / base))), mode: "lines", type: "scatter", name: plain(ladder.formula), line: { color: "#0072b2", width: 2 } },
    { x: sizes, y: peaks, mode: "markers", type: "scatter", name: "studies, 90% intervals", marker: { color: colour("ink"), size: 8 }, error_y: spread(peaks, (value, i) => value / wide[i], (value, i) => value * wide[i]) }];
  if (target.new) data.push({ x: [end], y: [target.new.peak_lr], mode: "markers", type: "scatter", name: "target", marker: { symbol: "square", color: "#e69f00", size: 9 }, error_y: spread([target.new.peak_lr], () => target.new.low, () => target.new.high) });
  return { data, alt: `Best peak LR against ${ladder.axis} of ${sizes.length} studies, and the power fitted to them.`, caption: "Best peak LRs of the ladder's studies, the power fitted to them, and what it says of the target.",
    layout: { xaxis: { type: "log", title: ladder.axis === "horizon" ? "updates" : "width" }, yaxis: { type: "log", title: "best peak LR" } } };
}

function holdoutSection(view) {
  const found = view.head.holdouts.filter((one) => view.trials[one.trial]);
  if (!found.length) return [sentence("No condemned trial was kept as a holdout.")];
  const wrong = found.filter((one) => one.false_kill === true).length, verdict = (one) => (one.false_kill === null ? "still open" : one.false_kill ? "false kill" : "right to stop");
  const best = winnerOf(view);
  return [el("p", {}, `The pruner wanted to stop these trials, and ${found.length} of those it condemned went on to check it. ${wrong} ended below the best loss that was known when they were condemned: false kills.`),
    table("holdouts", "Holdouts", [{ head: "trial", number: true, cell: (one) => trialButton(view.trials[one.trial], best), value: (one) => one.trial }, { head: "condemned at", number: true, cell: (one) => count(one.step) },
      { head: "best then", number: true, cell: (one) => (typeof one.incumbent === "number" ? number(one.incumbent) : "none yet") }, { head: "ended with", number: true, cell: (one) => (typeof one.value === "number" ? number(one.value) : view.trials[one.trial].status) }, { head: "verdict", cell: verdict }], found)];
}

function reliabilityPicture(view) {
  const { probabilities, shares } = view.head.reliability;
  if (!shares) return "No forecast can be compared with an end yet.";
  const tints = { no_cooldown: "#d55e00", cooling: "#e69f00", complete: "#0072b2" }, of = view.head.summary.calibration;
  const data = Object.entries(shares).map(([stage, held]) => ({ x: probabilities, y: held, mode: "lines+markers", type: "scatter", marker: { size: 4 }, line: { color: tints[stage], width: 1.6 },
    name: `${PHRASES[stage]}: ${of[stage].forecasts} forecasts, ${signed(of[stage].bias)} nats, 90% within ${number(of[stage].width, 3)}`, hovertemplate: "%{x:.0%} claimed, %{y:.0%} inside<extra></extra>" }));
  data.push({ x: [0, 1], y: [0, 1], mode: "lines", type: "scatter", hoverinfo: "skip", showlegend: false, line: { color: colour("muted"), width: 1 } });
  return { data, alt: "Share of ends inside central intervals against the intervals' probability.", caption: "How many ends lay inside central intervals of each probability. Under the diagonal intervals were too narrow, above it too wide; forecasts of one run hang together, so a few runs say little.",
    layout: { xaxis: { title: "probability of the interval", range: [0, 1], tickformat: ".0%" }, yaxis: { title: "share inside", range: [0, 1], tickformat: ".0%" }, legend: { orientation: "h", y: -0.25, yanchor: "top", font: { size: 10 } } } };
}
