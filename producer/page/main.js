// The shell: views by the URL's fragment, keys, theme, token, what is said.
import { keepToken, takeToken } from "./api.js";
import { duration, h, isBad, number, redraw } from "./dom.js";
import * as builds from "./builds.js";
import * as catalogue from "./datasets.js";
import * as due from "./due.js";
import * as health from "./health.js";
import * as letters from "./letters.js";
import { follow, retry } from "./live.js";
import { keepLooking } from "./look.js";
import * as run from "./run.js";
import * as runs from "./runs.js";
import * as schedules from "./schedules.js";
import { route, set, state, watch } from "./state.js";

const nowhere = {
  title: "No such view",
  open(root, { path }) {
    root.append(h("h1", {}, "No such view"), h("p", { class: "failure" }, `There is no ${path[0]} here. `, h("a", { href: "#/health" }, "Health"), " is the first one."));
    return () => null;
  },
};
const VIEWS = { health, runs, run, builds, due, schedules, catalogue, letters, nowhere };
const NAVIGATION = ["health", "runs", "builds", "due", "schedules", "catalogue", "letters"];
const SAY_MS = 5000;
const AROUND_MS = 5000; // whatever the view

const main = document.getElementById("main");
let end = null;
let shownPath = null;
let shownName = null;

// Views ---------------------------------------------------------------------

function openView() {
  const { path } = route();
  const isFirst = end === null;
  const name = path.length === 0 ? "health" : Object.hasOwn(VIEWS, path[0]) ? path[0] : "nowhere";
  const key = path.join("/");
  if (shownPath === key && end) {
    window.dispatchEvent(new Event("chosen"));
    return;
  }
  if (end) end();
  shownPath = key;
  shownName = name;
  main.replaceChildren();
  document.title = `${VIEWS[name].title} · schedrun`;
  for (const anchor of document.querySelectorAll("#nav a"))
    if (anchor.dataset.view === name) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  end = VIEWS[name].open(main, { path, query: route().query });
  if (!isFirst && !document.querySelector("dialog[open]")) main.focus({ preventScroll: true }); // what had the focus is gone
}

// Keys ----------------------------------------------------------------------

const KEYS = [
  ["/", "to the first filter"], ["j, k", "to the next, the previous row"], ["Enter", "open the row"],
  ["Enter, arrows, Escape", "into a graph, from node to node, out of it"], ["+, -, 0", "in a graph: zoom, show all"],
  ["g, then h, r, b, d, s, c, l", "health, runs, builds, due, schedules, catalogue, dead letters"], ["Escape", "close, or leave a filter"],
  ["?", "this list"],
];

// From where the focus is; where it is nowhere, from the row that was opened
// here before somebody came back.
function moveRow(step) {
  const rows = [...main.querySelectorAll(".open")].filter((row) => row.getClientRects().length > 0);
  const from = document.activeElement;
  const isOutside = !main.contains(from) || from === main;
  const was = isOutside && history.state && rows.find((row) => row.getAttribute("href") === history.state.row);
  const follows = (row) => from.compareDocumentPosition(row) & Node.DOCUMENT_POSITION_FOLLOWING;
  const to = was || (isOutside ? rows[0] : step > 0 ? rows.find(follows) : rows.findLast((row) => row !== from && !follows(row)));
  if (!to) return;
  to.focus();
  to.scrollIntoView({ block: "nearest" });
}

function rememberRow(event) {
  const row = event.target.closest("a.open");
  if (row) history.replaceState({ row: row.getAttribute("href") }, "");
}

let afterG = 0;

function onKey(event) {
  const inField = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && inField) event.target.blur();
  const open = document.querySelector("dialog[open]");
  if (open && open.ariaLabel === "Keys" && event.key === "g") open.close(); // what it lists can be tried at once
  else if (open) return;
  if (inField) return;
  if (Date.now() - afterG < 1000) {
    const view = NAVIGATION.find((name) => name[0] === event.key);
    afterG = 0;
    if (view) location.hash = `#/${view}`;
    return;
  }
  const actions = {
    "/": () => (main.querySelector("input[type=search]") || { focus() {} }).focus(),
    j: () => moveRow(1), k: () => moveRow(-1), g: () => { afterG = Date.now(); }, "?": showKeys,
  };
  if (!actions[event.key]) return;
  event.preventDefault();
  actions[event.key]();
}

function dialog(label, ...children) {
  const element = h("dialog", { "aria-label": label }, children);
  element.addEventListener("close", () => element.remove());
  document.body.append(element);
  element.showModal();
  return element;
}

