// One study's page: its parts, the replay over its events, and what is new while it runs.

const page = { study: null, at: null, chosen: null, live: null, view: null, name: () => page.study?.head.study ?? "studies" };

const PARTS = [
  ["now", "Now", "What runs", nowSection],
  ["search", "Search", "The search", (view) => [...closeSection(view), picture("history", () => historyPicture(page.view)),
    pair(picture("curves", () => curvesPicture(page.view), 420), picture("schedules", () => lrPicture(page.view), 420)), picture("duel", () => duelPicture(page.view)), ...named()]],
  ["use", "Use it", "Use the winner", useSection],
  ["target", "Target", "For the target", targetSection],
  ["explore", "Explore", "The parameters", (view) => [picture("slices", () => slicesPicture(page.view)), picture("parallel", () => parallelPicture(page.view), 380),
    pairTools(view), picture("contour", () => contourPicture(page.view), 420), picture("importance", () => importancePicture(page.view))]],
  ["lr", "Peak LR", "The peak LR", peakSection],
  ["forecasts", "Forecasts", "Forecast against seen", (view) => [...lawSection(view), pair(picture("forecasts", () => forecastPicture(page.view)), picture("coverage", () => coveragePicture(page.view))),
    picture("reliability", () => reliabilityPicture(page.view))]],
  ["stopped", "Stopped", "Paused, pruned, pilots", stoppedSection],
  ["holdouts", "Holdouts", "Holdouts", holdoutSection],
  ["lost", "Divergences", "Divergences and failures", lostSection],
  ["cost", "Cost", "Cost", () => [picture("cost", () => costPicture(page.view))]],
  ["trials", "All trials", "All trials", allSection],
  ["again", "Reproduce", "Reproduce", againSection],
];

function pair(...figures) {
  return el("div", { class: "pair" }, figures);
}

function named() {
  return page.study.trials.some((trial) => trial && trial.named) ? [picture("named", () => namedPicture(page.view) ?? "No named loss was seen yet.")] : [];
}

function studyPage(main) {
  const parts = PARTS.map(([key, , title]) => el("section", { id: key }, el("h2", {}, title), el("div", { "data-part": key })));
  main.replaceChildren(
    el("div", { "data-part": "top" }), el("nav", { "aria-label": "parts of this page" }, PARTS.map(([key, name]) => el("a", { href: `#${key}` }, name))),
    downloads(), replayBar(),
    el("section", { id: "chosen" }, el("h2", {}, "The chosen trial"), trialPicker(), el("div", { "data-part": "chosen" })), ...parts);
  show();
}

function trialPicker() {
  const field = el("input", { type: "number", min: 0, id: "picked", inputmode: "numeric", onchange: () => choose(Number(field.value)) });
  return el("div", { class: "tools" }, el("label", { for: "picked" }, "trial"), field, el("button", { onclick: () => choose(null) }, "none"));
}

/** A trial in all pictures and tables; in the address too, so that it can be linked to. */
function choose(trial) {
  page.chosen = trial !== null && page.view.trials[trial] ? trial : null;
  const url = new URL(location.href);
  if (page.chosen === null) url.searchParams.delete("trial"); else url.searchParams.set("trial", page.chosen);
  try { history.replaceState(null, "", url); } catch { /* a file opened in a frame has no address of its own */ }
  show();
}

