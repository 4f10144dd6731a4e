/**
 * Does a model under a JSON Schema always write JSON that an independent validator (Ajv) accepts, and with how few
 * forwards? Runs the decoding loop itself, on the model of a folder and on one of the same vocabulary with random
 * weights, over realistic and random schemas.
 *
 *     npx tsx scripts/check-json.ts [--schemas 1000] [--budget 128] [--model models/tintype-code] [--threshold 0.9]
 *         [--only model|random]
 */
import { parseArgs } from 'node:util';
import { createBatch } from '../src/decode/batch.ts';
import { streamCompletion, type TextModel } from '../src/decode/complete.ts';
import { collect, type DecodeEvent } from '../src/decode/events.ts';
import { TintypeError } from '../src/errors.ts';
import { nodeRuntime } from '../src/graph/node.ts';
import { loadDenoiser } from '../src/model/load.ts';
import { createDenoiser } from '../src/model/native.ts';
import { createParameters, initialise, toTensors } from '../src/model/parameters.ts';
import { createRng } from '../src/rng.ts';
import { randomSchema } from './constraints/random-schema.ts';
import { REALISTIC } from './constraints/realistic.ts';
import { createValidator } from './constraints/validator.ts';

const { values } = parseArgs({
  options: {
    schemas: { type: 'string', default: '1000' },
    budget: { type: 'string', default: '128' },
    threshold: { type: 'string', default: '0.9' },
    model: { type: 'string', default: 'models/tintype-code' },
    threads: { type: 'string', default: '1' },
    seed: { type: 'string', default: '0' },
    only: { type: 'string', default: '' },
  },
});

const schemas = [
  ...Object.entries(REALISTIC).map(([name, schema]) => ({ name, schema })),
  ...Array.from({ length: Number(values.schemas) }, (_, i) => ({
    name: `random ${Number(values.seed) + i}`,
    schema: randomSchema(createRng(Number(values.seed) + i, 'schema')) as unknown,
  })),
];

/** The model's shape and tokenizer, two layers of random weights. */
async function randomModel({ denoiser: { config }, tokenizer }: TextModel): Promise<TextModel> {
  const small = { ...config, layers: 2 };
  const parameters = createParameters(small);
  initialise(parameters, small, createRng(Number(values.seed), 'weights'));
  const threads = Number(values.threads);
  const denoiser = createDenoiser(await nodeRuntime(), small, toTensors(parameters), { threads });
  return { denoiser, tokenizer };
}

async function* counted(events: AsyncIterable<DecodeEvent>, onStep: () => void): AsyncGenerator<DecodeEvent> {
  for await (const event of events) {
    if (event.type === 'step') onStep();
    yield event;
  }
}

async function check(name: string, model: TextModel): Promise<boolean> {
  const batch = createBatch(model.denoiser);
  const refused = new Map<string, number>();
  const sums = { valid: 0, tried: 0, tokens: 0, forwards: 0 };
  let next = 0;
  const worker = async (): Promise<void> => {
    const denoiser = batch.join();
    for (let i = next++; i < schemas.length; i = next++) {
      const { name: which, schema } = schemas[i];
      const prefix = `// ${JSON.stringify(schema)}\n`.slice(-400);
      const options = { schema, maxTokens: Number(values.budget), threshold: Number(values.threshold) };
      let forwards = 0;
      try {
        const run = streamCompletion({ ...model, denoiser }, { prefix, suffix: null }, options);
        const { done } = await collect(counted(run.events, () => forwards++));
        const text = run.text(done);
        sums.tried++;
        const complaint = createValidator(schema)(text);
        if (complaint === null) sums.valid++;
        else process.stdout.write(`INVALID ${which}: ${complaint}\n  ${JSON.stringify(schema)}\n  ${text}\n`);
        sums.tokens += done.usefulTokens;
        sums.forwards += done.nfe;
      } catch (error) {
        if (!(error instanceof TintypeError)) throw error;
        const [why] = error.message.split('\n');
        if (forwards > 0) {
          sums.tried++;
          process.stdout.write(`FAILED after ${forwards} forwards ${which}: ${why}\n`);
          continue;
        }
        refused.set(why, (refused.get(why) ?? 0) + 1);
      }
      if ((i + 1) % 100 === 0) process.stderr.write(`${name}: ${i + 1} of ${schemas.length}\n`);
    }
    batch.leave(denoiser);
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  const { valid, tried, tokens, forwards } = sums;
  process.stdout.write(
    `${name}: ${valid} of ${tried} answers valid; ${tokens} tokens in ${forwards} forwards, ` +
      `${(forwards / tokens).toFixed(2)} forwards a token\n`,
  );
  for (const [why, times] of refused)
    process.stdout.write(`  refused before decoding ${times} times: ${why}\n`);
  return valid === tried && tried > 0;
}

const { denoiser, tokenizer } = await loadDenoiser(values.model, { threads: Number(values.threads) });
if (!tokenizer) throw new Error('this model has no tokenizer');
const trained = { denoiser, tokenizer };
const random = await randomModel(trained);
const results: boolean[] = [];
if (values.only !== 'random') results.push(await check(values.model, trained));
if (values.only !== 'model') results.push(await check('random weights', random));
await Promise.all([denoiser.close(), random.denoiser.close()]);
process.exitCode = results.every(Boolean) ? 0 : 1;
