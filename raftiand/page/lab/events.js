// The list of events: all that the page has heard, newest first, by text and by node.
//
// Invariant: nothing is left out but by the filter, or by the daemon's memory; while it is held, what is read stays where it is.

import { h, keyed, replace, set, text } from "./dom.js";
import { on, rewind, store } from "./store.js";
import { eventItem } from "./story.js";
import { byNumber, count } from "./words.js";

const PAGE = 300;

/** Shows it in `root`; what it answers ends it. */
export function showEvents(root) {
  const search = h("input", { type: "search", id: "events-text", placeholder: "leads, cut, snapshot …", autocomplete: "off", oninput: () => draw() });
  const node = h("select", { id: "events-node", onchange: () => draw() });
  const hold = h("button", { type: "button", class: "act", "aria-pressed": "false", onclick: () => toggleHold() }, "Hold");
  const all = h("button", { type: "button", class: "act", onclick: () => rewind() }, "From the beginning");
  const said = h("p", { class: "small", role: "status" });
  const list = h("ol", { class: "events all-events", tabindex: 0, "aria-label": "Events, newest first" });
  const more = h("button", { type: "button", class: "act", onclick: () => ((shown += PAGE), draw()) }, "More");
  let shown = PAGE;
  let held = null;
  replace(root, h("h1", { class: "unseen" }, "Events"), h("section", { class: "panel" }, h("p", { class: "row" }, h("label", { for: "events-text" }, "Find"), search, h("label", { for: "events-node" }, "Node"), node, hold, all), said, list, more));

  function toggleHold() {
    held = held ? null : [...store.events];
    set(hold, "aria-pressed", String(Boolean(held)));
    text(hold, held ? "Follow" : "Hold");
    draw();
  }

  function draw() {
    const nodes = store.view ? store.view.nodes.map((one) => one.node).sort(byNumber) : [];
    keyed(node, ["", ...nodes], (name) => name, (name) => h("option", { value: name }, name || "all"));
    const words = search.value.trim().toLowerCase();
    const isAbout = new RegExp(`\\b${node.value}\\b`);
    const source = held ?? store.events;
    const found = source.filter((event) => (!words || event.said.toLowerCase().includes(words)) && (!node.value || isAbout.test(event.said)));
    const seen = found.slice(-shown).reverse();
    keyed(list, seen, (event) => event.seq, eventItem);
    const waiting = held ? store.events.length - held.length : 0;
    text(said, `${count(found.length, "event")}${found.length < source.length ? ` of ${source.length.toLocaleString("en")}` : ""}${waiting ? `; ${waiting} more since you hold` : ""}`);
    set(more, "hidden", found.length <= shown);
  }
  const stop = on("events", draw);
  draw();
  return stop;
}
