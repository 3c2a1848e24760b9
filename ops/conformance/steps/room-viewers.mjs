// Who views a room: joins, leaves, several rooms, several devices, removals, and the allow list.
import { equal, ok, refused, sleep } from '../expect.mjs';
import {
  allHear, details, hall, heard, hears, join, joined, learns, leave, members, misses, openRoom, outside, say, sees, statuses, told, toldOf, untold,
} from '../room.mjs';

const NOWHERE = '999999999999';

export const steps = [
  {
    id: 'room-join',
    features: ['ROM-03', 'ROM-10', 'ROM-21'],
    run: async (t) => {
      const [o, a, b, c] = await t.users('o', 'a', 'b', 'c');
      const [A, B, C] = await Promise.all([a, b, c].map((user) => t.login(user)));
      const started = Date.now();
      const id = await openRoom(t, o);
      const answer = (await join(A, id)).data;
      equal([answer.action, answer.id, answer.result, answer.user], ['apply', id, true, a.name], 'the answer to a join');
      const { createTimestamp, ...info } = answer.info;
      equal(info, { isAllMembersMuted: false, isInAllowlist: false, memberCount: 2, muteExpireTimestamp: -1 }, 'what who joins is told of the room');
      ok(Math.abs(createTimestamp - started) < 60_000, `a plausible time of creation, not ${createTimestamp}`);
      equal((await join(B, id, { ext: '{"level":7,"名":"小明"}', message: 'hi' })).data.info.memberCount, 3, 'the count at the second join');
      const event = await sees(A, id, b);
      equal([event.from, event.memberCount, event.ext], [b.name, 3, '{"level":7,"名":"小明"}'], 'who joined, the count and the ext');
      await join(C, id);
      for (const client of [A, B]) {
        const { memberCount, ext } = await sees(client, id, c);
        equal([memberCount, ext ?? ''], [4, ''], 'the count, and no ext, at the third join');
      }
      equal((await join(B, id)).data.info.memberCount, 4, 'the count when somebody joins again');
      await sleep(1500); // notices are told at most once a second
      equal([A, B, C].map((x) => toldOf(x, id, 'memberPresence')), [[b.name, c.name], [c.name], []], 'of whom each was told: nobody of itself');
      equal(await members(A, id), { [o.name]: 'owner', [a.name]: 'member', [b.name]: 'member', [c.name]: 'member' }, 'members and roles');
      equal((await details(A, id)).affiliations_count, 4, 'the count in the details');
      await say(C, id, 'hello');
      await allHear([A, B], id, 'hello');
    },
  },
  {
    id: 'room-join-refused',
    features: ['ROM-03', 'ROM-01'],
    run: async (t) => {
      const [o, a, b, c] = await t.users('o', 'a', 'b', 'c');
      const [O, A, B, C] = await Promise.all([o, a, b, c].map((user) => t.login(user)));
      const id = await openRoom(t, o, { maxusers: 2 });
      await refused(join(A, NOWHERE), 705, 'joining a room that is not there');
      await refused(join(A, 'no-number'), 705, 'joining what no room can be called');
      await refused(leave(A, id), 602, 'leaving a room that is not viewed');
      await refused(leave(A, NOWHERE), 705, 'leaving a room that is not there');
      await join(A, id);
      await join(B, id);
      await refused(join(C, id), 704, 'joining a full room');
      await join(A, id);
      equal((await join(O, id)).data.info.memberCount, 3, 'the count when the owner views its full room');
      await refused(say(C, id, 'let me in'), 602, 'a message of who found the room full');
      await leave(B, id);
      await join(C, id);
      await say(C, id, 'room at last');
      await hears(A, id, 'room at last');
      equal(heard(B, id), [], 'texts of who left');
    },
  },
  {
    id: 'room-leave',
    features: ['ROM-04', 'ROM-05', 'ROM-10'],
    run: async (t) => {
      const { id, owner, users: [a, b], clients: [A, B, C] } = await hall(t, 3);
      const O = await t.login(owner);
      await join(O, id);
      for (const client of [A, B, C]) await sees(client, id, owner);
      await sleep(1100); // notices are told at most once a second; who comes and goes meanwhile is not worth one
      equal((await leave(B, id)).data?.result ?? true, true, 'the answer to leaving');
      for (const client of [A, C, O]) equal((await misses(client, id, b)).memberCount, 3, 'the count when one has left');
      await outside(B, id, A);
      await refused(leave(B, id), 602, 'leaving twice');
      await leave(O, id);
      for (const client of [A, C]) equal((await misses(client, id, owner)).memberCount, 3, 'the count when the owner views no more: it belongs to the room');
      await say(O, id, 'from the owner, who does not view');
      await allHear([A, C], id, 'from the owner, who does not view');
      equal(heard(O, id).at(-1) === 'from the owner, who does not view', false, 'the owner not to see what it does not view');
      await join(B, id);
      await sees(A, id, b);
      await say(A, id, 'welcome back');
      await hears(B, id, 'welcome back');
      await sleep(1200);
      equal(toldOf(A, id, 'memberAbsence'), [b.name, owner.name], 'who left, as another viewer was told');
      untold([B], id, 'memberAbsence', 'removeMember');
      equal(await members(A, id), { [owner.name]: 'owner', [a.name]: 'member', [b.name]: 'member', [C.user]: 'member' }, 'members in the end');
    },
  },
  {
    id: 'room-several',
    features: ['ROM-17', 'ROM-19', 'R161'],
    run: async (t) => {
      const [o, a, b] = await t.users('o', 'a', 'b');
      const [A, B] = await Promise.all([t.login(a), t.login(b)]);
      const [one, two, three] = await Promise.all(['one', 'two', 'three'].map((name) => openRoom(t, o, { name, maxusers: 77 })));
      for (const id of [one, two, three]) await join(A, id);
      for (const id of [one, two]) await join(B, id);
      for (const id of [one, two]) await say(B, id, `in ${id}`);
      for (const id of [one, two]) await hears(A, id, `in ${id}`);
      equal([await joined(A), await joined(B)], [[one, two, three].sort(), [one, two].sort()], 'rooms of each');
      const { data } = await A.invoke('getJoinedChatRooms', { pageNum: 1, pageSize: 10 });
      const { created, ...room } = data.find((r) => r.id === two);
      equal(room, { id: two, name: 'two', owner: o.name, description: 'd', maxusers: 77 }, 'a room in the list of joined rooms');
      ok(Math.abs(created - Date.now()) < 60_000, `a plausible time of creation, not ${created}`);
      const pages = [];
      for (const pageNum of [1, 2, 3]) pages.push((await A.invoke('getJoinedChatRooms', { pageNum, pageSize: 2 })).data.map((r) => r.id));
      equal([pages.map((p) => p.length), pages.flat().sort()], [[2, 1, 0], [one, two, three].sort()], 'joined rooms in pages of two');
      const byRest = (await t.rest.call('GET', `/users/${b.name}/joined_chatrooms?pagenum=1&pagesize=10`)).data;
      equal(byRest.map((r) => [r.id, r.name]).sort(), [[one, 'one'], [two, 'two']].sort(), 'the list as the app sees it');
      await leave(A, two);
      equal(await joined(A), [one, three].sort(), 'rooms after leaving one');
      await say(B, one, 'still here');
      await hears(A, one, 'still here');
      await sleep(1100); // notices are told at most once a second
      const misc = misses(B, one, a);
      await join(A, two, { leaveOtherRooms: true });
      await misc;
      equal(await joined(A), [two], 'rooms after a join that leaves the others');
      await refused(say(A, one, 'gone'), 602, 'a message to a room that was left by joining another');
      await say(B, two, 'only here');
      await hears(A, two, 'only here');
    },
  },
  {
    id: 'room-too-many',
    features: ['ROM-17'],
    run: async (t) => {
      await t.freshServer({ PARLEY_ROOMS_MAX_JOINED: '2' });
      const [o, a] = await t.users('o', 'a');
      const A = await t.login(a);
      const [one, two, three] = await Promise.all([1, 2, 3].map(() => openRoom(t, o)));
      await join(A, one);
      await join(A, two);
      await refused(join(A, three), 50, 'joining a third room where two is the limit');
      await leave(A, one);
      await join(A, three);
      equal(await joined(A), [two, three].sort(), 'rooms in the end');
    },
  },
  {
    id: 'room-two-devices',
    features: ['ROM-03', 'ROM-04', 'CON-05'],
    run: async (t) => {
      const { id, users: [a, b], clients: [A, B] } = await hall(t, 2);
      const second = await t.login(b);
      await say(A, id, 'before the second device joins');
      await hears(B, id, 'before the second device joins');
      equal((await join(second, id)).data.info.memberCount, 3, 'the count, in which a user counts once');
      await say(A, id, 'to both devices');
      await allHear([B, second], id, 'to both devices');
      await say(B, id, 'by the first');
      await allHear([A, second], id, 'by the first');
      await say(second, id, 'by the second');
      await allHear([A, B], id, 'by the second');
      await sleep(1100);
      await leave(B, id);
      await say(A, id, 'to one device');
      await hears(second, id, 'to one device');
      await say(second, id, 'still viewing');
      await hears(A, id, 'still viewing');
      await sleep(1200);
      untold([A], id, 'memberAbsence');
      equal(toldOf(A, id, 'memberPresence'), [b.name], 'who joined: the user, once');
      equal(heard(B, id), ['before the second device joins', 'to both devices', 'by the second'], 'what the device saw that left');
      await leave(second, id);
      await misses(A, id, b);
      equal(Object.keys(await members(A, id)).includes(b.name), false, 'the user among the members after both devices left');
      equal((await details(A, id)).affiliations_count, 2, `the count: the owner and ${a.name}`);
    },
  },
  {
    id: 'room-members',
    features: ['ROM-10', 'R169'],
    run: async (t) => {
      const { id, owner, users, clients: [A] } = await hall(t, 3);
      const all = Object.fromEntries([[owner.name, 'owner'], ...users.map((u) => [u.name, 'member'])]);
      equal([await members(A, id, 2), await members(A, id, 50)], [all, all], 'members by cursor, two at a time and at once');
      const page = async (pagenum) => (await t.rest.call('GET', `/chatrooms/${id}/users?pagenum=${pagenum}&pagesize=3`)).data;
      const pages = [await page(1), await page(2), await page(3)];
      equal(pages.map((p) => p.length), [3, 1, 0], 'members on each page of three');
      equal(pages.flat().map((m) => m.owner ?? m.member).sort(), Object.keys(all).sort(), 'members by page');
      equal(pages.flat().filter((m) => m.owner).map((m) => m.owner), [owner.name], 'the owner by page');
      const byPage = (await A.invoke('listChatRoomMembers', { chatRoomId: id, pageNum: 1, pageSize: 10 })).data;
      equal(byPage.map((m) => m.owner ?? m.member).sort(), Object.keys(all).sort(), "members by the SDK's page");
    },
  },
  {
    id: 'room-members-governed',
    features: ['ROM-04', 'ROM-10', 'R170', 'R171', 'R172', 'R173'],
    run: async (t) => {
      const { id, owner, users: [a, b], clients: [A, B] } = await hall(t, 2);
      const [c, d] = await t.users('c', 'd');
      const [O, C] = await Promise.all([t.login(owner), t.login(c)]);
      const added = (await O.invoke('addUsersToChatRoom', { chatRoomId: id, users: [c.name, d.name, b.name] })).data;
      equal([[...added.newmembers].sort(), added.action, added.id], [[c.name, d.name].sort(), 'add_member', id], 'who was added');
      for (const user of [c, d]) await sees(A, id, user);
      await say(C, id, 'added, and viewing');
      await allHear([A, B], id, 'added, and viewing');
      await say(A, id, 'welcome');
      await hears(C, id, 'welcome');
      await refused(A.invoke('removeChatRoomMember', { chatRoomId: id, username: b.name }), 603, 'a removal by a viewer');
      await refused(A.invoke('addUsersToChatRoom', { chatRoomId: id, users: [owner.name] }), 603, 'adding by a viewer');
      await sleep(1100);
      const gone = (await O.invoke('removeChatRoomMember', { chatRoomId: id, username: b.name })).data;
      equal([gone.result, gone.action, gone.user, gone.id], [true, 'remove_member', b.name, id], 'the answer to a removal');
      await learns(B, id, 'removeMember');
      for (const client of [A, C]) await misses(client, id, b);
      await outside(B, id, A);
      const several = (await O.invoke('removeChatRoomMembers', { chatRoomId: id, users: [c.name, d.name, b.name, owner.name] })).data;
      equal(several.map((x) => [x.user, x.result]), [[c.name, true], [d.name, true], [b.name, false], [owner.name, false]], 'what became of each');
      await learns(C, id, 'removeMember');
      await misses(A, id, c);
      await outside(C, id, A);
      equal(await members(A, id), { [owner.name]: 'owner', [a.name]: 'member' }, 'members in the end');
      await sleep(1200);
      untold([A], id, 'removeMember');
      untold([B], id, 'memberAbsence');
      equal([told(B, id, 'removeMember').length, told(C, id, 'removeMember').length], [1, 1], 'removeMember at each who was removed');
      await join(B, id);
      await say(B, id, 'back again');
      await hears(A, id, 'back again');
    },
  },
  {
    id: 'room-allow-list',
    features: ['ROM-11', 'R182', 'R183', 'R184', 'R185', 'R262'],
    run: async (t) => {
      const { id, owner, users: [a, b, c], clients: [A, B, C] } = await hall(t, 3);
      const O = await t.login(owner);
      const room = { chatRoomId: id };
      await O.invoke('addUsersToChatRoomAllowlist', { ...room, users: [a.name, b.name] });
      for (const client of [A, B]) await learns(client, id, 'addUserToAllowlist');
      equal([...(await O.invoke('getChatRoomAllowlist', room)).data].sort(), [a.name, b.name].sort(), 'the allow list');
      const is = async (client, user) => (await client.invoke('isInChatRoomAllowlist', { ...room, userName: user.name })).data;
      equal([await is(A, a), await is(C, c), await is(O, b)], [{ member: a.name, white: true }, { member: c.name, white: false }, { member: b.name, white: true }], 'who is on it, each asking');
      equal((await join(A, id)).data.info.isInAllowlist, true, 'the allow list in the answer to a join');
      await O.invoke('removeChatRoomAllowlistMember', { ...room, userName: b.name });
      await learns(B, id, 'removeAllowlistMember');
      equal((await O.invoke('getChatRoomAllowlist', room)).data, [a.name], 'the allow list after a removal');
      await refused(C.invoke('addUsersToChatRoomAllowlist', { ...room, users: [c.name] }), 603, 'a viewer who adds itself');
      await refused(C.invoke('getChatRoomAllowlist', room), 603, 'the allow list for a viewer');
      const one = (await t.rest.call('POST', `/chatrooms/${id}/white/users/${c.name}`)).data;
      equal([one.result, one.user, one.chatroomid], [true, c.name, id], 'the answer for one over REST');
      await learns(C, id, 'addUserToAllowlist');
      const many = (await t.rest.call('DELETE', `/chatrooms/${id}/white/users/${c.name},${b.name}`)).data;
      equal(many.map((x) => [x.user, x.result]), [[c.name, true], [b.name, false]], 'what became of each over REST');
      const list = await t.rest.call('GET', `/chatrooms/${id}/white/users`);
      equal([list.data, list.count], [[a.name], 1], 'the allow list over REST');
      await sleep(1200);
      equal([A, B, C].map((x) => [told(x, id, 'addUserToAllowlist').length, told(x, id, 'removeAllowlistMember').length]), [[1, 0], [1, 1], [1, 1]], 'events about each, at that one only');
      await statuses(t, {
        'nobody to allow': [400, 'POST', `/chatrooms/${id}/white/users`, { usernames: [] }],
        'allowing 61': [400, 'POST', `/chatrooms/${id}/white/users`, { usernames: Array.from({ length: 61 }, (_, i) => `u${i}`) }],
        'allowing an unknown user': [404, 'POST', `/chatrooms/${id}/white/users/never-registered`],
        'the allow list of a room that is not there': [404, 'GET', `/chatrooms/${NOWHERE}/white/users`],
      });
    },
  },
];
