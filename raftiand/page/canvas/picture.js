// A picture of the painter's own, laid over the board: to be painted, or as a template to paint after.
//
// Invariant: the picture stays in this page; only pixels of the board leave it, and only when they are painted. What is more than half
// transparent in it is left as it is.

const MAX_BYTES = 20 << 20;
const OPAQUE = 128;

export class Picture {
  x = 0;
  y = 0;
  width = 0;
  height = 0;
  opacity = 0.7;
  isTemplate = false;
  #bitmap;
  #scaled = document.createElement("canvas");

  constructor(bitmap, board) {
    this.#bitmap = bitmap;
    this.resize(Math.min(bitmap.width, this.mostWidth(board)), board);
    this.x = Math.floor((board.width - this.width) / 2);
    this.y = Math.floor((board.height - this.height) / 2);
  }

  /** Reads a file; refuses what is no picture, with the reason. */
  static async read(file, board) {
    if (file.size > MAX_BYTES) throw new Error(`${file.name} has ${Math.ceil(file.size / (1 << 20))} MB; choose a picture of at most 20 MB`);
    let bitmap;
    try {
      bitmap = await createImageBitmap(file);
    } catch {
      throw new Error(`${file.name} is no picture that this browser can read`);
    }
    return new Picture(bitmap, board);
  }

  get source() {
    return this.#scaled;
  }

  /** The widest that it can be and still fit on the board. */
  mostWidth(board) {
    const { width, height } = this.#bitmap;
    return Math.max(1, Math.min(board.width, Math.floor((board.height * width) / height)));
  }

  resize(width, board) {
    const middle = [this.x + this.width / 2, this.y + this.height / 2];
    this.width = width;
    this.height = Math.max(1, Math.min(board.height, Math.round((width * this.#bitmap.height) / this.#bitmap.width)));
    [this.#scaled.width, this.#scaled.height] = [this.width, this.height];
    const context = this.#scaled.getContext("2d", { willReadFrequently: true });
    // A picture that is already made of pixels keeps them.
    context.imageSmoothingEnabled = this.width < this.#bitmap.width;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.#bitmap, 0, 0, this.width, this.height);
    [this.x, this.y] = [Math.round(middle[0] - this.width / 2), Math.round(middle[1] - this.height / 2)];
    this.move(0, 0, board);
  }

  move(dx, dy, board) {
    const within = (at, most) => Math.min(Math.max(at, 0), Math.max(0, most));
    this.x = within(this.x + dx, board.width - this.width);
    this.y = within(this.y + dy, board.height - this.height);
  }

  /** What is to be painted: `[place, colour]`, row by row. */
  pixels(board) {
    const { data } = this.#scaled.getContext("2d").getImageData(0, 0, this.width, this.height);
    const pixels = [];
    for (let at = 0; at < this.width * this.height; at += 1) {
      if (data[4 * at + 3] < OPAQUE) continue;
      const [x, y] = [this.x + (at % this.width), this.y + Math.floor(at / this.width)];
      if (board.has(x, y)) pixels.push([board.place(x, y), (data[4 * at] << 16) | (data[4 * at + 1] << 8) | data[4 * at + 2]]);
    }
    return pixels;
  }
}
