// Schedules; of one its versions, its last runs, when it is due, and what a run
// would do now.
import { API, get, post } from "./api.js";
import { badge, copyable, failed, failureText, h, outcomeOf, redraw, shortName, table, time } from "./dom.js";
import { plan, why } from "./graph.js";
import { look as lookAtHealth } from "./health.js";
import { differenceTable } from "./run.js";
import { choose, link, route, state, watch } from "./state.js";

export const title = "Schedules";
const TYPING_MS = 200;
const STRIP = 50;
const MARKS = 16;
const NEWEST = { "Schedrun-Contract": "ga-upper" }; // knows all triggers

// Of each schedule its last runs, as far as they are known here.
function lastRuns() {
  const last = new Map();
  for (const run of state.runs) {
    const list = last.get(run.scheduleRid) || [];
    if (list.length < MARKS) last.set(run.scheduleRid, [...list, run]);
  }
  return last;
}

const SIGNS = { submitted: "▶", ignored: "○", error: "✕" };

// A sign for each, newest first; in words for who can't see it.
function marks(runs) {
  if (!runs) return null;
  const errors = runs.filter((run) => outcomeOf(run) === "error").length;
  return h("span", { class: "marks", role: "img", "aria-label": `Its last ${runs.length} runs, ${errors} with errors` },
    runs.map((run) => h("span", { class: `badge ${outcomeOf(run)}`, title: `${outcomeOf(run)} ${run.createdTime}` }, SIGNS[outcomeOf(run)] || "?")));
}

function openList(main) {
  const root = h("div", {}, h("p", {}, "Looking …"));
  let timer = 0;
  const look = async () => {
    const text = route().query.get("text") || "";
    try {
      const { schedules, more } = await get(`dashboard/schedules?text=${encodeURIComponent(text)}`);
      const last = lastRuns();
      redraw(root, h("p", { class: "count" }, `${schedules.length}${more ? " of more: name a part" : ""} schedules`),
        h("ol", { class: "runs" }, schedules.map((schedule) => h("li", { class: "run" },
          h("a", { class: "open", href: link(["schedules", schedule.rid]) }, shortName(schedule.rid)),
          h("span", { class: "when" }, schedule.paused ? "paused" : "live"),
          h("span", { class: "who" }, schedule.updatedTime && time(schedule.updatedTime)),
          (schedule.displayName || last.has(schedule.rid)) && h("p", { class: "why quiet" }, schedule.displayName, marks(last.get(schedule.rid)))))));
    } catch (error) {
      redraw(root, failed(error));
    }
  };
  const input = h("input", { type: "search", id: "filter-text", value: route().query.get("text") || "", autocomplete: "off",
    oninput: () => {
      clearTimeout(timer);
      timer = setTimeout(() => choose("text", input.value.trim(), false), TYPING_MS);
    } });
  main.append(h("h1", {}, "Schedules"), h("form", { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
    h("div", { class: "field" }, h("label", { for: "filter-text" }, "Name or RID"), input)), root);
  look();
  window.addEventListener("chosen", look);
  const unwatch = watch(["token"], look);
  return () => {
    clearTimeout(timer);
    window.removeEventListener("chosen", look);
    unwatch();
  };
}

// Parts of one --------------------------------------------------------------

export const triggerText = (trigger) => {
  if (!trigger) return "none: it runs when it is asked to";
  if (trigger.type === "time") return `${trigger.cronExpression} (${trigger.timeZone})`;
  if (trigger.triggers) return `(${trigger.triggers.map(triggerText).join(` ${trigger.type} `)})`;
  return `${trigger.type} ${shortName(trigger.datasetRid || trigger.scheduleRid || trigger.tableRid || trigger.mediaSetRid || "")}`;
};

function strip(runs) {
  if (runs.length === 0) return h("p", { class: "quiet" }, "It has not run lately.");
  return [h("ol", { class: "strip", "aria-label": "Its last runs, newest first" }, runs.map((run) => h("li", {},
    h("a", { href: link(["run", run.scheduleRid, run.rid]), title: `${outcomeOf(run)} ${run.createdTime}` }, badge(outcomeOf(run)))))),
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

function dryRun(rid) {
  const shown = h("div", { id: "plan", "aria-live": "polite" });
  const ask = async () => {
    redraw(shown, h("p", {}, "Planning …"));
    try {
      const found = await post(`dashboard/schedules/${encodeURIComponent(rid)}/plan`);
      redraw(shown, h("p", {}, badge(found.outcome.result.type), " is what a run would be now."), why(found.outcome),
        found.outcome.build && plan(found.outcome, found.jobs));
    } catch (error) {
      redraw(shown, failed(error));
    }
  };
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
  const root = h("div", {}, h("p", {}, "Looking …"));
  let ended = false;
  main.append(h("h1", {}, "Schedule ", h("code", {}, shortName(rid))), root);
  const look = async () => {
    const name = encodeURIComponent(rid);
    try {
      const [schedule, more, runs] = await Promise.all([
        get(`${API}schedules/${name}?preview=true`, { headers: NEWEST }), get(`dashboard/schedules/${name}`),
        get(`${API}schedules/${name}/runs?pageSize=${STRIP}&preview=true`), state.overview || lookAtHealth()]);
      if (ended) return;
      redraw(root, h("p", {}, schedule.paused ? h("strong", {}, "❚❚ paused") : "live", schedule.displayName && [": ", schedule.displayName],
        schedule.description && [". ", schedule.description]), actions(schedule, more, look),
      h("h2", {}, "Last runs"), strip(runs.data), dryRun(rid),
      h("h2", {}, "When it runs"), h("p", {}, "Trigger: ", triggerText(schedule.trigger)), dueTable(more, schedule.paused),
      versions(more),
      h("details", {}, h("summary", {}, "Raw JSON"), h("pre", { tabindex: "0" }, JSON.stringify(schedule, null, 1))));
    } catch (error) {
      if (!ended) redraw(root, failed(error));
    }
  };
  look();
  const unwatch = watch(["token"], look);
  return () => {
    ended = true;
    unwatch();
  };
}

export function open(main, { path }) {
  return path[1] ? openOne(main, path[1]) : openList(main);
}
