// What can be done to a lab, as data: a label, the shell line that does the same, and the call.
//
// Invariant: an action and its shell line come from one function, so that a button never does what its line does not say.
// One action runs at a time; what came of it is the store's `outcome`.
//
// Absent: buttons (controls.js), and whether an action makes sense now, which the daemon says best.

import { call, nodeOf, setOutcome, store } from "./store.js";
import { byNumber, count, isUp, leads, names, shell } from "./words.js";

const PATIENCE_MS = 60_000;

/** Kill, pause, resume, restart: a verb for nodes. */
function act(action, label, nodes) {
  const selector = names(nodes);
  const line = `${action} ${selector}`;
  const request = { action, selector, no_wait: false, timeout_ms: PATIENCE_MS };
  return { id: action, label, line, method: "lab.act", params: [request], say: sayAct };
}

export const kill = (nodes) => act("kill", "Kill", nodes);
export const pause = (nodes) => act("pause", "Pause", nodes);
export const resume = (nodes) => act("resume", "Resume", nodes);
export const restart = (nodes) => act("restart", "Restart", nodes);

/** Cuts all links between groups of nodes. */
export function partition(groups, oneWay = false) {
  const selectors = groups.map(names);
  const line = `partition ${selectors.join(" ")}${oneWay ? " --one-way" : ""}`;
  const request = { layout: { groups: selectors }, one_way: oneWay, for_ms: null };
  return { id: "partition", label: "Partition", line, method: "lab.partition", params: [request], say: sayFault };
}

/** These on one side, all others on the other. */
export function isolate(nodes) {
  const selector = names(nodes);
  const line = `partition --shape isolate=${selector}`;
  const request = { layout: { isolate: selector }, one_way: false, for_ms: null };
  return { id: "isolate", label: "Isolate", line, method: "lab.partition", params: [request], say: sayFault };
}

/** A majority, and a minority with the leader in it. */
export function halves() {
  const request = { layout: "halves", one_way: false, for_ms: null };
  const line = "partition --shape halves";
  return { id: "halves", label: "Halve", line, method: "lab.partition", params: [request], say: sayFault };
}

/** Cuts one link, in both directions or one. */
export function cut(from, to, oneWay = false) {
  const label = oneWay ? `Cut ${from} → ${to}` : `Cut ${from} – ${to}`;
  return { ...partition([[from], [to]], oneWay), id: oneWay ? "cut-one-way" : "cut", label };
}

/** Makes messages late, on all links of nodes or on one. As late as heartbeats are apart. */
export function slow(from, to = "@all") {
  const delay = store.view.timing.heartbeat_ms;
  const selector = names(from);
  const line = `fault add latency --from ${selector} --to ${to} ${delay}ms`;
  return fault("slow", "Slow", line, { kind: "latency", delay_ms: delay, jitter_ms: 0 }, selector, to);
}

/** Loses messages at random, on one link. */
export function lossy(from, to) {
  const line = `fault add drop --from ${from} --to ${to} 30%`;
  return fault("lossy", "Lose 30 %", line, { kind: "drop", probability: 0.3 }, from, to);
}

function fault(id, label, line, effect, from, to) {
  const request = { effect, from, to, one_way: false, for_ms: null, no_wait: true };
  return { id, label, line, method: "lab.fault_add", params: [request], say: sayFault };
}

/** Clears one fault, or all. */
export function heal(id = null) {
  const [line, label] = id ? [`fault clear ${id}`, `Clear ${id}`] : ["heal", "Heal"];
  return { id: "heal", label, line, method: "lab.fault_clear", params: [id], say: sayCleared };
}

/** Hands the lead over. */
export function transfer(node) {
  const request = { to: node, timeout_ms: 10_000 };
  const say = (report) => ({ text: `${leads(report.leader)}, handed over by ${report.from}` });
  return { id: "transfer", label: "Make leader", line: `transfer-leader ${node}`, method: "lab.transfer", params: [request], say };
}

function member(verb, label, line, node) {
  const request = { verb, node, timeout_ms: PATIENCE_MS };
  return { id: verb, label, line: `member ${line}`, method: "lab.member", params: [request], say: sayMember };
}

export const remove = (node) => ({ ...member("remove", "Remove", `remove ${node}`, node), asks: "Its process ends, and its folder is removed." });
export const promote = (node) => member("promote", "Give a vote", `promote ${node}`, node);
export const add = (node = nextName()) => member("add", `Add ${node}`, `add ${node}`, node);
export const addLearner = (node) => member("add_learner", `Add ${node}`, `add ${node} --learner`, node);

/** Starts what of the lab is down. */
export function start() {
  const request = { no_wait: false, timeout_ms: PATIENCE_MS };
  const say = (report) => ({ text: report.leader ? leads(report.leader) : `${count(report.nodes.length, "node")} up`, notes: report.notes });
  return { id: "start", label: "Start", line: "start", method: "lab.start", params: [request], say };
}

/** Stops the lab and its daemon. Its data stay. */
export function stop() {
  const say = () => ({ text: "the lab is stopped; its data stay" });
  return { id: "stop", label: "Stop the lab", line: "stop", method: "lab.stop", params: [false], say, asks: "All nodes and the daemon of this page end; the data stay." };
}

/** The name of the next node. */
function nextName() {
  const { nodes, members } = store.view;
  const taken = [...nodes.map((node) => node.node), ...(members?.voters ?? []), ...(members?.learners ?? [])];
  return `n${Math.max(0, ...taken.map((name) => Number.parseInt(name.slice(1), 10))) + 1}`;
}

