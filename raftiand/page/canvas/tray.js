// The part of the page where a picture is fitted to the board.

import { Picture } from "./picture.js";

const find = (id) => document.getElementById(id);

export class Tray {
  #painting;
  #view;
  #says;
  #picture = null;
  #stopped = false;
  #isPainting = false;

  constructor(painting, view, says) {
    [this.#painting, this.#view, this.#says] = [painting, view, says];
    find("choose").addEventListener("click", () => find("file").click());
    find("file").addEventListener("change", () => this.#choose(find("file").files[0]));
    find("stage").addEventListener("dragover", (event) => event.preventDefault());
    find("stage").addEventListener("drop", (event) => {
      event.preventDefault();
      this.#choose(event.dataTransfer.files[0]);
    });
    find("picture-width").addEventListener("input", () => {
      this.#picture?.resize(Number(find("picture-width").value), painting);
      this.#show();
    });
    find("picture-fade").addEventListener("input", () => this.#show());
    find("picture-paint").addEventListener("click", () => this.#paint());
    find("picture-template").addEventListener("click", () => {
      if (this.#picture) this.#picture.isTemplate = !this.#picture.isTemplate;
      this.#show();
    });
    find("picture-remove").addEventListener("click", () => this.#remove());
  }

  /** Whether a picture is being moved about, so that a drag on the board moves it. */
  get isMoving() {
    return this.#picture !== null && !this.#picture.isTemplate && !this.#isPainting;
  }

  move(dx, dy) {
    this.#picture?.move(dx, dy, this.#painting);
    this.#show();
    if (this.#picture) this.#says.say(`Picture at column ${this.#picture.x}, row ${this.#picture.y}`);
  }

  boardChanged() {
    if (this.#picture) this.#picture.move(0, 0, this.#painting);
    this.#show();
  }

  async #choose(file) {
    find("file").value = "";
    if (!file || this.#isPainting) return;
    try {
      this.#picture = await Picture.read(file, this.#painting);
    } catch (error) {
      return this.#says.notice("Not shown:", `${error.message}.`);
    }
    const width = find("picture-width");
    width.max = this.#picture.mostWidth(this.#painting);
    width.value = this.#picture.width;
    find("picture-name").textContent = file.name;
    this.#show();
    find("picture").scrollIntoView({ block: "nearest" });
  }

  #show() {
    const picture = this.#picture;
    find("picture").hidden = picture === null;
    // While a picture is fitted there is nothing else to do.
    find("painting").classList.toggle("aside", this.isMoving || this.#isPainting);
    this.#view.overlay = picture;
    this.#view.draw();
    if (!picture) return;
    picture.opacity = Number(find("picture-fade").value) / 100;
    find("picture-about").textContent = `${picture.width} × ${picture.height} pixels at ${picture.x}, ${picture.y}`;
    find("picture-template").setAttribute("aria-pressed", String(picture.isTemplate));
    find("picture-paint").disabled = this.#isPainting;
    find("picture-remove").textContent = this.#isPainting ? "Stop" : "Remove";
  }

  async #paint() {
    const pixels = this.#picture.pixels(this.#painting);
    if (pixels.length === 0) return this.#says.notice("Nothing to paint:", "all of the picture is transparent.");
    const progress = find("picture-progress");
    [this.#isPainting, this.#stopped, progress.hidden, progress.value] = [true, false, false, 0];
    this.#show();
    const done = await this.#painting.pour(pixels, (count) => {
      progress.value = count / pixels.length;
      return !this.#stopped;
    });
    [this.#isPainting, progress.hidden] = [false, true];
    if (done === pixels.length) {
      this.#says.say(`The picture is painted: ${done} pixels`);
      return this.#remove();
    }
    this.#says.notice("Not all of the picture is painted:", `${done} of ${pixels.length} pixels are. Paint it again for the rest.`, { mild: true });
    this.#show();
  }

  #remove() {
    if (this.#isPainting) {
      this.#stopped = true;
      return;
    }
    this.#picture = null;
    this.#show();
    find("board").focus({ preventScroll: true });
  }
}
