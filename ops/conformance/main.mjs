// The conformance run: every wanted step × SDK × environment against a fresh server each, then one table.
// Started by ./run, which provides packages, browser and binary.
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startServer } from './cluster.mjs';
import { startChromium } from './drivers/chromium.mjs';
import { startJsdom } from './drivers/jsdom.mjs';
import { SDKS, startPages } from './pages.mjs';
import { runSteps } from './runner.mjs';
import { steps as allSteps } from './steps/all.mjs';
import { render } from './table.mjs';

const { values: options } = parseArgs({
  options: {
    sdk: { type: 'string', multiple: true, default: Object.keys(SDKS) },
    env: { type: 'string', multiple: true, default: ['jsdom', 'chromium'] },
    step: { type: 'string', multiple: true },
    server: { type: 'string' },
    chromium: { type: 'string', default: '/usr/bin/chromium' },
    nodes: { type: 'string', default: '1' },
    parallel: { type: 'string', default: '4' },
    limit: { type: 'string', default: '600' },
    logs: { type: 'string' },
    verbose: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
  },
});

const environments = {
  jsdom: (origin) => startJsdom(origin),
  chromium: (origin) => startChromium(origin, options.chromium),
};

function wanted() {
  const unknown = [
    ...options.sdk.filter((sdk) => !SDKS[sdk]),
    ...options.env.filter((env) => !environments[env]),
    ...(options.step ?? []).filter((id) => !allSteps.some((step) => step.id === id)),
  ];
  if (unknown.length) throw new Error(`unknown: ${unknown.join(', ')} (ids of steps: --list)`);
  return options.step ? allSteps.filter((step) => options.step.includes(step.id)) : allSteps;
}

// column runs all steps in one SDK and environment. What keeps it from running at all is its failure.
async function column(sdk, env, steps, { origin, deadline }) {
  const name = `${sdk}/${env}`;
  const binary = { bin: options.server, logs: options.logs, nodes: Number(options.nodes) };
  const results = new Map();
  const done = { name, results };
  let driver;
  let server;
  try {
    driver = await environments[env](origin);
    server = await startServer(binary);
    await runSteps(steps, { sdk, driver, server, binary }, {
      parallel: Number(options.parallel),
      deadline,
      verbose: options.verbose,
      onResult: (result) => {
        results.set(result.id, result);
        console.log(`${result.ok ? 'pass' : 'FAIL'} ${name} ${result.id} ${result.ms} ms${result.ok ? '' : `: ${result.reason}`}`);
      },
    });
  } catch (error) {
    done.broken = error.message;
  } finally {
    await Promise.race([driver?.close(), sleep(10_000, undefined, { ref: false })]);
    await server?.stop();
  }
  return done;
}

async function main() {
  if (options.list) {
    for (const { id, features } of allSteps) console.log(`${id}\t${features.join(' ')}`);
    return 0;
  }
  if (!options.server) throw new Error('--server BIN is missing: use ./run, which builds it');
  const steps = wanted();
  const deadline = Date.now() + Number(options.limit) * 1000;
  const pages = await startPages();
  const columns = [];
  for (const sdk of options.sdk) {
    for (const env of options.env) columns.push(await column(sdk, env, steps, { origin: pages.origin, deadline }));
  }
  pages.close();
  const { text, failed } = render(steps, columns);
  console.log(`\n${text}`);
  return failed ? 1 : 0;
}

// A late rejection from a page that was closed meanwhile belongs to a step that has ended: the step's own
// promises have reported what matters.
process.on('unhandledRejection', (error) => console.error(`note: ${error?.message ?? error}`));

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(130));

process.exit(await main().catch((error) => {
  console.error(error.message);
  return 2;
}));
