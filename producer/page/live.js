// The stream of finished runs: connects, remembers, resumes where it was.
import { API, listen } from "./api.js";
import { RUNS_MAX, set, state } from "./state.js";

const FIRST_WAIT_MS = 500;
const LAST_WAIT_MS = 8000;
const QUIET_MS = 40000; // comments come every 15 s
const TELL_MS = 200;    // what comes meanwhile is told together

let lastId = "";
let wait = FIRST_WAIT_MS;
let wake = () => {};
let controller = null;
let quiet = 0;
let news = [];
let telling = 0;
const known = new Set();

function tellNews() {
  telling = 0;
  const fresh = news.filter((run) => !known.has(run.rid));
  news = [];
  for (const run of fresh) known.add(run.rid);
  if (fresh.length === 0) return;
  const runs = fresh.reverse().concat(state.runs);
  const gone = new Set(runs.splice(RUNS_MAX).map((run) => run.rid));
  for (const rid of gone) known.delete(rid);
  set({ runs, news: fresh, gone });
}

function note(live, reason = "") {
  if (state.live !== live) set({ live, liveSince: Date.now() });
  if (state.liveReason !== reason) set({ liveReason: reason });
}

// A connection that brings not even a comment is dead, whatever TCP says.
function restartQuiet() {
  clearTimeout(quiet);
  quiet = setTimeout(() => controller && controller.abort(), QUIET_MS);
}

function hear({ event, data, id, trigger }) {
  restartQuiet();
  wait = FIRST_WAIT_MS;
  note("live");
  if (id) lastId = id;
  if (event === "scheduleRun") {
    news.push({ ...JSON.parse(data), trigger: trigger && JSON.parse(trigger) });
    if (!telling) telling = setTimeout(tellNews, TELL_MS);
  } else if (event === "gap") {
    set({ liveReason: "Some runs are missing: they are older than what Kafka holds." });
  } else if (event === "end" && JSON.parse(data).reason === "TOKEN_EXPIRED") {
    set({ asking: "The token has expired." });
  }
}

async function connect() {
  controller = new AbortController();
  restartQuiet();
  try {
    await listen(`${API}runEvents?recent=1000`, lastId, controller.signal, hear);
    note("stale", "The server has ended the stream.");
  } catch (error) {
    if (error.name !== "AbortError" || state.live === "live")
      note("stale", error.status ? error.message : "The server does not answer.");
  }
  clearTimeout(quiet);
}

// For ever; while a token is asked for there is nothing to try.
export async function follow() {
  for (;;) {
    if (!state.asking) await connect();
    await new Promise((resolve) => {
      wake = resolve;
      setTimeout(resolve, wait);
    });
    wait = Math.min(wait * 2, LAST_WAIT_MS);
  }
}

// A new token, or the network is back: now rather than later.
export function retry() {
  wait = FIRST_WAIT_MS;
  wake();
}
