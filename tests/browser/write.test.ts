/** The editor: ghost text, holes, files, and a server that comes and goes. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { BrowserContextOptions, Page, Request } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accessibility, openRig, overflows, PHONE, picture } from './rig.ts';
import type { OpenPage, PageRig } from './rig.ts';

let rig: PageRig;
beforeAll(async () => {
  rig = await openRig();
});
afterAll(() => rig?.close());

async function open(options?: BrowserContextOptions): Promise<OpenPage> {
  const opened = await rig.open('#/write', options);
  await opened.page.locator('.cm-content').waitFor();
  await opened.page.getByText('Server ready').waitFor();
  return opened;
}

interface Draft {
  name: string;
  text: string;
  holes: { from: number; to: number }[];
}
/** What the browser keeps of the file. */
const draft = (page: Page): Promise<Draft> =>
  page.evaluate(() => JSON.parse(localStorage.getItem('tintype.write.draft')!) as Draft);
const text = async (page: Page): Promise<string> => (await draft(page)).text;

/** Answers completions with this text, after a while; tells what was asked. */
async function scripted(page: Page, answer: string, waitMs = 0): Promise<TraceBody[]> {
  const asked: TraceBody[] = [];
  await page.route('**/v1/trace', async (route, request) => {
    const body = bodyOf(request);
    asked.push(body);
    const reply = { type: 'reply', completionTokens: 4, nfe: 2, elapsedMs: 10 };
    const lines = [{ type: 'start', id: 'x', model: body.model }, { type: 'text', text: answer }, reply];
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    await route
      .fulfill({
        contentType: 'application/x-ndjson',
        body: lines.map((line) => `${JSON.stringify(line)}\n`).join(''),
      })
      .catch(() => {});
  });
  return asked;
}
interface TraceBody {
  model: string;
  prompt: string;
  suffix: string;
  max_tokens: number;
  stop: string[];
  tintype: Record<string, unknown>;
}
const bodyOf = (request: Request): TraceBody => request.postDataJSON() as TraceBody;

/** An empty line below the first line that holds `after`. */
async function newLineAfter(page: Page, after: string): Promise<void> {
  await page.locator('.cm-line', { hasText: after }).first().click();
  await page.keyboard.press('End');
  await page.keyboard.press('Enter');
}
const ghost = (page: Page) => page.locator('.cm-ghost-text');

