import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gguf } from '@huggingface/gguf';
import { Command } from 'commander';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { saveTextModel } from '../../tests/text-model.ts';
import { register } from './export.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tintype-export-'));
  await saveTextModel(join(dir, 'causal'), 'causal');
  await saveTextModel(join(dir, 'full'), 'full');
});
afterAll(() => rm(dir, { recursive: true }));

async function run(...args: string[]): Promise<string> {
  const stdout = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  try {
    const program = new Command().exitOverride();
    program.configureOutput({ outputError: () => {} });
    register(program);
    await program.parseAsync(['export', ...args], { from: 'user' });
    return stdout.mock.calls.map(([text]) => String(text)).join('');
  } finally {
    stdout.mockRestore();
    stderr.mockRestore();
  }
}

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
