import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { spawnWorker } from './worker.ts';

const folder = mkdtempSync(join(tmpdir(), 'tintype-worker-'));
afterAll(() => rmSync(folder, { recursive: true }));

writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
const rng = pathToFileURL(join(import.meta.dirname, 'rng.ts')).href;
writeFileSync(
  join(folder, 'typed.ts'),
  `import { parentPort, workerData } from 'node:worker_threads';
   import { createRng, type Rng } from ${JSON.stringify(rng)};
   const rng: Rng = createRng(workerData as number);
   parentPort!.postMessage(rng.state());`,
);
writeFileSync(
  join(folder, 'built.js'),
  `import { parentPort, workerData } from 'node:worker_threads';
   parentPort.postMessage(workerData + 1);`,
);
writeFileSync(join(folder, 'broken.ts'), `throw new Error('no such luck');`);
const beside = (file: string) => pathToFileURL(join(folder, file)).href;

describe('spawnWorker', () => {
  it('runs TypeScript that imports TypeScript when called from source', async () => {
    const worker = spawnWorker(beside('main.ts'), 'typed', { workerData: 7 });
    const [state] = await once(worker, 'message');
    const { createRng } = await import('./rng.ts');
    expect(state).toEqual(createRng(7).state());
  });

  it('runs the JavaScript file when called from a build', async () => {
    const [answer] = await once(spawnWorker(beside('main.js'), 'built', { workerData: 41 }), 'message');
    expect(answer).toBe(42);
  });

  it('reports an error thrown while the file loads', async () => {
    const worker = spawnWorker(beside('main.ts'), 'broken');
    const [error] = await once(worker, 'error');
    expect((error as Error).message).toBe('no such luck');
  });
});
