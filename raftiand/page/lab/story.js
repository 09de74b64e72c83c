// What happened, in words, newest first.
//
// Invariant: sentences are the daemon's; a screen reader hears the turning points alone.

import { h, keyed } from "./dom.js";
import { announce } from "./live.js";
import { store } from "./store.js";
import { clock } from "./words.js";

const SHOWN = 60;

const ROLES = { leader: "leader", candidate: "election", pre_candidate: "election", follower: "other" };

/** What an event is about, for its colour: leader, election, down, up, fault, alarm, other. */
export function kindOf(event) {
  switch (event.type) {
    case "raft":
      return event.event.event === "role" ? ROLES[event.event.role] : "other";
    case "host":
      return "election";
    case "node_exited":
    case "node_paused":
      return "down";
    case "node_ready":
    case "node_resumed":
      return "up";
    case "fault_added":
    case "fault_seen":
    case "fault_cleared":
    case "fault_ended":
      return "fault";
    case "diverged":
    case "node_rolled_back":
      return "alarm";
    default:
      return "other";
  }
}

const isTurningPoint = (event) => ["leader", "down", "alarm"].includes(kindOf(event)) || event.type === "fault_added";

/** An event as a list item. */
export function eventItem(event) {
  return h("li", { class: `event is-${kindOf(event)}` }, h("time", { datetime: new Date(event.unix_ms).toISOString() }, clock(event.unix_ms)), h("span", { class: "said" }, event.said));
}

/** Makes the panel. */
export function makeStory() {
  const list = h("ol", { class: "events", tabindex: 0, "aria-label": "What happened, newest first" });
  const element = h("section", { class: "panel story" }, h("h2", {}, "What happened"), list);
  const update = (fresh = []) => {
    const shown = store.events.slice(-SHOWN).reverse();
    keyed(list, shown, (event) => event.seq, eventItem);
    const turning = fresh.filter(isTurningPoint).at(-1);
    if (turning && fresh.length < 50) announce(turning.said);
  };
  return { element, update };
}
