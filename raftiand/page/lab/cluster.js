// The view of the cluster: the ring, the reason line, what can be done, the logs, and the story beside them.
//
// Invariant: it draws the store and asks nothing else; while it is not shown it hears nothing.

import { heal, ofLab, ofNodes, run } from "./actions.js";
import { actionList, hintList, lineButton, noteBox } from "./controls.js";
import { h, keyed, replace, set, setAll, text } from "./dom.js";
import { makeFlight } from "./flight.js";
import { listen } from "./gestures.js";
import { announce } from "./live.js";
import { makeLogs } from "./logs.js";
import { makeRing } from "./ring.js";
import { nodeOf, on, store } from "./store.js";
import { makeStory } from "./story.js";
import { memory, MESSAGES, names, rate, shell, standing } from "./words.js";

/** Shows it in `root`; what it answers ends it. */
export function showCluster(root) {
  const ring = makeRing();
  const share = h("span", { class: "share" });
  const flight = makeFlight(ring, (of) => text(share, of === 1 ? "" : `1 of ${of} heartbeats shown`));
  const hint = h("p", { class: "drag-hint", "aria-hidden": "true" });
  const reason = makeReason();
  const panel = makePanel();
  const outcome = makeOutcome();
  const faults = makeFaults();
  const logs = makeLogs();
  const story = makeStory();
  ring.stage.append(hint);
  const left = h("div", { class: "left" }, h("section", { class: "panel ring-panel", "aria-label": "Cluster" }, ring.stage, legend(share), faults.element), logs.element);
  const right = h("div", { class: "right" }, panel.element, outcome.element, story.element);
  replace(root, h("h1", { class: "unseen" }, "Cluster"), reason.element, h("div", { class: "cluster" }, left, right));
  listen(ring, hint);

  const drawView = () => {
    if (!store.view) return;
    reason.update();
    ring.update();
    faults.update();
    logs.update();
    panel.update();
    flight.wake();
  };
  const drawSelected = () => store.view && (ring.update(), panel.update());
  const ends = [on("view", drawView), on("selected", drawSelected), on("messages", flight.take), on("events", story.update), on("outcome", outcome.update)];
  drawView();
  story.update();
  outcome.update();
  ring.resize();
  return () => (ends.forEach((end) => end()), flight.end());
}

/** The reason line: what is wrong, or that all is well, and what can be done. */
function makeReason() {
  const note = noteBox("note");
  const more = h("ul", { class: "more" });
  const summary = h("summary", {});
  const details = h("details", {}, summary, more);
  const element = h("section", { class: "reason", "aria-label": "The state of the lab" }, note.element, details);
  let said = null;
  const update = () => {
    const { reasons, leader } = store.view;
    const [first, ...rest] = reasons;
    const kind = !leader ? "is-bad" : first?.hints?.length || rest.length || store.view.faults.length ? "is-odd" : "is-well";
    set(element, "class", `reason ${kind}`);
    note.update(first?.text ?? "nothing is known yet", first?.hints);
    // Times in the sentence count on; only another sentence is worth saying.
    const sentence = first?.text.replace(/[\d.]+ (ms|s|min)\b/g, "");
    if (sentence !== said && said !== null) announce(first.text);
    said = sentence;
    set(details, "hidden", !rest.length);
    text(summary, `and ${rest.length} more`);
    keyed(more, rest.map((one, place) => ({ ...one, place })), (one) => `${one.place} ${JSON.stringify(one.hints)}`, ({ hints }) => h("li", {}, h("span"), hints ? hintList(hints) : null), (item, one) => text(item.firstChild, one.text));
  };
  return { element, update };
}

