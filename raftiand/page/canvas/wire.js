// The way to the canvas's gateway: the board, what is painted on it, and what we paint.
//
// Invariant: every entry is seen once and in order, over broken connections too: each socket begins after the last entry that was
// seen, and where the gateway has forgotten what came next, the board is loaded anew. What comes while it loads waits.
//
// Deliberately absent: what is done with it (`painting.js`, `canvas.js`).

const PING_MS = 5000;
const PONG_MS = 4000;
const FIRST_RETRY_MS = 300;
const LAST_RETRY_MS = 5000;

/** Why something was not painted, for people; `waitMs` says when to come again, where that is known. */
export class NotPainted extends Error {
  constructor(detail, { status = 0, waitMs = 0 } = {}) {
    super(detail);
    this.status = status;
    this.waitMs = waitMs;
  }
}

/** Says `board`, `pixels`, `node`, `lost` and `refused`. */
export class Wire extends EventTarget {
  #socket = null;
  #seen = 0;
  #waiting = null;
  #retryMs = FIRST_RETRY_MS;
  #silence = 0;

  /** The last entry that is on the board. */
  get seen() {
    return this.#seen;
  }

  async start() {
    try {
      await this.#load();
      this.#follow();
    } catch (error) {
      if (error instanceof NotPainted && error.status > 0 && error.status < 500) return this.#say("refused", { reason: error.message });
      this.#say("lost", { reason: error.message });
      setTimeout(() => this.start(), this.#backOff());
    }
  }

  /** Paints pixels `[x, y, colour]`, up to 4096; the entry that did, once it is committed. */
  async paint(painter, pixels) {
    let answer;
    try {
      answer = await fetch("/client/pixels", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ user_id: painter, pixels }),
      });
    } catch {
      throw new NotPainted("the canvas cannot be reached");
    }
    if (!answer.ok) throw await refusal(answer);
    return Number(answer.headers.get("x-canvas-index") ?? 0);
  }

  /** Who painted a pixel: `{ color, index, painter }`, each `null` where it is not known. */
  async painter(x, y) {
    let answer;
    try {
      answer = await fetch(`/client/painter?x=${x}&y=${y}`);
    } catch {
      throw new NotPainted("the canvas cannot be reached");
    }
    if (!answer.ok) throw await refusal(answer);
    return answer.json();
  }

  async #load() {
    this.#waiting ??= [];
    let answer;
    try {
      answer = await fetch("/client/board");
    } catch {
      throw new NotPainted("the canvas cannot be reached");
    }
    if (!answer.ok) throw await refusal(answer);
    const board = decodeBoard(await answer.arrayBuffer());
    this.#seen = board.index;
    this.#say("board", {
      ...board,
      readOnly: answer.headers.get("x-canvas-grant") === "look",
      coolDownMs: Number(answer.headers.get("x-canvas-cool-down-ms") ?? 0),
    });
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting.forEach((bytes) => this.#take(bytes));
  }

  #follow() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/ws?format=binary&after=${this.#seen}`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#listen(socket);
    socket.onmessage = ({ data }) => {
      this.#retryMs = FIRST_RETRY_MS;
      this.#listen(socket);
      if (data instanceof ArrayBuffer) this.#take(data);
      else this.#hear(socket, data);
    };
    socket.onclose = ({ reason }) => {
      clearTimeout(this.#silence);
      if (this.#socket !== socket) return;
      this.#socket = null;
      this.#say("lost", { reason });
      // The board is asked for first: it says why, where we are not let in any more.
      setTimeout(() => this.#resume(), this.#backOff());
    };
    this.#socket = socket;
  }

  /** Goes on after the last entry, unless nobody lets us in any more. */
  async #resume() {
    let answer = null;
    try {
      answer = await fetch("/client/status");
    } catch {
      // Nobody is there yet.
    }
    if (answer && (answer.status === 401 || answer.status === 403)) {
      return this.#say("refused", { reason: (await refusal(answer)).message });
    }
    if (answer) return this.#follow();
    setTimeout(() => this.#resume(), this.#backOff());
  }

  /** A socket that says nothing is asked; one that does not answer is given up. */
  #listen(socket) {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      if (socket.readyState !== WebSocket.OPEN) return;
      socket.send('{"type":"ping"}');
      this.#silence = setTimeout(() => socket.close(), PONG_MS);
    }, PING_MS);
  }

  #hear(socket, text) {
    let said;
    try {
      said = JSON.parse(text);
    } catch {
      return;
    }
    if (said.type === "node") this.#say("node", { id: String(said.content.node.id), role: String(said.content.node.role) });
    if (said.type === "error") this.#say("node", { problem: String(said.message) });
    if (said.type === "resync") this.#load().catch(() => socket.close());
  }

  #take(bytes) {
    if (this.#waiting) return this.#waiting.push(bytes);
    const view = new DataView(bytes);
    if (view.byteLength < 9 || view.getUint8(0) !== 1) return;
    const index = Number(view.getBigUint64(1, true));
    if (index <= this.#seen) return;
    const pixels = [];
    for (let at = 9; at + 7 <= view.byteLength; at += 7) {
      pixels.push([view.getUint16(at, true), view.getUint16(at + 2, true), rgb(view, at + 4)]);
    }
    this.#seen = index;
    this.#say("pixels", { index, pixels });
  }

  #backOff() {
    const ms = this.#retryMs * (0.75 + Math.random() / 2);
    this.#retryMs = Math.min(LAST_RETRY_MS, this.#retryMs * 1.7);
    return ms;
  }

  #say(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

const rgb = (view, at) => (view.getUint8(at) << 16) | (view.getUint8(at + 1) << 8) | view.getUint8(at + 2);

/** Width, height, last entry, and the colours 0xRRGGBB row by row. */
function decodeBoard(buffer) {
  const view = new DataView(buffer);
  const [width, height, count] = [view.getUint16(0, true), view.getUint16(2, true), view.getUint16(12, true)];
  const palette = Array.from({ length: count }, (_, place) => rgb(view, 14 + 3 * place));
  const begin = 14 + 3 * count;
  const colours = new Uint32Array(width * height);
  for (let place = 0; place < colours.length; place += 1) {
    colours[place] = count > 0 ? palette[view.getUint8(begin + place)] : rgb(view, begin + 3 * place);
  }
  return { width, height, index: Number(view.getBigUint64(4, true)), colours };
}

async function refusal(answer) {
  let detail = `the canvas answered ${answer.status}`;
  try {
    detail = String((await answer.json()).detail ?? detail);
  } catch {
    // An answer without a reason.
  }
  const waitMs = 1000 * Number(/wait ([\d.]+) s/.exec(detail)?.[1] ?? answer.headers.get("retry-after") ?? 0);
  return new NotPainted(detail, { status: answer.status, waitMs });
}
