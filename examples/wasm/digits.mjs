// Reads digits with Bantam as WebAssembly, through the functions of bantam.h:
//   node digits.mjs MODEL DIGITS MODULE.wasm [MODULE.wasm…]
// Where there is more than one module they take turns, and the first is held against the others.
import { readFileSync } from "node:fs";

const PIXELS = 28 * 28;
const RECORD = 2 + PIXELS;
const PAGE = 65536;
const ALIGNMENT = 64;
const FAILURE_BYTES = 256;
const ROUNDS = 15;

class Net {
    #exports;
    #model;
    #places;
    #net;

    constructor(file, model) {
        const module = new WebAssembly.Module(readFileSync(file));
        this.#exports = new WebAssembly.Instance(module).exports;
        // Nothing in the module allocates: what is added to its memory is ours.
        this.#places = { word: this.#take(4), failure: this.#take(FAILURE_BYTES), input: this.#take(4 * PIXELS) };
        this.#model = this.#take(model.length);
        this.#bytes(this.#model, model.length).set(model);
        const { word, failure } = this.#places;
        this.#check(this.#exports.bantam_memory_size(this.#model, model.length, 1, word, failure));
        this.memoryBytes = this.#word();
        const memory = this.#take(this.memoryBytes);
        this.#check(
            this.#exports.bantam_init(word, this.#model, model.length, 1, memory, this.memoryBytes, failure),
        );
        this.#net = this.#word();
    }

    /** A copy of the output for `image`. */
    run(image) {
        const { word, failure, input } = this.#places;
        new Float32Array(this.#exports.memory.buffer, input, PIXELS).set(image);
        this.#check(this.#exports.bantam_run(this.#net, input, PIXELS, word, failure));
        const outputs = this.#exports.bantam_output_len(this.#net);
        return new Float32Array(this.#exports.memory.buffer, this.#word(), outputs).slice();
    }

    #bytes(at, count) {
        return new Uint8Array(this.#exports.memory.buffer, at, count);
    }

    #word() {
        return new DataView(this.#exports.memory.buffer).getUint32(this.#places.word, true);
    }

    #take(bytes) {
        return PAGE * this.#exports.memory.grow(Math.ceil(bytes / PAGE));
    }

    #check(status) {
        if (status === 0) return;
        const text = this.#bytes(this.#places.failure + 4, FAILURE_BYTES - 4);
        throw new Error(new TextDecoder().decode(text.subarray(0, text.indexOf(0))));
    }
}

const [modelFile, digitsFile, ...modules] = process.argv.slice(2);
if (modules.length === 0) {
    console.error("usage: node digits.mjs MODEL DIGITS MODULE.wasm [MODULE.wasm…]");
    process.exit(2);
}
const model = readFileSync(modelFile);
const digits = readFileSync(digitsFile);
const count = Math.floor(digits.length / RECORD);
const images = Array.from({ length: count }, (_, i) =>
    Float32Array.from(digits.subarray(i * RECORD + 2, (i + 1) * RECORD), (pixel) => pixel / 255),
);
const nets = modules.map((file) => ({ file, net: new Net(file, model), fastest: Infinity, outputs: [] }));

for (let round = 0; round < ROUNDS; round++) {
    for (const it of nets) {
        const start = performance.now();
        it.outputs = images.map((image) => it.net.run(image));
        it.fastest = Math.min(it.fastest, (performance.now() - start) / count);
    }
}

let asDesktop = count > 0;
for (const { file, net, fastest, outputs } of nets) {
    const read = outputs.map((output) => output.indexOf(Math.max(...output)));
    const right = read.filter((digit, i) => digit === digits[i * RECORD]).length;
    const same = read.filter((digit, i) => digit === digits[i * RECORD + 1]).length;
    asDesktop &&= same === count;
    const times = (fastest / nets[0].fastest).toFixed(2);
    console.log(`${file}: ${right} of ${count} digits read right, ${same} as on the desktop`);
    console.log(`  ${(1000 * fastest).toFixed(0)} µs an image, ${times} times the first module's`);
    console.log(`  ${net.memoryBytes} bytes of memory`);
}
process.exit(asDesktop ? 0 : 1);
