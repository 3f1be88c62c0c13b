// The last hour: results by minute, how long they took, lag by partition.  Each
// plot says its figures in words, and a table beneath has them all.
import { get } from "./api.js";
import { duration, failureText, h, isHeld, number, redraw, svg, table } from "./dom.js";
import { now } from "./state.js";

const MINUTES = 60;
const WIDTH = 600, HEIGHT = 60;
const DRAWN = 16; // partitions; the table has all

const clock = (ms) => {
  const at = new Date(ms);
  return `${String(at.getHours()).padStart(2, "0")}:${String(at.getMinutes()).padStart(2, "0")}`;
};

function frame(name, said, ...shapes) {
  return h("figure", { class: "plot" }, h("figcaption", {}, h("strong", {}, name), `: ${said}`),
    svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": `${name}: ${said}` },
      svg("path", { class: "base", d: `M0 ${HEIGHT - 0.5}H${WIDTH}` }), shapes));
}

function bars(name, values, said, kind) {
  const most = Math.max(...values, 1);
  const step = WIDTH / values.length;
  return frame(name, said, values.map((value, at) => value > 0 && svg("rect", { class: `bar ${kind}`, x: at * step + 1,
    y: HEIGHT - value / most * (HEIGHT - 4), width: step - 2, height: value / most * (HEIGHT - 4) })));
}

function line(name, values, said) {
  const most = Math.max(...values, 1);
  const points = values.map((value, at) => `${(values.length > 1 ? at / (values.length - 1) : 0) * WIDTH},${HEIGHT - 2 - value / most * (HEIGHT - 6)}`);
  return frame(name, said, svg("polyline", { class: "line", points: points.join(" ") }));
}

function runPlots(runs, now) {
  const first = Math.floor(now / 60000) - MINUTES + 1;
  const minutes = Array.from({ length: MINUTES }, (_, at) => ({ at: (first + at) * 60000, submitted: 0, ignored: 0, error: 0, meanMs: 0, longestMs: 0 }));
  for (const run of runs) {
    const slot = minutes[Date.parse(run.at) / 60000 - first];
    if (slot) Object.assign(slot, run, { at: slot.at });
  }
  const plot = (kind) => {
    const values = minutes.map((minute) => minute[kind]);
    const sum = values.reduce((a, b) => a + b, 0);
    return bars(kind, values, `${number(sum)} in the last hour, at most ${number(Math.max(...values))} a minute`, kind);
  };
  const longest = minutes.map((minute) => minute.longestMs);
  const used = minutes.filter((minute) => minute.submitted + minute.ignored + minute.error > 0).reverse();
  return [plot("submitted"), plot("ignored"), plot("error"),
    bars("from asked to finished", longest, `at the longest ${duration(Math.max(...longest))}`, "took"),
    h("details", {}, h("summary", {}, "Results by minute"), table("Results by minute", ["Minute", "Submitted", "Ignored", "Error", "Mean", "Longest"],
      used.map((minute) => [clock(minute.at), number(minute.submitted), number(minute.ignored), number(minute.error),
        duration(minute.meanMs), duration(minute.longestMs)])))];
}

function lagPlots(lag) {
  if (lag.at.length === 0) return h("p", { class: "quiet" }, "Lag was not measured yet.");
  const times = lag.at.map((at) => clock(Date.parse(at)));
  const most = lag.partitions.map((values) => Math.max(...values.map((value) => value || 0)));
  const order = most.map((_, partition) => partition).sort((a, b) => most[b] - most[a] || a - b).slice(0, DRAWN);
  return [order.map((partition) => line(`partition ${partition}`, lag.partitions[partition].map((value) => value || 0),
    `waiting ${number(lag.partitions[partition].at(-1))} now, at most ${number(most[partition])}`)),
  lag.partitions.length > DRAWN && h("p", { class: "quiet" }, `The ${DRAWN} that waited most of ${lag.partitions.length}.`),
  h("details", {}, h("summary", {}, "Lag by partition"), table("Lag by partition, newest first",
    ["At", ...lag.partitions.map((_, partition) => String(partition))],
    times.map((at, i) => [at, ...lag.partitions.map((values) => number(values[i]))]).reverse()))];
}

// Where the overview goes on drawing; what is open stays so.
export async function lastHour(root) {
  const open = new Set([...root.querySelectorAll("details[open] summary")].map((summary) => summary.textContent));
  try {
    const { runs, lag } = await get("dashboard/history");
    if (isHeld(root)) return;
    redraw(root, h("h2", {}, "Results of the last hour"), h("div", { class: "plots" }, runPlots(runs, now())),
      h("h2", {}, "Lag of the last hour"), h("div", { class: "plots" }, lagPlots(lag)));
    for (const details of root.querySelectorAll("details"))
      details.open = open.has(details.firstChild.textContent);
  } catch (error) {
    redraw(root, h("p", { class: "failure" }, failureText(error)));
  }
}