describe('the first screen', () => {
  it('says the idea, and one press turns masks into tokens in place', async () => {
    const { page, problems, close } = await open();
    const before = await draft(page);
    expect(before.holes.length).toBeGreaterThan(1);
    expect(await page.locator('.write-head p').innerText()).toContain('masks');
    await page.evaluate(() => {
      const seen = new Set<string>();
      Object.assign(globalThis, { seen });
      const look = (): void => {
        for (const piece of document.querySelectorAll<HTMLElement>('.cm-hole[data-state=filling] .piece')) {
          seen.add(piece.textContent.includes('\n') ? 'another line' : piece.dataset.state!);
        }
      };
      new MutationObserver(look).observe(document.querySelector('.cm-content')!, {
        childList: true,
        subtree: true,
        attributes: true,
      });
    });
    await page.getByRole('button', { name: /^Fill \d holes/ }).click();
    await page.locator('.cm-hole[data-state=filling]').first().waitFor();
    await page.locator('.cm-hole[data-state=filling]').nth(2).waitFor();
    await picture(page, 'write-filling');
    await page.getByRole('button', { name: 'Start over' }).waitFor();
    const seen = await page.evaluate(() => [...(globalThis as unknown as { seen: Set<string> }).seen]);
    expect(seen).toEqual(expect.arrayContaining(['masked', 'fresh', 'settled']));
    expect(seen).not.toContain('another line');
    expect(await page.locator('.cm-filled').count()).toBeGreaterThan(0);
    await picture(page, 'write-filled');

    // All around the holes is as it was.
    await expect.poll(async () => (await draft(page)).holes).toEqual([]);
    const after = await text(page);
    expect(after).not.toBe(before.text);
    const ends = [0, ...before.holes.flatMap(({ from, to }) => [from, to]), before.text.length];
    let at = 0;
    for (let i = 0; i < ends.length; i += 2) {
      const kept = before.text.slice(ends[i], ends[i + 1]);
      const found = after.indexOf(kept, at);
      expect(found, kept).toBeGreaterThanOrEqual(at);
      at = found + kept.length;
    }
    // One undo away.
    await page.keyboard.press('Control+z');
    await expect.poll(() => text(page)).toBe(before.text);

    const figures = await page.locator('.write-figures dd').allInnerTexts();
    const [tokens, forwards, tpf] = figures.map((figure) => Number.parseFloat(figure));
    expect(tokens).toBeGreaterThan(0);
    expect(tpf).toBeCloseTo(tokens / forwards, 1);
    expect(problems).toEqual([]);
    await close();
  });

  it('needs at most 350 KB of script and style', async () => {
    const { page, close } = await open();
    const paths = await page.evaluate(() =>
      performance
        .getEntriesByType('resource')
        .map(({ name }) => new URL(name).pathname)
        .filter((path) => /\.(js|css)$/.test(path)),
    );
    const folder = join(import.meta.dirname, '../../dist/web');
    const sizes = await Promise.all(paths.map(async (path) => (await stat(join(folder, `${path}.gz`))).size));
    const sizeBytes = sizes.reduce((sum, size) => sum + size, 0);
    expect(paths.length).toBeGreaterThan(2);
    expect(sizeBytes).toBeLessThanOrEqual(350_000);
    await close();
  });

  it.each(['light', 'dark'] as const)('is accessible and fits, %s, wide and narrow', async (colorScheme) => {
    for (const viewport of [undefined, PHONE]) {
      const { page, close } = await open({
        colorScheme,
        reducedMotion: 'reduce',
        ...(viewport && { viewport }),
      });
      const name = `write-${colorScheme}${viewport ? '-narrow' : ''}`;
      await picture(page, name);
      expect(await accessibility(page), name).toEqual([]);
      await page.evaluate(() => {
        Object.assign(globalThis, { moving: 0 });
        const count = (): void => {
          (globalThis as unknown as { moving: number }).moving += document.getAnimations().length;
        };
        new MutationObserver(count).observe(document.body, { childList: true, subtree: true });
      });
      await page.locator('.write-fill').click();
      await page.getByRole('button', { name: 'Start over' }).waitFor();
      expect(await page.evaluate(() => (globalThis as unknown as { moving: number }).moving)).toBe(0);
      expect(await accessibility(page), `${name}, filled`).toEqual([]);
      await scripted(page, 'const answer = 42;');
      await newLineAfter(page, 'clear(): void {');
      await page.keyboard.type('x');
      await ghost(page).waitFor();
      await picture(page, `${name}-ghost`);
      expect(await accessibility(page), `${name}, ghost`).toEqual([]);
      expect(await overflows(page), name).toBe(false);
      await close();
    }
  });
});

