// A plan: its jobs in layers by what waits for what, or as a list; and what is
// known of the job that is chosen.
import { duration, h, number, redraw, shortName, svg, table } from "./dom.js";

export const DRAWN_MAX = 200;  // more are listed
const LISTED_MAX = 1000;
const WIDTH = 190, HEIGHT = 46, GAP_X = 70, GAP_Y = 18;

function some(list) {
  const names = list.first.map(shortName).join(", ");
  return list.count > list.first.length ? `${names} and ${number(list.count - list.first.length)} more` : names;
}

export function reasonText(reason) {
  const output = reason.output ? shortName(reason.output) : "";
  switch (reason.cause) {
  case "forced": return "forced: the schedule builds always";
  case "neverBuilt": return `never built: ${output}`;
  case "newLogic": return `new logic: ${reason.from} → ${reason.to}, of ${output}`;
  case "inputsChanged": return `inputs changed: ${some(reason.inputs)}`;
  case "upstream": return `upstream runs: ${some(reason.inputs)}`;
  case "alwaysStale": return "always stale";
  default: return reason.cause;
  }
}

const nameOf = (job) => shortName(job.outputs[0].rid);

function inputText(input) {
  return input.job !== undefined ? `${input.rid} (from job ${input.job})`
    : `${input.rid} on ${input.branch}, ${input.transaction || "empty"}`;
}

function jobDetail(job, position, said) {
  return h("section", { class: "job", "aria-label": `Job ${position}` },
    h("h3", {}, `Job ${position}: ${nameOf(job)}`),
    h("dl", {},
      h("dt", {}, "Why"), h("dd", {}, reasonText(job.reason)),
      h("dt", {}, "Writes"), h("dd", {}, job.outputs.map((output) => h("div", {}, h("code", {}, output.rid),
        output.newBranch && ` (new branch${output.newBranch.parent ? " off " + output.newBranch.parent : ""})`))),
      h("dt", {}, "Reads"), h("dd", {}, job.inputs.slice(0, LISTED_MAX).map((input) => h("div", {}, h("code", {}, inputText(input)))),
        job.inputs.length === 0 && "nothing"),
      h("dt", {}, "Waits for"), h("dd", {}, job.dependsOn.length ? job.dependsOn.map((at) => `job ${at}`).join(", ") : "nobody"),
      h("dt", {}, "Logic"), h("dd", {}, h("code", {}, job.logic), ` by ${job.jobSpecRid}, branch ${job.specBranch}`),
      said && [h("dt", {}, "Carried out"), h("dd", {}, saidText(said)),
        said.note && [h("dt", {}, "It said"), h("dd", {}, h("pre", { tabindex: "0" }, said.note))]]));
}

export function saidText(said) {
  const took = said.begun && said.ended ? `, took ${duration(Date.parse(said.ended) - Date.parse(said.begun))}` : "";
  const code = said.state === "FAILED" ? `, exit code ${said.code}` : "";
  return `${said.state}${took}${code}${said.host ? ", on " + said.host : ""}${said.attempt > 1 ? `, attempt ${said.attempt}` : ""}`;
}

// What an item waits for stands before it in the list, so one pass will do.
function place(items) {
  const layers = [];
  const places = [];
  items.forEach((item, at) => {
    const layer = item.dependsOn.reduce((deepest, other) => Math.max(deepest, places[other].layer + 1), 0);
    places[at] = { layer, at };
    (layers[layer] = layers[layer] || []).push(places[at]);
  });
  for (const layer of layers) {
    // Beside those that it waits for: fewer lines cross.
    for (const one of layer) {
      const before = items[one.at].dependsOn.map((other) => places[other].row || 0);
      one.wish = before.length ? before.reduce((sum, row) => sum + row, 0) / before.length : 0;
    }
    layer.sort((left, right) => left.wish - right.wish || left.at - right.at);
    layer.forEach((one, row) => { one.row = row; });
  }
  const rows = Math.max(...layers.map((layer) => layer.length));
  for (const one of places) {
    one.x = one.layer * (WIDTH + GAP_X);
    one.y = (one.row + (rows - layers[one.layer].length) / 2) * (HEIGHT + GAP_Y);
  }
  return { places, width: layers.length * (WIDTH + GAP_X) - GAP_X, height: rows * (HEIGHT + GAP_Y) - GAP_Y };
}

function cut(text, size) {
  return text.length > size ? `${text.slice(0, size - 1)}…` : text;
}

