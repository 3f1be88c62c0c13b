// Is it well?  What isn't says what mends it.
import { get } from "./api.js";
import { buildsPart } from "./builds.js";
import { duration, failureText, h, isHeld, number, outcomeOf, redraw, shortName, table, time } from "./dom.js";
import { duePart } from "./due.js";
import { lastHour } from "./plots.js";
import { keepLooking } from "./look.js";
import { link, now, onChosen, route, set, state, watch } from "./state.js";

export const title = "Health";
const LOOK_MS = 3000;
const HOUR_MS = 10000;
const HOUR = 3600 * 1000;
const SOME = 8; // builds and instants; their own views have all

const MENDS = {
  kafka: "Is the broker up, and bootstrap.servers right? schedrun check says more.",
  redis: "Is Redis up, and redis.url right? It must not evict. schedrun check says more.",
  keys: "http.jwks has no usable key set: look at the file or URL.",
  view: "Results are not folded: see Kafka and Redis above, and the group http.group.",
  results: "The results topic is not read yet; after a start that takes a moment.",
  registry: "Does schema.registry.url answer? schedrun init registers the schemas.",
};

const SKEW_MS = 5000; // less may be the answer's way

// How far the clocks differ, as far as the answer's way lets it be known.
function skewOf(overview, askedMs) {
  const way = (Date.now() - askedMs) / 2;
  const skew = Date.parse(overview.time) - askedMs - way;
  return Math.abs(skew) > SKEW_MS + way ? skew : 0;
}

export async function look() {
  const askedMs = Date.now();
  try {
    const overview = await get("dashboard/overview");
    set({ overview, overviewError: null, skew: skewOf(overview, askedMs) });
  } catch (error) {
    set({ overviewError: error });
  }
}

const OLD_MS = 30000;

// Whether what is told of a source is of now: of one that isn't reached nothing is well.
function isReached(source) {
  const { overview, overviewError } = state;
  if (overviewError || !overview) return false;
  const ok = (name) => overview.health.checks.every((check) => check.name !== name || check.ok);
  if (source === "kafka") return ok("kafka") && Date.parse(overview.time) - Date.parse(overview.measuredTime) < OLD_MS;
  return !source || ok(source);
}

function tile(name, judged, value, detail, href, source) {
  const state = judged === "bad" || isReached(source) ? judged : "unknown";
  const word = { good: "well", warn: "look", bad: "broken", unknown: "not known" }[state];
  const sign = { good: "✓", warn: "!", bad: "✕", unknown: "?" }[state];
  return h("li", { class: `tile ${state}` },
    h("h2", {}, href ? h("a", { href }, name) : name),
    h("p", { class: "value" }, h("span", { class: "sign", "aria-hidden": "true" }, sign), value,
      h("span", { class: "unseen" }, ` (${word})`)),
    detail && h("p", { class: "detail" }, detail));
}

function checkTile(check) {
  const names = { kafka: "Kafka", redis: "Redis", keys: "Token keys", view: "Run view",
    results: "Live results", registry: "Schema registry" };
  return tile(names[check.name] || check.name, check.ok ? "good" : "bad",
    check.ok ? (check.name === "keys" ? "in force" : "answers") : check.reason || "not well",
    check.ok ? ["since ", time(check.since)] : [h("strong", {}, "Mend: "), MENDS[check.name] || "schedrun check"]);
}

function untold(name, part) {
  return tile(name, part ? "unknown" : "unknown", part ? part.error : "not measured yet",
    part && [h("strong", {}, "Mend: "), part.mend]);
}

function workersTile(workers, requests) {
  if (!workers || workers.error) return untold("Workers", workers);
  const n = workers.members.length;
  const idle = requests && !requests.error ? requests.partitions.filter((p) => !p.owner).length : 0;
  const balances = /Balanc|Assigning|Reconciling/i.test(workers.state); // that ends by itself
  if (n === 0)
    return tile("Workers", "bad", "none runs", [h("strong", {}, "Mend: "), "start schedrun-worker"], regionLink("partitions"));
  return tile("Workers", idle ? "warn" : "good", `${number(n)} ${n === 1 ? "runs" : "run"}`,
    idle ? [`${number(idle)} partitions have nobody: the group is ${workers.state}. `, h("strong", {}, "Mend: "),
      balances ? "they are being given out; if that lasts, what /readyz of the workers says" : "schedrun check --for worker"] : `group ${workers.group}`, regionLink("workers"), "kafka");
}

const LATE_MS = 30000;

