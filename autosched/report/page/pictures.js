// The pictures of one study. Each takes a view (fold.js) and gives what charts.js draws, or a sentence.

const LINES = 400, POINTS = 1000; // of very many trials: the best, the chosen one, and the default

/** The trials worth drawing, fresh seeds left out: all, or of very many those with the lowest losses. */
function drawnOf(view, most) {
  const trials = view.trials.filter((trial) => trial && trial.role !== "confirm");
  if (trials.length <= most) return trials;
  const first = (trial) => (trial.trial === page.chosen || trial.role === "default" ? -Infinity : lossOf(trial) ?? Infinity);
  return [...trials].sort((a, b) => first(a) - first(b)).slice(0, most);
}

function left(view, most) {
  const all = view.trials.filter((trial) => trial && trial.role !== "confirm").length;
  return all > most ? ` Of ${count(all)} trials the ${count(most)} with the lowest losses are drawn; the table has all.` : "";
}

function runsOf(view, updates) {
  return updates / view.head.horizon;
}

/** Losses worth a scale: the ends of the runs; what happens in the first tenth may leave it. */
function lossWindow(view, trials) {
  const tops = [], lows = [];
  for (const trial of trials) {
    const { steps, losses } = seenOf(trial);
    const late = losses.filter((loss, i) => steps[i] >= 0.1 * view.head.horizon && typeof loss === "number");
    if (late.length) { tops.push(late[0]); lows.push(Math.min(...late)); }
    for (const [, loss] of trial.merged || []) if (typeof loss === "number") lows.push(loss);
  }
  if (!lows.length) return undefined;
  tops.sort((a, b) => a - b);
  const low = Math.min(...lows), high = tops[Math.floor(tops.length / 2)] ?? low + 1;
  const pad = 0.06 * Math.max(high - low, 1e-3);
  return [low - pad, high + pad];
}

/** The highest of sorted losses that a scale shows: all of a few, nine tenths of many. */
function usualTop(values) {
  return values[values.length < 10 ? values.length - 1 : Math.floor(0.9 * (values.length - 1))];
}

function shareOf(view) {
  const rank = ranks(view.trials.filter(Boolean).map((trial) => trial.value));
  return (trial) => (typeof trial.value === "number" ? rank(trial.value) : null);
}

function curvesPicture(view) {
  const trials = drawnOf(view, LINES).filter((trial) => trial.step > 0 && trial.steps);
  if (!trials.length) return "No loss has been seen yet.";
  const xy = (trial) => { const seen = seenOf(trial); return [seen.steps, seen.losses]; };
  const data = lines(view, trials, xy, shareOf(view));
  const merged = mergedLines(view, trials);
  if (merged) data.push(merged);
  data.push(...fans(view, trials));
  const best = winnerOf(view), chosen = view.trials[page.chosen];
  if (best) data.push(bold(view, best, xy, `winner, trial ${best.trial}`, colour("accent")));
  if (chosen && chosen !== best) data.push(bold(view, chosen, xy, `trial ${chosen.trial}`, colour("ink")));
  return {
    data, alt: `Validation loss against updates of ${trials.length} trials${best ? `; the best, trial ${best.trial}, ends at ${number(best.value)}` : ""}.`,
    caption: "Validation loss; the colour is the final loss, grey runs are not complete. Dotted: the loss of the mean of the last weights, near what a "
      + "cooldown would give there. Bars at the right edge: forecasts of running trials and of the chosen one, with 90% intervals." + left(view, LINES),
    layout: { xaxis: { title: "updates", range: [0, 1.03 * view.head.horizon] }, yaxis: { title: "validation loss (nats)", range: lossWindow(view, trials) } },
  };
}

function bold(view, trial, xy, name, tint) {
  const [x, y] = xy(trial);
  return { x, y, name: plain(name), customdata: x.map(() => trial.trial), text: x.map(() => hover(view, trial)), mode: "lines", type: "scatter",
    hovertemplate: "%{text}<extra></extra>", line: { color: tint, width: 2.8 } };
}

function mergedLines(view, trials) {
  const into = { x: [], y: [], customdata: [] };
  for (const trial of trials) {
    const seen = (trial.merged || []).filter(([step]) => step <= trial.step);
    for (const [step, loss] of seen) { into.x.push(step); into.y.push(loss); into.customdata.push(trial.trial); }
    if (seen.length) { into.x.push(null); into.y.push(null); into.customdata.push(null); }
  }
  return into.x.length ? { ...into, name: "annealed: mean of the last weights", mode: "lines+markers", type: "scatter", hoverinfo: "skip",
    line: { dash: "dot", width: 1, color: colour("muted") }, marker: { size: 3, color: colour("muted") } } : null;
}

