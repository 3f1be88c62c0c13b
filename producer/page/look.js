// Asking again: by the clock, by what the URL says, and with each new token.
import { failed, redraw } from "./dom.js";
import { onChosen, route, state, watch } from "./state.js";

// Looks now and then each `ms`, one look after the other, while the page is
// seen and no token is asked for; at once when it is seen again, and with a new
// token.  Returns its end.
export function keepLooking(look, ms) {
  let busy = 0;
  const lookNow = () => {
    busy++;
    look().finally(() => { busy--; });
  };
  const turn = () => busy > 0 || document.hidden || state.asking || lookNow();
  lookNow();
  const timer = setInterval(turn, ms);
  const unwatch = watch(["token"], lookNow);
  document.addEventListener("visibilitychange", turn);
  return () => {
    clearInterval(timer);
    unwatch();
    document.removeEventListener("visibilitychange", turn);
  };
}

const AGAIN_MS = 5000; // where the server had no answer

// Asks by the URL's query, now and whenever that or the token changes, and
// draws the answer; a question that is overtaken or left is given up.  Where
// `isSame` says so of two queries, what is shown stays.  `draw` is given the
// answer, a signal that it is overtaken, and what asks again.  Returns its end.
export function followRoute(root, ask, draw, isSame = () => false) {
  let asked = null; // { query, controller }
  let timer = 0;
  const giveUp = () => {
    clearTimeout(timer);
    if (asked) asked.controller.abort();
  };
  const look = async () => {
    giveUp();
    const mine = { query: route().query, controller: new AbortController() };
    const { signal } = mine.controller;
    asked = mine;
    try {
      const found = await ask(mine.query, signal);
      if (!signal.aborted) await draw(found, signal, look);
    } catch (error) {
      if (signal.aborted) return;
      redraw(root, failed(error));
      if (!error.status || error.status >= 500) timer = setTimeout(look, AGAIN_MS);
    }
  };
  look();
  const unwatch = watch(["token"], look);
  const unchosen = onChosen(() => isSame(asked.query, route().query) || look());
  return () => {
    giveUp();
    unwatch();
    unchosen();
  };
}
