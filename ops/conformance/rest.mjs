// The REST API as an application's own back end calls it: plain fetch, no SDK.
import { randomBytes } from 'node:crypto';

const CALL_MS = 10_000;

export class Rest {
  #token;

  constructor(dev) {
    this.dev = dev;
    this.base = `${dev.rest}/${dev.app.replace('#', '/')}`;
  }

  // raw makes one call and gives {status, headers, text, json}; json is undefined when the answer is none.
  async raw(method, path, { token, body, headers = {}, base = this.base } = {}) {
    const answer = await fetch(base + path, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(token ? { authorization: `Bearer ${token}` } : {}),
        ...headers,
      },
      body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
      signal: AbortSignal.timeout(CALL_MS),
    });
    const text = await answer.text();
    let json;
    try {
      json = JSON.parse(text);
    } catch {
      json = undefined;
    }
    return { status: answer.status, headers: answer.headers, text, json };
  }

  // call makes a call with the app's token and demands 200 and a JSON object.
  async call(method, path, body) {
    const answer = await this.raw(method, path, { body, token: await this.appToken() });
    if (answer.status !== 200 || typeof answer.json !== 'object') {
      throw new Error(`${method} ${path}: ${answer.status} ${answer.text.slice(0, 300)}`);
    }
    return answer.json;
  }

  async appToken() {
    this.#token ??= this.raw('POST', '/token', {
      body: {
        grant_type: 'client_credentials', client_id: this.dev.client_id, client_secret: this.dev.client_secret,
      },
    }).then(({ status, json, text }) => {
      if (status !== 200) throw new Error(`app token: ${status} ${text.slice(0, 300)}`);
      return json.access_token;
    });
    return this.#token;
  }

  // user registers a fresh account and gives {name, password}.
  async user(prefix = 'u') {
    const name = `${prefix}-${randomBytes(5).toString('hex')}`;
    const password = `p-${name}`;
    await this.call('POST', '/users', { username: name, password });
    return { name, password };
  }

  // userToken asks for a token of an existing user; ttl in seconds.
  async userToken(name, ttl = 3600) {
    const answer = await this.call('POST', '/token', { grant_type: 'inherit', username: name, autoCreateUser: false, ttl });
    return answer.access_token;
  }

  sendText(from, to, msg, more = {}) {
    return this.call('POST', '/messages/users', { from, to, type: 'txt', body: { msg }, ...more });
  }

  async offlineCount(name) {
    const answer = await this.call('GET', `/users/${name}/offline_msg_count`);
    return Number(answer.data[name]);
  }
}
