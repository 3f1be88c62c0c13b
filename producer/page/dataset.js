// One dataset: where it comes from and goes to, its heads, whether it is stale,
// and what new data in it would lead to.
import { patiently } from "./api.js";
import { chainTable } from "./chain.js";
import { copyable, failed, h, number, redraw, shortName, table, time } from "./dom.js";
import { DRAWN_MAX, draw, reasonText } from "./graph.js";
import { followRoute } from "./look.js";
import { branchField, faultList, sinceCell, sinceOf } from "./stale.js";
import { choose, link, route } from "./state.js";

const LISTED_MAX = 1000;

// The jobs and what they read that no job makes, what is read before who reads.
function makeNodes(found) {
  const nodes = new Map();
  const writers = new Map();
  for (const job of found.jobs) {
    const one = { key: job.key, job, reads: [] };
    nodes.set(job.key, one);
    for (const output of job.outputs) writers.set(output, one);
  }
  const source = (rid, made) => {
    if (!nodes.has(rid)) nodes.set(rid, { key: rid, job: null, made, reads: [] });
    return nodes.get(rid);
  };
  if (!writers.has(found.rid)) source(found.rid);
  for (const one of [...nodes.values()])
    for (const input of one.job ? one.job.inputs : []) {
      const from = input.branch && input.branch !== found.branch ? source(input.rid, false) : writers.get(input.rid) || source(input.rid, input.made);
      if (from !== one) one.reads.push(from);
    }
  return order([...nodes.values()]);
}

// What is in a circle comes last, its edges back are left out.
function order(nodes) {
  const placed = new Map();
  const list = [];
  const put = (one) => {
    one.dependsOn = [...new Set(one.reads.filter((other) => placed.has(other)).map((other) => placed.get(other)))];
    placed.set(one, list.length);
    list.push(one);
  };
  const readers = new Map(nodes.map((one) => [one, []]));
  const waits = new Map(nodes.map((one) => [one, new Set(one.reads).size]));
  for (const one of nodes) for (const other of new Set(one.reads)) readers.get(other).push(one);
  const ready = nodes.filter((one) => waits.get(one) === 0);
  for (let at = 0; at < ready.length; at++) {
    put(ready[at]);
    for (const other of readers.get(ready[at])) {
      waits.set(other, waits.get(other) - 1);
      if (waits.get(other) === 0) ready.push(other);
    }
  }
  for (const one of nodes) if (!placed.has(one)) put(one);
  return list;
}

function itemOf(one, found, stale, faults) {
  const name = shortName(one.key);
  const more = one.job && one.job.outputs.length > 1 ? ` +${one.job.outputs.length - 1}` : "";
  const isIt = one.key === found.rid || (one.job && one.job.outputs.includes(found.rid));
  const job = stale && stale.get(one.key);
  const text = !one.job ? (one.made ? "beside this lineage" : "source") : job ? reasonText(job.reason) : faults && faults.has(one.key) ? "can't be judged" : stale ? "up to date" : one.job.logic;
  return { title: `${name}${more}`, text, dependsOn: one.dependsOn,
    state: `${!one.job ? "source" : job ? "stale" : "planned"}${isIt ? " chosen" : ""}`,
    label: `${name}${more}, ${text}${isIt ? ", this dataset" : ""}` };
}

function nodeDetail(one, found) {
  if (!one.job) return h("section", { class: "job" }, h("h3", {}, shortName(one.key)), h("p", {}, one.made ? "It is made beside this lineage. " : "No job of this branch makes it. ",
    h("a", { href: link(["catalogue", one.key]) }, "Its own page")));
  return h("section", { class: "job", "aria-label": shortName(one.key) }, h("h3", {}, shortName(one.key)),
    h("dl", {}, h("dt", {}, "Writes"), h("dd", {}, one.job.outputs.map((rid) =>
      h("div", {}, h("a", { href: link(["catalogue", rid], { branch: found.branch }) }, rid)))),
    h("dt", {}, "Reads"), h("dd", {}, one.job.inputs.slice(0, LISTED_MAX).map((input) => h("div", {},
      h("a", { href: link(["catalogue", input.rid]) }, input.rid), input.branch && ` on ${input.branch}`)),
    one.job.moreInputs > 0 && h("div", {}, `and ${number(one.job.moreInputs)} more`),
    one.job.hiddenInputs > 0 && h("div", {}, `and ${one.job.hiddenInputs} that you may not see`)),
    h("dt", {}, "Logic"), h("dd", {}, h("code", {}, one.job.logic), ` by ${one.job.jobSpecRid}`)));
}

