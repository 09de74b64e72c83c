// What a pointer means on the board: painting, picking, looking, moving, zooming.
//
// One finger, pen or left button does what the tool says; two fingers move and zoom, and take back the stroke that the first one began.
// To look is to move the board by a drag, and to ask by a click who painted a pixel. The wheel zooms; the middle button and Shift move.
//
// Invariant: all that a pointer can do on the board, keys can do.

const WHEEL_ZOOM = 1.0016;

/** A pointer that moves no further than this has not moved. */
const CLICK_PX = 4;

/** `does` has `paint(x, y, x2, y2)`, `end()`, `cancel()`, `pick(x, y)`, `who(x, y)`, `hover(x, y)`, `move(dx, dy)` for a picture; `tool()` and `isMovingPicture()`. */
export class Hands {
  #canvas;
  #view;
  #does;
  #pointers = new Map();
  #last = null;
  #doing = null;
  #began = null;

  constructor(canvas, view, does) {
    [this.#canvas, this.#view, this.#does] = [canvas, view, does];
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#up(event));
    canvas.addEventListener("pointercancel", (event) => this.#lose(event));
    canvas.addEventListener("pointerleave", () => { if (this.#pointers.size === 0) does.hover(null); });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 16 : 1;
      if (event.shiftKey) view.pan(-(event.deltaX + event.deltaY) * lines, 0);
      else view.zoom(WHEEL_ZOOM ** (-event.deltaY * lines), event.clientX, event.clientY);
    }, { passive: false });
  }

  #down(event) {
    if (event.pointerType === "mouse" && event.button === 2) return;
    event.preventDefault();
    this.#canvas.focus({ preventScroll: true });
    this.#canvas.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, event);
    if (this.#pointers.size === 2) {
      this.#does.cancel();
      this.#doing = "pinch";
      return;
    }
    const isMove = event.button === 1 || event.shiftKey;
    this.#began = event;
    this.#doing = this.#does.isMovingPicture() && event.button === 0 && !event.shiftKey ? "picture" : isMove ? "move" : this.#does.tool();
    const [x, y] = (this.#last = this.#view.at(event.clientX, event.clientY));
    if (this.#doing === "paint") this.#does.paint(x, y, x, y);
    if (this.#doing === "pick") this.#does.pick(x, y);
  }

  #move(event) {
    const [x, y] = this.#view.at(event.clientX, event.clientY);
    const before = this.#pointers.get(event.pointerId);
    if (!before) return this.#does.hover(x, y);
    this.#pointers.set(event.pointerId, event);
    const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY];
    if (this.#doing === "pinch") return this.#pinch(event, before);
    if (this.#doing === "move" || (this.#doing === "look" && !this.#isClick(event))) return this.#view.pan(dx, dy);
    this.#does.hover(x, y);
    const [lastX, lastY] = this.#last;
    if (x === lastX && y === lastY) return;
    if (this.#doing === "paint") this.#does.paint(lastX, lastY, x, y);
    if (this.#doing === "pick") this.#does.pick(x, y);
    if (this.#doing === "picture") this.#does.move(x - lastX, y - lastY);
    this.#last = [x, y];
  }

  #pinch(event, before) {
    const other = [...this.#pointers.values()].find((pointer) => pointer.pointerId !== event.pointerId);
    if (!other) return;
    const apart = (pointer) => Math.hypot(pointer.clientX - other.clientX, pointer.clientY - other.clientY);
    const middle = [(event.clientX + other.clientX) / 2, (event.clientY + other.clientY) / 2];
    this.#view.pan((event.clientX - before.clientX) / 2, (event.clientY - before.clientY) / 2);
    if (apart(before) > 8) this.#view.zoom(apart(event) / apart(before), ...middle);
  }

  #up(event) {
    if (!this.#pointers.delete(event.pointerId)) return;
    if (this.#doing === "paint") this.#does.end();
    if (this.#doing === "look" && this.#isClick(event)) {
      const [x, y] = this.#view.at(event.clientX, event.clientY);
      this.#does.hover(x, y);
      this.#does.who(x, y);
    } else if (event.pointerType !== "mouse") {
      this.#does.hover(null);
    }
    if (this.#pointers.size === 0) this.#doing = null;
  }

  /** Whether a pointer has stayed where it came down. */
  #isClick(event) {
    return Math.hypot(event.clientX - this.#began.clientX, event.clientY - this.#began.clientY) <= CLICK_PX;
  }

  #lose(event) {
    if (!this.#pointers.delete(event.pointerId)) return;
    if (this.#doing === "paint") this.#does.cancel();
    if (this.#pointers.size === 0) this.#doing = null;
  }
}

/** The pixels from one to another, both included. */
export function line(x, y, toX, toY) {
  const [dx, dy] = [Math.abs(toX - x), -Math.abs(toY - y)];
  const [stepX, stepY] = [x < toX ? 1 : -1, y < toY ? 1 : -1];
  const pixels = [[x, y]];
  let error = dx + dy;
  while (x !== toX || y !== toY) {
    const twice = 2 * error;
    if (twice >= dy) { error += dy; x += stepX; }
    if (twice <= dx) { error += dx; y += stepY; }
    pixels.push([x, y]);
  }
  return pixels;
}
