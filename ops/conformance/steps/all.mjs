// Every step, in the order of the table. Ids are stable: ops/coverage.tsv names them.
import { steps as conversations } from './conversations.mjs';
import { steps as devices } from './devices.mjs';
import { steps as groupMessages } from './group-messages.mjs';
import { steps as groupModel } from './group-model.mjs';
import { steps as groups } from './groups.mjs';
import { steps as history } from './history.mjs';
import { steps as login } from './login.mjs';
import { steps as messages } from './messages.mjs';
import { steps as offline } from './offline.mjs';
import { steps as recall } from './recall.mjs';
import { steps as receipts } from './receipts.mjs';
import { steps as restGroups } from './rest-groups.mjs';
import { steps as restMessages } from './rest-messages.mjs';
import { steps as restRooms } from './rest-rooms.mjs';
import { steps as rest } from './rest.mjs';
import { steps as restart } from './restart.mjs';
import { steps as roomMessages } from './room-messages.mjs';
import { steps as roomReturn } from './room-return.mjs';
import { steps as roomViewers } from './room-viewers.mjs';
import { steps as rooms } from './rooms.mjs';
import { steps as sessions } from './sessions.mjs';
import { steps as sockets } from './sockets.mjs';

export const steps = [
  ...login, ...messages, ...receipts, ...offline, ...devices, ...sockets, ...restart, ...history, ...conversations,
  ...groups, ...groupMessages, ...groupModel, ...recall, ...sessions, ...rest, ...restMessages, ...restGroups,
  ...rooms, ...roomViewers, ...roomMessages, ...roomReturn, ...restRooms,
];

const ids = steps.map((step) => step.id);
const twice = ids.find((id, i) => ids.indexOf(id) !== i);
if (twice) throw new Error(`two steps have the id ${twice}`);
