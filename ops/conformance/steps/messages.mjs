// Text, location, command and custom messages: what the sender learns and what the receiver sees.
import { delivered, equal, ok, refused, sequence, settled, sleep, until } from '../expect.mjs';

export const EXT = {
  string: '扩展 🧩', empty: '', yes: true, no: false, zero: 0, integer: 42, negative: -7, large: 2 ** 40,
  fraction: 1.5, small: -0.125, object: { deep: { list: [1, 'zwei', null, { 三: true }] } }, array: [1, '2', { three: 3 }],
  nothing: null,
};

const DECIMAL = /^[1-9][0-9]{0,19}$/;

// pair logs two fresh users in.
async function pair(t) {
  const [a, b] = await t.users('a', 'b');
  const [A, B] = await Promise.all([t.login(a), t.login(b)]);
  return { a, b, A, B };
}

// roundTrip sends one message and checks everything but its body, which it gives as the receiver saw it.
async function roundTrip(t, message, event) {
  const { a, b, A, B } = await pair(t);
  const started = Date.now();
  const answer = await A.send({ chatType: 'singleChat', to: b.name, ext: EXT, ...message });
  ok(DECIMAL.test(answer.serverMsgId), `serverMsgId to be a decimal string, not ${JSON.stringify(answer.serverMsgId)}`);
  ok(typeof answer.localMsgId === 'string' && answer.localMsgId !== answer.serverMsgId, 'a localMsgId of its own');
  const seen = await B.wait(event);
  equal(seen.id, answer.serverMsgId, "the receiver's message id");
  equal([seen.from, seen.to, seen.chatType, seen.type], [a.name, b.name, 'singleChat', message.type], 'from, to, chatType, type');
  equal(seen.ext, EXT, 'ext at the receiver');
  ok(Math.abs(seen.time - started) < 60_000, `a plausible time, not ${seen.time}`);
  await sleep(300);
  equal(B.count(event), 1, `${event} at the receiver`);
  equal(A.count(event), 0, `${event} at the sender, from its own message`);
  return { a, b, A, B, seen, answer };
}

