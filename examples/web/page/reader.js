"use strict";

// The border to the WebAssembly, src/border.rs.

/** Why the reader refused, in a sentence of its own. */
class Refusal extends Error {}

class Reader {
    #exports;
    /** What `read` gives, in order: name, rows, columns and channels of each. */
    parts;

    /** Makes a reader of a module in base64. */
    static async start(base64) {
        const text = base64.trim();
        const bytes = Uint8Array.fromBase64?.(text) ?? Uint8Array.from(atob(text), (byte) => byte.charCodeAt(0));
        const { instance } = await WebAssembly.instantiate(bytes);
        return new Reader(instance.exports);
    }

    constructor(exports) {
        this.#exports = exports;
        this.#check(exports.page_start());
        const lines = this.#text().trimEnd().split("\n");
        this.parts = lines.map((line) => {
            const [name, ...shape] = line.split(" ");
            const [rows, columns, channels] = shape.map(Number);
            return { name, rows, columns, channels };
        });
        this.side = exports.page_canvas_side();
    }

    /** Reads the pixels of a canvas: a list of numbers for each part. */
    read(pixels) {
        this.#canvas().set(pixels);
        this.#check(this.#exports.page_read());
        const exports = this.#exports;
        const numbers = this.#numbers(exports.page_numbers(), exports.page_numbers_len());
        let end = 0;
        return this.parts.map(({ rows, columns, channels }) => {
            return numbers.subarray(end, (end += rows * columns * channels));
        });
    }

    /** Where a layer, one of the parts, sees a digit in what was read last: a number from 0 to 1 for each pixel of the picture. */
    heat(part, digit) {
        const at = this.#exports.page_heat(this.parts.indexOf(part) - 1, digit);
        this.#check(at !== 0);
        return this.#numbers(at, this.parts[0].rows * this.parts[0].columns);
    }

    /** The pixels of a canvas with one of MNIST's digits. */
    sample(index) {
        this.#check(this.#exports.page_draw_sample(index));
        return this.#canvas();
    }

    /** Keeps what was read last to learn from. */
    keep(digit) {
        this.#check(this.#exports.page_keep(digit));
    }

    discard(index) {
        this.#check(this.#exports.page_discard(index));
    }

    /** Learns a step. Gives the loss before it. */
    learn() {
        const loss = this.#exports.page_learn();
        this.#check(!Number.isNaN(loss));
        return loss;
    }

    forget() {
        this.#check(this.#exports.page_forget());
    }

    /** How many of a hundred digits of MNIST, which it never learns, it reads right. */
    stillRight() {
        const right = this.#exports.page_still_right();
        this.#check(right >= 0);
        return right;
    }

    /** The model's file, with what was learnt. */
    file() {
        const exports = this.#exports;
        this.#check(exports.page_make_file());
        return new Uint8Array(exports.memory.buffer, exports.page_file(), exports.page_file_len()).slice();
    }

    /** A copy: the memory moves when it grows. */
    #numbers(at, count) {
        return new Float32Array(this.#exports.memory.buffer, at, count).slice();
    }

    #canvas() {
        return new Uint8ClampedArray(this.#exports.memory.buffer, this.#exports.page_canvas(), 4 * this.side ** 2);
    }

    #text() {
        const exports = this.#exports;
        const bytes = new Uint8Array(exports.memory.buffer, exports.page_text(), exports.page_text_len());
        return new TextDecoder().decode(bytes);
    }

    #check(done) {
        if (!done) throw new Refusal(this.#text());
    }
}
