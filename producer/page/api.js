// Calls of the API and of what the page alone is told, with the token.
import { set, state } from "./state.js";

export const API = "api/v2/orchestration/";
const KEPT = "schedrun.token";

// The page stands at {base}/, all paths are relative to that.
function address(path) {
  return new URL(path, document.baseURI.replace(/[?#].*$/s, "")).href;
}

export class CallError extends Error {
  constructor(status, body) {
    super((body && (body.errorDescription || body.errorName)) || `status ${status}`);
    this.status = status;
    this.name = (body && body.errorName) || "Unavailable";
    this.parameters = (body && body.parameters) || {};
  }
}

// From the fragment, as make run prints it; it does not stay in the URL.
export function takeToken() {
  const found = location.hash.match(/^#token=([^&]+)/);
  if (found) {
    keepToken(decodeURIComponent(found[1]));
    history.replaceState(null, "", "#/health");
  } else {
    set({ token: sessionStorage.getItem(KEPT) });
  }
}

export function keepToken(token) {
  sessionStorage.setItem(KEPT, token);
  set({ token, asking: null });
}

// Without http.auth nobody needs one: it is asked for when it is missed.
function headers(more) {
  const all = { "Schedrun-Contract": "ga", ...more };
  if (state.token) all.Authorization = `Bearer ${state.token}`;
  return all;
}

function noteRefusal(error) {
  if (error.status !== 401) return;
  const why = error.parameters.error;
  set({
    asking: !state.token ? "A token is needed."
      : why === "EXPIRED" ? "The token has expired."
      : `The token was refused (${why || error.name}).`,
  });
}

async function failure(answer) {
  let body = null;
  try {
    body = await answer.json();
  } catch {
    // An unknown route has no body.
  }
  const error = new CallError(answer.status, body);
  noteRefusal(error);
  return error;
}

export async function call(method, path, options = {}) {
  const answer = await fetch(address(path), {
    method,
    headers: headers({ ...(options.body && { "Content-Type": "application/json" }), ...options.headers }),
    body: options.body && JSON.stringify(options.body),
    signal: options.signal,
    cache: "no-store",
    credentials: "omit",
  });
  if (!answer.ok) throw await failure(answer);
  return answer.status === 204 ? null : answer.json();
}

export const get = (path, options) => call("GET", path, options);
// What takes the server seconds, one question after the other; what another
// one's look holds up is asked for again, for some seconds.
let turn = Promise.resolve();
export function patiently(path, options) {
  turn = turn.catch(() => null).then(() => untilFree(path, options));
  return turn;
}

async function untilFree(path, options) {
  for (let left = 12; ; left--) {
    try {
      return await get(path, options);
    } catch (error) {
      if (error.status !== 503 || left === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}

export const post = (path, options) => call("POST", path, options);

// Server-sent events by fetch, since EventSource sends no token.  Calls
// `heard({event, data, id})` for each until the stream ends.
export async function listen(path, id, signal, heard) {
  const answer = await fetch(address(path), {
    headers: headers(id ? { "Last-Event-ID": id } : {}),
    signal,
    cache: "no-store",
    credentials: "omit",
  });
  if (!answer.ok) throw await failure(answer);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) heard(parseEvent(block));
  }
}

function parseEvent(block) {
  const event = { event: "message", data: "", id: undefined };
  for (const line of block.split("\n")) {
    const at = line.indexOf(":");
    if (at > 0) event[line.slice(0, at)] = line.slice(at + 1).replace(/^ /, "");
  }
  return event;
}
