// A chart of lines over time, drawn as SVG; its numbers are read with the pointer or the arrow keys.

import { el, say } from "./dom.js";
import { seconds } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 150;
const LEFT = 52;
const RIGHT = 6;
const TOP = 8;
const BOTTOM = 20;
const SPANS = [60, 120, 300];

function svg(tag, given) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(given)) node.setAttribute(name, value);
  return node;
}

/** A round number at or above. */
function ceiling(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].map((step) => step * power).find((step) => step >= value * 0.999);
}

/** A chart of a series. `lines` are `{ key, label, tone }`, `unit(value)` makes a text of a value, `axis(value)` a short one. */
export class Chart {
  constructor({ title, about, lines, unit, axis = unit }) {
    Object.assign(this, { title, lines, unit, axis, series: { points: [] }, cursor: null });
    this.values = new Map(lines.map(({ key }) => [key, el("b")]));
    const legend = lines.map(({ key, label, tone }) =>
      el("li", {}, el("i", { class: `tone-${tone}` }), `${label} `, this.values.get(key)),
    );
    this.when = el("li", { class: "when" });
    this.plot = el("div", { class: "plot", tabindex: "0", role: "img" });
    this.empty = el("p", { class: "plot-empty", text: "collecting…" });
    const head = el("figcaption", {}, el("h2", { text: title, title: about }), el("ul", {}, ...legend, this.when));
    this.node = el("figure", { class: "chart" }, head, this.plot);
    this.plot.append(this.empty);
    this.plot.addEventListener("pointermove", (event) => this.point(event.offsetX));
    this.plot.addEventListener("pointerleave", () => this.point(null));
    this.plot.addEventListener("keydown", (event) => this.step(event));
    this.plot.addEventListener("blur", () => this.point(null));
    new ResizeObserver(() => this.draw()).observe(this.plot);
  }

  /** Seconds from one side to the other: as few of these as hold all points. */
  get span() {
    const points = this.series.points;
    const passed = points.length ? (points.at(-1).at - points[0].at) / 1000 : 0;
    return SPANS.find((span) => span >= passed) ?? SPANS.at(-1);
  }

  show(series, empty) {
    this.series = series;
    say(this.empty, empty ?? "collecting…");
    this.draw();
  }

  point(x) {
    const points = this.series.points;
    if (x === null || !points.length) this.cursor = null;
    else {
      const last = points.at(-1).at;
      const at = last - (1 - (x - LEFT) / Math.max(1, this.plot.clientWidth - LEFT - RIGHT)) * this.span * 1000;
      const far = points.map((point) => Math.abs(point.at - at));
      this.cursor = points[far.indexOf(Math.min(...far))].at;
    }
    this.draw();
  }

  step(event) {
    const points = this.series.points;
    const by = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (by === undefined || !points.length) return;
    event.preventDefault();
    const here = this.cursor === null ? points.length : points.findIndex((point) => point.at === this.cursor);
    this.cursor = points[Math.min(points.length - 1, Math.max(0, here + by))].at;
    this.draw();
  }

  draw() {
    const points = this.series.points;
    const width = this.plot.clientWidth;
    const known = points.some((point) => this.lines.some(({ key }) => Number.isFinite(point.values[key])));
    if (!known || width < 80) {
      this.plot.replaceChildren(this.empty);
      for (const value of this.values.values()) say(value, "–");
      say(this.when, "");
      return;
    }
    const last = points.at(-1);
    const all = points.flatMap((point) => this.lines.map(({ key }) => point.values[key] ?? 0));
    const span = this.span;
    const top = ceiling(Math.max(...all));
    const x = (at) => width - RIGHT - ((last.at - at) / (span * 1000)) * (width - LEFT - RIGHT);
    const y = (value) => HEIGHT - BOTTOM - (value / top) * (HEIGHT - TOP - BOTTOM);
    const picture = svg("svg", { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, "aria-hidden": "true" });
    for (const share of [0, 0.5, 1]) {
      const level = y(top * share);
      picture.append(svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: level, y2: level }));
      const text = svg("text", { class: "axis", x: LEFT - 6, y: level + 4, "text-anchor": "end" });
      text.textContent = this.axis(top * share);
      picture.append(text);
    }
    for (const [back, name] of [[span, `${span / 60} min ago`], [0, "now"]]) {
      const anchor = back === 0 ? "end" : "start";
      const text = svg("text", { class: "axis", x: x(last.at - back * 1000), y: HEIGHT - 4, "text-anchor": anchor });
      text.textContent = name;
      picture.append(text);
    }
    for (const { key, tone } of this.lines) {
      // Where nothing is known the line has a gap.
      let path = "";
      let pen = "M";
      for (const { at, values } of points) {
        if (!Number.isFinite(values[key]) || x(at) < LEFT) pen = "M";
        else {
          path += `${pen}${x(at).toFixed(1)} ${y(values[key]).toFixed(1)}`;
          pen = "L";
        }
      }
      if (path) picture.append(svg("path", { class: `line tone-${tone}`, d: path }));
    }
    const shown = points.find((point) => point.at === this.cursor) ?? last;
    if (shown !== last || this.cursor !== null) {
      picture.append(svg("line", { class: "cursor", x1: x(shown.at), x2: x(shown.at), y1: TOP, y2: HEIGHT - BOTTOM }));
    }
    for (const { key } of this.lines) {
      const value = shown.values[key];
      say(this.values.get(key), Number.isFinite(value) ? this.unit(value) : "–");
    }
    const back = (last.at - shown.at) / 1000;
    say(this.when, back >= 1 ? `${seconds(back)} ago` : "");
    const words = this.lines.map(({ key, label }) => {
      const value = shown.values[key];
      return `${label} ${Number.isFinite(value) ? this.unit(value) : "unknown"}`;
    });
    this.plot.setAttribute("aria-label", `${this.title}: ${words.join(", ")}${back >= 1 ? `, ${seconds(back)} ago` : ""}`);
    this.plot.replaceChildren(picture);
  }
}