/** What can be done to the lab as a whole. */
export function ofLab() {
  const { leader, nodes, links, faults } = store.view;
  const down = nodes.filter((node) => !isUp(node));
  return [
    leader && { ...kill([leader]), id: "kill-leader", label: "Kill the leader", line: "kill @leader" },
    leader && nodes.length > 2 && { ...isolate([leader]), id: "isolate-leader", label: "Isolate the leader", line: "partition --shape isolate=@leader" },
    nodes.length > 2 && { ...halves(), label: "Split in halves" },
    down.length > 0 && { ...restart(down.map((node) => node.node)), label: "Restart what is down" },
    (links.length > 0 || faults.length > 0) && { ...heal(), label: "Heal all" },
    nodes.length > 0 && add(),
    nodes.length === 0 && start(),
    stop(),
  ].filter(Boolean);
}

/** What can be done to chosen nodes. */
export function ofNodes(chosen) {
  const nodes = [...chosen].sort(byNumber);
  const views = nodes.map(nodeOf).filter(Boolean);
  const has = (state) => views.some((node) => node.state === state);
  const others = store.view.nodes.map((node) => node.node).filter((node) => !chosen.has(node));
  const [first, second] = nodes;
  const one = nodes.length === 1 ? views[0] : null;
  const isOn = views.some(isUp);
  return [
    isOn && kill(nodes),
    has("running") && pause(nodes),
    has("paused") && resume(nodes),
    restart(nodes),
    others.length > 0 && nodes.length === 1 && isolate(nodes),
    others.length > 0 && nodes.length > 1 && { ...partition([nodes, others]), label: "Partition off" },
    nodes.length === 2 && cut(first, second),
    isOn && slow(nodes),
    one && one.node !== store.view.leader && one.standing === "voter" && isUp(one) && transfer(one.node),
    one?.standing === "learner" && promote(one.node),
    one?.standing && remove(one.node),
    ...store.view.faults.filter((fault) => touches(fault, chosen)).map((fault) => heal(fault.id)),
  ].filter(Boolean);
}

function touches({ id }, chosen) {
  const onLinks = store.view.links.some((link) => link.faults.includes(id) && (chosen.has(link.from) || chosen.has(link.to)));
  return onLinks || store.view.nodes.some((node) => node.faults.includes(id) && chosen.has(node.node));
}

/** What can be done to a link between two nodes. */
export function ofLink(from, to) {
  const ids = new Set(store.view.links.filter((link) => isBetween(link, from, to)).flatMap((link) => link.faults));
  return [
    cut(from, to),
    cut(from, to, true),
    { ...slow([from], to), label: `Slow ${from} – ${to}` },
    { ...lossy(from, to), label: `Lose 30 % of ${from} – ${to}` },
    ...[...ids].map((id) => heal(id)),
  ];
}

const isBetween = (link, a, b) => (link.from === a && link.to === b) || (link.from === b && link.to === a);

/** What a hint stands for: an action, or null where there is nothing to click; and its shell line. */
export function ofHint(hint) {
  switch (hint.do) {
    case "start":
      return start();
    case "purge":
      return { line: "stop --purge" };
    case "restart":
      return { ...restart(hint.nodes), label: `Restart ${names(hint.nodes)}` };
    case "resume":
      return { ...resume(hint.nodes), label: `Resume ${names(hint.nodes)}` };
    case "heal":
      return heal();
    case "clear_fault":
      return heal(hint.id);
    case "add_member":
      return hint.learner ? addLearner(hint.node) : add(hint.node);
    case "promote_member":
      return { ...promote(hint.node), label: `Give ${hint.node} a vote` };
    case "remove_member":
      return { ...remove(hint.node), label: `Remove ${hint.node}` };
    case "replace_member":
      return { line: `member remove ${hint.node} && member add ${hint.node.split(".")[0]}` };
    case "add_player":
      return { line: `player add ${hint.player}` };
    case "remove_player":
      return { line: `player del ${hint.player}` };
    case "wait_for_leader":
      return { line: "wait leader" };
    case "compare_logs":
      return { line: "log @all" };
    default:
      return { line: "status" };
  }
}

function sayAct({ action, resolved, changed, unfit, leader, notes }) {
  const done = changed.length ? `${action} ${names(changed)}` : `${names(resolved.nodes)}: nothing to ${action}`;
  const not = unfit.length ? `; not possible for ${names(unfit)}` : "";
  return { text: `${done}${not}${leader ? `: ${leads(leader)}` : ""}`, notes };
}

function sayFault({ fault: { id, title, proof }, leader, notes }) {
  const seen = proof?.outcome === "confirmed" ? ", seen to be in effect" : "";
  return { text: `${id} ${title}${seen}${leader ? `: ${leads(leader)}` : ""}`, notes };
}

function sayCleared({ cleared }) {
  return { text: cleared.length ? `healed: ${cleared.map((fault) => `${fault.id} ${fault.title}`).join("; ")}` : "there was nothing to heal" };
}

function sayMember({ verb, node, changed, leader, notes }) {
  const done = { add: "has a vote", add_learner: "learns", promote: "has a vote", remove: "has left" }[verb];
  return { text: `${node} ${done}${changed ? "" : " already"}${leader ? `; ${leads(leader)}` : ""}`, notes };
}

/** Does it, and says what came of it. */
export async function run(action) {
  const line = shell(action.line);
  const mine = { line, state: "running", text: "…", hints: [] };
  setOutcome(mine);
  const finish = (outcome) => store.outcome === mine && setOutcome({ line, hints: [], ...outcome });
  try {
    const { text, notes = [] } = action.say(await call(action.method, ...action.params));
    const hints = notes.flatMap((note) => note.hints ?? []);
    finish({ state: "done", text: [text, ...notes.map((note) => note.text)].join(". "), hints });
  } catch (error) {
    finish({ state: "failed", text: error.note?.text ?? error.message, hints: error.note?.hints ?? [] });
  }
}
