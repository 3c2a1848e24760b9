// The conversation list that the server keeps, with unread counts.
import { equal, ok, until } from '../expect.mjs';

async function list(client, pageSize = 20, cursor = '') {
  return (await client.invoke('getServerConversations', { pageSize, cursor })).data;
}

async function unread(client) {
  const { conversations } = await list(client, 50);
  return Object.fromEntries(conversations.map((c) => [c.conversationId, c.unReadCount]));
}

// becomes waits until the unread counts are as expected and shows them when they are not.
async function becomes(client, expected, what) {
  let seen;
  try {
    await until(async () => {
      seen = await unread(client);
      return JSON.stringify(Object.entries(seen).sort()) === JSON.stringify(Object.entries(expected).sort());
    }, '', 4000);
  } catch {
    equal(seen, expected, what);
  }
}

export const steps = [
  {
    id: 'conversation-list',
    features: ['CNV-01', 'CNV-04', 'R248'],
    run: async (t) => {
      const [a, b, c] = await t.users('a', 'b', 'c');
      const [A, B, C] = await Promise.all([t.login(a), t.login(b), t.login(c)]);
      equal(await list(A), { conversations: [], cursor: '' }, 'the list of a user without conversations');
      await B.text(a.name, 'b1');
      await C.text(a.name, 'c1');
      const { serverMsgId } = await B.text(a.name, '最后 👋', { ext: { k: 'v' } });
      await becomes(A, { [b.name]: 2, [c.name]: 1 }, 'unread of A');
      const { conversations } = await list(A);
      equal(conversations.map((x) => x.conversationId), [b.name, c.name], 'conversations, newest message first');
      const { lastMessage, conversationType, isPinned } = conversations[0];
      equal([lastMessage.id, lastMessage.msg, lastMessage.from, lastMessage.type], [serverMsgId, '最后 👋', b.name, 'txt'], 'the last message');
      equal([conversationType, isPinned], ['singleChat', false], 'type and pin');
      equal(lastMessage.ext, { k: 'v' }, "the last message's ext");
      await becomes(B, { [a.name]: 0 }, 'unread of B, who only sent');
    },
  },
  {
    id: 'conversation-unread',
    features: ['CNV-04', 'LIF-04', 'MSG-11', 'R248'],
    run: async (t) => {
      const [a, b] = await t.users('a', 'b');
      const [A, B] = await Promise.all([t.login(a), t.login(b)]);
      for (const msg of ['1', '2', '3']) await B.text(a.name, msg);
      await B.send({ type: 'cmd', chatType: 'singleChat', to: a.name, action: 'not counted' });
      await becomes(A, { [b.name]: 3 }, 'unread after three texts and a command');
      await A.text(b.name, 'my own is not unread');
      await becomes(B, { [a.name]: 1 }, 'unread of B');
      await becomes(A, { [b.name]: 3 }, 'unread after a message of my own');
      await A.send({ type: 'channel', chatType: 'singleChat', to: b.name });
      await becomes(A, { [b.name]: 0 }, 'unread after the conversation receipt');
      await B.text(a.name, '4');
      await becomes(A, { [b.name]: 1 }, 'unread after one more');
      const again = await t.login(a);
      await becomes(again, { [b.name]: 1 }, 'unread seen by another device');
    },
  },
  {
    id: 'conversation-paging',
    features: ['CNV-02', 'R248'],
    run: async (t) => {
      const [a, ...peers] = await t.users('a', 'p1', 'p2', 'p3', 'p4', 'p5', 'p6', 'p7');
      const A = await t.login(a);
      for (const peer of peers) await A.text(peer.name, 'hello');
      await until(async () => (await list(A)).conversations.length === 7, 'seven conversations');
      const seen = [];
      let cursor = '';
      for (let n = 0; n < 5; n++) {
        const page = await list(A, 3, cursor);
        seen.push(page.conversations.map((c) => c.conversationId));
        ({ cursor } = page);
        if (!cursor) break;
      }
      equal(cursor, '', 'the cursor of the last page');
      equal(seen.flat(), peers.map((p) => p.name).reverse(), 'all conversations, newest first');
      ok(seen[0].length === 3 && seen[1].length === 3, `pages of three, not ${JSON.stringify(seen.map((p) => p.length))}`);
    },
  },
];
