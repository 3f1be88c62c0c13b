// Runs as they finish, newest first, by filters that the URL holds.
import { badge, h, number, outcomeOf, redraw, shortName, time } from "./dom.js";
import { choose, link, route, state, watch } from "./state.js";

export const title = "Runs";

const SINCE = { "15m": 900000, "1h": 3600000, "24h": 86400000 };
const TYPING_MS = 150;

// Whether a run is one of those that the filters name.
function fits(run, filters) {
  const result = run.result || {};
  const contains = (text, part) => text.toLowerCase().includes(part.toLowerCase());
  if (filters.outcome && outcomeOf(run) !== filters.outcome) return false;
  if (filters.error && result.errorName !== filters.error) return false;
  if (filters.schedule && !contains(run.scheduleRid, filters.schedule)) return false;
  if (filters.who && !contains(run.createdBy || "nobody", filters.who)) return false;
  if (SINCE[filters.since] && Date.now() - Date.parse(run.createdTime) > SINCE[filters.since]) return false;
  return !filters.text ||
    contains([run.rid, run.scheduleRid, result.description, result.buildRid].join("\n"), filters.text);
}

function field(label, control) {
  return h("div", { class: "field" }, h("label", { for: control.id }, label), control);
}

function typed(name, label, filters, key) {
  let timer = 0;
  let step = true; // the first letter is a new step of the history
  const input = h("input", { type: "search", id: `filter-${name}`, value: filters[name] || "",
    "aria-keyshortcuts": key, autocomplete: "off",
    oninput: () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        choose(name, input.value.trim(), step);
        step = false;
      }, TYPING_MS);
    },
    onblur: () => { step = true; } });
  return field(label, input);
}

function chosen(name, label, filters, options) {
  const select = h("select", { id: `filter-${name}`, onchange: () => choose(name, select.value, true) },
    h("option", { value: "" }, "all"),
    options.map((option) => h("option", { value: option, selected: filters[name] === option }, option)));
  return field(label, select);
}

const ERRORS = ["TargetResolutionFailure", "CyclicDependency", "IncompatibleTargets", "PermissionDenied",
  "JobSpecNotFound", "ScheduleOwnerNotFound", "Internal"];

function row(run) {
  const result = run.result || {};
  const outcome = outcomeOf(run);
  return h("li", { class: `run ${outcome}`, "data-rid": run.rid },
    h("a", { class: "open", href: link(["run", run.scheduleRid, run.rid]) },
      badge(outcome), h("span", { class: "name" }, shortName(run.scheduleRid))),
    h("span", { class: "when" }, time(run.createdTime)),
    h("span", { class: "who", title: run.createdBy || "" },
      run.createdBy ? `by ${run.createdBy.slice(0, 8)}` : "automatic"),
    outcome === "error" && h("p", { class: "why" }, h("strong", {}, result.errorName), " ", result.description || ""),
    outcome === "submitted" && h("p", { class: "why quiet" }, "build ", shortName(result.buildRid)));
}

// Rows are kept: with each event only what is new is made.
function makeList(root) {
  const rows = new Map();
  return (runs) => {
    const wanted = new Set(runs.map((run) => run.rid));
    for (const [rid, element] of rows)
      if (!wanted.has(rid)) {
        element.remove();
        rows.delete(rid);
      }
    let before = root.firstElementChild;
    for (const run of runs) {
      let element = rows.get(run.rid);
      if (element && element === before) {
        before = before.nextElementSibling;
        continue;
      }
      if (!element) rows.set(run.rid, element = row(run));
      root.insertBefore(element, before);
    }
  };
}

function readFilters() {
  return Object.fromEntries(route().query);
}

export function open(main) {
  let paused = null; // the runs that are shown while it is
  const filters = readFilters();
  const list = h("ol", { class: "runs", id: "rows" });
  const count = h("p", { class: "count", id: "count" });
  const show = makeList(list);
  const pause = h("button", { type: "button", id: "pause", "aria-pressed": "false",
    onclick: () => {
      paused = paused ? null : state.runs;
      draw();
    } }, "Pause");
  const draw = () => {
    const wanted = readFilters();
    const shown = (paused || state.runs).filter((run) => fits(run, wanted));
    const fresh = paused ? state.runs.indexOf(paused[0]) : 0;
    show(shown);
    pause.setAttribute("aria-pressed", String(paused !== null));
    redraw(pause, paused ? `Resume, ${number(fresh < 0 ? state.runs.length : fresh)} new` : "Pause");
    redraw(count, `${number(shown.length)} of the last ${number((paused || state.runs).length)} runs`,
      shown.length === 0 && (state.runs.length === 0
        ? ". None has finished lately: schedrun submit RID asks for one." : ". None fits the filters."));
  };
  main.append(h("h1", {}, "Runs"),
    h("form", { class: "filters", role: "search", "aria-label": "Filters", onsubmit: (event) => event.preventDefault() },
      typed("text", "Text", filters, "/"),
      chosen("outcome", "Outcome", filters, ["submitted", "ignored", "error"]),
      chosen("error", "Error", filters, ERRORS),
      typed("schedule", "Schedule", filters), typed("who", "Who", filters),
      chosen("since", "Asked in the last", filters, Object.keys(SINCE)), pause),
    count, list);
  draw();
  const redrawAll = () => {
    for (const [name, value] of Object.entries({ text: "", outcome: "", error: "", schedule: "", who: "", since: "", ...readFilters() })) {
      const control = document.getElementById(`filter-${name}`);
      if (control && control !== document.activeElement) control.value = value;
    }
    draw();
  };
  window.addEventListener("chosen", redrawAll);
  const unwatch = watch(["runs"], draw);
  return () => {
    unwatch();
    window.removeEventListener("chosen", redrawAll);
  };
}
