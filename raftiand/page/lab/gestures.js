// Pointer and keys on the ring: choose nodes, drag a link from node to node, draw a line or a loop to part them.
//
// Invariants: what a drag would do is said, as a shell line, before it is done, and a menu asks at its end; whatever the
// pointer can do, keys can: choose nodes, then use the buttons, the menu, or a letter.

import * as actions from "./actions.js";
import { set, text } from "./dom.js";
import { openMenu } from "./menu.js";
import { nodeOf, select, store, toggle } from "./store.js";
import { names, shell } from "./words.js";

const START_PX = 9;
const KEYS = {
  k: (chosen) => actions.kill(chosen),
  p: (chosen) => (chosen.every((node) => nodeOf(node)?.state === "paused") ? actions.resume(chosen) : actions.pause(chosen)),
  r: (chosen) => actions.restart(chosen),
  i: (chosen) => (chosen.length === 1 ? actions.isolate(chosen) : actions.partition([chosen, others(chosen)])),
  s: (chosen) => actions.slow(chosen),
  t: (chosen) => (chosen.length === 1 ? actions.transfer(chosen[0]) : null),
  h: () => actions.heal(),
};

const others = (chosen) => store.view.nodes.map((node) => node.node).filter((node) => !chosen.includes(node));

/** Listens to a ring; `hint` is the element that says what a drag would do. */
export function listen(ring, hint) {
  const { svg, drawn } = ring;
  let drag = null;

  svg.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !ring.layout) return;
    drag = { from: nodeAt(event.target), path: [point(event)], x: event.clientX, y: event.clientY, isOn: false };
  });
  svg.addEventListener("pointermove", (event) => drag && move(event));
  svg.addEventListener("pointerup", (event) => drag && finish(event));
  svg.addEventListener("pointercancel", cancel);
  svg.addEventListener("contextmenu", (event) => {
    event.preventDefault();
    cancel();
    const link = event.target.closest(".link");
    if (link) linkMenu(link.dataset.from, link.dataset.to, event.clientX, event.clientY);
    else nodeMenu(nodeAt(event.target), event.clientX, event.clientY);
  });
  svg.addEventListener("keydown", keys);
  addEventListener("keydown", ({ key }) => key === "Escape" && cancel());

  function point({ clientX, clientY }) {
    const { x, y } = new DOMPoint(clientX, clientY).matrixTransform(svg.getScreenCTM().inverse());
    return { x, y };
  }

  function move(event) {
    if (!drag.isOn && Math.hypot(event.clientX - drag.x, event.clientY - drag.y) < START_PX) return;
    if (!drag.isOn) {
      drag.isOn = true;
      svg.setPointerCapture(event.pointerId);
      svg.classList.add("is-drawing");
    }
    drag.path.push(point(event));
    drag.does = drag.from ? linkUnder(event) : parting(drag.path);
    const shown = drag.from ? [ring.at(drag.from), drag.path.at(-1)] : drag.path;
    set(drawn, "d", `M${shown.map(({ x, y }) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}${drag.does?.isLoop ? "Z" : ""}`);
    set(drawn, "hidden", false);
    mark(drag.does?.sides?.[0] ?? [drag.from, drag.does?.to].filter(Boolean));
    text(hint, drag.does?.line ? shell(drag.does.line) : drag.from ? `from ${drag.from}: drag to another node` : "draw a line between nodes, or a loop around some");
  }

  function linkUnder(event) {
    const to = nodeAt(document.elementFromPoint(event.clientX, event.clientY));
    return to && to !== drag.from ? { to, line: actions.cut(drag.from, to).line } : null;
  }

  /** What a drawn line or loop parts: {sides, isLoop, line}. */
  function parting(path) {
    const nodes = [...ring.layout.at];
    const isIn = isLoop(path) ? ([, at]) => isInside(path, at) : ([, at]) => isLeft(path[0], path.at(-1), at);
    const sides = [nodes.filter((node) => isIn(node)), nodes.filter((node) => !isIn(node))].map((side) => side.map(([name]) => name));
    if (!isLoop(path)) sides.sort((a, b) => a.length - b.length);
    const isParted = sides.every((side) => side.length > 0);
    return { sides, isLoop: isLoop(path), line: isParted ? actions.partition(sides).line : null };
  }

  function finish(event) {
    const { from, does, isOn } = drag;
    const node = nodeAt(event.target);
    cancel();
    if (!isOn) {
      if (!node) select([]);
      else if (event.shiftKey || event.ctrlKey || event.metaKey) toggle(node);
      else select(store.selected.has(node) && store.selected.size === 1 ? [] : [node]);
      if (node) focus(node);
    } else if (from && does) {
      linkMenu(from, does.to, event.clientX, event.clientY);
    } else if (does?.line) {
      const [first, second] = does.sides;
      select(first);
      const whole = actions.partition(does.sides);
      const oneWay = (a, b) => ({ ...actions.partition([a, b], true), id: "partition-one-way", label: `Cut ${names(a)} → ${names(b)} only` });
      openMenu(`${names(first)} | ${names(second)}`, [whole, oneWay(first, second), oneWay(second, first)], event.clientX, event.clientY);
    }
  }

  function cancel() {
    drag = null;
    set(drawn, "hidden", true);
    set(drawn, "d", "");
    svg.classList.remove("is-drawing");
    mark([]);
    text(hint, "");
  }

  function mark(side) {
    for (const element of svg.querySelectorAll(".node")) element.classList.toggle("is-marked", side.includes(element.dataset.node));
  }

  function linkMenu(from, to, x, y) {
    openMenu(`${from} – ${to}`, actions.ofLink(from, to), x, y);
  }

  function nodeMenu(node, x, y) {
    if (!node) return openMenu("The lab", actions.ofLab(), x, y);
    if (!store.selected.has(node)) select([node]);
    openMenu(names(store.selected), actions.ofNodes(store.selected), x, y);
  }

  function keys(event) {
    const node = nodeAt(event.target);
    if (!node || event.ctrlKey || event.metaKey || event.altKey) return;
    const all = [...ring.layout.at.keys()];
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step) {
      focus(all[(all.indexOf(node) + step + all.length) % all.length]);
    } else if (event.key === " ") {
      toggle(node);
    } else if (event.key === "Enter" || event.key === "ContextMenu" || (event.key === "F10" && event.shiftKey)) {
      const { right, top } = event.target.getBoundingClientRect();
      nodeMenu(node, right, top);
    } else if (KEYS[event.key]) {
      const action = KEYS[event.key](store.selected.size ? [...store.selected] : [node]);
      if (action) actions.run(action);
    } else {
      return;
    }
    event.preventDefault();
  }

  /** One node of the ring is in the tab order: the one that had the focus last. */
  function focus(node) {
    for (const element of svg.querySelectorAll(".node")) set(element, "tabindex", element.dataset.node === node ? 0 : -1);
    ring.nodeElement(node)?.focus({ preventScroll: true });
  }
}

const nodeAt = (element) => element?.closest?.(".node")?.dataset.node ?? null;

/** Whether a path comes back to where it began, having gone some way. */
function isLoop(path) {
  let length = 0;
  for (let place = 1; place < path.length; place++) length += Math.hypot(path[place].x - path[place - 1].x, path[place].y - path[place - 1].y);
  const [first, last] = [path[0], path.at(-1)];
  return length > 250 && Math.hypot(last.x - first.x, last.y - first.y) < length * 0.3;
}

function isInside(path, { x, y }) {
  let inside = false;
  path.forEach((a, place) => {
    const b = path[(place + 1) % path.length];
    if (a.y > y !== b.y > y && x < ((b.x - a.x) * (y - a.y)) / (b.y - a.y) + a.x) inside = !inside;
  });
  return inside;
}

const isLeft = (a, b, { x, y }) => (b.x - a.x) * (y - a.y) - (b.y - a.y) * (x - a.x) > 0;
