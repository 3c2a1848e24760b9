// Messages in rooms: kinds, order, priority, directed ones, recalls, what who joins is shown, history, and what is shed.
import { delivered, equal, ok, refused, sequence, sleep, until } from '../expect.mjs';
import { allHear, hall, heard, hears, join, learns, lines, past, recall, say } from '../room.mjs';

const KINDS = ['onTextMessage', 'onCmdMessage', 'onLocationMessage', 'onCustomMessage', 'onImageMessage'];

// order gives the ids of all messages of a room that a client saw, of whatever kind, as they came.
const order = (client, roomId) => client.events
  .filter((e) => KINDS.includes(e.name) && e.payload.to === roomId).map((e) => e.payload.id);

export const steps = [
  {
    id: 'room-message',
    features: ['MSG-01', 'MSG-02', 'MSG-10', 'MSG-11', 'MSG-12', 'MSG-16', 'LIF-01', 'ROM-03'],
    run: async (t) => {
      const { id, users: [a], clients: [A, B, C] } = await hall(t, 3);
      const ext = { 备注: '扩展 🧩', n: 7, deep: { list: [1, 'zwei'] } };
      const started = Date.now();
      const { serverMsgId } = await say(A, id, '大家好 👋', { ext });
      const ids = [serverMsgId];
      for (const client of [B, C]) {
        const seen = await hears(client, id, '大家好 👋');
        equal([seen.id, seen.from, seen.to, seen.chatType, seen.type, seen.ext, seen.priority], [serverMsgId, a.name, id, 'chatRoom', 'txt', ext, 'normal'], `the text at ${client.user}`);
        ok(Math.abs(seen.time - started) < 60_000, `a plausible time, not ${seen.time}`);
      }
      const to = { chatType: 'chatRoom', to: id };
      ids.push((await A.send({ ...to, type: 'cmd', action: 'typing' })).serverMsgId);
      ids.push((await B.send({ ...to, type: 'loc', addr: '这里', buildingName: 'b', lat: 1.5, lng: -2.5 })).serverMsgId);
      ids.push((await A.send({ ...to, type: 'custom', customEvent: 'gift', customExts: { k: 'v' } })).serverMsgId);
      ids.push((await say(C, id, 'the end')).serverMsgId);
      await allHear([A, B], id, 'the end');
      equal((await C.wait('onCmdMessage')).action, 'typing', 'the command');
      const place = await C.wait('onLocationMessage');
      equal([place.addr, place.lat, place.lng, place.to, place.chatType], ['这里', 1.5, -2.5, id, 'chatRoom'], 'the place');
      const custom = await C.wait('onCustomMessage');
      equal([custom.customEvent, custom.customExts, custom.to], ['gift', { k: 'v' }, id], 'the custom message');
      await sleep(300);
      const own = { A: [ids[0], ids[1], ids[3]], B: [ids[2]], C: [ids[4]] };
      for (const [name, client] of Object.entries({ A, B, C })) {
        equal(order(client, id), ids.filter((x) => !own[name].includes(x)), `all messages at ${name}, in order, without its own`);
        equal(client.all('onReceivedMessage').map((r) => [r.mid, r.to]), own[name].map((x) => [x, id]), `confirmations at ${name}`);
      }
      await refused(say(A, id, 'x'.repeat(20_000)), 511, 'a text of 20,000 bytes');
      await refused(say(A, '999999999999', 'hello?'), 705, 'a message to a room that is not there');
    },
  },
  {
    id: 'room-message-strangers',
    features: ['SEC-04', 'ROM-03'],
    run: async (t) => {
      const { id, owner, users: [a], clients: [A] } = await hall(t, 1);
      const [s] = await t.users('s');
      const [O, S] = await Promise.all([t.login(owner), t.login(s)]);
      await refused(say(S, id, 'from outside'), 602, 'a message of who does not view');
      await refused(S.text(id, 'as if to a group', { chatType: 'groupChat' }), 605, 'a message to the room as if it were a group');
      await say(O, id, 'from the owner, who does not view');
      await hears(A, id, 'from the owner, who does not view');
      await sleep(300);
      equal([heard(S, id), heard(O, id)], [[], []], 'texts of who does not view');
      equal(heard(A, id), ['from the owner, who does not view'], `texts of ${a.name}`);
    },
  },
  {
    id: 'room-order',
    features: ['LIF-01', 'LIF-41', 'ROM-16'],
    timeout: 90_000,
    run: async (t) => {
      const { id, clients } = await hall(t, 4);
      const watcher = clients.at(-1);
      const sent = new Set();
      const own = clients.map(() => new Set());
      for (let round = 0; round < 5; round++) {
        const outcomes = await Promise.all(clients.map((client, i) => client.sendAll(lines(id, i === 3 ? 10 : 30, `from ${i}, round ${round},`))));
        outcomes.forEach((some, i) => delivered(some).forEach((x) => { sent.add(x); own[i].add(x); }));
      }
      equal(sent.size, 500, 'messages with ids of their own');
      await until(() => clients.every((c, i) => order(c, id).length >= 500 - own[i].size),
        () => `all messages, got ${clients.map((c) => order(c, id).length)}`, 20_000);
      await sleep(300);
      const whole = [...sent].sort((x, y) => (BigInt(x) < BigInt(y) ? -1 : 1));
      clients.forEach((client, i) => sequence(order(client, id), whole.filter((x) => !own[i].has(x)), `what viewer ${i} saw`));
      for (const from of clients.slice(0, 3)) {
        const texts = watcher.all('onTextMessage').filter((m) => m.from === from.user).map((m) => m.msg);
        sequence(texts, Array.from({ length: 5 }, (_, round) => lines(id, 30, `from ${clients.indexOf(from)}, round ${round},`).map((m) => m.msg)).flat(), `what ${from.user} said, in its order`);
      }
    },
  },
  {
    id: 'room-priority',
    features: ['LIF-26', 'ROM-16'],
    run: async (t) => {
      const { id, clients: [A, B] } = await hall(t, 2);
      for (const priority of ['high', 'normal', 'low']) {
        await say(A, id, priority, { priority });
        equal((await hears(B, id, priority)).priority, priority, 'the priority at a viewer');
      }
      equal((await say(A, id, 'unsaid')).serverMsgId, (await hears(B, id, 'unsaid')).id, 'a message without a priority');
      equal((await hears(B, id, 'unsaid')).priority, 'normal', 'the priority of a message that says nothing of it');
    },
  },
  {
    id: 'room-directed',
    features: ['LIF-28'],
    run: async (t) => {
      const { id, users: [, b, c], clients: [A, B, C, D] } = await hall(t, 4);
      const second = await t.login(b);
      await join(second, id);
      await say(A, id, 'to all');
      await say(A, id, 'to two', { receiverList: [b.name, c.name] });
      await say(A, id, 'to all again');
      await allHear([B, C, D, second], id, 'to all again');
      await sleep(300);
      for (const client of [B, C, second]) equal(heard(client, id), ['to all', 'to two', 'to all again'], `texts of ${client.user}, who was meant`);
      equal(heard(D, id), ['to all', 'to all again'], 'texts of who was not meant');
      const tooMany = Array.from({ length: 21 }, (_, i) => `u${i}`);
      await refused(say(A, id, 'to too many', { receiverList: tooMany }), 50, 'a message to 21 viewers');
      const [late] = await t.users('late');
      const L = await t.login(late);
      await join(L, id);
      await hears(L, id, 'to all again');
      await sleep(300);
      equal(heard(L, id), ['to all', 'to all again'], 'what who joins later is shown');
    },
  },
  {
    id: 'room-online-only',
    features: ['LIF-27'],
    run: async (t) => {
      const { id, clients: [A, B] } = await hall(t, 2);
      await say(A, id, 'kept');
      await say(A, id, 'for now', { deliverOnlineOnly: true });
      await hears(B, id, 'for now');
      const [late] = await t.users('late');
      const L = await t.login(late);
      await join(L, id);
      await hears(L, id, 'kept');
      await sleep(300);
      equal(heard(L, id), ['kept'], 'what who joins later is shown');
      await refused(say(A, '999999999999', 'x', { deliverOnlineOnly: true }), 705, 'an online-only message to a room that is not there');
    },
  },
  {
    id: 'room-recall',
    features: ['LIF-07'],
    run: async (t) => {
      const { id, owner, users: [a], clients: [A, B, C] } = await hall(t, 3);
      const O = await t.login(owner);
      await say(A, id, 'stays');
      const ids = [];
      for (const msg of ['my slip', 'the owner dislikes this', 'and the app this']) ids.push((await say(A, id, msg)).serverMsgId);
      await allHear([B, C], id, 'and the app this');
      await refused(recall(B, id, ids[0]), 603, "a recall of another's message by a viewer");
      await recall(A, id, ids[0], { ext: '撤回' });
      for (const client of [B, C]) {
        const event = await client.wait('onRecallMessage', (e) => e.mid === ids[0]);
        equal([event.from, event.to, event.ext], [a.name, id, '撤回'], 'who recalls, where, and the ext');
      }
      await recall(O, id, ids[1]);
      for (const client of [A, B, C]) equal((await client.wait('onRecallMessage', (e) => e.mid === ids[1])).from, owner.name, 'who recalls');
      const { data } = await t.rest.call('POST', '/messages/msg_recall', { msg_id: ids[2], to: id, chat_type: 'chatroom', force: false });
      equal(data.recalled, 'yes', 'the answer over REST');
      for (const client of [A, B, C]) await client.wait('onRecallMessage', (e) => e.mid === ids[2]);
      await refused(recall(A, id, '123456789'), 1302, 'a recall of what was never sent');
      const [late] = await t.users('late');
      const L = await t.login(late);
      await join(L, id);
      await hears(L, id, 'stays');
      await sleep(300);
      equal(heard(L, id), ['stays'], 'what who joins afterwards is shown');
      equal([A, B, C].map((x) => x.all('onRecallMessage').map((e) => e.mid)), [[ids[1], ids[2]], ids, ids], 'recalls at each, the recalling device left out');
    },
  },
  {
    id: 'room-recall-too-late',
    features: ['LIF-07'],
    run: async (t) => {
      await t.freshServer({ PARLEY_GATEWAY_RECALL_WINDOW: '1s' });
      const { id, owner, clients: [A, B] } = await hall(t, 2);
      const O = await t.login(owner);
      const { serverMsgId } = await say(A, id, 'old');
      await hears(B, id, 'old');
      await sleep(1500);
      await refused(recall(A, id, serverMsgId), 504, 'a recall by the sender, too late');
      await refused(recall(O, id, serverMsgId), 504, 'a recall by the owner, too late');
      await t.rest.call('POST', '/messages/msg_recall', { msg_id: serverMsgId, to: id, chat_type: 'chatroom', force: true });
      await B.wait('onRecallMessage', (e) => e.mid === serverMsgId);
    },
  },
  {
    id: 'room-no-offline',
    features: ['ROM-15', 'HIS-05', 'CNV-08'],
    run: async (t) => {
      const { id, owner, users: [, b], clients: [A, B] } = await hall(t, 2);
      await say(A, id, 'seen');
      await hears(B, id, 'seen');
      await B.invoke('leaveChatRoom', { roomId: id });
      await B.logout();
      await until(async () => (await t.rest.call('GET', `/users/${b.name}/status`)).data[b.name] === 'offline', 'B to be offline');
      await say(A, id, 'missed');
      equal([await t.rest.offlineCount(b.name), await t.rest.offlineCount(owner.name)], [0, 0], 'offline messages of one who left and of the owner');
      await B.open({ user: b.name, accessToken: await t.rest.userToken(b.name) });
      const O = await t.login(owner);
      await sleep(1000);
      equal([heard(B, id), heard(O, id)], [['seen'], []], 'texts after another log-in');
      for (const client of [A, B, O]) {
        const { conversations } = (await client.invoke('getServerConversations', { pageSize: 50, cursor: '' })).data;
        equal(conversations.filter((c) => c.conversationId === id), [], `the room among the conversations of ${client.user}`);
      }
    },
  },
  {
    id: 'room-at-join',
    features: ['HIS-06'],
    run: async (t) => {
      const { id, clients: [A] } = await hall(t, 1);
      const [b, c] = await t.users('b', 'c');
      const [B, C] = await Promise.all([t.login(b), t.login(c)]);
      await join(B, id);
      await sleep(300);
      equal(heard(B, id), [], 'what a new room shows');
      const texts = Array.from({ length: 15 }, (_, i) => `line ${i}`);
      for (const msg of texts) await say(A, id, msg);
      await A.send({ chatType: 'chatRoom', to: id, type: 'cmd', action: 'not shown later' });
      await B.wait('onCmdMessage');
      await join(C, id);
      await hears(C, id, 'line 14');
      await say(B, id, 'newer');
      await hears(C, id, 'newer');
      await sleep(300);
      equal(heard(C, id), [...texts.slice(-10), 'newer'], 'the newest ten, oldest first, and then what is new');
      equal(C.all('onTextMessage')[0].chatType, 'chatRoom', 'the chat type of an older message');
      equal(heard(B, id), texts, 'what who was there saw');
    },
  },
  {
    id: 'room-at-join-setting',
    features: ['HIS-06'],
    run: async (t) => {
      await t.freshServer({ PARLEY_ROOMS_ON_JOIN: '3' });
      const { id, clients: [A] } = await hall(t, 1);
      for (let i = 0; i < 5; i++) await say(A, id, `line ${i}`);
      const [b] = await t.users('b');
      const B = await t.login(b);
      await join(B, id);
      await hears(B, id, 'line 4');
      await sleep(300);
      equal(heard(B, id), ['line 2', 'line 3', 'line 4'], 'the newest three');
    },
  },
  {
    id: 'room-history-off',
    features: ['HIS-04', 'ROM-20'],
    run: async (t) => {
      const { id, clients: [A] } = await hall(t, 1);
      await say(A, id, 'not to be read later');
      await refused(A.history(id, { chatType: 'chatRoom', pageSize: 10, cursor: -1 }), 505, 'history of a room while it is off');
    },
  },
  {
    id: 'room-history',
    features: ['HIS-04', 'HIS-06', 'ROM-20', 'LIF-28', 'LIF-07'],
    timeout: 45_000,
    run: async (t) => {
      await t.freshServer({ PARLEY_ROOMS_HISTORY: 'true' });
      const { id, clients: [A, B] } = await hall(t, 2);
      const texts = Array.from({ length: 45 }, (_, i) => `line ${i}`);
      for (const msg of texts.slice(0, 20)) await say(A, id, msg);
      const { serverMsgId } = await say(A, id, 'recalled');
      await say(A, id, 'to one', { receiverList: [B.user] });
      await A.send({ chatType: 'chatRoom', to: id, type: 'cmd', action: 'no history' });
      delivered(await A.sendAll(texts.slice(20).map((msg) => ({ type: 'txt', chatType: 'chatRoom', to: id, msg }))));
      await recall(A, id, serverMsgId);
      let read;
      await until(async () => (read = await past(B, id)).all.length === 45, () => `45 messages in history, got ${read.all.length}`);
      sequence(read.all.map((m) => m.msg), texts, 'history, oldest first');
      ok(read.pages >= 3, `three pages or more of twenty, not ${read.pages}`);
      equal([read.all[0].chatType, read.all[0].to, read.all[0].from], ['chatRoom', id, A.user], 'a message of history');
      sequence((await past(B, id, { searchDirection: 'up' })).all.map((m) => m.msg), [...texts].reverse(), 'history, newest first');
      const [c] = await t.users('c');
      const C = await t.login(c);
      await join(C, id);
      await say(A, id, 'new');
      await hears(C, id, 'new');
      await sleep(300);
      equal(heard(C, id), ['new'], 'what who joins is shown while history is on');
      await until(async () => (await past(C, id)).all.length === 46, 'history for who joined late');
    },
  },
  {
    id: 'room-shedding',
    features: ['ROM-16', 'LIF-26'],
    timeout: 60_000,
    run: async (t) => {
      await t.freshServer({ PARLEY_ROOMS_RATE: '20' });
      const { id, users: [, b], clients: [A, B, C] } = await hall(t, 3);
      const burst = async (client, priority, count) => {
        const outcomes = await client.sendAll(lines(id, count, `${priority} of ${client.user}`, { priority }));
        const bad = outcomes.filter((o) => o.error);
        equal(bad.filter((o) => o.error.type !== 509), [], 'refusals of another type than 509');
        return outcomes.flatMap((o, i) => (o.error ? [] : [`${priority} of ${client.user} ${i}`]));
      };
      const low = await burst(A, 'low', 30);
      ok(low.length >= 8 && low.length <= 20, `about half of the burst of 20 for low ones, not ${low.length}`);
      const normal = await burst(A, 'normal', 30);
      ok(normal.length >= 5 && normal.length < 30, `some normal ones while anything is left, not ${normal.length}`);
      const high = await burst(A, 'high', 60);
      equal(high.length, 60, 'high ones, which are never refused');
      await t.rest.call('POST', `/chatrooms/${id}/white/users/${b.name}`);
      await learns(B, id, 'addUserToAllowlist');
      const allowed = await burst(B, 'low', 15);
      equal(allowed.length, 15, 'low ones of a user on the allow list, which count as high');
      await hears(C, id, allowed.at(-1));
      await sleep(500);
      sequence(heard(C, id), [...low, ...normal, ...high, ...allowed], 'what a viewer saw: all that was not refused, in order');
      await sleep(2500);
      equal((await burst(A, 'low', 3)).length, 3, 'low ones when the room is quiet again');
    },
  },
];
