"use strict";

const STEPS = 30;
/** The layer that the heat map is of if no other is chosen: fine enough for strokes, and deep enough to know digits. */
const HEAT_LAYER = "re_lu_1";

const element = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(share > 0.9995 || share < 0.0005 ? 0 : 1)} %`;
const milliseconds = (time) => `${time.toFixed(time < 10 ? 1 : 0)} ms`;
/** A digit as it is said. */
const named = (digit) => `${digit === 8 ? "an" : "a"} ${digit}`;
/** The index of the largest. */
const argmax = (numbers) => numbers.indexOf(Math.max(...numbers));

/** What the page shows of a reader, and what it asks it to do. */
class Page {
    #reader;
    #pad;
    /** The sheets of the layers, and the layers that the heat map may be of. */
    #layers;
    #maps;
    #bars;
    #colours;
    /** What was read last: the digit, whether there was ink, the probabilities, and the picture. */
    #last;
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
        this.#maps = reader.parts.slice(1).filter(({ rows }) => rows > 1);
        element("layer").append(...this.#maps.map(({ name }) => make("option", { textContent: name, value: name })));
        element("layer").value = HEAT_LAYER;
        this.#layers = reader.parts.slice(0, -1).map(sheet);
        element("sheets").append(...this.#layers.map(({ figure }) => figure));
        for (let digit = 0; digit < 10; digit++) {
            const button = make("button", { type: "button", textContent: digit });
            listen(button, "click", () => this.#keep(digit));
            element("digits").append(button);
        }
        this.#pad = new Pad(element("pad"), reader.side, element("pen"), guarded((goesOn) => this.#changed(goesOn)));
        listen(element("clear"), "click", () => this.#pad.clear());
        listen(element("sample"), "click", () => this.#pad.show(reader.sample(this.#samples++)));
        listen(element("layer"), "change", () => this.#read());
        listen(element("learn"), "click", () => this.#learn());
        listen(element("forget"), "click", () => this.#forget());
        listen(element("discard"), "click", () => this.#discard());
        listen(element("save"), "click", () => this.#save());
        listen(document, "keydown", (event) => this.#key(event));
        listen(matchMedia("(prefers-color-scheme: dark)"), "change", () => this.#repaint());
        this.#colours = colours();
        const { rows, columns } = reader.parts[0];
        Object.assign(element("heat"), { width: columns, height: rows });
        this.#pad.show(reader.sample(this.#samples++));
        this.#times.first = performance.mark("first reading").startTime;
        this.#tell();
    }

    #bar(digit) {
        const bar = make("span", { className: "bar" });
        const share = make("span");
        const track = make("span", { className: "track" }, bar);
        const button = make("button", { type: "button" }, make("span", { textContent: digit }), track, share);
        listen(button, "click", () => this.#choose(digit));
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
            const read = guarded(() => {
                this.#isAsked = false;
                this.#read();
            });
            requestAnimationFrame(read);
        }
    }

    #read() {
        const start = performance.now();
        const numbers = this.#reader.read(this.#pad.pixels);
        this.#times.reading = performance.now() - start;
        const probabilities = Array.from(numbers.at(-1));
        const hasInk = numbers[0].some((ink) => ink > 0);
        this.#last = { digit: argmax(probabilities), hasInk, probabilities, picture: numbers[0] };
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
        const { ink, layer } = this.#colours;
        this.#layers.forEach((sheet, i) => paintSheet(sheet, numbers[i], sheet.channels === 1 ? ink : layer));
        this.#paintHeat();
        this.#enable();
        this.#tell();
    }

    #paintHeat() {
        const { hasInk, picture } = this.#last;
        const digit = this.#shown();
        const part = this.#maps.find(({ name }) => name === element("layer").value);
        const heat = hasInk ? this.#reader.heat(part, digit) : picture;
        paint(element("heat"), (pixels) => {
            heat.forEach((heat, i) => {
                const palette = this.#colours.heat[Math.round(SHADES * heat)];
                pixels[i] = palette[SHADES + Math.round(SHADES * picture[i])];
            });
        });
        const sees = heat.some((heat) => heat > 0) ? "The warmer, the more speaks for" : "Nothing here speaks for";
        element("heat-text").textContent = hasInk ? `${sees} ${named(digit)}.` : "Nothing is drawn.";
    }

    /** In other colours. */
    #repaint() {
        this.#colours = colours();
        this.#kept.forEach((kept) => paintSheet(kept, kept.picture, this.#colours.ink));
        this.#read();
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
        if (hasInk) text = `${named(digit).replace("a", "A")}, ${percent(sure)} sure`;
        if (hasInk && sure < 0.9) text += `; or ${named(second)}`;
        element("read").textContent = text;
    }

    #choose(digit) {
        this.#chosen = digit === this.#shown() ? null : digit;
        this.#read();
    }

    #key(event) {
        const isOther =
            event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target.closest?.("select");
        if (!isOther && /^[0-9]$/.test(event.key)) this.#keep(Number(event.key));
    }

    #keep(digit) {
        if (!this.#last.hasInk || this.#isLearning) return;
        this.#reader.keep(digit);
        const kept = { ...sheet(this.#reader.parts[0]), picture: this.#last.picture };
        const button = make("button", { type: "button", title: "Discard this drawing" }, kept.canvas, String(digit));
        button.setAttribute("aria-label", `${digit}: discard this drawing`);
        listen(button, "click", () => this.#discard(this.#kept.indexOf(kept)));
        kept.item = make("li", {}, button);
        paintSheet(kept, kept.picture, this.#colours.ink);
        this.#kept.push(kept);
        element("kept").append(kept.item);
        this.#pad.finish();
        this.#enable();
    }

    /** Discards one of the drawings that are kept, or all. */
    #discard(index) {
        if (this.#isLearning) return;
        const from = index ?? 0;
        for (const { item } of this.#kept.splice(from, index === undefined ? Infinity : 1)) {
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
        for (const button of element("digits").children) button.disabled = !this.#last.hasInk || this.#isLearning;
    }

    #tell() {
        const { first, reading, learning } = this.#times;
        const said = [];
        if (first !== null) said.push(`first reading ${milliseconds(first)} after opening`);
        said.push(`a reading ${milliseconds(reading)}`);
        if (learning !== null) said.push(`a step of learning from 32 pictures ${milliseconds(learning)}`);
        element("times").textContent = `Measured here: ${said.join(", ")}.`;
    }
}

/** Does `work` at each event of that name. */
function listen(target, event, work) {
    target.addEventListener(event, guarded(work));
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
    tell(sentence(error));
    console.error(error);
}

/** Tells of a problem at the head of the page. */
function tell(sentence) {
    element("problem").textContent = sentence;
    element("problem").hidden = false;
}

function sentence(error) {
    const message = error.message.replace(/\.*$/, ".");
    if (error instanceof Refusal) return `The reader refused: ${message}`;
    if (error instanceof WebAssembly.CompileError) {
        return (
            "This browser cannot run the reader, which needs WebAssembly with SIMD. Chrome and Edge have it since " +
            "version 91, Firefox since 89, Safari since 16.4."
        );
    }
    return `Something went wrong, and the page may have to be loaded again: ${message}`;
}

guarded(async () => {
    if (typeof WebAssembly === "undefined") return tell("This browser has no WebAssembly, by which the page reads.");
    new Page(await Reader.start(element("module").textContent));
})();
