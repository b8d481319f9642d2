// Dead letters: which there are, and what to do with them. The filter is in the address, so that it can be sent to somebody.

import { api } from "./api.js";
import { askFirst } from "./dialog.js";
import { byId, el, mark, say, Table } from "./dom.js";
import { ago, at, count, many } from "./format.js";
import { Letter } from "./letter.js";

/** Letters shown at once. */
const SHOWN = 100;
/** The list is read anew when there are more or fewer letters, but not at once: it takes all of them in hand. */
const AGAIN = 5_000;
const WORDS = ["lane", "code", "job", "newer_than", "older_than"];

export class Dead {
  constructor(page) {
    Object.assign(this, { page, filter: {}, letters: [], chosen: new Set(), count: null });
    this.form = byId("dead-filter");
    this.letter = new Letter(this);
    this.all = el("input", { type: "checkbox", "aria-label": "All that are shown" });
    this.all.addEventListener("change", () => {
      this.chosen = new Set(this.all.checked ? this.letters.map(({ id }) => id) : []);
      this.render();
    });
    this.table = new Table(byId("dead"), this.columns(), {
      label: "Dead letters", key: (letter) => letter.id, empty: "Looking at the dead letters…",
    });
    this.table.table.tHead.rows[0].cells[0].replaceChildren(this.all);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      const words = this.words();
      if (JSON.stringify(words) === JSON.stringify(this.filter)) this.load();
      else page.go("dead", words);
    });
    byId("dead-clear").addEventListener("click", () => page.go("dead", {}));
    byId("dead-refresh").addEventListener("click", () => this.load());
    for (const what of ["replay", "discard"]) byId(`dead-${what}`).addEventListener("click", () => this.act(what));
  }

  columns() {
    return [
      { title: "", kind: "pick", node: () => this.box() },
      { title: "Letter", node: () => this.title() },
      { title: "Lane", kind: "lane", cell: (letter) => letter.lane ?? "unknown" },
      { title: "Items", kind: "number", cell: (letter) => count(letter.items) },
      { title: "Code", kind: "code", cell: (letter) => letter.codes.join(", ") },
      { title: "What was said", kind: "words", cell: (letter) => ({ text: letter.message, title: letter.message }) },
      { title: "Recorded", kind: "time", cell: (letter) => ({ text: ago(letter.recorded_at), title: at(letter.recorded_at) }) },
    ];
  }

  box() {
    const box = el("input", { type: "checkbox" });
    let id;
    box.addEventListener("change", () => {
      if (box.checked) this.chosen.add(id);
      else this.chosen.delete(id);
      this.render();
    });
    box.update = (letter) => {
      ({ id } = letter);
      box.checked = this.chosen.has(id);
      mark(box, "aria-label", `Choose the letter of ${letter.job ?? "a message without a job's id"}`);
    };
    return box;
  }

  title() {
    const [button, more] = [el("button", { class: "linkish mono" }), el("small")];
    const node = el("span", { class: "two" }, button, more);
    let id;
    button.addEventListener("click", () => this.letter.show(id));
    node.update = (letter) => {
      ({ id } = letter);
      say(button, letter.job ?? "no id");
      const from = letter.source ? `${letter.source}${letter.line ? `, line ${letter.line}` : ""}` : "";
      say(more, letter.raw ? ["a message as it came", from].filter(Boolean).join(" · ") : from);
    };
    return node;
  }

  words() {
    const given = WORDS.map((word) => [word, this.form.elements[word].value.trim()]);
    return Object.fromEntries(given.filter(([, value]) => value));
  }

  /** Takes over the filter that the address holds. */
  enter(words) {
    const filter = Object.fromEntries(WORDS.filter((word) => words[word]).map((word) => [word, words[word]]));
    for (const word of WORDS) this.form.elements[word].value = filter[word] ?? "";
    if (JSON.stringify(filter) !== JSON.stringify(this.filter)) this.chosen.clear();
    this.filter = filter;
    this.load();
  }

  /** The fleet has more or fewer by now. */
  heard({ dead, lanes }) {
    this.suggest("lane-names", lanes.slice(0, 500).map(({ name }) => name));
    if (this.page.view !== "dead" || dead === this.told) return;
    if (Date.now() - (this.loaded ?? 0) < Math.max(AGAIN, (this.took ?? 0) * 20)) return;
    this.told = dead;
    this.load();
  }

  /** Words that a field offers; an open list of the same ones stays open. */
  suggest(id, words) {
    const list = byId(id);
    if ([...list.options].map(({ value }) => value).join("\n") === words.join("\n")) return;
    list.replaceChildren(...words.map((value) => el("option", { value })));
  }

  async load() {
    const mine = (this.turn = (this.turn ?? 0) + 1);
    mark(byId("dead"), "aria-busy", "true");
    const begun = Date.now();
    try {
      const found = await api.letters(this.filter, SHOWN);
      if (mine !== this.turn) return;
      this.letters = found.letters;
      this.count = found.count;
      this.wrong = null;
      const here = new Set(this.letters.map(({ id }) => id));
      this.chosen = new Set([...this.chosen].filter((id) => here.has(id)));
    } catch (problem) {
      if (mine !== this.turn) return;
      this.wrong = problem.whole ?? problem.message;
      if (problem.status === 422) [this.letters, this.count] = [[], null];
      this.page.failed(problem);
    } finally {
      if (mine === this.turn) mark(byId("dead"), "aria-busy", null);
      this.loaded = Date.now();
      this.took = this.loaded - begun;
    }
    this.render();
  }

  get filtered() {
    return Object.keys(this.filter).length > 0;
  }

  render() {
    const { letters, count: all, chosen } = this;
    const none = this.filtered ? "No dead letter is like that." : "No dead letters: everything that came in was tagged, or was right already.";
    this.table.show(letters, this.wrong ?? none);
    this.all.checked = letters.length > 0 && chosen.size === letters.length;
    this.all.indeterminate = chosen.size > 0 && chosen.size < letters.length;
    this.suggest("code-names", [...new Set(letters.flatMap((letter) => letter.codes))]);
    const words = all ? `${many(all.letters, "dead letter")} with ${many(all.items, "item")}` : "";
    say(byId("dead-count"), chosen.size ? `${count(chosen.size)} chosen of ${words}` : words);
    const which = chosen.size ? many(chosen.size, "letter") : this.filtered ? "all matching" : "all";
    for (const what of ["replay", "discard"]) {
      const button = byId(`dead-${what}`);
      button.hidden = !this.page.may("operate");
      button.disabled = !all?.letters;
      say(button, `${what === "replay" ? "Replay" : "Discard"} ${which}…`);
    }
    const hidden = all ? all.letters - letters.length : 0;
    const readOnly = this.page.may("operate") ? "" : "This token may look only: to replay or discard takes one with the scope operate.";
    say(byId("dead-note"), hidden > 0 ? `${many(hidden, "more letter")} not shown; a replay of all takes them too. ${readOnly}` : readOnly);
  }

  /** Replays or discards: the ids that are given, else what is chosen, else all that the filter finds. */
  async act(what, ids = [...this.chosen]) {
    const pick = ids.length ? { ids } : { filter: this.filter };
    const given = Object.entries(this.filter).map(([word, value]) => `${word.replace("_", " ")} ${value}`);
    const where = ids.length || !given.length ? "" : `Those with ${given.join(", ")}.`;
    const done = await askFirst(what, pick, where, api.act);
    if (!done) return false;
    this.page.say(done);
    this.chosen.clear();
    await Promise.all([this.load(), this.page.refresh()]);
    return true;
  }
}
