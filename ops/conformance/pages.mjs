// A loopback static server for the test page and the SDK bundles, straight from node_modules. It has an origin
// of its own, so every call that the SDK makes to parley is cross-origin and CORS is exercised.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

export const SDKS = {
  'agora-chat': here('node_modules/agora-chat/Agora-chat.js'),
  'easemob-websdk': here('node_modules/easemob-websdk/Easemob-chat.js'),
};

const routes = new Map([['/agent.js', [here('page/agent.js'), 'text/javascript']]]);
for (const [name, bundle] of Object.entries(SDKS)) {
  routes.set(`/${name}/`, [here('page/index.html'), 'text/html']);
  routes.set(`/${name}/sdk.js`, [bundle, 'text/javascript']);
}

// startPages resolves to {origin, close}.
export async function startPages() {
  const server = createServer(async (request, response) => {
    const route = routes.get(new URL(request.url, 'http://pages').pathname);
    if (!route) {
      response.writeHead(404).end();
      return;
    }
    const [path, type] = route;
    response.writeHead(200, { 'content-type': `${type}; charset=utf-8` }).end(await readFile(path));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
