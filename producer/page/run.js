// One run: why it did what it did, and how to see that again.
import { API, get } from "./api.js";
import { badge, copyable, duration, failureText, h, isHeld, outcomeOf, redraw, shortName, svg, table, time } from "./dom.js";
import { plan, why } from "./graph.js";
import { link, now, state, watch } from "./state.js";

export const title = "Run";
const AGAIN_MS = 2000;
const BAR = 300; // of the timeline, in its own units

// The members of two documents that differ, as [path, before, after].
export function differences(before, after, path = "") {
  const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
  if (!isObject(before) || !isObject(after))
    return JSON.stringify(before) === JSON.stringify(after) ? [] : [[path, before, after]];
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].sort()
    .flatMap((name) => differences(before[name], after[name], path ? `${path}.${name}` : name));
}

export function differenceTable(caption, before, after) {
  const text = (value) => (value === undefined ? "–" : JSON.stringify(value));
  const rows = differences(before, after).filter(([path]) => !/^(rid|createdTime|createdBy)$/.test(path));
  return rows.length === 0 ? h("p", { class: "quiet" }, `${caption}: nothing.`)
    : table(caption, ["What", "Before", "After"], rows.map(([path, was, is]) => [path, h("code", {}, text(was)), h("code", {}, text(is))]));
}

function reproduce(run) {
  const address = new URL(`${API}schedules/${run.scheduleRid}/run?preview=true`, document.baseURI).href;
  const lines = [`schedrun submit ${run.scheduleRid} --version ${run.scheduleVersionRid} --wait 30s`,
    `schedrun run explain ${run.rid}`,
    `curl -sX POST -H "Authorization: Bearer $TOKEN" -H 'Prefer: wait=30' '${address}'`];
  return h("section", {}, h("h2", {}, "Ask again"), lines.map((line) => h("p", {}, copyable(line))));
}

async function version(rid) {
  return get(`${API}scheduleVersions/${rid}?preview=true`, { headers: { "Schedrun-Contract": "ga-upper" } });
}

// What has changed in the schedule since this run was planned.
async function since(root, run) {
  try {
    const schedule = await get(`${API}schedules/${run.scheduleRid}?preview=true`);
    if (schedule.currentVersionRid === run.scheduleVersionRid) {
      redraw(root, h("p", { class: "quiet" }, "The schedule is still of this version."));
      return;
    }
    redraw(root, differenceTable("Changed in the schedule since", await version(run.scheduleVersionRid),
      await version(schedule.currentVersionRid)));
  } catch (error) {
    redraw(root, h("p", { class: "quiet" }, `Its version can't be compared: ${failureText(error)}`));
  }
}

