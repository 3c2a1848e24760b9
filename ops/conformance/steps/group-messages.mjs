// Messages in groups: to members who are there, away, on two devices, gone, or not there yet.
import { delivered, equal, ok, refused, sequence, settled, sleep, until } from '../expect.mjs';
import { away, back, found, foundRest, heard, hears, info, kept, learns, lines, past, say, told } from '../group.mjs';

// circle makes a group of fresh users who are all logged in, the first its owner: {id, names, clients}.
async function circle(t, count, more) {
  const users = await t.users(...Array.from({ length: count }, (_, i) => `m${i}`));
  const clients = await Promise.all(users.map((user) => t.login(user)));
  const id = await found(clients[0], users.slice(1), more);
  await Promise.all(clients.slice(1).map((client) => learns(client, id, 'directJoined')));
  return { id, users, clients };
}

// conversation gives what the SDK shows of a group in the list of conversations, undefined if it is not in it.
async function conversation(client, id) {
  const { conversations } = (await client.invoke('getServerConversations', { pageSize: 50, cursor: '' })).data;
  return conversations.find((c) => c.conversationId === id);
}

async function unreadBecomes(client, id, count, what) {
  let seen;
  await until(async () => (seen = (await conversation(client, id))?.unReadCount) === count, () => `unread ${what}: got ${seen}, expected ${count}`, 4000);
}

// allSend makes each client send its share, some at once, and waits for the answers.
async function allSend(clients, id, rounds, size) {
  for (let round = 0; round < rounds; round++) {
    const outcomes = await Promise.all(clients.map((client, i) => client.sendAll(lines(id, size, `from ${i}, round ${round},`))));
    outcomes.forEach(delivered);
  }
}

