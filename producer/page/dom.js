// Elements, and how values are written.  Whatever is shown is a text node.
import { state } from "./state.js";

const SVG = "http://www.w3.org/2000/svg";

// Marks that turn the direction of what stands behind them are shown as what
// they are, so that no name rearranges a sentence.
const TURNS = /[\u202a-\u202e\u2066-\u2069]/g;
const shown = (child) => (typeof child !== "string" ? child
  : child.replace(TURNS, (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, "0")}`));

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter(
    (child) => child !== null && child !== undefined && child !== false).map(shown));
  return element;
}

export function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

export function redraw(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter(Boolean).map(shown));
}

// Whether somebody is at something in it: it would lose the focus by a redraw.
export function isHeld(element) {
  return element.contains(document.activeElement);
}

// "ri.scheduler.main.schedule.orders-hourly" is "orders-hourly" to people.
export function shortName(rid) {
  const parts = String(rid || "").split(".");
  return parts.length > 4 ? parts.slice(4).join(".") : String(rid || "");
}

export function duration(ms) {
  if (ms === undefined || ms === null) return "–";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3600000) return `${Math.floor(ms / 60000)} min ${Math.round(ms % 60000 / 1000)} s`;
  if (ms < 172800000) return `${Math.floor(ms / 3600000)} h ${Math.floor(ms % 3600000 / 60000)} min`;
  return `${Math.floor(ms / 86400000)} d`;
}

export function number(value) {
  return value === undefined || value === null ? "–" : value.toLocaleString("en");
}

// A time as people read it here, and exactly as its title.
export function time(text) {
  const at = new Date(text);
  if (isNaN(at)) return h("span", {}, "–");
  const pad = (value) => String(value).padStart(2, "0");
  const clock = `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
  const day = `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
  const today = new Date().toDateString() === at.toDateString();
  return h("time", { datetime: text, title: text }, today ? clock : `${day} ${clock}`);
}

export function copyable(text) {
  const button = h("button", { type: "button", class: "copy", "aria-label": `Copy ${text}`,
    onclick: async () => {
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = "copied";
      } catch {
        // Without TLS a browser lends no clipboard: then it is ready for Ctrl+C.
        getSelection().selectAllChildren(code);
        button.textContent = "selected";
      }
      setTimeout(() => { button.textContent = "copy"; }, 1500);
    } }, "copy");
  const code = h("code", {}, text);
  return h("span", { class: "copyable" }, code, button);
}

const OUTCOMES = {
  submitted: ["▶", "submitted"],
  ignored: ["○", "ignored"],
  error: ["✕", "error"],
  pending: ["…", "pending"],
  failed: ["✕", "build failed"],
  canceled: ["○", "build canceled"],
};

// Never by colour alone: a sign and a word.
export function badge(outcome) {
  const [sign, word] = OUTCOMES[outcome] || ["?", outcome];
  return h("span", { class: `badge ${outcome}` }, h("span", { "aria-hidden": "true" }, sign), word);
}

// What became of it: of one that was submitted also by how its build has ended.
export function outcomeOf(run) {
  return state.ended.get(run.rid) || (run.result ? run.result.type : "pending");
}

export const isBad = (run) => ["error", "failed"].includes(outcomeOf(run));

// Who or what asked: a user, what fired, or both.
export function askerText(run, trigger = run.trigger) {
  const fired = trigger && trigger !== "http" && trigger.replace(/\bri(\.[\w-]*){4}[\w.-]*/g, shortName);
  return [run.createdBy && `by ${run.createdBy.slice(0, 8)}`, fired].filter(Boolean).join(", ") || "by nobody named";
}

// A table with its caption; cells are texts or elements.
export function table(caption, columns, rows, attributes) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", attributes, h("caption", {}, caption),
      h("thead", {}, h("tr", {}, columns.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell) => h("td", {}, cell)))))));
}

export function failureText(error) {
  if (error.status === 404) return "Not found, or you may not see it.";
  if (error.status === 403) return `The token lacks the scope ${error.parameters.missingScope || ""}.`;
  if (error.status === 401) return "A valid token is needed.";
  if (error.status) return `${error.name}: ${error.message}`;
  if (!/fetch|network|abort/i.test(error.message)) console.error(error); // a fault of the page itself
  return "The server does not answer.";
}

export function failed(error) {
  return h("p", { class: "failure", role: "alert" }, failureText(error));
}

// Views beside each other, as [name, path]; each has its own URL.
export function tabs(label, list, current) {
  return h("nav", { class: "tabs", "aria-label": label }, list.map(([name, path], at) =>
    h("a", { href: `#/${path.join("/")}`, "aria-current": at === current ? "page" : null }, name)));
}
