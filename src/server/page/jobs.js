// The last jobs that were finished, each with its ledger: what went in, and what became of it.

import { byId, el, mark, say, soon, Table } from "./dom.js";
import { ago, at, count, many, seconds } from "./format.js";

/** A bar of what became of the items: of one length, whatever their number. */
function ledger() {
  const parts = ["tagged", "unchanged", "dead"].map((name) => el("i", { class: `part part-${name}` }));
  const bar = el("span", { class: "ledger", role: "img" }, ...parts);
  const text = el("small");
  const node = el("span", { class: "two" }, bar, text);
  node.update = (job) => {
    const sums = [job.tagged, job.unchanged, job.dead];
    sums.forEach((n, i) => {
      parts[i].style.setProperty("flex-grow", n);
      parts[i].hidden = n === 0;
    });
    const words = [`${count(job.tagged)} tagged`];
    if (job.unchanged) words.push(`${count(job.unchanged)} right already`);
    if (job.dead) words.push(`${count(job.dead)} dead`);
    if (job.superseded) words.push(`${count(job.superseded)} with a later job's value`);
    const missing = job.accepted - sums.reduce((sum, n) => sum + n, 0);
    if (missing) words.push(`${count(missing)} unaccounted for`);
    mark(bar, "aria-label", words.join(", "));
    say(text, words.join(" · "));
    mark(text, "data-tone", missing ? "bad" : undefined);
  };
  return node;
}

function dead() {
  const link = el("a");
  link.update = (job) => {
    say(link, job.dead ? count(job.dead) : "0");
    mark(link, "href", job.dead ? `#/dead?${new URLSearchParams({ job: job.id })}` : undefined);
    mark(link, "data-tone", job.dead ? "bad" : undefined);
    mark(link, "title", job.dead ? "its dead letters" : undefined);
  };
  return link;
}

function name() {
  const [id, more] = [el("span", { class: "name mono" }), el("small")];
  const node = el("span", { class: "two" }, id, more);
  node.update = (job) => {
    say(id, job.id);
    mark(id, "title", job.id);
    say(more, job.batch ? `${job.lane} · batch ${job.batch}` : job.lane);
  };
  return node;
}

const number = (title, cell) => ({ title, kind: "number", cell });

/** The columns; a short list leaves some out. */
export const columns = (short) => [
  { title: "Job", node: name },
  { title: "Finished", kind: "time", cell: (job) => ({ text: ago(job.finished_at), title: at(job.finished_at) }) },
  number("Items", (job) => count(job.accepted)),
  { title: "What became of them", kind: "wide", node: ledger },
  { title: "Dead", kind: "number", node: dead },
  ...(short ? [] : [number("Calls", (job) => count(job.calls)), number("Retries", (job) => count(job.retries))]),
  number("Took", (job) => seconds(job.seconds)),
];

/** Receipts may come again after a crash; each job of a lane is one row. */
export const key = (job) => `${job.lane}/${job.batch ?? ""}/${job.id}/${job.finished_at}`;

export class Jobs {
  constructor(page) {
    this.jobs = [];
    this.form = byId("jobs-filter");
    this.table = new Table(byId("jobs"), columns(false), { label: "Recent jobs", key, empty: "Looking at the jobs…" });
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("input", soon(() => page.go("jobs", this.words())));
  }

  words() {
    const { q, dead } = this.form.elements;
    return { q: q.value.trim(), dead: dead.checked ? "1" : "" };
  }

  enter(words) {
    const { q, dead } = this.form.elements;
    if (document.activeElement !== q) q.value = words.q ?? "";
    dead.checked = words.dead === "1";
    this.render();
  }

  show({ jobs }) {
    this.jobs = jobs;
    this.known = true;
    this.render();
  }

  render() {
    const { q, dead } = this.form.elements;
    const text = q.value.trim().toLowerCase();
    const fits = (job) => [job.id, job.batch, job.lane].join(" ").toLowerCase().includes(text);
    const found = this.jobs.filter((job) => fits(job) && (!dead.checked || job.dead > 0));
    const empty = this.jobs.length ? "No job is like that." : "No job was finished since this server began.";
    this.table.show(found, this.known ? empty : undefined);
    const sum = (field) => found.reduce((total, job) => total + job[field], 0);
    const words = `${many(found.length, "job")}: ${many(sum("accepted"), "item")}, of which ${count(sum("dead"))} dead, in ${many(sum("calls"), "call")}.`;
    const bound = " The last 200 of the whole fleet are kept here, since this server began.";
    say(byId("jobs-note"), found.length ? words + bound : "");
  }
}
