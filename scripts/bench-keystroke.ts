/**
 * From a keystroke to ghost text of one line on the screen, in a real browser on the real page:
 *
 *     npm start &   npx tsx scripts/bench-keystroke.ts [--url http://127.0.0.1:8484] [--keystrokes 120]
 *       [--mode diffusion|verify|ar] [--json]
 *
 * Lines of code are typed into the sample files, one key at a time, the next one when the answer to the last is there and
 * refused. The clock runs from the time stamp of the key's event to the frame of the screen that has the text: pause,
 * request, decoding and drawing are all in it, for the first of the text, which grows as it settles, and for the whole
 * line. Keystrokes after which the model writes nothing are counted apart. The first ones, which warm everything up, are
 * left out. Beside it what the first screen costs: bytes of script and style as sent, and when the button can be pressed.
 */
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import type { Page } from 'playwright-core';
import { describeMachine } from '../src/eval/machine.ts';
import { percentile } from '../src/eval/metrics.ts';
import { ensureChromium } from './chromium.mjs';

const { values: flags } = parseArgs({
  options: {
    url: { type: 'string', default: 'http://127.0.0.1:8484' },
    keystrokes: { type: 'string', default: '120' },
    mode: { type: 'string', default: 'diffusion' },
    json: { type: 'boolean', default: false },
  },
});
const [WARM_UP, LONGEST_MS] = [10, 5000];
/** After an answer until it is on the screen. */
const DRAWN_MS = 60;

/** What is typed below which line. */
const TYPED = [
  ['queue.ts', 'toArray(): T[] {', 'const all = this.items.slice();'],
  ['queue.ts', 'clear(): void {', 'for (const item of this.items) this.push(item);'],
  ['basket.ts', 'let sum = 0;', 'const prices = items.map((item) => item.price);'],
  ['basket.ts', 'const known', 'if (items.length === 0) return [added];'],
  ['text.ts', 'function isBlank', 'const trimmed = text.trim();'],
  ['text.ts', 'function shorten', 'const rest = text.length - most;'],
] as const;

/** Runs in the page: when the first of the ghost text, and the last, was there to be drawn, after a key went down. */
const CLOCK = `
  let keyMs = 0;
  addEventListener('keydown', (event) => { keyMs = event.timeStamp; }, true);
  globalThis.watchGhost = (longestMs) => new Promise((resolve) => {
    globalThis.isAnswered = false;
    const startedMs = performance.now();
    let [firstMs, wholeMs, shown] = [null, null, ''];
    const look = () => {
      const nowMs = performance.now();
      const text = document.querySelector('.cm-ghost')?.textContent ?? '';
      if (text !== shown) {
        [shown, wholeMs] = [text, nowMs - keyMs];
        firstMs ??= wholeMs;
      }
      if (globalThis.isAnswered || nowMs - startedMs > longestMs) resolve(firstMs === null ? null : { firstMs, wholeMs });
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });`;

interface Times {
  firstMs: number;
  wholeMs: number;
}

interface Load {
  sizeBytes: number;
  interactiveMs: number;
}

/** Of a page that is opened with an empty cache. */
async function load(page: Page): Promise<Load> {
  await page.goto(`${flags.url}/#/write`);
  await page.locator('.write-fill:enabled').waitFor();
  return (await page.evaluate(`({
    interactiveMs: performance.now(),
    sizeBytes: performance.getEntriesByType('resource').filter(({ name }) => /\\.(js|css)$/.test(name))
      .reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0),
  })`)) as Load;
}

const browser = await chromium.launch({ executablePath: await ensureChromium(), args: ['--no-sandbox'] });
const machine = await describeMachine();
const page = await browser.newPage();
await page.addInitScript(CLOCK);
const firstLoad = await load(page);
await page.getByText('Server ready').waitFor();
await page.getByRole('combobox', { name: /^Mode/ }).selectOption(flags.mode);

page.on('dialog', (dialog) => void dialog.accept());

/** Waits until the server has answered what this asks. */
async function answerTo(act: () => Promise<void>): Promise<void> {
  const answered = page.waitForEvent('requestfinished', {
    predicate: (request) =>
      request.url().endsWith('/v1/trace') &&
      (request.postDataJSON() as { max_tokens: number }).max_tokens > 1,
  });
  await act();
  await answered;
}

/** Types one key and waits for what it brings; null when that is nothing. */
async function press(key: string): Promise<Times | null> {
  const watched = page.evaluate(`watchGhost(${LONGEST_MS})`) as Promise<Times | null>;
  await answerTo(() => page.keyboard.type(key));
  await page.waitForTimeout(DRAWN_MS);
  await page.evaluate('globalThis.isAnswered = true');
  const times = await watched;
  await page.keyboard.press('Escape');
  return times;
}

async function newLine(file: string, below: string): Promise<void> {
  await page.getByLabel('File').selectOption(file);
  await page.locator('.cm-line', { hasText: below }).first().click();
  await page.keyboard.press('End');
  await answerTo(() => page.keyboard.press('Enter'));
  await page.keyboard.press('Escape');
}

const all: (Times | null)[] = [];
const wanted = Number(flags.keystrokes) + WARM_UP;
while (all.length < wanted) {
  for (const [file, below, line] of TYPED) {
    await newLine(file, below);
    for (const key of line) if (all.length < wanted) all.push(await press(key));
  }
}
await browser.close();

const measured = all.slice(WARM_UP).filter((times) => times !== null);
const spread = (values: readonly number[]) => ({
  p50Ms: Math.round(percentile(values, 0.5)),
  p95Ms: Math.round(percentile(values, 0.95)),
});
const result = {
  mode: flags.mode,
  keystrokes: measured.length,
  withoutGhost: all.length - WARM_UP - measured.length,
  firstText: spread(measured.map(({ firstMs }) => firstMs)),
  wholeLine: spread(measured.map(({ wholeMs }) => wholeMs)),
  firstLoad,
  machine,
};
if (flags.json) console.log(JSON.stringify(result));
else {
  const { mode, keystrokes, withoutGhost, firstText, wholeLine } = result;
  console.log(
    `keystroke to ghost text, ${mode}, ${keystrokes} keystrokes (${withoutGhost} more brought none)`,
  );
  console.table({ 'first text': firstText, 'whole line': wholeLine });
  const kilobytes = (firstLoad.sizeBytes / 1000).toFixed(0);
  console.log(`first load: ${kilobytes} KB, interactive after ${firstLoad.interactiveMs.toFixed(0)} ms`);
  console.log(`machine: ${machine.cores} cores of ${machine.cpu}, load ${machine.loadAtStart.join(' ')}`);
}
