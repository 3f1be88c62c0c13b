// Runs as they finish, newest first, by filters that the URL holds.
import { askerText, badge, h, number, outcomeOf, redraw, shortName, time } from "./dom.js";
import { choose, link, now, onChosen, route, state, watch } from "./state.js";

export const title = "Runs";

const SINCE = { "15m": 900000, "1h": 3600000, "24h": 86400000 };
const TYPING_MS = 150;
const BLOCK = 100; // runs
const LOW = 35, HIGH = 60; // of a row, before it was ever made

// Whether a run is one of those that the filters name.
function fits(run, filters) {
  const result = run.result || {};
  const contains = (text, part) => text.toLowerCase().includes(part.toLowerCase());
  if (filters.outcome && outcomeOf(run) !== filters.outcome) return false;
  if (filters.error && result.errorName !== filters.error) return false;
  if (filters.schedule && !contains(run.scheduleRid, filters.schedule)) return false;
  if (filters.who && !contains(`${run.createdBy || "automatic"}\n${run.trigger || ""}\n${askerText(run)}`, filters.who)) return false;
  if (filters.since && !SINCE[filters.since]) return false;
  if (SINCE[filters.since] && now() - Date.parse(run.createdTime) > SINCE[filters.since]) return false;
  const all = [run.rid, run.scheduleRid, outcomeOf(run), result.errorName, result.description, result.buildRid,
    run.createdBy || "automatic", run.trigger, askerText(run)].join("\n");
  return (filters.text || "").split(/\s+/).every((word) => contains(all, word));
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
    Object.entries(options).map(([value, text]) => h("option", { value }, text)));
  show(select, filters[name] || "");
  return field(label, select);
}

// Also what the address alone knows, and nothing fits.
function show(control, value) {
  control.value = value;
  if (control.value === value) return;
  control.append(h("option", { value }, `${value}: unknown`));
  control.value = value;
}

const same = (list) => Object.fromEntries(list.map((value) => [value, value]));

const ERRORS = ["TargetResolutionFailure", "CyclicDependency", "IncompatibleTargets", "PermissionDenied",
  "JobSpecNotFound", "ScheduleOwnerNotFound", "Internal"];

function row(run) {
  const result = run.result || {};
  const outcome = outcomeOf(run);
  return h("li", { class: `run ${outcome}`, "data-rid": run.rid },
    h("a", { class: "open", href: link(["run", run.scheduleRid, run.rid]) },
      badge(outcome), h("span", { class: "name" }, shortName(run.scheduleRid))),
    h("span", { class: "when" }, time(run.createdTime)),
    h("span", { class: "who", title: [run.createdBy, run.trigger].filter(Boolean).join(", ") }, askerText(run)),
    outcome === "error" && h("p", { class: "why" }, h("strong", {}, result.errorName), " ", result.description || ""),
    outcome !== "error" && result.buildRid && h("p", { class: "why quiet" }, "build ", shortName(result.buildRid)));
}

const heightOf = (run) => (outcomeOf(run) === "ignored" ? LOW : HIGH);

// A block of rows, made when it comes near to what is seen and unmade when it
// is far: ten thousand runs are a hundred blocks, of which a few have rows.
class Block {
  constructor(watcher) {
    this.runs = []; // oldest first
    this.near = false;
    this.height = 0; // about, while it has no rows
    this.element = h("ol", { class: "block" });
    this.element.block = this;
    this.watcher = watcher;
    watcher.observe(this.element);
  }

  add(run) {
    this.runs.push(run);
    this.height += heightOf(run);
    if (this.near) this.element.prepend(row(run));
  }

  drop() {
    this.height -= heightOf(this.runs.shift());
    if (this.near) this.element.lastElementChild.remove();
  }

  // What is not made takes the room that it would, as far as is known.
  settle() {
    if (!this.near) this.element.style.setProperty("height", `${this.height}px`);
  }

  show(near) {
    if (this.near === near || (!near && this.element.contains(document.activeElement))) return;
    this.near = near;
    if (!near) {
      this.height = this.element.offsetHeight;
      this.element.replaceChildren();
      this.settle();
      return;
    }
    this.element.style.removeProperty("height");
    this.element.replaceChildren(...this.runs.map(row).reverse());
  }

  end() {
    this.watcher.unobserve(this.element);
    this.element.remove();
  }
}

