// Pages in jsdom, in this process. A profile is what its pages share and keep: local storage.
import { JSDOM, VirtualConsole } from 'jsdom';

export async function startJsdom(origin) {
  return {
    name: 'jsdom',
    profile: async () => new Profile(origin),
    close: async () => {},
  };
}

class Profile {
  #origin;
  #stored = {};
  #pages = new Set();

  constructor(origin) {
    this.#origin = origin;
  }

  async page(sdk) {
    const page = new Page(`${this.#origin}/${sdk}/`, this);
    this.#pages.add(page);
    await page.load();
    return page;
  }

  keep(storage) {
    this.#stored = { ...storage };
  }

  // stored is what a page that opens now finds: jsdom windows do not share storage by themselves.
  stored() {
    for (const page of this.#pages) page.save();
    return this.#stored;
  }

  async close() {
    for (const page of this.#pages) page.close();
  }
}

class Page {
  receive = () => {};
  #url;
  #profile;
  #dom;

  constructor(url, profile) {
    this.#url = url;
    this.#profile = profile;
  }

  async load() {
    const stored = this.#profile.stored();
    this.#dom = await JSDOM.fromURL(this.#url, {
      runScripts: 'dangerously',
      resources: 'usable',
      pretendToBeVisual: true,
      virtualConsole: new VirtualConsole(),
      beforeParse: (window) => {
        for (const [key, value] of Object.entries(stored)) window.localStorage.setItem(key, value);
        window.conformanceEmit = (text) => this.receive(text);
      },
    });
    const { window } = this.#dom;
    if (window.document.readyState !== 'complete') {
      await new Promise((resolve) => window.addEventListener('load', resolve));
    }
    if (!window.conformance) throw new Error(`${this.#url}: the page's scripts did not run`);
  }

  request(text) {
    return this.#dom.window.conformance.request(text);
  }

  save() {
    if (this.#dom) this.#profile.keep(this.#dom.window.localStorage);
  }

  async reload() {
    this.close();
    await this.load();
  }

  close() {
    if (!this.#dom) return;
    this.save();
    this.#dom.window.close();
    this.#dom = undefined;
  }
}