/** From where a running trial stands to its forecast at the horizon. */
function fans(view, trials) {
  const told = trials.filter((trial) => trial.forecast && (trial.status === "running" || trial.trial === page.chosen));
  return told.slice(0, 24).map((trial, place) => {
    const { steps, losses } = seenOf(trial), horizon = view.head.horizon;
    const from = [steps[steps.length - 1], losses[losses.length - 1]], [mean, low, high] = trial.forecast;
    const tint = trial.trial === page.chosen ? colour("ink") : "#009e73";
    return { x: [from[0], horizon, horizon, from[0]], y: [from[1], low, high, from[1]], customdata: Array(4).fill(trial.trial), fill: "toself", fillcolor: `${tint}22`,
      mode: "lines", type: "scatter", line: { color: tint, width: 0.6 }, name: "forecast, 90% interval", legendgroup: "fan", showlegend: place === 0,
      text: hover(view, trial, `forecast at update ${trial.forecasts[trial.forecasts.length - 1].step}: ${number(mean)}`), hoveron: "fills", hoverinfo: "text" };
  });
}

function lrPicture(view) {
  const trials = drawnOf(view, LINES);
  if (!trials.length) return "No schedule has been proposed yet.";
  const xy = (trial) => trial.lr || [[], []];
  const data = lines(view, trials, xy, shareOf(view));
  const best = winnerOf(view), chosen = view.trials[page.chosen], first = view.trials.find((trial) => trial && trial.role === "default");
  if (first && first !== best) data.push({ ...bold(view, first, xy, "default", colour("ink")), line: { color: colour("ink"), width: 1.6, dash: "dash" } });
  if (best) data.push(bold(view, best, xy, `winner, trial ${best.trial}`, colour("accent")));
  if (chosen && chosen !== best) data.push(bold(view, chosen, xy, `trial ${chosen.trial}`, colour("ink")));
  return {
    data, alt: `Learning rate against updates of ${trials.length} schedules${best ? `; the best is ${describe(best)}` : ""}.`,
    caption: "The schedule of every trial, in the colours of the losses." + left(view, LINES),
    layout: { xaxis: { title: "updates", range: [0, view.head.horizon] }, yaxis: { title: "LR", exponentformat: "power", ...axisOfLrs(trials) } },
  };
}

/** A log axis where the peaks spread over more than a decade. */
function axisOfLrs(trials) {
  const peaks = trials.map(peakOf).filter((peak) => peak > 0);
  const low = Math.min(...peaks), high = Math.max(...peaks);
  return high > 10 * low ? { type: "log", range: [Math.log10(low) - 1.3, Math.log10(high) + 0.1] } : { rangemode: "tozero" };
}

function historyPicture(view) {
  const ended = drawnOf(view, POINTS).filter((trial) => trial.ended && lossOf(trial) !== null);
  if (!ended.length) return "No trial has ended yet.";
  const xy = (trial) => [trial.ended ? runsOf(view, trial.ended.spent) : null, trial.ended ? lossOf(trial) : null];
  const steps = [...view.best.map((one) => [runsOf(view, one.spent), one.value])];
  if (steps.length) steps.push([runsOf(view, view.spent), steps[steps.length - 1][1]]);
  const values = ended.map((trial) => lossOf(trial)).sort((a, b) => a - b);
  const low = values[0], high = usualTop(values), pad = 0.1 * Math.max(high - low, 1e-3);
  const best = view.best[view.best.length - 1];
  return {
    data: [
      ...points(view, ended, xy),
      { x: steps.map(([x]) => x), y: steps.map(([, y]) => y), mode: "lines", type: "scatter", name: "best so far", hoverinfo: "skip", line: { shape: "hv", color: colour("accent"), width: 2 } },
      ...marked(view, xy),
    ],
    alt: best ? `Final losses against full runs trained; the best so far is ${number(best.value)}, of trial ${best.trial}, after ${runsOf(view, best.spent).toFixed(1)} full runs.` : "Forecasts of trials that ended early against full runs trained.",
    caption: "Final losses (trials that ended early: their last forecast) when they were known, and the best so far." + left(view, POINTS),
    layout: { xaxis: { title: "full runs trained", rangemode: "tozero" }, yaxis: { title: "final loss (nats)", range: [low - pad, high + 3 * pad] } },
  };
}

