import { createHash } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { loadCheckpoint, saveCheckpoint } from '../model/hf.ts';
import { formatInspection, inspectCheckpoint, type Inspection, register } from './inspect.ts';
import { describeError } from './output.ts';

const SDAR = fileURLToPath(new URL('../../fixtures/checkpoints/sdar/', import.meta.url));

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tintype-inspect-'));
});
afterEach(() => rm(dir, { recursive: true }));

async function run(...args: string[]): Promise<string> {
  const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  try {
    const program = new Command().exitOverride();
    register(program);
    await program.parseAsync(['inspect', ...args], { from: 'user' });
    return write.mock.calls.map(([text]) => String(text)).join('');
  } finally {
    write.mockRestore();
  }
}

const TOKENIZER = JSON.stringify({
  model: { type: 'BPE', vocab: { a: 0, b: 1 } },
  decoder: { type: 'ByteLevel' },
  added_tokens: [
    { id: 1, content: 'b', special: false },
    { id: 165, content: '<|MASK|>', special: true },
  ],
});

describe('inspect', () => {
  test.each([
    ['mdlm', 'at noise level 0'],
    ['sedd', 'that is told its noise level'],
  ])('says of %s that it is a diffusion transformer %s', async (name, what) => {
    expect(await run(join(SDAR, '..', name))).toContain(`a diffusion transformer ${what}`);
  });

  test('--json holds every fact', async () => {
    const inspection = JSON.parse(await run(SDAR, '--json')) as Inspection;
    expect(inspection).toMatchObject({
      name: 'sdar',
      family: 'sdar',
      layout: 'blockCausal',
      blockLength: 4,
      contextLength: 32768,
      dimensions: { width: 48, layers: 2, heads: 4, kvHeads: 2, headDim: 16, ffnWidth: 96, vocabSize: 168 },
      tiedHead: false,
      dtype: 'F32',
      tokens: { mask: 165, eos: [162, 160], pad: 160, bos: 160 },
      samplers: { family: ['sdar', 'sdar-sequential'], others: expect.arrayContaining(['llada2.0']) },
      tokenizer: null,
    });
    const { total, active, ...kinds } = inspection.parameters;
    expect(active).toBe(total);
    expect(kinds).toEqual({ embedding: 8064, attention: 18432, feedForward: 27648, norms: 304, head: 8064 });
    expect(total).toBe(8064 + 18432 + 27648 + 304 + 8064);
    const weights = inspection.files.find(({ name }) => name === 'model.safetensors');
    const bytes = await readFile(join(SDAR, 'model.safetensors'));
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    expect(weights).toEqual({ name: 'model.safetensors', sizeBytes: bytes.length, sha256, verified: false });
  });

  test('what families differ in, and who said it', async () => {
    const folder = (name: string): string =>
      fileURLToPath(new URL(`../../fixtures/checkpoints/${name}`, import.meta.url));
    const mixture = await run(folder('llada2'), '--mask-token', '164');
    for (const fact of [
      'llada2: 136k parameters, 80.3k of them active, blockCausal (diffusion in blocks of 32)',
      'heads normalised, 8 of 16 components turn',
      '4 of 16 of width 16, weighed among those taken (sigmoid), from 2 of 4 groups, times 2.5, and one of width 16 for all, none in the first layer',
      'blocks of 32 (assumed for the family)',
      'eos         161 (assumed for the family)',
      'predict their own position',
      '164 (as the option says)',
    ]) {
      expect(mixture).toContain(fact);
    }
    expect(await run(folder('dream'))).toMatch(/biases on q, k and v\n.*predict the next position\n/s);
    const blocks = await run(folder('a2d-qwen3-bd3lm'), '--mask-token', '157', '--block-length', '8');
    expect(blocks).toContain('blockCausal (from the name of the folder), blocks of 8 (as the option says)');
    const full = await run(folder('a2d-qwen3-bd3lm'), '--mask-token', '157', '--layout', 'full', '--json');
    expect(JSON.parse(full)).toMatchObject({ layout: 'full', origins: { layout: 'option' }, mixture: null });
  });

  test('a saved folder has verified hashes and a described tokenizer', async () => {
    await saveCheckpoint(dir, {
      ...(await loadCheckpoint(SDAR)),
      tokenizerFiles: { 'tokenizer.json': TOKENIZER },
    });
    const inspection = await inspectCheckpoint(dir);
    expect(inspection.tokenizer).toEqual({
      kind: 'byte-level BPE',
      size: 3,
      special: [{ id: 165, content: '<|MASK|>' }],
    });
    expect(inspection.files.map(({ name, verified }) => `${name} ${verified}`)).toEqual([
      'SHA256SUMS false',
      'config.json true',
      'generation_config.json true',
      'model.safetensors true',
      'tokenizer.json true',
    ]);
    const text = formatInspection(inspection);
    for (const fact of [
      '62.5k parameters',
      'blocks of 4',
      '165 <|MASK|>',
      'byte-level BPE, 3 tokens',
      'feed-forward  27648  44.2 %',
    ]) {
      expect(text).toContain(fact);
    }
  });

  test('a broken checkpoint ends with status 2 and a sentence', async () => {
    await cp(SDAR, dir, { recursive: true });
    await truncate(join(dir, 'model.safetensors'), 5000);
    const truncated = await run(dir).catch((error: unknown) => describeError(error));
    expect(truncated).toMatchObject({ status: 2, text: expect.stringContaining('the file is cut short') });
    await writeFile(join(dir, 'config.json'), '{}');
    const empty = await run(dir).catch((error: unknown) => describeError(error, { json: true }));
    expect(empty).toMatchObject({ status: 2, text: expect.stringContaining('lacks the key model_type') });
  });
});
