/** The parts of the bench that need no harness: plans, configurations, profile, picture, sudoku, sizes. */
import { describe, expect, it } from 'vitest';
import { codeTokenizer } from '../../tests/text-model.ts';
import { tinyConfig, tinyDenoiser } from '../../tests/tiny.ts';
import { completeText, type TextModel } from '../decode/complete.ts';
import type { DecodeEvent } from '../decode/events.ts';
import { nodeRuntime } from '../graph/node.ts';
import { type ModelConfig, parameterCount } from '../model/config.ts';
import { loadDenoiser } from '../model/load.ts';
import { createDenoiser } from '../model/native.ts';
import { createParameters, initialise, toTensors } from '../model/parameters.ts';
import { createRng } from '../rng.ts';
import { SUDOKU_TOKENS } from '../train/sudoku-rows.ts';
import type { BenchResult, BenchRun } from './bench.ts';
import { decoderConfiguration, llamaConfiguration, settledMs, weightBytes } from './bench-configurations.ts';
import { loadBenchModel } from './bench-models.ts';
import { askedPlans, planBench } from './bench-plan.ts';
import { plotBench } from './bench-plot.ts';
import { productMs } from './bench-profile.ts';
import { BENCH_ROWS, benchShape } from './bench-sizes.ts';
import { benchSudoku } from './bench-sudoku.ts';

describe('a model of the bench', () => {
  it('decodes as the folder does, its bigrams included', async () => {
    const dir = 'models/tintype-code';
    const { denoiser, tokenizer } = await loadDenoiser(dir, { threads: 1 });
    const model = (await loadBenchModel(dir, { threads: 1 })).open(await nodeRuntime(), 'f32');
    expect(model.denoiser.bigrams).toMatchObject({ pairs: denoiser.bigrams!.pairs });
    const write = (each: TextModel) =>
      completeText(each, { prefix: 'const a = [', suffix: null }, { maxTokens: 16, threshold: 0.2 });
    const [own, benched] = [await write({ denoiser, tokenizer: tokenizer! }), await write(model)];
    expect([benched.text, benched.done.nfe]).toEqual([own.text, own.done.nfe]);
    await Promise.all([denoiser.close(), model.denoiser.close()]);
  });
});

describe('plans', () => {
  const request = {
    words: null,
    thresholds: [0.5, 0.9],
    precisions: ['f32'],
    hasTwin: true,
    layout: 'causalContext',
    hasLlama: true,
  } as const;
  const names = (changes: Partial<Parameters<typeof planBench>[0]>) =>
    planBench({ ...request, ...changes }).plans.map(({ name }) => name);

  it('are all that can be run, when nothing is said', () => {
    expect(names({}).join(' ')).toBe(
      'diffusion@0.5 diffusion@0.9 verify@0.5 verify@0.9 ar twin llama-f32 llama-f16 llama-q8_0 llama-q4_0',
    );
    const { plans, skipped } = planBench({
      ...request,
      hasTwin: false,
      hasLlama: false,
      layout: 'blockCausal',
    });
    expect(plans.map(({ name }) => name)).toEqual(['diffusion@0.5', 'diffusion@0.9', 'ar']);
    expect(skipped.map((reason) => reason.split(':')[0])).toEqual(['verify', 'twin', 'llama']);
  });

  it('or what was named, once', () => {
    expect(names({ words: ['llama-q8_0', 'diffusion@0.7', 'diffusion@0.7', 'twin'] })).toEqual([
      'llama-q8_0',
      'diffusion@0.7',
      'twin',
    ]);
  });

  it('are also what the options of decoding ask for', () => {
    const plans = askedPlans({ policy: 'klass' }, { precisions: ['f32', 'int8'], layout: 'full' });
    expect(plans).toMatchObject([
      { name: 'asked', mode: 'diffusion', options: { policy: 'klass' }, precision: 'f32' },
      { name: 'asked-int8', mode: 'diffusion', options: { policy: 'klass' }, precision: 'int8' },
    ]);
    expect(askedPlans({ mode: 'verify' }, request)).toMatchObject([{ name: 'asked', mode: 'verify' }]);
  });

  it('verify what bigrams guess for the model and for its twin', () => {
    const { plans } = planBench({ ...request, hasTwin: true, words: ['ar-guessed', 'twin-guessed', 'twin'] });
    expect(plans.map((plan) => plan.kind === 'decoder' && [plan.name, plan.mode, plan.options])).toEqual([
      ['ar-guessed', 'ar', { mode: 'verify', blockLength: 1 }],
      ['twin-guessed', 'twin', { mode: 'verify', blockLength: 1 }],
      ['twin', 'twin', { mode: 'ar' }],
    ]);
    expect(() => names({ words: ['ar-guessed'], layout: 'full' })).toThrow(/cannot be measured/);
    expect(() => names({ words: ['ar-drawn'] })).toThrow(/--modes has a word/);
  });

  it('say how often verify drafts anew', () => {
    expect(names({ words: ['verify@0.3+2', 'verify+4'] })).toEqual([
      'verify@0.3+2',
      'verify@0.5+4',
      'verify@0.9+4',
    ]);
    for (const word of ['diffusion@0.5+2', 'verify@0.5+', 'verify@0.5+99', 'verify@']) {
      expect(() => names({ words: [word] }), word).toThrow(/--modes has a word|redrafts is not usable/);
    }
  });
});

