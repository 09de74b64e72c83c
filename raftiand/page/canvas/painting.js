// What is on the board, and what of it is still to be committed.
//
// A stroke is shown at once, as pending. It goes out in batches, one after the other; what is painted meanwhile goes with the next
// one. A batch that is committed stays until its entry has come over the socket too, so nothing flickers. One that is not committed
// is taken off again: its pixels show what is committed, whatever that is by then.
//
// Invariant: what is committed comes from the gateway alone (`Wire`), never from our own strokes.
//
// Deliberately absent: drawing (`view.js`).

import { NotPainted } from "./wire.js";

const MAX_BATCH = 4096;
const MAX_UNDO = 100;

/** How long a stroke waits for more of itself, or for a second finger, before it goes out. */
const GATHER_MS = 90;

/** Says `changed` (places that may look different), `committed`, `reverted` and `undo`. */
export class Painting extends EventTarget {
  width = 0;
  height = 0;
  coolDownMs = 0;
  #wire;
  #painter;
  #committed = new Uint32Array(0);
  /** Batches that are not on the board yet, in order; the last may still grow. */
  #batches = [];
  /** The batch on top of each place that has one. */
  #top = new Map();
  #undo = [];
  #stroke = null;
  #sending = false;
  #readyAt = 0;
  #timer = 0;

  constructor(wire, painter) {
    super();
    this.#wire = wire;
    this.#painter = painter;
  }

