/**
 * What a run needs to go on exactly where it was: weights, moments, average, counters and the state of every random
 * stream. One safetensors file, replaced atomically; the counters travel in its metadata.
 */
import { join } from 'node:path';
import { TintypeError } from '../errors.ts';
import { commitFiles, openSafetensors } from '../model/files.ts';
import { bytesFromFloats, createHeader, safetensorsChunks } from '../model/safetensors.ts';

export interface RunState {
  step: number;
  /** Tokens of the data seen, once per row whatever the number of streams. */
  tokens: number;
  flops: number;
  /** Seconds of training so far, over all sessions. */
  trainedMs: number;
  rng: [number, number, number, number];
  /** Of the batch source. */
  source: unknown;
  /** Smoothed loss, against which divergence is judged. */
  smoothedNats: number | null;
}

const FILE = 'state.safetensors';

/** @param buffers flat float32 buffers by name, for example parameters, first, second, ema */
export async function saveState(
  dir: string,
  state: RunState,
  buffers: Readonly<Record<string, Float32Array>>,
): Promise<void> {
  const header = createHeader(
    Object.entries(buffers).map(([name, { length }]) => ({ name, dtype: 'F32', shape: [length] })),
    { state: JSON.stringify(state) },
  );
  await commitFiles(dir, [
    [FILE, safetensorsChunks(header, ({ name }) => bytesFromFloats('F32', buffers[name]))],
  ]);
}

/** Fills the buffers and returns the counters; null when the run has no saved state yet. */
export async function loadState(
  dir: string,
  buffers: Readonly<Record<string, Float32Array>>,
): Promise<RunState | null> {
  const path = join(dir, FILE);
  let file;
  try {
    file = await openSafetensors(path);
  } catch (error) {
    if (error instanceof TintypeError && error.code === 'not_found') return null;
    throw error;
  }
  try {
    for (const [name, buffer] of Object.entries(buffers)) {
      const entry = file.header.entries.find((each) => each.name === name);
      if (!entry || entry.shape[0] !== buffer.length) {
        throw new TintypeError('bad_checkpoint', {
          what: `${path} belongs to another configuration`,
          got: entry ? `${name} of ${entry.shape[0]} numbers` : `no ${name}`,
          wanted: `${name} of ${buffer.length} numbers`,
          next: 'resume with the configuration the run was started with, or choose another --out',
        });
      }
      buffer.set(await file.readFloats(entry));
    }
    return JSON.parse(file.header.metadata.state ?? 'null') as RunState | null;
  } finally {
    await file.close();
  }
}