export const steps = [
  {
    id: 'group-message',
    features: ['MSG-01', 'MSG-02', 'MSG-10', 'MSG-11', 'MSG-12', 'MSG-16', 'LIF-01', 'LIF-31', 'CON-05'],
    run: async (t) => {
      const { id, users: [a], clients: [A, B, C] } = await circle(t, 3);
      const second = await t.login(a);
      const ext = { 备注: '扩展 🧩', n: 7, deep: { list: [1, 'zwei'] } };
      const { serverMsgId } = await say(A, id, '大家好 👋', { ext });
      for (const client of [B, C, second]) {
        const seen = await hears(client, id, '大家好 👋');
        equal([seen.id, seen.from, seen.to, seen.chatType, seen.type, seen.ext], [serverMsgId, a.name, id, 'groupChat', 'txt', ext], `the text at ${client.user}`);
      }
      const group = { chatType: 'groupChat', to: id };
      await A.send({ ...group, type: 'cmd', action: 'typing' });
      await A.send({ ...group, type: 'loc', addr: '这里', buildingName: 'b', lat: 1.5, lng: -2.5 });
      await A.send({ ...group, type: 'custom', customEvent: 'gift', customExts: { k: 'v' } });
      for (const client of [B, C, second]) {
        equal((await client.wait('onCmdMessage')).action, 'typing', 'the command');
        const place = await client.wait('onLocationMessage');
        equal([place.addr, place.lat, place.lng, place.to], ['这里', 1.5, -2.5, id], 'the place');
        const custom = await client.wait('onCustomMessage');
        equal([custom.customEvent, custom.customExts, custom.to], ['gift', { k: 'v' }, id], 'the custom message');
      }
      await sleep(300);
      for (const client of [B, C, second]) {
        equal(['onTextMessage', 'onCmdMessage', 'onLocationMessage', 'onCustomMessage'].map((name) => client.count(name)), [1, 1, 1, 1], `messages of each kind at ${client.user}`);
      }
      equal(['onTextMessage', 'onCmdMessage', 'onLocationMessage', 'onCustomMessage'].map((name) => A.count(name)), [0, 0, 0, 0], 'messages at the sending device');
      equal(A.all('onReceivedMessage').map((r) => r.to), [id, id, id, id], 'confirmations of the server');
      await refused(say(A, id, 'x'.repeat(20_000)), 511, 'a text of 20,000 bytes');
    },
  },
  {
    id: 'group-offline',
    features: ['HIS-05', 'LIF-41', 'CON-14'],
    timeout: 45_000,
    run: async (t) => {
      const { id, clients: [A, B, C] } = await circle(t, 3);
      await say(A, id, 'before');
      await hears(C, id, 'before');
      await away(t, C);
      const expected = [];
      for (let i = 0; i < 3; i++) {
        for (const [client, mark] of [[A, `a${i}`], [B, `b${i}`]]) {
          delivered(await client.sendAll(lines(id, 25, mark)));
          expected.push(...lines(id, 25, mark).map((m) => m.msg));
        }
      }
      await back(t, C);
      await until(() => heard(C, id).length >= 151, () => `151 messages, got ${heard(C, id).length}`, 15_000);
      await C.wait('onOfflineMessageSyncFinish');
      await sleep(500);
      sequence(heard(C, id), ['before', ...expected], 'what C saw');
      await away(t, C);
      await back(t, C);
      await say(A, id, 'fence');
      await hears(C, id, 'fence');
      sequence(heard(C, id), ['before', ...expected, 'fence'], 'what C saw with a third session');
    },
  },
  {
    id: 'group-two-devices',
    features: ['CON-05', 'LIF-31', 'HIS-05'],
    run: async (t) => {
      const { id, users: [, b], clients: [A, B] } = await circle(t, 2);
      const second = await t.login(b);
      await say(A, id, '1');
      await Promise.all([hears(B, id, '1'), hears(second, id, '1')]);
      await away(t, A);
      await sleep(500); // the SDK shows an entry before it acknowledges it
      await second.logout();
      await say(B, id, '2, by B');
      await back(t, A);
      await hears(A, id, '2, by B');
      await say(A, id, '3');
      await second.open({ user: b.name, accessToken: await t.rest.userToken(b.name) });
      await hears(second, id, '3');
      const third = await t.login(b);
      await say(A, id, '4');
      await Promise.all([B, second, third].map((x) => hears(x, id, '4')));
      await sleep(300);
      equal(heard(B, id), ['1', '3', '4'], 'what the first device saw');
      equal(heard(second, id), ['1', '2, by B', '3', '4'], 'what the second device saw');
      equal(heard(third, id).at(-1), '4', 'what the third device saw last');
    },
  },
  {
    id: 'group-removed-syncs-to-removal',
    features: ['GRP-07', 'HIS-05', 'SEC-04'],
    timeout: 45_000,
    run: async (t) => {
      const { id, users: [, b, c], clients: [A, B, C] } = await circle(t, 4);
      const second = await t.login(c);
      await say(A, id, 'all together');
      await Promise.all([B, C, second].map((x) => hears(x, id, 'all together')));
      await sleep(500); // the SDK shows an entry before it acknowledges it
      await second.logout();
      await away(t, C);
      delivered(await A.sendAll(lines(id, 70, 'still a member')));
      await A.invoke('removeGroupMember', { groupId: id, username: c.name });
      delivered(await A.sendAll(lines(id, 70, 'after the removal')));
      await back(t, C);
      await learns(C, id, 'removeMember');
      await C.wait('onOfflineMessageSyncFinish');
      await say(B, id, 'and more');
      await hears(A, id, 'and more');
      await sleep(500);
      const expected = ['all together', ...lines(id, 70, 'still a member').map((m) => m.msg)];
      sequence(heard(C, id), expected, 'what the removed saw');
      await second.open({ user: c.name, accessToken: await t.rest.userToken(c.name) });
      await learns(second, id, 'removeMember');
      await sleep(500);
      sequence(heard(second, id), expected, "what the removed's second device saw");
      const history = await settled(past(C, id), 'history for the removed');
      ok(!history.value?.all.some((m) => /after the removal|and more/.test(m.msg)), 'no message after the removal in history of the removed');
      await second.logout();
      await away(t, C);
      await back(t, C);
      await t.rest.sendText(b.name, [c.name], 'fence');
      await C.wait('onTextMessage', (m) => m.msg === 'fence');
      sequence(heard(C, id), expected, 'what the removed saw with another session');
      equal(told(C, id, 'removeMember').length, 1, 'removeMember at the removed');
    },
  },
  {
    id: 'group-joined-later',
    features: ['GRP-27', 'GRP-05', 'CNV-04', 'HIS-01'],
    run: async (t) => {
      const [late] = await t.users('late');
      const { id, clients: [A, B] } = await circle(t, 2);
      delivered(await A.sendAll(lines(id, 30, 'before')));
      const L = await t.login(late);
      await refused(past(L, id), [602, 603], 'history for a stranger');
      await L.invoke('joinGroup', { groupId: id, message: '' });
      delivered(await B.sendAll(lines(id, 5, 'after')));
      await hears(L, id, 'after 4');
      await sleep(300);
      const [earlier, later] = [lines(id, 30, 'before'), lines(id, 5, 'after')].map((list) => list.map((m) => m.msg));
      sequence(heard(L, id), later, 'what the new member was sent');
      sequence(await kept(L, id, 35), [...earlier, ...later], 'history of the new member');
      await unreadBecomes(L, id, 5, 'of the new member: only what came after joining');
      await away(t, L);
      await back(t, L);
      await say(A, id, 'fence');
      await hears(L, id, 'fence');
      sequence(heard(L, id), [...later, 'fence'], 'what the new member was sent with a second session');
    },
  },
  {
    id: 'group-200-one-order',
    features: ['LIF-41', 'HIS-01', 'HIS-05', 'CON-05'],
    timeout: 75_000,
    run: async (t) => {
      const { id, users, clients } = await circle(t, 5);
      const senders = clients.slice(0, 4);
      const absent = clients[4];
      const second = await t.login(users[1]);
      await away(t, absent);
      await allSend(senders, id, 2, 25);
      await back(t, absent);
      const done = (client, count) => until(() => heard(client, id).length >= count, () => `${count} messages at ${client.user}, got ${heard(client, id).length}`, 20_000);
      await Promise.all([...senders.map((x) => done(x, 150)), done(second, 200), done(absent, 200)]);
      const history = await kept(absent, id, 200);
      sequence(heard(absent, id), history, 'what the absent member saw, against history');
      const without = (i) => history.filter((msg) => !msg.startsWith(`from ${i},`));
      senders.forEach((client, i) => sequence(heard(client, id), without(i), `what sender ${i} saw, against history`));
      sequence(heard(second, id), history, "what a sender's second device saw, against history");
      for (let i = 0; i < 4; i++) {
        const own = history.filter((msg) => msg.startsWith(`from ${i},`));
        const sent = [0, 1].flatMap((round) => lines(id, 25, `from ${i}, round ${round},`).map((m) => m.msg));
        sequence(own, sent, `messages of sender ${i} in history`);
      }
      sequence(await kept(senders[0], id, 200), history, "another member's history");
    },
  },
  {
    id: 'group-many-offline',
    features: ['HIS-05', 'CON-14'],
    timeout: 60_000,
    run: async (t) => {
      const [a, b, away1] = await t.users('a', 'b', 'w');
      const [A, B] = await Promise.all([t.login(a), t.login(b)]);
      const ids = [];
      for (let i = 0; i < 12; i++) ids.push(await foundRest(t, a, [b, away1], { groupname: `group ${i}` }));
      for (const id of ids) {
        delivered(await A.sendAll(lines(id, 10, `in ${id} by A`)));
        delivered(await B.sendAll(lines(id, 10, `in ${id} by B`)));
      }
      await A.text(away1.name, 'and directly');
      const W = await t.login(away1);
      await until(() => W.count('onTextMessage') >= 241, () => `241 messages at the first log-in, got ${W.count('onTextMessage')}`, 20_000);
      await W.wait('onOfflineMessageSyncFinish');
      await sleep(500);
      for (const id of ids) {
        const expected = [...lines(id, 10, `in ${id} by A`), ...lines(id, 10, `in ${id} by B`)].map((m) => m.msg);
        sequence(heard(W, id), expected, 'messages of one group');
        equal(told(W, id).map((e) => e.operation), ['directJoined'], 'events of one group');
      }
      equal([W.count('onOfflineMessageSyncStart'), W.count('onOfflineMessageSyncFinish')], [1, 1], 'start and finish of the sync');
      equal(W.texts(a.name).filter((m) => m === 'and directly').length, 1, 'the direct message');
    },
  },
  {
    id: 'group-history',
    features: ['HIS-01', 'HIS-02', 'R256'],
    timeout: 45_000,
    run: async (t) => {
      const { id, users: [a, b], clients: [A, B, C] } = await circle(t, 3);
      const sent = [];
      for (let i = 0; i < 45; i++) sent.push((await say(i % 3 ? A : B, id, `历史 ${i}`, { ext: { i } })).serverMsgId);
      await A.send({ type: 'cmd', chatType: 'groupChat', to: id, action: 'not in history' });
      await kept(C, id, 45);
      const down = await past(C, id, { pageSize: 20 });
      sequence(down.all.map((m) => m.id), sent, 'ids, oldest first');
      equal(down.pages, 3, 'pages of 20, oldest first');
      const up = await past(C, id, { pageSize: 15, searchDirection: 'up' });
      sequence(up.all.map((m) => m.id), [...sent].reverse(), 'ids, newest first');
      const [first] = down.all;
      equal([first.msg, first.from, first.to, first.ext, first.chatType], ['历史 0', b.name, id, { i: 0 }, 'groupChat'], 'the oldest message');
      const byA = await past(C, id, { searchOptions: { from: a.name } });
      sequence(byA.all.map((m) => m.id), sent.filter((_, i) => i % 3), 'messages of one sender');
      equal(await past(C, id, { searchOptions: { msgTypes: ['loc'] } }), { all: [], pages: 1 }, 'places, of which there are none');
      const middle = await C.history(id, { chatType: 'groupChat', pageSize: 5, searchDirection: 'down', cursor: sent[9] });
      equal(middle.messages.map((m) => m.id), sent.slice(10, 15), 'five after the tenth');
      const [stranger] = await t.users('s');
      const S = await t.login(stranger);
      const seen = await settled(past(S, id), 'history for a stranger');
      equal(seen.value?.all ?? [], [], 'history for a stranger');
    },
  },
  {
    id: 'group-directed',
    features: ['LIF-28', 'HIS-01', 'CNV-04', 'HIS-05'],
    run: async (t) => {
      const { id, users: [a, b, c, d], clients: [A, B, C, D] } = await circle(t, 4);
      const second = await t.login(a);
      await learns(D, id, 'directJoined');
      await Promise.all([away(t, C), away(t, D)]);
      await say(A, id, 'for all');
      const { serverMsgId } = await say(A, id, 'for B and C', { receiverList: [b.name, c.name] });
      const seen = await hears(B, id, 'for B and C');
      equal([seen.id, seen.from, seen.to, seen.chatType], [serverMsgId, a.name, id, 'groupChat'], 'the directed message');
      await hears(second, id, 'for B and C');
      await say(A, id, 'for all again');
      await Promise.all([back(t, C), back(t, D)]);
      await Promise.all([B, C, D].map((x) => hears(x, id, 'for all again')));
      await sleep(300);
      equal([heard(B, id), heard(C, id)], [['for all', 'for B and C', 'for all again'], ['for all', 'for B and C', 'for all again']], 'what the receivers saw');
      equal(heard(D, id), ['for all', 'for all again'], 'what the others saw');
      equal(await kept(B, id, 2), ['for all', 'for all again'], 'history of a receiver');
      await unreadBecomes(D, id, 2, 'of a member whom it was not for');
      await say(A, id, 'for B last', { receiverList: [b.name] });
      await hears(B, id, 'for B last');
      equal((await conversation(D, id)).lastMessage.msg, 'for all again', 'the last message for a member whom it was not for');
      const many = Array.from({ length: 21 }, (_, i) => `somebody-${i}`);
      await refused(say(A, id, 'too many', { receiverList: many }), 50, 'a message to 21 receivers');
      equal((await info(A, id)).affiliations_count, 4, 'members');
      ok(d.name && !heard(D, id).includes('for B last'), 'the last one not at D');
    },
  },
  {
    id: 'group-online-only',
    features: ['LIF-27'],
    run: async (t) => {
      const { id, clients: [A, B, C] } = await circle(t, 3);
      await away(t, C);
      await say(A, id, 'now or never', { deliverOnlineOnly: true });
      await hears(B, id, 'now or never');
      await say(A, id, 'kept');
      await back(t, C);
      await hears(C, id, 'kept');
      await sleep(300);
      equal([heard(B, id), heard(C, id)], [['now or never', 'kept'], ['kept']], 'what the members saw');
      equal(await kept(B, id, 1), ['kept'], 'history');
      const [stranger] = await t.users('s');
      const S = await t.login(stranger);
      await refused(say(S, id, 'from outside', { deliverOnlineOnly: true }), 602, 'an online-only message of a stranger');
    },
  },
  {
    id: 'group-conversations',
    features: ['CNV-01', 'CNV-03', 'CNV-04', 'R248', 'R249'],
    run: async (t) => {
      const { id, users: [a, b], clients: [A, B, C] } = await circle(t, 3, { groupname: 'listed' });
      for (const msg of ['1', '2', '3']) await say(A, id, msg);
      await A.send({ type: 'cmd', chatType: 'groupChat', to: id, action: 'not counted' });
      await A.text(b.name, 'directly');
      const { serverMsgId } = await say(C, id, '最后 👋', { ext: { k: 'v' } });
      await unreadBecomes(B, id, 4, 'of B');
      await unreadBecomes(A, id, 1, 'of A, who sent three of four');
      await unreadBecomes(C, id, 3, 'of C');
      const mine = await conversation(B, id);
      equal([mine.conversationType, mine.lastMessage.id, mine.lastMessage.msg, mine.lastMessage.from, mine.lastMessage.to, mine.lastMessage.chatType, mine.lastMessage.ext],
        ['groupChat', serverMsgId, '最后 👋', C.user, id, 'groupChat', { k: 'v' }], 'the group in the list');
      const { conversations } = (await B.invoke('getServerConversations', { pageSize: 50, cursor: '' })).data;
      equal(conversations.map((x) => x.conversationId), [id, a.name], 'conversations, newest message first');
      for (const args of [[], [{ pageNum: 1, pageSize: 20 }]]) {
        const old = (await B.invoke('getConversationlist', ...args)).data.channel_infos;
        const channel = old.find((x) => String(x.channel_id).includes(id));
        equal([channel?.unread_num, channel?.lastMessage.id], [4, serverMsgId], `the group in the old list${args.length ? ' by page' : ''}: ${JSON.stringify(old.map((x) => x.channel_id))}`);
      }
      const again = await t.login(b);
      await unreadBecomes(again, id, 4, "of B's other device");
    },
  },
  {
    id: 'group-receipt-conversation',
    features: ['LIF-04', 'CNV-04', 'CON-05'],
    run: async (t) => {
      const { id, users: [, b], clients: [A, B, C] } = await circle(t, 3);
      const second = await t.login(b);
      for (const msg of ['1', '2', '3']) await say(A, id, msg);
      await hears(B, id, '3');
      await unreadBecomes(B, id, 3, 'before the receipt');
      await B.send({ type: 'channel', chatType: 'groupChat', to: id });
      await unreadBecomes(B, id, 0, 'after the receipt');
      await unreadBecomes(second, id, 0, "after the receipt, at the reader's other device");
      await unreadBecomes(C, id, 3, 'of another member after the receipt');
      const copy = await second.wait('onChannelMessage', (m) => m.to === id);
      equal(copy.from, b.name, "from of the receipt at the reader's other device");
      await say(A, id, '4');
      await unreadBecomes(B, id, 1, 'after one more');
      await sleep(300);
      equal([A, B, C].map((x) => x.count('onChannelMessage', (m) => m.to === id)), [0, 0, 0], 'receipts at the others and at the device that sent it');
    },
  },
  {
    id: 'group-rest-send',
    features: ['R060', 'R061', 'LIF-28', 'LIF-31', 'MSG-17'],
    run: async (t) => {
      const [a, b, c, d] = await t.users('a', 'b', 'c', 'd');
      const [A, B, C] = await Promise.all([t.login(a), t.login(b), t.login(c)]);
      const [one, two] = [await foundRest(t, a, [b, c]), await foundRest(t, a, [b, c])];
      const send = (path, more) => t.rest.call('POST', path, { from: a.name, type: 'txt', ...more });
      const { data } = await send('/messages/chatgroups', { to: [one, two], body: { msg: '公告 📣' }, ext: { k: 1 } });
      equal(Object.keys(data).sort(), [one, two].sort(), 'groups in the answer');
      for (const client of [B, C]) {
        for (const id of [one, two]) {
          const seen = await hears(client, id, '公告 📣');
          equal([seen.id, seen.from, seen.chatType, seen.ext], [data[id], a.name, 'groupChat', { k: 1 }], 'the text as the SDK shows it');
        }
      }
      const directed = (await send('/messages/chatgroups/users', { to: [one], users: [b.name], body: { msg: 'for B alone' } })).data;
      equal((await hears(B, one, 'for B alone')).id, directed[one], 'id of the directed text');
      await send('/messages/chatgroups', { to: [one], from: d.name, body: { msg: 'by no member' } });
      await Promise.all([A, B, C].map((x) => hears(x, one, 'by no member')));
      await sleep(300);
      equal(heard(C, one), ['公告 📣', 'by no member'], 'what C saw');
      equal(await kept(C, one, 2), ['公告 📣', 'by no member'], 'history');
      const token = await t.rest.appToken();
      const bad = {
        'a group that does not exist': [404, '/messages/chatgroups', { to: ['999999999999'], body: { msg: 'x' } }],
        'four groups': [400, '/messages/chatgroups', { to: ['1', '2', '3', '4'], body: { msg: 'x' } }],
        'no groups': [400, '/messages/chatgroups', { to: [], body: { msg: 'x' } }],
        '21 receivers': [400, '/messages/chatgroups/users', { to: [one], users: Array.from({ length: 21 }, (_, i) => `u${i}`), body: { msg: 'x' } }],
        'no receivers': [400, '/messages/chatgroups/users', { to: [one], users: [], body: { msg: 'x' } }],
      };
      for (const [what, [status, path, body]] of Object.entries(bad)) {
        const answer = await t.rest.raw('POST', path, { token, body: { from: a.name, type: 'txt', ...body } });
        equal([answer.status, typeof answer.json?.error], [status, 'string'], `status and error for ${what} (${answer.text.slice(0, 100)})`);
      }
    },
  },
  {
    id: 'group-socket-cut',
    features: ['CON-02', 'HIS-05', 'GRP-07'],
    timeout: 60_000,
    run: async (t) => {
      const [a, b] = await t.users('a', 'b');
      const proxy = await t.proxy();
      const A = await t.login(a);
      const B = await t.login(b, { proxy, autoReconnectNumMax: 100 });
      const id = await found(A, [b]);
      await learns(B, id, 'directJoined');
      const expected = [];
      for (let round = 0; round < 3; round++) {
        delivered(await A.sendAll(lines(id, 40, `before cut ${round}`)));
        proxy.cut();
        delivered(await A.sendAll(lines(id, 40, `during cut ${round}`)));
        expected.push(...[...lines(id, 40, `before cut ${round}`), ...lines(id, 40, `during cut ${round}`)].map((m) => m.msg));
        await until(() => B.count('onConnected') >= round + 2, 'the client to be back', 20_000);
        await until(() => heard(B, id).length >= expected.length, () => `${expected.length} messages, got ${heard(B, id).length}`, 15_000);
      }
      proxy.cut();
      await A.invoke('removeGroupMember', { groupId: id, username: b.name });
      await say(A, id, 'not for B');
      await learns(B, id, 'removeMember');
      await sleep(300);
      sequence(heard(B, id), expected, 'what the cut client saw');
    },
  },
  {
    id: 'group-server-killed',
    features: ['CON-02', 'HIS-05', 'GRP-05'],
    timeout: 75_000,
    run: async (t) => {
      const server = await t.freshServer();
      const [a, b, c] = await t.users('a', 'b', 'c');
      const [A, B] = await Promise.all([a, b].map((user) => t.login(user, { autoReconnectNumMax: 100 })));
      const id = await found(A, [b], { approval: true });
      await learns(B, id, 'directJoined');
      const C = await t.login(c, { autoReconnectNumMax: 100 });
      await C.invoke('joinGroup', { groupId: id, message: 'before the crash' });
      delivered(await A.sendAll(lines(id, 50, 'before')));
      await server.kill();
      await server.restart();
      await until(() => [A, B, C].every((x) => x.count('onConnected') >= 2), 'all clients to be back', 30_000);
      await B.wait('onTextMessage', (m) => m.msg === 'before 49', 15_000);
      await A.invoke('acceptGroupJoinRequest', { groupId: id, applicant: c.name });
      await learns(C, id, 'acceptRequest');
      await say(C, id, 'in');
      await Promise.all([A, B].map((x) => hears(x, id, 'in')));
      sequence(heard(B, id), [...lines(id, 50, 'before').map((m) => m.msg), 'in'], 'what B saw over the crash');
      sequence(await kept(C, id, 51), [...lines(id, 50, 'before').map((m) => m.msg), 'in'], 'history after the crash');
    },
  },
];
