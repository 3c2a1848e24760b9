// Groups as their owners, admins, members and strangers handle them over the SDK, and what each of them is told.
import { equal, ok, refused, settled, sleep, until } from '../expect.mjs';
import { away, back, found, heard, hears, info, learns, members, say, told, untold } from '../group.mjs';

// everybody logs fresh users in: {a, b, …} and {A, B, …} under the letters given.
async function everybody(t, letters) {
  const users = await t.users(...letters);
  const clients = await Promise.all(users.map((user) => t.login(user)));
  const all = {};
  [...letters].forEach((letter, i) => {
    all[letter] = users[i];
    all[letter.toUpperCase()] = clients[i];
  });
  return all;
}

// pagesOf reads a list by cursor to its end.
async function pagesOf(read) {
  const all = [];
  for (let cursor = '', n = 0; ; n++) {
    const page = await read(cursor);
    all.push(...page.data);
    ({ cursor } = page);
    if (!cursor) return all;
    ok(n < 200, 'an end of the list');
  }
}

export const steps = [
  {
    id: 'group-create',
    features: ['GRP-01', 'GRP-06', 'GRP-23', 'R098', 'R102'],
    run: async (t) => {
      const { a, b, c, A, B, C } = await everybody(t, 'abc');
      const [d] = await t.users('d');
      const second = await t.login(a);
      await away(t, C);
      const id = await found(A, [b, c, d], { groupname: '群组 🎈', desc: '描述', avatar: 'https://example.invalid/a.png', ext: '{"k":1}', maxusers: 50 });
      ok(/^[0-9]{1,20}$/.test(id), `a group id of digits, not ${JSON.stringify(id)}`);
      const joined = await learns(B, id, 'directJoined');
      equal([joined.from, joined.name], [a.name, '群组 🎈'], 'from and name of directJoined');
      equal((await learns(second, id, 'create')).from, a.name, "from of create at the owner's other device");
      const group = await info(A, id);
      equal(
        [group.id, group.name, group.description, group.owner, group.public, group.membersonly, group.allowinvites, group.maxusers, group.custom, group.avatar, group.affiliations_count],
        [id, '群组 🎈', '描述', a.name, true, false, false, 50, '{"k":1}', 'https://example.invalid/a.png', 4], 'the group as the SDK shows it',
      );
      equal(await members(B, id), { [a.name]: 'owner', [b.name]: 'member', [c.name]: 'member', [d.name]: 'member' }, 'members and roles');
      await back(t, C);
      await learns(C, id, 'directJoined');
      const D = await t.login(d);
      await learns(D, id, 'directJoined');
      await sleep(300);
      equal(told(A, id), [], 'events at the device that made the group');
      equal([B, C, D].map((x) => told(x, id, 'directJoined').length), [1, 1, 1], 'directJoined at each member');
      untold([B, C, D], id, 'create', 'memberPresence', 'membersPresence', 'inviteToJoin');
      await say(D, id, 'hello all');
      await Promise.all([A, B, C, second].map((x) => hears(x, id, 'hello all')));
    },
  },
  {
    id: 'group-create-refused',
    features: ['GRP-01', 'R098'],
    run: async (t) => {
      const { a, b, A } = await everybody(t, 'ab');
      await refused(found(A, [{ name: 'never-registered' }]), 204, 'a group with an unknown member');
      await refused(found(A, [b], { maxusers: 1 }), 607, 'a group with more members than it has room for');
      await refused(found(A, [], { groupname: 'x'.repeat(129) }), 17, 'a group with a name of 129 characters');
      await refused(found(A, [], { desc: 'x'.repeat(513) }), 17, 'a group with a description of 513 characters');
      const id = await found(A, [a, b, b]);
      equal(await members(A, id), { [a.name]: 'owner', [b.name]: 'member' }, 'members when the owner and one twice are named');
      equal((await A.invoke('getJoinedGroupsCount')).data, 1, 'groups of A: what was refused is not there');
    },
  },
  {
    id: 'group-create-vnext',
    features: ['GRP-01', 'GRP-02', 'GRP-03'],
    run: async (t) => {
      const { a, b, c, A, B, C } = await everybody(t, 'abc');
      const { data } = await A.invoke('createGroupVNext', { groupName: 'private', members: [b.name] });
      const id = data.groupId;
      await learns(B, id, 'directJoined');
      const group = await info(A, id);
      equal([group.public, group.membersonly, group.allowinvites, group.maxusers], [false, false, true, 200], 'the SDK defaults of a private group');
      await refused(C.invoke('joinGroup', { groupId: id, message: '' }), 603, 'joining a private group');
      await refused(C.invoke('getGroupInfo', { groupId: id }), [602, 603], 'details of a private group for a stranger');
      await refused(C.invoke('getGroupMembers', { groupId: id }), [602, 603], 'members of a private group for a stranger');
      await B.invoke('inviteUsersToGroup', { groupId: id, users: [c.name] });
      equal((await learns(C, id, 'directJoined')).from, b.name, 'a member may bring in others where the group allows it');
      equal((await members(C, id))[a.name], 'owner', 'the owner as the new member sees it');
    },
  },
  {
    id: 'group-create-asking',
    features: ['GRP-01', 'GRP-06'],
    run: async (t) => {
      const { a, b, A, B } = await everybody(t, 'ab');
      const id = await found(A, [b], { groupname: 'ask me', inviteNeedConfirm: true });
      const asked = await learns(B, id, 'inviteToJoin');
      equal([asked.from, asked.name], [a.name, 'ask me'], 'from and name of inviteToJoin');
      equal(await members(A, id), { [a.name]: 'owner' }, 'members before the answer');
      await refused(say(B, id, 'not yet'), 602, 'a message of somebody who is invited only');
      await B.invoke('acceptGroupInvite', { groupId: id, invitee: b.name });
      equal((await learns(A, id, 'acceptInvite')).from, b.name, 'who accepted');
      await say(B, id, 'now');
      await hears(A, id, 'now');
      untold([B], id, 'directJoined');
    },
  },
  {
    id: 'group-public-list',
    features: ['GRP-03', 'R147'],
    run: async (t) => {
      const { A, B } = await everybody(t, 'ab');
      const names = ['public one', 'public two', 'public three'];
      const ids = [];
      for (const groupname of names) ids.push(await found(A, [], { groupname }));
      const hidden = await found(A, [], { groupname: 'hidden', public: false });
      const list = (limit) => pagesOf((cursor) => B.invoke('getPublicGroups', cursor ? { limit, cursor } : { limit }));
      const all = await list(2);
      equal(new Set(all.map((g) => g.groupid)).size, all.length, 'different groups in pages of two');
      equal(ids.map((id) => all.find((g) => g.groupid === id)?.groupname), names, 'names of the public groups in the list');
      ok(!all.some((g) => g.groupid === hidden), 'the private group not to be in the list');
      const stranger = await info(B, ids[0]);
      equal([stranger.name, stranger.affiliations_count], ['public one', 1], 'a public group as a stranger sees it');
      await A.invoke('destroyGroup', { groupId: ids[1] });
      await until(async () => !(await list(50)).some((g) => g.groupid === ids[1]), 'the destroyed group to leave the list');
    },
  },
  {
    id: 'group-join-open',
    features: ['GRP-05', 'GRP-23', 'R142'],
    run: async (t) => {
      const { a, b, c, A, B, C } = await everybody(t, 'abc');
      const id = await found(A, [b]);
      const second = await t.login(c);
      await C.invoke('joinGroup', { groupId: id, message: 'let me in' });
      for (const client of [A, B]) {
        const event = await learns(client, id, 'memberPresence');
        equal([event.from, event.memberCount], [c.name, 3], 'who joined, and how many members there are');
      }
      await say(C, id, 'hello');
      await Promise.all([A, B, second].map((x) => hears(x, id, 'hello')));
      await say(A, id, 'welcome');
      await Promise.all([B, C, second].map((x) => hears(x, id, 'welcome')));
      equal(await members(C, id), { [a.name]: 'owner', [b.name]: 'member', [c.name]: 'member' }, 'members');
      await refused(C.invoke('joinGroup', { groupId: id, message: '' }), 601, 'joining twice');
      await refused(C.invoke('joinGroup', { groupId: '999999999999999', message: '' }), 605, 'joining a group that does not exist');
      await sleep(300);
      untold([A, B, C], id, 'requestToJoin', 'acceptRequest');
      equal(told(A, id, 'memberPresence').length, 1, 'memberPresence at the owner');
    },
  },
  {
    id: 'group-application',
    features: ['GRP-05', 'GRP-09', 'GRP-23', 'R142', 'R143'],
    run: async (t) => {
      const { b, c, d, e, A, B, C, D, E } = await everybody(t, 'abcde');
      const id = await found(A, [b, c], { approval: true });
      await A.invoke('setGroupAdmin', { groupId: id, username: b.name });
      await D.invoke('joinGroup', { groupId: id, message: '请让我进来 🙏' });
      for (const client of [A, B]) {
        const event = await learns(client, id, 'requestToJoin');
        equal([event.from, event.reason], [d.name, '请让我进来 🙏'], 'who asks, and why');
      }
      await refused(say(D, id, 'not yet'), 602, 'a message of an applicant');
      await refused(C.invoke('acceptGroupJoinRequest', { groupId: id, applicant: d.name }), 603, 'an answer by a plain member');
      await B.invoke('acceptGroupJoinRequest', { groupId: id, applicant: d.name });
      await learns(D, id, 'acceptRequest');
      for (const client of [A, C]) equal((await learns(client, id, 'memberPresence')).from, d.name, 'who joined');
      await say(D, id, 'in');
      await hears(C, id, 'in');
      await E.invoke('joinGroup', { groupId: id, message: 'me too' });
      await learns(A, id, 'requestToJoin', (x) => x.from === e.name);
      await A.invoke('rejectGroupJoinRequest', { groupId: id, applicant: e.name, reason: 'no room' });
      await learns(E, id, 'joinPublicGroupDeclined');
      await refused(say(E, id, 'still not'), 602, 'a message of a declined applicant');
      await refused(A.invoke('acceptGroupJoinRequest', { groupId: id, applicant: e.name }), [17, 603], 'an answer to an application that has one');
      await sleep(300);
      untold([C, D, E], id, 'requestToJoin');
      untold([A, B, C, E], id, 'acceptRequest');
      untold([A, B, C, D], id, 'joinPublicGroupDeclined');
      equal([told(A, id, 'requestToJoin').length, told(B, id, 'requestToJoin').length], [2, 2], 'applications seen by owner and admin');
    },
  },
  {
    id: 'group-application-offline',
    features: ['GRP-05', 'GRP-23', 'HIS-05'],
    run: async (t) => {
      const { b, c, A, B, C } = await everybody(t, 'abc');
      const id = await found(A, [], { approval: true });
      await away(t, A);
      await B.invoke('joinGroup', { groupId: id, message: 'first' });
      await C.invoke('joinGroup', { groupId: id, message: 'second' });
      await Promise.all([away(t, B), away(t, C)]);
      await back(t, A);
      equal((await learns(A, id, 'requestToJoin', (x) => x.from === b.name)).reason, 'first', "B's reason");
      equal((await learns(A, id, 'requestToJoin', (x) => x.from === c.name)).reason, 'second', "C's reason");
      await A.invoke('acceptGroupJoinRequest', { groupId: id, applicant: b.name });
      await A.invoke('rejectGroupJoinRequest', { groupId: id, applicant: c.name, reason: 'sorry' });
      await say(A, id, 'for the new member');
      await Promise.all([back(t, B), back(t, C)]);
      await learns(B, id, 'acceptRequest');
      await learns(C, id, 'joinPublicGroupDeclined');
      await hears(B, id, 'for the new member');
      await sleep(300);
      equal([told(B, id).map((x) => x.operation), told(C, id).map((x) => x.operation), heard(C, id)], [['acceptRequest'], ['joinPublicGroupDeclined'], []], 'all that the applicants were told');
    },
  },
  {
    id: 'group-invitation',
    features: ['GRP-06', 'GRP-23', 'R144', 'R145'],
    run: async (t) => {
      const { a, b, c, d, A, B, C, D } = await everybody(t, 'abcd');
      const id = await found(A, [d], { groupname: 'by invitation', inviteNeedConfirm: true, allowinvites: true });
      await D.invoke('acceptGroupInvite', { groupId: id, invitee: d.name });
      await away(t, C);
      await D.invoke('inviteUsersToGroup', { groupId: id, users: [b.name, c.name] });
      const asked = await learns(B, id, 'inviteToJoin');
      equal([asked.from, asked.name], [d.name, 'by invitation'], 'from and name of inviteToJoin');
      await refused(say(B, id, 'not yet'), 602, 'a message of an invited user');
      await B.invoke('acceptGroupInvite', { groupId: id, invitee: b.name });
      equal((await learns(D, id, 'acceptInvite')).from, b.name, 'who accepted, at the inviter');
      equal((await learns(A, id, 'memberPresence', (e) => e.from === b.name)).memberCount, 3, 'members, at the owner');
      await say(B, id, 'in');
      await hears(A, id, 'in');
      await back(t, C);
      await learns(C, id, 'inviteToJoin');
      await C.invoke('rejectGroupInvite', { groupId: id, invitee: c.name });
      equal((await learns(D, id, 'rejectInvite')).from, c.name, 'who declined, at the inviter');
      await refused(C.invoke('acceptGroupInvite', { groupId: id, invitee: c.name }), [17, 603], 'accepting what was declined');
      await refused(C.invoke('acceptGroupInvite', { groupId: id, invitee: a.name }), 603, "answering another's invitation");
      await refused(say(C, id, 'still not'), 602, 'a message after declining');
      await sleep(300);
      untold([B, C], id, 'acceptInvite', 'rejectInvite');
      equal(told(A, id, 'acceptInvite', 'rejectInvite').map((e) => e.from), [d.name], 'answers at the owner: to its own invitation alone');
      untold([B, C], id, 'directJoined');
      equal(await members(A, id), { [a.name]: 'owner', [b.name]: 'member', [d.name]: 'member' }, 'members');
    },
  },
  {
    id: 'group-invitation-direct',
    features: ['GRP-06', 'GRP-09', 'R144', 'R117'],
    run: async (t) => {
      const { a, b, c, d, A, B, C } = await everybody(t, 'abcd');
      const id = await found(A, [b], { groupname: 'no questions' });
      await refused(B.invoke('inviteUsersToGroup', { groupId: id, users: [c.name] }), 603, 'an invitation by a plain member');
      await refused(C.invoke('inviteUsersToGroup', { groupId: id, users: [d.name] }), 602, 'an invitation by a stranger');
      const { data } = await A.invoke('inviteUsersToGroup', { groupId: id, users: [c.name, 'never-registered'] });
      equal(data.map((x) => [x.user, x.result]), [[c.name, true], ['never-registered', false]], 'what became of each invitation');
      const joined = await learns(C, id, 'directJoined');
      equal([joined.from, joined.name], [a.name, 'no questions'], 'from and name of directJoined');
      equal((await learns(B, id, 'memberPresence')).from, c.name, 'who joined, at another member');
      await refused(A.invoke('inviteUsersToGroup', { groupId: id, users: [c.name] }), 601, 'inviting a member');
      await say(C, id, 'hello');
      await Promise.all([hears(A, id, 'hello'), hears(B, id, 'hello')]);
      untold([C], id, 'inviteToJoin', 'memberPresence');
    },
  },
  {
    id: 'group-leave',
    features: ['GRP-07', 'GRP-23', 'R146'],
    run: async (t) => {
      const { a, b, c, A, B, C } = await everybody(t, 'abc');
      const id = await found(A, [b, c]);
      const second = await t.login(b);
      await learns(C, id, 'directJoined');
      await away(t, C);
      await B.invoke('leaveGroup', { groupId: id });
      const gone = await learns(A, id, 'memberAbsence');
      equal([gone.from, gone.memberCount], [b.name, 2], 'who left, and how many are left');
      await until(() => told(second, id, 'memberAbsence', 'removeMember').some((e) => e.from === b.name), "word at the leaver's other device");
      await say(A, id, 'without B');
      await back(t, C);
      equal((await learns(C, id, 'memberAbsence')).from, b.name, 'who left, at a member who was away');
      await hears(C, id, 'without B');
      await refused(say(B, id, 'again'), 602, 'a message of who left');
      await refused(B.invoke('leaveGroup', { groupId: id }), 602, 'leaving twice');
      await refused(A.invoke('leaveGroup', { groupId: id }), 603, 'the owner leaving');
      equal(await members(A, id), { [a.name]: 'owner', [c.name]: 'member' }, 'members');
      equal([heard(B, id), heard(second, id)], [[], []], 'what the devices of who left saw afterwards');
      equal((await B.invoke('getJoinedGroupsCount')).data, 0, 'groups of who left');
      await B.invoke('joinGroup', { groupId: id, message: '' });
      await say(A, id, 'with B again');
      await Promise.all([hears(B, id, 'with B again'), hears(second, id, 'with B again')]);
      equal([heard(B, id), heard(second, id)], [['with B again'], ['with B again']], 'what the devices saw after coming back');
    },
  },
  {
    id: 'group-remove',
    features: ['GRP-07', 'GRP-09', 'GRP-23', 'GRP-24', 'R118', 'R119'],
    run: async (t) => {
      const { a, b, c, d, e, A, B, C, D, E } = await everybody(t, 'abcde');
      const id = await found(A, [b, c, d, e]);
      await A.invoke('setGroupAdmin', { groupId: id, username: b.name });
      await learns(E, id, 'directJoined');
      await away(t, E);
      await refused(C.invoke('removeGroupMember', { groupId: id, username: d.name }), 603, 'a removal by a plain member');
      await refused(B.invoke('removeGroupMember', { groupId: id, username: a.name }), 603, 'a removal of the owner');
      await B.invoke('removeGroupMember', { groupId: id, username: c.name });
      equal((await learns(C, id, 'removeMember')).from, b.name, 'who removed, at the removed');
      for (const client of [A, D]) {
        const gone = await learns(client, id, 'memberAbsence');
        equal([gone.from, gone.memberCount], [c.name, 4], 'who is gone, and how many are left');
      }
      await refused(say(C, id, 'again'), 602, 'a message of the removed');
      await refused(B.invoke('removeGroupMember', { groupId: id, username: c.name }), 602, 'removing twice');
      const { data } = await A.invoke('removeGroupMembers', { groupId: id, users: [d.name, e.name, c.name] });
      equal(data.map((x) => [x.user, x.result]), [[d.name, true], [e.name, true], [c.name, false]], 'what became of each removal');
      await learns(D, id, 'removeMember');
      const gone = await learns(B, id, 'membersAbsence');
      equal([[...gone.members].sort(), gone.memberCount], [[d.name, e.name].sort(), 2], 'who is gone, in one event');
      await say(A, id, 'in private');
      await hears(B, id, 'in private');
      await back(t, E);
      await learns(E, id, 'removeMember');
      await sleep(300);
      equal([C, D, E].map((x) => [told(x, id, 'removeMember').length, heard(x, id)]), [[1, []], [1, []], [1, []]], 'what the removed saw');
      untold([A, B], id, 'removeMember');
      await refused(C.invoke('getGroupMembers', { groupId: id }), [602, 603], 'members for the removed');
    },
  },
  {
    id: 'group-destroy',
    features: ['GRP-07', 'GRP-23', 'R105'],
    run: async (t) => {
      const { b, c, d, A, B, C } = await everybody(t, 'abcd');
      const id = await found(A, [b, c], { groupname: 'to end' });
      await learns(C, id, 'directJoined');
      await say(B, id, 'last words');
      await hears(C, id, 'last words');
      await away(t, C);
      await refused(B.invoke('destroyGroup', { groupId: id }), 603, 'destroying by a plain member');
      await A.invoke('destroyGroup', { groupId: id });
      await learns(B, id, 'destroy');
      await back(t, C);
      await learns(C, id, 'destroy');
      await refused(say(B, id, 'anyone?'), 605, 'a message to a destroyed group');
      await refused(B.invoke('joinGroup', { groupId: id, message: '' }), 605, 'joining a destroyed group');
      await refused(A.invoke('destroyGroup', { groupId: id }), 605, 'destroying twice');
      await refused(A.invoke('getGroupInfo', { groupId: id }), 605, 'details of a destroyed group');
      await refused(A.invoke('inviteUsersToGroup', { groupId: id, users: [d.name] }), 605, 'inviting to a destroyed group');
      for (const client of [A, B, C]) equal((await client.invoke('getJoinedGroupsCount')).data, 0, 'groups afterwards');
      await sleep(300);
      equal([told(B, id, 'destroy').length, told(C, id, 'destroy').length], [1, 1], 'destroy at each member');
      equal(heard(C, id), ['last words'], 'what C saw of the group');
    },
  },
  {
    id: 'group-transfer',
    features: ['GRP-08', 'GRP-09', 'GRP-23', 'R104'],
    run: async (t) => {
      const { a, b, c, A, B, C } = await everybody(t, 'abc');
      const id = await found(A, [b]);
      const second = await t.login(a);
      await refused(B.invoke('changeGroupOwner', { groupId: id, newOwner: b.name }), 603, 'a transfer by a plain member');
      await refused(A.invoke('changeGroupOwner', { groupId: id, newOwner: c.name }), 602, 'a transfer to a stranger');
      await refused(A.invoke('changeGroupOwner', { groupId: id, newOwner: a.name }), 603, 'a transfer to oneself');
      await A.invoke('changeGroupOwner', { groupId: id, newOwner: b.name });
      for (const client of [B, second]) equal((await learns(client, id, 'changeOwner')).from, a.name, 'who handed the group over');
      equal((await info(A, id)).owner, b.name, 'the owner');
      equal(await members(B, id), { [a.name]: 'member', [b.name]: 'owner' }, 'roles');
      await refused(A.invoke('modifyGroup', { groupId: id, groupName: 'mine' }), 603, 'a change by the former owner');
      await A.invoke('leaveGroup', { groupId: id });
      await B.invoke('modifyGroup', { groupId: id, groupName: 'now mine' });
      equal((await info(B, id)).name, 'now mine', 'the name that the new owner gave');
      untold([C], id, 'changeOwner');
    },
  },
  {
    id: 'group-admins',
    features: ['GRP-09', 'GRP-23', 'R120', 'R121', 'R122', 'R141'],
    run: async (t) => {
      const { b, c, d, A, B, C } = await everybody(t, 'abcd');
      const id = await found(A, [b, c]);
      await refused(B.invoke('setGroupAdmin', { groupId: id, username: c.name }), 603, 'an admin named by a plain member');
      await refused(A.invoke('setGroupAdmin', { groupId: id, username: d.name }), 602, 'a stranger as admin');
      await A.invoke('setGroupAdmin', { groupId: id, username: b.name });
      equal((await learns(B, id, 'setAdmin')).userId, b.name, 'the admin in the event');
      await refused(A.invoke('setGroupAdmin', { groupId: id, username: b.name }), 603, 'the same admin twice');
      equal((await C.invoke('getGroupAdmin', { groupId: id })).data, [b.name], 'the admins');
      equal((await members(C, id))[b.name], 'admin', "the admin's role in the list of members");
      await B.invoke('modifyGroup', { groupId: id, description: 'by the admin' });
      await B.invoke('inviteUsersToGroup', { groupId: id, users: [d.name] });
      await refused(B.invoke('setGroupAdmin', { groupId: id, username: c.name }), 603, 'an admin named by an admin');
      await refused(B.invoke('destroyGroup', { groupId: id }), 603, 'destroying by an admin');
      await A.invoke('removeGroupAdmin', { groupId: id, username: b.name });
      await learns(B, id, 'removeAdmin');
      await refused(B.invoke('modifyGroup', { groupId: id, description: 'again' }), 603, 'a change by a former admin');
      await say(A, id, 'fence');
      await hears(C, id, 'fence');
      untold([A, C], id, 'setAdmin', 'removeAdmin'); // the SDK's events do not say whom they concern
      equal((await C.invoke('getGroupAdmin', { groupId: id })).data, [], 'the admins in the end');
    },
  },
  {
    id: 'group-update-info',
    features: ['GRP-10', 'GRP-23', 'R103'],
    run: async (t) => {
      const { b, c, A, B, C } = await everybody(t, 'abc');
      const id = await found(A, [b, c], { groupname: 'old' });
      await learns(C, id, 'directJoined');
      await away(t, C);
      await refused(B.invoke('modifyGroup', { groupId: id, groupName: 'by a member' }), 603, 'a change by a plain member');
      await A.invoke('modifyGroup', { groupId: id, groupName: '新名字' });
      const { detail, from } = await learns(B, id, 'updateInfo');
      equal([detail.name, from], ['新名字', A.user], 'the new name, and who gave it');
      equal(Object.keys(detail).sort(), ['lastModified', 'name'], 'fields in detail: what changed, and when');
      ok(Math.abs(detail.lastModified - Date.now()) < 60_000, `a plausible lastModified, not ${detail.lastModified}`);
      await A.invoke('modifyGroup', { groupId: id, groupName: '新名字', description: 'text', ext: '{"n":2}', avatar: 'https://example.invalid/b.png' });
      const more = (await learns(B, id, 'updateInfo', (e) => e.detail.description)).detail;
      equal([more.description, more.ext, more.avatar, more.name], ['text', '{"n":2}', 'https://example.invalid/b.png', undefined], 'detail of the second change');
      await t.rest.call('PUT', `/chatgroups/${id}`, { membersonly: true, allowinvites: true, invite_need_confirm: true, public: false, maxusers: 300 });
      const flags = (await learns(B, id, 'updateInfo', (e) => e.detail.maxUsers)).detail;
      equal([flags.approval, flags.allowInvites, flags.inviteNeedConfirm, flags.public, flags.maxUsers], [true, true, true, false, 300], 'detail of the change over REST');
      const group = await info(B, id);
      equal([group.name, group.description, group.custom, group.membersonly, group.allowinvites, group.public, group.maxusers], ['新名字', 'text', '{"n":2}', true, true, false, 300], 'the group in the end');
      await back(t, C);
      await learns(C, id, 'updateInfo', (e) => e.detail.maxUsers);
      equal(told(C, id, 'updateInfo').length, 3, 'changes that the member learnt who was away');
    },
  },
  {
    id: 'group-members-list',
    features: ['GRP-20', 'R115'],
    run: async (t) => {
      const { a, A } = await everybody(t, 'a');
      const others = await t.users('m1', 'm2', 'm3', 'm4', 'm5');
      const id = await found(A);
      for (const user of others) await t.rest.call('POST', `/chatgroups/${id}/users/${user.name}`);
      await A.invoke('setGroupAdmin', { groupId: id, username: others[0].name });
      const expected = [...others.map((u) => u.name).reverse(), a.name];
      const byCursor = await pagesOf(async (cursor) => {
        const { data } = await A.invoke('getGroupMembers', { groupId: id, limit: 4, ...(cursor ? { cursor } : {}) });
        return { data: data.members, cursor: data.cursor };
      });
      equal(byCursor.map((m) => m.userId), expected, 'members by cursor, who joined last first');
      equal(byCursor.map((m) => m.role), ['member', 'member', 'member', 'member', 'admin', 'owner'], 'roles by cursor');
      ok(byCursor.every((m) => Math.abs(m.joinedTime - Date.now()) < 60_000), `times of joining: ${JSON.stringify(byCursor.map((m) => m.joinedTime))}`);
      const pages = [];
      for (const pageNum of [1, 2, 3]) pages.push((await A.invoke('listGroupMembers', { groupId: id, pageNum, pageSize: 4 })).data);
      equal(pages.map((p) => p.length), [4, 2, 0], 'members on each page of four');
      equal(pages.flat().map((m) => m.owner ?? m.member), expected, 'members by page');
      equal(pages.flat().filter((m) => m.owner).map((m) => m.owner), [a.name], 'the owner by page');
    },
  },
  {
    id: 'group-joined-list',
    features: ['GRP-21', 'R100', 'R101', 'R148'],
    run: async (t) => {
      const { a, b, A, B } = await everybody(t, 'ab');
      equal((await A.invoke('getJoinedGroupsCount')).data, 0, 'groups of a new user');
      const own = await found(A, [b], { groupname: 'own' });
      const other = await found(B, [a], { groupname: 'other', approval: true });
      const third = await found(B, [a], { groupname: 'third' });
      equal((await A.invoke('getJoinedGroupsCount')).data, 3, 'groups');
      const plain = (await A.invoke('getJoinedGroups', { pageNum: 1, pageSize: 20 })).data;
      equal(Object.fromEntries(plain.map((g) => [g.groupid, g.groupname])), { [own]: 'own', [other]: 'other', [third]: 'third' }, 'groups on the first page, number 1 as the SDK counts here');
      const paged = [];
      for (const pageNum of [1, 2, 3]) paged.push((await A.invoke('getJoinedGroups', { pageNum, pageSize: 2 })).data.map((g) => g.groupid));
      equal([paged.map((p) => p.length), [...paged.flat()].sort()], [[2, 1, 0], [own, other, third].sort()], 'pages of two');
      const full = (await A.invoke('getJoinedGroups', { pageNum: 0, pageSize: 20, needAffiliations: true, needRole: true })).entities;
      const shown = Object.fromEntries(full.map((g) => [g.groupId, [g.groupName, g.role, g.affiliationsCount, g.approval, g.public]]));
      equal(shown, { [own]: ['own', 'owner', 2, false, true], [other]: ['other', 'member', 2, true, true], [third]: ['third', 'member', 2, false, true] }, 'groups with role and number of members, page 0');
      await A.invoke('leaveGroup', { groupId: third });
      await B.invoke('destroyGroup', { groupId: other });
      equal((await A.invoke('getJoinedGroupsCount')).data, 1, 'groups after leaving one and the end of another');
      const left = (await A.invoke('getJoinedGroups', { pageNum: 0, pageSize: 20, needRole: true })).entities;
      equal(left.map((g) => g.groupId), [own], 'the group that is left');
    },
  },
  {
    id: 'group-full',
    features: ['GRP-01', 'GRP-05', 'GRP-06'],
    run: async (t) => {
      const { b, c, A, C } = await everybody(t, 'abc');
      const id = await found(A, [b], { maxusers: 2 });
      await refused(C.invoke('joinGroup', { groupId: id, message: '' }), 606, 'joining a full group');
      await refused(A.invoke('inviteUsersToGroup', { groupId: id, users: [c.name] }), 606, 'inviting to a full group');
      await A.invoke('removeGroupMember', { groupId: id, username: b.name });
      await C.invoke('joinGroup', { groupId: id, message: '' });
      await say(C, id, 'there is room');
      await hears(A, id, 'there is room');
    },
  },
  {
    id: 'group-refusals',
    features: ['GRP-07', 'GRP-09', 'GRP-20', 'SEC-04'],
    run: async (t) => {
      const { a, b, c, A, C } = await everybody(t, 'abc');
      const id = await found(A, [b], { approval: true });
      const absent = '123456789';
      for (const [what, of, type] of [['a stranger', id, 602], ['a group that does not exist', absent, 605]]) {
        await refused(say(C, of, 'hello?'), type, `a message: ${what}`);
        await refused(C.send({ type: 'channel', chatType: 'groupChat', to: of }), type, `a receipt: ${what}`);
        await refused(C.invoke('leaveGroup', { groupId: of }), type, `leaving: ${what}`);
        await refused(C.invoke('getGroupMembers', { groupId: of }), type, `members: ${what}`);
        await refused(C.invoke('listGroupMembers', { groupId: of, pageNum: 1, pageSize: 10 }), type, `members by page: ${what}`);
        await refused(C.invoke('getGroupAdmin', { groupId: of }), type, `admins: ${what}`);
        await refused(C.invoke('blockGroupMessage', { groupId: of }), type, `shielding: ${what}`);
        await refused(C.invoke('modifyGroup', { groupId: of, groupName: 'x' }), type === 602 ? [602, 603] : type, `a change: ${what}`);
        await refused(C.invoke('removeGroupMember', { groupId: of, username: b.name }), type === 602 ? [602, 603] : type, `a removal: ${what}`);
        await refused(C.invoke('destroyGroup', { groupId: of }), type === 602 ? [602, 603] : type, `destroying: ${what}`);
        await refused(C.invoke('acceptGroupInvite', { groupId: of, invitee: c.name }), type === 602 ? [17, 602, 603] : type, `an answer without invitation: ${what}`);
      }
      await refused(A.invoke('acceptGroupJoinRequest', { groupId: id, applicant: c.name }), [17, 603], 'an answer without application');
      await refused(A.invoke('removeGroupMember', { groupId: id, username: 'never-registered' }), [204, 602], 'removing an unknown user');
      await refused(say(A, 'not-a-number', 'hello?'), [605, -3], 'a message to an id that no group can have');
      equal(await members(A, id), { [a.name]: 'owner', [b.name]: 'member' }, 'members after all that');
      await say(A, id, 'still in order');
      equal(told(A, id), [], 'events at the owner: nothing happened');
    },
  },
  {
    id: 'group-shield',
    features: ['GRP-17', 'R149'],
    run: async (t) => {
      const { b, c, A, B, C } = await everybody(t, 'abc');
      const id = await found(A, [b, c]);
      await learns(B, id, 'directJoined');
      const second = await t.login(b);
      await say(A, id, 'before');
      await Promise.all([B, second, C].map((x) => hears(x, id, 'before')));
      await B.invoke('blockGroupMessage', { groupId: id });
      equal((await info(B, id)).shieldgroup, true, 'shieldgroup for who shields');
      equal((await info(A, id)).shieldgroup, false, 'shieldgroup for another member');
      await say(A, id, 'shielded');
      await hears(C, id, 'shielded');
      await A.invoke('modifyGroup', { groupId: id, groupName: 'events still come' });
      await learns(B, id, 'updateInfo');
      await say(B, id, 'I can talk');
      await hears(A, id, 'I can talk');
      await B.invoke('unblockGroupMessage', { groupId: id });
      await say(A, id, 'after');
      await Promise.all([B, second, C].map((x) => hears(x, id, 'after')));
      equal(heard(B, id), ['before', 'after'], 'what the shielding device saw');
      equal(heard(C, id), ['before', 'shielded', 'I can talk', 'after'], 'what another member saw');
    },
  },
  {
    id: 'group-user-deleted',
    features: ['ACC-07', 'GRP-07'],
    run: async (t) => {
      const { a, b, c, A, B, C } = await everybody(t, 'abc');
      const [mine, theirs] = [await found(A, [b, c]), await found(B, [a, c])];
      await learns(C, theirs, 'directJoined');
      await t.rest.call('DELETE', `/users/${a.name}`);
      await learns(B, mine, 'destroy');
      await learns(C, mine, 'destroy');
      equal((await learns(C, theirs, 'memberAbsence')).from, a.name, 'who is gone from the other group');
      equal(await members(B, theirs), { [b.name]: 'owner', [c.name]: 'member' }, 'members of the other group');
      await t.rest.call('POST', '/users', { username: a.name, password: 'anew' });
      const anew = await t.login(a);
      equal((await anew.invoke('getJoinedGroupsCount')).data, 0, 'groups of a new user of the name');
      await settled(say(B, theirs, 'not for the new one'), 'a message');
      await hears(C, theirs, 'not for the new one');
      await sleep(300);
      equal([told(anew, theirs), heard(anew, theirs)], [[], []], 'what the new user saw of the other group');
      await refused(say(anew, theirs, 'hello?'), 602, 'a message of the new user');
    },
  },
];
