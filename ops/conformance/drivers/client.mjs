// One SDK connection in one page, as the steps see it. A driver supplies the page: {request(text) -> text,
// reload(), close()} and calls receive(text) for every event of the SDK.
export class SDKError extends Error {
  constructor(verb, { type, message, data }) {
    super(`${verb}: SDK error ${type}: ${message}`);
    this.type = type;
    this.reason = message;
    this.data = data;
  }
}

export class Client {
  // events holds all that the SDK reported since the page was loaded: {name, at, payload}.
  events = [];
  #waiters = new Set();
  #page;
  #options;

  static async over(page, options) {
    const client = new Client();
    client.#page = page;
    client.#options = options;
    page.receive = (text) => client.#receive(text);
    client.version = await client.#call('create', options);
    return client;
  }

  #receive(text) {
    const event = JSON.parse(text);
    this.events.push(event);
    for (const waiter of [...this.#waiters]) waiter(event);
  }

  async #call(verb, ...args) {
    const answer = JSON.parse(await this.#page.request(JSON.stringify({ verb, args })));
    if (answer.error) throw new SDKError(verb === 'invoke' ? args[0] : verb, answer.error);
    return answer.value;
  }

  open(credentials) {
    this.user = credentials.user;
    return this.invoke('open', credentials);
  }

  invoke(name, ...args) {
    return this.#call('invoke', name, args);
  }

  send(message) {
    return this.#call('send', message);
  }

  text(to, msg, more = {}) {
    return this.send({ type: 'txt', chatType: 'singleChat', to, msg, ...more });
  }

  // sendAll hands the messages to the SDK at once: [{value} or {error}] in their order.
  sendAll(messages) {
    return this.#call('sendAll', messages);
  }

  history(targetId, more = {}) {
    return this.invoke('getHistoryMessages', { targetId, chatType: 'singleChat', ...more });
  }

  resource() {
    return this.#call('resource');
  }

  // all gives the payloads of one event, oldest first.
  all(name) {
    return this.events.filter((event) => event.name === name).map((event) => event.payload);
  }

  count(name, match = () => true) {
    return this.all(name).filter(match).length;
  }

  texts(from) {
    return this.all('onTextMessage').filter((m) => from === undefined || m.from === from).map((m) => m.msg);
  }

  // wait resolves to the first payload of the event, past or coming, that matches.
  wait(name, match = () => true, ms = 8000) {
    const past = this.all(name).find(match);
    if (past !== undefined) return Promise.resolve(past);
    return new Promise((resolve, reject) => {
      const stop = () => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
      };
      const waiter = (event) => {
        if (event.name !== name || !match(event.payload)) return;
        stop();
        resolve(event.payload);
      };
      const timer = setTimeout(() => {
        stop();
        reject(new Error(`${this.user}: no ${name} within ${ms} ms; ${this.#summary()}`));
      }, ms);
      this.#waiters.add(waiter);
    });
  }

  #summary() {
    const counts = {};
    for (const event of this.events) counts[event.name] = (counts[event.name] ?? 0) + 1;
    const errors = this.all('onError').map((e) => `${e.type} ${e.message}`).slice(0, 5);
    return `seen ${JSON.stringify(counts)}${errors.length ? ` errors ${JSON.stringify(errors)}` : ''}`;
  }

  logout() {
    return this.invoke('close');
  }

  // reload throws away the page's JavaScript state and keeps its storage, as a browser's reload button does.
  async reload() {
    await this.#page.reload();
    this.events = [];
    await this.#call('create', this.#options);
  }

  // close ends the page without a log-out, as closing a tab does.
  close() {
    return this.#page.close();
  }
}
