// Runs steps against one SDK in one environment, a few at a time: most of a step is waiting.
import { setTimeout as sleep } from 'node:timers/promises';
import { Trial } from './trial.mjs';

const STEP_MS = 30_000;
const NODE_MS = 15_000; // more for each further node that a step's own server may have to start

// runStep gives {id, ok, ms, reason}. A step that is late fails; its clean-up runs all the same.
async function runStep(step, surroundings, verbose) {
  const trial = new Trial(surroundings);
  const started = Date.now();
  const limit = (step.timeout ?? STEP_MS) + NODE_MS * (surroundings.binary.nodes - 1);
  let reason;
  const work = Promise.resolve().then(() => step.run(trial));
  work.catch(() => {});
  const stop = new AbortController();
  try {
    await Promise.race([
      work,
      sleep(limit, undefined, { signal: stop.signal }).then(() => {
        throw new Error(`the step took more than ${limit} ms`);
      }),
    ]);
  } catch (error) {
    reason = error.message || String(error);
    if (verbose) reason += `\n${error.stack}\n${trial.story()}`;
  }
  stop.abort();
  const ms = Date.now() - started;
  await Promise.race([trial.end(), sleep(8000, undefined, { ref: false })]).catch((error) => {
    reason ??= `clean-up: ${error.message}`;
  });
  return { id: step.id, ok: reason === undefined, ms, reason };
}

// runSteps starts the slow steps first so that the run does not end waiting for one of them. After the deadline
// no step is started any more: what is left fails.
export async function runSteps(steps, surroundings, { parallel, deadline, verbose, onResult }) {
  const queue = [...steps].sort((x, y) => (y.timeout ?? STEP_MS) - (x.timeout ?? STEP_MS));
  const worker = async () => {
    for (let step = queue.shift(); step; step = queue.shift()) {
      if (Date.now() < deadline) onResult(await runStep(step, surroundings, verbose));
      else onResult({ id: step.id, ok: false, ms: 0, reason: 'not started: the time for the whole run was over' });
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
}
