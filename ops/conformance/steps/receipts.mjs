// Delivery, read and conversation receipts as the sender of the messages sees them.
import { equal, ok, sleep, until } from '../expect.mjs';

async function pair(t) {
  const [a, b] = await t.users('a', 'b');
  const [A, B] = await Promise.all([t.login(a, { delivery: true }), t.login(b, { delivery: true })]);
  return { a, b, A, B };
}

export const steps = [
  {
    id: 'receipt-delivery',
    features: ['LIF-02', 'MSG-14'],
    run: async (t) => {
      const { a, b, A, B } = await pair(t);
      const ids = [];
      for (const msg of ['one', 'two', 'three']) ids.push((await A.text(b.name, msg)).serverMsgId);
      await until(() => A.count('onDeliveredMessage') >= 3, () => `3 delivery receipts, got ${A.count('onDeliveredMessage')}`);
      await sleep(300);
      equal(A.all('onDeliveredMessage').map((r) => r.mid).sort(), [...ids].sort(), 'messages that the receipts name');
      equal(A.all('onDeliveredMessage').every((r) => r.from === b.name && r.to === a.name), true, 'from and to of the receipts');
      equal(B.count('onDeliveredMessage'), 0, 'delivery receipts at the receiver');
    },
  },
  {
    id: 'receipt-read',
    features: ['LIF-03', 'MSG-14'],
    run: async (t) => {
      const { a, b, A, B } = await pair(t);
      const { serverMsgId } = await A.text(b.name, 'read me');
      const seen = await B.wait('onTextMessage');
      await B.send({ type: 'read', chatType: 'singleChat', to: a.name, id: seen.id });
      const receipt = await A.wait('onReadMessage');
      equal([receipt.mid, receipt.from, receipt.to], [serverMsgId, b.name, a.name], "the receipt's mid, from, to");
      await sleep(300);
      equal(A.count('onReadMessage'), 1, 'read receipts');
    },
  },
  {
    id: 'receipt-conversation',
    features: ['LIF-04', 'MSG-14', 'CNV-04'],
    run: async (t) => {
      const { a, b, A, B } = await pair(t);
      const second = await t.login(b);
      for (const msg of ['1', '2', '3']) await A.text(b.name, msg);
      await B.wait('onTextMessage', (m) => m.msg === '3');
      await B.send({ type: 'channel', chatType: 'singleChat', to: a.name });
      const receipt = await A.wait('onChannelMessage');
      equal([receipt.from, receipt.to, receipt.chatType], [b.name, a.name, 'singleChat'], "the receipt's from, to, chatType");
      const copy = await second.wait('onChannelMessage');
      equal([copy.from, copy.to], [b.name, a.name], "from and to of the copy at the reader's other device");
      await sleep(300);
      equal([A.count('onChannelMessage'), second.count('onChannelMessage'), B.count('onChannelMessage')], [1, 1, 0], 'receipts at sender, other device, own device');
    },
  },
  {
    id: 'receipt-offline',
    features: ['LIF-02', 'LIF-03', 'LIF-04', 'HIS-05'],
    run: async (t) => {
      const { a, b, A, B } = await pair(t);
      const { serverMsgId } = await A.text(b.name, 'you will read it later');
      await A.wait('onDeliveredMessage');
      await sleep(500); // the SDK shows an entry before it acknowledges it
      await A.logout();
      const seen = await B.wait('onTextMessage');
      await B.send({ type: 'read', chatType: 'singleChat', to: a.name, id: seen.id });
      await B.send({ type: 'channel', chatType: 'singleChat', to: a.name });
      await A.open({ user: a.name, accessToken: await t.rest.userToken(a.name) });
      equal((await A.wait('onReadMessage')).mid, serverMsgId, 'the read message');
      await A.wait('onChannelMessage');
      await sleep(300);
      equal([A.count('onDeliveredMessage'), A.count('onReadMessage'), A.count('onChannelMessage')], [1, 1, 1], 'receipts seen by A in both sessions');
      ok(A.count('onTextMessage') === 0, 'no copy of its own message at A');
    },
  },
];
