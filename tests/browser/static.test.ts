/** The static build from a plain host, in a subfolder, without any of our headers; then without the host. */
import { createReadStream, mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runNode, root } from '../../scripts/setup.mjs';
import { accessibility, openRig, overflows, PHONE } from './rig.ts';
import type { PageRig } from './rig.ts';
import { gaps, runInTab } from './tab-rig.ts';

const TYPES: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
};
const BELOW = '/some/where';

let folder: string;
let host: Server;
let rig: PageRig;

function serveFolder(): Server {
  return createServer((request, response) => {
    const { pathname } = new URL(request.url!, 'http://localhost');
    const name = pathname.startsWith(`${BELOW}/`) ? pathname.slice(BELOW.length) : null;
    const path = name === null ? null : join(folder, name.endsWith('/') ? `${name}index.html` : name);
    if (path === null || !statSync(path, { throwIfNoEntry: false })?.isFile()) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { 'content-type': TYPES[extname(path)] ?? 'application/octet-stream' });
    createReadStream(path).pipe(response);
  });
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tintype-static-'));
  const vite = join(root, 'node_modules', 'vite', 'bin', 'vite.js');
  const args = ['build', '--config', 'web/vite.config.ts', '--mode', 'static', '--outDir', folder];
  const built = runNode([vite, ...args, '--emptyOutDir', '--logLevel', 'error']);
  if (built.status !== 0) throw new Error('the static build failed');
  host = serveFolder();
  await new Promise<void>((resolve) => host.listen(0, '127.0.0.1', resolve));
  const { port } = host.address() as AddressInfo;
  rig = await openRig([], `http://127.0.0.1:${port}${BELOW}`);
});
afterAll(async () => {
  await rig?.close();
  if (host?.listening) host.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Holes and a puzzle, by the buttons that a person presses. */
async function fillAndSolve(page: Page): Promise<void> {
  await page.locator('nav a[href="#/write"]').click();
  await page.getByRole('button', { name: /^Fill \d holes/ }).click();
  await page.getByRole('button', { name: 'Start over' }).click({ timeout: 90_000 });
  await page.getByRole('button', { name: /^Fill \d holes/ }).waitFor();
  await page.locator('nav a[href="#/solve"]').click();
  await page.getByRole('button', { name: 'Solve', exact: true }).click();
  await page
    .getByText(/\d+ of \d+ forwards/)
    .first()
    .waitFor({ timeout: 90_000 });
}

const GAP = { model: 'tintype-code', source: gaps(1, 240)[0], maxTokens: 8 };

describe('the page without a server', () => {
  it('shows only what works without one, in order on a phone too', async () => {
    const { page, problems, close } = await rig.open('#/write', { viewport: PHONE });
    await page.getByText(/^WASM, \d threads?$/).waitFor();
    const links = page.getByRole('navigation', { name: 'Views' }).getByRole('link');
    expect(await links.allTextContents()).toEqual(['Write', 'Watch', 'Race', 'Solve']);
    expect(await page.getByRole('group', { name: 'Where models run' }).count()).toBe(0);
    expect(await overflows(page)).toBe(false);
    expect(await accessibility(page)).toEqual([]);
    expect(problems).toEqual([]);
    await close();
  });

  it('fills a gap, says that it has one thread, and goes on without a network', async () => {
    const { page, problems, close } = await rig.open('#/write');
    await page.getByText('WASM, 1 thread', { exact: true }).click();
    await page.getByText(/One thread only: whoever serves this page/).waitFor();
    await page.keyboard.press('Escape');
    const online = await runInTab(page, GAP);
    expect(online.ids.length).toBe(8);
    await fillAndSolve(page);

    await page.context().setOffline(true);
    host.close();
    host.closeAllConnections();
    await page.reload();
    // From the second visit on the page is isolated by its own service worker.
    const threads = await page.evaluate(() => Math.min(4, navigator.hardwareConcurrency));
    await page.getByText(`WASM, ${threads} thread${threads === 1 ? '' : 's'}`, { exact: true }).waitFor();
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
    expect((await runInTab(page, GAP)).ids).toEqual(online.ids);
    await fillAndSolve(page);
    for (const view of ['write', 'watch', 'race', 'solve']) {
      await page.locator(`nav a[href="#/${view}"]`).click();
      await page.locator('main h1').first().waitFor();
    }
    expect(problems).toEqual([]);
    await close();
  });
});
