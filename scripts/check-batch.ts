/**
 * Whether neighbours change a result: random mixes of requests, joined at random times and given up at random, through the
 * engine and its schedule, each compared with itself asked alone.
 *
 *     npx tsx scripts/check-batch.ts [--mixes 500] [--model models/tintype-code] [--seed 1] [--precision f32]
 */
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { basename } from 'node:path';
import { createEngine } from '../src/decode/engine.ts';
import type { CompleteOptions } from '../src/decode/complete.ts';
import type { CompletionRequest } from '../src/decode/engine-types.ts';
import { PRECISIONS } from '../src/model/quantize.ts';
import { createRng } from '../src/rng.ts';

const { values } = parseArgs({
  options: {
    mixes: { type: 'string', default: '500' },
    model: { type: 'string', default: 'models/tintype-code' },
    seed: { type: 'string', default: '1' },
    precision: { type: 'string', default: 'f32' },
  },
});
const mixes = Number(values.mixes);
const rng = createRng(Number(values.seed));
const precision = z.enum(PRECISIONS).parse(values.precision);
const model = basename(values.model);
const precisions = { [model]: precision };
const engine = await createEngine({ modelDirs: [values.model], threads: 1, precisions });

const WAYS: readonly CompleteOptions[] = [
  {},
  { threshold: 0.4 },
  { mode: 'ar' },
  { mode: 'verify' },
  { policy: 'entropyBound', gamma: 0.4 },
  { policy: 'random', steps: 4 },
  { schema: { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'] } },
];
const TEXTS = ['const sum = ', 'function f(a: number) {\n  return ', 'import { x } from ', 'é😀 = ', 'x'];
const pick = <T>(from: readonly T[]): T => from[rng.int(from.length)];

const request = (): CompletionRequest => ({
  model,
  prompt: TEXTS.slice(0, 1 + rng.int(TEXTS.length)).join('\n') + pick(TEXTS),
  suffix: pick([null, ';\n', '\n}\n']),
  maxTokens: 24 + rng.int(16),
  temperature: pick([0, 0, 0.8]),
  topP: 1,
  seed: rng.int(1000),
  stop: pick([[], ['\n'], ['aa', ';']]),
  options: pick(WAYS),
});

let [compared, given, failures] = [0, 0, 0];
for (let mix = 0; mix < mixes; mix++) {
  const asked = Array.from({ length: 2 + rng.int(10) }, () => ({
    request: request(),
    afterMs: rng.int(30),
    patienceMs: rng.int(4) === 0 ? rng.int(60) : null,
  }));
  const answers = await Promise.all(
    asked.map(async ({ request, afterMs, patienceMs }) => {
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      const signal = patienceMs === null ? undefined : AbortSignal.timeout(patienceMs);
      try {
        const { text, nfe } = await engine.complete({ ...request, signal });
        return { text, nfe };
      } catch {
        return null;
      }
    }),
  );
  for (const [i, together] of answers.entries()) {
    if (together === null && asked[i].patienceMs !== null) {
      given++;
      continue;
    }
    const { text, nfe } = await engine.complete(asked[i].request);
    compared++;
    if (text === together?.text && nfe === together.nfe) continue;
    failures++;
    console.error(`mix ${mix}, request ${i}:`, asked[i].request, { together, alone: { text, nfe } });
  }
  if ((mix + 1) % 10 === 0)
    console.log(`${mix + 1} mixes: ${compared} compared, ${given} given up, ${failures} different`);
}
console.log(`${compared} compared, ${given} given up, ${failures} different`);
await engine.close();
process.exitCode = failures > 0 ? 1 : 0;
