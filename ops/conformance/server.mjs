// A parley server of the harness's own: one process on a fresh data folder and ports that the system chose.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

// On real engines a server makes topics and tables first.
const onEngines = process.env.PARLEY_STORAGE_LOG === 'kafka' || process.env.PARLEY_STORAGE_TABLES === 'cassandra';
const READY_MS = onEngines ? 90_000 : 20_000;

// ownPlace gives a server, or several as one, topics and tables of its own.
export function ownPlace() {
  if (!onEngines) return {};
  const name = `c${randomBytes(6).toString('hex')}`;
  return {
    PARLEY_KAFKA_PREFIX: `${name}.`, PARLEY_CASSANDRA_KEYSPACE: name, PARLEY_PARTITIONS_CHATS: '4', PARLEY_PARTITIONS_ROOMS: '1',
  };
}

// Children that still run: they end with this process, whatever ends it.
const running = new Set();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export class Server {
  #bin;
  #dir;
  #child;
  #exited;
  #asked = false;
  #logs;
  #env;

  // start resolves when the server answers. bin is the parley binary; logs, if any, a folder that keeps its log;
  // env has settings as environment variables.
  static async start({ bin, logs, env = {} }) {
    const server = new Server();
    server.#bin = bin;
    server.#logs = logs;
    server.#env = { ...ownPlace(), ...env };
    server.#dir = await mkdtemp(join(tmpdir(), 'parley-conformance-'));
    try {
      await server.#launch('127.0.0.1:0', '127.0.0.1:0');
      return server;
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  get port() {
    return Number(new URL(this.dev.ws).port);
  }

  async #launch(listen, admin) {
    const log = await open(join(this.#dir, 'server.log'), 'a');
    const args = ['serve', '--dev', '--data', join(this.#dir, 'data'), '--listen', listen, '--admin', admin];
    const child = spawn(this.#bin, args, { stdio: ['ignore', log.fd, log.fd], env: { ...process.env, ...this.#env } });
    this.#child = child;
    this.#asked = false;
    running.add(child);
    this.#exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => resolve(signal ?? code));
      child.once('error', (error) => resolve(error.message));
    });
    await log.close();
    let gone;
    this.#exited.then(async (how) => {
      gone = how;
      running.delete(child);
      if (!this.#asked) console.error(`the server ended by itself (${how}):\n${await this.logTail(40)}`);
    });
    for (const deadline = Date.now() + READY_MS; Date.now() < deadline; await sleep(25)) {
      if (gone !== undefined) throw new Error(`server ended (${gone}) before it was ready:\n${await this.logTail()}`);
      if (await this.#answers()) return;
    }
    throw new Error(`server not ready within ${READY_MS} ms:\n${await this.logTail()}`);
  }

  async #answers() {
    try {
      this.dev = JSON.parse(await readFile(join(this.#dir, 'data', 'dev.json'), 'utf8'));
      const ready = await fetch(`${this.dev.admin}/readyz`, { signal: AbortSignal.timeout(2000) });
      await ready.arrayBuffer();
      if (ready.status !== 200) return false;
      const answer = await fetch(`${this.dev.rest}/${this.dev.app.replace('#', '/')}/token`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          grant_type: 'client_credentials', client_id: this.dev.client_id, client_secret: this.dev.client_secret,
        }),
        signal: AbortSignal.timeout(2000),
      });
      await answer.arrayBuffer();
      return answer.status === 200;
    } catch {
      return false;
    }
  }

  // kill ends the process as a power cut would: SIGKILL, no word to anyone.
  async kill() {
    this.#asked = true;
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  // restart starts a killed server again on the same data and the same ports.
  restart() {
    return this.#launch(new URL(this.dev.rest).host, String(this.dev.admin).replace(/^https?:\/\//, ''));
  }

  // stop ends the server politely, then by force, and removes its data.
  async stop() {
    this.#asked = true;
    if (this.#child && this.#child.exitCode === null && this.#child.signalCode === null && this.#child.pid) {
      this.#child.kill('SIGTERM');
      await Promise.race([this.#exited, sleep(4000, undefined, { ref: false })]);
      this.#child.kill('SIGKILL');
      await this.#exited;
    }
    if (this.#logs) {
      await mkdir(this.#logs, { recursive: true });
      await copyFile(join(this.#dir, 'server.log'), join(this.#logs, `${basename(this.#dir)}.log`)).catch(() => {});
    }
    await rm(this.#dir, { recursive: true, force: true });
  }

  async logTail(lines = 15) {
    const text = await readFile(join(this.#dir, 'server.log'), 'utf8').catch(() => '');
    return text.trimEnd().split('\n').slice(-lines).join('\n');
  }
}
