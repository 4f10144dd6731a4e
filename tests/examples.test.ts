/** Every program in examples/ runs as it is and says what its comment promises. */
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..');
const run = promisify(execFile);

/** What each one prints. */
const PRINTS: Record<string, (output: string) => void> = {
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
