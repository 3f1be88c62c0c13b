// Schedules; of one its versions, its last runs, when it is due, and what a run
// would do now.
import { API, get, patiently, post } from "./api.js";
import { chainTable, triggerText } from "./chain.js";
import { badge, copyable, failed, failureText, h, isBad, isHeld, outcomeOf, redraw, shortName, table, time } from "./dom.js";
import { plan, why } from "./graph.js";
import { look as lookAtHealth } from "./health.js";
import { followRoute } from "./look.js";
import { differenceTable } from "./run.js";
import { searchForm } from "./stale.js";
import { link, route, state, watch } from "./state.js";

export const title = "Schedules";
const STRIP = 50;
const MARKS = 16;
const NEWEST = { "Schedrun-Contract": "ga-upper" }; // knows all triggers

// Of each schedule its last runs, as far as they are known here.
function lastRuns() {
  const last = new Map();
  for (const run of state.runs) {
    const list = last.get(run.scheduleRid);
    if (!list) last.set(run.scheduleRid, [run]);
    else if (list.length < MARKS) list.push(run);
  }
  return last;
}

const SIGNS = { submitted: "▶", ignored: "○", error: "✕", failed: "✕", canceled: "○" };

// A sign for each, newest first; in words for who can't see it.
function marks(runs) {
  if (!runs) return null;
  const failures = runs.filter(isBad).length;
  return h("span", { class: "marks", role: "img", "aria-label": `Its last ${runs.length} runs, ${failures} with errors` },
    runs.map((run) => h("span", { class: `badge ${outcomeOf(run)}`, title: `${outcomeOf(run)} ${run.createdTime}` }, SIGNS[outcomeOf(run)] || "?")));
}

function item(schedule, strip) {
  return h("li", { class: "run", "data-rid": schedule.rid },
    h("a", { class: "open", href: link(["schedules", schedule.rid]) }, shortName(schedule.rid)),
    h("span", { class: "when" }, schedule.paused ? "paused" : "live"),
    h("span", { class: "who" }, schedule.updatedTime && time(schedule.updatedTime)),
    h("div", { class: "why quiet" }, schedule.displayName && h("bdi", {}, schedule.displayName), strip));
}

function openList(main) {
  const root = h("div", {}, h("p", {}, "Looking …"));
  const strips = new Map(); // by RID
  const drawStrips = (rids) => {
    const last = lastRuns();
    for (const rid of rids)
      if (strips.has(rid)) redraw(strips.get(rid), marks(last.get(rid)));
  };
  main.append(h("h1", {}, "Schedules"), searchForm("Name or RID"), root);
  const ends = [followRoute(root, (query, signal) => get(`dashboard/schedules?${new URLSearchParams({ text: query.get("text") || "" })}`, { signal }),
    ({ schedules, more }) => {
      const text = route().query.get("text");
      strips.clear();
      for (const { rid } of schedules) strips.set(rid, h("span", {}));
      drawStrips(strips.keys());
      redraw(root, h("p", { class: "count" }, schedules.length === 0 && text ? `None has ${text} in its name or RID.` : `${schedules.length}${more ? " of more: name a part" : ""} schedules`),
        h("ol", { class: "runs" }, schedules.map((schedule) => item(schedule, strips.get(schedule.rid)))));
    }), watch(["news"], () => drawStrips(new Set(state.news.map((run) => run.scheduleRid)))), watch(["ended"], () => drawStrips(strips.keys()))];
  return () => ends.forEach((end) => end());
}

// Parts of one --------------------------------------------------------------

function strip(runs) {
  if (runs.length === 0) return h("p", { class: "quiet" }, "It has not run lately.");
  return [h("ol", { class: "strip", "aria-label": "Its last runs, newest first" }, runs.map((run) => h("li", {},
    h("a", { href: link(["run", run.scheduleRid, run.rid]), title: run.createdTime, "aria-label": `${outcomeOf(run)}, ${run.createdTime}` }, badge(outcomeOf(run)))))),
    h("p", {}, runs[0].result && runs[0].result.type === "error" && [h("strong", {}, "Last: "), runs[0].result.description])];
}

function dueTable(more, paused) {
  if (more.triggerError) return h("p", { class: "failure" }, `Its trigger can't be read: ${more.triggerError}`);
  if (more.next.length === 0) return h("p", { class: "quiet" }, "Nothing is due by time.");
  return table(`Due by time${paused ? ": it is paused, and won't fire" : ""}`, ["At", "Cron", "Zone", "Note"],
    more.next.map((due) => [time(due.at), h("code", {}, due.cron), due.zone, due.note || "–"]));
}

