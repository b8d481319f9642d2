// Numbers, durations and times as people read them.

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en-US", { maximumFractionDigits: 1 });

/** 12,345; a dash where nobody knows. */
export const count = (n) => (n === null || n === undefined ? "–" : whole.format(n));

/** 1.2k, 3.4M: for places with little room. */
export function short(n) {
  if (n === null || n === undefined) return "–";
  const size = Math.abs(n);
  if (size >= 1e9) return `${fine.format(n / 1e9)}G`;
  if (size >= 1e6) return `${fine.format(n / 1e6)}M`;
  if (size >= 1e4) return `${fine.format(n / 1e3)}k`;
  return size < 10 && n % 1 !== 0 ? fine.format(n) : whole.format(n);
}

/** 4.5 or 50: calls a second. */
export const rate = (n) => (n === null || n === undefined ? "–" : n >= 10 ? whole.format(n) : fine.format(n));

/** 120 ms, 4.2 s, 3 min 5 s, 2 h 4 min, 3 d 2 h. */
export function seconds(s) {
  if (s === null || s === undefined || Number.isNaN(s)) return "–";
  if (s === 0) return "0 s";
  if (s < 0.001) return "< 1 ms";
  if (s < 1) return `${Math.round(s * 1000)} ms`;
  if (s < 10) return `${fine.format(s)} s`;
  if (s < 60) return `${Math.round(s)} s`;
  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const at = units.findIndex(([size]) => s >= size);
  const [size, name] = units[at];
  const [lower, lowerName] = units[at + 1];
  let most = Math.floor(s / size);
  let rest = Math.round((s - most * size) / lower);
  if (rest * lower >= size) [most, rest] = [most + 1, 0];
  return rest ? `${most} ${name} ${rest} ${lowerName}` : `${most} ${name}`;
}

/** The same in one unit, for the axis of a chart: 1.7 min. */
export function brief(s) {
  if (s >= 3600) return `${fine.format(s / 3600)} h`;
  return s >= 60 ? `${fine.format(s / 60)} min` : seconds(s);
}

/** How long ago a time was. */
export function ago(time, now = Date.now()) {
  if (!time) return "never";
  const passed = (now - Date.parse(time)) / 1000;
  return passed < 2 ? "just now" : `${seconds(Math.floor(passed))} ago`;
}

/** 2026-01-02 03:04:05, in the time of whoever looks. */
export function at(time) {
  if (!time) return "–";
  const date = new Date(time);
  const two = (n) => String(n).padStart(2, "0");
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join("-");
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** 1 dead letter, 2 dead letters. */
export const many = (n, one, more = `${one}s`) => `${count(n)} ${n === 1 ? one : more}`;