// Drawn and listed; `state` comes later, and marks what is stale.
function lineage(found) {
  const nodes = makeNodes(found);
  const detail = h("div", { "aria-live": "polite" });
  const pick = (at) => redraw(detail, nodeDetail(nodes[at], found));
  const body = h("div", {});
  let stale = null, faults = null;
  let drawn = nodes.length <= DRAWN_MAX;
  const toggle = h("button", { type: "button", onclick: () => {
    drawn = !drawn;
    show();
  } });
  const list = (items) => table(`Lineage${items.length > LISTED_MAX ? `, the first ${LISTED_MAX}` : ""}`, ["Dataset", "Where", "State", "Reads"],
    items.slice(0, LISTED_MAX).map((item, at) => [h("a", { class: "open", href: link(["catalogue", nodes[at].key], { branch: found.branch }) }, item.title),
      place(nodes[at], found), item.text, nodes[at].reads.slice(0, 5).map((other) => shortName(other.key)).join(", ") || "–"]));
  const show = () => {
    const items = nodes.map((one) => itemOf(one, found, stale, faults));
    toggle.textContent = drawn ? "As a list" : "As a graph";
    redraw(body, drawn ? draw(items, pick, "Datasets by what is made of what") : list(items));
  };
  show();
  return { element: h("div", { class: "plan" }, h("p", {}, `${number(found.up)} ${found.up === 1 ? "job" : "jobs"} up, ${number(found.down)} down, on branch ${found.branch}`,
    found.more && " (at least; the nearest 500 each way)", found.hidden > 0 && `, ${number(found.hidden)} that you may not see`, ". ",
    nodes.length <= DRAWN_MAX && toggle), body, detail),
  mark: (state) => {
    stale = new Map(state.stale.map((job) => [job.key, job]));
    faults = new Set(state.faults.map((fault) => fault.target));
    show();
  } };
}

function place(one, found) {
  if (one.key === found.rid || (one.job && one.job.outputs.includes(found.rid))) return "this one";
  if (!one.job) return one.made ? "beside it" : "source";
  return one.job.distance < 0 ? `${-one.job.distance} up` : `${one.job.distance} down`;
}

function sinceText(job, since, generation) {
  if (job.reason.cause === "neverBuilt") return null;
  return since || job.reason.cause === "newLogic" ? [", since ", sinceCell(job, since, generation)] : "; since when is not known";
}

function verdict(found, state) {
  const own = found.jobs.find((job) => job.outputs.includes(found.rid));
  if (!own) return h("p", { class: "verdict" }, `No job writes it on ${found.branch}: its data comes from outside.`);
  const job = state.stale.find((one) => one.key === own.key);
  const fault = state.faults.find((one) => one.target === own.key);
  const keys = new Set(found.jobs.map((one) => one.key));
  const behind = state.stale.filter((one) => keys.has(one.key) && one !== job).length;
  if (fault) return h("p", { class: "failure" }, h("strong", {}, fault.errorName), ": ", fault.description);
  return h("p", { class: "verdict" }, job ? [h("strong", {}, "! Stale"), `: ${reasonText(job.reason)}`, sinceText(job, sinceOf(state.stale).get(job.key), state.generation)] : [h("strong", {}, "✓ Up to date"), "."],
  behind > 0 && `${job ? ". " : " "}${number(behind)} more in its lineage ${behind === 1 ? "is" : "are"} stale.`);
}

