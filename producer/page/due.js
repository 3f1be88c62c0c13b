// What is due by time, over all schedules: what runs tonight.
import { get } from "./api.js";
import { duration, failed, h, isHeld, number, redraw, shortName, table, time } from "./dom.js";
import { keepLooking } from "./look.js";
import { link, now } from "./state.js";

export const title = "Due";
const LOOK_MS = 10000;

function row(due) {
  const times = due.count > 1 ? `${due.count >= 100 ? "100 times or more" : `${number(due.count)} times`}` : "once";
  return [[due.overdue && h("strong", { class: "bad" }, "✕ overdue "), time(due.at)],
    due.overdue ? `${duration(now() - Date.parse(due.at))} ago` : `in ${duration(Date.parse(due.at) - now())}`,
    [h("a", { class: "open", href: link(["schedules", due.scheduleRid]) }, shortName(due.scheduleRid)), due.displayName && h("div", { class: "quiet" }, h("bdi", {}, due.displayName))],
    [h("code", {}, due.cron), ` ${due.zone}`, due.shifted && ", shifted by clocks that are changed"], times,
    h("a", { href: link(["schedules", due.scheduleRid], { show: "plan" }), "aria-label": `What ${shortName(due.scheduleRid)} would run, and fire then` }, "what then?")];
}

// Why nothing would fire, if so.
export function lateness(found) {
  if (!found.late) return null;
  return h("p", { class: "failure" }, "✕ ", found.stood ? ["No trigger has said since ", time(found.stood), " that all that was due is fired. "]
    : "No trigger has ever said that it keeps time. ", h("strong", {}, "Mend: "),
  "start schedrun-trigger, or look at its /readyz: it needs Kafka and Redis. What is overdue it catches up with, as trigger.catchup says.");
}

export function dueTable(found, max) {
  if (found.due.length === 0) return h("p", { class: "quiet" }, "Nothing that you may see is due in the next 24 hours.");
  const shown = found.due.slice(0, max);
  return table("Due in the next 24 hours, soonest first", ["Next at", "That is", "Schedule", "Cron", "In 24 hours", "It would"], shown.map(row));
}

export function duePart(found, max) {
  return [lateness(found), dueTable(found, max), found.due.length > max && h("p", {}, h("a", { href: link(["due"]) },
    `All ${number(found.due.length)}${found.more ? " and more" : ""}`))];
}

export function open(main) {
  const root = h("div", {}, h("p", {}, "Looking …"));
  main.append(h("h1", {}, "Due"), root);
  const look = async () => {
    try {
      const found = await get("dashboard/due");
      if (isHeld(root)) return;
      redraw(root, lateness(found), h("p", { class: "count" }, `${number(found.scheduled)}${found.more ? " or more" : ""} ${found.scheduled === 1 ? "schedule is" : "schedules are"} due by time within 24 hours`,
        found.stood && [". A trigger has fired all up to ", time(found.stood)], "."), dueTable(found, 200),
      found.more && h("p", { class: "quiet" }, "There are more, later."));
    } catch (error) {
      redraw(root, failed(error));
    }
  };
  return keepLooking(look, LOOK_MS);
}
