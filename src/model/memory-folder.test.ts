import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadCheckpoint } from './hf.ts';
import { readTexts, weightsOfBytes } from './memory-folder.ts';
import type { FloatTensor } from './quantize.ts';

const dir = join(import.meta.dirname, '../../models/tintype-sudoku');
const TEXTS = ['config.json', 'generation_config.json', 'tokenizer.json', 'tokenizer_config.json'];
const texts = Object.fromEntries(TEXTS.map((name) => [name, readFileSync(join(dir, name), 'utf8')]));
const bytes = new Uint8Array(readFileSync(join(dir, 'model.safetensors')));

describe('a model folder in memory', () => {
  it('is the same model as the folder on the disk', async () => {
    const wanted = await loadCheckpoint(dir);
    const { config, tokenizerJson } = readTexts('tintype-sudoku', texts);
    expect(config).toEqual(wanted.config);
    expect(tokenizerJson).toEqual(wanted.tokenizerJson);
    const weights = weightsOfBytes('tintype-sudoku', bytes, config);
    expect([...weights.keys()].sort()).toEqual([...wanted.tensors.keys()].sort());
    for (const [name, { data }] of wanted.tensors) {
      expect(Buffer.compare(bytesOf(data), bytesOf((weights.get(name) as FloatTensor).data)), name).toBe(0);
    }
  });

  it('says what is missing or broken', () => {
    expect(() => readTexts('m', { 'config.json': texts['config.json'] })).toThrow(
      /wanted: config\.json and tokenizer\.json/,
    );
    const { config } = readTexts('m', texts);
    expect(() => weightsOfBytes('m', bytes.subarray(0, 1000), config)).toThrow(/cut short/);
    expect(() => weightsOfBytes('m', bytes, { ...config, layers: config.layers + 1 })).toThrow(/missing/);
  });
});

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);
