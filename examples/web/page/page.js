"use strict";

const STEPS = 30;

const element = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(share > 0.9995 || share < 0.0005 ? 0 : 1)} %`;
const milliseconds = (time) => `${time.toFixed(time < 10 ? 1 : 0)} ms`;
/** The index of the largest. */
const argmax = (numbers) => numbers.indexOf(Math.max(...numbers));

/** Makes an element with these properties, and puts others into it. */
function make(name, properties = {}, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
}

/** What the page shows of a reader, and what it asks it to do. */
class Page {
    #reader;
    #pad;
    #layers;
    #bars;
    #colours;
    /** What was read last: the digit, whether there was ink, and the probabilities. */
    #last = { digit: 0, hasInk: false, probabilities: [] };
    /** Of which digit the heat map is: the one that is read, if none is chosen. */
    #chosen = null;
    #samples = 0;
    #kept = [];
    #steps = 0;
    #isLearning = false;
    #isAsked = false;
    /** In milliseconds. The first is since the page was opened. */
    #times = { first: null, reading: null, learning: null };

    constructor(reader) {
        this.#reader = reader;
        this.#bars = Array.from({ length: 10 }, (_, digit) => this.#bar(digit));
        element("bars").append(...this.#bars.map(({ button }) => make("li", {}, button)));
        this.#layers = reader.parts.slice(0, -1).map(sheet);
        element("sheets").append(...this.#layers.map(({ figure }) => figure));
        element("digits").append(
            ...Array.from({ length: 10 }, (_, digit) => make("button", { type: "button", textContent: digit, onclick: () => this.#keep(digit) })),
        );
        this.#pad = new Pad(element("pad"), reader.side, element("pen"), (goesOn) => this.#changed(goesOn));
        const press = (id, work) => element(id).addEventListener("click", guarded(work));
        press("clear", () => this.#pad.clear());
        press("sample", () => this.#pad.show(reader.sample(this.#samples++)));
        press("learn", () => this.#learn());
        press("forget", () => this.#forget());
        press("discard", () => this.#discard());
        press("save", () => this.#save());
        document.addEventListener("keydown", guarded((event) => this.#key(event)));
        const dark = matchMedia("(prefers-color-scheme: dark)");
        dark.addEventListener("change", () => {
            this.#colours = colours();
            this.#read();
        });
        this.#colours = colours();
        this.#pad.show(reader.sample(this.#samples++));
        this.#times.first = performance.mark("first reading").startTime;
        this.#tell();
    }

    #bar(digit) {
        const bar = make("span", { className: "bar" });
        const share = make("span");
        const button = make(
            "button",
            { type: "button", onclick: guarded(() => this.#choose(digit)) },
            make("span", { textContent: digit }),
            make("span", { className: "track" }, bar),
            share,
        );
        return { button, bar, share };
    }

    /** Reads at once, or before the next picture of the screen while a stroke goes on. */
    #changed(goesOn) {
        this.#chosen = null;
        if (!goesOn) {
            this.#read();
            this.#say();
        } else if (!this.#isAsked) {
            this.#isAsked = true;
            requestAnimationFrame(guarded(() => {
                this.#isAsked = false;
                this.#read();
            }));
        }
    }

    #read() {
        const start = performance.now();
        const numbers = this.#reader.read(this.#pad.pixels);
        this.#times.reading = performance.now() - start;
        const probabilities = Array.from(numbers.at(-1));
        const hasInk = numbers[0].some((ink) => ink > 0);
        this.#last = { digit: argmax(probabilities), hasInk, probabilities };
        element("digit").textContent = hasInk ? this.#last.digit : "\u2013";
        this.#bars.forEach(({ button, bar, share }, digit) => {
            const probability = hasInk ? probabilities[digit] : 0;
            bar.style.transform = `scaleX(${probability})`;
            share.textContent = hasInk ? percent(probability) : "";
            button.disabled = !hasInk;
            button.setAttribute("aria-pressed", hasInk && digit === this.#shown());
            button.setAttribute("aria-label", `${digit}: ${percent(probability)}`);
        });
        // The last layer's output is the bars.
        this.#layers.forEach((layer, i) => paintSheet(layer, numbers[i], this.#colours));
        this.#tell();
    }

    /** Of which digit the heat map is. */
    #shown() {
        return this.#chosen ?? this.#last.digit;
    }

    /** Says in words what was read: not at each point of a stroke, as a screen reader would read all of it. */
    #say() {
        const { digit, hasInk, probabilities } = this.#last;
        const sure = probabilities[digit];
        const second = argmax(probabilities.map((probability, i) => (i === digit ? -1 : probability)));
        let text = "Draw a digit.";
        if (hasInk) text = `A ${digit}, ${percent(sure)} sure`;
        if (hasInk && sure < 0.9) text += `; or a ${second}`;
        element("read").textContent = text;
    }

    #choose(digit) {
        this.#chosen = digit === this.#shown() ? null : digit;
        this.#read();
    }

    #key(event) {
        if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !/^[0-9]$/.test(event.key)) return;
        this.#keep(Number(event.key));
    }

    #keep(digit) {
        if (!this.#last.hasInk || this.#isLearning) return;
        this.#reader.keep(digit);
        const canvas = make("canvas", { width: 28, height: 28 });
        paintMap(canvas, this.#reader.read(this.#pad.pixels)[0], this.#colours.ink);
        const button = make("button", { type: "button", title: "Discard this drawing" }, canvas, String(digit));
        button.setAttribute("aria-label", `${digit}: discard this drawing`);
        const item = make("li", {}, button);
        button.addEventListener("click", guarded(() => this.#discard(this.#kept.indexOf(item))));
        this.#kept.push(item);
        element("kept").append(item);
        this.#pad.finish();
        this.#enable();
    }

    /** Discards one of the drawings that are kept, or all. */
    #discard(index) {
        if (this.#isLearning) return;
        const from = index ?? 0;
        for (const item of this.#kept.splice(from, index === undefined ? Infinity : 1)) {
            item.remove();
            this.#reader.discard(from);
        }
        this.#enable();
    }

    /** Learns some steps, one before each picture of the screen, so that the reading is seen to change. */
    async #learn() {
        this.#isLearning = true;
        this.#enable();
        try {
            const before = this.#steps === 0 ? this.#reader.stillRight() : null;
            const losses = [];
            const times = [];
            for (let step = 0; step < STEPS; step++) {
                const start = performance.now();
                losses.push(this.#reader.learn());
                times.push(performance.measure("step of learning", { start }).duration);
                this.#read();
                this.#plot(losses);
                await new Promise(requestAnimationFrame);
            }
            this.#steps += STEPS;
            // The middle one: the first is compiled while it runs.
            this.#times.learning = times.sort((a, b) => a - b)[STEPS >> 1];
            const was = before === null ? "" : `, ${before} before`;
            element("lesson").textContent =
                `Loss ${losses[0].toFixed(3)}, after ${STEPS} steps ${losses.at(-1).toFixed(3)}. ` +
                `Of 100 digits of MNIST that it never learns it reads ${this.#reader.stillRight()} right${was}.`;
            this.#say();
            this.#tell();
        } finally {
            this.#isLearning = false;
            this.#enable();
        }
    }

    #plot(losses) {
        const highest = Math.max(...losses);
        const points = losses.map((loss, step) => `${(100 * step) / (STEPS - 1)},${29 - (28 * loss) / highest}`);
        element("curve").firstElementChild.setAttribute("points", points.join(" "));
        element("lesson").textContent = `Loss ${losses.at(-1).toFixed(3)}`;
        element("curve").closest("figure").hidden = false;
    }

    #forget() {
        this.#reader.forget();
        this.#steps = 0;
        element("curve").closest("figure").hidden = true;
        this.#read();
        this.#say();
        this.#enable();
    }

    #save() {
        const address = URL.createObjectURL(new Blob([this.#reader.file()], { type: "application/octet-stream" }));
        make("a", { href: address, download: "digits.bantam" }).click();
        setTimeout(() => URL.revokeObjectURL(address), 10_000);
    }

    #enable() {
        const none = this.#kept.length === 0;
        element("learn").disabled = none || this.#isLearning;
        element("discard").disabled = none || this.#isLearning;
        element("forget").disabled = this.#steps === 0 || this.#isLearning;
    }

    #tell() {
        const { first, reading, learning } = this.#times;
        const said = [];
        if (first !== null) said.push(`first reading ${milliseconds(first)} after opening`);
        said.push(`a reading ${milliseconds(reading)}`);
        if (learning !== null) said.push(`a step of learning from 32 drawings ${milliseconds(learning)}`);
        element("times").textContent = `Measured here: ${said.join(", ")}.`;
    }
}

