/** Python's litellm, unmodified: as codestral, and as anything that speaks OpenAI's. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lacks, runPython } from './python.ts';
import { startServer } from './server.ts';
import type { ClientServer } from './server.ts';

const lack = await lacks('litellm');

describe.skipIf(lack !== null)(`litellm${lack === null ? '' : ` (skipped: ${lack})`}`, () => {
  let server: ClientServer;
  let told: any;
  beforeAll(async () => {
    server = await startServer();
    told = await runPython(join(import.meta.dirname, 'litellm_client.py'), server.url);
  });
  afterAll(() => server.close());

  it.each(['codestral', 'text', 'chat'])('%s: streams the text that it completes', (provider) => {
    const { whole, streamed } = told[provider];
    expect(whole.text.length).toBeGreaterThan(0);
    expect(whole.tokens).toBe(8);
    expect(streamed).toBe(whole.text);
  });

  it('as codestral it fills the gap that the route fills', async () => {
    const response = await fetch(`${server.url}/v1/fim/completions`, {
      method: 'POST',
      body: JSON.stringify({ model: 'code', prompt: 'let a', suffix: ';', max_tokens: 8 }),
    });
    const { choices } = (await response.json()) as { choices: { text: string }[] };
    expect(told.codestral.whole.text).toBe(choices[0].text);
  });

  it('knows the errors', () => expect(told['unknown model']).toBe(404));
});
