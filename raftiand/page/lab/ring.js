// The ring: nodes and links as SVG, brought up to date from a view.
//
// Invariants: a node is one element for as long as it is in the lab, so that it keeps the focus; nothing here moves by itself
// (flight.js draws what moves, on a canvas above).
//
// Absent: what a click does (gestures.js).

import { h, keyed, s, set, setAll, text } from "./dom.js";
import { box, outline, places } from "./shapes.js";
import { store } from "./store.js";
import { byNumber, effect, standing } from "./words.js";

/** A fault on more links than these is not named on each of them: the list below the ring has it. */
const FEW = 4;

/** Makes the ring. `update()` draws the view of its source; `at(name)` is the place of a node. */
export function makeRing(source = store) {
  const links = s("g", { class: "links" });
  const marks = s("g", { class: "marks" });
  const nodes = s("g", { class: "nodes" });
  const drawn = s("path", { class: "drawn", hidden: true });
  const centre = s("g", { class: "centre" }, s("text", { class: "term-word", y: -14 }, "term"), s("text", { class: "term", y: 34 }), s("text", { class: "says", y: 62 }));
  const svg = s("svg", { class: "ring", role: "group", "aria-label": "The nodes of the lab; arrow keys move between them, Enter opens what can be done" }, links, centre, nodes, marks, drawn);
  const canvas = h("canvas", { class: "flight", "aria-hidden": "true" });
  const stage = h("div", { class: "stage" }, svg, canvas);
  const ring = { stage, svg, canvas, drawn, layout: null, box: box(1, 1), update };
  ring.at = (name) => ring.layout?.at.get(name);
  ring.nodeElement = (name) => nodes.keyed?.get(name);
  ring.resize = () => {
    ring.box = box(stage.clientWidth, stage.clientHeight);
    update();
  };

  function update() {
    const { view, selected } = source;
    if (!view) return;
    const { width, height } = ring.box;
    set(svg, "viewBox", `0 0 ${width} ${height}`);
    ring.layout = places(view.nodes.map((node) => node.node).sort(byNumber), ring.box);
    keyed(nodes, view.nodes, (node) => node.node, makeNode, (element, node) => updateNode(element, node, ring.layout, selected));
    const focusable = nodes.querySelector("[tabindex='0']");
    if (!focusable && nodes.firstChild) set(nodes.firstChild, "tabindex", 0);
    updateLinks(links, marks, view, ring.layout);
    updateCentre(centre, view, ring.layout.middle);
  }
  return ring;
}

function makeNode({ node }) {
  const parts = ["chosen", "body"].map((name) => s("path", { class: name }));
  const texts = ["name", "role", "facts"].map((name) => s("text", { class: name }));
  return s("g", { class: "node", role: "button", tabindex: -1, "data-node": node }, parts, texts, s("text", { class: "badge" }));
}

