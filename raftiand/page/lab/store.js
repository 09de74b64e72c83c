// What the page knows: one store, which views draw and nothing else holds.
//
// Invariants: what is here was said by the daemon, but for what a person chose (`selected`) and did (`outcome`); it changes
// through the functions here alone, and each change wakes those who listen to its topic.
//
// Absent: elements, and anything that only one view needs.

import { Net } from "./net.js";

const MOST_EVENTS = 5_000;
const MOST_SAMPLES = 900;
const SAMPLE_MS = 1_000;
/** Views come as often as they change; so often are they drawn. */
const DRAW_MS = 100;

/** Everything that is known. */
export const store = {
  /** connecting, open, closed or refused. */
  state: "connecting",
  /** Whether a ticket was shown that lets nobody in any more. */
  isUsed: false,
  /** Who the daemon is. */
  hello: null,
  /** What the lab is like now, and when that was heard (performance.now). */
  view: null,
  viewAt: 0,
  /** What happened, oldest first. */
  events: [],
  /** Measurements of the last minutes, oldest first. */
  samples: [],
  /** The names of the nodes that a person chose. */
  selected: new Set(),
  /** What was done last: {line, state: "running"|"done"|"failed", text, hints}. */
  outcome: null,
};

const listeners = new Map();

/** Calls `listener` whenever something of a topic changes: state, view, events, messages, selected, outcome. */
export function on(topic, listener) {
  const ones = listeners.get(topic) ?? listeners.set(topic, new Set()).get(topic);
  ones.add(listener);
  return () => ones.delete(listener);
}

function wake(topic, what) {
  for (const listener of listeners.get(topic) ?? []) listener(what);
}

const net = new Net(hear);

/** Connects. */
export const connect = () => net.open();

/** A call of the daemon. */
export const call = (method, ...params) => net.call(method, params);

/** Hears all events anew, from the first that the daemon remembers. */
export function rewind() {
  store.events.length = 0;
  net.rewind();
}

function hear(what) {
  if (what.state) {
    store.state = what.state;
    store.isUsed = what.isUsed ?? false;
    if (what.hello) store.hello = what.hello;
    wake("state");
  } else if (what.view) {
    takeView(what.view);
  } else if (what.events) {
    takeEvents(what.events);
  } else if (what.messages) {
    wake("messages", what.messages);
  }
}

let drawing = null;
let drawn = -DRAW_MS;

function takeView(view) {
  store.view = view;
  store.viewAt = performance.now();
  const names = new Set(view.nodes.map((node) => node.node));
  const gone = [...store.selected].filter((node) => !names.has(node));
  gone.forEach((node) => store.selected.delete(node));
  sample(view);
  if (gone.length) wake("selected");
  drawing ??= setTimeout(() => {
    drawing = null;
    drawn = performance.now();
    wake("view");
  }, DRAW_MS - Math.min(DRAW_MS, performance.now() - drawn));
}

function takeEvents(events) {
  const last = store.events.at(-1)?.seq ?? 0;
  const fresh = events.filter((event) => event.seq > last);
  if (!fresh.length) return;
  store.events.push(...fresh);
  if (store.events.length > MOST_EVENTS) store.events.splice(0, store.events.length - MOST_EVENTS);
  wake("events", fresh);
}

/** Keeps what charts show, once a second at most. */
function sample(view) {
  const at = Date.now();
  if (at - (store.samples.at(-1)?.at ?? 0) < SAMPLE_MS * 0.9) return;
  const nodes = {};
  for (const { node, usage, fps, sync_us } of view.nodes) {
    nodes[node] = { cpu: usage?.cpu_percent, memory: usage?.memory_bytes, fps, sync: sync_us };
  }
  const faults = view.faults.map(({ id, title }) => ({ id, title }));
  const { rates, leader, term, daemon } = view;
  store.samples.push({ at, rates, leader, term, daemon: daemon.cpu_percent, nodes, faults });
  if (store.samples.length > MOST_SAMPLES) store.samples.shift();
}

/** The node of a name. */
export const nodeOf = (name) => store.view?.nodes.find((node) => node.node === name);

/** Chooses these nodes and no others. */
export function select(nodes) {
  store.selected = new Set(nodes);
  wake("selected");
}

/** Chooses a node in addition, or no longer. */
export function toggle(node) {
  if (!store.selected.delete(node)) store.selected.add(node);
  wake("selected");
}

/** Says what came of what was done. */
export function setOutcome(outcome) {
  store.outcome = outcome;
  wake("outcome");
}