describe('ghost text', () => {
  it('comes from the model while one types, on one line', async () => {
    const { page, problems, close } = await open();
    const request = page.waitForRequest((request) => {
      return request.url().endsWith('/v1/trace') && bodyOf(request).prompt.endsWith('const all = this.it');
    });
    await newLineAfter(page, 'toArray(): T[] {');
    await page.keyboard.type('const all = this.it', { delay: 20 });
    const { suffix, stop, prompt } = bodyOf(await request);
    expect(suffix).toContain('return [...this.items]');
    expect(stop).toEqual(['\n']);
    // Nobody is told what stood in the holes.
    expect(prompt + suffix).not.toContain('this.items.push');
    await page.locator('.write-figures', { hasText: 'Completion' }).waitFor();
    expect(problems).toEqual([]);
    await close();
  });

  it('moves nothing, is taken whole, by word, by line, and undone', async () => {
    const { page, close } = await open();
    await scripted(page, 'alpha.beta(1);');
    const places = () =>
      page.locator('.cm-line, .write-keys').evaluateAll((all) =>
        all.map((each) => {
          const { x, y, height } = each.getBoundingClientRect();
          return [x, y, height];
        }),
      );
    await newLineAfter(page, 'toArray(): T[] {');
    await page.keyboard.type('v');
    const before = await places();
    await ghost(page).waitFor();
    expect(await places()).toEqual(before);
    expect(await page.getByRole('status').last().innerText()).toBe('Suggestion: alpha.beta(1);');

    await page.keyboard.press('Control+ArrowRight');
    expect(await ghost(page).innerText()).toBe('.beta(1);');
    await page.keyboard.press('Control+ArrowRight');
    await page.keyboard.press('Control+ArrowRight');
    expect(await ghost(page).innerText()).toBe('(1);');
    await page.keyboard.press('Tab');
    await expect.poll(() => text(page)).toContain('    valpha.beta(1);\n');
    // Taken whole: asked again.
    await ghost(page).waitFor();
    await page.keyboard.press('Escape');
    await expect.poll(() => ghost(page).count()).toBe(0);
    await page.keyboard.press('Control+z');
    await expect.poll(() => text(page)).not.toContain('(1);\n');
    await close();
  });

  it('stays while what is typed fits, ends when not, shows the rest of the line behind itself', async () => {
    const { page, close } = await open();
    const asked = await scripted(page, 'first, second');
    await page.locator('.cm-line', { hasText: 'return this.items.shift();' }).click();
    await page.keyboard.press('End');
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.type('a');
    await ghost(page).waitFor();
    expect(await page.locator('.cm-ghost-over').innerText()).toBe('first, second);');
    const count = asked.length;
    await page.keyboard.type('fir');
    expect(await ghost(page).innerText()).toBe('st, second');
    expect(asked.length).toBe(count);
    await page.keyboard.type('x');
    await expect.poll(() => asked.at(-1)!.prompt.endsWith('shift(afirx')).toBe(true);
    await ghost(page).waitFor();
    await page.keyboard.press('ArrowLeft');
    expect(await ghost(page).count()).toBe(0);
    await close();
  });

  it('grows as it settles, also while one types what fits', async () => {
    const { page, close } = await open();
    await page.evaluate(() => {
      const real = globalThis.fetch;
      const state = { next: (): void => {}, given: 0 };
      const block = (i: number) => ({ type: 'block', index: i, start: i, ids: [i + 1], settledEnd: i + 1 });
      const vocabulary = { type: 'vocabulary', tokens: { 1: 'al', 2: 'pha', 3: '();' }, special: {} };
      const last = [
        { type: 'text', text: 'alpha();' },
        { type: 'reply', completionTokens: 3, nfe: 3 },
      ];
      const chunks = [
        [{ type: 'canvas', ids: [-1, -1, -1], answerStart: 0 }, vocabulary, block(0)],
        [block(1)],
        [block(2), ...last],
      ];
      const answer = (signal: AbortSignal): Response => {
        signal.addEventListener('abort', () => state.given++);
        const stream = new ReadableStream<string>({
          async start(controller) {
            for (const lines of chunks) {
              for (const line of lines) controller.enqueue(`${JSON.stringify(line)}\n`);
              await new Promise<void>((resolve) => (state.next = resolve));
            }
            controller.close();
          },
        });
        return new Response(stream.pipeThrough(new TextEncoderStream()));
      };
      globalThis.fetch = (path, init) =>
        path === '/v1/trace' ? Promise.resolve(answer(init!.signal!)) : real(path, init);
      Object.assign(globalThis, { state });
    });
    const next = () =>
      page.evaluate(() => (globalThis as unknown as { state: { next(): void } }).state.next());
    await newLineAfter(page, 'toArray(): T[] {');
    await expect.poll(() => ghost(page).allInnerTexts()).toEqual(['al']);
    const given = () =>
      page.evaluate(() => (globalThis as unknown as { state: { given: number } }).state.given);
    const before = await given();
    await page.keyboard.type('a');
    expect(await ghost(page).innerText()).toBe('l');
    await next();
    await expect.poll(() => ghost(page).innerText()).toBe('lpha');
    await next();
    await expect.poll(() => ghost(page).innerText()).toBe('lpha();');
    expect(await given()).toBe(before);
    // Refused: nothing comes after.
    await page.keyboard.press('Escape');
    await next();
    await page.waitForTimeout(100);
    expect(await ghost(page).count()).toBe(0);
    await close();
  });

  it('gives up what is asked for when typing goes on', async () => {
    const { page, close } = await open();
    const given: string[] = [];
    page.on('requestfailed', (request) => given.push(request.failure()?.errorText ?? ''));
    const asked = await scripted(page, 'late', 400);
    await newLineAfter(page, 'toArray(): T[] {');
    await page.keyboard.type('abc', { delay: 150 });
    await ghost(page).waitFor();
    expect(asked.at(-1)!.prompt).toMatch(/abc$/);
    expect(given.filter((reason) => reason === 'net::ERR_ABORTED').length).toBeGreaterThanOrEqual(2);
    await close();
  });

  it('obeys its settings, which are remembered', async () => {
    const { page, close } = await open();
    const asked = await scripted(page, 'one\ntwo');
    const { settings, type } = {
      settings: page.getByRole('group', { name: 'Settings' }),
      type: async (what: string) => {
        const before = page.locator('.cm-line').filter({ hasText: 'toArray(): T[] {' });
        await before.locator('xpath=following-sibling::*[1]').click();
        await page.keyboard.press('End');
        await page.keyboard.type(what);
      },
    };
    await newLineAfter(page, 'toArray(): T[] {');
    await settings.getByLabel('Complete while typing').uncheck();
    await page.waitForTimeout(200);
    const count = asked.length;
    await type('a');
    await page.waitForTimeout(300);
    expect(asked.length).toBe(count);
    await page.keyboard.press('Control+Space');
    await ghost(page).first().waitFor();

    await settings.getByLabel('Complete while typing').check();
    await settings.getByLabel('Length of completions').selectOption('several');
    await settings.getByLabel('at most').fill('7');
    await settings.getByLabel('Commit from').fill('0.5');
    await type('b');
    await page.locator('.cm-ghost-more').waitFor();
    const { model, max_tokens, stop, tintype } = asked.at(-1)!;
    expect([model, max_tokens, stop]).toEqual(['tintype-code', 7, ['\n\n']]);
    expect(tintype).toEqual({ mode: 'diffusion', threshold: 0.5, blockLength: 4 });
    await page.keyboard.press('Control+ArrowDown');
    await expect.poll(() => text(page)).toContain('abone\n');
    expect(await ghost(page).last().innerText()).toBe('two');

    await settings.getByRole('combobox', { name: /^Mode/ }).selectOption('verify');
    await type('c');
    await expect.poll(() => asked.at(-1)!.tintype.mode).toBe('verify');
    await settings.getByRole('combobox', { name: /^Mode/ }).selectOption('ar');
    await type('d');
    await expect.poll(() => asked.at(-1)!.model).toBe('tintype-code-ar');
    await page.reload();
    await expect.poll(() => settings.getByRole('combobox', { name: /^Mode/ }).inputValue()).toBe('ar');
    await close();
  });
});

