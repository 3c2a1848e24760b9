// What one step gets to work with: users, logged-in clients and faults, all of which end with the step.
import { Client } from './drivers/client.mjs';
import { Proxy } from './proxy.mjs';
import { Rest } from './rest.mjs';
import { Server } from './server.mjs';

export class Trial {
  #driver;
  #bin;
  #cleanups = [];

  // server is shared with other steps: a step that kills or empties one asks for its own with freshServer.
  constructor({ sdk, driver, server, bin }) {
    this.sdk = sdk;
    this.#driver = driver;
    this.#bin = bin;
    this.use(server);
  }

  use(server) {
    this.server = server;
    this.rest = new Rest(server.dev);
  }

  async freshServer() {
    const server = await Server.start(this.#bin);
    this.#cleanups.push(() => server.stop());
    this.use(server);
    return server;
  }

  users(...prefixes) {
    return Promise.all(prefixes.map((prefix) => this.rest.user(prefix)));
  }

  async profile() {
    const profile = await this.#driver.profile();
    this.#cleanups.push(() => profile.close());
    return profile;
  }

  async proxy() {
    const proxy = await Proxy.to(this.server.port);
    this.#cleanups.push(() => proxy.close());
    return proxy;
  }

  // client makes an SDK connection in a page of its own, not logged in. Beside SDK options it takes
  // profile (to share a browser's storage) and proxy (for the socket only).
  async client({ profile, proxy, ...options } = {}) {
    const page = await (profile ?? (await this.profile())).page(this.sdk);
    const url = new URL(this.server.dev.ws);
    if (proxy) url.port = proxy.port;
    return Client.over(page, {
      appKey: this.server.dev.app,
      isHttpDNS: false,
      url: url.href,
      apiUrl: this.server.dev.rest,
      ...options,
    });
  }

  // login makes a client and logs it in with a token.
  async login(user, options) {
    const [client, accessToken] = await Promise.all([this.client(options), this.rest.userToken(user.name)]);
    await client.open({ user: user.name, accessToken });
    await client.wait('onConnected');
    return client;
  }

  async end() {
    for (const cleanup of this.#cleanups.reverse()) await cleanup();
  }
}