function forecastPicture(view) {
  const told = view.told.slice(-2000);
  if (!told.length) return "No forecast can be compared with an end yet.";
  const held = told.map((one) => one.at[1] <= one.value && one.value <= one.at[2]);
  const kinds = [["inside its 90% interval", true, "#0072b2", "circle"], ["outside", false, "#d55e00", "x-thin-open"]];
  const data = kinds.map(([name, inside, tint, symbol]) => {
    const some = told.filter((_, i) => held[i] === inside);
    return { x: some.map((one) => runsOf(view, one.spent)), y: some.map((one) => one.at[0] - one.value), customdata: some.map((one) => one.trial),
      text: some.map((one) => hover(view, view.trials[one.trial], `forecast at update ${one.step}: ${interval(one.at)}`)), name, mode: "markers", type: "scatter",
      hovertemplate: "%{text}<extra></extra>", marker: { color: tint, symbol, size: 7, line: { width: 1.5, color: tint } },
      error_y: { type: "data", symmetric: false, array: some.map((one) => one.at[2] - one.at[0]), arrayminus: some.map((one) => one.at[0] - one.at[1]), thickness: 0.6, width: 0, color: `${tint}66` } };
  });
  const inside = held.filter(Boolean).length;
  return {
    data, alt: `${inside} of ${told.length} ends lay inside the 90% interval that was forecast.`,
    caption: `Forecast minus the loss that was seen, by when the forecast was made. ${inside} of ${told.length} ends lay inside their 90% interval.`,
    layout: { xaxis: { title: "full runs trained when it was forecast", rangemode: "tozero" }, yaxis: { title: "forecast − seen (nats)", zeroline: true, zerolinewidth: 2 } },
  };
}

/** Share of ends inside their 90% intervals, as it was known when each trial ended. */
function coveragePicture(view) {
  if (!view.told.length) return "No forecast can be compared with an end yet.";
  let inside = 0;
  const known = new Map(); // by when a trial ended: all its forecasts are told at once
  view.told.forEach((one, i) => {
    inside += one.at[1] <= one.value && one.value <= one.at[2] ? 1 : 0;
    known.set(runsOf(view, one.ended), inside / (i + 1));
  });
  known.set(runsOf(view, view.spent), inside / view.told.length);
  const x = [...known.keys()], y = [...known.values()];
  return {
    data: [{ x, y, mode: "lines", type: "scatter", line: { shape: "hv", color: "#0072b2", width: 2 }, name: "inside so far", hovertemplate: "%{y:.0%} inside after %{x:.1f} full runs<extra></extra>" },
      { x: [0, runsOf(view, view.spent)], y: [0.9, 0.9], mode: "lines", type: "scatter", hoverinfo: "skip", name: "claimed", line: { color: colour("muted"), dash: "dot", width: 1.5 } }],
    alt: `${(100 * y[y.length - 1]).toFixed(0)}% of the ends lay inside their 90% intervals so far.`,
    caption: "Coverage so far: how many ends of complete trials lay inside the 90% intervals that were forecast for them.",
    layout: { xaxis: { title: "full runs trained", rangemode: "tozero" }, yaxis: { title: "share inside", range: [0, 1.02], tickformat: ".0%" } },
  };
}

const COST_PARTS = [["trained", "#0072b2"], ["reused", "#56b4e9"], ["saved: pruned", "#e69f00"], ["saved: diverged", "#cc79a7"], ["left open", "#8a8f98"]];

/** A trial's plan in updates, cut into the parts of COST_PARTS; what was paused is left open, not saved. */
function costOf(trial, view) {
  const [trained, reused, rest] = view.whole ? trial.cost : costThen(trial);
  const place = trial.status === "pruned" ? 2 : trial.status === "diverged" ? 3 : 4;
  const parts = [trained, reused, 0, 0, 0];
  parts[place] += rest;
  return parts;
}

/** The same at an earlier moment: shared updates lie before those that were trained. */
function costThen(trial) {
  const reused = Math.min(trial.cost[1], trial.step);
  return [trial.step - reused, reused, Math.max(...trial.turns.map((turn) => turn.until)) - trial.step];
}

function costPicture(view) {
  const trials = view.trials.filter(Boolean);
  if (!trials.length) return "Nothing has been trained yet.";
  const group = Math.ceil(trials.length / 200);
  const bins = [];
  for (let i = 0; i < trials.length; i += group) {
    const some = trials.slice(i, i + group).map((trial) => costOf(trial, view));
    bins.push(COST_PARTS.map((_, part) => some.reduce((sum, one) => sum + one[part], 0) / view.head.horizon));
  }
  const x = bins.map((_, i) => i * group);
  const data = COST_PARTS.map(([name, tint], part) => ({
    x, y: bins.map((bin) => bin[part]), customdata: group === 1 ? x : x.map(() => null), text: x.map((at) => (group === 1 ? hover(view, trials[at]) : `trials ${at} to ${Math.min(at + group, trials.length) - 1}`)),
    type: "bar", name, textposition: "none", marker: { color: tint, line: { width: 0 } }, hovertemplate: "%{text}<br>%{y:.2f} full runs<extra>%{fullData.name}</extra>",
  })).filter((trace) => trace.y.some((value) => value > 0));
  return {
    data, alt: `Cost by trial: ${runsOf(view, view.spent).toFixed(1)} full runs trained in all.`,
    caption: `Every trial's plan, cut into what happened to it${group > 1 ? `; each bar is ${group} trials` : ""}. Saved is only what would have been trained: the rest of pruned and diverged trials.`,
    layout: { barmode: "stack", bargap: 0.15, xaxis: { title: "trial" }, yaxis: { title: "full runs" } },
  };
}
