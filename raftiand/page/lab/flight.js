// What moves: messages as dots, and election time-outs as depleting arcs, on a canvas above the ring.
//
// Invariants: frames are drawn only while something moves and the page is to be seen, at most thirty a second; at most
// MOST_DOTS dots are in the air, and where not all messages are shown the page says which share is. Where motion is not wanted
// no dots fly, and arcs stand still between two views.
//
// A message is known when its call has ended, so it is shown a little later than it was sent, in the rhythm in which it was
// sent, and slow enough to be seen. Absent: messages of nodes that died before they could tell.

import { drawMessage } from "./shapes.js";
import { store } from "./store.js";

const MOST_DOTS = 60;
const HEARTBEATS = 36;
const FRAME_MS = 33;
const ARC_FRAME_MS = 100;
const FALL_MS = 900;
const COLOURS = ["heartbeat", "append", "vote", "snapshot", "fault", "track", "arc", "paper"];
const still = matchMedia("(prefers-reduced-motion: reduce)");

/** Draws flights over a ring. `share()` is how many heartbeats stand for each that is shown. */
export function makeFlight(ring, onShare) {
  const pen = ring.canvas.getContext("2d");
  let flights = [];
  let frame = null;
  let last = 0;
  let isClean = true;
  let place = { scale: 1, x: 0, y: 0 };
  const colours = {};
  const shares = makeShares(onShare);
  const clock = makeClock();

  function resize() {
    const { canvas, box } = ring;
    const dense = Math.min(devicePixelRatio || 1, 2);
    const [wide, high] = [canvas.clientWidth * dense, canvas.clientHeight * dense];
    if (!wide) return;
    const scale = Math.min(wide / box.width, high / box.height);
    place = { scale, x: (wide - box.width * scale) / 2, y: (high - box.height * scale) / 2 };
    [canvas.width, canvas.height] = [Math.round(wide), Math.round(high)];
    for (const name of COLOURS) {
      canvas.style.color = `var(--${name})`;
      colours[name] = getComputedStyle(canvas).color;
    }
    wake();
  }

  /** Messages that came to an end: those `seen`, of how many there were. */
  function take({ seen: messages, of }) {
    if (still.matches || document.hidden) return;
    const now = performance.now();
    clock.hear(messages, now);
    shares.count(messages, of, now);
    const slow = store.view?.timing.heartbeat_ms >= 250;
    for (const message of messages) {
      const isUsual = message.what === "heartbeat" && message.end === "answered";
      const sent = clock.when(message.sent_ns, now);
      if (flights.length >= (isUsual ? HEARTBEATS : MOST_DOTS) || (message.what === "heartbeat" && !shares.pick(message))) continue;
      if (isUsual && sent < now - 500) continue;
      // A call that is not answered is known late: at its time-out. It is shown all the same, from now on.
      const trip = message.end === "answered" ? (message.ended_ns - message.sent_ns) / 2e6 : 0;
      const go = Math.min(Math.max(trip, slow ? 520 : 300), 2_500);
      flights.push({ ...message, start: Math.max(sent, now), go });
    }
    wake();
  }

  function wake() {
    if (frame === null && !document.hidden) frame = requestAnimationFrame(draw);
  }

  function draw(now) {
    frame = null;
    const arcs = arcsNow(now);
    const isMoving = flights.length > 0;
    const wait = isMoving ? FRAME_MS : ARC_FRAME_MS;
    if (now - last >= wait - 4) {
      last = now;
      paint(now, arcs);
    }
    const goesOn = flights.length > 0 || arcs.some((arc) => arc.isMoving);
    if (!goesOn) return;
    // Between arcs that only shrink, the browser need not even ask.
    if (isMoving) frame = requestAnimationFrame(draw);
    else frame = setTimeout(() => (frame = requestAnimationFrame(draw)), ARC_FRAME_MS);
  }

  function paint(now, arcs) {
    const { canvas, layout } = ring;
    if (!layout || (isClean && !flights.length && !arcs.length)) return;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.setTransform(place.scale, 0, 0, place.scale, place.x, place.y);
    arcs.forEach((arc) => drawArc(arc, layout.radius));
    const labelled = new Set();
    flights = flights.filter((flight) => drawFlight(flight, now, layout, labelled));
    isClean = !flights.length && !arcs.length;
  }

  /** The time-outs of nodes that may stand for election: the share that is left. */
  function arcsNow(now) {
    const { view, viewAt, state } = store;
    if (!view || !ring.layout) return [];
    const { election_min_ms: shortest, election_max_ms: longest } = view.timing;
    const isMoving = shortest >= 1_000 && state === "open" && !still.matches;
    return view.nodes.filter((node) => node.election_in_ms !== null && node.election_in_ms !== undefined).map(({ node, election_in_ms: left }) => {
      const rest = isMoving ? Math.max(0, left - (now - viewAt)) : left;
      return { at: ring.at(node), share: shortest >= 1_000 ? Math.min(1, rest / longest) : 1, isMoving: isMoving && rest > 0 };
    });
  }

  function drawArc({ at, share }, radius) {
    const from = -Math.PI / 2;
    pen.lineCap = "round";
    pen.lineWidth = 3;
    pen.strokeStyle = colours.track;
    circle(at, radius + 11, from, from + 2 * Math.PI);
    if (share >= 1) return;
    pen.lineWidth = 5;
    pen.strokeStyle = share < 0.25 ? colours.fault : colours.arc;
    circle(at, radius + 11, from, from + 2 * Math.PI * share);
  }

  function circle({ x, y }, radius, from, to) {
    pen.beginPath();
    pen.arc(x, y, radius, from, to);
    pen.stroke();
  }

  /** Draws a message where it is now; whether it is still on its way. */
  function drawFlight(flight, now, layout, labelled) {
    const age = now - flight.start;
    const [from, to] = [layout.at.get(flight.from), layout.at.get(flight.to)];
    if (!from || !to) return false;
    if (age < 0) return true;
    const there = lane(from, to, layout.radius);
    const back = lane(to, from, layout.radius);
    pen.fillStyle = pen.strokeStyle = colours[{ heartbeat: "heartbeat", append: "append", install_snapshot: "snapshot" }[flight.what] ?? "vote"];
    if (flight.end === "request_dropped") return fly(flight, there, age, false, 0.46, labelled);
    if (age < flight.go) return fly(flight, there, age, false, 1, labelled);
    const after = age - flight.go;
    if (flight.end === "silent") return fade(flight, there, after);
    if (flight.end === "reply_dropped") return fly(flight, back, after, true, 0.46, labelled);
    return after < flight.go && fly(flight, back, after, true, 1, labelled);
  }

  /** Along a lane, and from where a fault drops it down. */
  function fly(flight, { x, y, dx, dy }, age, isReply, upTo, labelled) {
    const share = Math.min(age / flight.go, upTo);
    const fallen = Math.max(0, age - upTo * flight.go);
    if (upTo === 1 || fallen === 0) {
      drawMessage(pen, flight.what, x + dx * share, y + dy * share, isReply);
      return true;
    }
    const fall = fallen / FALL_MS;
    if (fall >= 1) return false;
    pen.globalAlpha = 1 - fall;
    pen.fillStyle = pen.strokeStyle = colours.fault;
    const [at, down] = [x + dx * share, y + dy * share + 70 * fall * fall];
    drawMessage(pen, flight.what, at, down, isReply);
    flight.why ||= why(flight);
    if (fall < 0.6 && !labelled.has(flight.why)) {
      label(flight.why, at + 13, down + 5);
      labelled.add(flight.why);
    }
    pen.globalAlpha = 1;
    return true;
  }

  function label(words, x, y) {
    pen.font = "600 14px system-ui, sans-serif";
    pen.lineWidth = 4;
    pen.lineJoin = "round";
    pen.strokeStyle = colours.paper;
    pen.strokeText(words, x, y);
    pen.fillText(words, x, y);
  }

  /** A request that nobody answers: it ends where it arrived. */
  function fade(flight, { x, y, dx, dy }, after) {
    const share = after / (FALL_MS / 2);
    if (share >= 1) return false;
    pen.globalAlpha = 1 - share;
    drawMessage(pen, flight.what, x + dx, y + dy, false);
    pen.globalAlpha = 1;
    return true;
  }

  const watcher = new ResizeObserver(() => (ring.resize(), resize()));
  watcher.observe(ring.stage);
  addEventListener("scheme", resize);
  const end = () => (watcher.disconnect(), removeEventListener("scheme", resize), (flights = []));
  return { take, wake, end };
}

