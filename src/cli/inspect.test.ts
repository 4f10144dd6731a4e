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
      tokenizer: null,
    });
    const { total, ...kinds } = inspection.parameters;
    expect(kinds).toEqual({ embedding: 8064, attention: 18432, feedForward: 27648, norms: 304, head: 8064 });
    expect(total).toBe(8064 + 18432 + 27648 + 304 + 8064);
    const weights = inspection.files.find(({ name }) => name === 'model.safetensors');
    const bytes = await readFile(join(SDAR, 'model.safetensors'));
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    expect(weights).toEqual({ name: 'model.safetensors', sizeBytes: bytes.length, sha256, verified: false });
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
