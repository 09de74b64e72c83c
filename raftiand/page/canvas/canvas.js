// A painter's page: the board, and what is painted as it is committed.
//
// Invariant: what is drawn is what was committed; a click is drawn when its pixel comes back.

const board = document.getElementById("board");
const pen = board.getContext("2d");
const said = document.getElementById("said");
const user = crypto.randomUUID();
let seen = 0;

async function load() {
  const answer = await fetch("/client/board");
  if (!answer.ok) throw new Error((await answer.json()).detail);
  const bytes = new DataView(await answer.arrayBuffer());
  const [width, height, count] = [bytes.getUint16(0, true), bytes.getUint16(2, true), bytes.getUint16(12, true)];
  const picture = new ImageData(width, height);
  const at = 14 + 3 * count;
  for (let pixel = 0; pixel < width * height; pixel += 1) {
    const rgb = count > 0 ? 14 + 3 * bytes.getUint8(at + pixel) : at + 3 * pixel;
    for (let part = 0; part < 3; part += 1) picture.data[4 * pixel + part] = bytes.getUint8(rgb + part);
    picture.data[4 * pixel + 3] = 255;
  }
  [board.width, board.height] = [width, height];
  pen.putImageData(picture, 0, 0);
  seen = Number(bytes.getBigUint64(4, true));
}

function show(bytes) {
  for (let at = 9; at < bytes.byteLength; at += 7) {
    const [red, green, blue] = [bytes.getUint8(at + 4), bytes.getUint8(at + 5), bytes.getUint8(at + 6)];
    pen.fillStyle = `rgb(${red} ${green} ${blue})`;
    pen.fillRect(bytes.getUint16(at, true), bytes.getUint16(at + 2, true), 1, 1);
  }
  seen = Number(bytes.getBigUint64(1, true));
}

function follow() {
  const socket = new WebSocket(`ws://${location.host}/ws?format=binary&after=${seen}`);
  socket.binaryType = "arraybuffer";
  socket.onmessage = async ({ data }) => {
    if (data instanceof ArrayBuffer) return show(new DataView(data));
    const { type, content } = JSON.parse(data);
    if (type === "resync") await load();
    if (type === "node") said.value = `behind ${content.node.id}`;
  };
  socket.onclose = () => setTimeout(follow, 500 + Math.random() * 1000);
}

board.addEventListener("click", async ({ offsetX, offsetY }) => {
  const [x, y] = [offsetX * board.width / board.clientWidth, offsetY * board.height / board.clientHeight].map(Math.floor);
  const color = Number.parseInt(document.getElementById("colour").value.slice(1), 16);
  const answer = await fetch("/client/pixel", { method: "POST", body: JSON.stringify({ user_id: user, x, y, color }) });
  if (!answer.ok) said.value = (await answer.json()).detail;
});

load().then(follow, (error) => { said.value = error.message; });
