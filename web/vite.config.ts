import { gzipSync } from 'node:zlib';
import { fileURLToPath } from 'node:url';
import { defaultClientConditions, defineConfig } from 'vite';
import type { Plugin } from 'vite';

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

const API = ['/v1', '/health', '/metrics', '/docs', '/openapi.json', '/page'];

/** `npm run build` writes dist/web; `npm run dev:web` serves the sources in front of a running `tintype serve`. */
export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  // Relative, so that the page works from any folder.
  base: './',
  // ONNX Runtime with its loader and binary as files of their own: threads load them by address.
  resolve: { conditions: ['onnxruntime-web-use-extern-wasm', ...defaultClientConditions] },
  worker: { format: 'es' },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: fileURLToPath(new URL('../dist/web', import.meta.url)),
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  plugins: [compressed()],
  server: { proxy: Object.fromEntries(API.map((path) => [path, 'http://127.0.0.1:8484'])) },
});
