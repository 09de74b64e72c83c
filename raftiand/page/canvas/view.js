// The board as it is seen: zoomed, moved, with what is pending outlined, a cursor, and a picture laid over it.
//
// Invariant: it is drawn when something has changed, and then once a frame at most; an idle page draws nothing. A pixel of the board
// has sharp edges at every zoom.
//
// Deliberately absent: what a pointer or a key means (`hands.js`).

const MIN_SCALE = 0.25;
const MAX_SCALE = 64;
const MARGIN = 32;

/** The room at the lower edge, where the zoom and the place of the cursor stand. */
const FOOT = 64;

/** From this zoom on lines are drawn between pixels. */
const GRID_SCALE = 12;

const REVERTED_MS = 2600;

export class View {
  cursor = null;
  /** A picture over the board: `{ source, x, y, width, height, opacity }`. */
  overlay = null;
  #canvas;
  #painting;
  #board = document.createElement("canvas");
  #image = null;
  #words = null;
  #scale = 1;
  #left = 0;
  #top = 0;
  #fitted = true;
  #asked = false;
  #reverted = new Map();
  #colours = {};

  constructor(canvas, painting) {
    [this.#canvas, this.#painting] = [canvas, painting];
    painting.addEventListener("changed", ({ detail }) => this.#change(detail.places));
    painting.addEventListener("reverted", ({ detail }) => this.#mark(detail.places));
    new ResizeObserver(() => this.#resize()).observe(canvas);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", () => this.#readColours());
    this.#readColours();
  }

  get scale() {
    return this.#scale;
  }

  /** The pixel of the board under a place of the page; it may be off the board. */
  at(clientX, clientY) {
    const box = this.#canvas.getBoundingClientRect();
    return [Math.floor((clientX - box.left - this.#left) / this.#scale), Math.floor((clientY - box.top - this.#top) / this.#scale)];
  }

  /** Where the middle of a pixel of the board is on the page. */
  middle(x, y) {
    const box = this.#canvas.getBoundingClientRect();
    return [box.left + this.#left + (x + 0.5) * this.#scale, box.top + this.#top + (y + 0.5) * this.#scale];
  }

  /** Shows the whole board. */
  fit() {
    const { width, height } = this.#painting;
    if (width === 0) return;
    const box = this.#canvas.getBoundingClientRect();
    const margin = Math.min(MARGIN, box.width / 16);
    const scale = Math.min((box.width - 2 * margin) / width, (box.height - margin - FOOT) / height);
    this.#scale = clamp(scale >= 2 ? Math.floor(scale) : scale, MIN_SCALE, MAX_SCALE);
    this.#left = Math.round((box.width - width * this.#scale) / 2);
    this.#top = Math.round((box.height + margin - FOOT - height * this.#scale) / 2);
    this.#fitted = true;
    this.draw();
  }

  /** Zooms, and keeps what is under a place of the page there; by default its middle. */
  zoom(factor, clientX, clientY) {
    const box = this.#canvas.getBoundingClientRect();
    const [x, y] = [(clientX ?? box.left + box.width / 2) - box.left, (clientY ?? box.top + box.height / 2) - box.top];
    const scale = clamp(this.#scale * factor, MIN_SCALE, MAX_SCALE);
    this.#left = x - ((x - this.#left) * scale) / this.#scale;
    this.#top = y - ((y - this.#top) * scale) / this.#scale;
    this.#scale = scale;
    this.pan(0, 0);
  }

  /** Moves the board, never out of sight. */
  pan(dx, dy) {
    const box = this.#canvas.getBoundingClientRect();
    const [width, height] = [this.#painting.width * this.#scale, this.#painting.height * this.#scale];
    const keep = 48;
    this.#left = clamp(this.#left + dx, keep - width, box.width - keep);
    this.#top = clamp(this.#top + dy, keep - height, box.height - keep);
    this.#fitted = false;
    this.draw();
  }

  /** Moves the board so far that a pixel of it can be seen. */
  reveal(x, y) {
    const box = this.#canvas.getBoundingClientRect();
    const [clientX, clientY] = this.middle(x, y);
    const margin = 24;
    const dx = Math.max(0, box.left + margin - clientX) - Math.max(0, clientX - box.right + margin);
    const dy = Math.max(0, box.top + margin - clientY) - Math.max(0, clientY - box.bottom + margin);
    if (dx !== 0 || dy !== 0) this.pan(dx, dy);
    else this.draw();
  }

  /** Has it drawn with the next frame. */
  draw() {
    if (this.#asked) return;
    this.#asked = true;
    requestAnimationFrame(() => {
      this.#asked = false;
      this.#draw();
    });
  }

  #change(places) {
    const { width, height } = this.#painting;
    if (!this.#image || this.#image.width !== width || this.#image.height !== height) {
      [this.#board.width, this.#board.height] = [width, height];
      this.#image = new ImageData(width, height);
      this.#words = new Uint32Array(this.#image.data.buffer);
      places = null;
      this.fit();
    }
    let [left, top, right, bottom] = [width, height, -1, -1];
    const paint = (place) => {
      const colour = this.#painting.colour(place);
      this.#words[place] = 0xff000000 | ((colour & 0xff) << 16) | (colour & 0xff00) | (colour >> 16);
      const [x, y] = [place % width, Math.floor(place / width)];
      [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x), Math.max(bottom, y)];
    };
    if (places) for (const place of places) paint(place);
    else for (let place = 0; place < width * height; place += 1) paint(place);
    if (right < 0) return;
    this.#board.getContext("2d").putImageData(this.#image, 0, 0, left, top, right - left + 1, bottom - top + 1);
    this.draw();
  }

  #mark(places) {
    const until = performance.now() + REVERTED_MS;
    places.forEach((place) => this.#reverted.set(place, until));
    setTimeout(() => {
      for (const [place, end] of this.#reverted) if (end <= performance.now()) this.#reverted.delete(place);
      this.draw();
    }, REVERTED_MS + 20);
    this.draw();
  }

  #resize() {
    const ratio = devicePixelRatio || 1;
    const box = this.#canvas.getBoundingClientRect();
    [this.#canvas.width, this.#canvas.height] = [Math.round(box.width * ratio), Math.round(box.height * ratio)];
    if (this.#fitted) this.fit();
    else this.pan(0, 0);
    this.#draw();
  }

  #readColours() {
    // A colour that depends on the scheme is known once it is computed for an element.
    const probe = document.createElement("i");
    document.body.append(probe);
    for (const name of ["accent", "line", "edge", "bad-ink", "card"]) {
      probe.style.color = `var(--${name})`;
      this.#colours[name] = getComputedStyle(probe).color;
    }
    probe.remove();
    this.draw();
  }

  #draw() {
    const { width, height } = this.#painting;
    const ratio = devicePixelRatio || 1;
    const context = this.#canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    if (width === 0) return;
    const [scale, left, top] = [this.#scale, this.#left, this.#top];
    context.save();
    context.shadowColor = "rgb(0 0 0 / .18)";
    context.shadowBlur = 24;
    context.shadowOffsetY = 4;
    context.fillStyle = "#000";
    context.fillRect(left, top, width * scale, height * scale);
    context.restore();
    context.imageSmoothingEnabled = scale < 1;
    context.drawImage(this.#board, left, top, width * scale, height * scale);
    if (scale >= GRID_SCALE) this.#drawGrid(context);
    if (this.overlay) this.#drawOverlay(context);
    this.#outline(context, this.#painting.pending(), this.#colours.accent);
    this.#outline(context, this.#reverted.keys(), this.#colours["bad-ink"]);
    context.strokeStyle = this.#colours.edge;
    context.lineWidth = 1;
    context.strokeRect(left - 0.5, top - 0.5, width * scale + 1, height * scale + 1);
    if (this.cursor) this.#drawCursor(context);
  }

  #drawGrid(context) {
    const [scale, left, top] = [this.#scale, this.#left, this.#top];
    const { width, height } = this.#painting;
    const [across, down] = [this.#canvas.clientWidth, this.#canvas.clientHeight];
    context.beginPath();
    for (let x = Math.max(1, Math.ceil(-left / scale)); x < width && left + x * scale < across; x += 1) {
      context.rect(Math.round(left + x * scale) - 0.5, Math.max(0, top), 0, Math.min(down, top + height * scale) - Math.max(0, top));
    }
    for (let y = Math.max(1, Math.ceil(-top / scale)); y < height && top + y * scale < down; y += 1) {
      context.rect(Math.max(0, left), Math.round(top + y * scale) - 0.5, Math.min(across, left + width * scale) - Math.max(0, left), 0);
    }
    context.strokeStyle = "rgb(128 128 128 / .28)";
    context.lineWidth = 1;
    context.stroke();
  }

  /** Outlines pixels, twice, so that it is seen on every colour. */
  #outline(context, places, colour) {
    const [scale, { width }] = [this.#scale, this.#painting];
    const inset = scale >= 8 ? 1.5 : 0.5;
    const path = new Path2D();
    let any = false;
    for (const place of places) {
      const [x, y] = [this.#left + (place % width) * scale, this.#top + Math.floor(place / width) * scale];
      path.rect(x + inset, y + inset, Math.max(1, scale - 2 * inset), Math.max(1, scale - 2 * inset));
      any = true;
    }
    if (!any) return;
    context.strokeStyle = this.#colours.card;
    context.lineWidth = scale >= 8 ? 4 : 2;
    context.stroke(path);
    context.strokeStyle = colour;
    context.lineWidth = scale >= 8 ? 2 : 1;
    context.stroke(path);
  }

  #drawOverlay(context) {
    const { source, x, y, width, height, opacity, isTemplate } = this.overlay;
    const box = [this.#left + x * this.#scale, this.#top + y * this.#scale, width * this.#scale, height * this.#scale];
    context.globalAlpha = opacity;
    context.imageSmoothingEnabled = false;
    context.drawImage(source, ...box);
    context.globalAlpha = 1;
    if (isTemplate) return;
    context.strokeStyle = this.#colours.accent;
    context.lineWidth = 2;
    context.setLineDash([6, 4]);
    context.strokeRect(...box);
    context.setLineDash([]);
  }

  #drawCursor(context) {
    const { x, y, size, colour } = this.cursor;
    const [begin, scale] = [Math.floor((size - 1) / 2), this.#scale];
    const box = [this.#left + (x - begin) * scale, this.#top + (y - begin) * scale, size * scale, size * scale];
    if (colour !== null && scale >= 4) {
      context.globalAlpha = 0.55;
      context.fillStyle = colour;
      context.fillRect(...box);
      context.globalAlpha = 1;
    }
    context.lineWidth = 3;
    context.strokeStyle = "#fff";
    context.strokeRect(...box);
    context.lineWidth = 1;
    context.strokeStyle = "#000";
    context.strokeRect(...box);
  }
}

const clamp = (value, least, most) => Math.min(Math.max(value, Math.min(least, most)), Math.max(least, most));