describe('holes', () => {
  it('are punched and filled by keyboard, over several lines and on a blank one, in every mode', async () => {
    const { page, problems, close } = await open({ viewport: { width: 1280, height: 1400 } });
    await page.getByLabel('File').selectOption('basket.ts');
    await page.getByLabel('Holes in slow motion').uncheck();
    await page.locator('.cm-line', { hasText: 'const known' }).click();
    await page.keyboard.press('Home');
    for (let i = 0; i < 2; i++) await page.keyboard.press('Shift+ArrowDown');
    await page.keyboard.press('Control+k');
    await expect.poll(() => page.locator('.cm-hole').count()).toBe(4);
    await page.keyboard.press('Control+End');
    await page.keyboard.press('Control+k');
    await expect.poll(() => page.locator('.cm-hole').count()).toBe(5);
    await picture(page, 'write-holes');
    await page.keyboard.press('Control+Enter');
    await page.locator('.cm-hole[data-state=filling]').first().waitFor();
    await page.locator('.write-figures', { hasText: '5 holes' }).waitFor();
    for (const mode of ['verify', 'ar']) {
      await page.getByRole('button', { name: 'Start over' }).click();
      await page.getByRole('combobox', { name: /^Mode/ }).selectOption(mode);
      await page.locator('.cm-content').focus();
      const asked = page.waitForRequest('**/v1/trace');
      await page.keyboard.press('Control+Enter');
      expect(bodyOf(await asked).tintype.mode).toBe(mode);
      await page.locator('.write-figures', { hasText: '3 holes' }).waitFor();
      await page.getByRole('button', { name: 'Start over' }).waitFor();
    }
    expect(problems).toEqual([]);
    await close();
  });

  it('are closed with the key, with Backspace, and keep their old text', async () => {
    const { page, close } = await open();
    const before = await draft(page);
    await page.locator('.cm-line', { hasText: 'return [...this.items]' }).click();
    await page.keyboard.press('Control+k');
    await expect.poll(async () => (await draft(page)).holes.length).toBe(before.holes.length + 1);
    await page.getByRole('button', { name: /Close hole/ }).click();
    await expect.poll(async () => (await draft(page)).holes).toEqual(before.holes);
    await page.locator('.cm-line', { hasText: 'return [...this.items]' }).click();
    await page.keyboard.press('Control+k');
    await expect.poll(() => page.locator('.cm-hole').count()).toBe(before.holes.length + 1);
    await page.keyboard.press('Backspace');
    await expect.poll(async () => (await draft(page)).holes).toEqual(before.holes);
    expect(await text(page)).toBe(before.text);
    await close();
  });

  it('stop with Esc, their text as it was', async () => {
    const { page, close } = await open();
    const before = await draft(page);
    await page.locator('.cm-content').focus();
    await page.keyboard.press('Control+Enter');
    await page.locator('.cm-hole[data-state=filling]').first().waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: /^Fill \d holes/ }).waitFor();
    expect(await draft(page)).toMatchObject({ text: before.text, holes: before.holes });
    expect(await page.locator('.cm-hole[data-state=open]').count()).toBe(before.holes.length);
    await close();
  });
});

