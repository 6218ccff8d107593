// Pictures to explore the search space with: slices, parallel coordinates, two parameters at a time, importance.

function valueOf(trial, name) {
  return { ...trial.params, ...trial.beside }[name];
}

/** What is searched and was used: one record per parameter of a family, or, with one family, per parameter. */
function searchedOf(view) {
  const used = new Set(view.trials.filter(Boolean).flatMap((trial) => Object.keys({ ...trial.params, ...trial.beside }).map((name) => `${trial.family} ${name}`)));
  return view.head.parameters.filter((one) => used.has(`${one.family} ${one.name}`));
}

function familiesOf(view) {
  return [...new Set(view.head.parameters.map((one) => one.family))];
}

/** Where a value lies on a parameter's axis: itself, its logarithm, or the number of its choice. */
function placeOf(parameter, value) {
  if (parameter.values) { const at = parameter.values.findIndex((one) => String(one) === String(value)); return at < 0 ? null : at; }
  return typeof value === "number" ? value : null;
}

function axisFor(parameter, title) {
  if (parameter.values) return { title, tickvals: parameter.values.map((_, i) => i), ticktext: parameter.values.map((value) => plain(short(value).slice(0, 24))), range: [-0.5, parameter.values.length - 0.5], automargin: true };
  const [low, high] = parameter.log ? [Math.log10(parameter.low), Math.log10(parameter.high)] : [parameter.low, parameter.high];
  const room = 0.05 * (high - low || 1);
  return { title, type: parameter.log ? "log" : "linear", range: [low - room, high + room], nticks: 5 };
}

const PANELS = 12;

function slicesPicture(view) {
  const all = searchedOf(view), parameters = all.slice(0, PANELS);
  const ended = drawnOf(view, POINTS).filter((trial) => trial.status !== "running" && lossOf(trial) !== null);
  if (!parameters.length) return "Nothing is searched.";
  if (!ended.length) return "No trial has ended yet.";
  const columns = Math.min(parameters.length, innerWidth < 640 ? 1 : 3), rows = Math.ceil(parameters.length / columns);
  const values = ended.map(lossOf).sort((a, b) => a - b), low = values[0], high = usualTop(values), pad = 0.12 * Math.max(high - low, 1e-3);
  const layout = { height: Math.max(rows * 230, 280), showlegend: parameters.length > 0, margin: { l: 64, r: 12, t: 12, b: 48 } };
  const data = [], several = familiesOf(view).length > 1, seen = new Set();
  parameters.forEach((parameter, place) => {
    const tail = place ? String(place + 1) : "", column = place % columns, row = Math.floor(place / columns);
    const width = 1 / columns, height = 1 / rows;
    layout[`xaxis${tail}`] = { ...axisFor(parameter, several ? `${parameter.family} ${parameter.name}` : parameter.name), domain: [column * width + (column ? 0.03 : 0), (column + 1) * width - 0.02], anchor: `y${tail}` };
    layout[`yaxis${tail}`] = { range: [low - pad, high + 3 * pad], domain: [1 - (row + 1) * height + (row < rows - 1 ? 0.11 : 0.05), 1 - row * height - 0.02], anchor: `x${tail}`, title: column ? "" : "loss (nats)", showticklabels: !column };
    const xy = (trial) => [placeOf(parameter, valueOf(trial, parameter.name)), Math.min(lossOf(trial) ?? NaN, high + 3 * pad)];
    const here = ended.filter((trial) => trial.family === parameter.family && placeOf(parameter, valueOf(trial, parameter.name)) !== null);
    const best = winnerOf(view), axes = { xaxis: `x${tail}`, yaxis: `y${tail}` };
    const found = [...points(view, here, xy, axes), ...marked(view, (trial) => (trial.family === parameter.family ? xy(trial) : [null, null]), axes)];
    for (const trace of found) { trace.showlegend = !seen.has(trace.name); trace.legendgroup = trace.name; seen.add(trace.name); data.push(trace); }
  });
  layout.legend = { orientation: "h", y: -0.12 / rows, yanchor: "top", font: { size: 11 } };
  const dropped = all.length > PANELS ? ` The first ${PANELS} of ${all.length} parameters are drawn.` : "";
  return { data, layout, alt: `Final loss against each of ${parameters.length} searched parameters.`,
    caption: `Final loss (of trials that ended early the last forecast) against each searched parameter, between its bounds. A winner at a bound asks for a wider search.${dropped}${left(view, POINTS)}` };
}

