// The canvas on every node, side by side: pixels that a node has otherwise than the leader glow.
//
// Invariant: a picture is what its node has applied, read from that node (a stale read); what the leader has is the measure, or
// the node that has applied most where nobody leads. A picture is only read when its node has applied something since.

import { makeCommands } from "./app.js";
import { Command, read } from "./client.js";
import { lineButton } from "./controls.js";
import { h, keyed, replace, set, text } from "./dom.js";
import { on, store } from "./store.js";
import { byNumber, count, shell, standing } from "./words.js";

const SMALL_PX = 200 * 200;
const READ_EVERY_MS = { small: 250, large: 2_000 };

/** Shows it in `root`; what it answers ends it. */
export function showCanvas(root) {
  const pictures = new Map();
  const colour = h("input", { type: "color", id: "canvas-colour", value: "#d99a1c" });
  const commands = makeCommands("Your pixels");
  const tiles = h("div", { class: "boards" });
  const share = h("p", { class: "row" }, "Open the canvas, and nothing else of the lab, to painters:", lineButton(shell("canvas serve")), lineButton(shell("canvas share")));
  const form = h("p", { class: "row" }, h("label", { for: "canvas-colour" }, "Colour"), colour, h("span", { class: "small" }, "A click paints a pixel as that node; arrow keys move the mark, Enter paints. Pixels that are not as the leader has them glow."));
  replace(root, h("h1", { class: "unseen" }, "The canvas"), share, form, tiles, commands.element);
  let isOver = false;

  const paint = (node, x, y) => {
    const wanted = Number.parseInt(colour.value.slice(1), 16);
    const command = new Command(node, { paint: [[x, y, wanted]] }, `${node} paints ${x},${y}`, `canvas set ${x} ${y} ${colour.value.slice(1)} --as ${node}`, () => {
      command.answer = command.state === "committed" ? command.response?.outcome : "";
      commands.update();
    });
    commands.add(command);
    command.send();
  };

  const draw = () => {
    const nodes = [...store.view.nodes].sort((a, b) => byNumber(a.node, b.node));
    const measure = measureOf(nodes);
    keyed(tiles, nodes, (node) => node.node, (node) => makeTile(node, paint, draw), (tile, node) => {
      const picture = pictures.get(node.node);
      const [title, says, canvas] = tile.children;
      set(tile, "class", `panel board is-${standing(node).kind}${node.is_old ? " is-old" : ""}`);
      text(title, `${node.node}, ${standing(node).word}`);
      const differing = picture ? show(canvas, picture, pictures.get(measure)) : 0;
      text(says, `applied ${node.last_applied}, ${differing ? `${count(differing, "pixel")} not as ${measure} has them` : `as ${measure} has it`}`);
      if (picture) set(canvas, "aria-label", `The canvas of ${node.node}; ${differing} pixels differ. The mark is at ${canvas.mark?.join(",") ?? "0,0"}`);
      fetchPicture(node);
    });
  };

  /** Reads the picture of a node that has applied something since it was read last. */
  async function fetchPicture({ node, state, is_silent, last_applied, digest }) {
    const known = pictures.get(node) ?? {};
    const size = /^(\d+)x(\d+)$/.exec(store.view.size ?? "") ?? [0, 64, 64];
    const [width, height] = [Number(size[1]), Number(size[2])];
    const every = width * height <= SMALL_PX ? READ_EVERY_MS.small : READ_EVERY_MS.large;
    if (state !== "running" || is_silent || known.isAsked || known.digest === digest || performance.now() - (known.at ?? -Infinity) < every) return;
    pictures.set(node, { ...known, isAsked: true });
    try {
      const { index, response } = await read(node, { region: [0, 0, width, height] }, "stale");
      pictures.set(node, { at: performance.now(), digest: index >= last_applied ? digest : null, rgb: Uint8Array.from(atob(response.rgb), (byte) => byte.charCodeAt(0)), width: response.region[2], height: response.region[3], version: index });
    } catch {
      pictures.set(node, { ...known, at: performance.now() });
    }
    if (!isOver) draw();
  }
  const stop = on("view", draw);
  draw();
  return () => ((isOver = true), stop());
}

/** Whose picture the others are compared with. */
function measureOf(nodes) {
  return store.view.leader ?? [...nodes].sort((a, b) => b.last_applied - a.last_applied)[0]?.node;
}

function makeTile({ node }, paint, draw) {
  const canvas = h("canvas", { class: "picture", tabindex: 0, role: "application", "aria-label": `The canvas of ${node}` });
  canvas.addEventListener("click", (event) => {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    const border = canvas.clientLeft;
    paint(node, ...[((event.clientX - left - border) / (width - 2 * border)) * canvas.width, ((event.clientY - top - border) / (height - 2 * border)) * canvas.height].map(Math.floor));
  });
  canvas.addEventListener("keydown", (event) => {
    const [x, y] = (canvas.mark ??= [0, 0]);
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (step) {
      canvas.mark = [Math.min(Math.max(x + step[0], 0), canvas.width - 1), Math.min(Math.max(y + step[1], 0), canvas.height - 1)];
      canvas.shown = null;
      draw();
    } else if (event.key === "Enter" || event.key === " ") {
      paint(node, x, y);
    } else {
      return;
    }
    event.preventDefault();
  });
  return h("section", {}, h("h2", {}), h("p", { class: "small" }), canvas);
}

/** Draws a picture; how many of its pixels are not those of the measure. Those that are stay pale while others glow. */
function show(canvas, picture, measure) {
  const { rgb, width, height, version } = picture;
  if (!rgb) return 0;
  const isShown = `${version} ${measure?.version} ${measure?.rgb?.length}`;
  if (canvas.shown === isShown) return canvas.differing;
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const image = new ImageData(width, height);
  const isOther = (pixel) => measure?.rgb?.length === rgb.length && [0, 1, 2].some((part) => rgb[3 * pixel + part] !== measure.rgb[3 * pixel + part]);
  const others = [];
  for (let pixel = 0; pixel < width * height; pixel++) if (isOther(pixel)) others.push(pixel);
  const pale = others.length > 0 ? 0.45 : 1;
  for (let pixel = 0; pixel < width * height; pixel++) for (let part = 0; part < 3; part++) image.data[4 * pixel + part] = rgb[3 * pixel + part] * pale;
  for (let pixel = 0; pixel < width * height; pixel++) image.data[4 * pixel + 3] = 255;
  for (const pixel of others) {
    const theirs = [0, 1, 2].map((part) => Math.max(rgb[3 * pixel + part], measure.rgb[3 * pixel + part]));
    theirs.forEach((value, part) => (image.data[4 * pixel + part] = 140 + value * 0.45));
  }
  if (canvas.mark) image.data.set([255, 255, 255, 255], 4 * (canvas.mark[1] * width + canvas.mark[0]));
  canvas.getContext("2d").putImageData(image, 0, 0);
  [canvas.shown, canvas.differing] = [isShown, others.length];
  return others.length;
}