describe('files', () => {
  it('are opened and saved by the picker, lines as they ended, and survive a reload unsaved', async () => {
    const { page, close } = await open();
    await page.evaluate(() => {
      const written: string[] = [];
      const handle = {
        name: 'own.ts',
        getFile: () => Promise.resolve(new File(['const a = 1;\r\nconst b = 2;\r\n'], 'own.ts')),
        createWritable: () =>
          Promise.resolve({
            write: (text: string) => Promise.resolve(void written.push(text)),
            close: () => Promise.resolve(),
          }),
      };
      Object.assign(globalThis, { written, showOpenFilePicker: () => Promise.resolve([handle]) });
    });
    await page.getByRole('button', { name: 'Open' }).click();
    await expect.poll(async () => await draft(page)).toMatchObject({ name: 'own.ts', holes: [] });
    expect(await page.getByLabel('File').inputValue()).toBe('own.ts');
    await page.locator('.cm-content').focus();
    await page.keyboard.press('Control+End');
    await page.keyboard.type('c;');
    await page.getByText('not saved').waitFor();
    await page.keyboard.press('Control+s');
    await expect.poll(() => page.getByText('not saved').count()).toBe(0);
    const written = await page.evaluate(() => (globalThis as unknown as { written: string[] }).written);
    expect(written).toEqual(['const a = 1;\r\nconst b = 2;\r\nc;']);

    await page.keyboard.type(' d;');
    await page.reload();
    await page.locator('.cm-line', { hasText: 'c; d;' }).waitFor();
    await page.getByText('not saved').waitFor();
    // What is not saved is not thrown away unasked.
    page.once('dialog', (dialog) => void dialog.dismiss());
    await page.getByLabel('File').selectOption('text.ts');
    expect(await page.getByLabel('File').inputValue()).toBe('own.ts');
    page.once('dialog', (dialog) => void dialog.accept());
    await page.getByLabel('File').selectOption('text.ts');
    await page.locator('.cm-line', { hasText: 'capitalize' }).waitFor();
    await close();
  });

  it('are uploaded and downloaded where there is no picker; too large or binary ones are refused', async () => {
    const { page, close } = await open();
    await page.evaluate(() =>
      Object.assign(globalThis, { showOpenFilePicker: undefined, showSaveFilePicker: undefined }),
    );
    const before = await text(page);
    const upload = async (name: string, content: string | Uint8Array): Promise<void> => {
      const chooser = page.waitForEvent('filechooser');
      await page.getByRole('button', { name: 'Open' }).click();
      await (await chooser).setFiles({ name, mimeType: 'text/plain', buffer: Buffer.from(content) });
    };
    await upload('large.ts', 'x'.repeat(5_000_000));
    await page.getByText('large.ts has 5.0 MB; files of less than 5 MB can be opened here').waitFor();
    await upload('picture.png', Uint8Array.of(0x89, 0x50, 0xff, 0xfe));
    await page.getByText('picture.png is not text').waitFor();
    await upload('nul.bin', 'a\0b');
    await page.getByText('nul.bin is not text (it is binary)').waitFor();
    expect(await text(page)).toBe(before);
    await upload('mine.ts', 'let mine = 1;\n');
    await page.locator('.cm-line', { hasText: 'let mine' }).waitFor();
    await page.locator('.cm-content').evaluate((target) => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File(['let dropped = 1;\n'], 'dropped.ts'));
      target.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
    });
    await page.locator('.cm-line', { hasText: 'let dropped' }).waitFor();
    await upload('mine.ts', 'let mine = 1;\n');
    await page.locator('.cm-line', { hasText: 'let mine' }).waitFor();
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Save' }).click();
    const saved = await download;
    expect(saved.suggestedFilename()).toBe('mine.ts');
    expect(await readFile(await saved.path(), 'utf8')).toBe('let mine = 1;\n');
    await close();
  });
});

