// Tokens of a running session, and the ways in which a session is ended by the server.
import { equal, ok, refused, sleep, until } from '../expect.mjs';

const BAD_TOKEN = 28;

// kicked waits for the error type that tells the app why, and checks that the SDK stays away.
async function kicked(client, type) {
  await client.wait('onError', (e) => e.type === type);
  await client.wait('onDisconnected');
  const connects = client.count('onConnected');
  await sleep(3500);
  equal(client.count('onConnected'), connects, `connects after error ${type}: the SDK must not come back`);
  equal(await client.invoke('isOpened'), false, `isOpened after error ${type}`);
}

export const steps = [
  {
    id: 'token-renew',
    features: ['AUTH-08', 'R005'],
    run: async (t) => {
      const [a, b] = await t.users('a', 'b');
      const A = await t.client();
      await A.open({ user: a.name, accessToken: await t.rest.userToken(a.name, 60) });
      const token = await t.rest.userToken(a.name, 3600);
      const before = Date.now();
      const answer = await A.invoke('renewToken', token);
      ok(answer.status === true || answer.token === token, `renewToken to accept: ${JSON.stringify(answer)}`);
      const expire = Number(answer.expire ?? answer.expire_timestamp ?? answer.expireTimestamp);
      ok(Math.abs(expire - before - 3_600_000) < 60_000, `an expiry an hour ahead, not ${JSON.stringify(answer)}`);
      await A.text(b.name, 'with the new token');
      equal([A.count('onConnected'), A.count('onDisconnected')], [1, 0], 'connects and disconnects');
      const bad = await A.invoke('renewToken', 'not-a-token').then(() => 'accepted', () => 'refused');
      equal(bad, 'refused', 'a bad token in renewToken');
    },
  },
  {
    id: 'token-expires',
    features: ['AUTH-07'],
    run: async (t) => {
      const [a] = await t.users('a');
      const A = await t.client();
      const started = Date.now();
      await A.open({ user: a.name, accessToken: await t.rest.userToken(a.name, 5) });
      await A.wait('onTokenWillExpire', undefined, 6000);
      ok(Date.now() - started < 5000, 'the warning before the end');
      equal(A.count('onTokenExpired'), 0, 'onTokenExpired before its time');
      await A.wait('onTokenExpired', undefined, 4000);
      await until(async () => !(await A.invoke('isOpened')), 'the connection to be closed');
    },
  },
  {
    id: 'kick-password-change',
    features: ['ACC-06', 'AUTH-02', 'R014'],
    run: async (t) => {
      const [a] = await t.users('a');
      const token = await t.rest.userToken(a.name);
      const [one, two] = [await t.login(a), await t.login(a)];
      await t.rest.call('PUT', `/users/${a.name}/password`, { newpassword: 'new-one' });
      await Promise.all([kicked(one, 216), kicked(two, 216)]);
      const client = await t.client();
      await refused(client.open({ user: a.name, pwd: a.password }), 1, 'log-in with the old password');
      await refused(client.open({ user: a.name, accessToken: token }), [BAD_TOKEN, 56], 'log-in with a token from before');
      equal((await t.rest.raw('GET', `/sdk/users/${a.name}/token/expires`, { token })).status, 401, 'REST status of a token from before');
      await client.open({ user: a.name, pwd: 'new-one' });
      await client.wait('onConnected');
    },
  },
  {
    id: 'kick-user-deleted',
    features: ['ACC-07', 'R012'],
    run: async (t) => {
      const [a, b] = await t.users('a', 'b');
      const token = await t.rest.userToken(a.name);
      const [A, B] = await Promise.all([t.login(a), t.login(b)]);
      await B.text(a.name, 'to the old one');
      await t.rest.call('DELETE', `/users/${a.name}`);
      await kicked(A, 207);
      await refused(B.text(a.name, 'anyone?'), 204, 'a message to a deleted user');
      const client = await t.client();
      await refused(client.open({ user: a.name, pwd: a.password }), 1, 'password log-in of a deleted user');
      await refused(client.open({ user: a.name, accessToken: token }), [BAD_TOKEN, 204], 'token log-in of a deleted user');
    },
  },
  {
    id: 'deleted-name-inherits-nothing',
    features: ['ACC-07'],
    run: async (t) => {
      const [a, b] = await t.users('a', 'b');
      const token = await t.rest.userToken(a.name);
      const B = await t.login(b);
      for (const msg of ['secret 1', 'secret 2']) await B.text(a.name, msg);
      await until(async () => (await B.history(a.name)).messages.length === 2, 'the messages in history');
      await t.rest.call('DELETE', `/users/${a.name}`);
      await t.rest.call('POST', '/users', { username: a.name, password: 'another' });
      const client = await t.client();
      await refused(client.open({ user: a.name, accessToken: token }), [BAD_TOKEN, 204], "the old user's token");
      await client.open({ user: a.name, pwd: 'another' });
      await client.wait('onConnected');
      await B.text(a.name, 'to the new one');
      await client.wait('onTextMessage', (m) => m.msg === 'to the new one');
      equal(client.texts(), ['to the new one'], 'messages of the new user');
      await until(async () => (await client.history(b.name)).messages.length > 0, 'history of the new user');
      equal((await client.history(b.name)).messages.map((m) => m.msg), ['to the new one'], 'history of the new user');
    },
  },
  {
    id: 'kick-device-limit',
    features: ['CON-05', 'CON-06'],
    timeout: 40_000,
    run: async (t) => {
      const [a] = await t.users('a');
      const other = await t.login(a, { customOSPlatform: 3, customDeviceName: 'kiosk' });
      const devices = [];
      for (let i = 0; i < 4; i++) devices.push(await t.login(a, { deviceId: `d${i}` }));
      await sleep(500);
      equal(devices.map((d) => d.count('onConnected')), [1, 1, 1, 1], 'connects at the limit');
      const fifth = await t.login(a, { deviceId: 'd4' });
      await kicked(devices[0], 206);
      for (const device of [...devices.slice(1), fifth, other]) {
        equal([device.count('onConnected'), device.count('onDisconnected')], [1, 0], 'connects and disconnects of a device that stays');
      }
    },
  },
];
