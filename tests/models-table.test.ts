/** The page of published checkpoints says what the code says; `vitest -u` writes it anew. */
import { expect, test } from 'vitest';
import { modelsTable } from './models-table.ts';

test('docs/models.md is up to date', async () => {
  await expect(await modelsTable()).toMatchFileSnapshot('../docs/models.md');
});