/** What is chosen, and what can be done to it. */
function makePanel() {
  const title = h("h2", {});
  const facts = h("dl", { class: "facts" });
  const list = actionList();
  const keys = h("p", { class: "small" });
  const element = h("section", { class: "panel actions-panel" }, title, facts, list.element, keys);
  const update = () => {
    const chosen = store.selected;
    const one = chosen.size === 1 ? nodeOf([...chosen][0]) : null;
    text(title, chosen.size === 0 ? "The lab" : one ? `${one.node}: ${standing(one).word}` : names(chosen));
    drawFacts(facts, one ? nodeFacts(one) : chosen.size ? [] : labFacts());
    list.update(chosen.size ? ofNodes(chosen) : ofLab());
    text(keys, chosen.size ? "On the ring: K kill, P pause, R restart, I isolate, S slow, T make leader, H heal; Shift+click adds a node." : "Click a node to choose it. Drag from node to node to cut their link; draw a line or a loop to part the cluster.");
  };
  return { element, update };
}

function drawFacts(list, facts) {
  while (list.children.length > facts.length) list.lastChild.remove();
  while (list.children.length < facts.length) list.append(h("div", {}, h("dt"), h("dd")));
  facts.forEach(([word, value], place) => {
    const [dt, dd] = list.children[place].children;
    text(dt, word);
    text(dd, value);
  });
}

function labFacts() {
  const { app, seed, timing, rates } = store.view;
  return [
    ["application", app ?? "none"],
    ["election time-out", `${timing.election_min_ms}–${timing.election_max_ms} ms`],
    ["commits / s", rate(rates.commits)],
    ["calls / s", rate(rates.calls)],
    ["dropped / s", rate(rates.dropped)],
    ["seed", seed],
  ];
}

function nodeFacts(node) {
  const known = (value, say) => (value === null || value === undefined ? "–" : say(value));
  return [
    ["term", node.term],
    ["follows", node.knows === node.node ? "itself" : node.knows ?? "nobody"],
    ["log ends at", node.last_index],
    ["committed", node.commit_index],
    ["applied", node.last_applied],
    ["digest", node.digest.slice(0, 8) || "–"],
    ["CPU", known(node.usage?.cpu_percent, (percent) => `${percent.toFixed(1)} %`)],
    ["memory", known(node.usage?.memory_bytes, memory)],
    ["sync", node.sync_us ? `${(node.sync_us / 1000).toFixed(1)} ms` : "–"],
    ...(node.reason ? [["why", node.reason.text]] : []),
  ];
}

/** The faults in force, each with its end. */
function makeFaults() {
  const element = h("ul", { class: "faults", "aria-label": "Faults in force" });
  const make = ({ id }) => {
    const action = heal(id);
    return h("li", {}, h("strong", {}, id), h("span", {}), h("button", { type: "button", class: "quiet", title: shell(action.line), onclick: () => run(action) }, action.label));
  };
  const update = () => {
    keyed(element, store.view.faults, (fault) => fault.id, make, (item, { title, seen }) => {
      text(item.children[1], title);
      set(item, "title", seen);
    });
  };
  return { element, update };
}

/** What was done last, and what came of it. */
function makeOutcome() {
  const note = noteBox("note");
  const line = h("div", {});
  const element = h("section", { class: "panel outcome", "aria-label": "What was done last", "aria-live": "polite", hidden: true }, line, note.element);
  let shown = "";
  const update = () => {
    const done = store.outcome;
    setAll(element, { hidden: !done, class: `panel outcome is-${done?.state}` });
    if (!done) return;
    if (shown !== done.line) replace(line, lineButton(done.line));
    shown = done.line;
    note.update(done.state === "running" ? "under way …" : done.text, done.hints);
  };
  return { element, update };
}

/** What the dots are. */
function legend(share) {
  const kinds = [["heartbeat", "heartbeat"], ["append", "append"], ["vote", "request_vote"], ["snapshot", "install_snapshot"]];
  const items = kinds.map(([colour, what]) => h("li", {}, h("i", { class: `dot dot-${colour}`, "aria-hidden": "true" }), MESSAGES[what]));
  return h("div", { class: "legend" }, h("ul", { "aria-label": "Kinds of messages" }, items, h("li", {}, h("i", { class: "dot dot-reply", "aria-hidden": "true" }), "reply"), h("li", {}, h("i", { class: "dot dot-fault", "aria-hidden": "true" }), "dropped")), share);
}
