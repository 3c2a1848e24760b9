// Several parley nodes as one server: on one Kafka and one Cassandra, behind balancers that give each socket and
// each call to the next node. So who sends and who receives, REST and socket, are on different nodes nearly always.
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import { HTTPBalancer } from './balancer.mjs';
import { Proxy } from './proxy.mjs';
import { ownPlace, Server } from './server.mjs';

// startServer starts what a step calls the server: one node, or several. env has settings as environment variables.
export function startServer({ nodes = 1, ...options }) {
  return nodes > 1 ? Cluster.start(nodes, options) : Server.start(options);
}

// freeAddresses gives addresses on loopback that nobody listens on.
async function freeAddresses(count) {
  const held = await Promise.all(Array.from({ length: count }, () => new Promise((resolve, reject) => {
    const server = createServer().once('error', reject).listen(0, '127.0.0.1', () => resolve(server));
  })));
  const addresses = held.map((server) => `127.0.0.1:${server.address().port}`);
  await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
  return addresses;
}

class Cluster {
  #nodes = [];
  #sockets;
  #calls;

  // start resolves when all nodes are ready. The first one makes topics and tables before the others come.
  static async start(count, { env, ...options }) {
    const cluster = new Cluster();
    const gossip = await freeAddresses(count);
    const secret = () => randomBytes(32).toString('hex');
    const common = {
      ...ownPlace(), PARLEY_TOKEN_KEY: secret(), PARLEY_ADMIN_KEY: secret(), PARLEY_CLUSTER_KEY: secret(),
      PARLEY_CLUSTER_RPC: '127.0.0.1:0', PARLEY_CLUSTER_JOIN: gossip.join(','), ...env,
    };
    const node = async (i) => {
      const own = { PARLEY_CLUSTER_NODE: `n${i + 1}`, PARLEY_CLUSTER_GOSSIP: gossip[i] };
      cluster.#nodes[i] = await Server.start({ ...options, env: { ...common, ...own } });
    };
    try {
      await node(0);
      const started = await Promise.allSettled(gossip.slice(1).map((_, i) => node(i + 1)));
      for (const { reason } of started) if (reason) throw reason;
      cluster.#sockets = await Proxy.to(...cluster.#nodes.map((n) => n.port));
      cluster.#calls = await HTTPBalancer.to(...cluster.#nodes.map((n) => new URL(n.dev.rest).port));
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  // dev is the first node's dev.json, which says of the app what each node's says, with the balancers' addresses.
  get dev() {
    const behind = (url, port) => Object.assign(new URL(url), { port }).href.replace(/\/$/, '');
    const { dev } = this.#nodes[0];
    return { ...dev, rest: behind(dev.rest, this.#calls.port), ws: behind(dev.ws, this.#sockets.port) };
  }

  get port() {
    return this.#sockets.port;
  }

  // kill ends all nodes as a power cut would, so that clients see what they see of one server: it is not there.
  async kill() {
    await Promise.all(this.#nodes.map((node) => node.kill()));
  }

  // restart starts all nodes again at the same time, on the same addresses.
  async restart() {
    await Promise.all(this.#nodes.map((node) => node.restart()));
  }

  async stop() {
    this.#sockets?.close();
    this.#calls?.close();
    await Promise.all(this.#nodes.map((node) => node?.stop()));
  }
}
