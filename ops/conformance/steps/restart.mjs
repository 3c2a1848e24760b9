// The server dies without a word and comes back on the same data and ports.
import { equal, ok, sequence, sleep, until } from '../expect.mjs';

const PATIENT = { autoReconnectNumMax: 100 };

// write sends numbered messages one after another until told to stop, and keeps the server id of each that was
// acknowledged. A message that the SDK gave up on is an unknown: it may have arrived or not.
async function write(client, to, mark, { acknowledged, unknown }, going) {
  for (let i = 0; going(); i++) {
    const msg = `${mark} ${i}`;
    try {
      acknowledged.set(msg, (await client.text(to, msg)).serverMsgId);
    } catch {
      unknown.add(msg);
      await sleep(50);
    }
  }
}

// complete checks one direction: every acknowledged message exactly once and in order, nothing unheard of.
function complete(seen, { acknowledged, unknown }, what) {
  const texts = seen.map((m) => m.msg);
  equal(texts.length, new Set(texts).size, `${what}: messages and different messages`);
  equal(texts.filter((msg) => !acknowledged.has(msg) && !unknown.has(msg)), [], `${what}: messages that nobody sent`);
  sequence(texts.filter((msg) => acknowledged.has(msg)), [...acknowledged.keys()], `${what}: acknowledged messages`);
  for (const m of seen) if (acknowledged.has(m.msg)) equal(m.id, acknowledged.get(m.msg), `${what}: the id of ${m.msg}`);
}

async function wholeHistory(client, peer) {
  const all = [];
  for (let cursor = -1, last = false; !last;) {
    const page = await client.history(peer, { pageSize: 50, searchDirection: 'down', cursor });
    ok(page.isLast || page.messages.length > 0, 'a page with messages or isLast');
    all.push(...page.messages);
    ({ cursor, isLast: last } = page);
  }
  return all;
}

export const steps = [
  {
    id: 'server-killed',
    features: ['CON-02', 'CON-13', 'LIF-01', 'HIS-01', 'HIS-05'],
    timeout: 120_000,
    run: async (t) => {
      const server = await t.freshServer();
      const [a, b] = await t.users('a', 'b');
      const [A, B] = await Promise.all([t.login(a, PATIENT), t.login(b, PATIENT)]);
      let going = true;
      const [fromA, fromB] = [1, 2].map(() => ({ acknowledged: new Map(), unknown: new Set() }));
      const written = (n) => until(() => [fromA, fromB].every((w) => w.acknowledged.size >= n),
        () => `${n} messages acknowledged each way, got ${fromA.acknowledged.size} and ${fromB.acknowledged.size}`, 20_000);
      const writing = Promise.all([write(A, b.name, 'a', fromA, () => going), write(B, a.name, 'b', fromB, () => going)]);
      try {
        for (let kill = 1; kill <= 2; kill++) {
          await written(40 * kill);
          await server.kill();
          await sleep(300);
          await server.restart();
          await until(() => [A, B].every((c) => c.count('onConnected') > kill), 'both SDKs to reconnect by themselves', 20_000);
        }
        await written(120);
      } finally {
        going = false;
      }
      await writing;
      await A.text(b.name, 'fence');
      await B.text(a.name, 'fence');
      fromA.acknowledged.set('fence', (await B.wait('onTextMessage', (m) => m.msg === 'fence', 15_000)).id);
      fromB.acknowledged.set('fence', (await A.wait('onTextMessage', (m) => m.msg === 'fence', 15_000)).id);
      complete(B.all('onTextMessage'), fromA, 'B');
      complete(A.all('onTextMessage'), fromB, 'A');
      const total = () => B.count('onTextMessage') + A.count('onTextMessage');
      let history = [];
      await until(async () => (history = await wholeHistory(A, b.name)).length >= total(), 'history to catch up', 15_000);
      complete(history.filter((m) => m.from === a.name), fromA, "history of A's messages");
      complete(history.filter((m) => m.from === b.name), fromB, "history of B's messages");
    },
  },
  {
    id: 'restart-keeps-tokens',
    features: ['AUTH-01', 'AUTH-02', 'HIS-05'],
    timeout: 45_000,
    run: async (t) => {
      const server = await t.freshServer();
      const [a, b] = await t.users('a', 'b');
      const [tokenA, tokenB] = await Promise.all([t.rest.userToken(a.name), t.rest.userToken(b.name)]);
      const before = { ...server.dev };
      const A = await t.client();
      await A.open({ user: a.name, accessToken: tokenA });
      const { serverMsgId } = await A.text(b.name, 'across the restart');
      await A.logout();
      await server.kill();
      await server.restart();
      equal({ ...server.dev }, before, 'dev.json after the restart');
      equal((await t.rest.raw('GET', `/users/${a.name}`, { token: await t.rest.appToken() })).status, 200, "status with the app's old token");
      const B = await t.client();
      await B.open({ user: b.name, accessToken: tokenB });
      equal((await B.wait('onTextMessage')).id, serverMsgId, 'the message from before the restart');
      await A.open({ user: a.name, accessToken: tokenA });
      await A.text(b.name, 'and after');
      await B.wait('onTextMessage', (m) => m.msg === 'and after');
      const C = await t.client();
      await C.open({ user: a.name, pwd: a.password });
      await C.wait('onConnected');
    },
  },
];
