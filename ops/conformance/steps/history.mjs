// History as getHistoryMessages gives it: both directions, pages, the end, filters.
import { equal, ok, sequence, sleep, until } from '../expect.mjs';

const COUNT = 45;

// talk makes a conversation of COUNT texts with one location, command and custom message after the tenth.
async function talk(t) {
  const [a, b] = await t.users('a', 'b');
  const [A, B] = await Promise.all([t.login(a), t.login(b)]);
  const sent = [];
  for (let i = 0; i < COUNT; i++) {
    const [from, to] = i % 3 ? [A, b] : [B, a];
    sent.push((await from.text(to.name, `历史 ${i}`, { ext: { i } })).serverMsgId);
  }
  return { a, b, A, B, sent };
}

// pages reads all history in one direction and checks the shape of each page.
async function pages(client, peer, pageSize, searchDirection, more = {}) {
  const all = [];
  for (let cursor = -1, n = 0; ; n++) {
    const page = await client.history(peer, { pageSize, searchDirection, cursor, ...more });
    all.push(...page.messages);
    ok(page.messages.length <= pageSize, `at most ${pageSize} messages a page, not ${page.messages.length}`);
    if (page.isLast) return { all, count: n + 1 };
    equal(page.messages.length, pageSize, 'messages on a page that is not the last');
    ok(n < 20, 'an end after 20 pages');
    ({ cursor } = page);
  }
}

async function stored(client, peer, count) {
  await until(async () => (await pages(client, peer, 50, 'down')).all.length >= count, `${count} messages in history`);
}

export const steps = [
  {
    id: 'history-up',
    features: ['HIS-01', 'HIS-02', 'R256'],
    run: async (t) => {
      const { a, b, A, B, sent } = await talk(t);
      await stored(A, b.name, COUNT);
      const { all, count } = await pages(A, b.name, 20, 'up');
      sequence(all.map((m) => m.id), [...sent].reverse(), 'ids, newest first');
      equal(count, 3, 'pages of 20');
      const first = all[all.length - 1];
      equal([first.msg, first.from, first.to, first.ext, first.chatType], ['历史 0', b.name, a.name, { i: 0 }, 'singleChat'], 'the oldest message');
      sequence((await pages(B, a.name, 20, 'up')).all.map((m) => m.id), [...sent].reverse(), "ids at the other side");
    },
  },
  {
    id: 'history-down',
    features: ['HIS-01', 'HIS-02', 'R256'],
    run: async (t) => {
      const { b, A, sent } = await talk(t);
      await stored(A, b.name, COUNT);
      const { all, count } = await pages(A, b.name, 20, 'down');
      sequence(all.map((m) => m.id), sent, 'ids, oldest first');
      equal(count, 3, 'pages of 20');
      const exact = await pages(A, b.name, 15, 'down');
      sequence(exact.all.map((m) => m.id), sent, 'ids when the last page is full');
      const middle = await A.history(b.name, { pageSize: 5, searchDirection: 'down', cursor: sent[9] });
      equal(middle.messages.map((m) => m.id), sent.slice(10, 15), 'five after the tenth, cursor excluded');
      const back = await A.history(b.name, { pageSize: 5, searchDirection: 'up', cursor: sent[9] });
      equal(back.messages.map((m) => m.id).sort(), sent.slice(4, 9).sort(), 'five before the tenth, cursor excluded');
    },
  },
  {
    id: 'history-filter-type',
    features: ['HIS-02', 'MSG-10', 'MSG-12', 'R256'],
    run: async (t) => {
      const [a, b] = await t.users('a', 'b');
      const A = await t.login(a);
      const single = { chatType: 'singleChat', to: b.name };
      await A.text(b.name, 'text one');
      const place = await A.send({ ...single, type: 'loc', addr: '这里', buildingName: '', lat: 1.5, lng: 2.5 });
      const custom = await A.send({ ...single, type: 'custom', customEvent: 'e', customExts: { k: 'v' } });
      await A.text(b.name, 'text two');
      const only = async (msgTypes) => (await A.history(b.name, { searchDirection: 'down', searchOptions: { msgTypes } })).messages;
      await until(async () => (await only(['txt'])).length === 2, 'both texts in history');
      equal((await only(['txt'])).map((m) => m.msg), ['text one', 'text two'], 'texts alone');
      const places = await only(['loc']);
      equal(places.map((m) => [m.id, m.type, m.addr, m.lat, m.lng]), [[place.serverMsgId, 'loc', '这里', 1.5, 2.5]], 'locations alone');
      const customs = await only(['custom']);
      equal(customs.map((m) => [m.id, m.customEvent, m.customExts]), [[custom.serverMsgId, 'e', { k: 'v' }]], 'custom messages alone');
      equal((await only(['loc', 'txt'])).length, 3, 'locations and texts');
      equal(await only(['img']), [], 'images, of which there are none');
    },
  },
  {
    id: 'history-time-range',
    features: ['HIS-02', 'R256'],
    run: async (t) => {
      const [a, b] = await t.users('a', 'b');
      const A = await t.login(a);
      const times = [];
      for (const msg of ['early', 'middle', 'late']) {
        await A.text(b.name, msg);
        await sleep(60);
      }
      await until(async () => {
        const { messages } = await A.history(b.name, { searchDirection: 'down' });
        times.splice(0, times.length, ...messages.map((m) => m.time));
        return times.length === 3;
      }, 'three messages in history');
      const { messages } = await A.history(b.name, {
        searchDirection: 'down', searchOptions: { startTime: times[1] - 20, endTime: times[1] + 20 },
      });
      equal(messages.map((m) => m.msg), ['middle'], 'messages around the middle one');
    },
  },
  {
    id: 'history-empty',
    features: ['HIS-02', 'SEC-04'],
    run: async (t) => {
      const [a, b, c] = await t.users('a', 'b', 'c');
      const [A, C] = await Promise.all([t.login(a), t.login(c)]);
      await A.text(b.name, 'not for C');
      await until(async () => (await A.history(b.name)).messages.length === 1, 'the message in history');
      for (const peer of [a.name, b.name]) {
        const page = await C.history(peer);
        equal([page.messages, page.isLast], [[], true], `history of C with ${peer}`);
      }
    },
  },
];
