import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { defaultClientConditions, defineConfig } from 'vite';
import type { Plugin } from 'vite';
import { pageFolder } from '../src/model/page-folder.ts';

/** Beside every text file the same, compressed: the server sends it as it is. */
const compressed = (): Plugin => ({
  name: 'compressed',
  apply: 'build',
  generateBundle: {
    order: 'post',
    handler(_, bundle) {
      for (const [fileName, file] of Object.entries(bundle)) {
        if (!/\.(js|css|mjs|wasm|json|svg)$/.test(fileName)) continue;
        const level = fileName.endsWith('.wasm') ? 6 : 9;
        const source = gzipSync(file.type === 'chunk' ? file.code : file.source, { level });
        this.emitFile({ type: 'asset', fileName: `${fileName}.gz`, source });
      }
    },
  },
});

/** The bundled models beside the page, as a server has them under the same addresses. */
const models = (): Plugin => ({
  name: 'models',
  apply: 'build',
  async generateBundle() {
    const dir = fileURLToPath(new URL('../models', import.meta.url));
    const folders = await Promise.all(readdirSync(dir).map((name) => pageFolder(join(dir, name))));
    for (const { id, files } of folders) {
      for (const { name } of files) {
        const source = readFileSync(join(dir, id, name));
        this.emitFile({ type: 'asset', fileName: `page/models/${id}/${name}`, source });
      }
    }
    const source = JSON.stringify(folders);
    this.emitFile({ type: 'asset', fileName: 'page/models/index.json', source });
  },
});

/** The service worker, with the names of what it keeps from the first visit on: all but weights and binaries. */
const offline = (): Plugin => ({
  name: 'offline',
  apply: 'build',
  generateBundle: {
    order: 'post',
    handler(_, bundle) {
      const hash = createHash('sha256');
      // What stands in public/ is copied and not part of the bundle.
      const files = ['./', ...readdirSync(folder('public'))];
      for (const [fileName, file] of Object.entries(bundle).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
        hash.update(fileName).update(file.type === 'chunk' ? file.code : file.source);
        if (fileName === 'index.html' || fileName.endsWith('.wasm')) continue;
        if (/^page\/models\/.+\//.test(fileName)) continue;
        files.push(fileName);
      }
      const head = `const VERSION = '${hash.digest('hex').slice(0, 16)}';\nconst FILES = ${JSON.stringify(files)};\n`;
      const body = readFileSync(new URL('tab/offline.js', import.meta.url), 'utf8');
      this.emitFile({ type: 'asset', fileName: 'offline.js', source: head + body });
    },
  },
});

const API = ['/v1', '/health', '/metrics', '/docs', '/openapi.json', '/page'];

const folder = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/**
 * `npm run build` writes dist/web; `npm run dev:web` serves the sources in front of a running `tintype serve`. In the mode
 * `static` (`npm run build:static`) it is dist/static, which needs no server of ours.
 */
export default defineConfig(({ mode }) => ({
  root: folder('.'),
  // Relative where nobody knows in which folder of a host it will stand.
  base: mode === 'static' ? './' : '/',
  // ONNX Runtime with its loader and binary as files of their own: threads load them by address.
  resolve: { conditions: ['onnxruntime-web-use-extern-wasm', ...defaultClientConditions] },
  worker: { format: 'es' },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: folder(mode === 'static' ? '../dist/static' : '../dist/web'),
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    // How long each plugin took is no news to somebody who wanted the program.
    rolldownOptions: { checks: { pluginTimings: false } },
  },
  plugins: mode === 'static' ? [models(), offline()] : [compressed()],
  server: { proxy: Object.fromEntries(API.map((path) => [path, 'http://127.0.0.1:8484'])) },
}));
