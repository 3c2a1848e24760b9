// What one step gets to work with: users, logged-in clients and faults, all of which end with the step.
import { startServer } from './cluster.mjs';
import { Client } from './drivers/client.mjs';
import { Proxy } from './proxy.mjs';
import { Rest } from './rest.mjs';

export class Trial {
  #driver;
  #binary;
  #cleanups = [];
  #clients = [];

  // server is shared with other steps: a step that kills or empties one asks for its own with freshServer.
  constructor({ sdk, driver, server, binary }) {
    this.sdk = sdk;
    this.#driver = driver;
    this.#binary = binary;
    this.use(server);
  }

  use(server) {
    this.server = server;
    this.rest = new Rest(server.dev);
  }

  // freshServer starts a server for this step alone; env has settings as environment variables.
  async freshServer(env) {
    const server = await startServer({ ...this.#binary, env });
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
    const client = await Client.over(page, {
      appKey: this.server.dev.app,
      isHttpDNS: false,
      url: url.href,
      apiUrl: this.server.dev.rest,
      ...options,
    });
    this.#clients.push(client);
    return client;
  }

  // login makes a client and logs it in with a token.
  async login(user, options) {
    const [client, accessToken] = await Promise.all([this.client(options), this.rest.userToken(user.name)]);
    await client.open({ user: user.name, accessToken });
    await client.wait('onConnected');
    return client;
  }

  // story tells what each client saw last, for the report of a failure.
  story(last = 20) {
    return this.#clients
      .map((client) => [`${client.user ?? 'nobody'}:`, ...client.events.slice(-last).map((e) => `  ${e.at} ${e.name} ${JSON.stringify(e.payload)?.slice(0, 200)}`)].join('\n'))
      .join('\n');
  }

  async end() {
    for (const cleanup of this.#cleanups.reverse()) await cleanup();
  }
}