function updateNode(element, node, { at, radius }, selected) {
  const { kind, word } = standing(node);
  const { x, y } = at.get(node.node);
  const isChosen = selected.has(node.node);
  const [chosen, body, name, role, facts, badge] = element.children;
  const differs = node.differs_at ? `≠ at ${node.differs_at}` : "";
  const inside = node.faults.length ? `fault ${node.faults.join(", ")}` : "";
  setAll(element, {
    class: `node is-${kind}${isChosen ? " is-chosen" : ""}${node.is_old ? " is-old" : ""}`,
    transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`,
    "aria-pressed": String(isChosen),
    "aria-label": [`${node.node}: ${word}`, node.role && `term ${node.term}`, `committed to ${node.commit_index} of ${node.last_index}`, differs, inside].filter(Boolean).join(", "),
  });
  setAll(chosen, { d: outline(kind, radius + 19) });
  setAll(body, { d: outline(kind, radius) });
  const size = radius / 60;
  setAll(name, { y: -9 * size, "font-size": 27 * size, text: node.node });
  setAll(role, { y: 12 * size, "font-size": 15.5 * size, text: word === "leader, no quorum" ? "no quorum" : word });
  setAll(facts, { y: 32 * size, "font-size": 14 * size, text: node.role ? `term ${node.term}` : "" });
  setAll(badge, { y: radius + 36, "font-size": 16, text: [differs, inside].filter(Boolean).join(" · ") });
}

/** A line for every pair of nodes, and a label where something is wrong with it. */
function updateLinks(links, marks, view, layout) {
  const names = [...layout.at.keys()];
  const wide = faultsOnMany(view);
  const pairs = names.flatMap((a, place) => names.slice(place + 1).map((b) => pairOf(view, a, b, wide)));
  keyed(links, pairs, (pair) => pair.key, ({ a, b }) => s("g", { class: "link", "data-from": a, "data-to": b }, s("line", { class: "hit" }), s("line", { class: "wire" })), (element, pair) => {
    const [from, to] = [layout.at.get(pair.a), layout.at.get(pair.b)];
    for (const line of element.children) setAll(line, { x1: from.x, y1: from.y, x2: to.x, y2: to.y });
    set(element, "class", `link ${pair.kind}`);
  });
  keyed(marks, pairs.filter((pair) => pair.label), (pair) => pair.key, () => s("g", { class: "mark" }, s("rect", { rx: 9, height: 24, y: -12 }), s("text", { y: 5 })), (element, pair) => {
    const [from, to] = [layout.at.get(pair.a), layout.at.get(pair.b)];
    // Clear of the node, and of the middle of the ring.
    const share = Math.min(0.5, Math.max(0.3, (layout.radius + 36) / Math.hypot(to.x - from.x, to.y - from.y)));
    const width = pair.label.length * 8.2 + 16;
    set(element, "transform", `translate(${(from.x + (to.x - from.x) * share).toFixed(1)} ${(from.y + (to.y - from.y) * share).toFixed(1)})`);
    set(element, "class", `mark ${pair.kind}`);
    setAll(element.firstChild, { x: -width / 2, width });
    text(element.lastChild, pair.label);
  });
}

/** The faults that are on many links. */
function faultsOnMany(view) {
  const counts = new Map();
  for (const link of view.links) for (const id of link.faults) counts.set(id, (counts.get(id) ?? 0) + 1);
  return new Set([...counts].filter(([, count]) => count > FEW).map(([id]) => id));
}

/** Two nodes, and what is wrong between them. */
function pairOf(view, a, b, wide) {
  const wrong = (from, to) => view.links.find((link) => link.from === from && link.to === to);
  const [there, back] = [wrong(a, b), wrong(b, a)];
  const key = `${a} ${b}`;
  if (!there && !back) return { key, a, b, kind: "is-fine", label: "" };
  const isNamed = ![there, back].some((link) => link?.faults.some((id) => wide.has(id)));
  const isCut = [there, back].map((link) => Boolean(link?.is_cut));
  if (isCut[0] && isCut[1]) return { key, a, b, kind: "is-cut", label: isNamed ? `✕ ${[...new Set([...there.faults, ...back.faults])].join(", ")}` : "✕" };
  const says = (link) => (link ? [...new Set(link.effects.map(effect))].join(", ") : "");
  const [one, other] = [says(there), says(back)];
  const both = one === other ? one : [one && `${a}→${b} ${one}`, other && `${b}→${a} ${other}`].filter(Boolean).join(" · ");
  const label = isNamed ? both : "";
  return { key, a, b, kind: isCut[0] || isCut[1] ? "is-half-cut" : "is-slow", label };
}

function updateCentre(centre, view, { x, y }) {
  const leader = view.nodes.find((node) => node.node === view.leader);
  set(centre, "transform", `translate(${x} ${y})`);
  set(centre, "class", `centre${leader ? "" : " is-leaderless"}`);
  text(centre.children[1], view.term);
  text(centre.children[2], leader ? `${view.leader} leads` : "no leader");
}
