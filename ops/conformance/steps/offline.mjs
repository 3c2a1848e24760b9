// What waits for a user who was away: in order, once, and never again after it was acknowledged.
import { delivered, equal, ok, sequence, sleep, until } from '../expect.mjs';

const numbers = (to, from, count) =>
  Array.from({ length: count }, (_, i) => ({ type: 'txt', chatType: 'singleChat', to, msg: `第${from + i}` }));

const names = (count) => numbers('', 0, count).map((m) => m.msg);

export const steps = [
  {
    id: 'offline-400',
    features: ['HIS-05', 'LIF-41', 'CON-14', 'ACC-12', 'R022'],
    timeout: 60_000,
    run: async (t) => {
      const [a, b] = await t.users('a', 'b');
      const A = await t.login(a);
      const B = await t.login(b);
      await B.logout();
      await until(async () => (await t.rest.call('GET', `/users/${b.name}/status`)).data[b.name] === 'offline', 'B to be offline');
      const ids = [];
      for (let from = 0; from < 400; from += 50) ids.push(...delivered(await A.sendAll(numbers(b.name, from, 50))));
      await until(async () => (await t.rest.offlineCount(b.name)) === 400, 'offline_msg_count of 400');
      await B.open({ user: b.name, accessToken: await t.rest.userToken(b.name) });
      await until(() => B.count('onTextMessage') >= 400, () => `400 messages, got ${B.count('onTextMessage')}`, 30_000);
      await B.wait('onOfflineMessageSyncFinish');
      await sleep(800);
      sequence(B.texts(a.name), names(400), 'messages after log-in');
      sequence(B.all('onTextMessage').map((m) => m.id), ids, 'ids after log-in');
      equal([B.count('onOfflineMessageSyncStart'), B.count('onOfflineMessageSyncFinish')], [1, 1], 'start and finish of the sync');
      await until(async () => (await t.rest.offlineCount(b.name)) === 0, 'offline_msg_count of 0');
      await B.logout();
      const before = B.count('onTextMessage');
      await B.open({ user: b.name, accessToken: await t.rest.userToken(b.name) });
      await A.text(b.name, 'fence');
      await B.wait('onTextMessage', (m) => m.msg === 'fence');
      equal(B.count('onTextMessage') - before, 1, 'messages in the second session, the fence alone');
    },
  },
  {
    id: 'offline-first-login',
    features: ['HIS-05', 'CON-14'],
    run: async (t) => {
      const [a, c, b] = await t.users('a', 'c', 'b');
      const [A, C] = await Promise.all([t.login(a), t.login(c)]);
      delivered(await A.sendAll(numbers(b.name, 0, 25)));
      delivered(await C.sendAll(numbers(b.name, 0, 25)));
      const B = await t.login(b);
      await until(() => B.count('onTextMessage') >= 50, () => `50 messages at the first log-in ever, got ${B.count('onTextMessage')}`);
      await B.wait('onOfflineMessageSyncFinish');
      const marks = B.events.map((e) => e.name);
      ok(marks.indexOf('onOfflineMessageSyncStart') < marks.indexOf('onTextMessage'), 'the sync to start before the first message');
      ok(marks.indexOf('onOfflineMessageSyncFinish') > marks.lastIndexOf('onTextMessage'), 'the sync to finish after the last message');
      sequence(B.texts(a.name), names(25), 'messages from A');
      sequence(B.texts(c.name), names(25), 'messages from C');
    },
  },
  {
    id: 'offline-nothing',
    features: ['CON-14'],
    run: async (t) => {
      const [a, b] = await t.users('a', 'b');
      const B = await t.login(b);
      await sleep(600);
      equal([B.count('onOfflineMessageSyncStart'), B.count('onTextMessage')], [0, 0], 'sync starts and messages of a user with none waiting');
      const A = await t.login(a);
      await A.text(b.name, 'first');
      await B.wait('onTextMessage', (m) => m.msg === 'first');
    },
  },
  {
    id: 'page-reload',
    features: ['HIS-05', 'CON-08'],
    run: async (t) => {
      const [a, b] = await t.users('a', 'b');
      const A = await t.login(a);
      const B = await t.login(b);
      const device = await B.resource();
      delivered(await A.sendAll(numbers(b.name, 0, 20)));
      await until(() => B.count('onTextMessage') >= 20, '20 messages before the reload');
      await until(async () => (await t.rest.offlineCount(b.name)) === 0, 'the messages to be acknowledged');
      await B.reload();
      await A.text(b.name, 'during the reload');
      await B.open({ user: b.name, accessToken: await t.rest.userToken(b.name) });
      await B.wait('onTextMessage', (m) => m.msg === 'during the reload');
      equal(await B.resource(), device, 'the device after the reload');
      await A.text(b.name, 'after the reload');
      await B.wait('onTextMessage', (m) => m.msg === 'after the reload');
      equal(B.texts(a.name), ['during the reload', 'after the reload'], 'messages since the reload');
    },
  },
];
