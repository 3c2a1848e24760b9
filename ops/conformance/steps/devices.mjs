// Several devices of one user, and several tabs of one device.
import { equal, ok, sleep, until } from '../expect.mjs';

export const steps = [
  {
    id: 'devices-own-copies',
    features: ['CON-05', 'LIF-31'],
    run: async (t) => {
      const [a, b] = await t.users('a', 'b');
      const phone = await t.login(a);
      const desk = await t.login(a);
      const B = await t.login(b);
      const { serverMsgId } = await phone.text(b.name, 'from the phone', { ext: { n: 1 } });
      const copy = await desk.wait('onTextMessage');
      equal([copy.id, copy.from, copy.to, copy.msg, copy.ext], [serverMsgId, a.name, b.name, 'from the phone', { n: 1 }], 'the copy at the other device');
      await desk.text(b.name, 'from the desk');
      await phone.wait('onTextMessage', (m) => m.msg === 'from the desk');
      await B.text(a.name, 'to both');
      await Promise.all([phone, desk].map((d) => d.wait('onTextMessage', (m) => m.msg === 'to both')));
      await sleep(500); // the SDK shows an entry before it acknowledges it
      await desk.logout();
      await phone.text(b.name, 'while the desk was off');
      await desk.open({ user: a.name, accessToken: await t.rest.userToken(a.name) });
      await desk.wait('onTextMessage', (m) => m.msg === 'while the desk was off');
      await sleep(300);
      equal(phone.texts(), ['from the desk', 'to both'], 'all that the phone saw');
      equal(desk.texts(), ['from the phone', 'to both', 'while the desk was off'], 'all that the desk saw');
      equal(B.texts(), ['from the phone', 'from the desk', 'while the desk was off'], 'all that B saw');
    },
  },
  {
    id: 'devices-list',
    features: ['CON-10', 'ACC-11', 'CON-09', 'R019'],
    run: async (t) => {
      const [a] = await t.users('a');
      const one = await t.login(a);
      equal((await one.invoke('getSelfIdsOnOtherPlatform')).data, [], 'other devices of a user with one');
      const two = await t.login(a, { deviceId: 'tablet' });
      const three = await t.login(a, { customOSPlatform: 7, customDeviceName: 'kiosk' });
      const resources = await Promise.all([one, two, three].map((d) => d.resource()));
      equal(new Set(resources).size, 3, 'different resources');
      ok(resources[2].startsWith('custom7_'), `a custom platform's resource, not ${resources[2]}`);
      const others = (await one.invoke('getSelfIdsOnOtherPlatform')).data;
      equal([...others].sort(), [`${a.name}/${resources[1]}`, `${a.name}/${resources[2]}`].sort(), 'ids of the other devices');
      const listed = (await t.rest.call('GET', `/users/${a.name}/resources`)).data;
      equal(listed.map((d) => d.res).sort(), [...resources].sort(), 'resources over REST');
      ok(listed.every((d) => d.device_uuid && d.device_name), `device_uuid and device_name of each: ${JSON.stringify(listed)}`);
      await three.logout();
      await until(async () => (await one.invoke('getSelfIdsOnOtherPlatform')).data.length === 1, 'one other device after a log-out');
    },
  },
  {
    id: 'devices-addressed',
    features: ['CON-10'],
    run: async (t) => {
      const [a, b] = await t.users('a', 'b');
      const [one, two, three] = [await t.login(a), await t.login(a), await t.login(a)];
      const B = await t.login(b);
      const target = `${a.name}/${await two.resource()}`;
      await one.text(target, 'to my second device');
      const seen = await two.wait('onTextMessage');
      equal(seen.msg, 'to my second device', 'the text');
      equal(seen.from, `${a.name}/${await one.resource()}`, 'the sending device');
      await B.text(target, 'from outside to one device');
      await two.wait('onTextMessage', (m) => m.msg === 'from outside to one device');
      await B.text(a.name, 'to all');
      await Promise.all([one, two, three].map((d) => d.wait('onTextMessage', (m) => m.msg === 'to all')));
      equal(one.texts(), ['to all'], 'all that the first device saw');
      equal(three.texts(), ['to all'], 'all that the third device saw');
    },
  },
  {
    id: 'tabs-of-one-device',
    features: ['CON-08', 'CON-05'],
    run: async (t) => {
      const [a, b] = await t.users('a', 'b');
      const profile = await t.profile();
      const left = await t.login(a, { profile });
      const right = await t.login(a, { profile });
      equal(await right.resource(), await left.resource(), 'the resource of both tabs');
      const B = await t.login(b);
      for (let i = 0; i < 6; i++) {
        await B.text(a.name, `tick ${i}`);
        await sleep(600);
      }
      const ticks = Array.from({ length: 6 }, (_, i) => `tick ${i}`);
      await until(() => left.texts().length >= 6 && right.texts().length >= 6, () => `6 messages in both tabs, got ${left.texts().length} and ${right.texts().length}`);
      equal([left.texts(), right.texts()], [ticks, ticks], 'messages in both tabs');
      for (const tab of [left, right]) {
        equal([tab.count('onConnected'), tab.count('onDisconnected'), tab.count('onReconnecting')], [1, 0, 0], 'connects, disconnects and reconnects of a tab');
      }
      await left.close();
      await B.text(a.name, 'to the tab that stayed');
      await right.wait('onTextMessage', (m) => m.msg === 'to the tab that stayed');
      await right.text(b.name, 'answer');
      await B.wait('onTextMessage', (m) => m.msg === 'answer');
    },
  },
];