describe('a server that is away', () => {
  it('is waited for: text and holes stay, completion and filling go on when it is back', async () => {
    const { page, close } = await open();
    const before = await draft(page);
    await page.context().setOffline(true);
    await page.getByRole('button', { name: /^Fill \d holes/ }).click();
    await page.getByRole('alert').getByText('The server does not answer').waitFor();
    await page.locator('.cm-line', { hasText: 'First come' }).click();
    await page.keyboard.press('End');
    await page.keyboard.type(' // typed');
    await expect.poll(() => page.locator('.cm-hole').count()).toBe(before.holes.length);
    await page.context().setOffline(false);
    await page.getByRole('button', { name: 'Start over' }).waitFor();
    await expect.poll(() => text(page)).toContain('*/ // typed\n');
    await expect.poll(() => page.getByText('The server does not answer').count()).toBe(0);

    await page.context().setOffline(true);
    await newLineAfter(page, 'toArray(): T[] {');
    await page.keyboard.type('return this.items.');
    await page.getByRole('alert').getByText('The server does not answer').waitFor();
    const asked = page.waitForResponse(
      (response) =>
        response.url().endsWith('/v1/trace') &&
        bodyOf(response.request()).prompt.endsWith('return this.items.'),
    );
    await page.context().setOffline(false);
    expect((await asked).status()).toBe(200);
    await close();
  });
});

describe('the keyboard', () => {
  it('reaches everything and leaves the editor', async () => {
    const { page, close } = await open();
    await page.locator('.cm-content').focus();
    await page.keyboard.press('Control+Home');
    await page.keyboard.press('Tab');
    expect(await page.locator('.cm-line').first().innerText()).toMatch(/^ {2}\/\*\*/);
    await page.keyboard.press('Control+z');
    await page.keyboard.press('Escape');
    await page.keyboard.press('Tab');
    expect(await page.evaluate(() => document.activeElement?.closest('.cm-editor'))).toBe(null);
    const reached: string[] = [];
    await page.locator('.brand').focus();
    for (let i = 0; i < 16; i++) {
      await page.keyboard.press('Tab');
      reached.push(
        await page.evaluate(
          () =>
            document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? '',
        ),
      );
    }
    for (const name of [/^Fill/, /^Punch/, /^File/, /^Open/, /^Save/, /^Code/]) {
      expect(
        reached.some((label) => name.test(label)),
        String(name),
      ).toBe(true);
    }
    await close();
  });
});
