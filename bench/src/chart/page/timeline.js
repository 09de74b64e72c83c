// Draws the timeline of a run, and lets it be zoomed, moved and asked. The data stands in the page; nothing is loaded.
'use strict';
const data = JSON.parse(document.getElementById('data').textContent);
const canvas = document.getElementById('chart');
const tip = document.getElementById('tip');
const context = canvas.getContext('2d');
const LEFT = 64, RIGHT = 16, LANE = 20, GAP = 5, FAULT = 14, MOST_FAULT_ROWS = 8, RATE = 110, LATENCY = 190, HEAD = 30;
const INK = '#222', GREY = '#4d4d4d', FAINT = '#e2e2e2', RED = '#d55e00', GREEN = '#009e73', BLUE = '#0072b2';
const STATES = [
  { name: 'down', fill: null, ink: GREY },
  { name: 'paused', fill: '#cc79a7', ink: INK },
  { name: 'follower', fill: '#d6e6f0', ink: GREY },
  { name: 'candidate', fill: '#e69f00', ink: INK },
  { name: 'leader', fill: BLUE, ink: '#fff' },
];
const KINDS = ['acknowledged', 'failed', 'unknown'];
const whole = Math.max(data.duration, 0.001);
let from = 0, to = whole, width = 0, height = 0, mouse = null, dragged = null;

// Faults that overlap get rows of their own, while there are any.
const rows = [];
for (const fault of data.windows) {
  let row = rows.findIndex(end => end <= fault[0]);
  if (row < 0) row = Math.min(rows.length, MOST_FAULT_ROWS - 1);
  rows[row] = Math.max(rows[row] || 0, fault[1]);
  fault.row = row;
}
const faultsTop = 6, lanesTop = faultsTop + rows.length * FAULT + 8;
const lanesEnd = lanesTop + data.lanes.length * (LANE + GAP);
const rateTop = lanesEnd + HEAD, latencyTop = rateTop + RATE + HEAD, bottom = latencyTop + LATENCY;
const latencies = data.points.map(point => point[1]);
const least = Math.log10(Math.max(1e-3, latencies.reduce((a, b) => Math.min(a, b), Infinity)));
const most = Math.log10(Math.max(2e-3, latencies.reduce((a, b) => Math.max(a, b), 0)));
const low = isFinite(least) ? Math.floor(least) : 0, high = Math.max(low + 1, Math.ceil(most));

const x = t => LEFT + (t - from) / (to - from) * (width - LEFT - RIGHT);
const time = px => from + (px - LEFT) / (width - LEFT - RIGHT) * (to - from);
const yLatency = ms => bottom - (Math.log10(Math.max(ms, 1e-3)) - low) / (high - low) * LATENCY;
const seconds = s => Math.abs(s) < 10 && to - from < 2 ? (s * 1000).toFixed(1) + ' ms' : s.toFixed(2) + ' s';
const millis = ms => ms < 1 ? Math.round(ms * 1000) + ' µs' : ms < 1000 ? +ms.toPrecision(3) + ' ms' : +(ms / 1000).toPrecision(3) + ' s';

function text(words, px, py, color, align, font) {
  context.fillStyle = color;
  context.textAlign = align || 'left';
  context.font = font || '11px sans-serif';
  context.fillText(words, px, py);
}

