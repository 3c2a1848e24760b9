// A group as steps make it, watch it and talk in it.
import { equal, sleep, until } from './expect.mjs';

const PLAIN = {
  groupname: 'a group', desc: '', members: [], public: true, approval: false, allowinvites: false, inviteNeedConfirm: false,
  maxusers: 200,
};

// found makes a group over the SDK, the client's user its owner, and gives its id. Unless said otherwise it is public, open, and takes in
// members without asking them.
export async function found(client, members = [], more = {}) {
  const { data } = await client.invoke('createGroup', { data: { ...PLAIN, members: members.map((m) => m.name), ...more } });
  return data.groupid;
}

// foundRest does the same as the app's back end.
export async function foundRest(t, owner, members = [], more = {}) {
  const { data } = await t.rest.call('POST', '/chatgroups', {
    groupname: 'a group', public: true, membersonly: false, allowinvites: false, invite_need_confirm: false, maxusers: 200,
    owner: owner.name, members: members.map((m) => m.name), ...more,
  });
  return data.groupid;
}

// say sends a text to a group.
export function say(client, groupId, msg, more = {}) {
  return client.text(groupId, msg, { chatType: 'groupChat', ...more });
}

export const lines = (groupId, count, mark) =>
  Array.from({ length: count }, (_, i) => ({ type: 'txt', chatType: 'groupChat', to: groupId, msg: `${mark} ${i}` }));

// heard gives the texts of a group that a client saw, in order.
export function heard(client, groupId) {
  return client.all('onTextMessage').filter((m) => m.to === groupId).map((m) => m.msg);
}

export function hears(client, groupId, msg, ms) {
  return client.wait('onTextMessage', (m) => m.to === groupId && m.msg === msg, ms);
}

// told gives the events of a group that a client saw; with operations only those.
export function told(client, groupId, ...operations) {
  return client.all('onGroupEvent').filter((e) => e.id === groupId && (!operations.length || operations.includes(e.operation)));
}

// learns waits for an event of a group, past or coming.
export function learns(client, groupId, operation, match = () => true) {
  return client.wait('onGroupEvent', (e) => e.id === groupId && e.operation === operation && match(e))
    .catch((error) => {
      throw new Error(`no ${operation} of the group: ${error.message}; its events: ${JSON.stringify(told(client, groupId))}`);
    });
}

// untold demands that none of the clients saw any of the operations.
export function untold(clients, groupId, ...operations) {
  for (const client of clients) {
    equal(told(client, groupId, ...operations), [], `${operations.join(', ')} at ${client.user}, whom it does not concern`);
  }
}

// past reads all history of a group in one direction: the messages, and how many pages they came in.
export async function past(client, groupId, { pageSize = 50, searchDirection = 'down', ...more } = {}) {
  const all = [];
  for (let cursor = -1, n = 1; ; n++) {
    const page = await client.history(groupId, { chatType: 'groupChat', pageSize, searchDirection, cursor, ...more });
    all.push(...page.messages);
    if (page.isLast) return { all, pages: n };
    if (n > 40) throw new Error('history without an end after 40 pages');
    ({ cursor } = page);
  }
}

// kept waits until history has so many messages, and gives their texts, oldest first.
export async function kept(client, groupId, count) {
  let texts = [];
  await until(async () => (texts = (await past(client, groupId)).all.map((m) => m.msg)).length >= count, () => `${count} messages in history, got ${texts.length}`);
  equal(texts.length, count, 'messages in history');
  return texts;
}

// info gives what the SDK shows of a group.
export async function info(client, groupId) {
  const { data } = await client.invoke('getGroupInfo', { groupId });
  equal(data.length, 1, 'groups in the answer for one');
  return data[0];
}

// members gives who is in a group as the SDK's list by cursor shows it: {name: role}.
export async function members(client, groupId) {
  const { data } = await client.invoke('getGroupMembers', { groupId, limit: 50, cursor: '' });
  return Object.fromEntries(data.members.map((m) => [m.userId, m.role]));
}

// away logs a client out when all that it saw is acknowledged, and waits until the server knows.
export async function away(t, client) {
  await sleep(500); // the SDK shows an entry before it acknowledges it
  await client.logout();
  await until(async () => (await t.rest.call('GET', `/users/${client.user}/status`)).data[client.user] === 'offline', `${client.user} to be offline`);
}

// back logs a client in again.
export async function back(t, client) {
  await client.open({ user: client.user, accessToken: await t.rest.userToken(client.user) });
}
