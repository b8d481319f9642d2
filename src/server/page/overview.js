// The fleet at a glance: numbers, live charts, what needs somebody, the last jobs.

import { Chart } from "./chart.js";
import { byId, el, keep, mark, say, Table } from "./dom.js";
import { ago, brief, count, many, rate, seconds, short } from "./format.js";
import { columns, key } from "./jobs.js";
import { backlog, tone, troubled, why } from "./lanes.js";
import { buckets, Growth, middle, quantile, Series, Window } from "./series.js";

const JOBS = 8;
const LISTED = 12;
const HALF_MINUTE = 30_000;
/** The server looks at the fleet once a second at most: two looks within that are the same one. */
const APART = 1_500;

const TILES = [
  ["items", "Items a second", "tagged, or right already"],
  ["backlog", "Backlog", "messages in queues and held"],
  ["oldest", "Oldest message", "held by a worker"],
  ["calls", "Calls a second", "to all clouds"],
  ["lanes", "Lanes working", ""],
  ["dead", "Dead letters", ""],
];

function charts() {
  const perSecond = (value) => `${short(value)}/s`;
  return {
    items: new Chart({
      title: "Throughput", about: "Items a second of the whole fleet", unit: perSecond,
      lines: [
        { key: "tagged", label: "tagged", tone: "one" },
        { key: "unchanged", label: "right already", tone: "two" },
        { key: "dead", label: "dead", tone: "bad" },
      ],
    }),
    calls: new Chart({
      title: "Calls", about: "Calls a second of the whole fleet", unit: perSecond,
      lines: [{ key: "calls", label: "calls", tone: "one" }, { key: "throttled", label: "throttled", tone: "warn" }],
    }),
    call: new Chart({
      title: "Call latency", about: "How long calls of this worker took in the last half minute", unit: seconds, axis: brief,
      lines: [{ key: "half", label: "median", tone: "one" }, { key: "most", label: "95 %", tone: "two" }],
    }),
    job: new Chart({
      title: "Job latency", about: "How long jobs took that were finished in the last half minute", unit: seconds, axis: brief,
      lines: [{ key: "half", label: "median", tone: "one" }, { key: "most", label: "95 %", tone: "two" }],
    }),
  };
}

export class Overview {
  constructor() {
    this.growth = new Growth();
    this.series = { items: new Series(), calls: new Series(), call: new Series(), job: new Series() };
    this.window = new Window(HALF_MINUTE);
    this.charts = charts();
    byId("charts").append(...Object.values(this.charts).map((chart) => chart.node));
    this.tiles = {};
    for (const [name, title, note] of TILES) {
      const [value, more] = [el("dd", { class: "value", text: "–" }), el("dd", { class: "more", text: note })];
      this.tiles[name] = { value, more };
      byId("tiles").append(el("div", { class: "tile" }, el("dt", { text: title }), value, more));
    }
    this.jobs = new Table(byId("last-jobs"), columns(true), { label: "Last jobs", key, empty: "Looking at the jobs…" });
  }

  enter() {}

  tile(name, value, more, tone) {
    const tile = this.tiles[name];
    say(tile.value, value);
    mark(tile.value, "data-tone", tone);
    if (more !== undefined) say(tile.more, more);
  }

  /** A look at the fleet. */
  show(now, fleet) {
    const { lanes } = fleet;
    if (this.before === undefined || now - this.before >= APART) this.speed(now, lanes);
    const left = lanes.reduce((sum, lane) => sum + backlog(lane), 0);
    const oldest = Math.max(-1, ...lanes.map((lane) => lane.oldest_seconds ?? -1));
    const working = lanes.filter((lane) => lane.state === "working").length;
    const trouble = troubled(lanes);
    const busy = lanes.filter((lane) => backlog(lane) > 0);
    const etas = busy.map((lane) => lane.eta_seconds).filter((eta) => eta !== null);
    this.tile("backlog", short(left), etas.length && etas.length === busy.length ? `done in ${seconds(Math.max(...etas))} at this pace` : "messages in queues and held");
    this.tile("oldest", oldest < 0 ? "none" : seconds(oldest));
    const rest = trouble.length ? many(trouble.length, "needs attention", "need attention") : "none needs attention";
    this.tile("lanes", `${count(working)} of ${count(lanes.length)}`, rest, trouble.length ? "warn" : undefined);
    const odd = [];
    if (fleet.poison) odd.push(`${count(fleet.poison)} poison`);
    if (fleet.unrouted) odd.push(`${count(fleet.unrouted)} unrouted`);
    const note = odd.join(", ") || (fleet.dead ? "ready to replay" : "nothing failed for good");
    this.tile("dead", fleet.dead === null ? "–" : short(fleet.dead), note, fleet.dead || odd.length ? "bad" : undefined);
    this.attention(trouble, fleet);
    this.workers(fleet.workers);
  }

