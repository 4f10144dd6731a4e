/** The same request to the page's own tab and to the server, without a view in between. */
import { readFileSync } from 'node:fs';
import type { JSHandle, Page } from 'playwright-core';
import { createRng } from '../../src/rng.ts';
import type { RunLine, RunRequest, RunSource } from '../../web/runs/run.ts';

export interface Finished {
  ids: number[];
  lines: RunLine[];
}

/** The page's module that runs models in the tab, which it has fetched once the tab was chosen. */
async function sourceOf(page: Page): Promise<JSHandle<{ tabSource: RunSource }>> {
  const found = await page.waitForFunction(() => {
    const names = performance.getEntriesByType('resource').map(({ name }) => name);
    return names.find((name) => /\/assets\/source-[\w-]+\.js$/.test(name));
  });
  // As text, since tests rewrite what they import; the browser gives the module that is running.
  return page.evaluateHandle(`import(${JSON.stringify(await found.jsonValue())})`);
}

/** All lines of a run in the tab. */
export async function runInTab(page: Page, request: RunRequest): Promise<Finished> {
  const source = await sourceOf(page);
  const lines = await source.evaluate(async ({ tabSource }, asked) => {
    const got: RunLine[] = [];
    for await (const line of tabSource.run(asked, new AbortController().signal)) got.push(line);
    return got;
  }, request);
  return { ids: idsOf(lines), lines };
}

/** Stops a run after its first line of this type; the code of the error that it ends with. */
export async function stopInTab(page: Page, request: RunRequest, after: RunLine['type']): Promise<string> {
  const source = await sourceOf(page);
  return source.evaluate(
    async ({ tabSource }, [asked, type]) => {
      const controller = new AbortController();
      try {
        for await (const line of tabSource.run(asked, controller.signal)) {
          if (line.type === type) controller.abort();
        }
        return 'finished';
      } catch (error) {
        return (error as { code?: string }).code ?? String(error);
      }
    },
    [request, after] as const,
  );
}

/** All lines of the same run on the server, as `web/runs/server.ts` asks for it. */
export async function runOnServer(url: string, request: RunRequest): Promise<Finished> {
  const { model, source, maxTokens, temperature = 0, seed, options, candidates } = request;
  const where =
    'canvas' in source
      ? { canvas: { ids: source.canvas.ids, answer_start: source.canvas.answerStart } }
      : { prompt: source.prompt, suffix: source.suffix };
  const body = { model, ...where, max_tokens: maxTokens, temperature, seed, candidates, tintype: options };
  const response = await fetch(`${url}/v1/trace`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  const lines = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as RunLine);
  return { ids: idsOf(lines), lines };
}

function idsOf(lines: readonly RunLine[]): number[] {
  const done = lines.find((line) => line.type === 'done');
  if (!done) throw new Error(`the run ended without a result: ${JSON.stringify(lines.at(-1))}`);
  return Array.from(done.ids);
}

/**
 * Gaps in some sources, always the same, with so many characters around each. The sources are a copy: gaps in what stands in
 * `src` today would be others with every file that comes or goes.
 */
export function gaps(count: number, around = 1100): { prompt: string; suffix: string }[] {
  const text = readFileSync(new URL('../../fixtures/gaps.txt', import.meta.url), 'utf8');
  const rng = createRng(7, 'gaps');
  return Array.from({ length: count }, () => {
    const at = rng.int(text.length);
    const length = 10 + rng.int(60);
    const [before, after] = [Math.round(around * 0.7), Math.round(around * 0.3)];
    return {
      prompt: text.slice(Math.max(0, at - before), at),
      suffix: text.slice(at + length, at + length + after),
    };
  });
}
