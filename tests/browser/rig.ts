/** A real browser on the real page of the built server. */
import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { findChromium } from '../../scripts/chromium.mjs';
import { serve } from '../e2e/served.ts';

export const DESKTOP = { width: 1280, height: 800 };
export const PHONE = { width: 390, height: 844 };

export interface PageRig {
  browser: Browser;
  /** Of the server. */
  url: string;
  /**
   * A page in a context of its own at `#/…`. It fails the test that closes it (`check`) when the page logged an error
   * or asked another host for anything.
   */
  open: (hash?: string, options?: BrowserContextOptions) => Promise<OpenPage>;
  close: () => Promise<void>;
}

export interface OpenPage {
  page: Page;
  /** What went wrong so far: errors of scripts, of the console, requests to others. */
  problems: string[];
  close: () => Promise<void>;
}

/** The server with the bundled models, unless arguments say otherwise, and a browser. */
export async function openRig(
  args: readonly string[] = [],
  serverUrl?: string,
  browserArgs: readonly string[] = [],
): Promise<PageRig> {
  const executablePath = await findChromium();
  if (executablePath === null) {
    throw new Error('no Chromium here; run: npx playwright-core install --with-deps chromium');
  }
  const served = serverUrl === undefined ? await serve(['--port', '0', ...args]) : null;
  const url = serverUrl ?? served!.url;
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', ...browserArgs] });
  return {
    browser,
    url,
    async open(hash = '', options = {}) {
      const context = await browser.newContext({ viewport: DESKTOP, ...options });
      const page = await context.newPage();
      const problems: string[] = [];
      page.on('pageerror', (error) => problems.push(String(error)));
      page.on('console', (message) => {
        if (message.type() === 'error') problems.push(`${message.text()} ${message.location().url}`);
      });
      page.on('request', (request) => {
        const asked = request.url();
        if (!asked.startsWith(url) && !/^(data|blob):/.test(asked)) problems.push(`asked for ${asked}`);
      });
      await page.goto(`${url}/${hash}`);
      return { page, problems, close: () => context.close() };
    },
    async close() {
      await browser.close();
      served?.child.kill('SIGTERM');
      await served?.end;
    },
  };
}

const axePath = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** Violations that axe finds, a line each. */
export async function accessibility(page: Page): Promise<string[]> {
  // Through the debugger, since the page's own policy forbids scripts that are not its own.
  await page.evaluate(await readFile(axePath, 'utf8'));
  const found = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run(): Promise<{ violations: AxeViolation[] }> } };
    return (await axe.run()).violations;
  });
  return found.map(({ id, help, nodes }) => `${id}: ${help} (${nodes.map(({ html }) => html).join(' | ')})`);
}
interface AxeViolation {
  id: string;
  help: string;
  nodes: { html: string }[];
}

/** Whether the page is wider than the screen. */
export const overflows = (page: Page): Promise<boolean> =>
  page.evaluate(() => document.documentElement.scrollWidth > innerWidth);

const FOLDER = fileURLToPath(new URL('../../runs/screens/', import.meta.url));
const DOCS = fileURLToPath(new URL('../../docs/screens/', import.meta.url));
/** Those that the README shows. */
const SHOWN = ['write-filling', 'watch-light', 'race', 'solve-errors'];

/**
 * A picture of the page. With TINTYPE_PICTURES=docs those that the README shows are made anew; not with every run of the
 * tests, since pixels differ from machine to machine.
 */
export async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env.TINTYPE_PICTURES === 'docs' && SHOWN.includes(name) ? DOCS : FOLDER;
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`) });
}
