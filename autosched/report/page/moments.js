// A study's moments in order. They come in columns, by kind: a hundred thousand objects take long to read and to send.

const FIELDS = ["event", "time", "spent", "trial", "role", "until", "start", "step", "worker", "text", "shared", "action", "forecast", "holdout", "status", "value"];

/** One moment; what was not told of it is undefined. */
class Moment {
  constructor(kind, columns, row) {
    this.kind = kind;
    this.columns = columns;
    this.row = row;
  }

  toJSON() {
    return Object.fromEntries([["kind", this.kind], ...FIELDS.map((name) => [name, this[name]])]);
  }
}

for (const name of FIELDS) {
  Object.defineProperty(Moment.prototype, name, { get() { return this.columns[name]?.[this.row] ?? undefined; } });
}

/** The moments of stretches {kind: {field: values}}, from the event `after` on. */
function momentsOf(stretches, after = 0) {
  const found = []; // each at its event's place; some events are no moments
  for (const stretch of stretches) {
    for (const [kind, columns] of Object.entries(stretch)) {
      columns.event.forEach((event, row) => { if (event >= after) found[event - after] = new Moment(kind, columns, row); });
    }
  }
  return found.filter(Boolean);
}
