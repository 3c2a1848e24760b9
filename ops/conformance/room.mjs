// A room as steps make it, view it and talk in it.
import { equal, refused, sleep, until } from './expect.mjs';

// openRoom makes a room as the app's back end, and gives its id.
export async function openRoom(t, owner, more = {}) {
  const { data } = await t.rest.call('POST', '/chatrooms', { name: 'a room', description: 'd', owner: owner.name, ...more });
  return data.id;
}

export const join = (client, roomId, more = {}) => client.invoke('joinChatRoom', { roomId, ...more });

export const leave = (client, roomId) => client.invoke('leaveChatRoom', { roomId });

// say sends a text to a room.
export function say(client, roomId, msg, more = {}) {
  return client.text(roomId, msg, { chatType: 'chatRoom', ...more });
}

export const lines = (roomId, count, mark, more = {}) =>
  Array.from({ length: count }, (_, i) => ({ type: 'txt', chatType: 'chatRoom', to: roomId, msg: `${mark} ${i}`, ...more }));

// heard gives the texts of a room that a client saw, in order.
export function heard(client, roomId) {
  return client.all('onTextMessage').filter((m) => m.to === roomId).map((m) => m.msg);
}

export function hears(client, roomId, msg, ms) {
  return client.wait('onTextMessage', (m) => m.to === roomId && m.msg === msg, ms);
}

export const allHear = (clients, roomId, msg) => Promise.all(clients.map((client) => hears(client, roomId, msg)));

// told gives the events of a room that a client saw; with operations only those.
export function told(client, roomId, ...operations) {
  return client.all('onChatroomEvent').filter((e) => e.id === roomId && (!operations.length || operations.includes(e.operation)));
}

// toldOf gives of whom an operation spoke, in order.
export const toldOf = (client, roomId, operation) => told(client, roomId, operation).map((e) => e.from);

// learns waits for an event of a room, past or coming.
export function learns(client, roomId, operation, match = () => true, ms = 8000) {
  return client.wait('onChatroomEvent', (e) => e.id === roomId && e.operation === operation && match(e), ms)
    .catch((error) => {
      throw new Error(`no ${operation} of the room: ${error.message}; its events: ${JSON.stringify(told(client, roomId))}`);
    });
}

// sees waits until a client was told that somebody came, goes until it was told that somebody went.
export const sees = (client, roomId, user) => learns(client, roomId, 'memberPresence', (e) => e.from === user.name);

export const misses = (client, roomId, user, ms) => learns(client, roomId, 'memberAbsence', (e) => e.from === user.name, ms);

// untold demands that none of the clients saw any of the operations.
export function untold(clients, roomId, ...operations) {
  for (const client of clients) {
    equal(told(client, roomId, ...operations), [], `${operations.join(', ')} at ${client.user}, whom it does not concern`);
  }
}

// hall makes a room of a fresh owner, and viewers who have joined one after the other, each seen by all before: {id, owner, users, clients}.
export async function hall(t, count, { room = {}, options = [] } = {}) {
  const [owner, ...users] = await t.users('owner', ...Array.from({ length: count }, (_, i) => `v${i}`));
  const [id, ...clients] = await Promise.all([openRoom(t, owner, room), ...users.map((user, i) => t.login(user, options[i]))]);
  for (const [i, client] of clients.entries()) {
    await join(client, id);
    for (const before of clients.slice(0, i)) await sees(before, id, users[i]);
  }
  return { id, owner, users, clients };
}

// details gives what the SDK shows of a room.
export async function details(client, chatRoomId) {
  const { data } = await client.invoke('getChatRoomDetails', { chatRoomId });
  equal(data.length, 1, 'rooms in the answer for one');
  return data[0];
}

// members gives who is in a room as the SDK's list by cursor shows it: {name: role}.
export async function members(client, chatRoomId, limit = 50) {
  const all = {};
  for (let cursor = '', n = 0; ; n++) {
    const { data } = await client.invoke('getChatRoomMembers', { chatRoomId, limit, cursor });
    for (const m of data.members) {
      if (all[m.userId]) throw new Error(`${m.userId} is twice in the list of members`);
      all[m.userId] = m.role;
    }
    ({ cursor } = data);
    if (!cursor) return all;
    if (n > 40) throw new Error('a list of members without an end after 40 pages');
  }
}

// joined gives the ids of the rooms that the client's user is in, sorted.
export async function joined(client) {
  const { data } = await client.invoke('getJoinedChatRooms', { pageNum: 1, pageSize: 50 });
  return data.map((r) => r.id).sort();
}

// past reads all history of a room, oldest first: the messages, and how many pages they came in.
export async function past(client, roomId, { pageSize = 20, searchDirection = 'down' } = {}) {
  const all = [];
  for (let cursor = -1, pages = 1; ; pages++) {
    const page = await client.history(roomId, { chatType: 'chatRoom', pageSize, searchDirection, cursor });
    all.push(...page.messages);
    if (page.isLast) return { all, pages };
    if (pages > 40) throw new Error('history without an end after 40 pages');
    ({ cursor } = page);
  }
}

export const recall = (client, to, mid, more = {}) => client.invoke('recallMessage', { mid, to, chatType: 'chatRoom', ...more });

// outside demands that a client cannot speak in a room any more, and sees nothing of it.
export async function outside(client, roomId, inside) {
  await refused(say(client, roomId, 'from outside'), 602, 'a message of who does not view the room');
  const before = heard(client, roomId);
  const mark = `fence ${Math.random()}`;
  await say(inside, roomId, mark);
  await sleep(400);
  equal(heard(client, roomId), before, 'texts of who does not view the room');
}

// cut takes the network from a client until it comes back, and gives what brings it back: that waits until the SDK has reconnected.
export async function cut(client, proxy) {
  const connects = client.count('onConnected');
  await proxy.refuse();
  await until(() => client.count('onReconnecting') + client.count('onDisconnected') > 0, 'the SDK to notice the cut');
  return async () => {
    await proxy.accept();
    await until(() => client.count('onConnected') > connects, () => `${client.user} to reconnect`, 20_000);
  };
}

// statuses makes calls that must be refused: {what: [status, method, path, body]}.
export async function statuses(t, calls, token) {
  const by = token ?? await t.rest.appToken();
  for (const [what, [status, method, path, body]] of Object.entries(calls)) {
    const answer = await t.rest.raw(method, path, { token: by, body });
    equal([answer.status, typeof answer.json?.error], [status, 'string'], `status and error for ${what} (${answer.text.slice(0, 160)})`);
  }
}
