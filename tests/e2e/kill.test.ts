/** The ledger of a server that is killed while it answers. `scripts/check-kill.ts` has many rounds. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRng } from '../../src/rng.ts';
import { killRound, type Received } from './kill-rounds.ts';
import { tintype } from './run.ts';
import { writeTinyModel } from './tiny-model.ts';

const modelDir = mkdtempSync(join(tmpdir(), 'tintype-kill-model-'));
const dataDir = mkdtempSync(join(tmpdir(), 'tintype-kill-data-'));
beforeAll(() => writeTinyModel(modelDir));
afterAll(() => {
  for (const dir of [modelDir, dataDir]) rmSync(dir, { recursive: true });
});

describe('tintype serve', () => {
  it('does not let other machines in without keys, unless told so', async () => {
    const { status, stderr } = await tintype('serve', '--host', '0.0.0.0', '--port', '0', '--data', dataDir);
    expect(status).toBe(2);
    expect(stderr).toContain('there are no keys');
    expect(stderr).toContain('tintype keys create');
    expect(stderr).toContain('--no-keys');
  });
});

describe('kill -9 while answering', () => {
  it('loses no answer from the ledger and bills none that did not arrive', async () => {
    const { id, secret } = JSON.parse(
      (await tintype('keys', 'create', 'k', '--json', '--data', dataDir)).stdout,
    );
    const rng = createRng(1);
    const history: Received[] = [];
    for (let round = 0; round < 3; round++) {
      const told = await killRound({ modelDir, dataDir, secret, keyId: id, rng, history });
      expect(told.rows).toBeGreaterThan(0);
    }
    expect(history.length).toBeGreaterThan(0);
  });
});
