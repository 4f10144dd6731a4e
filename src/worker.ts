/**
 * Worker threads that run from source (tests, `npm run dev`) as well as from dist/. Sessions of ONNX Runtime
 * block the thread that they run in, so inference and training live in workers.
 */
import { Worker, type WorkerOptions } from 'node:worker_threads';

/**
 * Starts `name.ts` (from source) or `name.js` (built) beside the module whose `import.meta.url` is `base`.
 *
 *     const worker = spawnWorker(import.meta.url, 'engine-worker', { workerData });
 */
export function spawnWorker(base: string, name: string, options: WorkerOptions = {}): Worker {
  if (!base.endsWith('.ts')) return new Worker(new URL(`./${name}.js`, base), options);
  const entry = new URL(`./${name}.ts`, base).href;
  return new Worker(new URL('./worker-source.mjs', import.meta.url), { ...options, argv: [entry] });
}
