/** The ledger of a server that is killed while it answers. `scripts/check-kill.ts` has many rounds. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRng } from '../../src/rng.ts';
import { killRound, type Received } from './kill-rounds.ts';
import { tintype } from './run.ts';
import { serve } from './served.ts';
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

describe('kill -9 in the middle of a batch', () => {
  it('finishes it after the next start, each line answered and billed once', async () => {
    const data = join(dataDir, 'batch');
    const args = ['--model', modelDir, '--threads', '1', '--data', data, '--log-level', 'silent'];
    const made = await tintype(
      'keys',
      'create',
      'k',
      '--scope',
      'batch',
      'complete',
      '--json',
      '--data',
      data,
    );
    const { secret } = JSON.parse(made.stdout);
    const headers = { authorization: `Bearer ${secret}` };
    let { child, url, end } = await serve(args);
    const call = async (path: string, init: RequestInit = {}): Promise<any> =>
      (await fetch(`${url}${path}`, { ...init, headers })).json();
    const form = new FormData();
    const lines = Array.from({ length: 60 }, (_, index) =>
      JSON.stringify({
        custom_id: `line ${index}`,
        method: 'POST',
        url: '/v1/completions',
        body: { prompt: `let a${index} = `, max_tokens: 24, seed: index, temperature: 1 },
      }),
    );
    form.set('purpose', 'batch');
    form.set('file', new File([lines.join('\n')], 'in.jsonl'));
    const file = await call('/v1/files', { method: 'POST', body: form });
    const body = JSON.stringify({
      input_file_id: file.id,
      endpoint: '/v1/completions',
      completion_window: '24h',
    });
    const { id } = await call('/v1/batches', { method: 'POST', body });
    for (let death = 0; death < 2; death++) {
      const before = (await call(`/v1/batches/${id}`)).request_counts.completed;
      await expect
        .poll(async () => (await call(`/v1/batches/${id}`)).request_counts.completed, { timeout: 60_000 })
        .toBeGreaterThan(before + 3);
      child.kill('SIGKILL');
      await end;
      ({ child, url, end } = await serve(args));
    }
    await expect
      .poll(async () => (await call(`/v1/batches/${id}`)).status, { timeout: 90_000, interval: 200 })
      .toBe('completed');
    const batch = await call(`/v1/batches/${id}`);
    expect(batch.request_counts).toEqual({ total: 60, completed: 60, failed: 0 });
    const output = await (await fetch(`${url}/v1/files/${batch.output_file_id}/content`, { headers })).text();
    const ids = output
      .trim()
      .split('\n')
      .map((each) => JSON.parse(each).custom_id);
    expect(ids).toEqual(lines.map((_, index) => `line ${index}`));
    const { data: rows } = await call('/v1/usage?limit=1000');
    expect(rows).toHaveLength(60);
    child.kill('SIGTERM');
    expect((await end).status).toBe(0);
  });
});
