// Pages in headless Chromium. A profile is a browser context: its own storage, cookies and connections.
import { chromium } from 'playwright-core';

const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--disable-background-timer-throttling',
  '--disable-backgrounding-occluded-windows', '--disable-renderer-backgrounding', '--disable-dev-shm-usage',
];

export async function startChromium(origin, executablePath) {
  const browser = await chromium.launch({ executablePath, headless: true, args: FLAGS, timeout: 30_000 });
  // Contexts that a step is done with, emptied: a context that has its renderer already opens much faster.
  const idle = [];
  return {
    name: 'chromium',
    profile: async () => new Profile(origin, idle.pop() ?? { context: await browser.newContext() }, idle),
    close: () => browser.close(),
  };
}

class Profile {
  #origin;
  #place;
  #idle;
  #pages = [];

  // place is {context, tab}: tab, if any, is an empty tab of the context.
  constructor(origin, place, idle) {
    this.#origin = origin;
    this.#place = place;
    this.#idle = idle;
  }

  async page(sdk) {
    const tab = this.#place.tab ?? new Tab(await this.#place.context.newPage());
    this.#place.tab = undefined;
    const page = new Page(tab);
    this.#pages.push(page);
    await page.load(`${this.#origin}/${sdk}/`);
    return page;
  }

  // close ends all tabs and forgets what they stored; the context is then as good as new.
  async close() {
    const [first, ...rest] = this.#pages.filter((page) => page.open);
    await Promise.all(rest.map((page) => page.close()));
    const { context } = this.#place;
    if (!first) {
      await context.close();
      return;
    }
    await context.clearCookies();
    this.#idle.push({ context, tab: await first.empty() });
  }
}

// A tab keeps its binding over navigations; it reports to the page that is in it now.
class Tab {
  receive = () => {};
  #bound = false;

  constructor(handle) {
    this.handle = handle;
  }

  async bind() {
    if (this.#bound) return;
    this.#bound = true;
    await this.handle.exposeFunction('conformanceEmit', (text) => this.receive(text));
  }
}

class Page {
  receive = () => {};
  open = true;
  #tab;

  constructor(tab) {
    this.#tab = tab;
    tab.receive = (text) => this.receive(text);
  }

  async load(url) {
    await this.#tab.bind();
    await this.#tab.handle.goto(url, { waitUntil: 'load' });
    await this.#ready();
  }

  async #ready() {
    const loaded = await this.#tab.handle.evaluate(() => Boolean(window.conformance));
    if (!loaded) throw new Error(`${this.#tab.handle.url()}: the page's scripts did not run`);
  }

  request(text) {
    return this.#tab.handle.evaluate((request) => window.conformance.request(request), text);
  }

  async reload() {
    await this.#tab.handle.reload({ waitUntil: 'load' });
    await this.#ready();
  }

  // empty clears the storage, leaves the page, which drops its sockets, and gives the tab back.
  async empty() {
    this.open = false;
    this.#tab.receive = () => {};
    const { handle } = this.#tab;
    await handle.evaluate(() => {
      localStorage.clear();
      sessionStorage.clear();
    });
    await handle.goto('about:blank');
    return this.#tab;
  }

  close() {
    this.open = false;
    return this.#tab.handle.close();
  }
}
