// The page: who is looking, which section, and a look at the fleet every two seconds while somebody looks.

import { api, token } from "./api.js";
import { Dead } from "./dead.js";
import { open } from "./dialog.js";
import { byId, mark, say } from "./dom.js";
import { count, many } from "./format.js";
import { Jobs } from "./jobs.js";
import { Lanes, troubled } from "./lanes.js";
import { Overview } from "./overview.js";
import { Rules } from "./rules.js";

const EVERY = 2_000;
/** A fleet so large that a look takes long is looked at less often. */
const REST = 4;
/** Counts of thousands of lanes are megabytes: those are asked for less often. */
const [LARGE, SELDOM] = [1_000_000, 20_000];
const THEMES = ["auto", "light", "dark"];

class Page {
  constructor() {
    this.scopes = [];
    this.views = { overview: new Overview(), lanes: new Lanes(this), jobs: new Jobs(this), dead: new Dead(this), rules: new Rules() };
    addEventListener("hashchange", () => this.route());
    addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("visibilitychange", () => this.soon(0));
    byId("sign-in-form").addEventListener("submit", (event) => this.signIn(event));
    byId("sign-in").addEventListener("cancel", (event) => event.preventDefault());
    byId("sign-out").addEventListener("click", () => this.signOut());
    byId("skip").addEventListener("click", (event) => {
      // The part of the address behind the # is the section's.
      event.preventDefault();
      byId("main").focus();
    });
    this.theme(localStorage.getItem("tagmill-theme") ?? "auto");
    byId("theme").addEventListener("click", () => this.theme(THEMES[(THEMES.indexOf(this.colours) + 1) % 3]));
    this.route();
    this.begin();
  }

  may(scope) {
    return this.scopes.includes(scope);
  }

  async begin() {
    try {
      const { name, scopes } = await api.me();
      this.scopes = scopes;
      const rights = scopes.includes("operate") ? "" : scopes.includes("read") ? " (may look only)" : " (may not look)";
      say(byId("me"), token.get() ? name + rights : "");
      byId("sign-out").hidden = !token.get();
      byId("sign-in").close();
      if (!scopes.includes("read")) return this.askForToken(`The token ${name} has no scope read.`);
      this.route();
      this.soon(0);
    } catch (problem) {
      this.failed(problem);
      if (problem.status !== 401) setTimeout(() => this.begin(), EVERY);
    }
  }

  askForToken(why = "") {
    clearTimeout(this.timer);
    this.scopes = [];
    say(byId("sign-in-wrong"), why);
    open(byId("sign-in"));
  }

  signIn(event) {
    event.preventDefault();
    const field = event.target.elements.token;
    token.set(field.value.trim());
    field.value = "";
    this.begin();
  }

  signOut() {
    token.drop();
    location.reload();
  }

