/** Every program in examples/ runs as it is and says what its comment promises; the guide shows what runs. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { joint } from '../examples/joint-policy.ts';
import { candidates, first, restless, runBlock, seeds, sizes } from './policies.ts';

const root = join(import.meta.dirname, '..');
const run = promisify(execFile);

/** What each one prints. */
const PRINTS: Record<string, (output: string) => void> = {
  'joint-policy.ts': (output) => {
    const lines = output
      .trim()
      .split('\n')
      .map((line) => /^(.+): (\d+) tokens in (\d+) forwards$/.exec(line)!);
    expect(lines.map(([, name]) => name)).toEqual(['confidenceThreshold(0.9)', 'joint(0.5)']);
    for (const [, , , forwards] of lines) {
      expect(Number(forwards)).toBeGreaterThan(1);
      // One a token, and one that reads the prompt or finds the end.
      expect(Number(forwards)).toBeLessThanOrEqual(26);
    }
  },
  'own-policy.ts': (output) => {
    const lines = output
      .trim()
      .split('\n')
      .map((line) => /^(.+): (\d+) of 50 valid, ([\d.]+) forwards each$/.exec(line)!);
    expect(lines.map(([, name]) => name)).toEqual(['confidenceThreshold(0.9)', 'apart']);
    for (const [, , valid, forwards] of lines) {
      expect(Number(valid)).toBeGreaterThan(25);
      expect(Number(forwards)).toBeGreaterThan(1);
      // A forward a blank would be about 20.
      expect(Number(forwards)).toBeLessThan(10);
    }
  },
};

describe('examples', () => {
  const files = readdirSync(join(root, 'examples')).filter((file) => file.endsWith('.ts'));

  it('are all checked', () => {
    expect(Object.keys(PRINTS).sort()).toEqual(files.sort());
  });

  it.each(files)('%s', async (file) => {
    const { stdout, stderr } = await run(
      process.execPath,
      ['--import', 'tsx', join(root, 'examples', file)],
      {
        cwd: root,
      },
    );
    expect(stderr).toBe('');
    PRINTS[file](stdout);
  });
});

describe('joint', () => {
  it('commits only what is right together with the probability that was asked for', () => {
    fc.assert(
      fc.property(candidates, fc.double({ min: 0, max: 1, noNaN: true }), (list, floor) => {
        const chosen = first(joint(floor), list, { mustCommit: false });
        const allRight = chosen.reduce((product, { probability }) => product * probability, 1);
        expect(allRight).toBeGreaterThanOrEqual(floor);
        // No further mask, not even the surest one, would have fitted.
        const rest = list.filter((each) => !chosen.includes(each));
        for (const { probability } of rest) expect(allRight * probability).toBeLessThan(floor);
      }),
    );
  });

  it('fills every block, whatever the model says', () => {
    fc.assert(
      fc.property(seeds, sizes, (seed, size) => {
        const { choices } = runBlock(joint(0.5), size, restless(seed));
        expect(choices.flatMap(({ commit }) => commit)).toHaveLength(size);
      }),
    );
  });
});

describe('docs/add-a-policy.md', () => {
  const read = (path: string): string => readFileSync(join(root, path), 'utf8');
  const blocks = [...read('docs/add-a-policy.md').matchAll(/```ts\n\/\/ (\S+)\n([^]*?)```/g)];
  /** Space at the ends of lines and how deep a block stands say nothing. */
  const bare = (text: string): string => text.replaceAll(/\s+/g, ' ').trim();

  it.each(blocks.map(([, path, code]) => [path, code]))('shows code of %s', (path, code) => {
    expect(bare(read(path))).toContain(bare(code));
  });

  it('shows the type, an example and its test', () => {
    expect(blocks.map(([, path]) => path)).toEqual([
      'src/decode/policies/policy.ts',
      'examples/joint-policy.ts',
      'tests/examples.test.ts',
    ]);
  });
});
