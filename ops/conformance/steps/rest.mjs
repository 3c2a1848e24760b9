// The back end's REST calls: tokens, users, status. They run on a server of their own where they list or delete.
import { equal, ok, sequence, until } from '../expect.mjs';

// error demands a JSON error object with the status and gives it.
function error(answer, status, what) {
  equal(answer.status, status, `${what}: status (${answer.text.slice(0, 200)})`);
  ok(answer.json && typeof answer.json.error === 'string', `${what}: a JSON error, not ${answer.text.slice(0, 200)}`);
  return answer.json;
}

// envelope checks the fields that every answer of the management API has.
function envelope(json, what) {
  for (const field of ['timestamp', 'duration']) ok(Number.isFinite(json[field]), `${what}: ${field} in the envelope`);
}

export const steps = [
  {
    id: 'rest-app-token',
    features: ['AUTH-01', 'R001', 'SEC-04'],
    run: async (t) => {
      const { client_id, client_secret } = t.server.dev;
      const ask = (body, base) => t.rest.raw('POST', '/token', { body, base });
      const good = await ask({ grant_type: 'client_credentials', client_id, client_secret, ttl: 3600 });
      equal(good.status, 200, 'status');
      ok(typeof good.json.access_token === 'string' && good.json.application, 'access_token and application');
      equal(good.json.expires_in, 3600, 'expires_in');
      error(await ask({ grant_type: 'client_credentials', client_id, client_secret: 'wrong' }), 400, 'a wrong secret');
      equal((await ask({ grant_type: 'client_credentials', client_id, client_secret: 'wrong' })).json.error, 'invalid_grant', 'error of a wrong secret');
      error(await ask({ grant_type: 'no_such_grant' }), 400, 'an unknown grant');
      error(await ask({ grant_type: 'client_credentials', client_id, client_secret }, `${t.server.dev.rest}/demo/elsewhere`), 404, 'another app');
    },
  },
  {
    id: 'rest-user-token',
    features: ['AUTH-02', 'AUTH-05', 'R002', 'R003'],
    run: async (t) => {
      const token = await t.rest.appToken();
      const [user] = await t.users('u');
      const username = `auto-${user.name}`;
      const ask = (body, as = token) => t.rest.raw('POST', '/token', { body: { grant_type: 'inherit', ...body }, token: as });
      error(await ask({ username, autoCreateUser: false }), 404, 'a missing user without autoCreateUser');
      error(await ask({ username }, null), 401, 'inherit without a token');
      error(await ask({ username: user.name }, await t.rest.userToken(user.name)), 401, "inherit with a user's token");
      const made = await ask({ username, autoCreateUser: true, ttl: 100 });
      equal([made.status, made.json.expires_in, made.json.user?.username], [200, 100, username], 'status, expires_in and user');
      const client = await t.client();
      await client.open({ user: username, accessToken: made.json.access_token });
      await client.wait('onConnected');
      const password = await t.rest.raw('POST', '/token', { body: { grant_type: 'password', username: user.name, password: user.password } });
      equal([password.status, password.json.user?.username], [200, user.name], 'token by password');
      const wrong = error(await t.rest.raw('POST', '/token', { body: { grant_type: 'password', username: user.name, password: 'x' } }), 400, 'a wrong password');
      equal([wrong.error, wrong.error_description], ['invalid_grant', 'invalid password'], 'error of a wrong password');
    },
  },
  {
    id: 'rest-users',
    features: ['ACC-01', 'ACC-02', 'ACC-04', 'ACC-05', 'R008', 'R010', 'R012', 'R014'],
    run: async (t) => {
      const token = await t.rest.appToken();
      const username = `rest-${Date.now().toString(36)}-${Math.floor(Math.random() * 1e6)}`;
      const made = await t.rest.call('POST', '/users', { username, password: 'p' });
      envelope(made, 'POST /users');
      const [entity] = made.entities;
      equal([entity.username, entity.type, entity.activated], [username, 'user', true], 'username, type, activated');
      ok(entity.uuid && entity.created > 0 && entity.modified > 0, 'uuid, created, modified');
      const twice = error(await t.rest.raw('POST', '/users', { token, body: { username, password: 'p' } }), 400, 'the same name again');
      equal(twice.error, 'duplicate_unique_property_exists', 'error of the same name again');
      const bad = { 'a bad name': 'no spaces', 'an empty name': '', 'a long name': 'x'.repeat(65) };
      for (const [what, name] of Object.entries(bad)) {
        const { error: code } = error(await t.rest.raw('POST', '/users', { token, body: { username: name, password: 'p' } }), 400, what);
        equal(code, 'illegal_argument', `error of ${what}`);
      }
      const one = await t.rest.call('GET', `/users/${username}`);
      equal([one.entities[0].username, one.entities[0].uuid], [username, entity.uuid], 'username and uuid from GET');
      equal((await t.rest.call('PUT', `/users/${username}/password`, { newpassword: 'q' })).action, 'set user password', 'action of the password change');
      equal((await t.rest.raw('POST', '/token', { body: { grant_type: 'password', username, password: 'q' } })).status, 200, 'token by the new password');
      equal((await t.rest.call('DELETE', `/users/${username}`)).entities[0].username, username, 'the deleted user');
      for (const method of ['GET', 'DELETE']) {
        equal(error(await t.rest.raw(method, `/users/${username}`, { token }), 404, `${method} of a deleted user`).error, 'service_resource_not_found', 'error');
      }
    },
  },
  {
    id: 'rest-users-bulk',
    features: ['ACC-03', 'R009'],
    run: async (t) => {
      const stem = `bulk-${Date.now().toString(36)}-${Math.floor(Math.random() * 1e6)}`;
      const names = Array.from({ length: 58 }, (_, i) => `${stem}-${i}`);
      const body = [...names, names[0], 'not valid!'].map((username) => ({ username, password: 'p' }));
      const answer = await t.rest.call('POST', '/users', body);
      equal(answer.entities.map((u) => u.username), names, 'registered names');
      equal(answer.data.map((d) => d.username), [names[0], 'not valid!'], 'names with a reason');
      ok(answer.data.every((d) => d.registerUserFailReason), 'registerUserFailReason of each');
      const many = Array.from({ length: 61 }, (_, i) => ({ username: `${stem}-x${i}`, password: 'p' }));
      error(await t.rest.raw('POST', '/users', { token: await t.rest.appToken(), body: many }), 400, '61 users in one call');
    },
  },
  {
    id: 'rest-users-paging',
    features: ['R011', 'R013', 'ACC-07'],
    timeout: 40_000,
    run: async (t) => {
      await t.freshServer();
      const names = Array.from({ length: 25 }, (_, i) => `page-${String(i).padStart(2, '0')}`);
      for (const username of names) await t.rest.call('POST', '/users', { username, password: 'p' });
      const read = async (limit) => {
        const seen = [];
        for (let cursor, n = 0; n < 30; n++) {
          const page = await t.rest.call('GET', `/users?limit=${limit}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`);
          equal(page.count, page.entities.length, 'count against entities');
          seen.push(...page.entities.map((u) => u.username));
          ({ cursor } = page);
          if (!cursor) return seen;
        }
        throw new Error('no last page after 30');
      };
      sequence(await read(10), names, 'users in order of creation');
      sequence(await read(25), names, 'users on one full page');
      equal((await t.rest.call('GET', '/users')).entities.length, 10, 'users on a page without limit');
      const gone = await t.rest.call('DELETE', '/users?limit=7');
      equal(gone.entities.map((u) => u.username), names.slice(0, 7), 'the seven oldest, deleted');
      sequence(await read(10), names.slice(7), 'users that are left');
    },
  },
  {
    id: 'rest-status',
    features: ['ACC-10', 'R020', 'R021', 'ACC-11', 'R019'],
    run: async (t) => {
      const [a, b] = await t.users('a', 'b');
      const A = await t.login(a);
      const status = async (name) => (await t.rest.call('GET', `/users/${name}/status`)).data;
      await until(async () => (await status(a.name))[a.name] === 'online', 'A online');
      equal(await status(b.name), { [b.name]: 'offline' }, 'status of B');
      const batch = await t.rest.call('POST', '/users/batch/status', { usernames: [a.name, b.name, 'unheard-of'] });
      equal(Object.assign({}, ...batch.data), { [a.name]: 'online', [b.name]: 'offline', 'unheard-of': 'offline' }, 'batch status');
      equal((await t.rest.call('GET', `/users/${b.name}/resources`)).data, [], 'devices of B');
      const [device] = (await t.rest.call('GET', `/users/${a.name}/resources`)).data;
      equal(device.res, await A.resource(), 'the device of A');
      await A.close();
      await until(async () => (await status(a.name))[a.name] === 'offline', 'A offline after its tab was closed');
    },
  },
  {
    id: 'rest-unknown-path',
    features: ['SEC-04'],
    run: async (t) => {
      const token = await t.rest.appToken();
      for (const [method, path] of [['GET', '/no/such/path'], ['POST', '/no/such/path'], ['DELETE', '/users/x/y/z'], ['PATCH', '/token']]) {
        const answer = await t.rest.raw(method, path, { token, body: method === 'GET' ? undefined : {} });
        ok([404, 405].includes(answer.status), `404 or 405 for ${method} ${path}, not ${answer.status}`);
        ok(typeof answer.json?.error === 'string', `a JSON error for ${method} ${path}, not ${answer.text.slice(0, 200)}`);
      }
      const outside = await t.rest.raw('GET', '/nothing', { base: t.server.dev.rest });
      ok(outside.status === 404 && typeof outside.json?.error === 'string', `a JSON 404 outside any app, not ${outside.status} ${outside.text.slice(0, 100)}`);
    },
  },
  {
    id: 'rest-bad-input',
    features: ['SEC-04', 'R008', 'R001'],
    run: async (t) => {
      const token = await t.rest.appToken();
      error(await t.rest.raw('POST', '/users', { token, body: '{"username": ' }), 400, 'broken JSON');
      error(await t.rest.raw('POST', '/users', { token, body: { username: 7, password: [] } }), 400, 'wrong types');
      error(await t.rest.raw('POST', '/users', { token, body: { username: 'no-password-given' } }), 400, 'a missing password');
      error(await t.rest.raw('POST', '/token', { body: '[]' }), 400, 'an array for an object');
      error(await t.rest.raw('GET', '/users'), 401, 'no token');
      error(await t.rest.raw('GET', '/users', { token: 'forged.token.here' }), 401, 'a forged token');
      const [user] = await t.users('u');
      const own = await t.rest.userToken(user.name);
      const answer = await t.rest.raw('DELETE', `/users/${user.name}`, { token: own });
      ok([401, 403].includes(answer.status), `a user's token refused for management, not ${answer.status}`);
      equal((await t.rest.raw('GET', `/users/${user.name}`, { token })).status, 200, 'the user after the refused call');
    },
  },
  {
    id: 'rest-discovery',
    features: ['R275'],
    run: async (t) => {
      const answer = await t.rest.raw('GET', `/easemob/server.json?app_key=${encodeURIComponent(t.server.dev.app)}`, { base: t.server.dev.rest });
      equal(answer.status, 200, 'status');
      ok(Array.isArray(answer.json?.rest?.hosts), `rest.hosts, not ${answer.text.slice(0, 200)}`);
      ok(Array.isArray(answer.json?.['msync-wx']?.hosts), 'msync-wx.hosts');
    },
  },
];
