// Dead letters that wait: why, what can be read of them, what mends them.
import { get, post } from "./api.js";
import { copyable, failed, h, isHeld, number, redraw, table, time } from "./dom.js";
import { look as lookAtHealth } from "./health.js";
import { keepLooking } from "./look.js";
import { state } from "./state.js";

export const title = "Dead letters";
const LOOK_MS = 5000;
const AGAIN_MS = 4000; // the sampler counts anew meanwhile
const HEX_MAX = 512;
const TOGETHER_MAX = 200;

// What somebody who sees it can do.
const MENDS = {
  "unknown-schema": "Register the schema, or send with one of schemas/ids; then redrive.",
  "wrong-schema": "The sender uses another message's schema: mend the sender.",
  "bad-schema": "The schema can't be used: mend it in the registry; then redrive.",
  "conflict": "Two requests with one id ask for different things: the sender gives each an id of its own.",
  "crashed-worker": "It has killed workers: tell the makers of schedrun, and don't redrive before an update.",
};
const MEND = "Mend the sender, so that it writes a RunRequest.";
const EVENT = "It was an event: mend its sender, so that it writes a ScheduleEvent, and have it sent anew; what was right, once the cause is gone: schedrun dlq redrive --events.";
const HIDDEN = "Whoever may view the schedule that its key names sees more here; schedrun dlq show tells it to whoever may read the topic.";

// Of which topic it was, where one may see it.
function isEvent(letter) {
  const trigger = state.overview && state.overview.others && state.overview.others.trigger;
  return Boolean(letter.portrait && trigger && letter.portrait.topic === trigger.topic);
}

function mendOf(letter) {
  if (letter.hidden) return HIDDEN;
  if (isEvent(letter)) return EVENT;
  return [MENDS[letter.reason] || MEND, !isOffered(letter) && " As it is it would be buried again, so a redrive is not offered."];
}

// Whether asking again can lead to something else: a schema may come, a request stays as it is.
const CURABLE = ["unknown-schema", "bad-schema"];
const isOffered = (letter) => !letter.hidden && !isEvent(letter)
  && (!letter.portrait || letter.portrait.value.valid || CURABLE.includes(letter.reason));

// Bytes as people compare them: their offset, hexadecimal, ASCII.
export function hexDump(hex, from) {
  const lines = [];
  for (let at = 0; at < Math.min(hex.length, 2 * HEX_MAX); at += 32) {
    const pairs = hex.slice(at, at + 32).match(/../g) || [];
    const ascii = pairs.map((pair) => {
      const code = parseInt(pair, 16);
      return code > 32 && code < 127 ? String.fromCharCode(code) : "·";
    }).join("");
    lines.push(`${String(from + at / 2).padStart(6)}  ${pairs.join(" ").padEnd(48)}${ascii}`);
  }
  if (hex.length > 2 * HEX_MAX) lines.push(`and ${number(hex.length / 2 - HEX_MAX)} bytes more: schedrun dlq show -o json`);
  return lines.join("\n");
}

function fieldValue(field) {
  if (field.broken) return h("strong", { class: "bad" }, "✕ broken here");
  if (field.valueHex !== undefined) return h("code", {}, `0x${field.valueHex}`);
  if (field.value === undefined) return h("span", { class: "quiet" }, "not shown");
  return h("code", {}, field.value === null ? "null" : String(field.value));
}

// Its bytes, decoded as far as they go, and the rest as it is.
function decoded(portrait) {
  const { value, headers } = portrait;
  const read = value.size - value.restHex.length / 2;
  return [h("p", {}, `${number(value.size)} bytes`, value.schemaId !== undefined && `, schema ${value.schemaId}`,
    value.faultAt !== undefined && [", ", h("strong", { class: "bad" }, `fault at byte ${number(value.faultAt)}`)], ". Today a worker says: ", h("strong", {}, value.now), "."),
  value.fields.length > 0 && table("Fields", ["Field", "Value", "Bytes"], value.fields.map((field) => [field.name, fieldValue(field), `${field.from}–${field.to}`])),
  value.restHex && [h("p", { class: "quiet" }, `Not read, from byte ${number(read)} on:`), h("pre", { tabindex: "0", class: "hex" }, hexDump(value.restHex, read))],
  headers.length > 0 && table("Headers", ["Name", "Value"], headers.map((header) => [
    header.name === undefined ? `0x${header.nameHex}` : header.name, header.value === undefined ? `0x${header.valueHex || ""}` : header.value]))];
}

function detail(letter) {
  if (!letter.portrait)
    return h("p", { class: "quiet" }, letter.hidden ? "Its content is for who may view its schedule."
      : "It is too large to be shown here.");
  return h("details", {}, h("summary", { class: "open" }, "What can be read of it"), decoded(letter.portrait),
    h("details", {}, h("summary", {}, "Raw JSON"), h("pre", { tabindex: "0" }, JSON.stringify(letter.portrait, null, 1))));
}

