// Messages that a back end sends over REST, as SDK users see them, and calls of the SDK that have no server part yet.
import { equal, ok, settled, sleep, until } from '../expect.mjs';

const DECIMAL = /^[1-9][0-9]{0,19}$/;

export const steps = [
  {
    id: 'rest-send',
    features: ['R059', 'MSG-05', 'MSG-10', 'MSG-11', 'MSG-12', 'MSG-16'],
    run: async (t) => {
      const [a, b, c] = await t.users('a', 'b', 'c');
      const [B, C] = await Promise.all([t.login(b), t.login(c)]);
      const send = (type, body, more = {}) => t.rest.call('POST', '/messages/users', { from: a.name, to: [b.name], type, body, ...more });
      const ext = { note: '备注 🧾', n: 7, deep: { list: [1, 2] } };
      const { data } = await send('txt', { msg: '公告 📣' }, { to: [b.name, c.name], ext });
      ok(DECIMAL.test(data[b.name]) && DECIMAL.test(data[c.name]), `decimal ids, not ${JSON.stringify(data)}`);
      for (const [client, name] of [[B, b.name], [C, c.name]]) {
        const seen = await client.wait('onTextMessage');
        equal([seen.msg, seen.from, seen.to, seen.id, seen.ext], ['公告 📣', a.name, name, data[name], ext], 'the text as the SDK shows it');
      }
      await send('loc', { lat: 39.9, lng: 116.4, addr: '北京' });
      const place = await B.wait('onLocationMessage');
      equal([place.lat, place.lng, place.addr], [39.9, 116.4, '北京'], 'the place');
      await send('cmd', { action: 'refresh' });
      equal((await B.wait('onCmdMessage')).action, 'refresh', 'the action');
      await send('custom', { customEvent: 'gift', customExts: { 名: '花' } });
      const custom = await B.wait('onCustomMessage');
      equal([custom.customEvent, custom.customExts], ['gift', { 名: '花' }], 'the custom message');
      await until(async () => (await B.history(a.name, { searchOptions: { msgTypes: ['txt'] } })).messages.length === 1, 'the text in history');
    },
  },
  {
    id: 'rest-send-sync-device',
    features: ['LIF-31', 'R059', 'LIF-27'],
    run: async (t) => {
      const [a, b] = await t.users('a', 'b');
      const [A, B] = await Promise.all([t.login(a), t.login(b)]);
      await t.rest.sendText(a.name, [b.name], 'not to my own devices');
      await t.rest.sendText(a.name, [b.name], 'to mine too', { sync_device: true });
      await A.wait('onTextMessage', (m) => m.msg === 'to mine too');
      await B.wait('onTextMessage', (m) => m.msg === 'to mine too');
      await sleep(300);
      equal(A.texts(), ['to mine too'], "what the sender's device saw");
      equal(B.texts(), ['not to my own devices', 'to mine too'], 'what the receiver saw');
    },
  },
  {
    id: 'rest-send-online-only',
    features: ['LIF-27', 'R059'],
    run: async (t) => {
      const [a, b] = await t.users('a', 'b');
      await t.rest.sendText(a.name, [b.name], 'nobody home', { routetype: 'ROUTE_ONLINE' });
      await t.rest.sendText(a.name, [b.name], 'kept');
      const B = await t.login(b);
      await B.wait('onTextMessage', (m) => m.msg === 'kept');
      await t.rest.sendText(a.name, [b.name], 'at home', { routetype: 'ROUTE_ONLINE' });
      await B.wait('onTextMessage', (m) => m.msg === 'at home');
      equal(B.texts(), ['kept', 'at home'], 'what B saw');
    },
  },
  {
    id: 'rest-send-unchecked',
    features: ['MSG-17', 'R059'],
    run: async (t) => {
      const [a] = await t.users('a');
      const { data } = await t.rest.sendText(a.name, ['never-registered'], 'hello?');
      ok(DECIMAL.test(data['never-registered']), `an id for an unknown recipient, not ${JSON.stringify(data)}`);
      const token = await t.rest.appToken();
      const bad = {
        'no type': { from: a.name, to: [a.name], body: { msg: 'x' } },
        'no body': { from: a.name, to: [a.name], type: 'txt' },
        'no recipients': { from: a.name, to: [], type: 'txt', body: { msg: 'x' } },
      };
      for (const [what, body] of Object.entries(bad)) {
        const answer = await t.rest.raw('POST', '/messages/users', { token, body });
        ok(answer.status === 400 && typeof answer.json?.error === 'string', `400 with a JSON error for ${what}, not ${answer.status} ${answer.text.slice(0, 100)}`);
      }
    },
  },
  {
    id: 'rest-offline-count',
    features: ['ACC-12', 'R022', 'R023'],
    run: async (t) => {
      const [a, b] = await t.users('a', 'b');
      equal(await t.rest.offlineCount(b.name), 0, 'offline_msg_count of a new user');
      const { data } = await t.rest.sendText(a.name, [b.name], 'waiting');
      const id = data[b.name];
      await until(async () => (await t.rest.offlineCount(b.name)) === 1, 'offline_msg_count of 1');
      const status = async () => (await t.rest.call('GET', `/users/${b.name}/offline_msg_status/${id}`)).data[id];
      equal(await status(), 'undelivered', 'status of the waiting message');
      const B = await t.login(b);
      await B.wait('onTextMessage');
      await until(async () => (await t.rest.offlineCount(b.name)) === 0, 'offline_msg_count of 0');
      await until(async () => (await status()) === 'delivered', 'status delivered');
    },
  },
  {
    id: 'sdk-calls-settle',
    features: ['SEC-04'],
    timeout: 60_000,
    run: async (t) => {
      const [a, b] = await t.users('a', 'b');
      const A = await t.login(a);
      const calls = [
        ['getPublicGroups', { limit: 10 }],
        ['getContacts'],
        ['fetchUserInfoById', [b.name]],
        ['addReaction', { messageId: '123456789', reaction: 'ok' }],
        ['getChatRooms', { pagenum: 1, pagesize: 10 }],
        ['getPresenceStatus', { usernames: [b.name] }],
        ['translateMessage', { text: 'hello', languages: ['zh'] }],
        ['getSilentModeForAll'],
        ['getBlocklist'],
        ['getGroupInfo', { groupId: '1234' }],
        ['getJoinedChatThreads', { pageSize: 10 }],
        ['getRTCToken', { channelName: 'c' }],
      ];
      for (const [name, ...args] of calls) {
        const { error } = await settled(A.invoke(name, ...args), name, 12_000);
        if (error) ok(Number.isInteger(error.type), `${name} to fail with a typed error, not ${error.message}`);
      }
      await A.text(b.name, 'still connected');
      equal([A.count('onConnected'), A.count('onDisconnected')], [1, 0], 'connects and disconnects');
    },
  },
];
