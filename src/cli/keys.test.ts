import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { row } from '../../tests/check-accounts.ts';
import { runCommand } from '../../tests/run-command.ts';
import { openStore } from '../server/accounts/open.ts';
import { register as registerKeys } from './keys.ts';
import { register as registerUsage } from './usage.ts';

const data = mkdtempSync(join(tmpdir(), 'tintype-keys-'));
afterAll(() => rmSync(data, { recursive: true }));
const run = (...args: string[]) => runCommand([registerKeys, registerUsage], [...args, '--data', data]);

describe('tintype keys', () => {
  it('shows a secret once, and lists and revokes the key', async () => {
    expect((await run('keys', 'list')).out).toContain('no keys');
    const made = await run(
      'keys',
      'create',
      'Ada',
      '--scope',
      'chat',
      'batch',
      '--requests-per-minute',
      '60',
      '--budget',
      '2.5',
    );
    const secret = made.out.trim();
    expect(secret).toMatch(/^tt-[\w-]{43}$/);
    expect(made.err).toContain('not shown again');
    expect(readFileSync(join(data, 'tintype.db')).includes(secret)).toBe(false);

    const [key] = JSON.parse((await run('keys', 'list', '--json')).out);
    expect(key).toMatchObject({
      name: 'Ada',
      scopes: ['chat', 'batch'],
      requests_per_minute: 60,
      tokens_per_minute: null,
      budget: 2.5,
      revoked_at: null,
    });
    expect(JSON.stringify(key)).not.toContain(secret.slice(8));
    expect((await run('keys', 'list')).out).toContain('Ada');
    expect((await run('keys', 'revoke', key.id)).out).toContain('is revoked');
    await expect(run('keys', 'revoke', key.id)).rejects.toMatchObject({ code: 'not_found' });
  });

  it.each([
    ['keys', 'create', ''],
    ['keys', 'create', 'a\nb'],
    ['keys', 'create', 'a', '--scope', 'everything'],
    ['keys', 'create', 'a', '--tokens-per-minute', '0'],
    ['keys', 'create', 'a', '--budget', '-1'],
  ])('refuses %j', async (...args) => {
    await expect(run(...args)).rejects.toThrow();
  });
});

describe('tintype usage', () => {
  it('sums up, and lists requests as CSV that spreadsheets can be given', async () => {
    expect((await run('usage')).out).toContain('nothing was used');
    const store = await openStore({ dir: data });
    await store.accounts.usage.write(
      [
        row('a', { state: 'answered', priceNanos: 5875, createdMs: Date.UTC(2026, 10, 1) }),
        row('b', { model: '=cmd("x")', keyId: null, createdMs: Date.UTC(2026, 10, 2) }),
      ],
      true,
    );
    await store.close();
    expect((await run('usage', '--csv')).out).toBe(
      [
        'created_at,request_id,key_id,model,route,status,state,prompt_tokens,cached_tokens,completion_tokens,price',
        '2026-11-01T00:00:00.000Z,a,key_1,tintype-code,/v1/completions,200,answered,12,5,4,0.000005875',
        `2026-11-02T00:00:00.000Z,b,,"'=cmd(""x"")",/v1/completions,200,sending,12,5,4,0`,
        '',
      ].join('\n'),
    );
    const totals = JSON.parse((await run('usage', '--json', '--until', '2026-11-02')).out);
    expect(totals).toEqual([
      {
        key_id: 'key_1',
        model: 'tintype-code',
        requests: 1,
        prompt_tokens: 12,
        cached_tokens: 5,
        completion_tokens: 4,
        price: 0.000005875,
      },
    ]);
    expect((await run('usage', '--since', '2026-11-02', '--key', 'key_1')).out).toContain('nothing');
    expect((await run('usage')).out).toMatch(/key_1 .*tintype-code .*1/);
    await expect(run('usage', '--since', 'soon')).rejects.toMatchObject({ code: 'bad_option' });
    await expect(run('usage', '--csv', '--json')).rejects.toMatchObject({ code: 'bad_option' });
  });
});