  /** What has been done since the look before, by the second. */
  speed(now, lanes) {
    const grown = this.growth.add(lanes);
    if (this.before !== undefined) {
      const passed = (now - this.before) / 1000;
      const speed = Object.fromEntries(Object.entries(grown).map(([name, n]) => [name, n / passed]));
      this.series.items.add(now, speed);
      this.series.calls.add(now, speed);
      this.tile("items", short(speed.tagged + speed.unchanged));
      const throttled = speed.throttled ? `${rate(speed.throttled)} a second throttled` : "none throttled";
      this.tile("calls", short(speed.calls), throttled, speed.throttled ? "warn" : undefined);
    }
    this.before = now;
    this.charts.items.show(this.series.items);
    this.charts.calls.show(this.series.calls);
  }

  attention(trouble, fleet) {
    const items = trouble.slice(0, LISTED).map((lane) => ({ id: lane.name, tone: tone(lane), state: lane.state, title: lane.name, text: why(lane), href: `#/lanes?${new URLSearchParams({ q: lane.name })}` }));
    if (trouble.length > LISTED) items.push({ id: " more", tone: "calm", state: "more", title: many(trouble.length - LISTED, "more lane"), text: "", href: "#/lanes" });
    if (fleet.dead) items.push({ id: " dead", tone: "bad", state: "dead", title: many(fleet.dead, "dead letter"), text: "look at the reasons, mend them, replay", href: "#/dead" });
    if (fleet.poison) items.push({ id: " poison", tone: "bad", state: "poison", title: many(fleet.poison, "poison message"), text: "handed out a thousand times and given up", href: "#/dead" });
    if (fleet.unrouted) items.push({ id: " unrouted", tone: "bad", state: "unrouted", title: many(fleet.unrouted, "unrouted job"), text: "for lanes that nobody has declared", href: "#/dead" });
    if (!items.length) items.push({ id: " none", tone: "good", state: "fine", title: "Nothing needs attention", text: "" });
    keep(byId("attention"), items, (item) => item.id, () => {
      const [pill, title, text] = [el("span", { class: "pill" }), el("a", { class: "name" }), el("small")];
      const row = el("li", {}, pill, el("span", { class: "two" }, title, text));
      row.update = (item) => {
        say(pill, item.state);
        mark(pill, "data-tone", item.tone);
        say(title, item.title);
        mark(title, "href", item.href);
        say(text, item.text);
      };
      return row;
    });
  }

  workers(workers) {
    const items = workers.length ? workers : [{ worker: " none" }];
    keep(byId("workers"), items, (item) => item.worker, (first) => {
      const [name, text] = [el("span", { class: "name mono" }), el("small")];
      const row = el("li", {}, el("span", { class: "two" }, name, text));
      const none = first.worker === " none";
      row.update = (item) => {
        say(name, none ? "No worker has answered" : item.worker);
        const facts = [`${item.host} · process ${item.pid}`, `version ${item.version}`, many(item.lanes, "lane"), `began ${ago(item.started_at)}`];
        say(text, none ? "start one: tagmill worker" : facts.join(" · "));
      };
      return row;
    });
  }

  /** The last jobs of the fleet. */
  showJobs(now, { jobs }) {
    this.jobs.show(jobs.slice(0, JOBS), "No job was finished since this server began.");
    const fresh = jobs.filter((job) => now - Date.parse(job.finished_at) < HALF_MINUTE).map((job) => job.seconds);
    this.series.job.add(now, { half: middle(fresh, 0.5), most: middle(fresh, 0.95) });
    this.charts.job.show(this.series.job, "no job was finished in the last half minute");
  }

  /** Counts of this process. */
  showMetrics(now, text) {
    const [before, after] = this.window.add(now, buckets(text, "tagmill_call_duration_seconds"));
    this.series.call.add(now, { half: quantile(before, after, 0.5), most: quantile(before, after, 0.95) });
    this.charts.call.show(this.series.call, after.length ? "this worker made no call in the last half minute" : "this process works on no lane");
  }
}