function versions(more) {
  const shown = h("div", { "aria-live": "polite" });
  const compare = async (at) => {
    try {
      const [after, before] = await Promise.all([more.versions[at], more.versions[at + 1]].map((rid) =>
        (rid ? get(`${API}scheduleVersions/${rid}?preview=true`, { headers: NEWEST }) : {})));
      redraw(shown, differenceTable(`What ${shortName(more.versions[at])} changed`, before, after));
    } catch (error) {
      redraw(shown, failed(error));
    }
  };
  return h("section", {}, h("h2", {}, `Versions (${more.versionCount})`),
    h("ol", { class: "versions" }, more.versions.map((rid, at) => h("li", {}, h("code", {}, rid), " ",
      h("button", { type: "button", class: "copy", "aria-label": `What changed in ${rid}`, onclick: () => compare(at) }, "changes")))), shown);
}

function dryRun(rid, signal, isAsked) {
  const shown = h("div", { id: "plan", "aria-live": "polite" });
  const name = `dashboard/schedules/${encodeURIComponent(rid)}`;
  // What it leads to is asked for behind it: that is planned, schedule by schedule.
  const ask = async () => {
    const then = h("div", { id: "then" }, h("p", {}, "Planning …"));
    redraw(shown, h("p", {}, "Planning …"));
    try {
      const found = await post(`${name}/plan`, { signal });
      redraw(shown, h("p", {}, badge(found.outcome.result.type), " is what a run would be now."), why(found.outcome),
        found.outcome.build && plan(found.outcome, found.jobs).element, h("h3", {}, "And then"), then);
      redraw(then, chainTable("Schedules that it would fire", await patiently(`${name}/then`, { signal }), "It would fire no other schedule."));
    } catch (error) {
      if (!signal.aborted) redraw(then.isConnected ? then : shown, failed(error));
    }
  };
  if (isAsked) ask();
  return h("section", {}, h("h2", {}, "What would run now, and why"),
    h("p", {}, h("button", { type: "button", onclick: ask }, "Dry run"), " plans as a worker would, for you, and starts nothing."), shown,
    h("p", {}, copyable(`schedrun plan --schedule ${rid} --explain`)));
}

// Only where http.page says so, and the token and the rights do.
function actions(schedule, more, again) {
  const { overview } = state;
  const may = overview && overview.page === "write" && overview.scopes.some((scope) => scope.endsWith("write")) && more.mayRun;
  if (!may) return null;
  const said = h("p", { role: "status" });
  const base = `${API}schedules/${schedule.rid}`;
  const act = (path, then) => async () => {
    try {
      const answer = await post(`${base}/${path}?preview=true`);
      redraw(said, then(answer));
    } catch (error) {
      redraw(said, failureText(error));
    }
  };
  return h("div", {}, h("button", { type: "button", onclick: act("run", (run) =>
    h("a", { href: link(["run", run.scheduleRid, run.rid]) }, "Its run")) }, "Run"), " ",
  h("button", { type: "button", onclick: act(schedule.paused ? "unpause" : "pause", () => {
    again();
    return "Done.";
  }) }, schedule.paused ? "Unpause" : "Pause"), said);
}

function openOne(main, rid) {
  const name = encodeURIComponent(rid);
  const root = h("div", {}, h("p", {}, "Looking …"));
  const last = h("div", { id: "last" });
  let runs = [];
  const drawLast = () => isHeld(last) || redraw(last, strip(runs));
  main.append(h("h1", {}, "Schedule ", h("code", {}, shortName(rid))), root);
  const ends = [followRoute(root, (query, signal) => Promise.all([
    get(`${API}schedules/${name}?preview=true`, { headers: NEWEST, signal }), get(`dashboard/schedules/${name}`, { signal }),
    get(`${API}schedules/${name}/runs?pageSize=${STRIP}&preview=true`, { signal }), state.overview || lookAtHealth()]),
  ([schedule, more, { data }], signal, again) => {
    runs = data;
    redraw(root, h("p", {}, schedule.paused ? h("strong", {}, "❚❚ paused") : "live", schedule.displayName && [": ", h("bdi", {}, schedule.displayName)],
      schedule.description && [". ", h("bdi", {}, schedule.description)]), actions(schedule, more, again),
    h("h2", {}, "Last runs"), last, dryRun(rid, signal, route().query.get("show") === "plan"),
    h("h2", {}, "When it runs"), h("p", {}, "Trigger: ", triggerText(schedule.trigger)), dueTable(more, schedule.paused),
    versions(more),
    h("details", {}, h("summary", {}, "Raw JSON"), h("pre", { tabindex: "0" }, JSON.stringify(schedule, null, 1))));
    drawLast();
  }, () => true),
  watch(["news"], () => {
    const known = new Set(runs.map((run) => run.rid));
    const news = state.news.filter((run) => run.scheduleRid === rid && !known.has(run.rid));
    if (news.length === 0) return;
    runs = [...news, ...runs].slice(0, STRIP);
    drawLast();
  }), watch(["ended"], drawLast)];
  return () => ends.forEach((end) => end());
}

export function open(main, { path }) {
  return path[1] ? openOne(main, path[1]) : openList(main);
}
