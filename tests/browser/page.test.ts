import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accessibility, openRig, overflows, PHONE } from './rig.ts';
import type { PageRig } from './rig.ts';

let rig: PageRig;
beforeAll(async () => {
  rig = await openRig();
});
afterAll(() => rig?.close());

const VIEWS = ['write', 'watch', 'race', 'solve', 'chat', 'arena', 'dashboard'];

describe('the frame around the views', () => {
  it.each(VIEWS)('opens %s from its address, without an error or a request to others', async (view) => {
    const { page, problems, close } = await rig.open(`#/${view}`);
    await page.locator(`nav a[aria-current=page][href="#/${view}"]`).waitFor();
    await page.locator('main h1').first().waitFor();
    await page.getByText('Server ready').waitFor();
    expect(problems).toEqual([]);
    await close();
  });

  it.each(['light', 'dark'] as const)('is accessible, %s, wide and narrow, in every view', async (scheme) => {
    for (const viewport of [undefined, PHONE]) {
      const { page, close } = await rig.open('', {
        colorScheme: scheme,
        reducedMotion: 'reduce',
        ...(viewport && { viewport }),
      });
      for (const view of VIEWS) {
        await page.locator(`nav a[href="#/${view}"]`).click();
        await page.locator(`nav a[aria-current=page][href="#/${view}"]`).waitFor();
        await page.locator('main h1').first().waitFor();
        expect(await accessibility(page), view).toEqual([]);
        expect(await overflows(page), view).toBe(false);
      }
      await close();
    }
  });

  it('goes by keyboard from the address bar to a view', async () => {
    const { page, close } = await rig.open();
    await page.locator('main h1').first().waitFor();
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('main');
    await close();
  });

  it('sends the files of the page compressed, to be kept, and under a policy that forbids other hosts', async () => {
    const index = await fetch(`${rig.url}/`);
    expect(index.headers.get('content-security-policy')).toContain("default-src 'self'");
    expect(index.headers.get('cache-control')).toBe('no-cache');
    const [, script] = /src="(\/assets\/[^"]+\.js)"/.exec(await index.text())!;
    const asset = await fetch(`${rig.url}${script}`, { headers: { 'accept-encoding': 'gzip' } });
    expect(asset.headers.get('content-encoding')).toBe('gzip');
    expect(asset.headers.get('cache-control')).toContain('immutable');
    for (const path of ['/../package.json', '/%2e%2e/package.json', '/assets/..%2f..%2f..%2fpackage.json']) {
      const away = await fetch(`${rig.url}${path}`);
      expect(away.status, path).toBe(404);
    }
  });
});
