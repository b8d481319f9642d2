// Rules and what each one has done.

import { byId, el, mark, say, Table } from "./dom.js";
import { ago, at, count } from "./format.js";

function name() {
  const [title, more] = [el("span", { class: "name" }), el("small")];
  const node = el("span", { class: "two" }, title, more);
  node.update = (rule) => {
    say(title, rule.name);
    mark(title, "title", rule.name);
    say(more, rule.source.join(", "));
  };
  return node;
}

const number = (title, field, tone) => ({
  title,
  kind: "number",
  cell: (rule) => ({ text: count(rule[field]), tone: rule[field] ? tone : undefined }),
});

const COLUMNS = [
  { title: "Rule", node: name },
  number("Events for it", "events"),
  number("Matched", "matched"),
  number("Jobs", "jobs"),
  number("Resources", "resources"),
  number("Tags left out", "left_out", "warn"),
  number("Errors", "errors", "bad"),
  { title: "Last match", cell: (rule) => ({ text: ago(rule.last_matched_at), title: at(rule.last_matched_at) }) },
];

export class Rules {
  constructor() {
    this.table = new Table(byId("rules"), COLUMNS, { label: "Rules", key: (rule) => rule.name, empty: "Looking at the rules…" });
  }

  enter() {}

  show({ rules }) {
    this.table.show(rules, "The config of this server has no rules: events that are posted here become no jobs.");
  }
}
