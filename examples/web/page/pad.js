"use strict";

/** A canvas that is drawn on with a mouse, a pen, fingers or keys. Ink is opaque, the ground is not. */
class Pad {
    #context;
    #canvas;
    /** Where each pointer that is down was last. */
    #pointers = new Map();
    /** Where the keys have the pen, and whether it is down. */
    #pen;
    #penIsDown = false;
    /** What shows where that is. */
    #mark;
    /** The next stroke begins a new drawing. */
    #isDone = true;
    #changed;

    /** Calls `changed` when there is other ink, with whether a stroke goes on. `mark` shows where the keys have the pen. */
    constructor(canvas, side, mark, changed) {
        canvas.width = canvas.height = side;
        this.#canvas = canvas;
        this.#mark = mark;
        this.#context = canvas.getContext("2d", { willReadFrequently: true });
        this.#pen = { x: side / 2, y: side / 4 };
        this.#changed = changed;
        canvas.addEventListener("pointerdown", (event) => this.#down(event));
        canvas.addEventListener("pointermove", (event) => this.#move(event));
        for (const end of ["pointerup", "pointercancel"]) {
            canvas.addEventListener(end, (event) => this.#up(event));
        }
        canvas.addEventListener("keydown", (event) => this.#key(event));
        canvas.addEventListener("blur", () => (mark.hidden = true));
    }

    /** Red, green, blue and alpha of each pixel. */
    get pixels() {
        return this.#context.getImageData(0, 0, this.#canvas.width, this.#canvas.height).data;
    }

    clear() {
        this.#context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
        this.#isDone = false;
        this.#changed(false);
    }

    /** Shows these pixels; the next stroke begins a new drawing. */
    show(pixels) {
        this.#context.putImageData(new ImageData(pixels.slice(), this.#canvas.width), 0, 0);
        this.finish();
        this.#changed(false);
    }

    /** The next stroke begins a new drawing. */
    finish() {
        this.#isDone = true;
    }

    #begin() {
        if (this.#isDone) this.#context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
        this.#isDone = false;
    }

    #stroke(from, to) {
        const context = this.#context;
        // As thick as the digits of MNIST are, if the drawing is about as large as the pad allows.
        context.lineWidth = this.#canvas.width / 13;
        context.lineCap = "round";
        context.beginPath();
        context.moveTo(from.x, from.y);
        context.lineTo(to.x, to.y);
        context.stroke();
    }

    #at({ clientX, clientY }) {
        const box = this.#canvas.getBoundingClientRect();
        const scale = this.#canvas.width / box.width;
        return { x: (clientX - box.left) * scale, y: (clientY - box.top) * scale };
    }

    #down(event) {
        if (event.button !== 0) return;
        this.#canvas.setPointerCapture(event.pointerId);
        this.#begin();
        const at = this.#at(event);
        this.#pointers.set(event.pointerId, at);
        this.#stroke(at, at);
        this.#changed(true);
    }

    #move(event) {
        let from = this.#pointers.get(event.pointerId);
        if (from === undefined) return;
        const events = event.getCoalescedEvents?.() ?? [];
        for (const each of events.length > 0 ? events : [event]) {
            const to = this.#at(each);
            this.#stroke(from, to);
            from = to;
        }
        this.#pointers.set(event.pointerId, from);
        this.#changed(true);
    }

    #up(event) {
        if (this.#pointers.delete(event.pointerId)) this.#changed(this.#pointers.size > 0);
    }

    #key(event) {
        const side = this.#canvas.width;
        const step = side / 28;
        const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], " ": [0, 0] };
        const way = ways[event.key];
        if (way === undefined) return;
        event.preventDefault();
        if (event.key === " ") this.#penIsDown = !this.#penIsDown;
        const from = this.#pen;
        const [x, y] = [from.x + way[0] * step, from.y + way[1] * step].map((at) =>
            Math.min(Math.max(at, step), side - step),
        );
        this.#pen = { x, y };
        Object.assign(this.#mark.style, { left: `${(100 * x) / side}%`, top: `${(100 * y) / side}%` });
        this.#mark.classList.toggle("down", this.#penIsDown);
        this.#mark.hidden = false;
        if (this.#penIsDown) {
            this.#begin();
            this.#stroke(from, this.#pen);
            this.#changed(true);
        } else if (event.key === " ") {
            this.#changed(false);
        }
    }
}