/** Everything at the chosen moment. */
function show() {
  const view = (page.view = viewAt(page.study, page.at ?? page.study.moments.length));
  const focus = document.activeElement?.dataset?.focus;
  fill("top", topOf(view));
  fill("chosen", chosenSection(view));
  for (const [key, , , made] of PARTS) fill(key, made(view).flat());
  const picked = document.getElementById("picked"), schedule = document.getElementById("schedule");
  if (schedule) schedule.hidden = !winnerOf(view);
  picked.value = page.chosen ?? "";
  picked.max = view.trials.length - 1;
  tellMoment(view);
  if (focus) document.querySelector(`[data-focus="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
}

function fill(key, nodes) {
  const part = document.querySelector(`[data-part="${key}"]`);
  const open = new Set([...part.querySelectorAll("details[open]")].map((one) => one.dataset.open));
  const fresh = nodes.filter(Boolean);
  const kept = [...part.children];
  if (kept.length !== fresh.length || fresh.some((node, i) => node !== kept[i])) part.replaceChildren(...fresh);
  for (const one of part.querySelectorAll("details")) one.open = open.has(one.dataset.open);
}

function topOf(view) {
  const { summary, study } = view.head;
  const state = summary.state === "finished" && !view.whole ? "replayed" : summary.state;
  const best = winnerOf(view);
  return [el("h1", {}, study), el("p", { class: "lead" }, `Learning-rate schedule search, ${state}${summary.reason && view.whole ? `: ${summary.reason}` : ""}.`),
    best ? el("p", {}, el("code", { class: "winner" }, describe(best))) : null, cardsOf(view), ...(view.whole ? summary.notes.map((note) => el("p", {}, `Note: ${note}`)) : [])];
}

// -- the replay -------------------------------------------------------------------------------------------------------

let playing = null;

function replayBar() {
  const slider = el("input", { type: "range", min: 0, step: 1, id: "moment", oninput: () => moveTo(Number(slider.value)) });
  const step = (by) => () => moveTo((page.at ?? page.study.moments.length) + by);
  return el("div", { class: "replay", role: "group", "aria-label": "replay of the study" },
    el("div", { class: "row" }, el("button", { onclick: step(-1), "aria-label": "one event back" }, "◂"), el("button", { onclick: play, id: "play" }, "replay"), el("button", { onclick: step(1), "aria-label": "one event on" }, "▸"),
      el("label", { for: "moment", class: "sr" }, "event of the study"), slider, el("button", { onclick: () => { pause(); moveTo(Infinity); }, id: "latest" }, "latest")),
    el("p", { id: "told", role: "status", tabindex: 0 }));
}

function pause() {
  clearInterval(playing);
  playing = null;
}

function moveTo(place) {
  const all = page.study.moments.length;
  page.at = place >= all ? null : Math.max(0, place);
  show();
}

function play() {
  if (playing) { pause(); tellMoment(page.view); return; }
  if (page.at === null) page.at = 0;
  const stride = Math.max(1, Math.round(page.study.moments.length / 300));
  playing = setInterval(() => {
    moveTo(page.at + stride);
    if (page.at === null) { pause(); tellMoment(page.view); }
  }, 120);
}

function tellMoment(view) {
  const all = page.study.moments.length, slider = document.getElementById("moment");
  slider.max = all;
  slider.value = view.until;
  slider.setAttribute("aria-valuetext", momentText(view));
  document.getElementById("told").textContent = momentText(view);
  document.getElementById("play").textContent = playing ? "pause" : "replay";
  document.getElementById("latest").setAttribute("aria-pressed", page.at === null ? "true" : "false");
}

/** What happened at a moment, and why, in a sentence. */
function momentText(view) {
  const last = view.last;
  if (!last) return "Before the first event.";
  const who = last.trial === undefined ? "" : `trial ${last.trial} `;
  const does = { trial_proposed: () => `is proposed: ${last.role.replace(/_/g, " ")}, to update ${last.until}; ${describe(view.trials[last.trial])}`, segment_scheduled: () => `is to train updates ${last.start} to ${last.step}`,
    segment_finished: () => `updates to ${last.step} were trained on ${last.worker}`, segment_failed: () => last.text, trial_advanced: () => `reached update ${last.step}${last.shared ? ", shared with another trial" : ""}`,
    trial_judged: () => `${last.action}${last.holdout ? " (holdout)" : ""}: ${last.text}`, trial_ended: () => `is ${last.status} at update ${last.step}${last.text ? `: ${last.text}` : ""}${typeof last.value === "number" ? `: loss ${number(last.value)}` : ""}`,
    trial_resumed: () => `goes on to update ${last.until}: ${last.text}`, study_finished: () => `the study is finished: ${last.text}` }[last.kind];
  return visible(`Event ${last.event}, ${seconds(last.time)}: ${who}${does ? does() : last.text || last.kind}`);
}

// -- downloads --------------------------------------------------------------------------------------------------------

function downloads() {
  const save = (name, type, make) => el("button", { onclick: () => download(`${page.name()}${name}`, type, [make()]) }, name.slice(1));
  return el("div", { class: "tools", role: "group", "aria-label": "downloads" }, "Save:", save("-trials.csv", "text/csv", trialsCsv), save("-study.json", "application/json", () => JSON.stringify(page.study)),
    page.study.schedule ? save("-schedule.json", "application/json", () => page.study.schedule) : null,
    page.live ? el("a", { id: "schedule", href: `${page.live}/schedule`, download: `${page.name()}-schedule.json` }, "schedule.json") : null, save("-space.yaml", "text/plain", () => page.study.head.space));
}

function trialsCsv() {
  const trials = page.view.trials.filter(Boolean);
  const names = [...new Set(trials.flatMap((trial) => [...Object.keys(trial.params || {}), ...Object.keys(trial.beside || {})]))];
  const heads = ["trial", "role", "of", "status", "updates", "final_loss", "forecast", "forecast_low", "forecast_high", "family", ...names, "seed", "reason"];
  const rows = trials.map((t) => [t.trial, t.role, t.of, t.status, t.step, t.value, ...(t.forecast || [null, null, null]), t.family, ...names.map((name) => ({ ...t.params, ...t.beside })[name]), t.seed, t.reason]);
  return csv(heads, rows);
}

// -- start ------------------------------------------------------------------------------------------------------------

/** What the file carries, compressed. */
async function carried(id) {
  const letters = atob(document.getElementById(id).textContent), bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i += 1) bytes[i] = letters.charCodeAt(i);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

function placed(records) {
  const trials = [];
  for (const record of records) trials[record.trial] = record;
  return trials;
}

function follow() {
  const source = new EventSource(`${page.live}/follow?after=${page.study.events}`);
  source.onmessage = (message) => {
    const news = JSON.parse(message.data);
    for (const record of news.trials) page.study.trials[record.trial] = record;
    const after = page.study.events;
    page.study.moments = page.study.moments.concat(momentsOf(news.moments, after));
    Object.assign(page.study, { head: news.head, events: news.events });
    if (news.head.summary.state === "finished") source.close();
    lost.hidden = true;
    show();
  };
  const lost = el("p", { role: "status", class: "notice", hidden: true }, "The server does not answer; what is shown may be old. It is asked again.");
  document.querySelector(".replay").append(lost);
  source.onopen = () => { lost.hidden = true; };
  source.onerror = () => { lost.hidden = false; };
}

async function start() {
  const main = document.querySelector("main"), names = new URLSearchParams(location.search).getAll("study");
  page.live = document.body.dataset.live || null;
  if (page.live === "/api/studies" && !names.length) await startList(main);
  else {
    const served = page.live && plotlyScript(); // it comes while the document is asked for
    if (page.live === "/api/studies") await startBeside(main, names);
    else await startPage(main);
    document.body.dataset.ready = "words"; // and tables, and the replay; pictures follow
    await (served || plotlyScript());
    redraw();
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  document.body.dataset.ready = "true";
}

/** plotly.js, from the server, or from the file itself, whose policy has its hash. */
async function plotlyScript() {
  const script = document.createElement("script");
  if (!page.live) script.textContent = await carried("plotly");
  const loaded = page.live && new Promise((resolve, reject) => { script.onload = resolve; script.onerror = () => reject(new Error("the server does not give plotly.js")); });
  if (page.live) script.src = "/plotly.js";
  document.head.append(script);
  await loaded;
}

const LIST_MS = 10000; // between looks at the list of studies

async function startList(main) {
  const marked = new Set(), look = async () => listPage(main, await asked("/api/studies"), marked);
  await look();
  setInterval(() => look().catch(() => {}), LIST_MS);
}

async function startBeside(main, names) {
  const found = await Promise.all(names.slice(0, 24).map((name) => asked(`/api/study/${encodeURIComponent(name)}/document`)));
  besidePage(main, found.map(unpacked));
}

async function startPage(main) {
  const found = page.live ? await waitedFor(main) : JSON.parse(await carried("document"));
  if (found.document) comparisonPage(main, found);
  else startStudy(main, unpacked(found));
}

const PROGRESS_MS = 500; // between looks at how much of a study is read

/** A study's document; of a long study that the server has not read yet, how much is, until it comes. */
async function waitedFor(main) {
  const told = el("p", { role: "status" });
  let waits = true;
  const look = async () => {
    const { read, of } = await asked(`${page.live}/progress`);
    told.textContent = `The study is being read: ${count(read)} of ${plural(of, "event")}.`;
    if (waits && of) main.replaceChildren(told);
  };
  const looking = setInterval(() => look().catch(() => {}), PROGRESS_MS);
  try {
    return await asked(`${page.live}/document`);
  } finally {
    clearInterval(looking);
    waits = false;
  }
}

function startStudy(main, study) {
  page.study = study;
  const wanted = new URLSearchParams(location.search).get("trial");
  page.chosen = wanted !== null && study.trials[Number(wanted)] ? Number(wanted) : null;
  studyPage(main);
  if (page.live && study.head.summary.state !== "finished") follow();
}

function unpacked(found) {
  return { ...found, trials: placed(found.trials), moments: momentsOf(found.moments) };
}

async function asked(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

start().catch((error) => {
  document.querySelector("main").replaceChildren(el("h1", {}, "Nothing to show"), el("p", { role: "alert" }, error.message));
  document.body.dataset.ready = "failed";
  throw error;
});
