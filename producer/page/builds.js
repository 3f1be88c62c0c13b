// The newest builds: what runs, what has failed, with their jobs.
import { get } from "./api.js";
import { copyable, duration, failed, h, isHeld, number, redraw, shortName, time } from "./dom.js";
import { keepLooking } from "./look.js";
import { link, now, set, state } from "./state.js";

export const title = "Builds";
const LOOK_MS = 5000;
const LONG_MS = 24 * 3600 * 1000;

const STATES = { RUNNING: ["▶", "running"], FAILED: ["✕", "error"], CANCELED: ["○", "ignored"], SUCCEEDED: ["✓", "submitted"],
  UNKNOWN: ["?", "pending"] };

function stateBadge(name) {
  const [sign, look] = STATES[name] || ["?", "pending"];
  return h("span", { class: `badge ${look}` }, h("span", { "aria-hidden": "true" }, sign), name.toLowerCase());
}

const runLink = (build) => link(["run", build.scheduleRid, build.runRid]);

function progress(build) {
  if (build.jobs === undefined) return build.state === "UNKNOWN" ? "it is not in the run view" : "its jobs stand on its run";
  const states = Object.entries(build.states).map(([state, n]) => `${number(n)} ${state.toLowerCase().replaceAll("_", " ")}`);
  return `${number(build.jobs)} ${build.jobs === 1 ? "job" : "jobs"}: ${states.join(", ") || "nothing said of them yet"}`;
}

function jobLine(job) {
  const took = job.begun ? duration((job.ended ? Date.parse(job.ended) : now()) - Date.parse(job.begun)) : "";
  return h("li", {}, h("strong", {}, shortName(job.rid)), ` ${job.state.toLowerCase()}`,
    job.state === "FAILED" && `, exit code ${job.code}`, took && ` after ${took}`, job.host && `, on ${job.host}`,
    job.attempt > 1 && `, attempt ${job.attempt}`, job.note && [": ", h("span", { class: "note" }, job.note.trim().split("\n").at(-1))]);
}

// What somebody can do about it.
function mend(build) {
  if (build.state === "FAILED") return [h("strong", { class: "plain" }, "Mend: "), "what its jobs say; then ask for the run again: ",
    copyable(`schedrun submit ${build.scheduleRid}`)];
  if (build.state === "RUNNING" && now() - Date.parse(build.time) > LONG_MS)
    return [h("strong", { class: "plain" }, "Mend: "), "nobody has reported its end for a day: is schedrun-builder, or your build system, at work? ",
      copyable(`schedrun build get ${build.buildRid}`)];
  return null;
}

function item(build) {
  const help = mend(build);
  return h("li", { class: `run ${build.state === "FAILED" ? "error" : ""}`, "data-rid": build.buildRid },
    h("a", { class: "open", href: runLink(build) }, stateBadge(build.state), h("span", { class: "name" }, shortName(build.scheduleRid))),
    h("span", { class: "when" }, time(build.time)),
    h("div", { class: "why" }, h("p", { class: "quiet" }, progress(build)),
      build.shown && build.shown.length > 0 && h("ul", { class: "jobs" }, build.shown.map(jobLine)), help && h("p", {}, help)));
}

// Which runs' builds have ended badly, told to all views.
export async function lookAtEnds() {
  try {
    const { runs } = await get("dashboard/builds?jobs=no");
    const ended = new Map([...runs.FAILED.map((rid) => [rid, "failed"]), ...runs.CANCELED.map((rid) => [rid, "canceled"])]);
    if (ended.size !== state.ended.size || [...ended].some(([rid, end]) => state.ended.get(rid) !== end)) set({ ended });
  } catch {
    // What is known stays; Health and Builds say what is wrong.
  }
}

// For Health, too: how many, and the first of them.
export function buildsPart(found, max) {
  const { counts } = found;
  const shown = found.builds.filter((build) => build.state === "RUNNING" || build.state === "FAILED").slice(0, max);
  return [h("p", { class: "count" }, `${number(counts.RUNNING)} running, ${number(counts.FAILED)} failed of the last ${number(found.looked)}. `,
    h("a", { href: link(["builds"]) }, "All of these")), h("ol", { class: "runs" }, shown.map(item))];
}

export function open(main) {
  const root = h("div", {}, h("p", {}, "Looking …"));
  let shown = "";
  main.append(h("h1", {}, "Builds"), root);
  const look = async () => {
    try {
      const found = await get("dashboard/builds");
      const text = JSON.stringify(found);
      if (text === shown || isHeld(root)) return;
      shown = text;
      const { counts } = found;
      redraw(root, h("p", { class: "count" }, `The last ${number(found.looked)} builds: ${number(counts.RUNNING)} running, ${number(counts.FAILED)} failed, `,
        `${number(counts.CANCELED)} canceled, ${number(counts.SUCCEEDED)} succeeded`,
        counts.UNKNOWN > 0 && `, ${number(counts.UNKNOWN)} not in the run view (view.ttl)`, "."),
      h("ol", { class: "runs" }, found.builds.map(item)),
      found.looked > found.builds.length && h("p", { class: "quiet" }, `The first ${found.builds.length}.`));
    } catch (error) {
      shown = "";
      redraw(root, failed(error));
    }
  };
  return keepLooking(look, LOOK_MS);
}