function line(x0, y0, x1, y1, color) {
  context.strokeStyle = color;
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

function step(span, count) {
  const raw = span / count, power = Math.pow(10, Math.floor(Math.log10(raw)));
  return [1, 2, 5, 10].map(f => f * power).find(candidate => candidate >= raw);
}

function drawFaults() {
  for (const fault of data.windows) {
    if (fault[1] < from || fault[0] > to) continue;
    const x0 = Math.max(x(fault[0]), LEFT), x1 = Math.min(x(fault[1]), width - RIGHT);
    context.fillStyle = 'rgba(213,94,0,.09)';
    for (const [top, end] of [[lanesTop - 4, lanesEnd], [rateTop, rateTop + RATE], [latencyTop, bottom]]) {
      context.fillRect(x0, top, Math.max(x1 - x0, 1), end - top);
    }
    const y = faultsTop + fault.row * FAULT;
    context.fillStyle = 'rgba(213,94,0,.75)';
    context.fillRect(x0, y, Math.max(x1 - x0, 1), FAULT - 2);
    context.font = 'bold 10px sans-serif';
    if (context.measureText(fault[2]).width + 6 < x1 - x0) text(fault[2], x0 + 3, y + 9.5, '#fff', 'left', 'bold 10px sans-serif');
  }
}

function drawLanes() {
  data.lanes.forEach(([name, spans], number) => {
    const y = lanesTop + number * (LANE + GAP);
    text(name, LEFT - 10, y + 14, INK, 'right', 'bold 12px sans-serif');
    for (const [begin, end, state, term] of spans) {
      if (end < from || begin > to) continue;
      const x0 = Math.max(x(begin), LEFT), x1 = Math.min(Math.max(x(end), x(begin) + 1), width - RIGHT);
      const look = STATES[state];
      if (look.fill) {
        context.fillStyle = look.fill;
        context.fillRect(x0, y, x1 - x0, LANE);
      } else {
        line(x0, y + LANE / 2, x1, y + LANE / 2, GREY);
      }
      const words = look.name + (state === 4 || x1 - x0 > 160 ? ', term ' + term : '');
      context.font = '11px sans-serif';
      if (look.fill && context.measureText(words).width + 8 < x1 - x0) text(words, (x0 + x1) / 2, y + 14, look.ink, 'center');
    }
  });
  const visible = data.marks.filter(mark => mark[0] >= from && mark[0] <= to);
  for (const [at, lane, kind] of visible) {
    if (lane < 0 || (kind < 2 && visible.length > 800)) continue;
    const px = x(at), y = lanesTop + lane * (LANE + GAP);
    if (kind === 2 || kind === 3) {
      text('≠', px, y + 15, kind === 3 ? '#c00' : INK, 'center', 'bold 15px sans-serif');
    } else {
      context.fillStyle = kind === 0 ? '#56407a' : GREY;
      context.beginPath();
      context.moveTo(px, y + LANE - 6);
      context.lineTo(px - 3.5, y + LANE);
      context.lineTo(px + 3.5, y + LANE);
      context.fill();
    }
  }
}

function drawRates() {
  text(`Acknowledged per second, in bins of ${millis(data.bin * 1000)}`, LEFT, rateTop - 9, INK, 'left', 'bold 12px sans-serif');
  const first = Math.max(0, Math.floor(from / data.bin)), last = Math.min(data.rates.length, Math.ceil(to / data.bin));
  const shown = data.rates.slice(first, last), peak = shown.reduce((a, b) => Math.max(a, b), 1) * 1.08;
  const every = step(peak, 4);
  for (let tick = 0; tick <= peak; tick += every) {
    const y = rateTop + RATE - tick / peak * RATE;
    line(LEFT, y, width - RIGHT, y, FAINT);
    text(tick.toLocaleString('en'), LEFT - 8, y + 4, GREY, 'right');
  }
  context.fillStyle = 'rgba(0,158,115,.45)';
  shown.forEach((rate, place) => {
    const x0 = Math.max(x((first + place) * data.bin), LEFT), x1 = Math.min(x((first + place + 1) * data.bin), width - RIGHT);
    context.fillRect(x0, rateTop + RATE - rate / peak * RATE, Math.max(x1 - x0, .5), rate / peak * RATE);
  });
  line(LEFT, rateTop + RATE, width - RIGHT, rateTop + RATE, GREY);
}

function drawLatencies() {
  text('Latency from the intended send (log scale); a point may stand for several operations', LEFT, latencyTop - 9, INK, 'left', 'bold 12px sans-serif');
  for (let decade = low; decade <= high; decade++) {
    const ms = Math.pow(10, decade), y = yLatency(ms);
    line(LEFT, y, width - RIGHT, y, FAINT);
    text(millis(ms), LEFT - 8, y + 4, GREY, 'right');
  }
  for (const [at, ms, kind, count] of data.points) {
    if (at < from || at > to) continue;
    const px = x(at), y = yLatency(ms);
    if (kind === 0) {
      const r = Math.min(1.2 + Math.log2(count) * .4, 4);
      context.fillStyle = 'rgba(0,114,178,.6)';
      context.fillRect(px - r, y - r, 2 * r, 2 * r);
    } else {
      line(px - 3, y - 3, px + 3, y + 3, RED);
      line(px - 3, y + 3, px + 3, y - 3, RED);
    }
  }
}

function drawAxis() {
  line(LEFT, bottom, width - RIGHT, bottom, GREY);
  const every = step(to - from, Math.max(3, width / 110));
  for (let tick = Math.ceil(from / every) * every; tick <= to; tick += every) {
    line(x(tick), bottom, x(tick), bottom + 4, GREY);
    text(+tick.toFixed(6) + '', x(tick), bottom + 17, GREY, 'center');
  }
  text(data.axis, (LEFT + width - RIGHT) / 2, bottom + 33, GREY, 'center');
}

function draw() {
  const scale = window.devicePixelRatio || 1;
  width = canvas.parentElement.clientWidth;
  height = bottom + 42;
  canvas.width = width * scale;
  canvas.height = height * scale;
  canvas.style.height = height + 'px';
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  drawFaults();
  drawLanes();
  drawRates();
  drawLatencies();
  drawAxis();
  if (mouse && mouse.x >= LEFT && mouse.x <= width - RIGHT) line(mouse.x, lanesTop - 4, mouse.x, bottom, '#999');
}

// What there is under the mouse, in lines.
function told(px, py) {
  const at = time(px), near = (to - from) / width * 5;
  if (py < lanesTop) {
    const row = Math.floor((py - faultsTop) / FAULT);
    return data.windows.filter(f => f.row === row && f[0] - near <= at && at <= f[1] + near).slice(0, 6)
      .map(f => `${f[2]}: ${seconds(f[0])} to ${seconds(f[1])}`);
  }
  if (py < lanesEnd) {
    const number = Math.floor((py - lanesTop) / (LANE + GAP)), lane = data.lanes[number];
    const span = lane && lane[1].find(s => s[0] <= at && at <= s[1]);
    const lines = span ? [`${lane[0]}: ${STATES[span[2]].name}, term ${span[3]}, ${seconds(span[0])} to ${seconds(span[1])}`] : [];
    const marks = data.marks.filter(m => m[1] === number && Math.abs(m[0] - at) <= near).slice(0, 5);
    return lines.concat(marks.map(m => `${seconds(m[0])}: ${lane[0]} ${m[3]}`));
  }
  if (py >= rateTop && py <= rateTop + RATE) {
    const rate = data.rates[Math.floor(at / data.bin)];
    return rate === undefined ? [] : [`${rate.toLocaleString('en')}/s at ${seconds(at)}`];
  }
  let best = null, distance = 8;
  for (const point of data.points) {
    const d = Math.hypot(x(point[0]) - px, yLatency(point[1]) - py);
    if (d < distance) [best, distance] = [point, d];
  }
  return best ? [`${best[3] === 1 ? 'one operation' : best[3].toLocaleString('en') + ' operations'}, ${KINDS[best[2]]}: ${millis(best[1])} at ${seconds(best[0])}`] : [];
}

function look(begin, end) {
  const span = Math.min(Math.max(end - begin, whole / 1e5, 1e-4), whole);
  from = Math.min(Math.max(begin, 0), whole - span);
  to = from + span;
  draw();
}

function zoom(factor, about) {
  look(about - (about - from) * factor, about + (to - about) * factor);
}

function point(event) {
  const box = canvas.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

canvas.addEventListener('wheel', event => {
  event.preventDefault();
  zoom(Math.exp(event.deltaY * 0.0015), time(point(event).x));
}, { passive: false });
canvas.addEventListener('pointerdown', event => {
  dragged = { x: event.clientX, from, to };
  canvas.setPointerCapture(event.pointerId);
});
canvas.addEventListener('pointerup', () => { dragged = null; });
canvas.addEventListener('pointermove', event => {
  mouse = point(event);
  if (dragged) {
    const shift = (event.clientX - dragged.x) / (width - LEFT - RIGHT) * (dragged.to - dragged.from);
    look(dragged.from - shift, dragged.to - shift);
    return;
  }
  draw();
  const lines = mouse.x < LEFT ? [] : told(mouse.x, mouse.y);
  tip.textContent = lines.join('\n');
  tip.hidden = lines.length === 0;
  tip.style.left = Math.min(mouse.x + 14, width - 320) + 'px';
  tip.style.top = mouse.y + 14 + 'px';
});
canvas.addEventListener('pointerleave', () => { mouse = null; tip.hidden = true; draw(); });
canvas.addEventListener('dblclick', () => look(0, whole));
window.addEventListener('resize', draw);
window.addEventListener('keydown', event => {
  const middle = (from + to) / 2, move = (to - from) / 5;
  const keys = { '+': () => zoom(.6, middle), '-': () => zoom(1.7, middle), '0': () => look(0, whole),
    ArrowLeft: () => look(from - move, to - move), ArrowRight: () => look(from + move, to + move) };
  if (keys[event.key]) keys[event.key]();
});

function table(id, heads, list) {
  const body = document.getElementById(id);
  const row = (cells, kind) => {
    const tr = document.createElement('tr');
    for (const cell of cells) tr.appendChild(document.createElement(kind)).textContent = cell;
    return tr;
  };
  body.appendChild(row(heads, 'th'));
  for (const { cells, at, end } of list.slice(0, 500)) {
    const tr = body.appendChild(row(cells, 'td'));
    tr.addEventListener('click', () => { look(at - Math.max(end - at, .2), end + Math.max(end - at, .2)); window.scrollTo(0, 0); });
  }
  if (list.length > 500) body.appendChild(row([`… and ${list.length - 500} more`], 'td'));
}

table('elections', ['at', 'term', 'candidates, and who voted for them', 'no vote from'], data.elections.map(e => ({
  at: e.at, end: e.at,
  cells: [e.at.toFixed(3) + ' s', e.term, e.candidates.join('; '), e.without],
})));
table('faults', ['from', 'to', 'fault'], data.windows.map(f => ({
  at: f[0], end: f[1], cells: [f[0].toFixed(3) + ' s', f[1].toFixed(3) + ' s', f[2]],
})));
draw();
