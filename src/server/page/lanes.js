// Lanes of the fleet: how each one is, and orders to pause it or let it go on.

import { api } from "./api.js";
import { byId, el, mark, say, soon, Table } from "./dom.js";
import { count, many, rate, seconds } from "./format.js";

/** Rows shown at once: a fleet may have thousands of lanes. */
const SHOWN = 200;

const TONES = {
  working: "good", idle: "calm", draining: "calm", "not declared": "calm",
  paused: "warn", full: "warn", "down, probing": "bad", "no answer": "bad", "no worker": "bad",
};

export const backlog = (lane) => (lane.ready ?? 0) + (lane.held ?? 0);

/** How a lane's state is to be taken. Nobody there and nothing to do is no trouble. */
export const tone = (lane) =>
  lane.state === "no worker" && backlog(lane) === 0 ? "calm" : TONES[lane.state] ?? "calm";

/** How urgent a lane is: trouble, what somebody ordered, work, rest. */
function urgency(lane) {
  const ordered = lane.paused?.since ? 1 : 0;
  return { bad: 4, warn: 3, good: 1, calm: 0 }[tone(lane)] - ordered * 0.5;
}

/** Lanes that somebody should look at. */
export const troubled = (lanes) => lanes.filter((lane) => ["bad", "warn"].includes(tone(lane)));

/** Why a lane is as it is, in words. */
export function why(lane) {
  const own = lane.paused && !lane.paused.since ? [lane.paused.why] : [];
  return [...new Set([...own, ...lane.notes])].join("; ");
}

const ORDERS = {
  attention: (one, other) => urgency(other) - urgency(one) || backlog(other) - backlog(one),
  backlog: (one, other) => backlog(other) - backlog(one),
  name: () => 0,
};

export class Lanes {
  constructor(page) {
    this.page = page;
    this.lanes = [];
    this.form = byId("lanes-filter");
    this.table = new Table(byId("lanes"), this.columns(), {
      label: "Lanes", key: (lane) => lane.name, empty: "Looking at the lanes…",
    });
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("input", soon(() => page.go("lanes", this.words())));
  }

  columns() {
    const number = (title, cell) => ({ title, kind: "number", cell });
    return [
      { title: "Lane", kind: "title", node: () => this.name() },
      { title: "State", kind: "state", node: () => this.state() },
      number("Backlog", (lane) => ({
        text: lane.declared ? count(backlog(lane)) : "–",
        title: `${count(lane.ready)} in the queue, ${count(lane.held)} held by the worker`,
      })),
      number("Oldest", (lane) => (lane.oldest_seconds === null ? "–" : seconds(lane.oldest_seconds))),
      number("Rate now / most", (lane) => ({
        text: lane.rate === null ? "–" : `${rate(lane.rate)} / ${rate(lane.ceiling)}`,
        title: "calls a second",
        tone: lane.rate !== null && lane.rate < lane.ceiling * 0.6 ? "warn" : undefined,
      })),
      number("In flight", (lane) => count(lane.in_flight)),
      number("Throttles", (lane) => count(lane.counts?.throttled)),
      number("Tagged", (lane) => ({
        text: count(lane.counts && lane.counts.tagged + lane.counts.unchanged),
        title: lane.counts && `${count(lane.counts.tagged)} tagged, ${count(lane.counts.unchanged)} right already`,
      })),
      number("Dead", (lane) => ({ text: count(lane.counts?.dead), tone: lane.counts?.dead ? "bad" : undefined })),
      number("Done in", (lane) => (lane.eta_seconds === null ? "–" : seconds(lane.eta_seconds))),
      { title: "Order", kind: "act", node: () => this.order() },
    ];
  }

  name() {
    const [name, more] = [el("span", { class: "name" }), el("small")];
    const node = el("span", { class: "two" }, name, more);
    node.update = (lane) => {
      say(name, lane.name);
      say(more, [lane.provider, lane.region].filter(Boolean).join(" · ") || "not in the config");
    };
    return node;
  }

  state() {
    const [pill, more] = [el("span", { class: "pill" }), el("small")];
    const node = el("span", { class: "two" }, pill, more);
    node.update = (lane) => {
      say(pill, lane.state);
      mark(pill, "data-tone", tone(lane));
      say(more, why(lane));
    };
    return node;
  }

  order() {
    const button = el("button", { class: "quiet" });
    let lane;
    button.addEventListener("click", async () => {
      const what = button.dataset.what;
      // Not `disabled`: that would take the focus away.
      if (button.getAttribute("aria-disabled")) return;
      mark(button, "aria-disabled", "true");
      try {
        await api.order(lane.name, what);
        this.page.say(`${lane.name}: ${what === "pause" ? "paused" : "resumed"}`);
        await this.page.refresh();
      } catch (problem) {
        this.page.trouble(problem, `${lane.name} could not be ${what}d`);
      } finally {
        mark(button, "aria-disabled", null);
      }
    });
    button.update = (found) => {
      lane = found;
      const what = lane.paused ? "resume" : "pause";
      button.dataset.what = what;
      say(button, what === "pause" ? "Pause" : "Resume");
      mark(button, "aria-label", `${what === "pause" ? "Pause" : "Resume"} ${lane.name}`);
      button.hidden = !this.page.may("operate");
    };
    return button;
  }

  words() {
    const { q, sort } = this.form.elements;
    return { q: q.value.trim(), sort: sort.value === "attention" ? "" : sort.value };
  }

  /** Takes over what the address says. */
  enter(words) {
    const { q, sort } = this.form.elements;
    if (document.activeElement !== q) q.value = words.q ?? "";
    sort.value = ORDERS[words.sort] ? words.sort : "attention";
    this.render();
  }

  show({ lanes }) {
    this.lanes = lanes;
    this.known = true;
    this.render();
  }

  render() {
    const { q, sort } = this.form.elements;
    const text = q.value.trim().toLowerCase();
    const fits = (lane) => [lane.name, lane.provider, lane.region, lane.state].join(" ").toLowerCase().includes(text);
    const found = this.lanes.filter(fits).sort(ORDERS[sort.value]);
    const empty = this.lanes.length ? "No lane is like that." : "There are no lanes: the config has none, and none was ever used.";
    this.table.show(found.slice(0, SHOWN), this.known ? empty : undefined);
    const hidden = found.length - SHOWN;
    const counted = "Throttles, tagged and dead: since its worker got the lane.";
    say(byId("lanes-note"), hidden > 0 ? `${many(hidden, "more lane")} not shown: name what you look for. ${counted}` : counted);
  }
}