describe('precisions', () => {
  it('are configurations of their own, with fewer bytes', () => {
    const { plans } = planBench({
      words: ['diffusion@0.7', 'llama-q8_0'],
      thresholds: [],
      precisions: ['f32', 'int8'],
      hasTwin: false,
      layout: 'causalContext',
      hasLlama: true,
    });
    expect(plans.map(({ name }) => name)).toEqual(['diffusion@0.7', 'diffusion@0.7-int8', 'llama-q8_0']);
    const config = { ...tinyConfig('causal'), width: 64, ffnWidth: 128, headDim: 16 };
    const [f32, int8, int4] = (['f32', 'int8', 'int4'] as const).map((each) => weightBytes(config, each));
    expect(f32).toBe(4 * parameterCount(config));
    expect(int8).toBeLessThan(0.5 * f32);
    expect(int4).toBeLessThan(int8);
  });
});

describe('a configuration of the decoder', () => {
  const row = { id: 'a.ts:1:1', prefix: 'const a', suffix: ';', middle: ' = 1' };
  const open = async () => {
    const config: ModelConfig = {
      ...tinyConfig('causal'),
      vocabSize: codeTokenizer().vocabSize,
    };
    const parameters = createParameters(config);
    initialise(parameters, config, createRng(1));
    const denoiser = createDenoiser(await nodeRuntime(), config, toTensors(parameters), { threads: 1 });
    return { denoiser, tokenizer: codeTokenizer() };
  };

  it('times whole requests by its clock: first text after the first forward, the whole at the end', async () => {
    const model = await open();
    let clockMs = 0;
    const { complete, memoryBytes } = decoderConfiguration({
      name: 'twin',
      mode: 'twin',
      model,
      options: { maxTokens: 6, mode: 'ar' },
      nowMs: () => (clockMs += 10),
    });
    const reply = await complete(row, undefined);
    expect(reply.firstMs).toBeGreaterThan(0);
    expect(reply.elapsedMs).toBeGreaterThan(reply.firstMs);
    expect(reply.elapsedMs % 10).toBe(0);
    expect(reply.tokens).toBeLessThanOrEqual(6);
    expect(reply.positions).toBeGreaterThan(6);
    // Two layers, two heads of eight, keys and values, four bytes.
    expect(memoryBytes(11) - memoryBytes(10)).toBe(2 * 2 * 2 * 8 * 4);
    await model.denoiser.close();
  });

  it('at full length writes all tokens, whatever ends a text otherwise', async () => {
    const model = await open();
    const { tokens } = model.denoiser.config;
    // A model that wants to stop at once: only its ends of text are likely.
    const wantsToEnd = {
      ...model.denoiser,
      forward: async (...[runs, want]: Parameters<typeof model.denoiser.forward>) => {
        const logitBias = new Float32Array(
          runs.reduce((sum, { query }) => sum + query.length, 0) * model.tokenizer.vocabSize,
        );
        for (let i = 0; i < logitBias.length; i++) {
          if (tokens.eos.includes(i % model.tokenizer.vocabSize)) logitBias[i] = 50;
          logitBias[i] += want.logitBias?.[i] ?? 0;
        }
        return model.denoiser.forward(runs, { ...want, logitBias });
      },
    };
    const ask = (isFull: boolean) =>
      decoderConfiguration({
        name: 'twin',
        mode: 'twin',
        model: { ...model, denoiser: wantsToEnd },
        options: { maxTokens: 6, mode: 'ar' },
        isFull,
      }).complete(row, undefined);
    expect((await ask(false)).tokens).toBe(0);
    expect((await ask(true)).tokens).toBe(6);
    await model.denoiser.close();
  });

  it('of llama.cpp stops at the line break, counts what stands before it, and a forward for the end of text', async () => {
    const model = await open();
    const { tokenizer } = model;
    const written = [...tokenizer.encode('x1'), ...tokenizer.encode('\n'), ...tokenizer.encode('y')];
    const generate = (isCut: boolean) =>
      llamaConfiguration({
        type: 'f16',
        model,
        options: { maxTokens: 16 },
        llama: {
          engine: 'fake',
          isRemote: false,
          close: async () => {},
          generate: async ({ ids, isOver }) => {
            expect(ids.length).toBeGreaterThan(3);
            const taken = written.slice(0, isCut ? undefined : tokenizer.encode('x1').length);
            const end = taken.findIndex((_, i) => isOver!(taken.slice(0, i + 1)));
            return { ids: end < 0 ? taken : taken.slice(0, end + 1), firstMs: 1, elapsedMs: 2 };
          },
        },
      }).complete(row, undefined);
    const x = tokenizer.encode('x1').length;
    expect(await generate(true)).toMatchObject({ text: 'x1', tokens: x, nfe: x + 1 });
    expect(await generate(false)).toMatchObject({ text: 'x1', tokens: x, nfe: x + 1 });
    await model.denoiser.close();
  });

  it('settles its first text with the forward before the first block that holds any', () => {
    const step = (elapsedMs: number) => ({ type: 'step', elapsedMs }) as DecodeEvent;
    const block = (ids: number[]) => ({ type: 'block', ids }) as DecodeEvent;
    expect(settledMs([step(5), block([]), step(9), step(12), block([1]), step(20)], 25)).toBe(12);
    expect(settledMs([step(5)], 25)).toBe(25);
  });
});

