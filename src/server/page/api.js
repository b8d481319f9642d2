// Requests to the server that the page came from, with the token of this tab.

const KEY = "tagmill-token";

/** Why a request was not carried out. Status 0: nobody answered. */
export class Problem extends Error {
  constructor(status, detail, errors = []) {
    super(detail);
    Object.assign(this, { status, errors });
  }

  /** The problem and what is wrong where. */
  get whole() {
    const wrong = this.errors.map(({ at, message }) => (at ? `${at}: ${message}` : message));
    return [this.message, ...wrong].join("; ");
  }
}

export const token = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
  drop: () => sessionStorage.removeItem(KEY),
};

/** Sends a request; the answer is JSON, or text where `text` is asked for. */
export async function ask(path, { method = "GET", body, text = false, patience = 70_000 } = {}) {
  const headers = {};
  if (token.get()) headers.authorization = `Bearer ${token.get()}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  let reply;
  try {
    reply = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(patience),
      // A page of problems must not come out of a cache.
      cache: "no-store",
      credentials: "same-origin",
    });
  } catch (error) {
    throw new Problem(0, error.name === "TimeoutError" ? "tagmill took too long to answer" : "tagmill does not answer");
  }
  try {
    if (reply.ok) return text ? await reply.text() : await reply.json();
  } catch {
    throw new Problem(0, "the answer broke off");
  }
  const told = await reply.json().catch(() => ({}));
  throw new Problem(reply.status, told.detail ?? `${reply.status} ${reply.statusText}`, told.errors);
}

export const api = {
  me: () => ask("v1/me"),
  lanes: () => ask("v1/lanes"),
  jobs: () => ask("v1/jobs/recent"),
  rules: () => ask("v1/rules"),
  metrics: () => ask("metrics", { text: true }),
  order: (lane, what) => ask(`v1/lanes/${encodeURIComponent(lane)}/${what}`, { method: "POST" }),
  letters: (filter, limit) => ask(`v1/dead-letters?${new URLSearchParams({ ...filter, limit })}`),
  letter: (id) => ask(`v1/dead-letters/${encodeURIComponent(id)}`),
  act: (what, order) => ask(`v1/dead-letters/${what}`, { method: "POST", body: order }),
};
