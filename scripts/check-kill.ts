/**
 * Kills a server with SIGKILL in the middle of answers, many times, and holds its ledger against what clients received:
 *
 *     npm run build && npx tsx scripts/check-kill.ts [rounds] [seed]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRng } from '../src/rng.ts';
import { killRound, type Received } from '../tests/e2e/kill-rounds.ts';
import { tintype } from '../tests/e2e/run.ts';
import { writeTinyModel } from '../tests/e2e/tiny-model.ts';

const [rounds = 100, seed = 1] = process.argv.slice(2).map(Number);
const dir = mkdtempSync(join(tmpdir(), 'tintype-kill-'));
const [modelDir, dataDir] = [join(dir, 'model'), join(dir, 'data')];
try {
  await writeTinyModel(modelDir);
  const created = await tintype('keys', 'create', 'check', '--json', '--data', dataDir);
  const { id: keyId, secret } = JSON.parse(created.stdout) as { id: string; secret: string };
  const rng = createRng(seed);
  const history: Received[] = [];
  for (let round = 1; round <= rounds; round++) {
    const told = await killRound({ modelDir, dataDir, secret, keyId, rng, history });
    console.log(
      `round ${round}: ${told.answers} answers, ${told.streams} streams (${told.cutStreams} cut); ` +
        `in all ${told.rows} rows, ${told.billed} billed, ${told.unbilled} answers not billed`,
    );
  }
  console.log(`${rounds} rounds: every answer has its row, nothing is billed that did not arrive`);
} finally {
  rmSync(dir, { recursive: true, force: true });
}
