// All studies of a ledger, and several of them side by side.

const TINTS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a8f98"];

function listPage(main, rows, picked) {
  const focus = document.activeElement?.dataset?.focus;
  const open = el("button", { id: "beside", disabled: picked.size < 2, onclick: () => { location.href = `/?${[...picked].map((name) => `study=${encodeURIComponent(name)}`).join("&")}`; } }, "show the marked ones side by side");
  const mark = (row) => el("input", { type: "checkbox", "aria-label": `mark ${visible(row.study)}`, "data-focus": `mark-${row.study}`, checked: picked.has(row.study), onchange: (event) => { picked[event.target.checked ? "add" : "delete"](row.study); open.disabled = picked.size < 2; } });
  const time = (at) => new Date(1000 * at).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
  main.replaceChildren(...[el("h1", {}, "Studies"), rows.length ? el("p", { class: "lead" }, `${rows.length === 1 ? "One study" : `${rows.length} studies`} in this ledger, the newest first.`) : sentence("This ledger has no study yet: run `autosched tune`."),
    rows.length ? el("div", { class: "tools" }, open) : null,
    rows.length ? table("studies", null, [{ head: "mark", cell: mark, value: () => 0 }, { head: "study", cell: (row) => el("a", { href: `/study/${encodeURIComponent(row.study)}` }, row.study), value: (row) => row.study }, { head: "state", cell: (row) => row.state },
      { head: "events", number: true, cell: (row) => count(row.events), value: (row) => row.events }, { head: "began", cell: (row) => time(row.created), value: (row) => row.created }, { head: "last event", cell: (row) => time(row.updated), value: (row) => row.updated }], rows) : null].filter(Boolean));
  if (focus) document.querySelector(`[data-focus="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
}

// -- side by side -----------------------------------------------------------------------------------------------------

function besidePage(main, studies) {
  const views = studies.map((study) => viewAt(study, study.moments.length));
  const facts = (view) => ({ view, best: winnerOf(view), told: view.told.filter((one) => one.at[1] <= one.value && one.value <= one.at[2]).length });
  const rows = views.map(facts);
  const name = (row) => (page.live ? el("a", { href: `/study/${encodeURIComponent(row.view.head.study)}` }, row.view.head.study) : row.view.head.study);
  main.replaceChildren(el("h1", {}, "Studies side by side"),
    table("beside", "What each study found, and what it cost", [{ head: "study", cell: name, value: (row) => row.view.head.study }, { head: "state", cell: (row) => row.view.head.summary.state },
      { head: "search", cell: (row) => `controller ${row.view.head.controller}, pruner ${row.view.head.pruner}` }, { head: "best loss", number: true, cell: (row) => (row.best ? number(row.best.value) : "none"), value: (row) => row.best?.value ?? Infinity },
      { head: "full runs", number: true, cell: (row) => runsOf(row.view, row.view.spent).toFixed(1) }, { head: "trials", number: true, cell: (row) => count(row.view.trials.length) },
      { head: "held", number: true, cell: (row) => (row.view.told.length ? `${row.told} of ${row.view.told.length}` : "") }, { head: "winner", cell: (row) => (row.best ? el("code", {}, describe(row.best)) : "") }], rows),
    picture("beside-history", () => besidePicture(views, "best so far"), 420), picture("beside-curves", () => winnersPicture(views), 420));
}

function besidePicture(views) {
  const data = views.map((view, place) => {
    const steps = view.best.map((one) => [runsOf(view, one.spent), one.value]);
    if (steps.length) steps.push([runsOf(view, view.spent), steps[steps.length - 1][1]]);
    return { x: steps.map(([x]) => x), y: steps.map(([, y]) => y), mode: "lines+markers", type: "scatter", name: plain(view.head.study), line: { shape: "hv", width: 2, color: TINTS[place % TINTS.length], dash: ["solid", "dash", "dot"][Math.floor(place / TINTS.length) % 3] }, marker: { size: 5 } };
  });
  if (!data.some((trace) => trace.x.length)) return "No study has a complete trial yet.";
  return { data, alt: `Best so far against full runs trained, of ${views.length} studies.`, caption: "Best final loss so far against full runs trained.", layout: { xaxis: { title: "full runs trained", rangemode: "tozero" }, yaxis: { title: "best so far (nats)" } } };
}

function winnersPicture(views) {
  const data = views.map((view, place) => ({ view, place, best: winnerOf(view) })).filter(({ best }) => best).map(({ view, place, best }) => {
    const seen = seenOf(best);
    return { x: seen.steps.map((step) => step / view.head.horizon), y: seen.losses, mode: "lines", type: "scatter", name: plain(view.head.study), line: { width: 2, color: TINTS[place % TINTS.length] } };
  });
  if (!data.length) return "No study has a winner yet.";
  return { data, alt: "Loss curves of the studies' winners.", caption: "Loss curves of the winners, by share of their horizon.", layout: { xaxis: { title: "share of the horizon", tickformat: ".0%" }, yaxis: { title: "validation loss (nats)" } } };
}
