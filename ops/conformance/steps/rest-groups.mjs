// Groups as an application's back end handles them, and what SDK users see of it.
import { equal, ok, refused, sleep } from '../expect.mjs';
import { found, foundRest, hears, info, learns, members, say, told, untold } from '../group.mjs';

// statuses makes calls that must be refused: {what: [status, method, path, body]}.
async function statuses(t, calls, token) {
  const by = token ?? await t.rest.appToken();
  for (const [what, [status, method, path, body]] of Object.entries(calls)) {
    const answer = await t.rest.raw(method, path, { token: by, body });
    equal([answer.status, typeof answer.json?.error], [status, 'string'], `status and error for ${what} (${answer.text.slice(0, 160)})`);
  }
}

export const steps = [
  {
    id: 'rest-group-create',
    features: ['GRP-01', 'GRP-02', 'GRP-03', 'GRP-04', 'R098', 'R099', 'R102', 'R108'],
    run: async (t) => {
      const [a, b, c] = await t.users('a', 'b', 'c');
      const [A, B] = await Promise.all([t.login(a), t.login(b)]);
      const open = await foundRest(t, a, [b], { groupname: '公开', description: 'd', custom: 'x', avatar: 'https://example.invalid/c.png', maxusers: 30 });
      equal((await learns(B, open, 'directJoined')).name, '公开', 'the name in directJoined');
      const asking = await foundRest(t, a, [b], { groupname: 'private', public: false, allowinvites: true, invite_need_confirm: true });
      await learns(B, asking, 'directJoined');
      const { data } = await t.rest.call('GET', `/chatgroups/${open},${asking},999999999999`);
      const [one, two, three] = data;
      equal([one.id, one.name, one.description, one.custom, one.avatar, one.owner, one.public, one.membersonly, one.allowinvites, one.maxusers, one.affiliations_count],
        [open, '公开', 'd', 'x', 'https://example.invalid/c.png', a.name, true, false, false, 30, 2], 'details of the public group');
      equal([two.id, two.public, two.allowinvites], [asking, false, true], 'details of the private group');
      ok(three?.error, `an error in the place of a group that does not exist, not ${JSON.stringify(three)}`);
      equal([...one.affiliations].sort((x) => (x.owner ? -1 : 1)), [{ owner: a.name }, { member: b.name }], 'affiliations');
      const joined = async (id, user) => (await t.rest.call('GET', `/chatgroups/${id}/user/${user}/is_joined`)).data;
      equal([await joined(open, a.name), await joined(open, b.name), await joined(open, c.name)], [true, true, false], 'is_joined of owner, member, stranger');
      const chosen = `77${Date.now()}${Math.floor(Math.random() * 1000)}`;
      equal(await foundRest(t, a, [], { groupid: chosen }), chosen, 'the id that the back end chose');
      const listed = [];
      for (let cursor = '', n = 0; ; n++) {
        const page = await t.rest.call('GET', `/chatgroups?limit=20${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`);
        listed.push(...page.data);
        ({ cursor } = page);
        if (!cursor) break;
        ok(n < 200, 'an end of the list');
      }
      const line = listed.find((g) => g.groupid === open);
      equal([line?.groupname, line?.owner, line?.affiliations, line?.type, typeof line?.lastModified], ['公开', `${t.rest.dev.app}_${a.name}`, 2, 'group', 'string'], 'the group in the list of all');
      await say(A, open, 'hello');
      await hears(B, open, 'hello');
      await statuses(t, {
        'an id that is taken': [400, 'POST', '/chatgroups', { groupname: 'x', public: true, owner: a.name, groupid: chosen }],
        'an unknown owner': [404, 'POST', '/chatgroups', { groupname: 'x', public: true, owner: 'never-registered' }],
        'an unknown member': [404, 'POST', '/chatgroups', { groupname: 'x', public: true, owner: a.name, members: ['never-registered'] }],
        'no owner': [400, 'POST', '/chatgroups', { groupname: 'x', public: true }],
        'a group that does not exist': [404, 'GET', '/chatgroups/999999999999'],
      });
    },
  },
  {
    id: 'rest-group-members',
    features: ['GRP-06', 'GRP-07', 'GRP-20', 'GRP-24', 'R115', 'R116', 'R117', 'R118', 'R119'],
    run: async (t) => {
      const [a, b, c, d] = await t.users('a', 'b', 'c', 'd');
      const [A, B, C, D] = await Promise.all([a, b, c, d].map((user) => t.login(user)));
      const id = await found(A);
      const one = (await t.rest.call('POST', `/chatgroups/${id}/users/${b.name}`)).data;
      equal([one.result, one.groupid, one.action, one.user], [true, id, 'add_member', b.name], 'the answer for one');
      await learns(B, id, 'directJoined');
      equal((await learns(A, id, 'memberPresence')).from, b.name, 'who joined, at the owner');
      const many = (await t.rest.call('POST', `/chatgroups/${id}/users`, { usernames: [b.name, c.name, d.name] })).data;
      equal([[...many.newmembers].sort(), many.groupid, many.action], [[c.name, d.name].sort(), id, 'add_member'], 'the answer for several, one of whom was a member');
      await Promise.all([C, D].map((x) => learns(x, id, 'directJoined')));
      equal([...(await learns(B, id, 'membersPresence')).members].sort(), [c.name, d.name].sort(), 'who joined, in one event');
      const page = await t.rest.call('GET', `/chatgroups/${id}/users?pagenum=1&pagesize=3`);
      equal([page.data.length, page.count], [3, 3], 'members on a page of three');
      const rest = await t.rest.call('GET', `/chatgroups/${id}/users?pagenum=2&pagesize=3`);
      equal(rest.data, [{ owner: a.name }], 'the second page');
      const gone = (await t.rest.call('DELETE', `/chatgroups/${id}/users/${b.name}`)).data;
      equal([gone.result, gone.groupid, gone.user], [true, id, b.name], 'the answer for one removal');
      await learns(B, id, 'removeMember');
      equal((await learns(A, id, 'memberAbsence')).from, b.name, 'who is gone, at the owner');
      const several = (await t.rest.call('DELETE', `/chatgroups/${id}/users/${b.name},${c.name},${a.name}`)).data;
      equal(several.map((x) => [x.user, x.result]), [[b.name, false], [c.name, true], [a.name, false]], 'what became of each removal');
      ok(several.filter((x) => !x.result).every((x) => x.reason), 'a reason for each that failed');
      await learns(C, id, 'removeMember');
      equal(await members(D, id), { [a.name]: 'owner', [d.name]: 'member' }, 'members in the end');
      await refused(say(C, id, 'again'), 602, 'a message of the removed');
      const strangers = Array.from({ length: 61 }, (_, i) => `u${i}`);
      await statuses(t, {
        'adding a member': [403, 'POST', `/chatgroups/${id}/users/${d.name}`],
        'adding an unknown user': [404, 'POST', `/chatgroups/${id}/users/never-registered`],
        'adding 61': [400, 'POST', `/chatgroups/${id}/users`, { usernames: strangers }],
        'adding nobody': [400, 'POST', `/chatgroups/${id}/users`, { usernames: [] }],
        'removing a stranger': [403, 'DELETE', `/chatgroups/${id}/users/${b.name}`],
        'removing the owner': [403, 'DELETE', `/chatgroups/${id}/users/${a.name}`],
        'adding to a group that does not exist': [404, 'POST', `/chatgroups/999999999999/users/${b.name}`],
      });
    },
  },
  {
    id: 'rest-group-joined',
    features: ['GRP-21', 'R100', 'R101', 'R148'],
    run: async (t) => {
      const [a, b] = await t.users('a', 'b');
      const ids = [];
      for (const groupname of ['one', 'two', 'three']) ids.push(await foundRest(t, a, [b], { groupname }));
      const page = (path, number) => t.rest.call('GET', `${path}?pagesize=2&pagenum=${number}`);
      for (const [path, list, id] of [[`/users/${b.name}/joined_chatgroups`, 'data', 'groupid'], [`/chatgroups/user/${b.name}`, 'entities', 'groupId']]) {
        const pages = [await page(path, 0), await page(path, 1), await page(path, 2)];
        equal(pages.map((p) => p[list].length), [2, 1, 0], `groups on each page of two of ${path}, counted from 0`);
        equal(pages.flatMap((p) => p[list].map((g) => g[id])).sort(), [...ids].sort(), `groups of ${path}`);
      }
      const { entities, total } = await page(`/chatgroups/user/${b.name}`, 0);
      equal([total, entities[0].permission ?? entities[0].role, entities[0].affiliations_count, entities[0].owner], [3, 'member', 2, a.name], 'total, and role, members and owner of the first');
      equal((await t.rest.call('GET', `/chatgroups/user/${b.name}/joined_count`)).data, 3, 'joined_count');
      await t.rest.call('DELETE', `/chatgroups/${ids[0]}`);
      await t.rest.call('DELETE', `/chatgroups/${ids[1]}/users/${b.name}`);
      equal((await t.rest.call('GET', `/users/${b.name}/joined_chatgroups`)).data.map((g) => g.groupid), [ids[2]], 'the group that is left');
      await statuses(t, {
        'an unknown user': [404, 'GET', '/users/never-registered/joined_chatgroups'],
        'a page size of 0': [400, 'GET', `/users/${b.name}/joined_chatgroups?pagesize=0&pagenum=0`],
        'a page number below 0': [400, 'GET', `/users/${b.name}/joined_chatgroups?pagesize=2&pagenum=-1`],
      });
    },
  },
  {
    id: 'rest-group-govern',
    features: ['GRP-07', 'GRP-08', 'GRP-09', 'GRP-10', 'R103', 'R104', 'R105', 'R120', 'R121', 'R122'],
    run: async (t) => {
      const [a, b, c] = await t.users('a', 'b', 'c');
      const [A, B, C] = await Promise.all([a, b, c].map((user) => t.login(user)));
      const id = await found(A, [b, c]);
      const changed = (await t.rest.call('PUT', `/chatgroups/${id}`, { groupname: 'by REST', maxusers: 10 })).data;
      equal(changed, { groupname: true, maxusers: true }, 'the answer to a change');
      equal((await learns(A, id, 'updateInfo')).detail.name, 'by REST', 'the name, at the owner');
      equal((await t.rest.call('POST', `/chatgroups/${id}/admin`, { newadmin: b.name })).data, { result: 'success', newadmin: b.name }, 'the answer to a new admin');
      equal((await learns(B, id, 'setAdmin')).userId, b.name, 'the admin in the event');
      const admins = await t.rest.call('GET', `/chatgroups/${id}/admin`);
      equal([admins.data, admins.count], [[b.name], 1], 'the admins');
      equal((await t.rest.call('DELETE', `/chatgroups/${id}/admin/${b.name}`)).data, { result: 'success', oldadmin: b.name }, 'the answer to the end of an admin');
      await learns(B, id, 'removeAdmin');
      equal((await t.rest.call('PUT', `/chatgroups/${id}`, { newowner: c.name })).data, { newowner: true }, 'the answer to a transfer');
      for (const client of [A, C]) await learns(client, id, 'changeOwner');
      equal((await info(B, id)).owner, c.name, 'the owner');
      await statuses(t, {
        'a field that no group has': [400, 'PUT', `/chatgroups/${id}`, { colour: 'red' }],
        'fewer places than members': [400, 'PUT', `/chatgroups/${id}`, { maxusers: 2 }],
        'a stranger as owner': [403, 'PUT', `/chatgroups/${id}`, { newowner: 'never-registered' }],
        'the owner as owner': [403, 'PUT', `/chatgroups/${id}`, { newowner: c.name }],
        'a stranger as admin': [403, 'POST', `/chatgroups/${id}/admin`, { newadmin: 'never-registered' }],
        'the end of no admin': [403, 'DELETE', `/chatgroups/${id}/admin/${b.name}`],
      });
      const ended = (await t.rest.call('DELETE', `/chatgroups/${id}`)).data;
      equal([ended.success, ended.groupid], [true, id], 'the answer to the end of the group');
      await Promise.all([A, B, C].map((x) => learns(x, id, 'destroy')));
      await statuses(t, {
        'ending it twice': [404, 'DELETE', `/chatgroups/${id}`],
        'changing it': [404, 'PUT', `/chatgroups/${id}`, { groupname: 'x' }],
        'adding to it': [404, 'POST', `/chatgroups/${id}/users/${b.name}`],
      });
    },
  },
  {
    id: 'rest-group-tokens',
    features: ['GRP-03', 'GRP-09', 'SEC-04', 'R108', 'R141'],
    run: async (t) => {
      const [a, b, s] = await t.users('a', 'b', 's');
      const [A, B] = await Promise.all([t.login(a), t.login(b)]);
      const id = await foundRest(t, a, [b], { public: false });
      await Promise.all([learns(A, id, 'memberPresence'), learns(B, id, 'directJoined')]);
      const [byMember, byStranger, byOwner] = await Promise.all([b, s, a].map((user) => t.rest.userToken(user.name)));
      await statuses(t, {
        'a change by a member': [403, 'PUT', `/chatgroups/${id}`, { groupname: 'x' }],
        'ending by a member': [403, 'DELETE', `/chatgroups/${id}`],
        'adding by a member': [403, 'POST', `/chatgroups/${id}/users/${s.name}`],
        'a message over REST by a member': [401, 'POST', '/messages/chatgroups', { from: b.name, to: [id], type: 'txt', body: { msg: 'x' } }],
        'the list of all groups for a member': [401, 'GET', '/chatgroups'],
        "another's list of groups": [403, 'GET', `/users/${a.name}/joined_chatgroups`],
        'a group for somebody else': [403, 'POST', '/chatgroups', { groupname: 'x', public: true, owner: a.name }],
      }, byMember);
      await statuses(t, {
        'details for a stranger': [403, 'GET', `/chatgroups/${id}`],
        'members for a stranger': [403, 'GET', `/chatgroups/${id}/users`],
        'a removal by a stranger': [403, 'DELETE', `/chatgroups/${id}/users/${b.name}`],
      }, byStranger);
      await statuses(t, { 'no valid token': [401, 'GET', `/chatgroups/${id}`] }, 'not-a-token');
      const role = async (token) => (await t.rest.raw('GET', `/chatgroups/${id}/roles`, { token })).json?.data?.role;
      equal([await role(byOwner), await role(byMember)], ['owner', 'member'], 'roles of owner and member');
      await sleep(300);
      untold([A, B], id, 'destroy', 'updateInfo', 'memberAbsence', 'removeMember');
      equal(told(A, id, 'memberPresence').map((e) => e.from), [b.name], 'members of whom the owner was told');
      equal(told(B, id, 'directJoined').length, 1, 'directJoined at the member');
      equal(await members(A, id), { [a.name]: 'owner', [b.name]: 'member' }, 'members in the end');
    },
  },
];
