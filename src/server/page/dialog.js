// Dialogs that ask first: what will be done, to how many, and what went wrong.

import { byId, el, say } from "./dom.js";
import { count, many } from "./format.js";

/** Opens a dialog in the middle of the page; Escape and the browser close it. */
export function open(dialog) {
  if (!dialog.open) dialog.showModal();
}

/** What is meant, as a sentence. */
const meant = ({ letters, items }) =>
  letters === 1 ? `1 dead letter with ${many(items, "item")}` : `${count(letters)} dead letters with ${many(items, "item")}`;

const KINDS = {
  replay: {
    title: (found) => `Replay ${many(found.letters, "dead letter")}?`,
    text: (found) =>
      `${meant(found)} will be sent again as new work. A replay overwrites values that were set since.` +
      (found.raw ? ` Of these, ${found.raw === 1 ? "1 is a message as it" : `${count(found.raw)} are messages as they`} came: what is no job stays.` : ""),
    done: (found) => {
      const more = [];
      if (found.raw) more.push(`${many(found.raw, "message")} that ${found.raw === 1 ? "is" : "are"} no job stayed`);
      if (found.no_lane) more.push(`${many(found.no_lane, "letter")} of lanes without a queue stayed`);
      if (found.gone) more.push(`${many(found.gone, "letter")} had been taken by somebody else`);
      return [found.letters ? `${meant(found)} sent again` : "Nothing was sent again", ...more].join("; ");
    },
    button: (found) => `Replay ${count(found.letters)}`,
    look: "primary",
  },
  discard: {
    title: (found) => `Discard ${many(found.letters, "dead letter")}?`,
    text: (found) => `${meant(found)} will be removed for good. Nothing brings them back, and their resources stay untagged.`,
    done: (found) => `${meant(found)} discarded`,
    button: (found) => `Discard ${count(found.letters)}`,
    look: "danger",
  },
};

/**
 * Counts, asks, and does it. `act(what, order)` sends the order. Where there are more or fewer by the time of the answer,
 * nothing was done, and it asks again with the new number. True once it is done.
 */
export function askFirst(what, pick, where, act) {
  const kind = KINDS[what];
  const dialog = byId("confirm");
  const title = el("h2", { id: "confirm-title", text: "Counting…" });
  const text = el("p");
  const wrong = el("p", { class: "wrong", role: "alert" });
  const yes = el("button", { class: kind.look, disabled: true, text: what });
  const no = el("button", { class: "quiet", text: "Cancel", autofocus: true });
  dialog.replaceChildren(title, text, where && el("p", { class: "note", text: where }), wrong, el("div", { class: "buttons" }, no, yes));
  open(dialog);
  return new Promise((resolve) => {
    let found;
    const end = (result) => {
      dialog.removeEventListener("close", closed);
      dialog.close();
      resolve(result);
    };
    const closed = () => end(null);
    const refused = (problem) => {
      say(wrong, problem.whole ?? problem.message);
      yes.disabled = problem.status === 403 || problem.status === 404;
    };
    const counted = async (words = "") => {
      try {
        found = await act(what, { ...pick, dry_run: true });
        say(title, found.letters ? kind.title(found) : "There are none");
        say(text, found.letters ? kind.text(found) : "Somebody else may have taken them. Nothing was changed.");
        say(yes, kind.button(found));
        say(wrong, words);
        yes.disabled = !found.letters;
      } catch (problem) {
        say(title, "This cannot be counted");
        refused(problem);
        yes.disabled = true;
      }
    };
    dialog.addEventListener("close", closed);
    no.addEventListener("click", () => end(null));
    yes.addEventListener("click", async () => {
      [yes.disabled, no.disabled] = [true, true];
      try {
        const done = await act(what, { ...pick, expect: { letters: found.letters } });
        end(kind.done(done));
      } catch (problem) {
        if (problem.status === 409) await counted(`There were ${count(found.letters)}, and that has changed: look again. Nothing was done.`);
        else refused(problem);
      } finally {
        no.disabled = false;
        if (dialog.open) no.focus();
      }
    });
    counted();
  });
}
