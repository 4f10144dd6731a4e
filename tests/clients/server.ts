/** A real server on a real socket for real clients: tiny models that complete and that can be talked to. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { createEngine } from '../../src/decode/engine.ts';
import { createApp } from '../../src/server/app.ts';
import { listen } from '../../src/server/listen.ts';
import { saveChatModel } from '../chat-model.ts';
import { writeTinyModel } from '../e2e/tiny-model.ts';

export interface ClientServer {
  url: string;
  /** Log lines so far, parsed. */
  log: () => Record<string, unknown>[];
  close: () => Promise<void>;
}

/** `code` fills gaps, `chat` answers messages. */
export async function startServer(): Promise<ClientServer> {
  const dir = await mkdtemp(join(tmpdir(), 'tintype-clients-'));
  await writeTinyModel(join(dir, 'code'), 'causalContext');
  await saveChatModel(join(dir, 'chat'), 'blockCausal');
  const engine = await createEngine({ modelDirs: [join(dir, 'code'), join(dir, 'chat')], threads: 1 });
  const lines: string[] = [];
  const logger = pino({}, { write: (line: string) => void lines.push(line) });
  const overdue = new AbortController();
  const app = createApp({ engine, logger, shutdown: overdue.signal });
  const server = await listen(app.fetch, { host: '127.0.0.1', port: 0 });
  return {
    url: server.url,
    log: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>),
    async close() {
      await server.close(1000, () => overdue.abort());
      await engine.close();
      await rm(dir, { recursive: true });
    },
  };
}