function lagTile(requests, workers) {
  if (!requests || requests.error) return untold("Waiting requests", requests);
  const late = requests.oldestAgeMs > LATE_MS;
  const { held } = requests;
  if (requests.lag > 0 && workers && workers.members && workers.members.length === 0)
    return tile("Waiting requests", "bad", number(requests.lag), [`the oldest for ${duration(requests.oldestAgeMs)}. `, h("strong", {}, "Mend: "),
      "start schedrun-worker: nobody reads them"], regionLink("partitions"));
  return tile("Waiting requests", late || held > 0 ? "warn" : "good", number(requests.lag),
    [requests.lag === 0 ? "nothing is behind" : `the oldest for ${duration(requests.oldestAgeMs)}`,
      (late || held > 0) && [". ", h("strong", {}, "Mend: "), held > 0 ? "an open transaction holds them back, until its sender ends it; schedrun lag names the partition"
        : "more workers, up to one a partition; schedrun lag"]], regionLink("partitions"), "kafka");
}

// Those who need not be there: there is a tile where there ever was one.
const OTHERS = { trigger: ["Waiting events", "schedrun-trigger"], builder: ["Waiting builds", "schedrun-builder"] };

function otherTile([program, told]) {
  const [name, command] = OTHERS[program];
  if (told.error) return untold(name, told);
  const late = told.lag > 0 && told.oldestAgeMs > LATE_MS;
  const mend = told.members === 0 ? `start ${command}: nobody reads them`
    : late ? [told.held > 0 && "an open transaction holds them back: its sender must end it; else ", `what /readyz of ${command} says, or more of them; `, h("code", {}, `schedrun lag --for ${program}`)] : null;
  return tile(name, told.members === 0 && told.lag > 0 ? "bad" : mend ? "warn" : "good", number(told.lag), [told.lag === 0 ? "nothing is behind" : `the oldest for ${duration(told.oldestAgeMs)}`,
    mend ? [". ", h("strong", {}, "Mend: "), mend] : `, ${number(told.members)} in ${told.group}`], null, "kafka");
}

function lettersTile(letters) {
  if (!letters || letters.error) return untold("Dead letters", letters);
  const reasons = Object.entries(letters.reasons).map(([name, n]) => `${n} ${name}`).join(", ");
  return tile("Dead letters", letters.waiting ? "warn" : "good",
    `${number(letters.waiting)}${letters.isPart ? " at least" : ""}`,
    letters.waiting ? [reasons, ". ", h("strong", {}, "Mend: "), "what each of them says"]
      : "none waits", link(["letters"]), "kafka");
}

// What is due by time, and whether somebody keeps time.
function dueTile(due, trigger) {
  if (!due || due.error) return untold("Triggers due", due);
  const isAlone = trigger && trigger.members === 0; // it was there, and is no more
  if (due.late || (isAlone && due.scheduled > 0)) return tile("Triggers due", "bad", "nobody fires", [due.stood ? ["all is fired up to ", time(due.stood), ". "] : "",
    h("strong", {}, "Mend: "), "start schedrun-trigger"], link(["due"]));
  const next = due.due[0];
  return tile("Triggers due", "good", next ? ["next ", time(next.at)] : "none today", next ? shortName(next.scheduleRid)
    : "nothing that you may see is due within 24 hours", link(["due"]), "redis");
}

function buildsTile(builds, builder) {
  if (!builds || builds.error) return untold("Builds", builds);
  const { counts, looked } = builds;
  const detail = looked === 0 ? "none lately" : `${number(counts.RUNNING)} of the last ${number(looked)} run, ${number(counts.FAILED)} failed`;
  const mend = (what) => [detail, ". ", h("strong", {}, "Mend: "), what];
  if (counts.RUNNING > 0 && builder && builder.members === 0)
    return tile("Builds", "bad", "no builder runs", mend("start schedrun-builder"), link(["builds"]));
  if (counts.FAILED > 0) return tile("Builds", "warn", `${number(counts.FAILED)} failed`, mend("what its jobs say"), link(["builds"]), "redis");
  return tile("Builds", "good", `${number(counts.RUNNING)} running`, detail, link(["builds"]), "redis");
}

// Of those that one may view, as Runs has them.
function errorsTile(runs) {
  const lately = runs.filter((run) => now() - Date.parse(run.createdTime) < HOUR);
  const errors = lately.filter((run) => outcomeOf(run) === "error").length;
  return tile("Errors", state.live !== "live" ? "unknown" : errors ? "warn" : "good", errors ? `${number(errors)} in the last hour` : "none in the last hour",
    [`of ${number(lately.length)} runs asked for${lately.length === runs.length && runs.length >= 1000 ? " or more" : ""}`,
      errors > 0 && [". ", h("strong", {}, "Mend: "), "what each of them says"]], link(["runs"], errors ? { outcome: "error", since: "1h" } : {}), "results");
}

