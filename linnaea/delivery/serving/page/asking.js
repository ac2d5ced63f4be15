// What is asked of the server, and what its refusals mean in plain words, with what mends them.

const KEPT = "linnaea-api-key"; // in sessionStorage: for this tab, until it is closed
const CLIENT = [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const PATIENCE = 3; // how often a busy server is asked again
const LONGEST = 60; // seconds that are waited without being told to
let notBefore = 0;

/** A refusal: `headline` and `more` are sentences; `status` is 0 where no answer came. */
export class Refused extends Error {
  constructor(status, headline, more) {
    super(headline);
    Object.assign(this, { status, headline, more: more.filter(Boolean) });
  }
}

export function keyKept() {
  return sessionStorage.getItem(KEPT) ?? "";
}

export function keepKey(key) {
  if (key) sessionStorage.setItem(KEPT, key);
  else sessionStorage.removeItem(KEPT);
}

/** The JSON that the server answers; `waiting` is told, in words, when the page waits for a busy server. Throws Refused. */
export async function asked(path, options = {}, waiting = () => {}) {
  for (let attempt = 0; ; attempt++) {
    await until(notBefore, waiting);
    const response = await sent(path, options);
    if (response.ok) return await jsonIn(response);
    const seconds = secondsToWait(response);
    if (seconds === null || attempt >= PATIENCE) {
      const told = await response.json().catch(() => ({}));
      if (told.answers) return told; // no picture could be read: the answers say why
      throw refusalIn(response, told, seconds);
    }
    notBefore = Math.max(notBefore, Date.now() + 1000 * seconds);
  }
}

async function sent(path, { headers = {}, ...options }) {
  const key = keyKept();
  const asker = { ...headers, "X-Client-ID": CLIENT }; // so that one version of a model answers this page throughout
  const own = key ? { ...asker, Authorization: `Bearer ${key}` } : asker;
  try {
    return await fetch(path, { ...options, headers: own, cache: "no-store" });
  } catch {
    const mend = "See that it runs and that this device is connected, then try again.";
    throw new Refused(0, "The server does not answer", [mend]);
  }
}

async function jsonIn(response) {
  try {
    return await response.json();
  } catch {
    throw new Refused(response.status, "The answer was cut off", ["Try again."]);
  }
}

/** Seconds after which a busy server wants to be asked again; null where asking again changes nothing, or too late. */
function secondsToWait({ status, headers }) {
  if (status !== 429 && status !== 503) return null;
  const told = headers.get("Retry-After");
  if (told === null) return null;
  const seconds = /^\d+$/.test(told.trim()) ? Number(told) : (Date.parse(told) - Date.now()) / 1000;
  return seconds <= LONGEST ? Math.max(1, Math.ceil(seconds)) : null;
}

async function until(moment, waiting) {
  for (let left; (left = moment - Date.now()) > 0; ) {
    waiting(`The server is busy: the page asks again in ${Math.ceil(left / 1000)} s.`);
    await new Promise((resolve) => setTimeout(resolve, left));
  }
}

const MEANINGS = {
  400: ["The server does not understand this", ""],
  401: ["The server asks for an API key", "Enter one above."],
  403: ["This API key may not do that", "Ask whoever runs the server."],
  404: ["The server has no such thing", "Load this page again: what it serves may have changed."],
  408: ["Sending took too long", "Try again, or choose a smaller picture."],
  413: ["Too large for this server", "Save a smaller copy of the picture, and choose that."],
  415: ["Not a kind of picture that it reads", "Save it as JPEG or PNG, and choose that."],
  429: ["Too many questions at once", "Try again a little later."],
  503: ["The server is busy", "Try again a little later."],
  504: ["It took too long", "Try again, or choose a smaller picture."],
};

function refusalIn(response, told, seconds) {
  const { status } = response;
  const [headline, mend] = MEANINGS[status] ?? [status < 500 ? "The server refuses this" : "The server failed", ""];
  const request = response.headers.get("X-Request-ID");
  const whom = status === 500 && request ? `Tell whoever runs the server: request ${request}.` : "";
  const when = status === 429 && seconds === null ? waitOf(response.headers.get("Retry-After")) : "";
  return new Refused(status, headline, [asSentence(told.error), when || mend, whom]);
}

function waitOf(told) {
  const seconds = Number(told);
  return told && seconds > 0 ? `Try again in ${Math.ceil(seconds / 60)} min.` : "";
}

function asSentence(text) {
  if (typeof text !== "string" || !text.trim()) return "";
  const trimmed = text.trim();
  return `${trimmed[0].toUpperCase()}${trimmed.slice(1)}${/[.!?]$/.test(trimmed) ? "" : "."}`;
}
