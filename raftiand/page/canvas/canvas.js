// A page for painters: the board, the tools beside it, and what is said.
//
// Here the parts are joined: `wire.js` (the gateway), `painting.js` (what is pending), `view.js` (what is seen), `hands.js` (pointers),
// `keys.js` (keys), `picture.js` and `tray.js` (a picture of one's own), `palette.js` (colours).
//
// Invariant: a text that comes from elsewhere becomes text (`textContent`), never markup.

import { Hands, line } from "./hands.js";
import { listenToKeys } from "./keys.js";
import { choice, colourName, hex, number, showPalette } from "./palette.js";
import { Painting } from "./painting.js";
import { Tray } from "./tray.js";
import { View } from "./view.js";
import { Wire } from "./wire.js";

const find = (id) => document.getElementById(id);
const NOTICE_MS = 12000;
const MAX_NOTICES = 3;

const settings = {
  get: (name, otherwise) => {
    try {
      return localStorage.getItem(`canvas-${name}`) ?? otherwise;
    } catch {
      return otherwise;
    }
  },
  set: (name, value) => {
    try {
      localStorage.setItem(`canvas-${name}`, value);
    } catch {
      // A browser that keeps nothing for us.
    }
  },
};

const name = find("name");
name.value = settings.get("name", `guest-${Math.floor(Math.random() * 0xffff).toString(16).padStart(4, "0")}`);
name.addEventListener("change", () => {
  name.value = name.value.trim() || "guest";
  settings.set("name", name.value);
});

const canvas = find("board");
const wire = new Wire();
const painting = new Painting(wire, () => name.value);
const view = new View(canvas, painting);
const tool = choice(find("tools"), "tool", [["paint", "Paint"], ["pick", "Pick"], ["look", "Look"]], showTool);
const brush = choice(find("brushes"), "brush", [["1", "1"], ["2", "2"], ["3", "3"], ["5", "5"]], () => showCursor());
const state = { colour: 0x3690ea, readOnly: false, refused: false, node: null, cursor: null, blame: null };
const usedTool = () => (tool.value === "paint" && !canPaint() ? "look" : tool.value);
const canPaint = () => !state.readOnly && !state.refused && painting.width > 0;

// What is said.

function say(text) {
  find("said").textContent = text;
}

/** A message that stays until it is read, or for a while. */
function notice(title, text, { mild = false } = {}) {
  const box = document.createElement("div");
  box.className = mild ? "notice mild" : "notice";
  const words = document.createElement("p");
  const strong = document.createElement("strong");
  strong.textContent = title;
  words.append(strong, ` ${text}`);
  const close = document.createElement("button");
  close.type = "button";
  close.textContent = "×";
  close.setAttribute("aria-label", "Close this message");
  close.addEventListener("click", () => box.remove());
  box.append(words, close);
  const all = find("notices");
  all.append(box);
  while (all.children.length > MAX_NOTICES) all.firstChild.remove();
  setTimeout(() => box.remove(), NOTICE_MS);
}

function showState(kind, text) {
  find("state").className = kind;
  find("state-text").textContent = text;
}

// The colour, the tool and the cursor.

function setColour(colour) {
  state.colour = colour;
  find("own").value = hex(colour);
  find("chosen").textContent = `${colourName(colour)} ${hex(colour)}`.trim();
  palette.select(colour);
  showCursor();
}

function showTool() {
  canvas.dataset.tool = usedTool();
  showCursor();
}

function showCursor() {
  const { cursor } = state;
  const isBrush = canPaint() && tool.value === "paint";
  const size = isBrush ? Number(brush.value) : 1;
  view.cursor = cursor && { ...cursor, size, colour: isBrush ? hex(state.colour) : null };
  const shown = cursor && painting.has(cursor.x, cursor.y) ? painting.colour(painting.place(cursor.x, cursor.y)) : null;
  const { blame } = state;
  const told = cursor && blame && blame.x === cursor.x && blame.y === cursor.y ? `   ${blame.text}` : "";
  find("where").textContent = shown === null ? "" : `${cursor.x}, ${cursor.y}   ${hex(shown)}${told}`;
  view.draw();
}

const palette = showPalette(find("palette"), setColour);
find("own").addEventListener("input", () => setColour(number(find("own").value)));

// Painting.

function brushed(x, y) {
  const size = Number(brush.value);
  const begin = Math.floor((size - 1) / 2);
  const pixels = [];
  for (let row = y - begin; row < y - begin + size; row += 1) {
    for (let column = x - begin; column < x - begin + size; column += 1) if (painting.has(column, row)) pixels.push(painting.place(column, row));
  }
  return pixels;
}

function paint(x, y, toX, toY) {
  if (!canPaint()) return sayWhyNot();
  painting.paint(line(x, y, toX, toY).flatMap(([column, row]) => brushed(column, row)), state.colour);
}

function sayWhyNot() {
  if (state.readOnly) say("This board is for looking only.");
}

function pick(x, y) {
  if (!painting.has(x, y)) return;
  setColour(painting.colour(painting.place(x, y)));
  say(`Picked ${find("chosen").textContent}`);
}

/** Says who painted a pixel, and at which entry. */
async function who(x, y) {
  if (!painting.has(x, y)) return;
  let text;
  try {
    const { index, painter } = await wire.painter(x, y);
    if (index === null) text = "never painted";
    else text = painter === null ? `painted by entry ${index}, which no log holds any more` : `painted by ${painter} (index ${index})`;
  } catch (error) {
    text = error.message;
  }
  state.blame = { x, y, text };
  showCursor();
  say(`Column ${x}, row ${y}: ${text}`);
}

