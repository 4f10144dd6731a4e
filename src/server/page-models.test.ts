import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { Hono } from 'hono';
import { describe, expect, it } from 'vitest';
import type { PageFolder } from '../model/page-files.ts';
import { createPageModels } from './page-models.ts';

const dir = join(import.meta.dirname, '../../models/tintype-sudoku');
const app = new Hono().use(createPageModels([dir]));

describe('models for the page', () => {
  it('are listed with the hashes of what is served', async () => {
    const [folder, ...others] = (await (await app.request('/page/models/index.json')).json()) as PageFolder[];
    expect(others).toEqual([]);
    expect(folder.id).toBe('tintype-sudoku');
    for (const { name, sizeBytes, sha256 } of folder.files) {
      const reply = await app.request(`/page/models/tintype-sudoku/${name}?sha256=${sha256}`);
      const bytes = new Uint8Array(await reply.arrayBuffer());
      expect(bytes.length).toBe(sizeBytes);
      expect(createHash('sha256').update(bytes).digest('hex')).toBe(sha256);
      expect(reply.headers.get('cache-control')).toContain('immutable');
    }
  });

  it('are sent again only when they changed', async () => {
    const path = '/page/models/tintype-sudoku/config.json';
    const first = await app.request(path);
    expect(first.headers.get('cache-control')).toBe('no-cache');
    const etag = first.headers.get('etag')!;
    const second = await app.request(path, { headers: { 'if-none-match': etag } });
    expect(second.status).toBe(304);
    expect(await second.text()).toBe('');
  });

  it.each(['README.md', '../tintype-code/config.json', '%2e%2e%2fpackage.json', 'config.json/x'])(
    'do not give %s',
    async (name) => {
      expect((await app.request(`/page/models/tintype-sudoku/${name}`)).status).toBe(404);
    },
  );
});
