/** The dashboard: the server's own numbers, and training runs while they are trained. */
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { momentsOf, readSample, withSample } from '../../web/pages/dashboard/history.ts';
import { parseMetrics, quantileBetween, sumOf } from '../../web/pages/dashboard/prometheus.ts';
import { finished, start, tintype } from '../e2e/run.ts';
import { saveTextModel } from '../text-model.ts';
import { accessibility, openRig, overflows, PHONE, picture } from './rig.ts';
import type { PageRig } from './rig.ts';

const dir = mkdtempSync(join(tmpdir(), 'tintype-dashboard-'));
const model = join(dir, 'tiny');
const runs = join(dir, 'runs');
/** For what comes with the next look at the server. */
const SOON = { timeout: 20_000 };
const serveArgs = ['--model', model, '--threads', '1', '--runs', runs];
let rig: PageRig;
beforeAll(async () => {
  await saveTextModel(model, 'causalContext');
  rig = await openRig([...serveArgs, '--data', join(dir, 'open')]);
});
afterAll(async () => {
  await rig?.close();
  rmSync(dir, { recursive: true });
});

async function complete(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const body = JSON.stringify({ prompt: 'let a = ', suffix: ';', max_tokens: 8 });
    const response = await fetch(`${rig.url}/v1/fim/completions`, { method: 'POST', body });
    expect(response.status).toBe(200);
  }
}

const tile = (page: Page, title: string) =>
  page.locator('.tile').filter({ has: page.getByRole('heading', { name: title, exact: true }) });

describe('an empty server', () => {
  it.each(['light', 'dark'] as const)(
    'shows zeros and what to do, %s, wide and narrow',
    async (colorScheme) => {
      for (const viewport of [undefined, PHONE]) {
        const { page, problems, close } = await rig.open('#/dashboard', {
          colorScheme,
          reducedMotion: 'reduce',
          ...(viewport && { viewport }),
        });
        await tile(page, 'Throughput').locator('svg').waitFor();
        await page.getByText('Nothing was asked yet').waitFor();
        await page.getByText('No runs yet').waitFor();
        await page.getByRole('row', { name: 'Together' }).waitFor();
        expect(await tile(page, 'Queue').locator('.figure').textContent()).toBe('0 waiting');
        expect(await page.getByRole('row', { name: 'Together' }).textContent()).toBe('Together00000.00');
        expect(await accessibility(page)).toEqual([]);
        expect(await overflows(page)).toBe(false);
        expect(problems).toEqual([]);
        await close();
      }
    },
  );
});

describe('training', () => {
  it('appears while it runs, and goes on to its end', async () => {
    const config = join(dir, 'config.json');
    const small = { width: 16, layers: 1, heads: 2, kvHeads: 2, headDim: 8, ffnWidth: 24 };
    writeFileSync(
      config,
      JSON.stringify({
        name: 'tiny-sudoku',
        model: { layout: 'full', ...small, contextLength: 17 },
        objective: { kind: 'maskedDiffusion' },
        data: { kind: 'sudoku', size: 4 },
        batch: { rows: 8, length: 17, microBatches: 2 },
        schedule: { warmupTokens: 500, totalTokens: 30_000, decayTokens: 5000 },
        threads: 1,
      }),
    );
    const { page, problems, close } = await rig.open('#/dashboard');
    await page.getByText('No runs yet').waitFor();
    const end = finished(start(['train', '--config', config, '--out', join(runs, 'sudoku')]));
    const run = page.locator('.runs label').filter({ hasText: 'sudoku' });
    await run.waitFor();
    expect((await end).status).toBe(0);
    await run.getByText(/finished, step \d+, 30K of 30K tokens/).waitFor();
    expect(await page.locator('.curves .chart').getAttribute('aria-label')).toMatch(
      /^Training loss over training tokens\. sudoku: from \d\S+ to \d\S+ at 30K\.$/,
    );
    await page.getByRole('combobox', { name: 'Curve' }).selectOption({ label: 'Gradient norm' });
    await page.getByRole('combobox', { name: 'Over' }).selectOption('steps');
    await page.locator('.curves .chart[aria-label^="Gradient norm over steps"]').waitFor();
    await page.getByRole('combobox', { name: 'Curve' }).selectOption('autoregressiveNats');
    await page.getByText('logged nothing of this kind').waitFor();
    expect(problems).toEqual([]);
    await close();
  });

  it('is followed line by line, several runs beside each other', async () => {
    const log = (name: string, lines: object[]): void => {
      mkdirSync(join(runs, name), { recursive: true });
      const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
      appendFileSync(join(runs, name, 'log.jsonl'), text);
    };
    const step = (number: number, lossNats: number): object => ({
      type: 'step',
      step: number,
      tokens: number * 1000,
      lossNats,
      tokensPerSecond: 500,
      elapsedMs: number * 100,
    });
    log('live', [{ type: 'start' }, step(1, 5), step(2, 4)]);
    log('nested/other', [{ type: 'start' }, step(1, 6), step(2, 3)]);
    const { page, close } = await rig.open('#/dashboard');
    const chart = page.locator('.curves .chart');
    const label = async (): Promise<string> => (await chart.getAttribute('aria-label')) ?? '';
    await chart.waitFor();
    expect(await label()).toContain('live: from 5.00 to 4.00 at 2K');
    await page
      .locator('.runs label')
      .filter({ hasText: 'live' })
      .getByText(/training, step 2/)
      .waitFor();
    log('live', [step(3, 2.5)]);
    await expect.poll(label, SOON).toContain('to 2.50 at 3K');
    // By keyboard: one away, one more.
    const box = (name: string) => page.locator('.runs label').filter({ hasText: name }).getByRole('checkbox');
    await box('live').press('Space');
    await expect.poll(label, SOON).not.toContain('live');
    await box('sudoku').press('Space');
    await expect.poll(label, SOON).toContain('sudoku: ');
    expect(await label()).toContain('nested/other: from 6.00 to 3.00');
    await close();
  });
});

