/** The fixture folders, by the code that `npm run golden` runs; and what it says of folders that are wrong. */
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { checkGolden, goldenFolders, goldenLines } from './golden.ts';

const root = fileURLToPath(new URL('../../fixtures/checkpoints', import.meta.url));
const folders = readdirSync(root).filter((name) => !name.includes('.'));

/** Their samplers are draws, of which no transcript could be reproduced. */
const DRAWN = ['mdlm', 'bd3lm', 'bd3lm-plain', 'sedd'];

describe.each(folders)('%s', (name) => {
  it('has the logits and the transcripts of the official code', async () => {
    const report = await checkGolden(join(root, name));
    expect(report).toMatchObject({ passed: true, error: null, divergences: [] });
    expect(report.reproduced).toBe(report.transcripts);
    expect(report.transcripts).toBeGreaterThan(DRAWN.includes(name) ? -1 : 4);
    expect(goldenLines(report)).toEqual([
      expect.stringMatching(new RegExp(`^pass ${name}: worst logit .*e-\\d, transcripts (\\d+)/\\1$`)),
    ]);
  });
});

describe('a folder that is not as the golden file says', () => {
  const made: string[] = [];
  afterEach(() => made.splice(0).forEach((dir) => rmSync(dir, { recursive: true })));

  type Golden = { transcripts: Record<string, unknown>[]; forward: unknown[] };
  /** A copy of the SDAR folder with a golden file that was changed. */
  function changed(change: (golden: Golden) => void): string {
    const dir = mkdtempSync(join(tmpdir(), 'tintype-golden-'));
    made.push(dir);
    cpSync(join(root, 'sdar'), dir, { recursive: true });
    const path = join(dir, 'golden.json');
    const golden = JSON.parse(readFileSync(path, 'utf8')) as Golden;
    golden.transcripts.splice(2);
    golden.forward.splice(1);
    change(golden);
    rmSync(path);
    writeFileSync(path, JSON.stringify(golden));
    return dir;
  }

  it('fails with the first step and position that differ', async () => {
    const dir = changed(({ transcripts: [, second] }) => ((second.canvases as number[][])[2][6] = 3));
    const report = await checkGolden(dir);
    expect(report).toMatchObject({ passed: false, transcripts: 2, reproduced: 1, error: null });
    expect(report.divergences).toEqual([
      {
        transcript: 1,
        sampler: 'sdar.block_diffusion_generate',
        mode: 'low_confidence_static',
        what: expect.stringMatching(/^step 3, position 6: got \d+, wanted 3$/) as string,
      },
    ]);
    expect(goldenLines(report)).toHaveLength(2);
  });

  it.each([
    ['more forwards', { forwards: 99 }, /got 24 forwards, wanted 99/],
    ['another kind of forward', { forwardKinds: ['store'] }, /forward 1: got denoise, wanted store/],
    ['another length', { forwardLens: [4, 5] }, /forward 2: got 4 rows, wanted 5/],
    ['another result', { final: [1] }, /result, position 0/],
    [
      'a sampler that is not known',
      { sampler: 'who.knows' },
      /no sampler for "who.knows"; known are .*llada/,
    ],
    ['draws', { args: { temperature: 1 }, greedy: undefined }, /cannot be replayed/],
  ])('fails for %s', async (_, parts, what) => {
    const report = await checkGolden(changed(({ transcripts: [first] }) => Object.assign(first, parts)));
    expect(report.passed).toBe(false);
    expect(report.divergences.map((each) => each.what).join()).toMatch(what);
  });

  it('says what is missing or malformed', async () => {
    const malformed = changed((golden) => (golden.forward = [{ logits: 3 }]));
    expect((await checkGolden(malformed)).error).toMatch(/is not a golden file/);
    const unknownLogits = changed((golden) =>
      Object.assign(golden.forward[0] as object, { logits: 'fwd99' }),
    );
    expect((await checkGolden(unknownLogits)).error).toMatch(/lacks fwd99/);
    await expect(goldenFolders(join(root, 'sdar', 'config.json'))).rejects.toMatchObject({
      code: 'not_found',
    });
    await expect(goldenFolders(join(root, '..', 'reference'))).rejects.toMatchObject({ code: 'not_found' });
    expect(await goldenFolders(join(root, 'sdar'))).toEqual([join(root, 'sdar')]);
    expect(await goldenFolders(root)).toHaveLength(folders.length);
  });
});
