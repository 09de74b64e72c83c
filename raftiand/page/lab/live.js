// What a screen reader hears without being asked: one sentence at a time, and not too many.
//
// Invariant: within SAY_EVERY_MS only the last sentence is said, so that an election storm does not drown everything else.

import { h, text } from "./dom.js";

const SAY_EVERY_MS = 2_500;
const region = h("p", { class: "unseen", "aria-live": "polite" });
document.body.append(region);

let lastSaid = -SAY_EVERY_MS;
let timer = null;
let next = "";

/** Says a sentence, unless another one comes before it is its turn. */
export function announce(sentence) {
  next = sentence;
  timer ??= setTimeout(() => {
    timer = null;
    lastSaid = performance.now();
    text(region, next);
  }, Math.max(0, SAY_EVERY_MS - (performance.now() - lastSaid)));
}