describe('load', () => {
  it('shows what is asked, live, and what it cost', async () => {
    const { page, problems, close } = await rig.open('#/dashboard');
    await page.getByText('Nothing was asked yet').waitFor();
    await complete(3);
    await tile(page, 'Throughput').getByText('3 since the start').waitFor();
    // A rate needs a second look, which comes two seconds later.
    await expect
      .poll(async () => tile(page, 'Throughput').locator('.chart').getAttribute('aria-label'), SOON)
      .toMatch(/tokens\/s: now [\d.]+, lowest [\d.]+, highest (?!0\.)[\d.]+/);
    await tile(page, 'Latency')
      .getByText(/95 %: [\d.]+ ms/)
      .waitFor();
    await tile(page, 'First text')
      .getByText(/95 %: [\d.]+ ms/)
      .waitFor();
    const row = tile(page, 'Models since the start').getByRole('row', { name: 'tiny' });
    expect(await row.textContent()).toMatch(/^tiny\d+\d\.\d\d$/);

    const usage = (await (await fetch(`${rig.url}/v1/usage?limit=0`)).json()) as {
      totals: { requests: number; prompt_tokens: number; completion_tokens: number }[];
    };
    const [total] = usage.totals;
    expect(total.requests).toBe(3);
    const cells = page.getByRole('row', { name: 'no key' }).locator('td');
    // The table is asked for anew every ten seconds, and when another period is chosen.
    await page.getByRole('combobox', { name: 'Of' }).selectOption('today');
    await cells.filter({ hasText: /^3$/ }).waitFor();
    const [, requests, prompt, , written] = await cells.allTextContents();
    expect([requests, prompt, written].map(Number)).toEqual([
      total.requests,
      total.prompt_tokens,
      total.completion_tokens,
    ]);
    await picture(page, 'dashboard');
    expect(problems).toEqual([]);
    await close();
  });

  it('asks nothing while the page is hidden, and goes on when it is seen again', async () => {
    const { page, close } = await rig.open('#/dashboard');
    let asked = 0;
    page.on('request', (request) => {
      if (/\/(metrics|page\/runs|v1\/usage)/.test(request.url())) asked++;
    });
    const turn = (hidden: boolean): Promise<void> =>
      page.evaluate((hidden) => {
        Object.defineProperty(document, 'hidden', { configurable: true, value: hidden });
        document.dispatchEvent(new Event('visibilitychange'));
      }, hidden);
    await page.waitForRequest('**/metrics');
    await turn(true);
    // What was on its way comes in; then longer than two looks are apart nothing does.
    let before = -1;
    for (let i = 0; i < 10 && before !== asked; i++) {
      before = asked;
      await page.waitForTimeout(2500);
    }
    expect(asked).toBe(before);
    const again = page.waitForRequest('**/metrics');
    await turn(false);
    await again;
    await close();
  });

  it('says that the server is away, and goes on when it is back', async () => {
    const { page, close } = await rig.open('#/dashboard');
    await tile(page, 'Queue').waitFor();
    await page.context().setOffline(true);
    await page.locator('[role=alert]').first().waitFor();
    expect(await tile(page, 'Queue').count()).toBe(1);
    await page.context().setOffline(false);
    await expect.poll(() => page.locator('[role=alert]').count(), SOON).toBe(0);
    await close();
  });
});