function parallelPicture(view) {
  const family = page.family ?? winnerOf(view)?.family ?? familiesOf(view)[0];
  const parameters = searchedOf(view).filter((one) => one.family === family).slice(0, PANELS);
  const trials = drawnOf(view, LINES).filter((trial) => trial.family === family && lossOf(trial) !== null && trial.status !== "running");
  if (parameters.length < 2) return "Parallel coordinates need two searched parameters.";
  if (!trials.length) return "No trial has ended yet.";
  const losses = trials.map(lossOf), low = Math.min(...losses), high = Math.max(...losses), rank = ranks(losses);
  const axes = [...parameters.map((parameter) => ({ name: parameter.name, at: (trial) => scaled(parameter, valueOf(trial, parameter.name)), ends: endsOf(parameter) })),
    { name: "final loss", at: (trial) => (high > low ? (lossOf(trial) - low) / (high - low) : 0.5), ends: [number(low), number(high)] }];
  const xy = (trial) => [axes.map((_, i) => i), axes.map((axis) => axis.at(trial))];
  const data = lines(view, trials, xy, (trial) => rank(lossOf(trial)));
  const best = winnerOf(view), chosen = view.trials[page.chosen];
  if (best && best.family === family) data.push(bold(view, best, xy, `winner, trial ${best.trial}`, colour("accent")));
  if (chosen && chosen !== best && chosen.family === family && lossOf(chosen) !== null) data.push(bold(view, chosen, xy, `trial ${chosen.trial}`, colour("ink")));
  const ends = axes.flatMap((axis, i) => axis.ends.map((text, end) => ({ x: i, y: end, text: plain(text), showarrow: false, yshift: end ? 11 : -11, font: { size: 10, color: colour("ink") } })));
  return { data, alt: `Parallel coordinates of ${trials.length} trials over ${parameters.map((one) => one.name).join(", ")} and the final loss.`,
    caption: `Each line is a trial of family ${family}; dark (in dark mode bright blue) is a low final loss.${left(view, LINES)}`,
    layout: { annotations: ends, xaxis: { tickvals: axes.map((_, i) => i), ticktext: axes.map((axis) => plain(axis.name)), range: [-0.25, axes.length - 0.75], gridcolor: colour("muted"), zeroline: false },
      yaxis: { visible: false, range: [-0.12, 1.12] } } };
}

function scaled(parameter, value) {
  const at = placeOf(parameter, value);
  if (at === null) return null;
  if (parameter.values) return parameter.values.length > 1 ? at / (parameter.values.length - 1) : 0.5;
  const of = parameter.log ? Math.log : (x) => x;
  return (of(at) - of(parameter.low)) / (of(parameter.high) - of(parameter.low) || 1);
}

function endsOf(parameter) {
  return parameter.values ? [short(parameter.values[0]), short(parameter.values[parameter.values.length - 1])] : [short(parameter.low), short(parameter.high)];
}

// -- two parameters at a time -----------------------------------------------------------------------------------------

function pairOf(view) {
  const family = page.family ?? winnerOf(view)?.family ?? familiesOf(view)[0];
  const numbers = searchedOf(view).filter((one) => one.family === family && !one.values);
  const x = numbers.find((one) => one.name === page.pair?.[0]) || numbers[0];
  const y = numbers.find((one) => one.name === page.pair?.[1] && one !== x) || numbers.find((one) => one !== x);
  return { family, numbers, x, y };
}

function pairTools(view) {
  const { numbers, x, y } = pairOf(view);
  if (!y) return null;
  const pick = (place, label, chosen) => el("label", {}, label, el("select", { "data-focus": `pair-${place}`, onchange: (event) => { page.pair = [x.name, y.name]; page.pair[place] = event.target.value; show(); } },
    numbers.map((one) => el("option", { value: one.name, selected: one === chosen }, one.name))));
  const ask = page.live ? el("button", { onclick: askLaw, "data-focus": "surfaces" }, "fit the law and draw its surface") : null;
  return el("div", { class: "tools" }, pick(0, "across", x), pick(1, "up", y), ask);
}

async function askLaw() {
  page.study.law = await asked(`${page.live}/law`).catch((error) => ({ why: error.message }));
  show();
}

function contourPicture(view) {
  const { family, x, y } = pairOf(view);
  if (!y) return "Two searched numbers are needed for a contour.";
  const trials = drawnOf(view, POINTS).filter((trial) => trial.family === family && lossOf(trial) !== null && trial.status !== "running");
  if (!trials.length) return "No trial has ended yet.";
  const losses = trials.map(lossOf), rank = ranks(losses), law = page.study.law;
  const surface = (law?.surfaces || []).find((one) => one.family === family && new Set([one.x, one.y, x.name, y.name]).size === 2);
  const data = [];
  if (surface) {
    const straight = surface.x === x.name;
    const z = straight ? surface.z : surface.xs.map((_, i) => surface.ys.map((__, j) => surface.z[j][i]));
    data.push({ type: "contour", x: straight ? surface.xs : surface.ys, y: straight ? surface.ys : surface.xs, z, colorscale: scaleOf(), contours: { coloring: "heatmap" }, ncontours: 14, opacity: 0.85,
      line: { width: 0.6 }, colorbar: { title: { text: "law's loss", side: "right" }, thickness: 12, outlinewidth: 0 }, hovertemplate: `${plain(x.name)} %{x:.4g}<br>${plain(y.name)} %{y:.4g}<br>the law: %{z:.4f} nats<extra></extra>` });
  }
  data.push({ x: trials.map((trial) => valueOf(trial, x.name)), y: trials.map((trial) => valueOf(trial, y.name)), customdata: trials.map((trial) => trial.trial), text: trials.map((trial) => hover(view, trial)), mode: "markers", type: "scatter", name: "trials",
    hovertemplate: "%{text}<extra></extra>", showlegend: false, marker: { size: 9, symbol: trials.map((trial) => MARKS[groupOf(trial)][0].replace(/-thin|-open|-dot/g, "")), color: trials.map((trial) => shade(rank(lossOf(trial)))), line: { width: 1, color: colour("ink") } } });
  data.push(...marked(view, (trial) => [valueOf(trial, x.name), trial.family === family && typeof valueOf(trial, y.name) === "number" ? valueOf(trial, y.name) : null]));
  const about = surface ? "Under the points: the law's final loss with the winner's other parameters." : law?.why ? `There is no surface: ${law.why}` : "";
  return { data, alt: `Trials by ${x.name} and ${y.name}, coloured by final loss${surface ? ", over the law's surface" : ""}.`, caption: `Final losses by two parameters. ${about}${left(view, POINTS)}`,
    layout: { xaxis: axisFor(x, x.name), yaxis: axisFor(y, y.name), showlegend: false } };
}

