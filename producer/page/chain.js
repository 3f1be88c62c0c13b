// Which schedules something would fire, one behind the other, and what each
// would do: of a commit, and of a run.
import { h, number, shortName, table, time } from "./dom.js";
import { link } from "./state.js";

export const triggerText = (trigger) => {
  if (!trigger) return "none: it runs when it is asked to";
  if (trigger.type === "time") return `${trigger.cronExpression} (${trigger.timeZone})`;
  if (trigger.triggers) return `(${trigger.triggers.map(triggerText).join(` ${trigger.type} `)})`;
  return `${trigger.type} ${shortName(trigger.datasetRid || trigger.scheduleRid || trigger.tableRid || trigger.mediaSetRid || "")}`;
};

const HAPPENS = { datasetUpdated: "new data in", jobSucceeded: "a job has made", scheduleSucceeded: "the build has succeeded of", scheduleFailed: "an error of" };

const causeText = (by) => `${HAPPENS[by.type] || by.type} ${shortName(by.rid)}`;

function doesText({ outcome, runs, again }) {
  if (!outcome) return "not planned: too many";
  const often = again ? ", again and again: it is fired in a circle" : runs > 1 ? `, ${number(runs)} times` : "";
  if (outcome.type === "submitted") return `runs ${number(outcome.running)} ${outcome.running === 1 ? "job" : "jobs"}${
    outcome.affected === undefined ? "" : `, ${number(outcome.affected)} of them these`}${often}`;
  if (outcome.type === "error") return `fails, ${outcome.errorName}: ${outcome.description}${often}`;
  return outcome.cause === "paused" ? "nothing: it is paused" : "nothing: all is up to date";
}

function whenCell(schedule) {
  const { by } = schedule;
  if (schedule.paused) return "paused";
  if (by) {
    const after = by.after && ["after ", h("a", { href: link(["schedules", by.after]) }, shortName(by.after))];
    if (schedule.partly) return [after || "at once", `: ${causeText(by)}, a part of its trigger; the rest of that has not come`];
    return [after || "at once", `: ${by.after ? causeText(by) : triggerText(schedule.trigger)}`];
  }
  return schedule.next ? ["at ", time(schedule.next), ": ", triggerText(schedule.trigger)] : "when it is asked for";
}

// As they are fired, then by time, by hand.
function inOrder(schedules) {
  const rank = (one) => (one.paused ? 1e6 : one.wave || (one.partly ? 1e3 : one.next ? 1e4 : 1e5));
  return [...schedules].sort((a, b) => rank(a) - rank(b) || (a.next || "").localeCompare(b.next || "") || a.rid.localeCompare(b.rid));
}

export function chainTable(caption, { schedules, moreSchedules }, none) {
  return [schedules.length > 0 ? table(caption, ["Schedule", "When", "It would"], inOrder(schedules).map((schedule) => [
    [h("a", { class: "open", href: link(["schedules", schedule.rid]) }, shortName(schedule.rid)), schedule.displayName && h("div", { class: "quiet" }, h("bdi", {}, schedule.displayName))],
    whenCell(schedule), schedule.partly ? "wait for the rest" : doesText(schedule)])) : h("p", {}, none),
  moreSchedules && h("p", { class: "quiet" }, "There are more schedules than could be looked at.")];
}
