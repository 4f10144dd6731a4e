import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { apiDocs } from './api-docs.ts';
import { DESCRIBED } from './routes/described.ts';

it('docs/api.md says what the schemas say (npx tsx scripts/api-docs.ts writes it anew)', () => {
  const written = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'api.md'), 'utf8');
  expect(written).toBe(apiDocs(DESCRIBED, written.split('\n## OpenAI\n')[0]));
});