function undo() {
  const count = painting.undo();
  say(count > 0 ? `Undone: ${count === 1 ? "1 pixel" : `${count} pixels`}` : "Nothing to undo that is still to be seen");
}

function moveCursor(dx, dy) {
  const { x, y } = state.cursor ?? { x: Math.floor(painting.width / 2), y: Math.floor(painting.height / 2) };
  const within = (at, most) => Math.min(Math.max(at, 0), most - 1);
  state.cursor = state.cursor ? { x: within(x + dx, painting.width), y: within(y + dy, painting.height) } : { x, y };
  view.reveal(state.cursor.x, state.cursor.y);
  showCursor();
  tell();
}

/** Says where the cursor is, and on what. */
function tell() {
  const { x, y } = state.cursor;
  const colour = painting.colour(painting.place(x, y));
  say(`Column ${x}, row ${y}: ${colourName(colour)} ${hex(colour)}`);
}

find("undo").addEventListener("click", undo);
painting.addEventListener("undo", () => { find("undo").disabled = !painting.canUndo; });
painting.addEventListener("committed", ({ detail }) => {
  const pixels = detail.pixels === 1 ? "1 pixel" : `${detail.pixels} pixels`;
  find("latency").textContent = `${pixels} committed in ${detail.ms.toFixed(detail.ms < 10 ? 1 : 0)} ms (index ${detail.index})`;
  showCoolDown();
});
painting.addEventListener("reverted", ({ detail }) => {
  const { places, reason, status } = detail;
  if (status === 403 || status === 401) setReadOnly(status === 403);
  const at = `${places[0] % painting.width}, ${Math.floor(places[0] / painting.width)}`;
  const what = places.length === 1 ? `The pixel at ${at} was not painted:` : `${places.length} pixels from ${at} on were not painted:`;
  notice(what, `${reason}.`);
  showCoolDown();
});
painting.addEventListener("changed", ({ detail }) => {
  const { blame } = state;
  if (blame && (!detail.places || detail.places.includes(painting.place(blame.x, blame.y)))) state.blame = null;
  if (state.cursor) showCursor();
});

let cooling = 0;
function showCoolDown() {
  clearTimeout(cooling);
  const left = painting.waitMs;
  find("cool-down").hidden = left <= 0;
  if (left <= 0) return;
  find("cool-down").textContent = `You can paint again in ${Math.ceil(left / 1000)} s. What you paint now waits until then.`;
  cooling = setTimeout(showCoolDown, left % 1000 || 1000);
}

function setReadOnly(isReadOnly) {
  state.readOnly = isReadOnly;
  find("painting").hidden = isReadOnly;
  find("read-only").hidden = !isReadOnly;
  showTool();
}

// The gateway.

wire.addEventListener("board", ({ detail }) => {
  painting.replace(detail);
  find("size").textContent = `${detail.width} × ${detail.height}`;
  canvas.setAttribute("aria-label", `The board, ${detail.width} by ${detail.height} pixels`);
  setReadOnly(detail.readOnly);
  tray.boardChanged();
});
wire.addEventListener("pixels", ({ detail }) => painting.take(detail));
wire.addEventListener("node", ({ detail }) => {
  if (detail.problem) return showState("waiting", detail.problem);
  state.node = detail.id;
  showState("", `behind ${detail.id}, ${detail.role.toLowerCase()}`);
});
wire.addEventListener("lost", ({ detail }) => showState("waiting", detail.reason ? `reconnecting: ${detail.reason}` : "reconnecting…"));
wire.addEventListener("refused", ({ detail }) => {
  state.refused = true;
  showState("lost", "not let in");
  notice("Not let in:", detail.reason);
  showTool();
});

// Hands and keys.

const tray = new Tray(painting, view, { notice, say });
new Hands(canvas, view, {
  tool: usedTool,
  isMovingPicture: () => tray.isMoving,
  paint: (...ends) => { setCursor(ends[2], ends[3]); paint(...ends); },
  end: () => painting.end(),
  cancel: () => painting.cancel(),
  pick,
  who,
  move: (dx, dy) => tray.move(dx, dy),
  hover: setCursor,
});

function setCursor(x, y) {
  state.cursor = x === null || !painting.has(x, y) ? null : { x, y };
  showCursor();
}

document.addEventListener("keydown", () => canvas.classList.add("keyed"));
document.addEventListener("pointerdown", () => canvas.classList.remove("keyed"), { capture: true });

const zoom = (factor) => view.zoom(factor);
find("zoom-in").addEventListener("click", () => zoom(1.5));
find("zoom-out").addEventListener("click", () => zoom(1 / 1.5));
find("zoom-fit").addEventListener("click", () => view.fit());

listenToKeys(canvas, find("keys"), find("help"), {
  move: (dx, dy) => (tray.isMoving ? tray.move(dx, dy) : moveCursor(dx, dy)),
  paint: () => {
    if (!state.cursor) return moveCursor(0, 0);
    const { x, y } = state.cursor;
    paint(x, y, x, y);
    painting.end();
    if (canPaint()) say(`Painted ${find("chosen").textContent} at column ${x}, row ${y}`);
  },
  pick: () => state.cursor && pick(state.cursor.x, state.cursor.y),
  who: () => state.cursor && who(state.cursor.x, state.cursor.y),
  undo,
  zoomIn: () => zoom(1.5),
  zoomOut: () => zoom(1 / 1.5),
  fit: () => view.fit(),
  brush: (step) => brush.step(step),
});

setColour(state.colour);
showTool();
wire.start();
