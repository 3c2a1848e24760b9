// A TCP proxy on loopback between an SDK's socket and the server, for faults that a network makes. With several
// servers it gives each connection to the next one.
import { createServer, connect } from 'node:net';

export class Proxy {
  // accepted counts the connections that clients opened through the proxy.
  accepted = 0;
  #targets;
  #server;
  #port = 0;
  #pairs = new Set();
  #stalled = false;

  // to takes the ports of the servers.
  static async to(...targets) {
    const proxy = new Proxy();
    proxy.#targets = targets;
    await proxy.#listen();
    return proxy;
  }

  get port() {
    return this.#port;
  }

  #listen() {
    this.#server = createServer((client) => this.#join(client));
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#port, '127.0.0.1', () => {
        this.#port = this.#server.address().port;
        resolve();
      });
    });
  }

  #join(client) {
    const port = this.#targets[this.accepted++ % this.#targets.length];
    const upstream = connect({ host: '127.0.0.1', port });
    const pair = { client, upstream };
    this.#pairs.add(pair);
    const end = () => {
      client.destroy();
      upstream.destroy();
      this.#pairs.delete(pair);
    };
    for (const socket of [client, upstream]) {
      socket.setNoDelay(true);
      socket.on('error', end);
      socket.on('close', end);
    }
    if (!this.#stalled) this.#flow(pair);
  }

  #flow({ client, upstream }) {
    client.pipe(upstream);
    upstream.pipe(client);
  }

  // cut drops every open connection with a reset; new ones are welcome at once.
  cut() {
    for (const { client, upstream } of [...this.#pairs]) {
      client.resetAndDestroy();
      upstream.resetAndDestroy();
    }
  }

  // stall keeps every connection open and forwards nothing, for open and new connections alike.
  stall() {
    this.#stalled = true;
    for (const { client, upstream } of this.#pairs) {
      client.unpipe(upstream).pause();
      upstream.unpipe(client).pause();
    }
  }

  // flow ends a stall: what waited is forwarded, nothing is lost.
  flow() {
    this.#stalled = false;
    for (const pair of this.#pairs) this.#flow(pair);
  }

  // refuse cuts and then refuses connections until accept is called.
  async refuse() {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.cut();
    await closed;
  }

  accept() {
    return this.#listen();
  }

  close() {
    this.#server.close();
    this.cut();
  }
}