describe('keys', () => {
  it('decide what is shown: none, one without admin, one with', async () => {
    const data = join(dir, 'keyed');
    const make = async (name: string, ...scopes: string[]): Promise<string> => {
      const made = await tintype('keys', 'create', name, '--data', data, '--json', '--scope', ...scopes);
      return (JSON.parse(made.stdout) as { secret: string }).secret;
    };
    const plain = await make('plain', 'complete');
    const admin = await make('admin', 'complete', 'admin');
    const keyed = await openRig([...serveArgs, '--data', data]);
    try {
      const { page, close } = await keyed.open('#/dashboard');
      await page.getByText('The server asks for a key').first().waitFor();
      const use = async (key: string): Promise<void> => {
        await page.evaluate((key) => localStorage.setItem('tintype.key', JSON.stringify(key)), key);
        await page.reload();
        await page.getByText('Usage and cost').waitFor();
      };
      await use(plain);
      await page.getByText('tintype keys create NAME --scope admin').first().waitFor();
      await page.getByRole('row', { name: 'Together' }).waitFor();
      await use(admin);
      await tile(page, 'Queue').waitFor();
      await page.getByText(/No runs yet|Runs, the one written last/).waitFor();
      expect(await page.locator('[role=alert]').count()).toBe(0);
      await close();
    } finally {
      await keyed.close();
    }
  });
});

describe('metrics', () => {
  const text = [
    '# HELP x_total Things.',
    'x_total{model="a \\"b\\"",le="1"} 3',
    'x_total 4.5',
    'x_nan NaN',
    'no metric at all !',
    '',
  ].join('\n');

  it('are read with labels and escapes', () => {
    const metrics = parseMetrics(text);
    expect(metrics.get('x_total')).toEqual([
      { labels: { model: 'a "b"', le: '1' }, value: 3 },
      { labels: {}, value: 4.5 },
    ]);
    expect(sumOf(metrics, 'x_total')).toBe(7.5);
    expect(metrics.get('x_nan')![0].value).toBeNaN();
    expect(sumOf(metrics, 'nothing')).toBe(0);
  });

  it('give quantiles between two states, even inside a bucket', () => {
    const bounds = [1, 2, Infinity];
    const empty = { bounds, upTo: [0, 0, 0] };
    expect(quantileBetween(empty, { bounds, upTo: [10, 10, 10] }, 0.5)).toBeCloseTo(0.5);
    expect(quantileBetween({ bounds, upTo: [10, 10, 10] }, { bounds, upTo: [10, 20, 20] }, 0.5)).toBeCloseTo(
      1.5,
    );
    expect(quantileBetween(empty, { bounds, upTo: [0, 0, 4] }, 0.5)).toBe(2);
    expect(quantileBetween(empty, empty, 0.5)).toBeNull();
  });

  it('become rates; a restart begins anew, a silence says nothing', () => {
    const sample = (atMs: number, tokens: number, requests: number) =>
      readSample(
        `tintype_generation_tokens_total{model="a"} ${tokens}\n` +
          `tintype_http_requests_total{route="/v1/fim/completions"} ${requests}\n` +
          `tintype_http_requests_total{route="/metrics"} 99\n`,
        atMs,
      );
    let history = withSample([], sample(0, 100, 1));
    history = withSample(history, sample(2000, 150, 2));
    const [first, second] = momentsOf(history);
    expect(first).toMatchObject({ tokensPerSecond: null, requestsPerSecond: null });
    expect(second).toMatchObject({ tokensPerSecond: 25, requestsPerSecond: 0.5, latency: null });
    history = withSample(history, sample(60_000, 151, 2));
    expect(momentsOf(history).at(-1)!.tokensPerSecond).toBeNull();
    expect(withSample(history, sample(62_000, 0, 0))).toHaveLength(1);
  });
});
