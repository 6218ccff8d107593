// How pictures are drawn: one look, light or dark; drawn when they come into sight; each can be saved as SVG.

const SHADES = ["#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725"]; // viridis
const MARKS = {
  complete: ["circle", "#0072b2"], reached: ["circle-open", "#0072b2"], pruned: ["x-thin-open", "#d55e00"],
  paused: ["square-open", "#cc79a7"], diverged: ["triangle-up-open", "#d55e00"], failed: ["cross-thin-open", "#8a8f98"],
  stopped: ["diamond-open", "#8a8f98"], running: ["circle-dot", "#009e73"], pilot: ["star-triangle-up-open", "#e69f00"],
  "fresh seed": ["circle-open", "#8a8f98"],
};
const pictures = new Map(); // key -> {node, plot, build, drawn, caption}
const inSight = new IntersectionObserver((seen) => seen.forEach(({ target, isIntersecting }) => {
  const picture = pictures.get(target.dataset.picture);
  if (!picture) return;
  picture.visible = isIntersecting;
  if (isIntersecting && picture.stale) drawSoon(picture);
}), { rootMargin: "300px" });
const waiting = new Set(); // pictures to draw, one a task, so that the page answers in between

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** A colour of viridis from 0 (lowest loss) to 1; its ends are left out where they would not be seen on the paper. */
function shade(share) {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const from = dark ? 2 : 0;
  const to = dark ? SHADES.length - 1 : SHADES.length - 2;
  return SHADES[from + Math.round(Math.min(Math.max(share, 0), 1) * (to - from))];
}

/**
 * A picture in the page. build() gives {data, layout, alt, caption}, or a sentence that says why there is nothing.
 */
function picture(key, build, height = 340) {
  let one = pictures.get(key);
  if (!one) {
    const plot = el("div", { class: "plot", role: "img", "aria-label": key });
    const words = el("span");
    const save = el("button", { onclick: () => saveSvg(key) }, "SVG");
    const node = el("figure", { "data-picture": key }, plot, el("figcaption", {}, words, " ", save));
    one = { key, node, plot, words, save, height, visible: false };
    pictures.set(key, one);
    inSight.observe(node);
  }
  one.build = build;
  one.stale = true;
  if (one.visible) drawSoon(one);
  return one.node;
}

function drawSoon(one) {
  if (!waiting.size) setTimeout(drawNext);
  waiting.add(one);
}

function drawNext() {
  const [one] = waiting;
  waiting.delete(one);
  if (waiting.size) setTimeout(drawNext);
  if (one.stale && one.visible) draw(one);
}

function draw(one) {
  if (!window.Plotly) return;
  one.stale = false;
  const made = one.build();
  const empty = typeof made === "string";
  one.plot.hidden = one.save.hidden = empty;
  one.words.textContent = empty ? made : made.caption;
  if (empty) { Plotly.purge(one.plot); one.plot.replaceChildren(); one.listening = false; return; }
  one.plot.setAttribute("aria-label", made.alt);
  const layout = looked({ height: one.height, ...made.layout });
  Plotly.react(one.plot, made.data, layout, { displayModeBar: false, responsive: true, doubleClick: "reset" });
  if (one.listening) return;
  one.listening = true;
  one.plot.on("plotly_click", (event) => {
    const trial = event.points[0].customdata;
    if (typeof trial === "number") choose(trial);
  });
}

/** Draw all anew: at once what is in the window, then what lies near it. */
function redraw() {
  for (const one of pictures.values()) {
    const { top, bottom, height } = one.node.getBoundingClientRect();
    one.stale = true;
    if (height && top < innerHeight && bottom > 0) draw(one);
    else if (one.visible) drawSoon(one);
  }
}

function looked(layout) {
  const ink = colour("ink"), line = colour("line"), touch = matchMedia("(pointer: coarse)").matches;
  const axis = { gridcolor: line, linecolor: line, zerolinecolor: line, title: { standoff: 8 } }; // automargin would draw all twice
  const made = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: ink, size: 12, family: "system-ui, sans-serif" },
    margin: { l: 64, r: 12, t: layout.title ? 34 : 12, b: 48 }, hovermode: "closest", dragmode: touch ? false : "zoom",
    hoverlabel: { bgcolor: colour("panel"), bordercolor: colour("muted"), font: { color: ink, size: 12 }, align: "left" },
    legend: { orientation: "h", y: -0.18, yanchor: "top", font: { size: 11 }, bgcolor: "rgba(0,0,0,0)" }, ...layout,
  };
  for (const name of Object.keys(made)) {
    if (/^[xy]axis\d*$/.test(name)) made[name] = { ...axis, ...made[name], title: { ...axis.title, ...titled(made[name].title) } };
  }
  return made;
}