  /** Shows the section that the address names. */
  route() {
    const [, name, words] = /^#\/?([a-z]*)\??(.*)$/.exec(location.hash) ?? [];
    const view = this.views[name] ? name : "overview";
    const moved = this.view !== view;
    this.view = view;
    for (const each of Object.keys(this.views)) byId(`view-${each}`).hidden = each !== view;
    for (const link of document.querySelectorAll("nav a")) {
      mark(link, "aria-current", link.dataset.view === view && "page");
      if (moved && link.dataset.view === view) link.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
    const title = byId(`h-${view}`).textContent;
    document.title = view === "overview" ? "tagmill" : `${title} · tagmill`;
    if (!this.may("read")) return;
    this.views[view].enter(Object.fromEntries(new URLSearchParams(words)));
    if (moved) this.soon(0);
  }

  /** Goes to a section with a filter; empty words are left out. */
  go(view, words) {
    const given = new URLSearchParams(Object.entries(words).filter(([, value]) => value));
    const hash = `#/${view}${given.size ? `?${given}` : ""}`;
    if (hash === location.hash) this.route();
    else location.hash = hash;
  }

  key(event) {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, dialog")) return;
    const field = byId(`view-${this.view}`).querySelector("form input");
    if (field) {
      event.preventDefault();
      field.focus();
    }
  }

  theme(name) {
    this.colours = THEMES.includes(name) ? name : "auto";
    localStorage.setItem("tagmill-theme", this.colours);
    mark(document.documentElement, "data-theme", this.colours === "auto" ? null : this.colours);
    const words = { auto: ["Auto", "as the system has them"], light: ["Light", "light"], dark: ["Dark", "dark"] }[this.colours];
    say(byId("theme"), words[0]);
    mark(byId("theme"), "aria-label", `Colours: ${words[1]}`);
  }

  /** Looks again after a while, where somebody looks at the page at all. */
  soon(wait) {
    clearTimeout(this.timer);
    if (document.hidden || !this.may("read")) return;
    this.timer = setTimeout(async () => {
      const begun = performance.now();
      await this.refresh();
      this.soon(Math.max(EVERY, (performance.now() - begun) * REST));
    }, wait);
  }

  /** One look at everything that the section shows. */
  async refresh() {
    const { overview, lanes, jobs, dead, rules } = this.views;
    const now = () => Date.now();
    const fleet = async () => {
      const found = await api.lanes();
      overview.show(now(), found);
      lanes.show(found);
      dead.heard(found);
      this.badges(found);
    };
    const recent = async () => {
      const found = await api.jobs();
      overview.showJobs(now(), found);
      jobs.show(found);
    };
    const metrics = async () => {
      const text = await api.metrics();
      this.counts = { at: now(), large: text.length > LARGE };
      overview.showMetrics(now(), text);
    };
    const looks = [fleet(), recent()];
    if (this.view === "overview" && !(this.counts?.large && now() - this.counts.at < SELDOM)) looks.push(metrics());
    if (this.view === "rules") looks.push(api.rules().then((found) => rules.show(found)));
    const ended = await Promise.allSettled(looks);
    const failed = ended.find(({ status }) => status === "rejected");
    if (failed) this.failed(failed.reason);
    else this.fine();
  }

  badges({ lanes, dead }) {
    const trouble = troubled(lanes).length;
    const badge = (node, n, words) => {
      node.hidden = !n;
      say(node, count(n));
      mark(node, "aria-label", words);
    };
    badge(byId("badge-lanes"), trouble, many(trouble, "needs attention", "need attention"));
    badge(byId("badge-dead"), dead, many(dead ?? 0, "dead letter"));
  }

  fine() {
    this.seen = Date.now();
    say(byId("link"), "live");
    mark(byId("link"), "data-state", "live");
    byId("banner").hidden = true;
    mark(document.body, "data-stale", null);
  }

  /** What could not be had. What is shown stays, as old. */
  failed(problem) {
    if (!("status" in problem)) {
      console.error(problem);
      problem = { status: 0, whole: `This page itself is at fault: ${problem.message}` };
    }
    if (problem.status === 401) return this.askForToken(token.get() ? "This token is not known here." : "");
    say(byId("link"), "away");
    mark(byId("link"), "data-state", "away");
    const old = this.seen ? ` What is shown is ${many(Math.round((Date.now() - this.seen) / 1000), "second")} old.` : "";
    say(byId("banner"), `${problem.whole}. Trying again.${old}`);
    byId("banner").hidden = false;
    mark(document.body, "data-stale", Boolean(this.seen));
  }

  /** Says that something was done. */
  say(words, tone = "good") {
    const said = byId("said");
    clearTimeout(this.saying);
    say(said, words);
    mark(said, "data-tone", tone);
    this.saying = setTimeout(() => say(said, ""), 8_000);
  }

  /** Says why something was not done. */
  trouble(problem, what) {
    if (problem.status === 401) return this.askForToken("This token is not known here.");
    this.say(`${what}: ${problem.whole ?? problem.message}`, "bad");
  }
}

new Page();