  /** Takes a whole board from the gateway. */
  replace({ width, height, colours, index, coolDownMs }) {
    [this.width, this.height, this.#committed, this.coolDownMs] = [width, height, colours, coolDownMs];
    this.#settle(index);
    this.#say("changed", { places: null });
  }

  /** Takes what was committed. */
  take({ pixels, index }) {
    const places = [];
    for (const [x, y, colour] of pixels) {
      if (!this.has(x, y)) continue;
      const place = this.place(x, y);
      this.#committed[place] = colour;
      places.push(place);
    }
    this.#settle(index);
    this.#say("changed", { places });
  }

  has(x, y) {
    return x >= 0 && y >= 0 && x < this.width && y < this.height;
  }

  place(x, y) {
    return y * this.width + x;
  }

  /** What a place shows. */
  colour(place) {
    return this.#top.get(place)?.pixels.get(place) ?? this.#committed[place];
  }

  /** The places that are shown and not committed. */
  *pending() {
    for (const [place, batch] of this.#top) if (batch.index === 0) yield place;
  }

  get canUndo() {
    return this.#undo.length > 0;
  }

  /** How long until the next stroke may go out. */
  get waitMs() {
    return Math.max(0, this.#readyAt - performance.now());
  }

  begin() {
    this.#stroke = { before: new Map(), after: new Map(), began: performance.now(), open: true };
  }

  /** Paints pixels of the stroke that was begun. */
  paint(places, colour) {
    if (!this.#stroke) this.begin();
    const changed = [];
    for (const place of places) {
      const shown = this.colour(place);
      if (shown === colour) continue;
      if (!this.#stroke.before.has(place)) this.#stroke.before.set(place, shown);
      this.#stroke.after.set(place, colour);
      this.#add(place, colour, this.#stroke);
      changed.push(place);
    }
    if (changed.length > 0) this.#say("changed", { places: changed });
    this.#schedule();
  }

  /** Ends the stroke; it can be undone from now on. */
  end() {
    const stroke = this.#stroke;
    this.#stroke = null;
    if (!stroke || stroke.after.size === 0) return;
    stroke.open = false;
    this.#undo.push(stroke);
    if (this.#undo.length > MAX_UNDO) this.#undo.shift();
    this.#say("undo", {});
    this.#schedule();
  }

  /** Takes back what of the stroke has not gone out: it was the beginning of something else. */
  cancel() {
    const stroke = this.#stroke;
    this.#stroke = null;
    if (!stroke) return;
    const gone = this.#batches.filter((batch) => !batch.sent && batch.stroke === stroke);
    this.#drop(gone);
  }

  /** Paints what was there before the last stroke, where that stroke is still to be seen. It is a stroke of its own in the log. */
  undo() {
    const stroke = this.#undo.pop();
    if (!stroke) return 0;
    const restored = [...stroke.before].filter(([place]) => this.colour(place) === stroke.after.get(place));
    const restoring = { before: new Map(), after: new Map(), began: 0, open: false };
    restored.forEach(([place, colour]) => this.#add(place, colour, restoring));
    this.#say("changed", { places: restored.map(([place]) => place) });
    this.#say("undo", {});
    this.#schedule();
    return restored.length;
  }

  /** Paints many pixels `[place, colour]`, a batch at a time; `progress` hears how many are committed, and may say stop. */
  async pour(pixels, progress) {
    const stroke = { before: new Map(), after: new Map(), began: 0, open: false };
    let done = 0;
    for (let at = 0; at < pixels.length; at += MAX_BATCH) {
      const part = pixels.slice(at, at + MAX_BATCH);
      const changed = part.filter(([place, colour]) => this.colour(place) !== colour);
      changed.forEach(([place, colour]) => {
        stroke.before.set(place, this.colour(place));
        stroke.after.set(place, colour);
        this.#add(place, colour, stroke);
      });
      this.#say("changed", { places: changed.map(([place]) => place) });
      this.#schedule();
      const batches = this.#batches.filter((batch) => batch.stroke === stroke);
      const outcomes = await Promise.all(batches.map((batch) => batch.outcome));
      if (outcomes.includes(false)) break;
      done += part.length;
      if (progress(done) === false) break;
    }
    if (stroke.after.size > 0) {
      this.#undo.push(stroke);
      this.#say("undo", {});
    }
    return done;
  }

  #add(place, colour, stroke) {
    let batch = this.#batches.at(-1);
    if (!batch || batch.sent || batch.stroke !== stroke || batch.pixels.size >= MAX_BATCH) {
      batch = { pixels: new Map(), stroke, sent: false, index: 0 };
      batch.outcome = new Promise((resolve) => { batch.resolve = resolve; });
      this.#batches.push(batch);
    }
    batch.pixels.set(place, colour);
    this.#top.set(place, batch);
  }

  /** Sees to it that what can go out does. */
  #schedule() {
    clearTimeout(this.#timer);
    const next = this.#batches.find((batch) => !batch.sent);
    if (!next || this.#sending) return;
    const { stroke } = next;
    // With a cool-down a stroke is to be whole; without, a long one is shown to others while it grows.
    if (stroke.open && this.coolDownMs > 0) return;
    const gather = stroke.open ? stroke.began + GATHER_MS - performance.now() : 0;
    const wait = Math.max(gather, this.waitMs);
    if (wait <= 0) this.#send();
    else this.#timer = setTimeout(() => this.#schedule(), wait);
  }

  async #send() {
    const first = this.#batches.findIndex((batch) => !batch.sent);
    const taken = [];
    let size = 0;
    for (const batch of this.#batches.slice(first)) {
      if (size + batch.pixels.size > MAX_BATCH || (batch.stroke.open && taken.length > 0)) break;
      taken.push(batch);
      size += batch.pixels.size;
    }
    const pixels = new Map();
    taken.forEach((batch) => {
      batch.sent = true;
      batch.pixels.forEach((colour, place) => { pixels.delete(place); pixels.set(place, colour); });
    });
    this.#sending = true;
    const began = performance.now();
    try {
      const list = [...pixels].map(([place, colour]) => [place % this.width, Math.floor(place / this.width), colour]);
      const index = await this.#wire.paint(this.#painter(), list);
      taken.forEach((batch) => { batch.index = index || this.#wire.seen; batch.resolve(true); });
      if (this.coolDownMs > 0) this.#readyAt = performance.now() + this.coolDownMs;
      this.#settle(this.#wire.seen);
      this.#say("committed", { index, ms: performance.now() - began, pixels: pixels.size });
      this.#say("changed", { places: [...pixels.keys()] });
    } catch (error) {
      const why = error instanceof NotPainted ? error : new NotPainted(String(error.message ?? error));
      if (why.waitMs > 0) this.#readyAt = performance.now() + why.waitMs;
      this.#forget(taken);
      this.#drop(taken);
      this.#say("reverted", { reason: why.message, status: why.status, places: [...pixels.keys()] });
    } finally {
      this.#sending = false;
      this.#schedule();
    }
  }

  /** Batches whose entry has come over the socket are on the board. */
  #settle(seen) {
    const settled = this.#batches.filter((batch) => batch.index > 0 && batch.index <= seen);
    if (settled.length > 0) this.#drop(settled);
  }

  #drop(gone) {
    if (gone.length === 0) return;
    gone.forEach((batch) => batch.resolve(batch.index > 0));
    this.#batches = this.#batches.filter((batch) => !gone.includes(batch));
    const places = gone.flatMap((batch) => [...batch.pixels.keys()]);
    for (const place of places) {
      const top = this.#batches.findLast((batch) => batch.pixels.has(place));
      if (top) this.#top.set(place, top);
      else this.#top.delete(place);
    }
    this.#say("changed", { places });
  }

  /** What was not painted is not undone either. */
  #forget(batches) {
    for (const { stroke, pixels } of batches) pixels.forEach((_, place) => { stroke.before.delete(place); stroke.after.delete(place); });
    this.#undo = this.#undo.filter((stroke) => stroke.after.size > 0);
    this.#say("undo", {});
  }

  #say(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