function titled(title) {
  return typeof title === "string" ? { text: title } : title || {};
}

async function saveSvg(key) {
  const one = pictures.get(key);
  if (one.stale) draw(one);
  const size = { width: Math.max(one.plot.clientWidth, 480), height: one.height };
  const url = await Plotly.toImage(one.plot, { format: "svg", ...size });
  download(`${page.name()}-${key}.svg`, "image/svg+xml", [decodeURIComponent(url.replace(/^data:image\/svg\+xml,/, ""))]);
}

/** What is said of a trial when a reader points at it. */
function hover(view, trial, more) {
  const text = [`trial ${trial.trial}: ${groupOf(trial)}${groupOf(trial) === trial.status ? "" : ` (${trial.status})`}`,
    trial.family, ...Object.entries({ ...trial.params, ...trial.beside }).slice(0, 12).map(([name, value]) => `  ${name} = ${short(value)}`)];
  if (typeof trial.value === "number") text.push(`final loss ${number(trial.value)}`);
  else if (trial.forecast) text.push(`forecast ${interval(trial.forecast)}`);
  if (more) text.push(more);
  return text.map((line) => plain(line.slice(0, 160))).join("<br>");
}

/** Shares from 0 to 1 of final losses, the worst fifth in one colour where it would squeeze the rest. */
function ranks(losses) {
  const known = losses.filter((loss) => typeof loss === "number").sort((a, b) => a - b);
  if (!known.length) return () => 0;
  const low = known[0], usual = known[Math.floor(0.8 * (known.length - 1))], high = known[known.length - 1];
  const top = high - low > 3 * (usual - low) && usual > low ? usual : high;
  return (loss) => (top > low ? Math.min((loss - low) / (top - low), 1) : 0);
}

/** Many lines as few traces: one per shade, with gaps; each point knows its trial. */
function lines(view, trials, xy, share) {
  const groups = new Map();
  for (const trial of trials) {
    const at = share(trial);
    const name = at === null ? "grey" : shade(at);
    const into = groups.get(name) || { x: [], y: [], customdata: [], text: [] };
    const [x, y] = xy(trial), told = hover(view, trial);
    for (let i = 0; i < x.length; i += 1) { into.x.push(x[i]); into.y.push(y[i]); into.customdata.push(trial.trial); into.text.push(told); }
    into.x.push(null); into.y.push(null); into.customdata.push(null); into.text.push("");
    groups.set(name, into);
  }
  return [...groups].sort(([a]) => (a === "grey" ? -1 : 1)).map(([name, into]) => ({
    ...into, mode: "lines", type: "scatter", hovertemplate: "%{text}<extra></extra>", showlegend: false,
    line: { color: name === "grey" ? colour("muted") : name, width: name === "grey" ? 0.8 : 1.3 }, opacity: name === "grey" ? 0.5 : 0.9,
  }));
}

/** Points of trials by what became of them, so that paused, pruned and pilots can be told apart. */
function points(view, trials, xy, more = {}) {
  const groups = new Map();
  for (const trial of trials) {
    const [x, y] = xy(trial);
    if (typeof y !== "number") continue;
    const name = groupOf(trial);
    const into = groups.get(name) || { x: [], y: [], customdata: [], text: [] };
    into.x.push(x); into.y.push(y); into.customdata.push(trial.trial); into.text.push(hover(view, trial));
    groups.set(name, into);
  }
  return [...groups].map(([name, into]) => ({
    ...into, name, mode: "markers", type: "scatter", hovertemplate: "%{text}<extra></extra>",
    marker: { symbol: MARKS[name][0], color: MARKS[name][1], size: 8, line: { width: 1.5, color: MARKS[name][1] } }, ...more,
  }));
}

/** A ring around the trial that was chosen, and a star on the winner. */
function marked(view, xy, more = {}) {
  const found = [];
  const add = (trial, name, symbol, size, tint) => {
    if (!trial) return;
    const [x, y] = xy(trial);
    if (typeof y !== "number") return;
    found.push({ x: [x], y: [y], customdata: [trial.trial], text: [hover(view, trial)], name, mode: "markers", type: "scatter",
      hovertemplate: "%{text}<extra></extra>", marker: { symbol, size, color: tint, line: { width: 2, color: tint } }, ...more });
  };
  add(winnerOf(view), "winner", "star", 13, colour("accent"));
  add(view.trials[page.chosen], `trial ${page.chosen}`, "circle-open", 17, colour("ink"));
  return found;
}
