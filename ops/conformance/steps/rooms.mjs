// Rooms as they are made, found, changed and ended, over the SDK and over REST.
import { equal, ok, refused, sleep, until } from '../expect.mjs';
import { details, hall, hears, join, joined, learns, members, openRoom, say, statuses, told, untold } from '../room.mjs';

// listed reads the SDK's list of all rooms, in pages.
async function listed(client, pagesize) {
  const all = [];
  for (let pagenum = 1; ; pagenum++) {
    const { data } = await client.invoke('getChatRooms', { pagenum, pagesize });
    all.push(...data);
    if (data.length < pagesize) return all;
    ok(pagenum < 400, 'an end of the list of rooms');
  }
}

export const steps = [
  {
    id: 'room-create',
    features: ['ROM-01', 'ROM-04', 'R162', 'R163'],
    run: async (t) => {
      const [a, b, c] = await t.users('a', 'b', 'c');
      const B = await t.login(b);
      const id = await openRoom(t, a, { name: '直播间 🎥', description: '描述', maxusers: 300, members: [b.name, c.name], custom: '{"k":1}' });
      ok(/^[0-9]{1,20}$/.test(id), `a room id of digits, not ${JSON.stringify(id)}`);
      const room = await details(B, id);
      equal(
        [room.id, room.name, room.description, room.owner, room.maxusers, room.custom, room.affiliations_count, room.mute],
        [id, '直播间 🎥', '描述', a.name, 300, '{"k":1}', 3, false], 'the room as the SDK shows it',
      );
      ok(Math.abs(room.created - Date.now()) < 60_000, `a plausible time of creation, not ${room.created}`);
      equal(await members(B, id), { [a.name]: 'owner', [b.name]: 'member', [c.name]: 'member' }, 'members and roles');
      await say(B, id, 'who was named when the room was made views it');
      equal((await details(B, await openRoom(t, a))).maxusers, 1000, 'the most viewers when the maker does not say');
    },
  },
  {
    id: 'room-create-sdk',
    features: ['ROM-01', 'R163'],
    run: async (t) => {
      const [a, b] = await t.users('a', 'b');
      const [A, B] = await Promise.all([t.login(a), t.login(b)]);
      const wish = { name: 'mine', description: 'd', maxusers: 20, members: [b.name] };
      await refused(A.invoke('createChatRoom', wish), 603, 'a room of a user who is no super admin');
      const { data } = await A.invoke('createChatRoom', { ...wish, token: await t.rest.appToken() });
      equal((await details(B, data.id)).owner, a.name, 'the owner of a room made with a token that may');
      equal(await members(A, data.id), { [a.name]: 'owner', [b.name]: 'member' }, 'members');
      const gone = await A.invoke('destroyChatRoom', { chatRoomId: data.id, token: await t.rest.appToken() });
      equal([gone.data.success, gone.data.id], [true, data.id], 'the answer to the end of the room');
    },
  },
  {
    id: 'room-create-refused',
    features: ['ROM-01', 'R163', 'SEC-04'],
    run: async (t) => {
      const [a, b] = await t.users('a', 'b');
      const wish = { name: 'x', description: 'x', owner: a.name };
      await statuses(t, {
        'no name': [400, 'POST', '/chatrooms', { ...wish, name: undefined }],
        'no description': [400, 'POST', '/chatrooms', { ...wish, description: undefined }],
        'no owner': [400, 'POST', '/chatrooms', { ...wish, owner: undefined }],
        'a name of 129 characters': [400, 'POST', '/chatrooms', { ...wish, name: 'x'.repeat(129) }],
        'a description of 513 characters': [400, 'POST', '/chatrooms', { ...wish, description: 'x'.repeat(513) }],
        'an unknown owner': [404, 'POST', '/chatrooms', { ...wish, owner: 'never-registered' }],
        'an unknown member': [404, 'POST', '/chatrooms', { ...wish, members: ['never-registered'] }],
        'no viewers': [400, 'POST', '/chatrooms', { ...wish, maxusers: 0 }],
        '10,001 viewers': [400, 'POST', '/chatrooms', { ...wish, maxusers: 10_001 }],
        'a body that is no JSON': [400, 'POST', '/chatrooms', '{'],
      });
      await statuses(t, { 'a room by a user': [403, 'POST', '/chatrooms', wish] }, await t.rest.userToken(b.name));
      await statuses(t, { 'a room without a token': [401, 'POST', '/chatrooms', wish] }, 'not-a-token');
    },
  },
  {
    id: 'room-list',
    features: ['ROM-19', 'R160', 'R162'],
    run: async (t) => {
      const [a] = await t.users('a');
      const A = await t.login(a);
      const ids = [];
      for (const name of ['one', 'two', 'three']) ids.push(await openRoom(t, a, { name }));
      let all;
      await until(async () => {
        all = await listed(A, 20);
        return ids.every((id) => all.some((r) => r.id === id));
      }, 'the rooms in the list of all');
      equal(new Set(all.map((r) => r.id)).size, all.length, 'different rooms in pages of twenty');
      const line = all.find((r) => r.id === ids[1]);
      equal([line.name, line.owner, line.affiliations_count], ['two', a.name, 1], 'a room in the list');
      const byCursor = [];
      for (let cursor = '', n = 0; ; n++) {
        const page = await t.rest.call('GET', `/chatrooms?limit=7${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`);
        equal(page.count, page.data.length, 'count and rooms on a page');
        byCursor.push(...page.data);
        ({ cursor } = page);
        if (!cursor) break;
        ok(n < 400, 'an end of the list by cursor');
      }
      ok(ids.every((id) => byCursor.some((r) => r.id === id)), 'the rooms in the list by cursor');
      equal(new Set(byCursor.map((r) => r.id)).size, byCursor.length, 'different rooms by cursor');
      const [one, absent] = (await t.rest.call('GET', `/chatrooms/${ids[0]},999999999999`)).data;
      equal([one.id, one.name, one.affiliations], [ids[0], 'one', [{ owner: a.name }]], 'details of two, one of which is not there');
      ok(absent?.error, `an error in the place of the other, not ${JSON.stringify(absent)}`);
      await t.rest.call('DELETE', `/chatrooms/${ids[2]}`);
      await until(async () => !(await listed(A, 100)).some((r) => r.id === ids[2]), 'the destroyed room to leave the list');
      await statuses(t, {
        'a limit of 0': [400, 'GET', '/chatrooms?limit=0'],
        'a cursor that is none': [400, 'GET', '/chatrooms?limit=5&cursor=what'],
      });
    },
  },
  {
    id: 'room-modify',
    features: ['ROM-08', 'R164'],
    run: async (t) => {
      const { id, owner, clients: [A, B] } = await hall(t, 2);
      const O = await t.login(owner);
      const changed = await O.invoke('modifyChatRoom', { chatRoomId: id, chatRoomName: '新名字', description: 'new', maxusers: 50 });
      equal(changed.data, { groupname: true, description: true, maxusers: true }, 'the answer to a change');
      for (const client of [A, B]) await learns(client, id, 'updateInfo');
      const room = await details(A, id);
      equal([room.name, room.description, room.maxusers], ['新名字', 'new', 50], 'the room afterwards');
      await refused(A.invoke('modifyChatRoom', { chatRoomId: id, chatRoomName: 'x', description: 'x', maxusers: 9 }), 603, 'a change by a viewer');
      await refused(O.invoke('modifyChatRoom', { chatRoomId: '999999999999', chatRoomName: 'x' }), 705, 'a change of a room that is not there');
      const byRest = (await t.rest.call('PUT', `/chatrooms/${id}`, { name: 'by REST' })).data;
      equal(byRest, { groupname: true }, 'the answer to a change over REST');
      await until(() => told(A, id, 'updateInfo').length === 2, 'the second updateInfo');
      await statuses(t, {
        'a field that no room has': [400, 'PUT', `/chatrooms/${id}`, { colour: 'red' }],
        'nothing to change': [400, 'PUT', `/chatrooms/${id}`, {}],
        'too long a name': [400, 'PUT', `/chatrooms/${id}`, { name: 'x'.repeat(129) }],
        'too many viewers': [400, 'PUT', `/chatrooms/${id}`, { maxusers: 10_001 }],
      });
      equal((await details(A, id)).name, 'by REST', 'the name in the end');
    },
  },
  {
    id: 'room-transfer',
    features: ['ROM-06', 'ROM-07', 'R165'],
    run: async (t) => {
      const { id, owner, users: [a], clients: [A, B] } = await hall(t, 2);
      equal((await t.rest.call('PUT', `/chatrooms/${id}`, { newowner: a.name })).data, { newowner: true }, 'the answer to a transfer');
      for (const client of [A, B]) await learns(client, id, 'changeOwner');
      equal((await details(B, id)).owner, a.name, 'the owner');
      equal((await members(B, id))[a.name], 'owner', 'the role of the new owner');
      const O = await t.login(owner);
      await refused(say(O, id, 'as before'), 602, 'a message of who was the owner and does not view');
      await refused(O.invoke('modifyChatRoom', { chatRoomId: id, chatRoomName: 'x' }), 603, 'a change by who was the owner');
      await A.invoke('modifyChatRoom', { chatRoomId: id, chatRoomName: 'mine now', description: 'd', maxusers: 5 });
      await statuses(t, {
        'an unknown owner': [404, 'PUT', `/chatrooms/${id}`, { newowner: 'never-registered' }],
        'a new owner and something else': [400, 'PUT', `/chatrooms/${id}`, { newowner: owner.name, name: 'x' }],
        'the owner again': [403, 'PUT', `/chatrooms/${id}`, { newowner: a.name }],
      });
    },
  },
  {
    id: 'room-destroy',
    features: ['ROM-06', 'R166'],
    run: async (t) => {
      const { id, owner, clients: [A, B] } = await hall(t, 2);
      const O = await t.login(owner);
      await say(A, id, 'last words');
      await hears(B, id, 'last words');
      await refused(B.invoke('destroyChatRoom', { chatRoomId: id }), 603, 'destroying by a viewer');
      equal((await O.invoke('destroyChatRoom', { chatRoomId: id })).data.success, true, 'the answer to the end of the room');
      for (const client of [A, B]) await learns(client, id, 'destroy');
      for (const [what, call] of Object.entries({
        'joining a destroyed room': () => join(A, id),
        'destroying twice': () => O.invoke('destroyChatRoom', { chatRoomId: id }),
        'details of a destroyed room': () => A.invoke('getChatRoomDetails', { chatRoomId: id }),
        'members of a destroyed room': () => A.invoke('getChatRoomMembers', { chatRoomId: id }),
        'leaving a destroyed room': () => A.invoke('leaveChatRoom', { roomId: id }),
        'a message to a destroyed room': () => say(A, id, 'anyone?'),
        "the owner's message to a destroyed room": () => say(O, id, 'anyone?'),
      })) await refused(call(), 705, what);
      for (const client of [A, B, O]) equal(await joined(client), [], 'rooms afterwards');
      await sleep(300);
      equal([told(A, id, 'destroy').length, told(B, id, 'destroy').length], [1, 1], 'destroy at each viewer');
      untold([A, B], id, 'memberAbsence', 'removeMember');
    },
  },
];
