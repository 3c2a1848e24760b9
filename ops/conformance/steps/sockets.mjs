// Faults between the SDK's socket and the server: nothing lost, nothing doubled, the SDK comes back by itself.
import { delivered, equal, ok, refused, sequence, sleep, until } from '../expect.mjs';

const PATIENT = { autoReconnectNumMax: 100 };

const numbered = (to, count, mark) =>
  Array.from({ length: count }, (_, i) => ({ type: 'txt', chatType: 'singleChat', to, msg: `${mark} ${i}` }));

const texts = (count, mark) => numbered('', count, mark).map((m) => m.msg);

// behindProxy gives a sender with a direct socket and a receiver whose socket goes through a proxy.
async function behindProxy(t) {
  const [a, b] = await t.users('a', 'b');
  const proxy = await t.proxy();
  const A = await t.login(a);
  const B = await t.login(b, { proxy, ...PATIENT });
  return { a, b, A, B, proxy };
}

async function reconnected(client, times) {
  await until(() => client.count('onConnected') >= times, () => `${times} connects, got ${client.count('onConnected')}`, 20_000);
}

export const steps = [
  {
    id: 'socket-idle',
    features: ['CON-03'],
    timeout: 60_000,
    run: async (t) => {
      const { a, b, A, B } = await behindProxy(t);
      await sleep(36_000); // the SDK asks for a sign of life after 30 s of silence
      for (const client of [A, B]) {
        equal([client.count('onConnected'), client.count('onDisconnected')], [1, 0], 'connects and disconnects of an idle client');
      }
      await A.text(b.name, 'awake?');
      await B.wait('onTextMessage');
      await B.text(a.name, 'awake');
      await A.wait('onTextMessage');
    },
  },
  {
    id: 'socket-cut',
    features: ['CON-02', 'CON-13', 'HIS-05'],
    timeout: 45_000,
    run: async (t) => {
      const { a, b, A, B, proxy } = await behindProxy(t);
      await A.text(b.name, 'before');
      await B.wait('onTextMessage', (m) => m.msg === 'before');
      const expected = ['before'];
      for (let round = 1; round <= 3; round++) {
        proxy.cut();
        await until(() => B.count('onReconnecting') + B.count('onDisconnected') > 0, 'the SDK to notice the cut');
        delivered(await A.sendAll(numbered(b.name, 5, `round ${round}`)));
        expected.push(...texts(5, `round ${round}`));
        const waiting = B.text(a.name, `queued ${round}`);
        await reconnected(B, round + 1);
        await waiting;
        await until(() => B.texts().length >= expected.length, () => `${expected.length} messages, got ${B.texts().length}`);
      }
      await A.text(b.name, 'fence');
      await B.wait('onTextMessage', (m) => m.msg === 'fence');
      sequence(B.texts(a.name), [...expected, 'fence'], 'what the cut client saw');
      await until(() => A.texts().length >= 3, 'the messages that the SDK had queued');
      sequence(A.texts(b.name), ['queued 1', 'queued 2', 'queued 3'], 'what the other side saw');
    },
  },
  {
    id: 'socket-cut-mid-sync',
    features: ['CON-02', 'HIS-05', 'LIF-41'],
    timeout: 60_000,
    run: async (t) => {
      const { a, b, A, B, proxy } = await behindProxy(t);
      await B.logout();
      for (let i = 0; i < 6; i++) delivered(await A.sendAll(numbered(b.name, 50, `batch ${i}`)));
      const expected = Array.from({ length: 6 }, (_, i) => texts(50, `batch ${i}`)).flat();
      const opening = B.open({ user: b.name, accessToken: await t.rest.userToken(b.name) });
      for (const mark of [1, 100, 200]) {
        await until(() => B.texts().length >= mark, () => `${mark} messages, got ${B.texts().length}`, 20_000);
        proxy.cut();
      }
      await opening;
      await until(() => B.texts().length >= expected.length, () => `${expected.length} messages, got ${B.texts().length}`, 20_000);
      await A.text(b.name, 'fence');
      await B.wait('onTextMessage', (m) => m.msg === 'fence');
      ok(proxy.accepted >= 3, `several connections, not ${proxy.accepted}`);
      sequence(B.texts(a.name), [...expected, 'fence'], 'the sync over several connections');
    },
  },
  {
    id: 'socket-stalled',
    features: ['CON-02', 'CON-13', 'LIF-01'],
    timeout: 75_000,
    run: async (t) => {
      const { a, b, A, B, proxy } = await behindProxy(t);
      await B.text(a.name, 'before');
      proxy.stall();
      delivered(await A.sendAll(numbered(b.name, 10, 'into the stall')));
      // The SDK waits 15 s for the acknowledgement, gives the message up with a typed error and reconnects.
      await refused(B.text(a.name, 'unsure'), [510, 512], 'a message on a stalled socket', 30_000);
      proxy.flow();
      await reconnected(B, 2);
      await until(() => B.texts().length >= 10, () => `10 messages after the stall, got ${B.texts().length}`, 20_000);
      await B.text(a.name, 'after');
      await A.wait('onTextMessage', (m) => m.msg === 'after');
      await A.text(b.name, 'fence');
      await B.wait('onTextMessage', (m) => m.msg === 'fence');
      sequence(B.texts(a.name), [...texts(10, 'into the stall'), 'fence'], 'what the stalled client saw');
      ok(A.texts().filter((m) => m === 'unsure').length <= 1, 'the unacknowledged message at most once');
      equal(A.texts().filter((m) => m !== 'unsure'), ['before', 'after'], 'what the other side saw for certain');
    },
  },
  {
    id: 'socket-short-stall',
    features: ['CON-03', 'LIF-01'],
    run: async (t) => {
      const { a, b, A, B, proxy } = await behindProxy(t);
      proxy.stall();
      const waiting = B.text(a.name, 'slow');
      delivered(await A.sendAll(numbered(b.name, 10, 'slow')));
      await sleep(3000);
      proxy.flow();
      await waiting;
      await until(() => B.texts().length >= 10, '10 messages after the stall');
      sequence(B.texts(a.name), texts(10, 'slow'), 'what the slow client saw');
      await A.wait('onTextMessage');
      equal(A.texts(b.name), ['slow'], 'what the other side saw');
      equal(B.count('onConnected'), 1, 'connects: the stall was short');
    },
  },
  {
    id: 'socket-refused',
    features: ['CON-02', 'HIS-05'],
    timeout: 60_000,
    run: async (t) => {
      const { a, b, A, B, proxy } = await behindProxy(t);
      await proxy.refuse();
      await until(() => B.count('onReconnecting') + B.count('onDisconnected') > 0, 'the SDK to notice the cut');
      delivered(await A.sendAll(numbered(b.name, 20, 'refused')));
      const waiting = B.text(a.name, 'queued while refused');
      await sleep(5000);
      await proxy.accept();
      await reconnected(B, 2);
      await waiting;
      await A.wait('onTextMessage', (m) => m.msg === 'queued while refused');
      await until(() => B.texts().length >= 20, () => `20 messages, got ${B.texts().length}`);
      await A.text(b.name, 'fence');
      await B.wait('onTextMessage', (m) => m.msg === 'fence');
      sequence(B.texts(a.name), [...texts(20, 'refused'), 'fence'], 'what the refused client saw');
      equal(A.texts(b.name), ['queued while refused'], 'what the other side saw');
    },
  },
];