function edge(from, to) {
  const x = from.x + WIDTH, y = from.y + HEIGHT / 2, end = to.y + HEIGHT / 2;
  return svg("path", { class: "edge", d: `M${x} ${y}C${x + GAP_X / 2} ${y} ${to.x - GAP_X / 2} ${end} ${to.x} ${end}` });
}

function node(item, position, choose) {
  return svg("g", { class: `node ${item.state}`, transform: `translate(${position.x} ${position.y})`, tabindex: "-1",
    role: "button", "aria-label": item.label, onclick: choose },
  svg("title", {}, item.label),
  svg("rect", { width: WIDTH, height: HEIGHT, rx: 6 }),
  svg("path", { class: "stripe", d: `M3 6V${HEIGHT - 6}` }),
  svg("text", { x: 12, y: 19, class: "title" }, cut(item.title, 24)),
  svg("text", { x: 12, y: 36 }, cut(item.text, 30)));
}

// The nearest one in the layer before (-1) or behind (1), rather one that a line
// leads to; or the neighbour in its own.
function neighbour(items, places, at, layers, rows) {
  const { layer, row, y } = places[at];
  const others = places.map((_, other) => other).filter((other) => places[other].layer === layer + layers);
  if (layers === 0) return others.find((other) => places[other].row === row + rows);
  const isTied = (other) => (layers < 0 ? items[at].dependsOn.includes(other) : items[other].dependsOn.includes(at));
  return others.sort((a, b) => isTied(b) - isTied(a) || Math.abs(places[a].y - y) - Math.abs(places[b].y - y))[0];
}

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// The graph is one stop of the Tab key: Enter goes in, arrows from node to node,
// Enter chooses, Escape comes out.
function walkable(root, nodes, items, places, choose) {
  let current = 0;
  root.addEventListener("keydown", (event) => {
    const at = nodes.indexOf(event.target);
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter" || (event.key === " " && at >= 0)) {
      if (at < 0) nodes[current].focus();
      else choose(at);
    } else if (at >= 0 && event.key === "Escape") {
      root.focus();
    } else if (at >= 0 && STEPS[event.key]) {
      const to = neighbour(items, places, at, ...STEPS[event.key]);
      if (to !== undefined) nodes[to].focus();
    } else {
      return;
    }
    event.preventDefault();
    event.stopImmediatePropagation();
  });
  root.addEventListener("focusin", (event) => {
    if (nodes.includes(event.target)) current = nodes.indexOf(event.target);
  });
}

// Wheel and drag, the buttons, and with the focus on it the arrows, + and -.
// What gets the focus is brought into sight.
function movable(root, nodes, places, width, height) {
  const whole = { x: -10, y: -10, w: Math.max(width + 20, 560), h: Math.max(height + 20, 90) };
  root.setAttribute("height", Math.min(416, Math.max(120, whole.h * Math.min(1, 1100 / whole.w) + 20)));
  let view = { ...whole };
  const show = () => root.setAttribute("viewBox", `${view.x} ${view.y} ${view.w} ${view.h}`);
  const zoom = (factor) => {
    // A node fits into the nearest view: what has the focus is seen whole.
    const scale = Math.min(Math.max(factor, (WIDTH + 20) / view.w, (HEIGHT + 20) / view.h), whole.w * 4 / view.w);
    view = { x: view.x + view.w * (1 - scale) / 2, y: view.y + view.h * (1 - scale) / 2, w: view.w * scale, h: view.h * scale };
    show();
  };
  const move = (x, y) => {
    view.x += x;
    view.y += y;
    show();
  };
  const keys = { "+": () => zoom(0.8), "-": () => zoom(1.25), 0: () => { view = { ...whole }; show(); },
    ArrowLeft: () => move(-view.w / 10, 0), ArrowRight: () => move(view.w / 10, 0),
    ArrowUp: () => move(0, -view.h / 10), ArrowDown: () => move(0, view.h / 10) };
  root.addEventListener("keydown", (event) => {
    if (!keys[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    keys[event.key]();
  });
  root.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && document.activeElement !== root && !root.contains(document.activeElement)) return;
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.1 : 0.9);
  }, { passive: false });
  root.addEventListener("pointermove", (event) => {
    if (event.buttons !== 1) return;
    const scale = view.w / root.clientWidth;
    move(-event.movementX * scale, -event.movementY * scale);
  });
  root.addEventListener("focusin", (event) => {
    const at = places[nodes.indexOf(event.target)];
    if (!at) return;
    const into = (from, size, start, length) => (start < from ? start : start + length > from + size ? start + length - size : from);
    view.x = into(view.x, view.w, at.x - 10, WIDTH + 20);
    view.y = into(view.y, view.h, at.y - 10, HEIGHT + 20);
    show();
  });
  show();
  return keys;
}

