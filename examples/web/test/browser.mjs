// A headless Chromium, by the WebDriver protocol (https://www.w3.org/TR/webdriver2/).
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as later } from "node:timers/promises";

/** How a pointer action names an element. */
const ELEMENT = "element-6066-11e4-a52e-4f735466cecf";

export class Browser {
    #driver;
    #profile;
    #session;

    /** Starts chromedriver and a browser. Gives `undefined` where there is no chromedriver. */
    static async start() {
        const driver = spawn(process.env.CHROMEDRIVER ?? "chromedriver", ["--port=0"], {
            stdio: ["ignore", "pipe", "inherit"],
        });
        const port = await new Promise((resolve, reject) => {
            let said = "";
            driver.once("error", (error) => (error.code === "ENOENT" ? resolve(undefined) : reject(error)));
            driver.once("exit", (status) => reject(new Error(`chromedriver ended with status ${status}: ${said}`)));
            driver.stdout.on("data", (text) => {
                said += text;
                const port = /started successfully on port (\d+)/.exec(said)?.[1];
                if (port !== undefined) resolve(port);
            });
        });
        if (port === undefined) return undefined;
        const browser = new Browser();
        browser.#driver = driver;
        browser.#profile = mkdtempSync(join(tmpdir(), "bantam-page-"));
        const args = [
            "headless",
            "no-sandbox",
            "disable-gpu",
            "disable-quic",
            "no-first-run",
            "disable-background-networking",
            "disable-component-update",
            "disable-sync",
            "hide-scrollbars",
            `user-data-dir=${browser.#profile}`,
        ];
        const binary = process.env.CHROMIUM;
        const chrome = { args, ...(binary && { binary }) };
        browser.#session = `http://127.0.0.1:${port}/session`;
        try {
            const capabilities = { alwaysMatch: { browserName: "chrome", "goog:chromeOptions": chrome } };
            const { sessionId } = await browser.#ask("POST", "", { capabilities });
            browser.#session += `/${sessionId}`;
        } catch (error) {
            await browser.end(false);
            throw error;
        }
        return browser;
    }

    async end(hasSession = true) {
        if (hasSession) await this.#ask("DELETE", "");
        this.#driver.removeAllListeners("exit");
        const ended = new Promise((resolve) => this.#driver.once("exit", resolve));
        this.#driver.kill();
        await ended;
        rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    }

    open(url) {
        return this.#ask("POST", "/url", { url });
    }

    /** Runs a function in the page, with arguments, and gives what it gives. */
    run(work, ...args) {
        return this.#ask("POST", "/execute/sync", { script: `return (${work})(...arguments)`, args });
    }

    /** Waits until a function gives something true in the page. */
    async until(what, work, ...args) {
        for (const end = performance.now() + 20_000; performance.now() < end;) {
            const got = await this.run(work, ...args);
            if (got) return got;
            await later(20);
        }
        throw new Error(`waited 20 s until ${what}`);
    }

    async find(selector) {
        const found = await this.#ask("POST", "/element", { using: "css selector", value: selector });
        return found[ELEMENT];
    }

    async click(selector) {
        await this.#ask("POST", `/element/${await this.find(selector)}/click`, {});
    }

    async type(selector, text) {
        await this.#ask("POST", `/element/${await this.find(selector)}/value`, { text });
    }

    /** Presses what saves a file of that name, and gives the file. */
    async download(selector, name) {
        await this.command("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: this.#profile });
        await this.click(selector);
        const file = join(this.#profile, name);
        // It has this name only when it is whole.
        for (let tries = 0; tries < 500 && !existsSync(file); tries++) await later(20);
        return readFileSync(file);
    }

    /** Draws strokes on an element: points from its upper left corner, in shares of its sides. */
    async draw(selector, strokes, pointerType = "mouse") {
        await this.run((selector) => document.querySelector(selector).scrollIntoView({ block: "center" }), selector);
        const [left, top, width, height] = await this.run((selector) => {
            const { left, top, width, height } = document.querySelector(selector).getBoundingClientRect();
            return [left, top, width, height];
        }, selector);
        const move = ([x, y]) => ({
            type: "pointerMove",
            duration: 10,
            x: Math.round(left + x * width),
            y: Math.round(top + y * height),
        });
        const actions = strokes.flatMap(([first, ...others]) => [
            move(first),
            { type: "pointerDown", button: 0 },
            ...others.map(move),
            { type: "pointerUp", button: 0 },
        ]);
        const pointer = { type: "pointer", id: pointerType, parameters: { pointerType }, actions };
        await this.#ask("POST", "/actions", { actions: [pointer] });
        await this.#ask("DELETE", "/actions");
    }

    /** What is seen of the page, or all of it, as PNG. */
    async screenshot() {
        const { data } = await this.command("Page.captureScreenshot", { captureBeyondViewport: true });
        return Buffer.from(data, "base64");
    }

    /** Lets the page believe that it is on another screen. */
    async screen({ width, height, mobile = false, scheme = "light" }) {
        const size = { width, height, mobile, deviceScaleFactor: mobile ? 2 : 1 };
        await this.command("Emulation.setDeviceMetricsOverride", size);
        await this.command("Emulation.setTouchEmulationEnabled", { enabled: mobile });
        await this.command("Emulation.setEmulatedMedia", {
            features: [{ name: "prefers-color-scheme", value: scheme }],
        });
    }

    /** A command of Chromium's own protocol. */
    command(cmd, params) {
        return this.#ask("POST", "/goog/cdp/execute", { cmd, params });
    }

    async #ask(method, path, body) {
        const headers = { "content-type": "application/json" };
        const answer = await fetch(this.#session + path, { method, headers, body: body && JSON.stringify(body) });
        const { value } = await answer.json();
        if (!answer.ok) throw new Error(`${method} ${path}: ${value.error}: ${value.message}`);
        return value;
    }
}
