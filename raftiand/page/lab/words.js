// What the page says, in one place: roles and states in words, numbers and times, and the shell lines.
//
// Invariant: a pure function of its arguments, but for the lab's name, which shell lines need. A hint is data; its shell line
// here is the one that raftianctl prints.

import { store } from "./store.js";

/** What a node does, for a face: its word, and the class that colours and shapes it. */
export const ROLES = {
  follower: "follower",
  pre_candidate: "pre-candidate",
  candidate: "candidate",
  leader: "leader",
  leader_without_quorum: "leader, no quorum",
  learner: "learner",
  leaving: "leaving",
  no_member: "no member",
};

/** What a node is now: {kind, word}. A node that does not run has no role. */
export function standing(node) {
  if (node.state !== "running") return { kind: node.state === "paused" ? "paused" : "down", word: node.state };
  if (node.is_silent) return { kind: "silent", word: "silent" };
  return { kind: node.role ?? "no_member", word: ROLES[node.role] ?? "no role yet" };
}

/** Whether a node's process is there. */
export const isUp = (node) => node.state === "running" || node.state === "starting" || node.state === "paused";

/** `raftianctl kill n2`, with the lab's name where it needs one. */
export function shell(line) {
  const lab = store.view?.lab ?? store.hello?.lab ?? "default";
  const named = lab === "default" ? "raftianctl" : `raftianctl --lab ${lab}`;
  return line.split(" && ").map((part) => `${named} ${part}`).join(" && ");
}

/** Names in numerical order, as a selector. */
export const names = (nodes) => [...nodes].sort(byNumber).join(",");

/** n2 before n10, n2 before n2.2. */
export function byNumber(a, b) {
  return a.localeCompare(b, "en", { numeric: true });
}

/** How many of what: `1 node`, `3 nodes`. */
export const count = (number, word) => `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;

/** A span of time: `850 ms`, `2.1 s`, `3 min`. */
export function span(ms) {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  return `${Math.round(ms / 60_000)} min`;
}

/** A time of day, here: `20:53:22`. */
export function clock(unixMs) {
  return new Date(unixMs).toLocaleTimeString("en-GB");
}

/** A rate for people: 0, 0.4, 12, 3,400. */
export function rate(value) {
  if (value < 0.05) return "0";
  return value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString("en");
}

/** Bytes of memory: `8.1 MB`. */
export const memory = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

/** What is wrong with a link, in short: `cut`, `+200 ms`, `20 % lost`. */
export function effect(of) {
  switch (of.kind) {
    case "latency":
      return `+${span(of.delay_ms)}${of.jitter_ms ? ` ± ${span(of.jitter_ms)}` : ""}`;
    case "drop":
      return of.probability === 1 ? "cut" : `${percent(of.probability)} lost`;
    case "duplicate":
      return `${percent(of.probability)} twice`;
    case "reorder":
      return `${percent(of.probability)} held back`;
    default:
      return of.kind;
  }
}

const percent = (share) => `${+(share * 100).toFixed(1)} %`;

/** `n3 leads term 4 after 2.1 s`. */
export function leads({ leader, term, after_ms }) {
  return `${leader} leads term ${term}${after_ms ? ` after ${span(after_ms)}` : ""}`;
}

/** Kinds of messages, in words. */
export const MESSAGES = {
  heartbeat: "heartbeat",
  append: "append entries",
  request_vote: "request vote",
  pre_vote: "pre-vote",
  install_snapshot: "install snapshot",
  timeout_now: "timeout now",
};
