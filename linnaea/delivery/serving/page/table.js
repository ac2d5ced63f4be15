// Answers as CSV, as `linnaea predict --format csv` writes them: linnaea/runtime/cells.py in JavaScript.

const FORMULA = /^'*[=+\-@\t\r\n＝＋－＠]/u; // also in the full width of East Asian scripts
const NUMBER = /^[+-]?(\p{Nd}+\.?\p{Nd}*|\.\p{Nd}+)([eE][+-]?\p{Nd}+)?$/u;
const COLUMNS = ["id", "label", "confidence", "prediction_set", "ood_score", "reason", "detail"];
const SERVED = ["model", "version", "request", "place"];

/** A header and a row per answer; `correction` is the right label where the answer was said to be wrong. */
export function tableOf(rows) {
  const names = [...COLUMNS, ...SERVED, "correction"];
  return asCsv([names, ...rows.map((row) => names.map((name) => cellOf(name, row[name])))]);
}

function cellOf(name, value) {
  if (value === null || value === undefined) return "";
  if (!Array.isArray(value)) return String(value);
  return name === "prediction_set" ? value.map(escaped).join("|") : joined(value);
}

/** Rows of cells as CSV, those that a spreadsheet would run guarded by an apostrophe. */
export function asCsv(rows) {
  return rows.map((row) => `${row.map((cell) => quoted(guarded(cell))).join(",")}\n`).join("");
}

export function guarded(cell) {
  return FORMULA.test(cell) && !NUMBER.test(cell.replace(/^'+/, "")) ? `'${cell}` : cell;
}

function quoted(cell) {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

/** Any number of names as one cell; one alone is followed by a bar, so that the cell says what it is. */
export function joined(names) {
  const whole = names.map(escaped);
  const beforeBar = whole.map((name) => name + /\\*$/.exec(name)[0]);
  return whole.length > 1 ? [...beforeBar.slice(0, -1), whole.at(-1)].join("|") : `${beforeBar.join("")}|`;
}

function escaped(name) {
  return name.replace(/(\\*)\|/g, (_, slashes) => `${slashes}${slashes}\\|`);
}