// Items with title, text, state (a class), label and what they wait for.
export function draw(items, choose, label) {
  const { places, width, height } = place(items);
  const nodes = items.map((item, at) => node(item, places[at], () => choose(at)));
  const root = svg("svg", { class: "graph", tabindex: "0", role: "group", "aria-label": `${label}; Enter goes in, arrows move, + and - zoom` },
    items.map((item, at) => item.dependsOn.map((other) => edge(places[other], places[at]))), nodes);
  walkable(root, nodes, items, places, choose);
  const keys = movable(root, nodes, places, width, height);
  const button = (sign, name, key) => h("button", { type: "button", "aria-label": name, onclick: keys[key] }, sign);
  return h("div", {}, h("div", { class: "tools" }, button("+", "Zoom in", "+"), button("−", "Zoom out", "-"),
    button("all", "Show all", "0")), root);
}

function drawJobs(jobs, said, choose) {
  return draw(jobs.map((job, at) => ({
    title: nameOf(job),
    text: said[at] ? said[at].state : reasonText(job.reason),
    state: said[at] ? said[at].state.toLowerCase() : "planned",
    label: `Job ${at}: ${nameOf(job)}, ${reasonText(job.reason)}${said[at] ? ", " + said[at].state : ""}`,
    dependsOn: job.dependsOn,
  })), choose, "Jobs by what waits for what");
}

function list(jobs, said, choose) {
  return table(`Jobs${jobs.length > LISTED_MAX ? `, the first ${LISTED_MAX}` : ""}`, ["Job", "Writes", "Why", "Waits for", "State"],
    jobs.slice(0, LISTED_MAX).map((job, at) => [
      h("button", { type: "button", class: "open", onclick: () => choose(at), "aria-label": `Show job ${at}` }, String(at)), nameOf(job),
      reasonText(job.reason), job.dependsOn.slice(0, 5).join(", ") || "–", said[at] ? saidText(said[at]) : "–"]));
}

// The plan of an outcome document, and what shows a job of it; `total` jobs, of
// which it may have the first.
export function plan(outcome, total, said = {}) {
  const jobs = outcome.build.jobs;
  const root = h("div", { class: "plan" });
  const detail = h("div", { "aria-live": "polite" });
  const choose = (at) => {
    redraw(detail, jobDetail(jobs[at], at, said[at]));
    detail.scrollIntoView({ block: "nearest" });
  };
  let drawn = jobs.length <= DRAWN_MAX;
  const body = h("div", {});
  const toggle = h("button", { type: "button", onclick: () => {
    drawn = !drawn;
    show();
  } });
  const show = () => {
    toggle.textContent = drawn ? "As a list" : "As a graph";
    redraw(body, drawn ? drawJobs(jobs, said, choose) : list(jobs, said, choose));
  };
  show();
  root.append(h("p", {}, `${number(total)} ${total === 1 ? "job" : "jobs"}`, total > jobs.length && `, of which ${number(jobs.length)} are shown`,
    ` on branch ${outcome.build.branch}. `, jobs.length <= DRAWN_MAX && toggle), body, detail);
  return { element: root, choose };
}

const CAUSES = { upToDate: "Everything is up to date: nothing has come since the last build.",
  paused: "The schedule is paused, and nobody in person asked.", stale: "Something is stale." };

const LISTS = { offenders: "Offenders", upToDateTargets: "Targets that are up to date", droppedTargets: "Targets dropped",
  outOfScope: "Kept out by the scope" };

// Why the outcome is what it is, in words.
export function why(outcome) {
  const { result, why: reasons } = outcome;
  return h("div", { class: "reasons" },
    result.type === "error" && h("p", { class: "failure" }, h("strong", {}, result.errorName), ": ", result.description),
    h("p", {}, CAUSES[reasons.cause] || h("span", {}, "Cause: ", h("code", {}, reasons.cause)),
      reasons.selected ? ` ${number(reasons.running)} of ${number(reasons.selected)} jobs run, ${number(reasons.upToDate)} up to date.` : ""),
    Object.entries(LISTS).filter(([name]) => reasons[name] && reasons[name].count).map(([name, label]) =>
      h("div", {}, h("h3", {}, `${label} (${number(reasons[name].count)})`),
        h("ul", {}, reasons[name].first.map((rid) => h("li", {}, h("code", {}, rid)))))));
}