function heads(found) {
  if (found.branchesError) return h("p", { class: "failure" }, `Its branches can't be read: ${found.branchesError}`);
  if (found.branches.length === 0) return h("p", { class: "quiet" }, "It has no branch: no data yet.");
  return table(`Heads${found.branchCount > found.branches.length ? `, the first ${found.branches.length} of ${number(found.branchCount)}` : ""}`,
    ["Branch", "Head", "Since", "Built with", "Of"], found.branches.map((branch) => [branch.name, h("code", {}, branch.head || "empty"),
      branch.moved ? time(branch.moved) : "–", branch.built ? h("code", {}, branch.built.logic) : "not built here",
      branch.built ? branch.built.inputs.map((input) => h("div", {}, `${shortName(input.key)}: `, h("code", {}, shortName(input.transaction || "empty")))) : "–"]));
}

// Impact ------------------------------------------------------------------------

function impactOf(found, impact) {
  const name = shortName(found.rid);
  const runs = `${number(impact.count)} ${impact.count === 1 ? "job" : "jobs"} would run`;
  return [h("p", { class: "verdict" }, `If ${name} changed on ${impact.branch}, ${impact.count === 0 ? "nothing would run" : runs}`,
    impact.anyway > 0 && `, ${number(impact.anyway)} of them anyway`, impact.isPart && " (at least: not all could be looked at)",
    impact.hidden > 0 && `, and what follows from ${number(impact.hidden)} that you may not see`, "."),
  impact.jobs.length > 0 && table(`Would run${impact.count > impact.jobs.length ? `, the first ${impact.jobs.length}` : ""}`, ["Dataset", "Why", "Now"],
    impact.jobs.map((job) => [h("a", { class: "open", href: link(["catalogue", job.key], { branch: impact.branch }) }, shortName(job.key)), reasonText(job.reason),
      job.anyway ? "stale already" : "up to date"])),
  chainTable("Schedules that would run them", impact, "No schedule would run them: they stay stale until somebody asks."), faultList(impact)];
}

function impactSection(found, signal, isAsked) {
  const shown = h("div", { id: "impact", "aria-live": "polite" });
  const ask = async () => {
    redraw(shown, h("p", {}, "Planning …"));
    try {
      redraw(shown, impactOf(found, await patiently(`dashboard/datasets/${encodeURIComponent(found.rid)}/impact?branch=${encodeURIComponent(found.branch)}`, { signal })));
    } catch (error) {
      if (!signal.aborted) redraw(shown, failed(error));
    }
  };
  if (isAsked) ask();
  return h("section", {}, h("h2", {}, "What if it changed"),
    h("p", {}, h("button", { type: "button", onclick: () => {
      choose("show", "impact", true);
      ask();
    } }, "Show the impact"), " plans as if new data had come, and changes nothing."), shown,
    h("p", {}, copyable(`schedrun dataset commit ${found.rid} --branch ${found.branch}`), " would bring it."));
}

// The page ----------------------------------------------------------------------

const branchNames = (found) => [...new Set([found.branch, ...found.specBranches, ...found.branches.map((branch) => branch.name)])];

export function open(main, { path }) {
  const rid = path[1];
  const root = h("div", {}, h("p", {}, "Looking …"));
  const name = `dashboard/datasets/${encodeURIComponent(rid)}`;
  const onBranch = (branch) => `?${new URLSearchParams({ branch: branch || "" })}`;
  main.append(h("h1", {}, "Dataset ", h("code", {}, shortName(rid))), root);
  // Its state is asked for behind it: that is planned, which takes a while.
  return followRoute(root, (query, signal) => patiently(name + onBranch(query.get("branch")), { signal }), async (found, signal) => {
    const { element, mark } = lineage(found);
    const said = h("div", { id: "state" }, h("p", {}, "Planning …"));
    const asksImpact = route().query.get("show") === "impact";
    redraw(root, h("p", {}, copyable(found.rid), found.trashed && h("strong", {}, " in the trash"),
      found.project && [", of ", h("code", {}, shortName(found.project))]), h("div", { class: "filters" }, branchField(branchNames(found), found.branch)), said,
    asksImpact && impactSection(found, signal, true), h("h2", {}, "Lineage"), element,
    !asksImpact && impactSection(found, signal, false), heads(found));
    const state = await patiently(`${name}/state${onBranch(found.branch)}`, { signal });
    mark(state);
    redraw(said, verdict(found, state), faultList(state));
  }, (was, is) => was.get("branch") === is.get("branch"));
}