/** The colours of the style sheet that pixels are mixed of. */
function colours() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}-rgb`).trim().split(" ").map(Number);
    const [ground, ink, positive, negative, hot] = ["ground", "ink", "positive", "negative", "hot"].map(colour);
    return { ground, ink: { ground, positive: ink, negative }, layer: { ground, positive, negative }, hot };
}

/** A figure for what a layer gives: its channels beside each other, about as many rows of them as columns. */
function sheet({ name, rows, columns, channels }) {
    const across = Math.ceil(Math.sqrt(channels));
    const gap = rows * columns === 1 ? 0 : 1;
    const [width, height] = [across * (columns + gap) - gap, Math.ceil(channels / across) * (rows + gap) - gap];
    const canvas = make("canvas", { width, height });
    const shape = rows * columns === 1 ? `${channels}` : `${rows} × ${columns} × ${channels}`;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `Activations of ${name}, ${shape}`);
    const caption = make("figcaption", {}, name, make("br"), make("span", { className: "quiet", textContent: shape }));
    return { figure: make("figure", {}, canvas, caption), canvas, rows, columns, channels, across, gap };
}

/** Paints channels beside each other, by the largest number of all. */
function paintSheet({ canvas, rows, columns, channels, across, gap }, numbers, { ink, layer }) {
    const context = canvas.getContext("2d");
    const image = context.createImageData(canvas.width, canvas.height);
    const largest = numbers.reduce((largest, number) => Math.max(largest, Math.abs(number)), 0) || 1;
    const palette = channels === 1 ? ink : layer;
    for (let channel = 0; channel < channels; channel++) {
        const top = Math.floor(channel / across) * (rows + gap);
        const left = (channel % across) * (columns + gap);
        for (let row = 0; row < rows; row++) {
            for (let column = 0; column < columns; column++) {
                const share = numbers[(row * columns + column) * channels + channel] / largest;
                paint(image.data, 4 * ((top + row) * canvas.width + left + column), share, palette);
            }
        }
    }
    context.putImageData(image, 0, 0);
}

/** Paints a map of the canvas's size. */
function paintMap(canvas, numbers, palette) {
    const context = canvas.getContext("2d");
    const image = context.createImageData(canvas.width, canvas.height);
    numbers.forEach((number, i) => paint(image.data, 4 * i, number, palette));
    context.putImageData(image, 0, 0);
}

function paint(pixels, at, share, { ground, positive, negative }) {
    const colour = share < 0 ? negative : positive;
    const part = Math.abs(share);
    for (let i = 0; i < 3; i++) pixels[at + i] = ground[i] + part * (colour[i] - ground[i]);
    pixels[at + 3] = 255;
}

/** What `work` does, with its failure told in the page. */
function guarded(work) {
    return async (...args) => {
        try {
            await work(...args);
        } catch (error) {
            fail(error);
        }
    };
}

function fail(error) {
    const problem = element("problem");
    problem.textContent = sentence(error);
    problem.hidden = false;
    console.error(error);
}

function sentence(error) {
    if (error instanceof Refusal) return `The reader refused: ${error.message}.`;
    if (error instanceof WebAssembly.CompileError) {
        return "This browser cannot run the reader, which needs WebAssembly with SIMD. Chrome and Edge have it since version 91, Firefox since 89, Safari since 16.4.";
    }
    return `Something went wrong, and the page may have to be loaded again: ${error.message}.`;
}

guarded(async () => {
    if (typeof WebAssembly === "undefined") throw new Error("this browser has no WebAssembly");
    new Page(await Reader.start(element("module").textContent));
})();
