/** llama.cpp against our own decoding where node-llama-cpp is installed, and a stand-in for its server everywhere. */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { saveTextModel } from '../../tests/text-model.ts';
import { appendCanvas } from '../decode/canvas.ts';
import { decode } from '../decode/decode.ts';
import { collect } from '../decode/events.ts';
import { writeGguf } from '../model/gguf-write.ts';
import { loadCheckpoint } from '../model/hf.ts';
import { loadDenoiser } from '../model/load.ts';
import { hasLlama, openLlama } from './llama.ts';

/** Answers 7, 8, 9 … after the last id of the prompt, ends at `n_predict`; refuses an empty prompt. */
const SERVER = `#!/usr/bin/env node
const { createServer } = require('node:http');
const port = Number(process.argv[process.argv.indexOf('--port') + 1]);
if (!process.argv.includes('--model')) process.exit(3);
createServer((request, response) => {
  if (request.url === '/health') return response.end('{}');
  let text = '';
  request.on('data', (part) => (text += part));
  request.on('end', () => {
    const { prompt, n_predict, temperature, cache_prompt } = JSON.parse(text);
    if (prompt.length === 0 || temperature !== 0 || cache_prompt) return response.writeHead(400).end('bad');
    for (let i = 1; i <= n_predict; i++) {
      response.write('data: ' + JSON.stringify({ content: '', tokens: [prompt.at(-1) + i], stop: false }) + '\\n\\n');
    }
    response.end('data: ' + JSON.stringify({ content: '', tokens: [], stop: true }) + '\\n\\n');
  });
}).listen(port, '127.0.0.1');
`;

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tintype-llama-'));
  for (const [name, text] of [
    ['server.cjs', SERVER],
    ['broken.cjs', `#!/usr/bin/env node\nconsole.error('no such model');process.exit(1);`],
  ]) {
    await writeFile(join(dir, name), text);
    await chmod(join(dir, name), 0o755);
  }
});
afterAll(() => rm(dir, { recursive: true }));

describe.skipIf(process.platform === 'win32')('a llama-server', () => {
  const open = (name: string) => openLlama('m.gguf', { contextLength: 64, server: join(dir, name) });

  it('is started, asked with ids, and stopped', async () => {
    const llama = await open('server.cjs');
    try {
      const reply = await llama.generate({ ids: [5, 6], maxTokens: 3 });
      expect(reply.ids).toEqual([7, 8, 9]);
      expect(reply.firstMs).toBeLessThanOrEqual(reply.elapsedMs);
      const short = await llama.generate({ ids: [6], maxTokens: 9, isOver: (ids) => ids.length === 2 });
      expect(short.ids).toEqual([7, 8]);
      await expect(llama.generate({ ids: [], maxTokens: 1 })).rejects.toMatchObject({ code: 'unsupported' });
    } finally {
      await llama.close();
    }
  });

  it('that is not there, or ends at once, says so', async () => {
    await expect(open('nothing')).rejects.toMatchObject({ code: 'not_found' });
    await expect(open('broken.cjs')).rejects.toMatchObject({
      code: 'unsupported',
      parts: { got: expect.stringContaining('status 1') },
    });
  });
});

describe.skipIf(!(await hasLlama()))('node-llama-cpp', () => {
  it('writes our greedy tokens from an exported f32 file', async () => {
    for (const layout of ['causal', 'causalContext'] as const) {
      const folder = join(dir, layout);
      await saveTextModel(folder, layout);
      const path = join(dir, `${layout}.gguf`);
      await writeGguf(path, { ...(await loadCheckpoint(folder)), name: layout, type: 'f32' });
      const llama = await openLlama(path, { contextLength: 256, threads: 1, cacheType: 'f32' });
      const { denoiser } = await loadDenoiser(folder, { threads: 1 });
      try {
        for (const ids of [[300, 301, 302, 40], [17], Array.from({ length: 100 }, (_, i) => 20 + 7 * i)]) {
          // The same weights, one token at a time, each from its past alone.
          const causal = {
            ...denoiser,
            config: { ...denoiser.config, layout: 'causal' as const, blockLength: 1 },
          };
          const { done } = await collect(decode(causal, appendCanvas(ids, 12)));
          expect((await llama.generate({ ids, maxTokens: 12 })).ids).toEqual(done.ids);
        }
      } finally {
        await llama.close();
        await denoiser.close();
      }
    }
  });
});

it.skipIf(await hasLlama())('says how to get llama.cpp where it is not installed', async () => {
  await expect(openLlama('m.gguf', { contextLength: 64 })).rejects.toMatchObject({
    code: 'unsupported',
    parts: { next: expect.stringContaining('npm install --no-save') },
  });
});
