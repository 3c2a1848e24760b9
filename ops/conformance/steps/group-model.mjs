// A random history of one group, one wish after the other, against a small model of who must see what.
import { equal, sequence, sleep, until } from '../expect.mjs';
import { away, back, foundRest, heard, past, say } from '../group.mjs';

const WISHES = 40;

// random gives numbers below n from a seed, the same ones for the same seed.
function random(seed) {
  let x = seed >>> 0 || 1;
  return (n) => {
    x ^= x << 13;
    x >>>= 0;
    x ^= x >>> 17;
    x ^= x << 5;
    x >>>= 0;
    return x % n;
  };
}

// Person is a user with one device: whether it is a member and online, which texts it must see unless they are recalled, and which recalls.
class Person {
  member = true;
  online = true;
  texts = [];
  recalls = [];
  #cutAt = 0;

  constructor(user, client, proxy) {
    Object.assign(this, { user, client, proxy });
  }

  cut() {
    this.#cutAt = Date.now();
    this.proxy.cut();
  }

  // steady waits until the client is over its last cut. One that logs out before shows again what it had not acknowledged.
  async steady() {
    await sleep(Math.max(0, this.#cutAt + 300 - Date.now()));
    const states = ['onConnected', 'onReconnecting', 'onDisconnected'];
    await until(() => this.client.events.findLast((e) => states.includes(e.name))?.name === 'onConnected', `${this.user.name} to be back`, 20_000);
  }
}

// World is the group, its people, and what was said in it.
class World {
  said = [];
  log = [];

  constructor(t, id, people, pick) {
    Object.assign(this, { t, id, people, pick, owner: people[0] });
  }

  #note(text, id, by) {
    this.said.push({ text, id });
    for (const person of this.people) if (person !== by && person.member) person.texts.push(text);
  }

  async say(person) {
    const text = `text ${this.said.length}`;
    if (!person.online || !person.member) return;
    await person.steady();
    this.#note(text, (await say(person.client, this.id, text)).serverMsgId, person);
  }

  async offer() {
    const text = `text ${this.said.length}`;
    const { data } = await this.t.rest.call('POST', '/messages/chatgroups', { from: this.owner.user.name, to: [this.id], type: 'txt', body: { msg: text }, sync_device: false });
    this.#note(text, data[this.id], this.owner);
  }

  async recall() {
    const message = this.said.at(-1 - this.pick(3));
    if (!message || message.gone) return;
    await this.t.rest.call('POST', '/messages/msg_recall', { msg_id: message.id, to: this.id, chat_type: 'group_chat', from: this.owner.user.name, force: true });
    message.gone = true;
    for (const person of this.people) if (person.member && person.texts.includes(message.text)) person.recalls.push(message.id);
  }

  async move(person) {
    if (person === this.owner) return;
    const name = person.user.name;
    if (!person.online || this.pick(2)) await this.t.rest.call(person.member ? 'DELETE' : 'POST', `/chatgroups/${this.id}/users/${name}`);
    else if (person.member) await person.client.invoke('leaveGroup', { groupId: this.id });
    else await person.client.invoke('joinGroup', { groupId: this.id, message: '' });
    person.member = !person.member;
  }

  async turn(person) {
    if (person.online) {
      await person.steady();
      await away(this.t, person.client);
    } else {
      await back(this.t, person.client);
    }
    person.online = !person.online;
  }

  async wish() {
    const person = this.people[this.pick(this.people.length)];
    const [what, run] = [
      ['say', () => this.say(person)], ['say', () => this.say(person)], ['offer', () => this.offer()], ['offer', () => this.offer()],
      ['recall', () => this.recall()], ['move', () => this.move(person)], ['move', () => this.move(person)],
      ['turn', () => this.turn(person)], ['cut', () => person.online && person.cut()],
    ][this.pick(9)];
    this.log.push(`${what} ${this.people.indexOf(person)}`);
    await run();
  }

  // check demands that everybody saw what the model says, and that history says the same.
  async check(person) {
    const gone = new Set(this.said.filter((m) => m.gone).map((m) => m.text));
    const must = person.texts.filter((text) => !gone.has(text));
    const seen = () => heard(person.client, this.id).filter((text) => !gone.has(text));
    await until(() => seen().length >= must.length, () => `${must.length} texts at ${person.user.name}, got ${seen().length}`, 10_000);
    sequence(seen(), must, `texts at ${person.user.name}`);
    const all = heard(person.client, this.id);
    equal(all.filter((text, i) => !person.texts.includes(text) || all.indexOf(text) !== i), [], `texts at ${person.user.name} that are not for it or come twice`);
    const recalls = () => person.client.all('onRecallMessage').map((e) => e.mid);
    await until(() => person.recalls.every((id) => recalls().includes(id)), () => `recalls ${person.recalls} at ${person.user.name}, got ${recalls()}`);
    equal(new Set(recalls()).size, recalls().length, `different recalls at ${person.user.name}`);
    if (!person.member) return;
    const history = (await past(person.client, this.id)).all.map((m) => m.msg);
    sequence(history, this.said.filter((m) => !m.gone).map((m) => m.text), `history of ${person.user.name}`);
  }
}

export const steps = [
  {
    id: 'group-random-history',
    features: ['GRP-07', 'LIF-07', 'LIF-41', 'HIS-01', 'HIS-05', 'CON-02'],
    timeout: 120_000,
    run: async (t) => {
      const seed = Number(process.env.CONFORMANCE_SEED) || Date.now() % 2 ** 32;
      const users = await t.users('owner', 'a', 'b', 'c');
      const people = await Promise.all(users.map(async (user) => {
        const proxy = await t.proxy();
        return new Person(user, await t.login(user, { proxy, autoReconnectNumMax: 100 }), proxy);
      }));
      const world = new World(t, await foundRest(t, users[0], users.slice(1)), people, random(seed));
      try {
        for (let n = 0; n < WISHES; n++) await world.wish();
        await Promise.all(people.filter((person) => !person.online).map((person) => world.turn(person)));
        await Promise.all(people.map((person) => person.steady()));
        await sleep(500);
        for (const person of people) await world.check(person);
      } catch (error) {
        throw new Error(`${error.message}; CONFORMANCE_SEED=${seed}; ${world.log.join(', ')}`);
      }
    },
  },
];
