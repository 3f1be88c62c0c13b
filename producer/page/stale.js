// What is stale in the whole catalogue, as the worker's planner judges it; and
// how that is said elsewhere, too.
import { patiently } from "./api.js";
import { h, number, redraw, shortName, table, tabs, time } from "./dom.js";
import { reasonText } from "./graph.js";
import { followRoute } from "./look.js";
import { choose, link, route } from "./state.js";

const TYPING_MS = 200;

export const TABS = [["Datasets", ["catalogue"]], ["What is stale", ["catalogue", "stale"]]];

// Since when: of a job whose upstream runs, since that is stale.
export function sinceOf(stale) {
  const byKey = new Map(stale.map((job) => [job.key, job]));
  const find = (job, depth) => {
    if (job.since || job.reason.cause !== "upstream" || depth > 50) return job.since;
    return job.reason.inputs.first.map((key) => byKey.get(key.split("@")[0])).filter(Boolean)
      .map((other) => find(other, depth + 1)).filter(Boolean).sort()[0];
  };
  return new Map(stale.map((job) => [job.key, find(job, 0)]));
}

export function sinceCell(job, since, generation) {
  if (since) return time(since);
  if (job.reason.cause === "neverBuilt") return "ever";
  if (job.reason.cause === "newLogic") return ["the catalogue of ", time(generation)];
  return "not known";
}

export function faultList(found) {
  if (found.faultCount === 0) return null;
  return h("details", { class: "faults" }, h("summary", {}, `${number(found.faultCount)} can't be judged: a run of them would be an error`),
    table("Can't be judged", ["Dataset", "Error", "What"], found.faults.map((fault) => [
      h("a", { href: link(["catalogue", fault.target]) }, shortName(fault.target)), fault.errorName, fault.description])));
}

// What is looked for, in the URL.
export function searchForm(label, ...fields) {
  let timer = 0;
  const input = h("input", { type: "search", id: "filter-text", value: route().query.get("text") || "", autocomplete: "off",
    oninput: () => {
      clearTimeout(timer);
      timer = setTimeout(() => choose("text", input.value.trim(), false), TYPING_MS);
    } });
  return h("form", { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() }, fields,
    h("div", { class: "field" }, h("label", { for: "filter-text" }, label), input));
}

export function branchField(names, branch) {
  const select = h("select", { id: "filter-branch", onchange: () => choose("branch", select.value, true) },
    (names.includes(branch) ? names : [...names, branch]).map((name) => h("option", { value: name, selected: name === branch }, name)));
  return h("div", { class: "field" }, h("label", { for: "filter-branch" }, "Branch"), select);
}

// Where nothing was looked at nothing is well, either.
function nothingText(found) {
  if (!found.branches.includes(found.branch)) return `No branch is named ${found.branch}.`;
  return route().query.get("text") ? `No job on ${found.branch} that you may see has that in a RID.` : `There is no job on ${found.branch} that you may see.`;
}

function staleTable(found) {
  const since = sinceOf(found.stale);
  if (found.targets === 0) return h("p", { class: "verdict" }, nothingText(found));
  return [h("p", { class: "verdict" }, found.count === 0 ? "Nothing is stale" : `${number(found.count)} ${found.count === 1 ? "job is" : "jobs are"} stale`,
    found.count > found.stale.length && `, the first ${number(found.stale.length)} of them are listed`,
    ` of ${number(found.judged)} that were looked at on ${found.branch}.`,
    found.isPart && " There are more: name a part of a RID to look at fewer."),
  found.stale.length > 0 && table("Stale", ["Dataset", "Why", "Since"], found.stale.map((job) => [
    h("a", { class: "open", href: link(["catalogue", job.key], { branch: found.branch }) }, shortName(job.key)),
    reasonText(job.reason), sinceCell(job, since.get(job.key), found.generation)])),
  faultList(found)];
}

export function openStale(main) {
  const root = h("div", {}, h("p", {}, "Planning …"));
  const branches = h("div", {});
  main.append(h("h1", {}, "Catalogue"), tabs("Catalogue", TABS, 1),
    h("p", { class: "quiet" }, "As the worker's planner judges it: what a run of everything would build now, and why."),
    searchForm("Part of a RID", branches), root);
  return followRoute(root, (query, signal) => patiently(`dashboard/stale?${new URLSearchParams({ branch: query.get("branch") || "",
    text: query.get("text") || "" })}`, { signal }), (found) => {
    redraw(branches, branchField(found.branches, found.branch));
    redraw(root, staleTable(found));
  });
}
