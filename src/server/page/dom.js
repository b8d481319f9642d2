// Elements made of data: text is always text, never markup.

/** An element. `with` holds properties (`text`, `class`, `on`, `data`), anything else becomes an attribute. */
export function el(tag, given = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "text") node.textContent = value;
    else if (name === "class") node.className = value;
    else if (name === "on") for (const [event, what] of Object.entries(value)) node.addEventListener(event, what);
    else if (name === "data") Object.assign(node.dataset, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== undefined && child !== null && child !== false));
  return node;
}

/** The element of that id. */
export const byId = (id) => document.getElementById(id);

/** Changes text only where it is another one: what a reader has marked stays marked. */
export function say(node, text) {
  const wanted = String(text);
  if (node.textContent !== wanted) node.textContent = wanted;
}

/** Sets or removes an attribute, where that changes anything. */
export function mark(node, name, value) {
  if (value === undefined || value === null || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value === true ? "" : value);
}

/**
 * Keeps the children of a node in step with a list. A child of a known key is kept, with its focus, and updated.
 * `make` returns an element with a function `update(item)` on it.
 */
export function keep(parent, items, key, make) {
  const focused = document.activeElement;
  const old = new Map();
  for (const child of [...parent.children]) {
    if (child.dataset.key !== undefined && child.update) old.set(child.dataset.key, child);
    else child.remove();
  }
  let at = parent.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let child = old.get(name);
    if (child) old.delete(name);
    else {
      child = make(item);
      child.dataset.key = name;
    }
    child.update(item);
    if (child === at) at = at.nextElementSibling;
    else parent.insertBefore(child, at);
  }
  for (const gone of old.values()) gone.remove();
  // A row that moves would lose it.
  if (focused !== document.activeElement && parent.contains(focused)) focused.focus({ preventScroll: true });
}

/**
 * A table. Each column has a `title` and `cell(item)`: a text, or `{ text, title, class, node }`. `node` is a function that
 * makes an element with `update(item)` once for each row. Without items there is `empty` in its place.
 */
export class Table {
  constructor(place, columns, { label, key, empty }) {
    Object.assign(this, { place, columns, key });
    const heads = columns.map(({ title, kind }) => el("th", { scope: "col", class: kind, text: title }));
    this.body = el("tbody");
    this.table = el("table", { "aria-label": label }, el("thead", {}, el("tr", {}, ...heads)), this.body);
    this.empty = el("p", { class: "empty", text: empty });
    this.place.replaceChildren(this.empty);
  }

  show(items, empty) {
    if (empty !== undefined) say(this.empty, empty);
    const wanted = items.length ? this.table : this.empty;
    if (wanted.parentNode !== this.place) this.place.replaceChildren(wanted);
    keep(this.body, items, this.key, () => this.row());
  }

  row() {
    const updates = [];
    // A box to tick says nothing of the row.
    const head = this.columns.findIndex(({ kind }) => kind !== "pick");
    const cells = this.columns.map((column, at) => {
      const cell = el(at === head ? "th" : "td", {
        scope: at === head ? "row" : undefined,
        class: column.kind,
        data: { label: column.title },
      });
      if (column.node) {
        const inner = column.node();
        cell.append(inner);
        updates.push((item) => inner.update(item));
      } else {
        updates.push((item) => {
          const found = column.cell(item);
          const { text, title, tone } = typeof found === "object" && found !== null ? found : { text: found };
          say(cell, text ?? "–");
          mark(cell, "title", title);
          mark(cell, "data-tone", tone);
        });
      }
      return cell;
    });
    const row = el("tr", {}, ...cells);
    row.update = (item) => {
      row.item = item;
      for (const update of updates) update(item);
    };
    return row;
  }
}

/** A function that runs once things have been quiet for a moment. */
export function soon(what, wait = 200) {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => what(...given), wait);
  };
}
