// Where nodes stand on the ring, and the shapes of roles and messages.
//
// Invariant: a pure function of its arguments. A role has a shape of its own, so that colour alone never says it.

/** The box of the drawing, of the shape of the stage: larger letters where the page is narrow. */
export function box(wide, high) {
  const width = wide < 560 ? 560 : 1_000;
  const height = Math.min(900, Math.max(440, (width * high) / Math.max(wide, 1)));
  const size = wide < 560 ? 58 : Math.min(62, height / 9.5);
  return { width, height, size };
}

/** The places of nodes on the ring, the first at the top, and how large they are drawn. The ring fills the box. */
export function places(nodes, { width, height, size }) {
  const number = nodes.length;
  const rx = Math.min(width / 2 - size * 1.8, height * (number > 6 ? 0.9 : 0.68));
  const ry = height / 2 - size * 1.75;
  const angles = evenly(number, rx, ry);
  const lowest = Math.max(0, ...angles.map(Math.sin));
  const spread = number > 1 ? (2 * ry) / (1 + lowest) : 0;
  const top = number > 1 ? height / 2 - ry + spread : height / 2;
  const spots = angles.map((angle) => ({ x: width / 2 + (number > 1 ? rx * Math.cos(angle) : 0), y: top + spread * Math.sin(angle) }));
  const gaps = spots.map(({ x, y }, place) => Math.hypot(x - spots[(place + 1) % number].x, y - spots[(place + 1) % number].y));
  const radius = number > 1 ? Math.max(24, Math.min(size, 0.36 * Math.min(...gaps))) : size;
  return { at: new Map(nodes.map((node, place) => [node, spots[place]])), radius, middle: { x: width / 2, y: top } };
}

/** Angles of an ellipse between which its arcs are equally long, from the top on. */
function evenly(number, rx, ry) {
  const steps = 360;
  const angleOf = (step) => (2 * Math.PI * step) / steps - Math.PI / 2;
  const reached = [0];
  for (let step = 1; step <= steps; step++) reached.push(reached[step - 1] + Math.hypot(rx * Math.sin(angleOf(step)), ry * Math.cos(angleOf(step))));
  return Array.from({ length: number }, (_, place) => {
    const wanted = (reached[steps] * place) / number;
    const after = Math.max(1, reached.findIndex((length) => length >= wanted));
    return angleOf(after - (reached[after] - wanted) / (reached[after] - reached[after - 1]));
  });
}

/** A regular polygon around the origin, its first corner at the top. */
function polygon(corners, radius, turn = 0) {
  const points = Array.from({ length: corners }, (_, corner) => {
    const angle = (2 * Math.PI * corner) / corners - Math.PI / 2 + turn;
    return `${(radius * Math.cos(angle)).toFixed(1)} ${(radius * Math.sin(angle)).toFixed(1)}`;
  });
  return `M${points.join("L")}Z`;
}

const circle = (radius) => `M${radius} 0A${radius} ${radius} 0 1 1 ${-radius} 0A${radius} ${radius} 0 1 1 ${radius} 0Z`;

/** The outline of a node by what it is. */
export function outline(kind, radius) {
  switch (kind) {
    case "leader":
    case "leader_without_quorum":
      return polygon(6, radius * 1.08);
    case "candidate":
    case "pre_candidate":
      return polygon(4, radius * 1.2);
    case "learner":
    case "leaving":
    case "no_member":
      return polygon(4, radius * 1.22, Math.PI / 4);
    default:
      return circle(radius);
  }
}

/** Draws the shape of a message on a canvas. */
export function drawMessage(pen, kind, x, y, isReply) {
  const r = { heartbeat: 4, append: 6, request_vote: 8, pre_vote: 8, install_snapshot: 9, timeout_now: 9 }[kind] ?? 4;
  const size = isReply ? r * 0.8 : r;
  pen.beginPath();
  if (kind === "append" || kind === "install_snapshot") {
    pen.rect(x - size, y - size, 2 * size, 2 * size);
  } else if (kind === "request_vote" || kind === "pre_vote") {
    corners(pen, x, y, size, 4);
  } else if (kind === "timeout_now") {
    corners(pen, x, y, size, 3);
  } else {
    pen.arc(x, y, size, 0, 2 * Math.PI);
  }
  if (isReply || kind === "pre_vote") {
    pen.lineWidth = 2;
    pen.stroke();
  } else {
    pen.fill();
  }
}

function corners(pen, x, y, radius, number) {
  for (let corner = 0; corner < number; corner++) {
    const angle = (2 * Math.PI * corner) / number - Math.PI / 2;
    pen.lineTo(x + radius * Math.cos(angle), y + radius * Math.sin(angle));
  }
  pen.closePath();
}