function mayRedrive() {
  const { overview } = state;
  return overview && overview.page === "write" && overview.scopes.some((scope) => scope.endsWith("write"));
}

function resultTable(found) {
  const can = found.results.filter((one) => one.result === "would be redriven");
  return [found.error && h("p", { class: "failure" }, found.error),
    h("p", {}, found.dryRun ? `${number(can.length)} of ${number(found.results.length)} would be asked again.`
      : `${number(found.results.filter((one) => one.result === "redriven").length)} of ${number(found.results.length)} were asked again.`),
    table(found.dryRun ? "What would become of them" : "What became of them", ["Letter", "Result", "Note"],
      found.results.map((one) => [h("code", {}, one.letter), one.result, one.note || "–"]))];
}

// First what would become of them; then, by another press, it becomes so.
function redrive(label, letters, then) {
  if (!mayRedrive() || letters.length === 0) return null;
  const shown = h("div", { "aria-live": "polite" });
  const ask = async (names, dryRun) => {
    redraw(shown, h("p", {}, dryRun ? "Looking …" : "Redriving …"));
    try {
      const found = await post("dashboard/letters/redrive", { body: { letters: names, dryRun } });
      const can = found.results.filter((one) => one.result === "would be redriven").map((one) => one.letter);
      redraw(shown, resultTable(found), can.length > 0 && h("button", { type: "button", class: "act", onclick: () => ask(can, false) },
        `Redrive ${can.length === 1 ? "it" : `these ${number(can.length)}`}`));
      if (!dryRun) then(`Asked again: ${found.results.filter((one) => one.result === "redriven").map((one) => one.letter).join(", ") || "none"}.`);
    } catch (error) {
      redraw(shown, failed(error));
    }
  };
  return h("div", {}, h("button", { type: "button", onclick: () => ask(letters.slice(0, TOGETHER_MAX), true) }, label), shown);
}

function item(letter, then) {
  const message = letter.portrait && letter.portrait.message;
  return h("li", { class: "letter" },
    h("p", {}, h("code", {}, letter.letter), " ", h("strong", {}, letter.reason), ", buried ", time(letter.time),
      letter.schedule && [", key ", h("code", {}, letter.schedule)]),
    message && h("p", {}, message),
    h("p", {}, h("strong", {}, "Mend: "), mendOf(letter)),
    detail(letter), isOffered(letter) && redrive("Dry run of a redrive", [letter.letter], then),
    h("p", {}, copyable(`schedrun dlq show ${letter.letter}`)));
}

export function open(main) {
  const counts = h("div", {});
  const root = h("div", {}, h("p", {}, "Looking …"));
  let shown = "";
  const done = h("p", { role: "status" });
  main.append(h("h1", {}, "Dead letters"), done, counts, root);
  const draw = (letters, list) => {
    const reasons = letters.reasons || {};
    redraw(counts, table("Waiting, by reason", ["Reason", "Letters", "What mends it"],
      Object.entries(reasons).map(([reason, n]) => [reason, number(n), [MENDS[reason] || MEND,
        redrive(`Dry run of a redrive of all ${reason} below`, list.filter((one) => one.reason === reason && isOffered(one)).map((one) => one.letter), again)]])),
    letters.isPart && h("p", { class: "quiet" }, "At least: there are too many to be counted quickly."),
    h("p", {}, "To ask again, once mended: ", copyable("schedrun dlq redrive --reason REASON --dry-run")));
  };
  // What was asked again leaves the list: it is said above it, too.
  const again = (text) => {
    redraw(done, text);
    setTimeout(look, AGAIN_MS);
  };
  // One that is as it was stays as it is: what is open, and what a redrive said.
  const kept = new Map();
  const itemOf = (letter) => {
    const text = JSON.stringify(letter);
    const old = kept.get(letter.letter);
    if (!old || old.text !== text) kept.set(letter.letter, { text, element: item(letter, again) });
    return kept.get(letter.letter).element;
  };
  const look = async () => {
    try {
      if (!state.overview) await lookAtHealth();
      const { shown: letters, letters: counted } = await get("dashboard/letters");
      const text = JSON.stringify([letters, counted]);
      if (text === shown || isHeld(root) || isHeld(counts)) return; // what is open stays open
      shown = text;
      if (!counted) redraw(root, h("p", {}, "They are not counted yet."));
      else if (counted.error) redraw(root, h("p", { class: "failure" }, counted.error, ". ", h("strong", {}, "Mend: "), counted.mend));
      else {
        const there = new Set(letters.map((letter) => letter.letter));
        for (const name of kept.keys()) if (!there.has(name)) kept.delete(name);
        redraw(counts);
        if (counted.waiting > 0) draw(counted, letters);
        redraw(root, h("p", { class: "count" }, counted.waiting === 0 ? "None waits."
          : `The newest ${number(letters.length)} of ${number(counted.waiting)}`),
        h("ol", { class: "runs" }, letters.map(itemOf)));
      }
    } catch (error) {
      shown = "";
      redraw(root, failed(error));
    }
  };
  return keepLooking(look, LOOK_MS);
}
