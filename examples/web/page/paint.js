"use strict";

// What layers give, as pixels.

/** Colours of a palette, on either side of nothing. */
const SHADES = 64;

/** Makes an element with these properties, and puts others into it. */
function make(name, properties = {}, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
}

/** Palettes of the style sheet's colours, and the colour of heat. */
function colours() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}-rgb`).trim().split(" ").map(Number);
    const [ground, ink, positive, negative, hot] = ["ground", "ink", "positive", "negative", "hot"].map(colour);
    const faint = mix(ground, ink, 0.45);
    return {
        ink: palette(ground, ink, ink),
        layer: palette(ground, positive, negative),
        // A row of them, from ground to ink, for each heat.
        heat: shades((heat) => palette(mix(ground, hot, 0.85 * heat), mix(faint, hot, 0.85 * heat), hot)),
    };
}

/** What `of` gives for so many numbers from 0 to 1. */
function shades(of) {
    return Array.from({ length: SHADES + 1 }, (_, shade) => of(shade / SHADES));
}

/** Pixels for the numbers from -1 to 1: SHADES of them for those below 0, that for 0, and as many for those above. */
function palette(ground, positive, negative) {
    const below = shades((share) => pixel(mix(ground, negative, share)));
    return Uint32Array.from([...below.reverse(), ...shades((share) => pixel(mix(ground, positive, share))).slice(1)]);
}

/** A pixel as memory has it, which is little-endian wherever there is WebAssembly. */
function pixel([red, green, blue]) {
    return (0xff << 24) | (blue << 16) | (green << 8) | red;
}

/** A colour between two. */
function mix(from, to, share) {
    return from.map((part, i) => part + share * (to[i] - part));
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
function paintSheet({ canvas, rows, columns, channels, across, gap }, numbers, palette) {
    const largest = numbers.reduce((largest, number) => Math.max(largest, Math.abs(number)), 0) || 1;
    const scale = SHADES / largest;
    paint(canvas, (pixels) => {
        for (let channel = 0; channel < channels; channel++) {
            const top = Math.floor(channel / across) * (rows + gap);
            const left = (channel % across) * (columns + gap);
            for (let row = 0; row < rows; row++) {
                const to = (top + row) * canvas.width + left;
                const from = row * columns * channels + channel;
                for (let column = 0; column < columns; column++) {
                    pixels[to + column] = palette[SHADES + Math.round(scale * numbers[from + column * channels])];
                }
            }
        }
    });
}

/** Paints all of a canvas: `work` fills its pixels. */
function paint(canvas, work) {
    const context = canvas.getContext("2d");
    const image = context.createImageData(canvas.width, canvas.height);
    work(new Uint32Array(image.data.buffer));
    context.putImageData(image, 0, 0);
}
