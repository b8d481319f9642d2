// What the charts show: rates and quantiles out of counts that only grow. No elements in here.

/** Points kept: five minutes at one every two seconds. */
const KEPT = 150;

/** The counts of a lane that become rates. */
const COUNTED = ["tagged", "unchanged", "dead", "calls", "throttled"];

/** What has been added to each count since the last look. A lane that another worker got begins at nought there. */
export class Growth {
  #last = new Map();

  add(lanes) {
    const grown = Object.fromEntries(COUNTED.map((name) => [name, 0]));
    for (const { name, worker, counts } of lanes) {
      // No answer of its worker at this look: the next one tells what was done meanwhile.
      if (!counts) continue;
      const before = this.#last.get(name);
      this.#last.set(name, { worker, counts });
      if (!before) continue;
      const began = before.worker !== worker || COUNTED.some((key) => counts[key] < before.counts[key]);
      for (const key of COUNTED) grown[key] += counts[key] - (began ? 0 : before.counts[key]);
    }
    return grown;
  }
}

/** Points over time, the last ones only. */
export class Series {
  points = [];

  add(at, values) {
    this.points.push({ at, values });
    while (this.points.length > KEPT) this.points.shift();
  }
}

/** The buckets of a histogram in the text format of Prometheus, all its labels together: bound and count, in order. */
export function buckets(text, name) {
  const found = new Map();
  const start = `${name}_bucket{`;
  for (const line of text.split("\n")) {
    if (!line.startsWith(start)) continue;
    const bound = /le="([^"]+)"/.exec(line)?.[1];
    const value = Number(line.slice(line.lastIndexOf(" ") + 1));
    const key = bound === "+Inf" ? Infinity : Number(bound);
    found.set(key, (found.get(key) ?? 0) + value);
  }
  return [...found].sort(([one], [other]) => one - other);
}

/** A quantile of what came between two looks at a histogram; nothing where nothing came. */
export function quantile(before, after, share) {
  const old = new Map(before);
  const grown = after.map(([bound, value]) => [bound, value - (old.get(bound) ?? 0)]);
  const total = grown.at(-1)?.[1] ?? 0;
  if (total <= 0) return null;
  const wanted = total * share;
  let [lower, below] = [0, 0];
  for (const [bound, upTo] of grown) {
    if (upTo >= wanted) {
      // Above the largest bound nothing is known but that.
      if (bound === Infinity) return lower;
      return lower + ((bound - lower) * (wanted - below)) / Math.max(upTo - below, 1);
    }
    [lower, below] = [bound, upTo];
  }
  return lower;
}

/** A quantile of plain numbers. */
export function middle(numbers, share) {
  if (!numbers.length) return null;
  const sorted = [...numbers].sort((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

/** Looks at a histogram, so that each tells of the last half minute. */
export class Window {
  #looks = [];

  constructor(wide) {
    this.wide = wide;
  }

  add(at, look) {
    this.#looks.push({ at, look });
    while (this.#looks.length > 2 && at - this.#looks[1].at >= this.wide) this.#looks.shift();
    return [this.#looks[0].look, look];
  }
}
