/**
 * Where a request's time goes: ONNX Runtime's own profiler over a few requests, kept apart from the measurement, since it
 * adds some microseconds a node. The share outside matrix products is counted against whole requests, so JavaScript, caches
 * and the calls themselves are in it: it is what faster products would not change, an upper bound of it by the profiler's
 * own cost.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeRuntime } from '../graph/node.ts';
import type { Runtime } from '../graph/session.ts';

/** Operators that are matrix products and little else; of fused attention the softmax counts with its products. */
const PRODUCTS: ReadonlySet<string> = new Set([
  'Gemm',
  'MatMul',
  'FusedMatMul',
  'FusedGemm',
  'MatMulInteger',
  'MatMulIntegerToFloat',
  'DynamicQuantizeMatMul',
  'MatMulNBits',
  'QGemm',
  'Attention',
  'GroupQueryAttention',
  'MultiHeadAttention',
]);

interface ProfileEvent {
  cat?: string;
  name?: string;
  dur?: number;
  args?: { op_name?: string };
}

/** Milliseconds inside matrix products. */
export function productMs(events: readonly ProfileEvent[]): number {
  let microseconds = 0;
  for (const { cat, name = '', dur = 0, args } of events) {
    if (cat === 'Node' && name.endsWith('_kernel_time') && PRODUCTS.has(args?.op_name ?? '')) {
      microseconds += dur;
    }
  }
  return microseconds / 1000;
}

/**
 * Runs `work` with a runtime whose sessions are profiled; it gives the milliseconds that its requests took, and `close`
 * frees what it made once the profiles are written. Time in which sessions are compiled is left out. Null where nothing
 * was recorded.
 */
export async function measureNonMatmulShare(
  work: (runtime: Runtime) => Promise<{ elapsedMs: number; close: () => Promise<void> }>,
): Promise<number | null> {
  const dir = await mkdtemp(join(tmpdir(), 'tintype-profile-'));
  try {
    const { InferenceSession, ...rest } = await nodeRuntime();
    const sessions = new Set<{ endProfiling(): void }>();
    let made = 0;
    let compilingMs = 0;
    const create = async (bytes: Uint8Array, options: object): Promise<unknown> => {
      const startMs = performance.now();
      const session = await InferenceSession.create(bytes, {
        ...options,
        enableProfiling: true,
        profileFilePrefix: join(dir, `session${made++}`),
      });
      sessions.add(session);
      const release = session.release.bind(session);
      session.release = () => {
        sessions.delete(session);
        return release();
      };
      compilingMs += performance.now() - startMs;
      return session;
    };
    const { elapsedMs, close } = await work({ ...rest, InferenceSession: { create } } as unknown as Runtime);
    for (const session of sessions) session.endProfiling();
    await close();
    let inProductsMs = 0;
    for (const name of await readdir(dir)) {
      inProductsMs += productMs(JSON.parse(await readFile(join(dir, name), 'utf8')) as ProfileEvent[]);
    }
    return inProductsMs > 0 ? Math.max(0, 1 - inProductsMs / (elapsedMs - compilingMs)) : null;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
