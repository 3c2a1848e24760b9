// A balancer on loopback that gives each HTTP call to the next of several servers, whatever connection it comes over.
import { Agent, createServer, request } from 'node:http';

export class HTTPBalancer {
  #targets;
  #turn = 0;
  #server;
  #agent = new Agent({ keepAlive: true });

  static async to(...targets) {
    const balancer = new HTTPBalancer();
    balancer.#targets = targets;
    balancer.#server = createServer((call, answer) => balancer.#pass(call, answer));
    await new Promise((resolve, reject) => {
      balancer.#server.once('error', reject).listen(0, '127.0.0.1', resolve);
    });
    return balancer;
  }

  get port() {
    return this.#server.address().port;
  }

  #pass(call, answer) {
    const onward = request({
      host: '127.0.0.1', port: this.#targets[this.#turn++ % this.#targets.length], agent: this.#agent,
      method: call.method, path: call.url, headers: call.headers,
    }, (got) => {
      answer.writeHead(got.statusCode, got.rawHeaders);
      got.pipe(answer);
    });
    onward.on('error', () => answer.destroy()); // as a server that went away
    answer.on('close', () => onward.destroy());
    call.pipe(onward);
  }

  close() {
    this.#server.close();
    this.#server.closeAllConnections();
    this.#agent.destroy();
  }
}
