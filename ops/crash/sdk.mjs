// Unmodified SDKs at their default settings, which write to each other and in a group until they are told to stop while somebody else restarts
// the server under them. Started by TestFaultsSDK: dev.json (whose addresses are the balancer's) is its argument. It prints "ready" when all write,
// reads one line to stop, and prints what came of it as one line of JSON.
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { startJsdom } from '../conformance/drivers/jsdom.mjs';
import { foundRest } from '../conformance/group.mjs';
import { SDKS, startPages } from '../conformance/pages.mjs';
import { Trial } from '../conformance/trial.mjs';

const PAUSE_MS = 100; // between two messages of one client
const ARRIVE_MS = 60_000;

const faults = [];
const blame = (text) => faults.push(text);

// Voice is what one client writes in one conversation, and what became of it.
class Voice {
  written = []; // in order: {msg, id} with the server's id, or without when the SDK had no answer
  constructor(author, to, chatType, readers) {
    Object.assign(this, { author, to, chatType, readers });
  }

  async say(msg) {
    const entry = { msg };
    this.written.push(entry);
    try {
      entry.id = (await this.author.text(this.to, msg, { chatType: this.chatType })).serverMsgId;
    } catch (error) {
      entry.error = `${error.type} ${error.reason}`;
    }
    return entry;
  }

  get acknowledged() {
    return this.written.filter((w) => w.id);
  }

  // seen gives what a reader's app was shown of it.
  seen(reader) {
    return reader.all('onTextMessage').filter((m) => m.from === this.author.user && m.to === this.to);
  }

  missing(reader) {
    const seen = new Set(this.seen(reader).map((m) => m.msg));
    return this.acknowledged.filter((w) => !seen.has(w.msg));
  }

  judge() {
    for (const reader of this.readers) {
      const who = `${this.author.user} to ${reader.user} (${this.chatType})`;
      const seen = this.seen(reader);
      const texts = seen.map((m) => m.msg);
      const lost = this.missing(reader);
      if (lost.length) blame(`${who}: ${lost.length} acknowledged and not received, first ${JSON.stringify(lost[0])}`);
      const twice = texts.filter((msg, i) => texts.indexOf(msg) !== i);
      if (twice.length) blame(`${who}: ${twice.length} shown twice, first ${twice[0]}`);
      const place = new Map(this.written.map((w, i) => [w.msg, i]));
      const sure = seen.filter((m) => this.written[place.get(m.msg)]?.id);
      if (texts.some((msg) => !place.has(msg))) blame(`${who}: something that nobody wrote`);
      for (let i = 1; i < sure.length; i++) {
        if (place.get(sure[i].msg) < place.get(sure[i - 1].msg)) blame(`${who}: ${sure[i].msg} came after ${sure[i - 1].msg}`);
      }
      for (const m of sure) {
        const { id } = this.written[place.get(m.msg)];
        if (m.id !== id) blame(`${who}: ${m.msg} was acknowledged as ${id} and came as ${m.id}`);
      }
    }
  }
}

async function main() {
  const dev = JSON.parse(await readFile(process.argv[2], 'utf8'));
  const pages = await startPages();
  const driver = await startJsdom(pages.origin);
  const clients = [];
  let first;
  for (const sdk of Object.keys(SDKS)) {
    const trial = new Trial({ sdk, driver, server: { dev } });
    first ??= trial;
    for (const user of await trial.users('one', 'two')) {
      const client = await trial.login(user);
      clients.push(client);
    }
  }
  const members = clients.map((c) => ({ name: c.user }));
  const group = await foundRest(first, members[0], members.slice(1));
  const voices = clients.map((c, i) => new Voice(c, clients[i ^ 1].user, 'singleChat', [clients[i ^ 1]]))
    .concat(clients.map((c) => new Voice(c, group, 'groupChat', clients.filter((other) => other !== c))));
  let going = true;
  const writing = voices.map(async (voice, v) => {
    for (let i = 0; going; i++) {
      await voice.say(`${v} ${i}`);
      await sleep(PAUSE_MS);
    }
  });
  await sleep(2000);
  console.log('ready');
  await new Promise((resolve) => createInterface({ input: process.stdin }).once('line', resolve));
  going = false;
  await Promise.all(writing);
  await sleep(2000);
  for (const client of clients) { // an SDK says so when it stops trying to come back
    const ends = client.all('onDisconnected');
    if (ends.length) blame(`${client.user} gave up ${ends.length} times, first with ${JSON.stringify(ends[0])}`);
  }
  for (const [v, voice] of voices.entries()) {
    const end = await voice.say(`${v} end`);
    if (!end.id) blame(`${voice.author.user} cannot write any more (${end.error})`);
  }
  const late = () => voices.reduce((n, voice) => n + voice.readers.reduce((k, r) => k + voice.missing(r).length, 0), 0);
  for (const until = Date.now() + ARRIVE_MS; late() && Date.now() < until;) await sleep(100);
  await sleep(1000); // what would come twice
  for (const voice of voices) voice.judge();
  const count = (name) => clients.reduce((n, c) => n + c.count(name), 0);
  const unanswered = voices.flatMap((voice) => voice.written.filter((w) => !w.id));
  console.log(JSON.stringify({
    clients: clients.length,
    acknowledged: voices.reduce((n, voice) => n + voice.acknowledged.length, 0),
    unanswered: unanswered.length,
    errors: [...new Set(unanswered.map((w) => w.error))],
    owed: voices.reduce((n, voice) => n + voice.acknowledged.length * voice.readers.length, 0),
    received: voices.reduce((n, voice) => n + voice.readers.reduce((k, r) => k + voice.seen(r).length, 0), 0),
    reconnecting: count('onReconnecting'),
    disconnected: count('onDisconnected'),
    faults,
  }));
  pages.close();
  return faults.length ? 1 : 0;
}

process.on('unhandledRejection', (error) => console.error(`note: ${error?.message ?? error}`));
process.exit(await main().catch((error) => {
  console.error(error);
  return 2;
}));
