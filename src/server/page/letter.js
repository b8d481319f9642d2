// One dead letter, whole: which resources, what the cloud said to each, and the document itself.

import { api } from "./api.js";
import { open } from "./dialog.js";
import { byId, el, say, Table } from "./dom.js";
import { at, count, many } from "./format.js";

/** Failures shown in the table; the document below has them all. */
const SHOWN = 200;

const COLUMNS = [
  { title: "Resource", kind: "code", cell: ({ resource }) => ({ text: resource.id, title: resource.id }) },
  { title: "Type", cell: ({ resource }) => resource.type ?? "–" },
  { title: "Code", kind: "code", cell: ({ code }) => code },
  { title: "What was said", kind: "words", cell: ({ message }) => message },
  { title: "Attempts", kind: "number", cell: ({ attempts }) => count(attempts) },
  { title: "Request id", kind: "code words", cell: (failure) => failure.request_id ?? "–" },
];

export class Letter {
  constructor(dead) {
    this.dead = dead;
    this.dialog = byId("letter");
  }

  async show(id) {
    const title = el("h2", { id: "letter-title", text: "Dead letter" });
    const wrong = el("p", { class: "wrong", role: "alert" });
    const close = el("button", { class: "quiet", text: "Close", on: { click: () => this.dialog.close() } });
    const body = el("div", { class: "letter" }, el("p", { class: "empty", text: "Reading it…" }));
    const buttons = el("div", { class: "buttons" }, close);
    this.dialog.replaceChildren(title, wrong, body, buttons);
    open(this.dialog);
    let letter;
    try {
      letter = await api.letter(id);
    } catch (problem) {
      body.replaceChildren();
      say(wrong, problem.status === 404 ? "It is not there any more: somebody has replayed or discarded it." : problem.message);
      return;
    }
    say(title, letter.job ? `Dead letter of job ${letter.job}` : "Dead letter of a message as it came");
    body.replaceChildren(...this.facts(letter));
    if (!this.dead.page.may("operate")) return;
    for (const [what, look] of [["replay", "primary"], ["discard", "danger"]]) {
      const go = async () => {
        if (await this.dead.act(what, [letter.id])) this.dialog.close();
      };
      buttons.append(el("button", { class: look, text: what === "replay" ? "Replay…" : "Discard…", on: { click: go } }));
    }
  }

  facts(letter) {
    const facts = [
      ["Letter", letter.id],
      ["Lane", letter.lane ?? "unknown"],
      ["Recorded", at(letter.recorded_at)],
      ["Source", letter.source && `${letter.source}${letter.line ? `, line ${letter.line}` : ""}`],
      ["Replayed before", letter.document?.replay?.count && many(letter.document.replay.count, "time")],
    ];
    const list = el("dl", { class: "facts" });
    for (const [name, value] of facts.filter(([, value]) => value)) {
      list.append(el("div", {}, el("dt", { text: name }), el("dd", { class: name === "Letter" ? "mono" : "", text: value })));
    }
    if (letter.raw) {
      const text = letter.body ?? letter.body_base64;
      const what = letter.body === null ? "Its bytes, in Base64" : "The message as it came";
      return [list, el("p", { text: letter.message }), el("h3", { text: what }), el("pre", { tabindex: "0", text })];
    }
    const failures = letter.document?.failures ?? [];
    const place = el("div");
    const table = new Table(place, COLUMNS, { label: "Failed items", key: (failure) => failure.at, empty: "It has no items." });
    table.show(failures.slice(0, SHOWN).map((failure, at) => ({ ...failure, at })));
    const more = failures.length - SHOWN;
    return [
      list,
      el("h3", { text: many(failures.length, "failed item") }),
      place,
      more > 0 && el("p", { class: "note", text: `${many(more, "more item")} in the document below.` }),
      el("details", {}, el("summary", { text: "The document" }), el("pre", { tabindex: "0", text: JSON.stringify(letter.document, null, 2) })),
    ].filter(Boolean);
  }
}
