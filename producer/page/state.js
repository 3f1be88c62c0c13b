// All that the page knows, in one object.  Who wants to draw anew when some of
// it changes watches it; changes of one turn are told together.

export const state = {
  token: null,        // what each call is sent with
  skew: 0,            // how far the server's clock is ahead of the browser's, in ms
  asking: null,       // why a token is asked for; null: it isn't
  overview: null,     // the last answer of dashboard/overview
  overviewError: null,
  builds: null,       // the last answers of dashboard/builds, dashboard/due,
  due: null,          // or { error, mend }
  ended: new Map(),   // by run: "failed" or "canceled", where its build has so ended
  runs: [],           // newest first, at most RUNS_MAX
  news: [],           // those of them that came last, together
  gone: new Set(),    // RIDs of those that had to go for them
  live: "connecting", // "live", "stale"
  liveSince: 0,       // when that began
  liveReason: "",
};

export const RUNS_MAX = 10000;

const watchers = new Set();
let changed = null;

export function set(changes) {
  Object.assign(state, changes);
  if (changed === null) {
    changed = new Set();
    queueMicrotask(tell);
  }
  for (const name of Object.keys(changes)) changed.add(name);
}

function tell() {
  const names = changed;
  changed = null;
  for (const watcher of [...watchers])
    if (watcher.names.some((name) => names.has(name))) watcher.draw();
}

// Returns a function that ends it.
export function watch(names, draw) {
  const watcher = { names, draw };
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

// By the server's clock, which all times that are told are of.
export const now = () => Date.now() + state.skew;

// The route: "#/runs?outcome=error" is { path: ["runs"], query }.
export function route() {
  const hash = location.hash.startsWith("#/") ? location.hash.slice(2) : "";
  const [path, query] = hash.split(/\?(.*)/s);
  return {
    path: path.split("/").filter(Boolean).map(decode),
    query: new URLSearchParams(query || ""),
  };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function link(path, query) {
  const entries = Object.entries(query || {}).filter(([, value]) => value);
  const search = new URLSearchParams(entries).toString();
  return `#/${path.map(encodeURIComponent).join("/")}${search && "?" + search}`;
}

// Puts one value into the URL's query: as a new step of the history, or in
// place of the current one.
export function choose(name, value, step) {
  const { path, query } = route();
  if (value) query.set(name, value);
  else query.delete(name);
  const hash = link(path, Object.fromEntries(query));
  if (hash === location.hash) return;
  history[step ? "pushState" : "replaceState"](null, "", hash);
  window.dispatchEvent(new Event("chosen"));
}

// Whenever the query has changed, by a choice or by Back; returns its end.
export function onChosen(look) {
  window.addEventListener("chosen", look);
  return () => window.removeEventListener("chosen", look);
}
