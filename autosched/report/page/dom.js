// Elements, tables, downloads. Text becomes part of the page only as text nodes, so that no name can become markup.

const MISSING = "–";

/** An element; children that are no nodes become text, null and false are left out. */
function el(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : visible(String(child)))));
  return made;
}

/** Text with control characters, and marks that reverse the direction of writing, made visible. */
function visible(text) {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/g,
    (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
}

/** Text for plotly.js, which reads a few tags in it. */
function plain(text) {
  return visible(String(text)).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

function number(value, digits = 4) {
  return typeof value === "number" ? value.toFixed(digits) : MISSING;
}

function short(value) {
  if (Array.isArray(value)) return value.length <= 4 ? `[${value.map(short).join(", ")}]` : `[${short(value[0])}, …, ${short(value[value.length - 1])}; ${value.length} values]`;
  if (typeof value !== "number") return String(value ?? MISSING);
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
}

const THOUSANDS = new Intl.NumberFormat("en");

function count(value) {
  return THOUSANDS.format(value);
}

function plural(value, noun) {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}

function interval(forecast) {
  return forecast ? `${number(forecast[0])} (${number(forecast[1])} to ${number(forecast[2])})` : MISSING;
}

function seconds(value) {
  if (typeof value !== "number") return MISSING;
  if (value < 60) return `${value.toFixed(1)} s`;
  const minutes = Math.floor(Math.round(value) / 60);
  return minutes < 60 ? `${minutes} min ${Math.round(value) % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Parameters in one line, e.g. "peak_lr=0.01, warmup_steps=30". */
function listed(params) {
  return Object.entries(params || {}).map(([name, value]) => `${name}=${short(value)}`).join(", ");
}

// -- tables -----------------------------------------------------------------------------------------------------------

const ROWS = 50; // of one page of a table
const turned = {}; // table -> {page, sort, down}: what its reader has chosen, kept when it is drawn anew

/**
 * A table with sortable columns, in pages of ROWS; on a narrow screen each row is a card.
 * columns: [{head, number, cell(row) -> text or node, value(row) -> for sorting and CSV}]
 */
function table(key, caption, columns, rows, chosen) {
  const box = el("div", { class: "wide", "data-table": key });
  const draw = () => box.replaceChildren(...tableParts(key, caption, columns, rows, chosen, draw));
  draw();
  return box;
}

function tableParts(key, caption, columns, rows, chosen, draw) {
  const kept = (turned[key] ||= { page: 0, sort: null, down: false });
  const pages = Math.max(1, Math.ceil(rows.length / ROWS));
  kept.page = Math.min(kept.page, pages - 1);
  const order = kept.sort === null ? rows : sorted(rows, columns[kept.sort], kept.down);
  const shown = order.slice(kept.page * ROWS, (kept.page + 1) * ROWS);
  const head = columns.map((column, place) => headCell(key, column, place, kept, rows.length > 1, draw));
  const body = shown.map((row) => el("tr", { class: chosen && chosen(row) ? "chosen" : null },
    columns.map((column) => el("td", { class: column.number ? "number" : null, "data-head": column.head }, column.cell(row)))));
  const parts = [el("table", {}, caption && el("caption", {}, caption), el("thead", {}, el("tr", {}, head)), el("tbody", {}, body))];
  if (pages > 1) parts.push(pager(key, kept, pages, rows.length, draw));
  return parts;
}

function headCell(key, column, place, kept, sortable, draw) {
  const sort = kept.sort === place ? (kept.down ? "descending" : "ascending") : "none";
  const turn = () => {
    kept.down = kept.sort === place && !kept.down;
    kept.sort = place;
    draw();
    document.querySelector(`[data-focus="${key}-${place}"]`)?.focus();
  };
  const mark = sort === "none" ? "" : kept.down ? " ▾" : " ▴";
  return el("th", { scope: "col", class: column.number ? "number" : null, "aria-sort": sortable ? sort : null },
    sortable ? el("button", { onclick: turn, "data-focus": `${key}-${place}` }, column.head + mark) : column.head);
}

function sorted(rows, column, down) {
  const of = column.value || column.cell;
  const rank = (value) => (typeof value === "number" ? value : Number.isNaN(parseFloat(value)) ? Infinity : parseFloat(value));
  const both = rows.map((row) => [row, of(row)]);
  both.sort(([, a], [, b]) => (rank(a) - rank(b) || String(a ?? "").localeCompare(String(b ?? ""))) * (down ? -1 : 1));
  return both.map(([row]) => row);
}

function pager(key, kept, pages, total, draw) {
  const go = (by) => () => { kept.page += by; draw(); document.querySelector(`[data-focus="${key}-pages"]`)?.focus(); };
  return el("div", { class: "tools" },
    el("button", { onclick: go(-1), disabled: kept.page === 0 }, "previous rows"),
    el("span", { tabindex: -1, "data-focus": `${key}-pages` }, `rows ${kept.page * ROWS + 1} to ${Math.min(total, (kept.page + 1) * ROWS)} of ${count(total)}`),
    el("button", { onclick: go(1), disabled: kept.page >= pages - 1 }, "next rows"));
}

// -- downloads --------------------------------------------------------------------------------------------------------

function download(name, type, parts) {
  const link = el("a", { href: URL.createObjectURL(new Blob(parts, { type })), download: name.replace(/[^\w.-]+/g, "_") });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** One cell of a CSV file: quoted, and inert in a spreadsheet, which would compute what begins like a formula. */
function csvCell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  const text = visible(String(value)).replace(/[\t\n]/g, " ");
  const inert = /^[\s'"]*[=+\-@|%]/.test(text) ? `'${text}` : text;
  return `"${inert.replace(/"/g, '""')}"`;
}

function csv(heads, rows) {
  return [heads, ...rows].map((row) => row.map(csvCell).join(",")).join("\r\n") + "\r\n";
}
