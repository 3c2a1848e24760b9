// Messages that are taken back: by who sent them, by those who may in a group, and by the app's back end.
import { equal, ok, refused, sleep, until } from '../expect.mjs';
import { away, back, found, heard, hears, kept, learns, past, say } from '../group.mjs';

const WINDOW_MS = 2000;

async function pair(t) {
  const [a, b] = await t.users('a', 'b');
  const [A, B] = await Promise.all([t.login(a), t.login(b)]);
  return { a, b, A, B };
}

const recall = (client, to, mid, more = {}) => client.invoke('recallMessage', { mid, to, chatType: 'singleChat', ...more });

const recallInGroup = (client, to, mid, more = {}) => recall(client, to, mid, { chatType: 'groupChat', ...more });

const restRecall = (t, body) => t.rest.call('POST', '/messages/msg_recall', { force: false, ...body });

// recalled gives the ids of the messages that a client was told are taken back.
const recalled = (client) => client.all('onRecallMessage').map((e) => e.mid);

// remains waits until history with a peer is what is expected.
async function remains(client, peer, expected, what) {
  let texts;
  await until(async () => {
    texts = (await client.history(peer, { searchDirection: 'down' })).messages.map((m) => m.msg);
    return JSON.stringify(texts) === JSON.stringify(expected);
  }, () => `${what}: got ${JSON.stringify(texts)}, expected ${JSON.stringify(expected)}`, 4000);
}

// company makes a group of an owner, an admin and two plain members, all online.
async function company(t) {
  const users = await t.users('owner', 'admin', 'one', 'two');
  const clients = await Promise.all(users.map((user) => t.login(user)));
  const [owner, admin, one, two] = clients;
  const id = await found(owner, users.slice(1));
  await Promise.all([admin, one, two].map((client) => learns(client, id, 'directJoined')));
  await owner.invoke('setGroupAdmin', { groupId: id, username: users[1].name });
  return { id, users, owner, admin, one, two };
}

