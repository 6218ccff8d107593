// A comparison of ways to search: the document of `autosched compare`, drawn.

function comparisonPage(main, found) {
  const { results, horizon } = found.document;
  const runs = (steps) => (typeof steps === "number" ? (steps / horizon).toFixed(2) : "missed");
  const loss = (key) => ({ cell: (one) => (typeof one[key] === "number" ? number(one[key]) : "none"), value: (one) => one[key] ?? Infinity, number: true });
  const columns = [{ head: "method", cell: (one) => one.method }, { head: "best loss", ...loss("best_loss") }, { head: "regret", ...loss("regret") },
    { head: "full runs to target", number: true, cell: (one) => runs(one.steps_to_target), value: (one) => one.steps_to_target ?? Infinity }, { head: "reached", number: true, cell: (one) => `${one.reached} of ${one.seeds}` },
    { head: "win rate", number: true, cell: (one) => (typeof one.win_rate === "number" ? `${(100 * one.win_rate).toFixed(0)}%` : ""), value: (one) => one.win_rate ?? -1 }];
  if (results.some((one) => one.fresh)) columns.push({ head: "on fresh seeds", number: true, cell: (one) => (one.fresh ? freshText(one.fresh) : "") });
  if (results.some((one) => typeof one.algoperf === "number")) columns.push({ head: "AlgoPerf", number: true, cell: (one) => runs(one.algoperf) });
  page.name = () => found.title;
  main.replaceChildren(el("h1", {}, found.title), ...found.terms.map((term) => el("p", { class: "lead" }, term)),
    el("div", { class: "tools", role: "group", "aria-label": "downloads" }, "Save:", el("button", { onclick: () => download(`${found.title}.json`, "application/json", [JSON.stringify(found.document)]) }, "compare.json")),
    el("section", { id: "methods" }, el("h2", {}, "Methods"), table("methods", "Medians over seeds, the best method first", columns, results)),
    el("section", { id: "regret" }, el("h2", {}, "Regret"), picture("regret", () => regretPicture(found), 420)),
    ...(results.length > 1 ? [el("section", { id: "wins" }, el("h2", {}, "Who beats whom"), duels(results))] : []),
    el("section", { id: "studies" }, el("h2", {}, "Studies"), studiesOf(results, runs)));
}

function freshText(fresh) {
  if (typeof fresh.mean !== "number") return "diverged";
  return number(fresh.mean) + (typeof fresh.standard_error === "number" ? ` ± ${number(fresh.standard_error)}` : "");
}

function duels(results) {
  const columns = [{ head: "method", cell: (one) => one.method }, ...results.map((other) => ({ head: other.method, number: true, value: (one) => one.wins[other.method] ?? -1,
    cell: (one) => (one === other ? "" : `${(100 * one.wins[other.method]).toFixed(0)}%`) }))];
  return table("wins", "Share of seeds on which the method of the row found a lower final loss than that of the column", columns, results);
}

function studiesOf(results, runs) {
  const rows = results.flatMap((one) => one.studies.map((study) => ({ method: one.method, ...study })));
  return table("studies", "Every study, and the command that writes its own report", [{ head: "method", cell: (row) => row.method }, { head: "seed", number: true, cell: (row) => row.seed },
    { head: "best loss", number: true, cell: (row) => (typeof row.best_loss === "number" ? number(row.best_loss) : "none"), value: (row) => row.best_loss ?? Infinity }, { head: "to target", number: true, cell: (row) => runs(row.steps_to_target) },
    { head: "full runs", number: true, cell: (row) => runs(row.spent) }, { head: "trials", number: true, cell: (row) => count(row.trials) }, { head: "time", number: true, cell: (row) => seconds(row.seconds), value: (row) => row.seconds },
    { head: "schedule", cell: (row) => (row.chosen ? el("code", {}, describe(row.chosen)) : "") }, { head: "its own report", cell: (row) => el("code", {}, `autosched resume ${row.study} --backend local --ledger ${row.ledger}`) }], rows);
}

/** How far each method is from the best that any of them found: median over seeds, where half of them have something. */
function regretPicture(found) {
  const { results, horizon, tolerance = 0.01 } = found.document;
  const reference = {};
  for (const study of results.flatMap((one) => one.studies)) if (typeof study.best_loss === "number") reference[study.seed] = Math.min(reference[study.seed] ?? Infinity, study.best_loss);
  const last = Math.max(...results.flatMap((one) => one.studies.map((study) => study.spent))), floor = tolerance / 4;
  const data = results.map((one, place) => {
    const at = [...new Set(one.studies.flatMap((study) => study.ends.map(([spent]) => spent)))].sort((a, b) => a - b);
    const middle = [...at, last].map((spent) => median(one.studies.map((study) => Math.min(Infinity, ...study.ends.filter(([when]) => when <= spent).map(([, loss]) => loss)) - reference[study.seed])));
    const known = [...at, last].map((spent, i) => [spent / horizon, Math.max(middle[i], floor)]).filter(([, regret]) => Number.isFinite(regret));
    return { x: known.map(([x]) => x), y: known.map(([, y]) => y), mode: "lines+markers", type: "scatter", name: plain(one.method), marker: { size: 4 },
      line: { shape: "hv", width: 2, color: TINTS[place % TINTS.length], dash: ["solid", "dash", "dot"][Math.floor(place / TINTS.length) % 3] }, hovertemplate: "%{x:.2f} full runs: %{y:.4f} nats<extra>%{fullData.name}</extra>" };
  }).filter((trace) => trace.x.length);
  if (!data.length) return "No method found anything.";
  data.push({ x: [0, last / horizon], y: [tolerance, tolerance], mode: "lines", type: "scatter", hoverinfo: "skip", name: "tolerance", line: { dash: "dot", width: 1, color: colour("muted") } });
  return { data, alt: `Regret against full runs spent, of ${results.length} methods.`, caption: `Distance to the best final loss that any method found on the same seed, median over seeds; below ${short(floor)} nats all is drawn at that height.`,
    layout: { xaxis: { title: "full runs spent", rangemode: "tozero" }, yaxis: { title: "regret (nats)", type: "log" } } };
}

function median(values) {
  const order = [...values].sort((a, b) => a - b), half = order.length / 2;
  return order.length % 2 ? order[Math.floor(half)] : (order[half - 1] + order[half]) / 2;
}
