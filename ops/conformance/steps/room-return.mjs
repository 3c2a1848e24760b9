// Viewers whose sockets are cut, who log out, or whose server dies: who is back in time goes on viewing.
import { equal, ok, refused, sequence, sleep, until } from '../expect.mjs';
import {
  allHear, cut, details, hall, heard, hears, join, joined, learns, members, misses, outside, say, sees, told, toldOf, untold,
} from '../room.mjs';

const PATIENT = { autoReconnectNumMax: 100 };

// FORGETFUL are settings of a server that gives up viewers two seconds after their sockets are cut.
const FORGETFUL = { PARLEY_ROOMS_KEEP: '2s', PARLEY_ROOMS_HEARTBEAT: '500ms' };

export const steps = [
  {
    id: 'room-cut-and-back',
    features: ['ROM-04', 'CON-02', 'CON-13'],
    timeout: 60_000,
    run: async (t) => {
      const proxy = await t.proxy();
      const { id, users: [a], clients: [A, B, C] } = await hall(t, 3, { options: [undefined, { proxy, ...PATIENT }] });
      await say(A, id, 'before');
      await allHear([B, C], id, 'before');
      const expected = ['before'];
      for (let round = 1; round <= 2; round++) {
        const connects = B.count('onConnected');
        await proxy.refuse();
        for (let i = 0; i < 5; i++) {
          const msg = `round ${round}, ${i}`;
          await say(i % 2 ? C : A, id, msg);
          expected.push(msg);
        }
        await proxy.accept();
        await until(() => B.count('onConnected') > connects, 'the cut viewer to reconnect', 20_000);
        await hears(B, id, expected.at(-1));
        await say(B, id, `back ${round}`);
        await allHear([A, C], id, `back ${round}`);
      }
      await say(A, id, 'fence');
      await hears(B, id, 'fence');
      await sleep(1200);
      equal(heard(B, id), [...expected, 'fence'], 'what the cut viewer saw');
      untold([A, C], id, 'memberAbsence');
      equal(toldOf(C, id, 'memberPresence'), [], 'who came after the last viewer had joined');
      equal((await details(A, id)).affiliations_count, 4, `the count with ${a.name}`);
    },
  },
  {
    id: 'room-cut-while-busy',
    features: ['ROM-04', 'CON-02', 'LIF-41'],
    timeout: 60_000,
    run: async (t) => {
      const proxy = await t.proxy();
      const { id, clients: [A, B, C] } = await hall(t, 3, { options: [undefined, { proxy, ...PATIENT }] });
      let going = true;
      const sent = [];
      const writing = (async () => {
        for (let i = 0; going; i++) {
          sent.push(`line ${i}`);
          await say(A, id, `line ${i}`);
          await sleep(20);
        }
      })();
      await hears(B, id, 'line 5');
      const onTheWire = new Set(); // clients do not acknowledge what they see of rooms: what the cut caught may be lost, and nothing else
      for (let i = 0; i < 3; i++) {
        const at = sent.length;
        const back = await cut(B, proxy);
        for (const near of [-2, -1, 0, 1]) onTheWire.add(`line ${at + near}`);
        await sleep(100);
        await back();
        await sleep(300);
      }
      going = false;
      await writing;
      await allHear([B, C], id, sent.at(-1));
      await sleep(300);
      sequence(heard(C, id), sent, 'what the viewer saw that was never cut');
      const missing = sent.filter((msg) => !heard(B, id).includes(msg));
      equal(missing.filter((msg) => !onTheWire.has(msg)), [], 'lines that the cut viewer missed, though they were not under way when it was cut');
      ok(missing.length <= 3, `at most one line lost a cut, not ${missing}`);
      sequence(heard(B, id), sent.filter((msg) => !missing.includes(msg)), 'what the viewer saw that was cut three times');
    },
  },
  {
    id: 'room-lease-over',
    features: ['ROM-04'],
    timeout: 60_000,
    run: async (t) => {
      await t.freshServer(FORGETFUL);
      const proxy = await t.proxy();
      const { id, users: [, b], clients: [A, B, C] } = await hall(t, 3, { options: [undefined, { proxy, ...PATIENT }] });
      const connects = B.count('onConnected');
      await sleep(1100);
      await proxy.refuse();
      await say(A, id, 'while it is away');
      for (const client of [A, C]) equal((await misses(client, id, b, 12_000)).memberCount, 3, 'the count when the lease is over');
      equal(Object.keys(await members(A, id)).includes(b.name), false, 'the user among the members');
      await proxy.accept();
      await until(() => B.count('onConnected') > connects, 'the cut viewer to reconnect', 20_000);
      await outside(B, id, A);
      equal([heard(B, id), await joined(B)], [[], []], 'texts and rooms of who is back too late');
      await join(B, id);
      await say(A, id, 'joined anew');
      await hears(B, id, 'joined anew');
      await sees(C, id, b);
      untold([B], id, 'memberAbsence', 'removeMember');
    },
  },
  {
    id: 'room-log-out',
    features: ['ROM-04', 'ROM-15'],
    timeout: 60_000,
    run: async (t) => {
      await t.freshServer(FORGETFUL);
      const { id, users: [, b], clients: [A, B] } = await hall(t, 2);
      await sleep(1100);
      await B.logout();
      equal((await misses(A, id, b, 12_000)).memberCount, 2, 'the count when a viewer has logged out');
      await say(A, id, 'to nobody');
      await B.open({ user: b.name, accessToken: await t.rest.userToken(b.name) });
      await refused(say(B, id, 'am I in?'), 602, 'a message after another log-in');
      await sleep(500);
      equal(heard(B, id), [], 'texts of who logged out');
    },
  },
  {
    id: 'room-allow-list-stays',
    features: ['ROM-04', 'ROM-11'],
    timeout: 60_000,
    run: async (t) => {
      await t.freshServer(FORGETFUL);
      const { id, owner, users: [, b, c], clients: [A, B, C] } = await hall(t, 3);
      await t.rest.call('POST', `/chatrooms/${id}/white/users/${b.name}`);
      await learns(B, id, 'addUserToAllowlist');
      await sleep(1100);
      await Promise.all([B.logout(), C.logout()]);
      await misses(A, id, c, 12_000);
      await sleep(2500);
      equal(toldOf(A, id, 'memberAbsence'), [c.name], 'who is gone two seconds after both logged out');
      equal(await members(A, id), { [owner.name]: 'owner', [A.user]: 'member', [b.name]: 'member' }, 'members');
      await B.open({ user: b.name, accessToken: await t.rest.userToken(b.name) });
      await say(B, id, 'I never left');
      await hears(A, id, 'I never left');
      await say(A, id, 'good');
      await hears(B, id, 'good');
      equal(toldOf(A, id, 'memberPresence'), [b.name, c.name], 'who came: the log-in is no join');
    },
  },
  {
    id: 'room-server-killed',
    features: ['ROM-04', 'CON-02', 'CON-13', 'LIF-01'],
    timeout: 90_000,
    run: async (t) => {
      const server = await t.freshServer();
      const { id, users, clients } = await hall(t, 3, { options: [PATIENT, PATIENT, PATIENT] });
      const [A, B, C] = clients;
      await say(A, id, 'before');
      await allHear([B, C], id, 'before');
      await sleep(1500); // leases are written behind
      for (let kill = 1; kill <= 2; kill++) {
        await server.kill();
        await sleep(300);
        await server.restart();
        await until(() => clients.every((c) => c.count('onConnected') > kill), 'the SDKs to reconnect by themselves', 30_000);
        await say(A, id, `after ${kill}`);
        await allHear([B, C], id, `after ${kill}`);
        await say(C, id, `me too ${kill}`);
        await allHear([A, B], id, `me too ${kill}`);
      }
      await sleep(1200);
      equal(heard(B, id), ['before', 'after 1', 'me too 1', 'after 2', 'me too 2'], 'what a viewer saw');
      untold(clients, id, 'memberAbsence', 'removeMember', 'destroy');
      equal((await details(A, id)).affiliations_count, 4, 'the count after the kills');
      equal(toldOf(A, id, 'memberPresence'), users.slice(1).map((u) => u.name), 'who came: nobody twice');
      equal(told(A, id).length, 2, 'events of the room');
    },
  },
  {
    id: 'room-killed-while-busy',
    features: ['ROM-04', 'CON-02', 'LIF-01'],
    timeout: 90_000,
    run: async (t) => {
      const server = await t.freshServer();
      const { id, clients } = await hall(t, 3, { options: [PATIENT, PATIENT, PATIENT] });
      const [A, B, C] = clients;
      const acknowledged = [];
      let going = true;
      const writing = (async () => {
        for (let i = 0; going; i++) {
          try {
            acknowledged.push((await say(A, id, `line ${i}`)).serverMsgId);
          } catch {
            await sleep(50); // it may have arrived or not
          }
          await sleep(15);
        }
      })();
      await until(() => acknowledged.length >= 300, () => `300 messages acknowledged, got ${acknowledged.length}`, 30_000);
      await server.kill();
      await sleep(300);
      await server.restart();
      await until(() => clients.every((c) => c.count('onConnected') > 1), 'the SDKs to reconnect by themselves', 30_000);
      const before = acknowledged.length;
      await until(() => acknowledged.length >= before + 20, '20 more messages acknowledged', 20_000);
      going = false;
      await writing;
      for (const client of [B, C]) {
        const ids = () => client.all('onTextMessage').filter((m) => m.to === id).map((m) => m.id);
        await until(() => ids().includes(acknowledged.at(-1)), 'the last message');
        equal(ids().length, new Set(ids()).size, `messages and different messages at ${client.user}`);
        sequence(ids().filter((x) => acknowledged.includes(x)), acknowledged, `all that was acknowledged, at ${client.user}`);
      }
    },
  },
  {
    id: 'room-stalled-and-cut',
    features: ['ROM-04', 'CON-02', 'LIF-41'],
    timeout: 60_000,
    run: async (t) => {
      const proxy = await t.proxy();
      const { id, clients: [A, B, C] } = await hall(t, 3, { options: [undefined, { proxy, ...PATIENT }] });
      await say(A, id, 'before');
      await allHear([B, C], id, 'before');
      const connects = B.count('onConnected');
      proxy.stall(); // as in a tunnel: the server writes, and nothing arrives
      for (let i = 0; i < 10; i++) await say(A, id, `in the tunnel ${i}`);
      await hears(C, id, 'in the tunnel 9');
      await proxy.refuse();
      proxy.flow();
      await say(A, id, 'no network at all');
      await proxy.accept();
      await until(() => B.count('onConnected') > connects, 'the SDK to reconnect', 20_000);
      await say(A, id, 'fence');
      await hears(B, id, 'fence');
      await sleep(300);
      sequence(heard(B, id), heard(C, id), 'what the cut viewer saw, as the other did');
    },
  },
  {
    id: 'room-page-reloaded',
    features: ['ROM-03', 'ROM-04', 'HIS-06'],
    run: async (t) => {
      const { id, users: [, b], clients: [A, B] } = await hall(t, 2);
      const texts = ['one', 'two', 'three'];
      for (const msg of texts) await say(A, id, msg);
      await hears(B, id, 'three');
      await B.reload();
      await say(A, id, 'meanwhile');
      await B.open({ user: b.name, accessToken: await t.rest.userToken(b.name) });
      await B.wait('onConnected');
      equal((await join(B, id)).data.info.memberCount, 3, 'the count: nobody has gone or come');
      await say(A, id, 'new');
      await hears(B, id, 'new');
      await sleep(1200);
      const seen = heard(B, id);
      equal([[...seen].sort(), seen.at(-1)], [[...texts, 'meanwhile', 'new'].sort(), 'new'], 'what the page shows that was loaded anew, each once');
      equal([toldOf(A, id, 'memberPresence'), toldOf(A, id, 'memberAbsence')], [[b.name], []], 'who came and went, as the other was told');
    },
  },
  {
    id: 'room-tabs',
    features: ['ROM-04', 'CON-05'],
    timeout: 60_000,
    run: async (t) => {
      await t.freshServer(FORGETFUL);
      const { id, clients: [A] } = await hall(t, 1);
      const [b] = await t.users('b');
      const profile = await t.profile();
      const [one, two] = await Promise.all([1, 2].map(() => t.login(b, { profile })));
      await join(one, id);
      await join(two, id);
      await say(A, id, 'to both tabs');
      await allHear([one, two], id, 'to both tabs');
      await one.close();
      await say(A, id, 'to the tab that is left');
      await hears(two, id, 'to the tab that is left');
      await sleep(3000);
      untold([A], id, 'memberAbsence');
      await say(two, id, 'still here');
      await hears(A, id, 'still here');
      await two.close();
      await misses(A, id, b, 12_000);
    },
  },
];
