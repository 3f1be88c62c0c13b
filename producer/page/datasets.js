// The catalogue: datasets by name, and what of it is stale.
import { patiently } from "./api.js";
import { h, number, redraw, shortName, tabs } from "./dom.js";
import { open as openDataset } from "./dataset.js";
import { followRoute } from "./look.js";
import { openStale, searchForm, TABS } from "./stale.js";
import { link } from "./state.js";

export const title = "Catalogue";
function datasetRow(dataset) {
  const rid = dataset.rid;
  return h("li", { class: "run" },
    h("a", { class: "open", href: link(["catalogue", rid]) }, shortName(rid)),
    h("span", { class: "when" }, dataset.trashed ? "in the trash" : dataset.writers ? "built" : "source",
      `, ${number(dataset.readers)} read it`),
    h("span", { class: "who" }, h("a", { href: link(["catalogue", rid], { show: "impact" }), "aria-label": `What if ${shortName(rid)} changed` },
      "what if it changed?")));
}

function openList(main) {
  const root = h("div", {}, h("p", {}, "Looking …"));
  main.append(h("h1", {}, "Catalogue"), tabs("Catalogue", TABS, 0), searchForm("Part of a RID"), root);
  return followRoute(root, (query, signal) => patiently(`dashboard/datasets?${new URLSearchParams({ text: query.get("text") || "" })}`, { signal }),
    ({ datasets, more, total, isPart }) => redraw(root, h("p", { class: "count" }, datasets.length === 0 && total > 0 ? `None of ${number(total)} datasets has that in its RID` : more ? `The first ${datasets.length} of more: name a part`
      : `${number(datasets.length)} of ${number(total)} datasets`, isPart && ". The catalogue is larger than what is kept here."),
    h("ol", { class: "runs listed" }, datasets.map(datasetRow))));
}

export function open(main, to) {
  if (to.path[1] === "stale") return openStale(main);
  return to.path[1] ? openDataset(main, to) : openList(main);
}
