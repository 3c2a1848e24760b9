// Log-in by password and by token, each refusal with the SDK's typed error, registration, log-out.
import { equal, ok, refused, settled, sleep, until } from '../expect.mjs';

const BAD_TOKEN = 28;
const TOKEN_EXPIRED = 56;
const OPEN_FAILED = 1;

export const steps = [
  {
    id: 'login-password',
    features: ['AUTH-05', 'CON-01', 'R003'],
    run: async (t) => {
      const [user] = await t.users('pw');
      const client = await t.client();
      const answer = await client.open({ user: user.name, pwd: user.password });
      ok(typeof answer.accessToken === 'string' && answer.accessToken.length > 0, 'open to give an access token');
      await client.wait('onConnected');
      equal(await client.invoke('isOpened'), true, 'isOpened');
      await until(async () => (await t.rest.call('GET', `/users/${user.name}/status`)).data[user.name] === 'online', 'status online');
    },
  },
  {
    id: 'login-token',
    features: ['AUTH-02', 'CON-01', 'R002'],
    run: async (t) => {
      const [user] = await t.users('tok');
      for (const field of ['accessToken', 'agoraToken']) {
        const client = await t.client();
        await client.open({ user: user.name, [field]: await t.rest.userToken(user.name) });
        await client.wait('onConnected');
        equal(client.all('onError'), [], `errors after log-in by ${field}`);
      }
    },
  },
  {
    id: 'login-name-folded',
    features: ['ACC-04'],
    run: async (t) => {
      const [user] = await t.users('fold');
      const client = await t.client();
      await client.open({ user: user.name.toUpperCase(), pwd: user.password });
      await client.wait('onConnected');
      const peer = await t.login((await t.users('peer'))[0]);
      await peer.text(user.name, 'to the folded name');
      await client.wait('onTextMessage', (m) => m.msg === 'to the folded name');
    },
  },
  {
    id: 'login-wrong-password',
    features: ['AUTH-05', 'R003'],
    run: async (t) => {
      const [user] = await t.users('wrong');
      const client = await t.client();
      const error = await refused(client.open({ user: user.name, pwd: 'not-it' }), OPEN_FAILED, 'open with a wrong password');
      equal(error.reason, 'invalid password', 'the reason of the error');
      equal(client.count('onConnected'), 0, 'onConnected after a wrong password');
      await client.open({ user: user.name, pwd: user.password });
      await client.wait('onConnected');
    },
  },
  {
    id: 'login-unknown-user',
    features: ['AUTH-05', 'R003'],
    run: async (t) => {
      const client = await t.client();
      const error = await refused(client.open({ user: 'nobody-here', pwd: 'x' }), OPEN_FAILED, 'open of an unknown user');
      equal(error.reason, 'user not found', 'the reason of the error');
    },
  },
  {
    id: 'login-bad-token',
    features: ['AUTH-02', 'CON-01'],
    run: async (t) => {
      const [user, other] = await t.users('bad', 'other');
      const client = await t.client();
      const good = await t.rest.userToken(user.name);
      const middle = Math.floor(good.length / 2);
      const forged = good.slice(0, middle) + (good[middle] === 'A' ? 'B' : 'A') + good.slice(middle + 1);
      const wrong = { nonsense: 'not-a-token', forged, "another user's": await t.rest.userToken(other.name), "the app's": await t.rest.appToken() };
      for (const [what, accessToken] of Object.entries(wrong)) {
        await refused(client.open({ user: user.name, accessToken }), BAD_TOKEN, `open with ${what} token`);
      }
      equal(client.count('onConnected'), 0, 'onConnected after bad tokens');
      await client.open({ user: user.name, accessToken: good });
      await client.wait('onConnected');
    },
  },
  {
    id: 'login-expired-token',
    features: ['AUTH-02', 'AUTH-07'],
    run: async (t) => {
      const [user] = await t.users('late');
      const accessToken = await t.rest.userToken(user.name, 1);
      await sleep(1600);
      const client = await t.client();
      await refused(client.open({ user: user.name, accessToken }), TOKEN_EXPIRED, 'open with an expired token');
    },
  },
  {
    id: 'login-wrong-tenant',
    features: ['SEC-04', 'AUTH-02', 'AUTH-05'],
    run: async (t) => {
      const [user] = await t.users('tenant');
      const client = await t.client({ appKey: 'demo#elsewhere' });
      const accessToken = await t.rest.userToken(user.name);
      await refused(client.open({ user: user.name, pwd: user.password }), OPEN_FAILED, 'password log-in at another app');
      await refused(client.open({ user: user.name, accessToken }), [BAD_TOKEN, 2], "log-in at another app with this app's token");
      equal(client.count('onConnected'), 0, 'onConnected at another app');
    },
  },
  {
    id: 'register-over-sdk',
    features: ['ACC-01', 'ACC-04', 'ACC-05', 'R008'],
    run: async (t) => {
      const client = await t.client();
      const username = `reg-${Date.now().toString(36)}-${Math.floor(Math.random() * 1e6)}`;
      const answer = await client.invoke('registerUser', { username, password: 'first', nickname: '小明' });
      const entity = answer.entities?.[0] ?? answer.data?.entities?.[0];
      equal(entity?.username, username, 'the registered name');
      ok(entity.uuid && entity.activated === true && entity.type === 'user', 'uuid, type and activated of the new user');
      const again = await settled(client.invoke('registerUser', { username, password: 'second' }), 'registering a name twice');
      ok(again.error, 'registering a name twice to fail');
      ok(/duplicate_unique_property_exists/.test(JSON.stringify(again.error.data ?? again.error)), 'the error to name the duplicate');
      const bad = await settled(client.invoke('registerUser', { username: '名 字@', password: 'x' }), 'registering a bad name');
      ok(bad.error, 'registering a bad name to fail');
      await client.open({ user: username, pwd: 'first' });
      await client.wait('onConnected');
    },
  },
  {
    id: 'logout',
    features: ['CON-01', 'HIS-05', 'R020'],
    run: async (t) => {
      const [a, b] = await t.users('a', 'b');
      const sender = await t.login(a);
      const client = await t.login(b);
      await client.logout();
      await until(async () => (await t.rest.call('GET', `/users/${b.name}/status`)).data[b.name] === 'offline', 'status offline after log-out');
      await sender.text(b.name, 'while out');
      await sleep(700);
      equal(client.texts(), [], 'messages that reached a client after its log-out');
      await client.open({ user: b.name, accessToken: await t.rest.userToken(b.name) });
      await client.wait('onTextMessage', (m) => m.msg === 'while out');
    },
  },
];