// Rows by blocks, the newest above.  `set` draws all anew, `add` what is new.
function makeList(root) {
  let blocks = []; // oldest first
  let size = 0;
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) entry.target.block.show(entry.isIntersecting);
  }, { rootMargin: "1200px 0px" });
  const touched = new Set();
  const settle = () => {
    for (const block of touched) block.settle();
    touched.clear();
  };
  const add = (run, atOnce) => {
    if (blocks.length === 0 || blocks.at(-1).runs.length === BLOCK) {
      blocks.push(new Block(watcher));
      blocks.at(-1).near = atOnce;
      root.prepend(blocks.at(-1).element);
    }
    blocks.at(-1).add(run);
    touched.add(blocks.at(-1));
    size++;
  };
  return {
    set(runs) {
      for (const block of blocks) block.end();
      blocks = [];
      size = 0;
      // The newest are seen at once, the rest when it is looked at.
      for (let at = runs.length - 1; at >= 0; at--) add(runs[at], at < BLOCK);
      settle();
    },
    add(runs) {
      for (let at = runs.length - 1; at >= 0; at--) add(runs[at], at < BLOCK);
      settle();
    },
    // The oldest go, those that are no more among the runs.
    drop(gone) {
      while (blocks.length > 0 && gone.has(blocks[0].runs[0].rid)) {
        blocks[0].drop();
        touched.add(blocks[0]);
        size--;
        if (blocks[0].runs.length === 0) blocks.shift().end();
      }
      settle();
    },
    // Whose outcome has changed since it was drawn.
    renew(rids) {
      for (const block of blocks)
        for (const run of block.near ? block.runs : []) {
          const old = rids.has(run.rid) && block.element.querySelector(`[data-rid="${run.rid}"]`);
          if (!old || old.classList.contains(outcomeOf(run))) continue;
          const focused = old.contains(document.activeElement);
          const made = row(run);
          old.replaceWith(made);
          if (focused) made.querySelector("a").focus();
        }
    },
    size: () => size,
    end: () => watcher.disconnect(),
  };
}

function readFilters() {
  return Object.fromEntries(route().query);
}

export function open(main) {
  let paused = false;
  let missed = 0; // while it is
  let wanted = readFilters();
  const list = h("div", { class: "runs", id: "rows", role: "group", "aria-label": "Runs, newest first" });
  const count = h("p", { class: "count", id: "count" });
  const rows = makeList(list);
  const filters = wanted;
  const pause = h("button", { type: "button", id: "pause", "aria-pressed": "false",
    onclick: () => {
      paused = !paused;
      missed = 0;
      if (!paused) drawAll();
      tell();
    } }, "Pause");
  const tell = () => {
    pause.setAttribute("aria-pressed", String(paused));
    redraw(pause, paused ? `Resume, ${number(missed)} new` : "Pause");
    redraw(count, `${number(rows.size())} of the last ${number(state.runs.length - missed)} runs`,
      rows.size() === 0 && (state.runs.length === 0
        ? ". None has finished lately: schedrun submit RID asks for one." : ". None fits the filters."));
  };
  const drawAll = () => {
    wanted = readFilters();
    rows.set(state.runs.filter((run) => fits(run, wanted)));
    tell();
  };
  const drawNews = () => {
    if (paused) missed += state.news.length;
    else {
      rows.add(state.news.filter((run) => fits(run, wanted)));
      rows.drop(state.gone);
    }
    tell();
  };
  main.append(h("h1", {}, "Runs"),
    h("form", { class: "filters", role: "search", "aria-label": "Filters", onsubmit: (event) => event.preventDefault() },
      typed("text", "Text", filters, "/"),
      chosen("outcome", "Outcome", filters, { ...same(["submitted", "ignored", "error"]), failed: "build failed", canceled: "build canceled" }),
      chosen("error", "Error", filters, same(ERRORS)),
      typed("schedule", "Schedule", filters), typed("who", "Who", filters),
      chosen("since", "Asked in the last", filters, same(Object.keys(SINCE))), pause),
    count, list);
  drawAll();
  const redrawAll = () => {
    for (const [name, value] of Object.entries({ text: "", outcome: "", error: "", schedule: "", who: "", since: "", ...readFilters() })) {
      const control = document.getElementById(`filter-${name}`);
      if (control && control !== document.activeElement) show(control, value);
    }
    drawAll();
  };
  const unchosen = onChosen(redrawAll);
  const unwatch = watch(["news"], drawNews);
  // A build has ended badly: its row says so where it stands, and a filter may now take or leave it.
  let ended = state.ended;
  const unended = watch(["ended"], () => {
    const changed = new Set([...ended.keys(), ...state.ended.keys()]);
    ended = state.ended;
    if (!paused && (wanted.outcome || wanted.text) && !list.contains(document.activeElement)) drawAll();
    else rows.renew(changed);
  });
  return () => {
    unwatch();
    unended();
    unchosen();
    rows.end();
  };
}