export const steps = [
  {
    id: 'message-text',
    features: ['MSG-01', 'MSG-02', 'MSG-03', 'MSG-04', 'MSG-05', 'MSG-15', 'MSG-16', 'LIF-01', 'R276'],
    run: async (t) => {
      const msg = '你好，世界! 😀👩‍👩‍👧 \u{1F1E8}\u{1F1F3} "quotes" \\ <b>&amp;</b>\nnew line\ttab';
      const { A, B, seen, answer, b } = await roundTrip(t, { type: 'txt', msg }, 'onTextMessage');
      equal(seen.msg, msg, 'text at the receiver');
      const receipt = await A.wait('onReceivedMessage');
      equal([receipt.id, receipt.mid, receipt.to], [answer.localMsgId, answer.serverMsgId, b.name], "onReceivedMessage's id, mid, to");
      equal(B.all('onMessage').flat().map((m) => m.id), [seen.id], 'ids in the collective onMessage');
    },
  },
  {
    id: 'message-location',
    features: ['MSG-10', 'MSG-16'],
    run: async (t) => {
      const place = { addr: '上海市 🏙', buildingName: '东方明珠', lat: 31.239_703_2, lng: -121.499_718 };
      const { seen } = await roundTrip(t, { type: 'loc', ...place }, 'onLocationMessage');
      equal({ addr: seen.addr, buildingName: seen.buildingName, lat: seen.lat, lng: seen.lng }, place, 'the place');
    },
  },
  {
    id: 'message-command',
    features: ['MSG-11', 'MSG-19', 'MSG-16'],
    run: async (t) => {
      const { seen } = await roundTrip(t, { type: 'cmd', action: '正在输入 ✍️' }, 'onCmdMessage');
      equal(seen.action, '正在输入 ✍️', 'the action');
    },
  },
  {
    id: 'message-custom',
    features: ['MSG-12', 'MSG-16'],
    run: async (t) => {
      const customExts = { 礼物: '🎁', count: '3', empty: '' };
      const { seen } = await roundTrip(t, { type: 'custom', customEvent: 'gift/sent_1', customExts }, 'onCustomMessage');
      equal(seen.customEvent, 'gift/sent_1', 'customEvent');
      equal(seen.customExts, customExts, 'customExts');
    },
  },
  {
    id: 'message-order',
    features: ['LIF-41', 'HIS-01'],
    run: async (t) => {
      const { a, b, A, B } = await pair(t);
      const burst = (to, mark) => Array.from({ length: 60 }, (_, i) => ({ type: 'txt', chatType: 'singleChat', to, msg: `${mark}${i}` }));
      const [fromA, fromB] = await Promise.all([A.sendAll(burst(b.name, 'a')), B.sendAll(burst(a.name, 'b'))]);
      delivered(fromA);
      delivered(fromB);
      await until(() => A.texts().length >= 60 && B.texts().length >= 60, () => `60 each way, got ${A.texts().length} and ${B.texts().length}`);
      sequence(B.texts(a.name), burst('', 'a').map((m) => m.msg), 'what B saw');
      sequence(A.texts(b.name), burst('', 'b').map((m) => m.msg), 'what A saw');
      const order = async (client, peer) => {
        const pages = [];
        for (let cursor = -1, last = false; !last;) {
          const page = await client.history(peer, { pageSize: 50, searchDirection: 'down', cursor });
          pages.push(...page.messages.map((m) => m.msg));
          ({ cursor, isLast: last } = page);
          ok(pages.length <= 120, 'at most 120 messages in history');
        }
        return pages;
      };
      let ofA = [];
      await until(async () => (ofA = await order(A, b.name)).length === 120, 'history to have all 120');
      sequence(await order(B, a.name), ofA, "B's history against A's");
      sequence(ofA.filter((m) => m[0] === 'a'), burst('', 'a').map((m) => m.msg), "A's messages in history");
    },
  },
  {
    id: 'message-unknown-user',
    features: ['CON-01', 'MSG-04'],
    run: async (t) => {
      const { b, A, B } = await pair(t);
      await refused(A.text('nobody-at-all', 'hello?'), 204, 'a message to an unknown user');
      await A.text(b.name, 'still connected');
      await B.wait('onTextMessage', (m) => m.msg === 'still connected');
    },
  },
  {
    id: 'message-too-large',
    features: ['MSG-02'],
    run: async (t) => {
      const { b, A, B } = await pair(t);
      await A.text(b.name, '大'.repeat(1300));
      equal((await B.wait('onTextMessage')).msg.length, 1300, 'characters of a message just below the limit');
      await refused(A.text(b.name, 'x'.repeat(20_000)), 511, 'a text of 20,000 bytes');
      await A.text(b.name, 'after');
      await B.wait('onTextMessage', (m) => m.msg === 'after');
      equal(B.count('onTextMessage'), 2, 'messages at the receiver');
    },
  },
  {
    id: 'message-online-only',
    features: ['LIF-27'],
    run: async (t) => {
      const { a, b, A, B } = await pair(t);
      const own = await t.client();
      await A.text(b.name, 'now', { deliverOnlineOnly: true });
      await B.wait('onTextMessage', (m) => m.msg === 'now');
      await B.logout();
      await B.close();
      await until(async () => (await t.rest.call('GET', `/users/${b.name}/status`)).data[b.name] === 'offline', 'B to be offline');
      await settled(A.text(b.name, 'gone', { deliverOnlineOnly: true }), 'an online-only message to an offline user');
      await A.text(b.name, 'kept');
      await own.open({ user: b.name, accessToken: await t.rest.userToken(b.name) });
      await own.wait('onTextMessage', (m) => m.msg === 'kept');
      await until(async () => (await A.history(b.name)).messages.length > 0, 'history to have the stored message');
      equal(own.texts(a.name), ['kept'], 'what B gets after its log-in');
      equal((await A.history(b.name)).messages.map((m) => m.msg), ['kept'], 'history');
    },
  },
];
