// What the steps assert with. Every failure says what was expected of whom.
import { deepStrictEqual } from 'node:assert';
import { setTimeout as sleep } from 'node:timers/promises';
import { SDKError } from './drivers/client.mjs';

export { sleep };

const brief = (value) => {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 400 ? `${text.slice(0, 400)}… (${text.length} characters)` : text;
};

export function ok(value, what) {
  if (!value) throw new Error(`expected ${what}`);
}

export function equal(actual, expected, what) {
  try {
    deepStrictEqual(actual, expected);
  } catch {
    throw new Error(`${what}: got ${brief(actual)}, expected ${brief(expected)}`);
  }
}

// sequence compares two long lists and names the first difference instead of printing both.
export function sequence(actual, expected, what) {
  const at = expected.findIndex((item, i) => item !== actual[i]);
  if (at >= 0) {
    throw new Error(`${what}: position ${at} is ${brief(actual[at])}, expected ${brief(expected[at])} (${actual.length} of ${expected.length})`);
  }
  if (actual.length > expected.length) {
    throw new Error(`${what}: ${actual.length - expected.length} too many, first ${brief(actual[expected.length])}`);
  }
}

// until polls a condition that may be asynchronous; what may be a function for a late description.
export async function until(condition, what, ms = 8000) {
  for (const deadline = Date.now() + ms; ; await sleep(25)) {
    if (await condition()) return;
    if (Date.now() > deadline) throw new Error(`not within ${ms} ms: ${typeof what === 'function' ? what() : what}`);
  }
}

// settled fails when a promise is neither kept nor broken in time: an SDK call must never hang.
export async function settled(promise, what, ms = 8000) {
  const late = Symbol('late');
  const outcome = promise.then((value) => ({ value }), (error) => ({ error }));
  const first = await Promise.race([outcome, sleep(ms, late, { ref: false })]);
  if (first === late) throw new Error(`${what} neither succeeded nor failed within ${ms} ms`);
  return first;
}

// refused demands that an SDK call fails with one of the types, and gives the error.
export async function refused(promise, types, what, ms = 12_000) {
  const { error, value } = await settled(promise, what, ms);
  if (!error) throw new Error(`${what} succeeded with ${brief(value)}, expected SDK error ${types}`);
  if (!(error instanceof SDKError)) throw error;
  if (![types].flat().includes(error.type)) {
    throw new Error(`${what} failed with type ${error.type} (${error.reason}, ${brief(error.data)}), expected ${types}`);
  }
  return error;
}

// delivered gives the server ids of sendAll's outcomes and fails on the first message that was refused.
export function delivered(outcomes) {
  return outcomes.map(({ value, error }, i) => {
    if (error) throw new Error(`message ${i} refused: ${error.type} ${error.message}`);
    return value.serverMsgId;
  });
}