// A bar for each job over the time from the first one's beginning.
function bar(one, from, to) {
  const begun = Date.parse(one.begun), ended = one.ended ? Date.parse(one.ended) : to;
  const scale = BAR / Math.max(to - from, 1);
  return svg("svg", { class: "bar", viewBox: `0 0 ${BAR} 10`, preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("path", { class: "base", d: `M0 9.5H${BAR}` }),
    svg("rect", { class: one.state.toLowerCase(), x: (begun - from) * scale, y: 1, height: 8, width: Math.max((ended - begun) * scale, 3) }));
}

function timeline(said, jobs, choose) {
  const rows = Object.entries(said).filter(([, one]) => one.begun).sort((a, b) => a[1].begun.localeCompare(b[1].begun)).slice(0, 1000);
  if (rows.length === 0) return null;
  const from = Date.parse(rows[0][1].begun);
  const to = Math.max(...rows.map(([, one]) => (one.ended ? Date.parse(one.ended) : now())));
  return table(`Timeline of its jobs, ${duration(to - from)} in all`, ["Job", "When", "State", "Begun", "Took"], rows.map(([at, one]) => [
    jobs[at] ? h("button", { type: "button", class: "open name", onclick: () => choose(at) }, `${at}: ${shortName(jobs[at].outputs[0].rid)}`) : at, bar(one, from, to),
    [one.state, one.state === "FAILED" && one.note && h("p", { class: "note" }, one.note.trim().split("\n").at(-1))],
    time(one.begun), one.ended ? duration(Date.parse(one.ended) - Date.parse(one.begun)) : "runs"]));
}

function jobsPart(found) {
  const { outcome, said, buildState } = found;
  if (!outcome || !outcome.build) return null;
  const { element, choose } = plan(outcome, found.jobs, said || {});
  return [h("h2", {}, "Jobs"), h("div", {}, badge(ENDS[buildState] || "submitted"), buildState && buildLine(buildState)),
    said && timeline(said, outcome.build.jobs, choose), element];
}

function askedBy(run, trigger) {
  const fired = trigger && trigger !== "http" && h("code", {}, trigger);
  if (!run.createdBy) return fired ? [" by its trigger: ", fired] : " by nobody named";
  return [" by ", h("code", {}, run.createdBy), fired && [", by what it says of itself: ", fired]];
}

const ENDS = { FAILED: "failed", CANCELED: "canceled" };

function buildLine(buildState) {
  const builder = state.overview && state.overview.others && state.overview.others.builder;
  return h("p", { class: buildState === "FAILED" ? "failure" : "" }, `The build is ${buildState}`, buildState === "RUNNING" && ": nobody has reported its end yet", ".",
    buildState === "RUNNING" && builder && builder.members === 0 && [" No builder runs. ", h("strong", {}, "Mend: "), "start schedrun-builder."],
    buildState === "FAILED" && [" ", h("strong", {}, "Mend: "), "what its jobs say; then ask again."]);
}

function body(found, jobs) {
  const { run, outcome } = found;
  const changes = h("div", {});
  since(changes, run);
  const raw = h("details", {}, h("summary", {}, "Raw JSON"), h("pre", { tabindex: "0" }, JSON.stringify(found, null, 1)));
  return [
    h("p", {}, badge(outcomeOf(run)), " of schedule ",
      h("a", { href: link(["schedules", run.scheduleRid]) }, shortName(run.scheduleRid)),
      ", asked at ", time(run.createdTime), askedBy(run, found.trigger),
      found.finishedTime && [", finished after ", duration(Date.parse(found.finishedTime) - Date.parse(run.createdTime))]),
    h("h2", {}, "Why"),
    outcome ? why(outcome) : h("p", {}, run.result ? "Its build has left the run view (view.ttl), or isn't there yet: its jobs can't be shown."
      : "It has no result yet. Health says how far the workers are."),
    jobs,
    h("h2", {}, "Ids"),
    h("dl", {}, [["Run", run.rid], ["Request", found.requestId], ["Schedule", run.scheduleRid], ["Version", run.scheduleVersionRid],
      ["Build", run.result && run.result.buildRid]].filter(([, rid]) => rid)
      .map(([name, rid]) => [h("dt", {}, name), h("dd", {}, copyable(rid))])),
    changes, reproduce(run), raw,
  ];
}

// When to look again; 0: all is known.
function again(found) {
  if (!found.run.result || (found.run.result.type === "submitted" && !found.outcome)) return AGAIN_MS;
  return found.buildState !== "RUNNING" ? 0 : found.jobs <= 200 ? AGAIN_MS : AGAIN_MS * 5;
}

export function open(main, { path }) {
  const rid = path[2] || "";
  const root = h("div", {}, h("p", {}, "Looking …"));
  let ended = false;
  let timer = 0;
  let shown = null; // what is drawn, and of that the jobs as told
  let told = "";
  const jobs = h("div", { id: "jobs" });
  const draw = (found) => {
    const text = JSON.stringify([found.buildState, found.said]);
    if (!shown || !shown.outcome || !found.outcome) redraw(root, body(found, jobs));
    else if (text === told || isHeld(jobs)) return;
    redraw(jobs, jobsPart(found));
    shown = found;
    told = text;
  };
  main.append(h("h1", {}, "Run ", h("code", {}, shortName(rid))), root);
  const look = async () => {
    clearTimeout(timer);
    try {
      const found = await get(`dashboard/runs/${encodeURIComponent(rid)}`);
      if (ended) return;
      draw(found);
      if (again(found)) timer = setTimeout(look, again(found));
    } catch (error) {
      if (ended) return;
      shown = null;
      redraw(root, h("p", { class: "failure", role: "alert" }, failureText(error)));
      timer = setTimeout(() => state.asking || look(), AGAIN_MS * 2);
    }
  };
  look();
  const unwatch = watch(["token"], look);
  return () => {
    ended = true;
    clearTimeout(timer);
    unwatch();
  };
}
