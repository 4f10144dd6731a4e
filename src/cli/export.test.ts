import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gguf } from '@huggingface/gguf';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCommand } from '../../tests/run-command.ts';
import { saveTextModel } from '../../tests/text-model.ts';
import { register } from './export.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tintype-export-'));
  await saveTextModel(join(dir, 'causal'), 'causal');
  await saveTextModel(join(dir, 'full'), 'full');
});
afterAll(() => rm(dir, { recursive: true }));

const run = async (...args: string[]): Promise<string> =>
  (await runCommand([register], ['export', ...args])).out;

it('writes a file that others read, and says what it wrote', async () => {
  const file = join(dir, 'model.gguf');
  const said = JSON.parse(
    await run('--gguf', file, '--model', join(dir, 'causal'), '--type', 'f16', '--json'),
  );
  expect(said).toMatchObject({ file, model: 'causal', architecture: 'qwen3', type: 'f16' });
  const { metadata } = await gguf(file, { allowLocalFile: true });
  expect(metadata['general.architecture']).toBe('qwen3');
  expect(await run('--gguf', file, '--model', join(dir, 'causal'))).toContain('f32');
});

it('refuses other types and other layouts', async () => {
  const file = join(dir, 'other.gguf');
  await expect(run('--gguf', file, '--model', join(dir, 'causal'), '--type', 'q4_k')).rejects.toThrow('q4_k');
  await expect(run('--gguf', file, '--model', join(dir, 'full'))).rejects.toMatchObject({
    code: 'unsupported',
  });
});
