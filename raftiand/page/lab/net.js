// The socket to the daemon: JSON-RPC 2.0 over one WebSocket, which comes back by itself.
//
// Invariants: the ticket of the address is used once, and the key that it earns is kept for this origin alone; a call ends
// with its answer, or with an error when the socket closes, and is never sent twice. The stream of views is on only while the
// page is to be seen, and resumes after the last event that was seen: none is lost, none comes twice.
//
// Absent: what the answers mean (store.js), and any timer while the page is hidden.

const KEY = "raftian.key";
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;

/** An error that the daemon or a node answered with. `note` has its text and its hints. */
export class CallError extends Error {
  constructor({ message, code, data }) {
    super(message);
    this.code = code;
    this.kind = data?.kind;
    this.note = { text: data?.note?.text ?? message, hints: data?.note?.hints ?? [] };
  }
}

/** The connection. `hear` is called with {state}, {view}, {events} and {messages}. */
export class Net {
  constructor(hear) {
    this.hear = hear;
    this.socket = null;
    this.calls = new Map();
    this.next = 1;
    this.since = 0;
    this.subscription = null;
    this.wait = FIRST_WAIT_MS;
    this.timer = null;
    this.ticket = takeTicket();
    document.addEventListener("visibilitychange", () => this.seen());
    addEventListener("hashchange", () => {
      this.ticket = takeTicket() ?? this.ticket;
      if (this.ticket && !this.socket) this.open();
    });
    // A page of this lab that was let in meanwhile left its key here.
    addEventListener("storage", ({ key, newValue }) => key === KEY && newValue && !this.socket && this.open());
  }

  /** Opens the socket: with the ticket of the address, else with the key that is kept. */
  open() {
    clearTimeout(this.timer);
    this.timer = null;
    const ticket = this.ticket;
    const key = localStorage.getItem(KEY);
    if (!ticket && !key) {
      this.hear({ state: "refused" });
      return;
    }
    this.hadTicket = Boolean(ticket);
    this.ticket = null;
    const pass = ticket ? `ticket.${ticket}` : `key.${key}`;
    const socket = new WebSocket(`ws://${location.host}/`, ["raftian", pass]);
    let isIn = false;
    socket.onopen = () => {
      isIn = true;
      this.socket = socket;
      this.wait = FIRST_WAIT_MS;
      this.enter(Boolean(ticket));
    };
    socket.onmessage = ({ data }) => this.take(JSON.parse(data));
    socket.onclose = () => (isIn ? this.lost() : this.shutOut(Boolean(ticket && key)));
  }

  /** In: gets the key where a ticket was used, says so, and watches. */
  async enter(byTicket) {
    try {
      if (byTicket) localStorage.setItem(KEY, await this.call("view.key", []));
      const hello = await this.call("lab.hello", []);
      this.hear({ state: "open", hello });
    } catch {
      return; // The socket is gone already, which its end tells.
    }
    this.seen();
  }

  /** A call of the daemon; `params` are an array, by position. */
  call(method, params) {
    return new Promise((resolve, reject) => {
      if (this.socket?.readyState !== WebSocket.OPEN) {
        reject(new CallError({ message: "the page has no connection to the lab" }));
        return;
      }
      const id = this.next++;
      this.calls.set(id, { resolve, reject });
      this.socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    });
  }

  take({ id, method, params, result, error }) {
    if (method === "view.frame") {
      if (params.subscription === this.subscription) this.frame(params);
      return;
    }
    const call = this.calls.get(id);
    this.calls.delete(id);
    if (error) call?.reject(new CallError(error));
    else call?.resolve(result);
  }

  frame({ result, error }) {
    if (error) {
      this.subscription = null;
      this.seen();
      return;
    }
    if (result.events?.length) this.since = result.events.at(-1).seq + 1;
    this.hear(result);
  }

  /** The page came into sight, or left it. */
  seen() {
    if (document.hidden) {
      this.unwatch();
    } else if (this.socket?.readyState === WebSocket.OPEN) {
      this.watch();
    } else if (this.timer) {
      this.open();
    }
  }

  async watch() {
    if (this.subscription !== null) return;
    this.subscription = "asked";
    try {
      const request = { since: this.since, messages: true };
      const subscription = await this.call("view.watch", [request]);
      this.subscription = subscription;
      if (document.hidden) this.unwatch();
    } catch {
      this.subscription = null;
    }
  }

  unwatch() {
    if (this.subscription === null || this.subscription === "asked") return;
    this.call("view.unwatch", [this.subscription]).catch(() => {});
    this.subscription = null;
  }

  /** Hears all events again that the daemon remembers, from the first. */
  rewind() {
    this.unwatch();
    this.since = 1;
    this.seen();
  }

  /** The socket was open, and is closed. */
  lost() {
    this.socket = null;
    this.subscription = null;
    for (const { reject } of this.calls.values()) {
      reject(new CallError({ message: "the connection closed before the answer came; what was asked may have been done" }));
    }
    this.calls.clear();
    this.hear({ state: "closed" });
    this.again();
  }

  /** The socket did not open: the daemon refuses the page, or there is no daemon. */
  async shutOut(hasAnother) {
    if (hasAnother) {
      this.open();
      return;
    }
    const isThere = await fetch("icon.svg", { cache: "no-store" }).then((answer) => answer.ok, () => false);
    this.hear({ state: isThere ? "refused" : "closed", isUsed: this.hadTicket });
    if (!isThere) this.again();
  }

  /** Tries again in a while, and later still after each failure; a hidden page waits until it is seen. */
  again() {
    this.wait = Math.min(this.wait * 1.7, LONGEST_WAIT_MS);
    this.timer = setTimeout(() => !document.hidden && this.open(), this.wait);
  }
}

/** The ticket that the address brings, which then leaves the address. */
function takeTicket() {
  const [, ticket] = location.hash.match(/^#ticket=([0-9a-f]+)$/i) ?? [];
  if (ticket) history.replaceState(null, "", location.pathname);
  return ticket ?? null;
}
