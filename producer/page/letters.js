// Dead letters that wait: why, what can be read of them, what mends them.
import { get } from "./api.js";
import { copyable, failureText, h, number, redraw, table, time } from "./dom.js";
import { state, watch } from "./state.js";

export const title = "Dead letters";
const LOOK_MS = 5000;

// What somebody who sees it can do.
const MENDS = {
  "unknown-schema": "Register the schema, or send with one of schemas/ids; then redrive.",
  "wrong-schema": "The sender uses another message's schema: mend the sender.",
  "bad-schema": "The schema can't be used: mend it in the registry; then redrive.",
  "conflict": "Two requests with one id ask for different things: the sender gives each an id of its own.",
  "crashed-worker": "It has killed workers: tell the makers of schedrun, and don't redrive before an update.",
};
const MEND = "Mend the sender, so that it writes a RunRequest; what was sent so can't be answered.";

function detail(letter) {
  if (!letter.portrait)
    return h("p", { class: "quiet" }, letter.hidden ? "Its content is for who may view its schedule."
      : "It is too large to be shown here.");
  return h("details", {}, h("summary", {}, "What can be read of it"),
    h("pre", { tabindex: "0" }, JSON.stringify(letter.portrait, null, 1)));
}

function item(letter) {
  const message = letter.portrait && letter.portrait.message;
  return h("li", { class: "letter" },
    h("p", {}, h("code", {}, letter.letter), " ", h("strong", {}, letter.reason), ", buried ", time(letter.time),
      letter.schedule && [", key ", h("code", {}, letter.schedule)]),
    message && h("p", {}, message),
    h("p", {}, h("strong", {}, "Mend: "), MENDS[letter.reason] || MEND),
    detail(letter),
    h("p", {}, copyable(`schedrun dlq show ${letter.letter}`)));
}

export function open(main) {
  const counts = h("div", {});
  const root = h("div", {}, h("p", {}, "Looking …"));
  let shown = "";
  main.append(h("h1", {}, "Dead letters"), counts, root);
  const draw = (letters) => {
    const reasons = letters.reasons || {};
    redraw(counts, table("Waiting, by reason", ["Reason", "Letters", "What mends it"],
      Object.entries(reasons).map(([reason, n]) => [reason, number(n), MENDS[reason] || MEND])),
    letters.isPart && h("p", { class: "quiet" }, "At least: there are too many to be counted quickly."),
    h("p", {}, "To ask again, once mended: ", copyable("schedrun dlq redrive --reason REASON --dry-run")));
  };
  const look = async () => {
    try {
      const { shown: letters, letters: counted } = await get("dashboard/letters");
      const text = JSON.stringify([letters, counted]);
      if (text === shown) return; // what is open stays open
      shown = text;
      if (!counted) redraw(root, h("p", {}, "They are not counted yet."));
      else if (counted.error) redraw(root, h("p", { class: "failure" }, counted.error, ". ", h("strong", {}, "Mend: "), counted.mend));
      else {
        if (counted.waiting > 0) draw(counted);
        redraw(root, h("p", { class: "count" }, counted.waiting === 0 ? "None waits."
          : `The newest ${number(letters.length)} of ${number(counted.waiting)}`),
        h("ol", { class: "runs" }, letters.map(item)));
      }
    } catch (error) {
      shown = "";
      redraw(root, h("p", { class: "failure", role: "alert" }, failureText(error)));
    }
  };
  look();
  const timer = setInterval(() => document.hidden || state.asking || look(), LOOK_MS);
  const unwatch = watch(["token"], look);
  return () => {
    clearInterval(timer);
    unwatch();
  };
}