export const steps = [
  {
    id: 'recall-direct',
    features: ['LIF-07', 'HIS-01', 'CNV-04'],
    run: async (t) => {
      const { a, b, A, B } = await pair(t);
      const second = await t.login(a);
      await A.text(b.name, 'first');
      const { serverMsgId } = await A.text(b.name, 'a slip');
      await B.wait('onTextMessage', (m) => m.msg === 'a slip');
      await remains(A, b.name, ['first', 'a slip'], 'history before');
      await recall(A, b.name, serverMsgId, { ext: '撤回 🙈' });
      for (const client of [B, second]) {
        const event = await client.wait('onRecallMessage');
        equal([event.mid, event.from, event.to, event.ext], [serverMsgId, a.name, b.name, '撤回 🙈'], "the recall's mid, from, to, ext");
      }
      await remains(A, b.name, ['first'], 'history of the sender');
      await remains(B, a.name, ['first'], 'history of the receiver');
      await sleep(300);
      equal([A, B, second].map((x) => x.count('onRecallMessage')), [0, 1, 1], 'recalls at the recalling device, the receiver, the other device');
      const { conversations } = (await B.invoke('getServerConversations', { pageSize: 10, cursor: '' })).data;
      ok(conversations[0].lastMessage.msg !== 'a slip', 'the recalled text not to be the last message of the conversation');
      await A.text(b.name, 'after');
      await remains(B, a.name, ['first', 'after'], 'history in the end');
    },
  },
  {
    id: 'recall-refused',
    features: ['LIF-07', 'SEC-04'],
    run: async (t) => {
      const { a, b, A, B } = await pair(t);
      const [c] = await t.users('c');
      const C = await t.login(c);
      const { serverMsgId } = await A.text(b.name, 'mine');
      await B.wait('onTextMessage');
      await remains(A, b.name, ['mine'], 'history');
      await refused(recall(B, a.name, serverMsgId), 603, "a recall of the other's message");
      await refused(recall(C, b.name, serverMsgId), 1302, 'a recall by a stranger');
      await refused(recall(A, c.name, serverMsgId), 1302, 'a recall from another conversation');
      await refused(recall(A, b.name, '1234567'), 1302, 'a recall of what does not exist');
      const cmd = await A.send({ type: 'cmd', chatType: 'singleChat', to: b.name, action: 'no way back' });
      await B.wait('onCmdMessage');
      const error = await refused(recall(A, b.name, cmd.serverMsgId), [502, 1302], 'a recall of a command');
      ok(error, 'a refusal');
      await recall(A, b.name, serverMsgId);
      await B.wait('onRecallMessage');
      await refused(recall(A, b.name, serverMsgId), 1302, 'a recall of what was recalled');
      await sleep(300);
      equal([recalled(B), recalled(C)], [[serverMsgId], []], 'recalls at the receiver and at the stranger');
      await remains(B, a.name, [], 'history');
    },
  },
  {
    id: 'recall-too-late',
    features: ['LIF-07', 'LIF-09', 'R080'],
    timeout: 45_000,
    run: async (t) => {
      await t.freshServer({ PARLEY_GATEWAY_RECALL_WINDOW: `${WINDOW_MS}ms` });
      const { a, b, A, B } = await pair(t);
      const id = await found(A, [b]);
      const direct = (await A.text(b.name, 'old')).serverMsgId;
      const inGroup = (await say(A, id, 'old')).serverMsgId;
      await sleep(WINDOW_MS + 300);
      const fresh = (await A.text(b.name, 'fresh')).serverMsgId;
      await recall(A, b.name, fresh);
      await refused(recall(A, b.name, direct), 504, 'a recall after the time for it');
      await refused(recallInGroup(A, id, inGroup), 504, 'a recall in a group after the time for it');
      const late = await t.rest.raw('POST', '/messages/msg_recall', {
        token: await t.rest.appToken(), body: { msg_id: direct, to: b.name, chat_type: 'chat', from: a.name, force: false },
      });
      equal([late.status, late.json?.error_description], [403, 'exceed recall time limit'], 'a recall over REST after the time for it');
      await remains(B, a.name, ['old'], 'history before the forced recall');
      await restRecall(t, { msg_id: direct, to: b.name, chat_type: 'chat', from: a.name, force: true });
      await restRecall(t, { msg_id: inGroup, to: id, chat_type: 'group_chat', from: a.name, force: true });
      await until(() => B.count('onRecallMessage') === 3, () => `3 recalls, got ${JSON.stringify(recalled(B))}`);
      equal(recalled(B), [fresh, direct, inGroup], 'messages that were taken back');
      await remains(B, a.name, [], 'history after the forced recall');
    },
  },
  {
    id: 'recall-offline',
    features: ['LIF-09', 'HIS-05'],
    run: async (t) => {
      const { a, b, A, B } = await pair(t);
      const id = await found(A, [b]);
      await learns(B, id, 'directJoined');
      const seen = (await A.text(b.name, 'seen before')).serverMsgId;
      await B.wait('onTextMessage', (m) => m.msg === 'seen before');
      await away(t, B);
      const ids = [];
      for (const msg of ['one', 'two', 'three']) ids.push((await A.text(b.name, msg)).serverMsgId, (await say(A, id, msg)).serverMsgId);
      await recall(A, b.name, ids[2]);
      await recallInGroup(A, id, ids[3]);
      await recall(A, b.name, seen);
      await back(t, B);
      await B.wait('onTextMessage', (m) => m.to === b.name && m.msg === 'three');
      await hears(B, id, 'three');
      await until(() => B.count('onRecallMessage') >= 3, () => `3 recalls at log-in, got ${JSON.stringify(recalled(B))}`);
      await sleep(500);
      equal(B.texts(a.name).filter((m) => m === 'two'), [], 'recalled texts that were shown');
      equal(B.all('onTextMessage').filter((m) => m.to === b.name).map((m) => m.msg), ['seen before', 'one', 'three'], 'direct texts');
      equal(heard(B, id), ['one', 'three'], 'texts of the group');
      equal([...recalled(B)].sort(), [ids[2], ids[3], seen].sort(), 'messages that were taken back');
      await remains(B, a.name, ['one', 'three'], 'history');
      const another = await t.login(b);
      await another.wait('onConnected');
      await A.text(b.name, 'fence');
      await another.wait('onTextMessage', (m) => m.msg === 'fence');
      ok(!another.texts().includes('two'), 'the recalled text not at a new device');
    },
  },
  {
    id: 'recall-unread',
    features: ['LIF-07', 'CNV-04'],
    run: async (t) => {
      const { b, A, B } = await pair(t);
      const ids = [];
      for (const msg of ['1', '2', '3']) ids.push((await A.text(b.name, msg)).serverMsgId);
      await B.wait('onTextMessage', (m) => m.msg === '3');
      await recall(A, b.name, ids[2]);
      await B.wait('onRecallMessage');
      const read = async () => (await B.invoke('getServerConversations', { pageSize: 10, cursor: '' })).data.conversations[0];
      await until(async () => (await read()).lastMessage.msg !== '3', 'the recalled text to leave the list of conversations', 4000);
      await B.send({ type: 'channel', chatType: 'singleChat', to: A.user });
      await until(async () => (await read()).unReadCount === 0, async () => 'unread of 0 after the receipt', 4000);
    },
  },
  {
    id: 'recall-last-in-list',
    features: ['LIF-07', 'CNV-01'],
    run: async (t) => {
      const { id, owner, one } = await company(t);
      const ids = [];
      for (const msg of ['first', 'second', 'third']) ids.push((await say(owner, id, msg)).serverMsgId);
      await hears(one, id, 'third');
      const last = async () => (await one.invoke('getServerConversations', { pageSize: 10, cursor: '' })).data.conversations.find((c) => c.conversationId === id)?.lastMessage;
      await until(async () => (await last())?.msg === 'third', 'the last text in the list of conversations', 4000);
      await recallInGroup(owner, id, ids[2]);
      await until(async () => (await last())?.msg !== 'third', 'the recalled text to leave the list of conversations', 4000);
      await say(owner, id, 'fourth');
      await until(async () => (await last())?.msg === 'fourth', 'the next text in the list of conversations', 4000);
      await recallInGroup(owner, id, ids[0]);
      await one.wait('onRecallMessage', (e) => e.mid === ids[0]);
      await sleep(300);
      equal((await last())?.msg, 'fourth', 'the last text after the recall of an older one');
      await until(async () => (await past(one, id)).all.length === 2, 'history of two');
    },
  },
  {
    id: 'recall-group',
    features: ['LIF-07', 'GRP-09', 'HIS-01'],
    run: async (t) => {
      const { id, users, owner, admin, one, two } = await company(t);
      const second = await t.login(users[2]);
      const texts = ['mine', 'for the admin', 'for the owner', 'stays'];
      const ids = [];
      for (const msg of texts) ids.push((await say(one, id, msg)).serverMsgId);
      const ofOwner = (await say(owner, id, 'by the owner')).serverMsgId;
      await Promise.all([owner, admin, two, second].map((x) => hears(x, id, 'stays')));
      await kept(two, id, 5);
      await recallInGroup(one, id, ids[0], { ext: 'oops' });
      await recallInGroup(admin, id, ids[1]);
      await recallInGroup(owner, id, ids[2]);
      await refused(recallInGroup(two, id, ids[3]), 603, "a plain member's recall of another's message");
      await refused(recallInGroup(two, id, ofOwner), 603, "a plain member's recall of the owner's message");
      await refused(recallInGroup(one, id, ids[0]), 1302, 'a recall of what was recalled');
      const [stranger] = await t.users('s');
      const S = await t.login(stranger);
      await refused(recallInGroup(S, id, ids[3]), 602, "a stranger's recall");
      await until(() => two.count('onRecallMessage') >= 3 && second.count('onRecallMessage') >= 3, 'three recalls at a member and at the second device');
      equal(two.all('onRecallMessage').map((e) => [e.mid, e.from, e.to, e.ext]), [
        [ids[0], users[2].name, id, 'oops'], [ids[1], users[1].name, id, ''], [ids[2], users[0].name, id, ''],
      ], 'mid, from, to and ext of the recalls');
      await sleep(300);
      equal([recalled(one), recalled(admin), recalled(owner)], [[ids[1], ids[2]], [ids[0], ids[2]], [ids[0], ids[1]]], 'recalls at those who took part: not their own');
      await until(async () => (await past(two, id)).all.length === 2, 'history without the recalled');
      equal((await past(two, id)).all.map((m) => m.msg), ['stays', 'by the owner'], 'history');
    },
  },
  {
    id: 'recall-group-offline',
    features: ['LIF-09', 'LIF-28', 'HIS-05'],
    run: async (t) => {
      const { id, users, owner, one, two } = await company(t);
      await away(t, two);
      await say(one, id, 'stays');
      const gone = (await say(one, id, 'gone')).serverMsgId;
      const directed = (await say(owner, id, 'for one alone', { receiverList: [users[2].name] })).serverMsgId;
      await hears(one, id, 'for one alone');
      await recallInGroup(owner, id, gone);
      await recallInGroup(owner, id, directed);
      await one.wait('onRecallMessage', (e) => e.mid === directed);
      await back(t, two);
      await two.wait('onRecallMessage', (e) => e.mid === gone);
      await hears(two, id, 'stays');
      await say(owner, id, 'fence');
      await hears(two, id, 'fence');
      await sleep(300);
      equal(heard(two, id), ['stays', 'fence'], 'texts at the member who was away');
      equal(recalled(two), [gone], 'recalls at the member who was away: not of what was never for them');
    },
  },
  {
    id: 'rest-recall',
    features: ['R080', 'LIF-07', 'LIF-09'],
    run: async (t) => {
      const { a, b, A, B } = await pair(t);
      const id = await found(A, [b]);
      await learns(B, id, 'directJoined');
      const direct = (await A.text(b.name, 'direct')).serverMsgId;
      const inGroup = (await say(A, id, 'in the group')).serverMsgId;
      const offered = (await t.rest.sendText(a.name, [b.name], 'over REST')).data[b.name];
      await B.wait('onTextMessage', (m) => m.msg === 'over REST');
      const { data } = await restRecall(t, { msg_id: direct, to: b.name, chat_type: 'chat', from: a.name, recallMessageExtensionInfo: '附言' });
      equal([data.recalled, data.from, data.to, data.msg_id], ['yes', a.name, b.name, direct], "the answer's recalled, from, to, msg_id");
      const event = await B.wait('onRecallMessage');
      equal([event.mid, event.from, event.to, event.ext], [direct, a.name, b.name, '附言'], "the recall's mid, from, to, ext");
      await restRecall(t, { msg_id: inGroup, to: id, chat_type: 'group_chat', from: a.name });
      equal((await B.wait('onRecallMessage', (e) => e.mid === inGroup)).to, id, 'the group in the recall');
      await restRecall(t, { msg_id: offered, to: b.name, chat_type: 'chat', from: a.name });
      await B.wait('onRecallMessage', (e) => e.mid === offered);
      await remains(B, a.name, [], 'history');
      const token = await t.rest.appToken();
      const bad = {
        'what was recalled': [403, { msg_id: direct, to: b.name, chat_type: 'chat', from: a.name }],
        'what does not exist': [403, { msg_id: '42', to: b.name, chat_type: 'chat', from: a.name }],
        'no chat type': [400, { msg_id: inGroup, to: id, from: a.name }],
        'no id': [400, { to: b.name, chat_type: 'chat', from: a.name }],
      };
      for (const [what, [status, body]] of Object.entries(bad)) {
        const answer = await t.rest.raw('POST', '/messages/msg_recall', { token, body: { force: true, ...body } });
        equal([answer.status, typeof answer.json?.error], [status, 'string'], `status and error for ${what} (${answer.text.slice(0, 120)})`);
      }
      const userToken = await t.rest.userToken(a.name);
      const byUser = await t.rest.raw('POST', '/messages/msg_recall', { token: userToken, body: { msg_id: direct, to: b.name, chat_type: 'chat' } });
      equal([401, 403].includes(byUser.status), true, `401 or 403 for a user's token, not ${byUser.status}`);
      await sleep(300);
      equal(recalled(B), [direct, inGroup, offered], 'all that B was told');
    },
  },
  {
    id: 'rest-recall-batch',
    features: ['R081', 'LIF-08'],
    run: async (t) => {
      const { a, b, A, B } = await pair(t);
      const id = await found(A, [b]);
      const direct = [];
      for (const msg of ['1', '2', '3']) direct.push((await A.text(b.name, msg)).serverMsgId);
      const inGroup = (await say(A, id, 'g')).serverMsgId;
      await B.wait('onTextMessage', (m) => m.msg === 'g');
      const one = (msg_id, to, chat_type) => ({ msg_id, to, chat_type, from: a.name, force: true });
      const { data } = await t.rest.call('POST', '/messages/batch_recall', {
        msgs: [one(direct[0], b.name, 'chat'), one(inGroup, id, 'group_chat'), one('42', b.name, 'chat'), one(direct[2], b.name, 'chat'), one(direct[0], b.name, 'chat')],
      });
      equal(data.map((x) => x.recalled), ['yes', 'yes', 'not_found msg', 'yes', 'not_found msg'], 'what became of each');
      await until(() => B.count('onRecallMessage') >= 3, () => `3 recalls, got ${JSON.stringify(recalled(B))}`);
      await sleep(300);
      equal([...recalled(B)].sort(), [direct[0], direct[2], inGroup].sort(), 'messages that were taken back');
      await remains(B, a.name, ['2'], 'history');
      const token = await t.rest.appToken();
      for (const msgs of [[], Array.from({ length: 31 }, () => one(direct[1], b.name, 'chat'))]) {
        const answer = await t.rest.raw('POST', '/messages/batch_recall', { token, body: { msgs } });
        equal(answer.status, 400, `the status of a batch of ${msgs.length}`);
      }
      await remains(B, a.name, ['2'], 'history after the refused batches');
    },
  },
];
