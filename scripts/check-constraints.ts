/**
 * Fills answers under random and realistic JSON schemas with random tokens in random order, and asks an independent
 * validator (Ajv) about every one.
 *
 *     npx tsx scripts/check-constraints.ts [--schemas 1000] [--fills 3] [--budget 256] [--block 32] [--seed 0]
 */
import { parseArgs } from 'node:util';
import { createTokenAutomaton } from '../src/decode/constraints/tokens.ts';
import { compileJsonSchema } from '../src/decode/constraints/json-schema.ts';
import { TintypeError } from '../src/errors.ts';
import { createRng } from '../src/rng.ts';
import { loadTokenizer } from '../src/text/load.ts';
import { cpuMs, fillRandomly } from './constraints/fill.ts';
import { randomSchema } from './constraints/random-schema.ts';
import { REALISTIC } from './constraints/realistic.ts';
import { createValidator } from './constraints/validator.ts';

const { values: flags } = parseArgs({
  options: {
    schemas: { type: 'string', default: '1000' },
    fills: { type: 'string', default: '3' },
    budget: { type: 'string', default: '256' },
    block: { type: 'string', default: '32' },
    seed: { type: 'string', default: '0' },
    tokenizer: { type: 'string', default: 'models/tintype-code' },
  },
});
const tokenizer = await loadTokenizer(flags.tokenizer);
const ends = [tokenizer.special('<|endoftext|>')!];

interface Row {
  name: string;
  /** Fills that were valid, of those tried; or why there were none. */
  valid: number;
  fills: number;
  compileMs: number;
  states: number;
  forced: number;
  tokens: number;
  stepMs: number;
  slowestMs: number;
  refused?: string;
}

function check(name: string, schema: unknown, seed: number): Row {
  const row: Row = {
    name,
    valid: 0,
    fills: 0,
    compileMs: 0,
    states: 0,
    forced: 0,
    tokens: 0,
    stepMs: 0,
    slowestMs: 0,
  };
  const started = cpuMs();
  try {
    const spacing = seed % 3 === 0 ? 'spaced' : 'compact';
    const language = compileJsonSchema(schema, { spacing });
    row.compileMs = cpuMs() - started;
    const automaton = createTokenAutomaton(language, tokenizer, { ends });
    const validate = createValidator(schema);
    let steps = 0;
    for (let fill = 0; fill < Number(flags.fills); fill++) {
      const rng = createRng(seed, 'fill', fill);
      // A third of the fills have hardly any room.
      const budget =
        fill % 3 === 2 ? automaton.distance().shortest(language.start) + rng.int(3) : Number(flags.budget);
      const filled = fillRandomly(automaton, {
        budget: Math.max(1, budget),
        blockLength: Number(flags.block),
        rng,
      });
      const complaint = validate(filled.text);
      if (complaint !== null)
        console.log(`INVALID ${name}: ${complaint}\n  ${JSON.stringify(schema)}\n  ${filled.text}`);
      row.fills++;
      row.valid += complaint === null ? 1 : 0;
      row.forced += filled.forced;
      row.tokens += filled.tokens;
      steps += filled.steps;
      row.stepMs += filled.elapsedMs;
      row.slowestMs = Math.max(row.slowestMs, filled.slowestStepMs);
    }
    row.stepMs /= Math.max(1, steps);
    row.states = language.stateCount;
  } catch (error) {
    if (!(error instanceof TintypeError)) {
      console.log(`FAILED ${name}: ${String(error)}\n  ${JSON.stringify(schema)}`);
      row.fills++;
    } else row.refused = error.message.replaceAll(/\n\s*/g, '; ');
  }
  return row;
}

const show = (row: Row): string =>
  row.refused
    ? `${row.name.padEnd(24)} ${row.refused}`
    : `${row.name.padEnd(24)} ${`${row.valid}/${row.fills}`.padStart(7)} ${row.compileMs.toFixed(1).padStart(8)} ${String(row.states).padStart(7)} ${String(row.tokens).padStart(7)} ${String(row.forced).padStart(7)} ${row.stepMs.toFixed(2).padStart(8)} ${row.slowestMs.toFixed(1).padStart(8)}`;

console.log(`${'schema'.padEnd(24)}   valid  compile  states  tokens  forced  ms/step  slowest`);
const realistic = Object.entries(REALISTIC).map(([name, schema], i) => check(name, schema, i));
for (const row of realistic) console.log(show(row));
const random = Array.from({ length: Number(flags.schemas) }, (_, i) => {
  const seed = Number(flags.seed) + i;
  const row = check(`random ${seed}`, randomSchema(createRng(seed, 'schema')), seed);
  if (row.compileMs > 1000 || row.stepMs > 200) console.log(show(row));
  if ((i + 1) % 100 === 0) console.error(`${i + 1} random schemas`);
  return row;
});
const refusals = new Map<string, number>();
for (const { refused } of random) {
  if (refused) refusals.set(refused.split(';')[0], (refusals.get(refused.split(';')[0]) ?? 0) + 1);
}
const run = random.filter(({ refused }) => !refused);
const sum = (of: (row: Row) => number): number => run.reduce((total, row) => total + of(row), 0);
const quantile = (of: (row: Row) => number, q: number): string =>
  (run.map(of).sort((a, b) => a - b)[Math.floor(run.length * q)] ?? 0).toFixed(1);
console.log(
  `\n${run.length} random schemas: ${sum((row) => row.valid)} of ${sum((row) => row.fills)} fills valid`,
);
console.log(
  `compile ms  p50 ${quantile((row) => row.compileMs, 0.5)}  p95 ${quantile((row) => row.compileMs, 0.95)}`,
);
console.log(
  `step ms     p50 ${quantile((row) => row.stepMs, 0.5)}  p95 ${quantile((row) => row.stepMs, 0.95)}`,
);
for (const [why, times] of refusals) console.log(`refused ${times}: ${why}`);
const failed = [...realistic, ...run].some((row) => row.valid < row.fills);
process.exitCode = failed ? 1 : 0;
