/** Training in a thread of its own: ONNX Runtime blocks the thread it runs in. Events go out as messages. */
import { parentPort, workerData } from 'node:worker_threads';
import { TintypeError } from '../errors.ts';
import { runTraining, type RunOptions } from './run.ts';

/** Like `RunOptions`, with the stop signal in shared memory, since a blocked thread reads no messages. */
export type TrainWorkerData = Omit<RunOptions, 'stopped'> & { stop: Int32Array };

const { stop, ...options } = workerData as TrainWorkerData;
try {
  for await (const event of runTraining({ ...options, stopped: () => Atomics.load(stop, 0) !== 0 })) {
    parentPort!.postMessage({ event });
  }
} catch (error) {
  if (!(error instanceof TintypeError)) throw error;
  parentPort!.postMessage({ error: { code: error.code, parts: { ...error.parts, cause: undefined } } });
}