function scaleOf() {
  return Array.from({ length: 9 }, (_, i) => [i / 8, shade(i / 8)]);
}

function importancePicture(view) {
  const found = Object.entries(view.head.summary.importance).reverse();
  if (!found.length) return "Importance needs ten complete trials.";
  return { data: [{ type: "bar", orientation: "h", y: found.map(([name]) => plain(name)), x: found.map(([, share]) => share), marker: { color: "#0072b2" }, hovertemplate: "%{y}: %{x:.0%}<extra></extra>" }],
    alt: `Importance of parameters: ${[...found].reverse().map(([name, share]) => `${name} ${(100 * share).toFixed(0)}%`).join(", ")}.`,
    caption: "Which searched parameters decide the final loss: shares by PED-ANOVA (Watanabe et al. 2023), from all complete trials.",
    layout: { height: 120 + 34 * found.length, xaxis: { tickformat: ".0%", rangemode: "tozero" }, yaxis: { automargin: true } } };
}

// -- the winner beside the default ------------------------------------------------------------------------------------

function duelPicture(view) {
  const best = winnerOf(view), first = view.trials.find((trial) => trial && trial.role === "default");
  if (!best || !first) return "There is no winner and default to compare yet.";
  const pair = best === first ? [[best, "default, which also wins", colour("accent")]] : [[first, "default", colour("ink")], [best, `winner, trial ${best.trial}`, colour("accent")]];
  const data = pair.flatMap(([trial, name, tint]) => {
    const again = view.trials.filter((other) => other && other.role === "confirm" && other.of === trial.trial && other.steps);
    const xy = (one) => { const seen = seenOf(one); return [seen.steps, seen.losses]; };
    return [bold(view, trial, xy, name, tint), ...again.map((one) => ({ ...bold(view, one, xy, name, tint), showlegend: false, line: { color: tint, width: 0.8 }, opacity: 0.6 }))];
  });
  return { data, alt: `Loss curves of the default and the winner${best === first ? ", which are the same" : ""}, on the search's seed and on fresh ones.`, caption: "The winner and the default; thin lines repeat both on fresh seeds.",
    layout: { xaxis: { title: "updates", range: [0, view.head.horizon] }, yaxis: { title: "validation loss (nats)", range: lossWindow(view, pair.map(([trial]) => trial)) } } };
}

function namedPicture(view) {
  const trials = drawnOf(view, LINES).filter((trial) => trial.named && trial.step > 0), names = [...new Set(trials.flatMap((trial) => Object.keys(trial.named)))];
  if (!names.length) return null;
  const best = winnerOf(view), data = [], layout = { height: 300 };
  names.forEach((name, place) => {
    const tail = place ? String(place + 1) : "", width = 1 / names.length;
    layout[`xaxis${tail}`] = { title: `updates: ${plain(name)}`, domain: [place * width + (place ? 0.05 : 0), (place + 1) * width], anchor: `y${tail}` };
    layout[`yaxis${tail}`] = { title: place ? "" : "nats", anchor: `x${tail}` };
    const xy = (trial) => { const { steps } = seenOf(trial); return [steps, (trial.named[name] || []).slice(0, steps.length)]; };
    const found = [...lines(view, trials, xy, shareOf(view)), ...(best?.named ? [bold(view, best, xy, `winner, trial ${best.trial}`, colour("accent"))] : [])];
    for (const trace of found) data.push({ ...trace, xaxis: `x${tail}`, yaxis: `y${tail}`, showlegend: Boolean(trace.showlegend !== false && !place) });
  });
  return { data, layout, alt: `Validation losses ${names.join(", ")} of ${trials.length} trials.`, caption: "Each of the trainer's validation losses. Schedules are judged by the space's objective, which is made of them." };
}
