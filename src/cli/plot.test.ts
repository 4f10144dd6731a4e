import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createRng } from '../rng.ts';
import { describeError } from './output.ts';
import { register } from './plot.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tintype-plot-'));
});
afterEach(() => rm(dir, { recursive: true }));

/** A run that was killed in the middle of a line. */
async function writeRun(folder: string, name: string, seed: number): Promise<string> {
  const rng = createRng(seed);
  const lines = [JSON.stringify({ type: 'start', name })];
  for (let step = 1; step <= 200; step++) {
    const lossNats = 2 + 6 / step + 0.1 * rng.normal();
    lines.push(JSON.stringify({ type: 'step', step, tokens: step * 4096, lossNats, elapsedMs: step * 1000 }));
  }
  lines.push(JSON.stringify({ type: 'eval', step: 200, bitsPerByte: 1.5 }), '{"type":"step","ste');
  await mkdir(join(dir, folder), { recursive: true });
  await writeFile(join(dir, folder, 'log.jsonl'), lines.join('\n'));
  return join(dir, folder);
}

async function plot(...args: string[]): Promise<void> {
  const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  try {
    const program = new Command().exitOverride();
    register(program);
    program.commands[0].exitOverride().configureOutput({ outputError: () => {} });
    await program.parseAsync(['plot', ...args], { from: 'user' });
  } finally {
    write.mockRestore();
  }
}

describe('plot', () => {
  test('several runs in one SVG that stands on its own', async () => {
    const out = join(dir, 'curve.svg');
    await plot(await writeRun('a', 'diffusion', 1), await writeRun('b', 'twin & co', 2), '--out', out);
    const svg = await readFile(out, 'utf8');
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" /);
    for (const text of [
      'Training loss',
      'nats per token',
      'training tokens',
      'diffusion\u2002',
      'twin &amp; co\u2002',
    ]) {
      expect(svg).toContain(text);
    }
    expect(svg).not.toMatch(/<style|var\(|NaN|undefined/);
  });

  test('runs of one name are told apart by their folders', async () => {
    const paths = [await writeRun('a', 'same', 1), await writeRun('b', 'same', 2)];
    await plot(...paths, '--out', join(dir, 'curve.svg'));
    const svg = await readFile(join(dir, 'curve.svg'), 'utf8');
    for (const path of paths) expect(svg).toContain(path);
  });

  test('a PNG, of evaluations over minutes', async () => {
    const out = join(dir, 'curve.png');
    await plot(await writeRun('a', 'a', 1), '--y', 'bitsPerByte', '--x', 'minutes', '--out', out);
    const png = await readFile(out);
    expect([...png.subarray(0, 8)]).toEqual([137, 80, 78, 71, 13, 10, 26, 10]);
    expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([1920, 1080]);
  });

  test.each([
    [['nowhere'], /no run log in nowhere/],
    [['--out', 'curve.jpg'], /an \.svg or a \.png/],
    [['--smooth', '0'], /number of log lines/],
    [['--x', 'seconds'], /Allowed choices are tokens, steps, minutes, flops/],
    [['--y', 'los'], /wanted: step, tokens, lossNats, elapsedMs/],
  ])('%j ends with status 2 and a sentence', async (args, message) => {
    const run = await writeRun('a', 'a', 1);
    const error = await plot(run, ...args).then(
      () => null,
      (e: unknown) => describeError(e),
    );
    expect(error).toEqual({ status: 2, text: expect.stringMatching(message) });
  });
});