it('the profile counts kernels of matrix products', () => {
  const node = (op: string, dur: number, name = `${op}_kernel_time`) => ({
    cat: 'Node',
    name,
    dur,
    args: { op_name: op },
  });
  const events = [
    node('Gemm', 1500),
    node('FusedMatMul', 500),
    node('Softmax', 9000),
    node('Gemm', 7000, 'Gemm_fence_before'),
    { cat: 'Session', name: 'model_run', dur: 20_000 },
  ];
  expect(productMs(events)).toBe(2);
});

describe('the picture', () => {
  const run = (name: string, mode: BenchRun['mode'], speed: number, exactMatch: number): BenchRun =>
    ({
      name,
      mode,
      usefulTokensPerSecond: speed,
      intervalLow: 0.9 * speed,
      intervalHigh: 1.1 * speed,
      exactMatch,
      editSimilarity: 0.4,
    }) as BenchRun;
  const draw = (...runs: BenchRun[]) => plotBench({ runs, prompts: 90, repeat: 3 } as BenchResult, 'a model');

  it('names series and settings, each series with a shape of its own', () => {
    const svg = draw(
      run('diffusion@0.5', 'diffusion', 100, 0.2),
      run('diffusion@0.9', 'diffusion', 60, 0.3),
      run('verify@0.9', 'verify', 55, 0.32),
      run('twin', 'twin', 50, 0.31),
      run('llama-q8_0', 'llama', 70, 0.31),
    );
    for (const text of [
      'a model',
      'exact match',
      '>diffusion<',
      '>0.5<',
      '>q8_0<',
      '90 gaps, 3 times each',
    ]) {
      expect(svg).toContain(text);
    }
    expect(svg).not.toMatch(/NaN|undefined/);
  });

  it('falls back to edit similarity where next to nothing matched', () => {
    expect(draw(run('twin', 'twin', 50, 0))).toContain('edit similarity (at most 0 matched');
    expect(draw(run('twin', 'twin', 50, 0.1))).toContain('edit similarity (at most 9 matched');
    expect(draw(run('twin', 'twin', 50, 0.12))).toContain('exact match');
  });
});