function partitionTable(requests) {
  return table("Partitions of the requests",
    ["Partition", "Waiting", "Oldest", "Worker", "Held at"],
    requests.partitions.slice(0, 1000).map((p) => [String(p.partition), number(p.lag),
      duration(p.oldestAgeMs), p.owner || "nobody", p.heldAt === undefined ? "–" : number(p.heldAt)]));
}

function draw(root) {
  const { overview, overviewError } = state;
  if (overviewError && !overview) {
    redraw(root, h("p", { class: "failure", role: "alert" }, failureText(overviewError)));
    return;
  }
  if (!overview) {
    redraw(root, h("p", {}, "Looking …"));
    return;
  }
  const { health, requests, workers, others, letters } = overview;
  redraw(root,
    h("p", { class: "verdict" }, overviewError ? ["The adapter does not answer; what stands here is of ", time(overview.time), "."]
      : health.status === "ready" ? "The adapter is ready." : "The adapter is not ready.",
      overview.measuredTime && [" Kafka was measured at ", time(overview.measuredTime), "."]),
    h("ul", { class: "tiles" }, health.checks.map(checkTile), workersTile(workers, requests),
      lagTile(requests, workers), Object.entries(others || {}).map(otherTile), lettersTile(letters), errorsTile(state.runs), dueTile(state.due, others && others.trigger), buildsTile(state.builds, others && others.builder)),
    h("p", { class: "quiet" }, `schedrun ${overview.version}`,
      overview.user && [", you are ", h("code", {}, overview.user)],
      `, scopes: ${overview.scopes.join(", ")}. Times are of ${Intl.DateTimeFormat().resolvedOptions().timeZone}`,
      state.skew !== 0 && `; this browser's clock is ${duration(Math.abs(state.skew))} ${state.skew > 0 ? "behind" : "ahead of"} the server's`, "."));
}

function drawTables(root) {
  const { requests, workers } = state.overview || {};
  redraw(root, requests && !requests.error && partitionTable(requests),
    workers && !workers.error && workers.members.length > 0 &&
      table("Workers", ["Client", "Host", "Partitions"],
        workers.members.map((m) => [m.clientId, m.host, m.partitions.join(", ") || "none"])));
}

// What a member of the state is told of, or why not.
async function lookAt(name) {
  try {
    set({ [name]: await get(`dashboard/${name}`) });
  } catch (error) {
    set({ [name]: { error: failureText(error), mend: "Is Redis up? schedrun check says more." } });
  }
}

function drawWork(root) {
  const { builds, due } = state;
  redraw(root, h("h2", {}, "Builds"), builds && !builds.error ? buildsPart(builds, SOME) : h("p", { class: "quiet" }, builds ? builds.error : "Looking …"),
    h("h2", {}, "Due"), due && !due.error ? duePart(due, SOME) : h("p", { class: "quiet" }, due ? due.error : "Looking …"));
}

// What a tile leads to on this page.
const REGIONS = { partitions: "Partitions of the requests", workers: "Workers" };
const regionLink = (name) => link(["health"], { show: name });

function jump() {
  const region = document.querySelector(`.scroll[aria-label="${REGIONS[route().query.get("show")]}"]`);
  if (region) region.focus();
  return region;
}

export function open(main) {
  const root = h("div", {});
  const work = h("div", { id: "work" });
  const tables = h("div", {});
  const hour = h("div", { id: "hour" });
  main.append(h("h1", {}, "Health"), root, work, tables, hour);
  draw(root);
  drawWork(work);
  drawTables(tables);
  const ends = [keepLooking(look, LOOK_MS), keepLooking(() => Promise.all([lookAt("builds"), lookAt("due"), lastHour(hour)]), HOUR_MS),
    watch(["overview", "overviewError", "builds", "due", "news", "live"], () => isHeld(root) || draw(root)), watch(["builds", "due"], () => isHeld(work) || drawWork(work)),
    watch(["overview"], () => isHeld(tables) || drawTables(tables)), onChosen(jump)];
  const unjump = watch(["overview"], () => jump() && unjump()); // once, where a link brought somebody
  if (!route().query.get("show")) unjump();
  ends.push(unjump);
  return () => ends.forEach((end) => end());
}
