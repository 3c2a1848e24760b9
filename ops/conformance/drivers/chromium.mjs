// Pages in headless Chromium. A profile is a browser context: its own storage, cookies and connections.
import { chromium } from 'playwright-core';

const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--disable-background-timer-throttling',
  '--disable-backgrounding-occluded-windows', '--disable-renderer-backgrounding', '--disable-dev-shm-usage',
];

export async function startChromium(origin, executablePath) {
  const browser = await chromium.launch({ executablePath, headless: true, args: FLAGS, timeout: 30_000 });
  return {
    name: 'chromium',
    profile: async () => new Profile(origin, await browser.newContext()),
    close: () => browser.close(),
  };
}

class Profile {
  #origin;
  #context;

  constructor(origin, context) {
    this.#origin = origin;
    this.#context = context;
  }

  async page(sdk) {
    const page = new Page(await this.#context.newPage());
    await page.load(`${this.#origin}/${sdk}/`);
    return page;
  }

  close() {
    return this.#context.close();
  }
}

class Page {
  receive = () => {};
  #page;

  constructor(page) {
    this.#page = page;
  }

  async load(url) {
    await this.#page.exposeFunction('conformanceEmit', (text) => this.receive(text));
    await this.#page.goto(url, { waitUntil: 'load' });
    await this.#ready();
  }

  async #ready() {
    const loaded = await this.#page.evaluate(() => Boolean(window.conformance));
    if (!loaded) throw new Error(`${this.#page.url()}: the page's scripts did not run`);
  }

  request(text) {
    return this.#page.evaluate((request) => window.conformance.request(request), text);
  }

  async reload() {
    await this.#page.reload({ waitUntil: 'load' });
    await this.#ready();
  }

  close() {
    return this.#page.close();
  }
}