/** From the edge of one node to that of the other, a little to the right, so that the way back has a lane of its own. */
function lane(from, to, radius) {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length = Math.hypot(dx, dy);
  const [ux, uy] = [dx / length, dy / length];
  const gap = radius + 20;
  return { x: from.x + ux * gap - uy * 7, y: from.y + uy * gap + ux * 7, dx: ux * (length - 2 * gap), dy: uy * (length - 2 * gap) };
}

/** Which faults dropped a message. */
function why({ end, from, to }) {
  if (end !== "request_dropped" && end !== "reply_dropped") return "";
  const [a, b] = end === "request_dropped" ? [from, to] : [to, from];
  const link = store.view?.links.find((one) => one.from === a && one.to === b);
  return link ? `dropped by ${link.faults.join(", ")}` : "";
}

/** The daemon's clock against the page's: when a message is to be shown. */
function makeClock() {
  let offset = Infinity;
  let delay = 250;
  return {
    hear(messages, now) {
      const newest = Math.max(...messages.map((message) => message.ended_ns / 1e6));
      const oldest = Math.min(...messages.map((message) => message.ended_ns / 1e6));
      if (now - newest < offset) offset = now - newest;
      const late = now - oldest - offset;
      delay = Math.min(1_500, Math.max(late, delay * 0.95 + late * 0.05));
    },
    when: (ns, now) => Math.min(ns / 1e6 + offset + delay, now + 3_000),
  };
}

/** Which share of heartbeats is shown: one of 1, 2, 4, 8 … so that about HEARTBEATS are in the air. */
function makeShares(onShare) {
  let [share, since, heard] = [1, performance.now(), 0];
  const counters = new Map();
  return {
    count(messages, of, now) {
      heard += messages.filter(({ what }) => what === "heartbeat").length + of - messages.length;
      if (now - since < 1_500) return;
      const inAir = (heard / (now - since)) * 800;
      [since, heard] = [now, 0];
      const wanted = 2 ** Math.max(0, Math.ceil(Math.log2(inAir / HEARTBEATS)));
      if (wanted > share || (wanted < share && inAir < (share / 2) * HEARTBEATS * 0.8)) {
        share = wanted;
        onShare(share);
      }
    },
    pick({ from, to }) {
      const link = `${from} ${to}`;
      const number = counters.get(link) ?? 0;
      counters.set(link, number + 1);
      return number % share === 0;
    },
  };
}