function showKeys() {
  const shown = dialog("Keys", h("h2", {}, "Keys"),
    h("dl", {}, KEYS.map(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)])),
    h("button", { type: "button", onclick: () => shown.close() }, "Close"));
}

// Token ---------------------------------------------------------------------

let asked = null;

function askToken() {
  if (!state.asking) {
    if (asked) asked.close();
    asked = null;
    return;
  }
  if (asked) return;
  const input = h("input", { type: "password", id: "token", autocomplete: "off", required: true });
  asked = dialog("Token", h("form", { method: "dialog", onsubmit: (event) => {
    event.preventDefault();
    keepToken(input.value.trim());
    retry();
    health.look();
  } }, h("h2", {}, "A token, please"), h("p", { id: "asking" }, state.asking),
    h("label", {}, h("span", {}, "Bearer token"), input),
    h("p", { class: "quiet" }, "It stays in this tab until that is closed, and is sent to this server alone."),
    h("button", {}, "Go on")));
  asked.addEventListener("cancel", (event) => event.preventDefault());
  input.focus();
}

// What is said ----------------------------------------------------------------

// What the stream needs, and what is asked beside it: it may stand although it is connected.
function sourcesAway() {
  if (state.overviewError) return "no answer";
  const away = state.overview ? state.overview.health.checks.filter((check) => !check.ok && check.name !== "keys") : [];
  return away.length > 0 ? `without ${away.map((check) => check.name).join(", ")}` : "";
}

function drawLive() {
  const banner = document.getElementById("banner");
  const live = document.getElementById("live");
  const away = state.live === "live" && sourcesAway();
  live.className = `live ${state.asking || away ? "stale" : state.live}`;
  live.textContent = state.asking ? "○ no token" : away ? `○ ${away}` : { live: "● live", stale: "○ stale", connecting: "… connecting" }[state.live];
  banner.hidden = state.asking || (state.live !== "stale" && !state.liveReason);
  redraw(banner, state.live === "stale"
    ? `Stale for ${duration(Date.now() - state.liveSince)}: ${state.liveReason} It is tried again by itself.`
    : state.liveReason);
}

let toldFirst; // a run's rid; null: there was none; undefined: not live yet
let lastSaid = 0;

// To screen readers, not more often than they can say it.  What is there when
// the page has come live is no news.
function sayNews() {
  const first = state.runs.length ? state.runs[0].rid : null;
  const now = Date.now();
  if (toldFirst === undefined && state.live === "live") toldFirst = first;
  if (toldFirst === undefined || first === toldFirst || now - lastSaid < SAY_MS) return;
  const at = state.runs.findIndex((run) => run.rid === toldFirst);
  const fresh = at < 0 ? state.runs : state.runs.slice(0, at);
  const errors = fresh.filter(isBad).length;
  document.getElementById("said").textContent =
    `${number(fresh.length)} new ${fresh.length === 1 ? "run" : "runs"}${errors ? `, ${number(errors)} with errors` : ""}`;
  toldFirst = first;
  lastSaid = now;
}

// Theme -----------------------------------------------------------------------

const THEMES = ["auto", "light", "dark"];

function applyTheme(name) {
  const theme = THEMES.includes(name) ? name : "auto";
  document.documentElement.dataset.theme = theme;
  document.getElementById("theme").textContent = `Theme: ${theme}`;
  localStorage.setItem("schedrun.theme", theme);
}

// Beginning -------------------------------------------------------------------

function begin() {
  takeToken();
  applyTheme(localStorage.getItem("schedrun.theme"));
  document.getElementById("theme").addEventListener("click", () => {
    const at = THEMES.indexOf(document.documentElement.dataset.theme);
    applyTheme(THEMES[(at + 1) % THEMES.length]);
  });
  document.getElementById("help").addEventListener("click", showKeys);
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });
  redraw(document.getElementById("nav"), NAVIGATION.map((name) =>
    h("a", { href: `#/${name}`, "data-view": name }, VIEWS[name].title)));
  watch(["asking"], askToken);
  watch(["live", "liveReason", "asking", "overview", "overviewError"], drawLive);
  setInterval(() => { drawLive(); sayNews(); }, 1000);
  window.addEventListener("hashchange", openView);
  window.addEventListener("popstate", openView);
  window.addEventListener("online", retry);
  document.addEventListener("keydown", onKey);
  main.addEventListener("click", rememberRow);
  openView();
  drawLive();
  follow();
  keepLooking(() => (shownName === "health" ? Promise.resolve() : health.look()), AROUND_MS); // all views go by the server's clock
  keepLooking(builds.lookAtEnds, AROUND_MS);
}

begin();
