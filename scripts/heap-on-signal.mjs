/**
 * For `node --import`: on SIGUSR2 a process collects its garbage and says on stderr how large its heap is then, as
 * `{"heapBytes": …}`. Worker threads get no signals and stay as they are.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread } from 'node:worker_threads';

if (isMainThread) {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  process.on('SIGUSR2', () => {
    collect();
    collect();
    process.stderr.write(`${JSON.stringify({ heapBytes: process.memoryUsage().heapUsed })}\n`);
  });
}
