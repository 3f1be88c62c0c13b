// One run: why it did what it did, and how to see that again.
import { API, get } from "./api.js";
import { badge, copyable, duration, failureText, h, outcomeOf, redraw, shortName, table, time } from "./dom.js";
import { plan, why } from "./graph.js";
import { link, state, watch } from "./state.js";

export const title = "Run";
const AGAIN_MS = 2000;

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

function timeline(said, jobs) {
  const rows = Object.entries(said).filter(([, one]) => one.begun).sort((a, b) => a[1].begun.localeCompare(b[1].begun)).slice(0, 1000);
  return rows.length > 0 && table("Timeline of its jobs", ["Begun", "Job", "State", "Took"], rows.map(([at, one]) => [
    time(one.begun), `${at}: ${jobs[at] ? shortName(jobs[at].outputs[0].rid) : ""}`, one.state,
    one.ended ? duration(Date.parse(one.ended) - Date.parse(one.begun)) : "runs"]));
}

function body(found) {
  const { run, outcome, said } = found;
  const changes = h("div", {});
  since(changes, run);
  const raw = h("details", {}, h("summary", {}, "Raw JSON"), h("pre", { tabindex: "0" }, JSON.stringify(found, null, 1)));
  return [
    h("p", {}, badge(outcomeOf(run)), " of schedule ",
      h("a", { href: link(["schedules", run.scheduleRid]) }, shortName(run.scheduleRid)),
      ", asked at ", time(run.createdTime), run.createdBy ? [" by ", h("code", {}, run.createdBy)] : " by nobody named, as triggers do",
      found.finishedTime && [", finished after ", duration(Date.parse(found.finishedTime) - Date.parse(run.createdTime))]),
    h("h2", {}, "Why"),
    outcome ? why(outcome) : h("p", {}, run.result ? "Its build has left the run view (view.ttl), or isn't there yet: its jobs can't be shown."
      : "It has no result yet. Health says how far the workers are."),
    outcome && outcome.build && [h("h2", {}, "Jobs"), found.buildState && h("p", {}, `The build is ${found.buildState}.`),
      plan(outcome, found.jobs, said || {}), said && timeline(said, outcome.build.jobs)],
    h("h2", {}, "Ids"),
    h("dl", {}, [["Run", run.rid], ["Request", found.requestId], ["Schedule", run.scheduleRid], ["Version", run.scheduleVersionRid],
      ["Build", run.result && run.result.buildRid]].filter(([, rid]) => rid)
      .map(([name, rid]) => [h("dt", {}, name), h("dd", {}, copyable(rid))])),
    changes, reproduce(run), raw,
  ];
}

export function open(main, { path }) {
  const rid = path[2] || "";
  const root = h("div", {}, h("p", {}, "Looking …"));
  let ended = false;
  let timer = 0;
  main.append(h("h1", {}, "Run ", h("code", {}, shortName(rid))), root);
  const look = async () => {
    clearTimeout(timer);
    try {
      const found = await get(`dashboard/runs/${encodeURIComponent(rid)}`);
      if (ended) return;
      redraw(root, body(found));
      if (!found.run.result || (found.run.result.type === "submitted" && !found.outcome)) timer = setTimeout(look, AGAIN_MS);
    } catch (error) {
      if (ended) return;
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
