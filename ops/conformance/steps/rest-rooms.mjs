// Messages to rooms and joins over REST, and what SDK users see of them.
import { equal, ok, refused, sleep } from '../expect.mjs';
import { allHear, hall, heard, hears, joined, members, misses, openRoom, outside, say, sees, statuses, untold } from '../room.mjs';

export const steps = [
  {
    id: 'rest-room-messages',
    features: ['R062', 'LIF-26', 'LIF-31', 'ROM-16', 'MSG-10', 'MSG-11', 'MSG-12'],
    run: async (t) => {
      const { id, owner, users: [a, b], clients: [A, B] } = await hall(t, 2);
      const [s] = await t.users('s');
      const other = await openRoom(t, owner);
      const send = (more = {}) => t.rest.call('POST', '/messages/chatrooms', { from: s.name, to: [id], type: 'txt', body: { msg: 'x' }, ...more });
      for (const level of ['high', 'normal', 'low']) {
        const { data } = await send({ chatroom_msg_level: level, body: { msg: `REST ${level}` } });
        for (const client of [A, B]) {
          const seen = await hears(client, id, `REST ${level}`);
          equal([seen.id, seen.from, seen.chatType, seen.priority], [data[id], s.name, 'chatRoom', level], 'id, sender, chat type and priority');
        }
      }
      const { data } = await send({ to: [id, other], body: { msg: 'two rooms' }, ext: { k: '值' } });
      equal(Object.keys(data).sort(), [id, other].sort(), 'rooms in the answer');
      equal((await hears(A, id, 'two rooms')).ext, { k: '值' }, 'the ext');
      equal((await hears(A, id, 'two rooms')).priority, 'normal', 'the priority when none is said');
      await send({ type: 'cmd', body: { action: 'refresh' } });
      await send({ type: 'loc', body: { lat: 39.9, lng: 116.4, addr: '北京' } });
      await send({ type: 'custom', body: { customEvent: 'gift', customExts: { 名: '花' } } });
      equal((await B.wait('onCmdMessage')).action, 'refresh', 'the action');
      equal((await B.wait('onLocationMessage')).addr, '北京', 'the place');
      equal((await B.wait('onCustomMessage')).customExts, { 名: '花' }, 'the custom message');
      await send({ from: a.name, body: { msg: 'for a viewer' } });
      await send({ from: a.name, body: { msg: 'and back to it' }, sync_device: true });
      await allHear([A, B], id, 'and back to it');
      await hears(B, id, 'for a viewer');
      equal(heard(A, id).slice(-1), ['and back to it'], 'what is said in its name over REST at a viewer');
      equal(heard(A, id).includes('for a viewer'), false, 'the sender to be shown what it did not ask for');
      await statuses(t, {
        'a room that is not there': [404, 'POST', '/messages/chatrooms', { from: s.name, to: ['999999999999'], type: 'txt', body: { msg: 'x' } }],
        'a level that is none': [400, 'POST', '/messages/chatrooms', { from: s.name, to: [id], type: 'txt', body: { msg: 'x' }, chatroom_msg_level: 'urgent' }],
        'eleven rooms': [400, 'POST', '/messages/chatrooms', { from: s.name, to: Array.from({ length: 11 }, (_, i) => `${i + 1}`), type: 'txt', body: { msg: 'x' } }],
        'nobody as sender': [400, 'POST', '/messages/chatrooms', { from: '', to: [id], type: 'txt', body: { msg: 'x' } }],
      });
      await statuses(t, { 'a message by a user': [401, 'POST', '/messages/chatrooms', { from: b.name, to: [id], type: 'txt', body: { msg: 'x' } }] }, await t.rest.userToken(b.name));
    },
  },
  {
    id: 'rest-room-directed',
    features: ['R063', 'LIF-28'],
    run: async (t) => {
      const { id, users: [, b], clients: [A, B, C] } = await hall(t, 3);
      const [s] = await t.users('s');
      const body = { from: s.name, to: [id], type: 'txt', body: { msg: 'for one' } };
      const { data } = await t.rest.call('POST', '/messages/chatrooms/users', { ...body, users: [b.name] });
      equal((await hears(B, id, 'for one')).id, data[id], 'the id');
      await say(A, id, 'for all');
      await allHear([B, C], id, 'for all');
      await sleep(300);
      equal([heard(B, id), heard(C, id)], [['for one', 'for all'], ['for all']], 'texts of who was meant, and of who was not');
      await statuses(t, {
        'no users': [400, 'POST', '/messages/chatrooms/users', { ...body, users: [] }],
        '21 users': [400, 'POST', '/messages/chatrooms/users', { ...body, users: Array.from({ length: 21 }, (_, i) => `u${i}`) }],
      });
    },
  },
  {
    id: 'rest-room-shedding',
    features: ['R062', 'ROM-16'],
    run: async (t) => {
      await t.freshServer({ PARLEY_ROOMS_RATE: '10' });
      const { id, clients: [A] } = await hall(t, 1);
      const [s] = await t.users('s');
      const token = await t.rest.appToken();
      const post = (level, i) => t.rest.raw('POST', '/messages/chatrooms', {
        token, body: { from: s.name, to: [id], type: 'txt', body: { msg: `${level} ${i}` }, chatroom_msg_level: level },
      });
      const low = await Promise.all(Array.from({ length: 20 }, (_, i) => post('low', i)));
      const shed = low.filter((r) => r.status !== 200);
      ok(shed.length >= 8, `eight or more of twenty low ones to be refused, not ${shed.length}`);
      equal([...new Set(shed.map((r) => `${r.status} ${r.json?.error}`))], ['429 reach_limit'], 'how they are refused');
      const high = await Promise.all(Array.from({ length: 20 }, (_, i) => post('high', i)));
      equal(high.filter((r) => r.status !== 200).length, 0, 'high ones that are refused');
      for (let i = 0; i < 20; i++) await hears(A, id, `high ${i}`);
      equal(heard(A, id).length, 40 - shed.length, 'texts at the viewer');
    },
  },
  {
    id: 'rest-room-members',
    features: ['R169', 'R170', 'R171', 'R172', 'R173', 'ROM-10'],
    run: async (t) => {
      const { id, owner, users: [a], clients: [A] } = await hall(t, 1);
      const [b, c, d] = await t.users('b', 'c', 'd');
      const B = await t.login(b);
      const one = (await t.rest.call('POST', `/chatrooms/${id}/users/${b.name}`)).data;
      equal([one.result, one.action, one.id, one.user], [true, 'add_member', id, b.name], 'the answer for one');
      await sees(A, id, b);
      await say(A, id, 'to the added');
      await hears(B, id, 'to the added');
      await say(B, id, 'by the added');
      await hears(A, id, 'by the added');
      const many = (await t.rest.call('POST', `/chatrooms/${id}/users`, { usernames: [b.name, c.name, d.name] })).data;
      equal([[...many.newmembers].sort(), many.id, many.action], [[c.name, d.name].sort(), id, 'add_member'], 'the answer for several, one of whom was in');
      for (const user of [c, d]) await sees(A, id, user);
      equal(await members(A, id), Object.fromEntries([[owner.name, 'owner'], ...[a, b, c, d].map((u) => [u.name, 'member'])]), 'members');
      await sleep(1100);
      const gone = (await t.rest.call('DELETE', `/chatrooms/${id}/users/${b.name}`)).data;
      equal([gone.result, gone.action, gone.user, gone.id], [true, 'remove_member', b.name, id], 'the answer for one removal');
      await misses(A, id, b);
      await B.wait('onChatroomEvent', (e) => e.id === id && e.operation === 'removeMember');
      await outside(B, id, A);
      const several = (await t.rest.call('DELETE', `/chatrooms/${id}/users/${b.name},${c.name},${owner.name}`)).data;
      equal(several.map((x) => [x.user, x.result]), [[b.name, false], [c.name, true], [owner.name, false]], 'what became of each');
      ok(several.filter((x) => !x.result).every((x) => x.reason), 'a reason for each that failed');
      const strangers = Array.from({ length: 61 }, (_, i) => `u${i}`);
      await statuses(t, {
        'adding who is in': [403, 'POST', `/chatrooms/${id}/users/${d.name}`],
        'adding an unknown user': [404, 'POST', `/chatrooms/${id}/users/never-registered`],
        'adding 61': [400, 'POST', `/chatrooms/${id}/users`, { usernames: strangers }],
        'adding nobody': [400, 'POST', `/chatrooms/${id}/users`, { usernames: [] }],
        'removing who is not in': [403, 'DELETE', `/chatrooms/${id}/users/${b.name}`],
        'removing the owner': [403, 'DELETE', `/chatrooms/${id}/users/${owner.name}`],
        'adding to a room that is not there': [404, 'POST', `/chatrooms/999999999999/users/${b.name}`],
        'members of a room that is not there': [404, 'GET', '/chatrooms/999999999999/users'],
        'a page of none': [400, 'GET', `/chatrooms/${id}/users?pagenum=1&pagesize=0`],
      });
      untold([A], id, 'removeMember');
    },
  },
  {
    id: 'rest-room-full',
    features: ['ROM-03', 'R170', 'R163'],
    run: async (t) => {
      const { id, users: [a] } = await hall(t, 1, { room: { maxusers: 1 } });
      const [b] = await t.users('b');
      await statuses(t, {
        'adding to a full room': [403, 'POST', `/chatrooms/${id}/users/${b.name}`],
        'a room with more members than viewers': [403, 'POST', '/chatrooms', { name: 'x', description: 'x', owner: b.name, members: [a.name, 'x1'], maxusers: 1 }],
      });
    },
  },
  {
    id: 'rest-room-apply',
    features: ['R203', 'R204', 'ROM-03', 'ROM-04'],
    run: async (t) => {
      const { id, owner, clients: [A] } = await hall(t, 1);
      const [b] = await t.users('b');
      const B = await t.login(b);
      const token = await t.rest.userToken(b.name);
      const call = async (method, path, body) => {
        const answer = await t.rest.raw(method, path, { token, body });
        equal(answer.status, 200, `status of ${method} ${path} (${answer.text.slice(0, 160)})`);
        return answer.json.data;
      };
      const info = await call('POST', `/chatrooms/${id}/apply`, { message: 'hi', ext: 'my ext' });
      equal([info.result, info.id, info.user, info.member_count, info.is_all_mute, info.is_in_white_list], [true, id, b.name, 3, false, false], 'the answer to a join');
      equal((await sees(A, id, b)).ext, 'my ext', 'the ext at another viewer');
      await say(A, id, 'welcome');
      await hears(B, id, 'welcome');
      const other = await openRoom(t, owner);
      await call('POST', `/chatrooms/${other}/apply`, {});
      equal(await joined(B), [id, other].sort(), 'rooms of B');
      await sleep(1100);
      equal((await call('DELETE', `/chatrooms/${id}/quit`)).result, true, 'the answer to leaving');
      await misses(A, id, b);
      await outside(B, id, A);
      await statuses(t, {
        'leaving twice': [403, 'DELETE', `/chatrooms/${id}/quit`],
        'joining a room that is not there': [404, 'POST', '/chatrooms/999999999999/apply', {}],
        "another's rooms": [403, 'GET', `/users/${A.user}/joined_chatrooms?pagenum=1&pagesize=5`],
      }, token);
      await refused(say(B, id, 'outside'), 602, 'a message of who left over REST');
    },
  },
];
