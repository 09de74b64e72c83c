// The keys of the board, and the list of them.

const LIST = [
  ["Arrows", "move the cursor; with Shift by ten"],
  ["Enter, Space", "paint at the cursor"],
  ["P", "pick the colour at the cursor"],
  ["W", "say who painted the pixel at the cursor"],
  ["U, Ctrl+Z", "undo the last stroke"],
  ["[ ]", "a smaller or a larger brush"],
  ["+ − 0", "zoom in, zoom out, show the whole board"],
  ["Wheel, two fingers", "zoom"],
  ["Shift and drag", "move the board; so does the middle button"],
  ["?", "this list"],
];

/** Has keys on the board do something; the dialog shows which. */
export function listenToKeys(canvas, dialog, opener, does) {
  const list = dialog.querySelector("dl");
  for (const [keys, meaning] of LIST) {
    const [term, text] = [document.createElement("dt"), document.createElement("dd")];
    [term.textContent, text.textContent] = [keys, meaning];
    list.append(term, text);
  }
  opener.addEventListener("click", () => dialog.showModal());
  const step = (dx, dy) => (event) => does.move(dx * (event.shiftKey ? 10 : 1), dy * (event.shiftKey ? 10 : 1));
  const keys = {
    ArrowLeft: step(-1, 0), ArrowRight: step(1, 0), ArrowUp: step(0, -1), ArrowDown: step(0, 1),
    Enter: does.paint, " ": does.paint, p: does.pick, w: does.who, u: does.undo,
    "+": does.zoomIn, "=": does.zoomIn, "-": does.zoomOut, 0: does.fit,
    "[": () => does.brush(-1), "]": () => does.brush(1), "?": () => dialog.showModal(),
  };
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const action = keys[event.key] ?? keys[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    action(event);
  });
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target instanceof HTMLInputElement && event.target.type === "text";
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z" && !isTyping) {
      event.preventDefault();
      does.undo();
    }
  });
}