describe('sudoku', () => {
  const config = (layout: 'full' | 'causal'): ModelConfig => ({
    ...tinyConfig(layout),
    ...SUDOKU_TOKENS,
    contextLength: 40,
    blockLength: layout === 'full' ? 40 : 1,
  });
  const open = async (layout: 'full' | 'causal') => {
    const parameters = createParameters(config(layout));
    initialise(parameters, config(layout), createRng(2));
    return createDenoiser(await nodeRuntime(), config(layout), toTensors(parameters), { threads: 1 });
  };

  it('gives each budget its rate, its time and its ratio to the twin', async () => {
    const [model, twin] = [await open('full'), await open('causal')];
    let clockMs = 0;
    const result = await benchSudoku(model, twin, {
      size: 4,
      puzzles: 3,
      budgets: [2, 1],
      thresholds: [0],
      repeat: 2,
      nowMs: () => (clockMs += 5),
    });
    expect(result.runs.map(({ name, forwards }) => [name, Math.round(1e6 * forwards) / 1e6])).toEqual([
      ['diffusion@2', 2],
      ['diffusion@1', 1],
      ['diffusion@threshold 0', 1],
      ['twin', 16],
    ]);
    // The clock goes on by 5 ms each time it is read, so all take the same.
    expect(result.runs.every(({ msPerPuzzle }) => msPerPuzzle === 5)).toBe(true);
    expect(result.ratios).toEqual({
      'diffusion@2/twin': 1,
      'diffusion@1/twin': 1,
      'diffusion@threshold 0/twin': 1,
    });
    // Models that know nothing are right equally often: never.
    expect(result.atTwinQuality).toEqual({ name: 'diffusion@2', ratio: 1 });
    await expect(benchSudoku(twin, model)).rejects.toMatchObject({ code: 'unsupported' });
    await Promise.all([model.close(), twin.close()]);
  });

  it('refuses what is no sudoku model', async () => {
    const other = await tinyDenoiser('full');
    await expect(benchSudoku(other, null)).rejects.toMatchObject({ code: 'unsupported' });
    await other.close();
  });
});

it('a shape is measured in parts and scaled to all its layers and its whole head', async () => {
  const shape = { width: 32, layers: 10, heads: 4, kvHeads: 2, headDim: 8, ffnWidth: 48, vocabSize: 65_536 };
  const size = await benchShape(
    await nodeRuntime(),
    { name: 'toy', shape },
    { layers: 1, threads: 1, repeat: 2 },
  );
  expect(size).toMatchObject({ name: 'toy', layers: 10, precision: 'f32' });
  expect(size.parameters).toBe(65_536 * 32 + 32 + 10 * (32 * (32 + 2 * 16 + 32 + 3 * 48) + 2 * 8 + 2 * 32));
  expect(size.steps.map(({ rows }) => rows)).toEqual([...BENCH_ROWS]);
  for (const { rows, ms, msPerRow, layersMs, headMs } of size.steps) {
    expect(ms).toBeCloseTo(layersMs + headMs, 9);
    expect(msPerRow).toBe(ms / rows);
    expect(layersMs).toBeGreaterThan(0);
    expect(headMs).toBeGreaterThanOrEqual(0);
  }
});
