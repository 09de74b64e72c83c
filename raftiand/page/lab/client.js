// Commands and reads of the application, through a node.
//
// Invariants (§8): a client has one command outstanding, so commands go out in lanes, each a client of its own name; a serial is
// used again until its outcome is known, and then never more, so that no command is applied twice.
//
// Absent: what the commands mean (attack.js, kv.js, canvas.js).

import { call } from "./store.js";

const TIMEOUT_MS = 8_000;
/** The code of the daemon's own failure: it did not hear from the node. */
const LAB_FAILED = -32022;
const TAB = Array.from(crypto.getRandomValues(new Uint8Array(4)), (byte) => byte.toString(16).padStart(2, "0")).join("");
const idle = [];
let lanes = 0;

/** A command on its way: {node, op, state, text}, with state one of proposed, committed, failed, unknown. */
export class Command {
  constructor(node, op, title, line, changed) {
    Object.assign(this, { node, op, title, line, changed, state: "proposed", text: "proposed, not committed yet" });
    this.at = Date.now();
    this.lane = idle.pop() ?? { client: `page-${TAB}-${++lanes}`, serial: 1 };
  }

  /** Sends it; once more, with the serial that it had, where its outcome is unknown. */
  async send() {
    const { lane, node, op } = this;
    const began = performance.now();
    this.become("proposed", "proposed, not committed yet");
    try {
      const { index, term, leader, duplicate, response } = await call("view.submit", node, { client: lane.client, serial: lane.serial, op }, TIMEOUT_MS);
      this.index = index;
      this.response = response;
      const took = Math.round(performance.now() - began);
      if (response?.error) {
        this.become("failed", `refused: ${response.error}`);
        return;
      }
      lane.serial++;
      idle.push(lane);
      this.become("committed", `index ${index}, term ${term}, by ${leader}, ${took} ms${duplicate ? ", applied before" : ""}`);
    } catch (error) {
      if (isOpen(error)) {
        this.become("unknown", error.note.text);
        return;
      }
      idle.push(lane);
      this.become("failed", error.note.text, error.note.hints);
    }
  }

  become(state, text, hints = []) {
    Object.assign(this, { state, text, hints });
    this.changed(this);
  }
}

/** Whether a command may have been applied all the same: no answer in time, or none at all, from the daemon or the node. */
const isOpen = ({ code, kind }) => code === undefined || code === LAB_FAILED || kind === "timed_out";

/** A read by a node: linearizable, or stale from its own state. Answers {node, index, response}. */
export const read = (node, op, consistency) => call("view.read", node, op, consistency, TIMEOUT_MS);
