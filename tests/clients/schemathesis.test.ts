/** Schemathesis, unmodified: what /openapi.json says may be asked, at its edges and beyond them, is never a server error. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lacks, runModule } from './python.ts';
import { startServer } from './server.ts';
import type { ClientServer } from './server.ts';

const lack = await lacks('schemathesis');

describe.skipIf(lack !== null)(`schemathesis${lack === null ? '' : ` (skipped: ${lack})`}`, () => {
  let server: ClientServer;
  beforeAll(async () => {
    server = await startServer();
  });
  afterAll(() => server.close());

  it('finds no server error where values are at their limits', { timeout: 600_000 }, async () => {
    const args = [
      'run',
      `${server.url}/openapi.json`,
      '--phases',
      'coverage',
      '--checks',
      'not_a_server_error',
    ];
    const told = await runModule('schemathesis.cli', ...args, '--request-timeout', '120');
    expect(told).toMatch(/[1-9]\d* generated, [1-9]\d* passed/);
    expect(told).not.toMatch(/failed|errored/);
  });
});
