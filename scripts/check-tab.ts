/**
 * Does the model in the browser's tab write the same tokens as the server? Fills gaps of this repository's sources in
 * both, greedily, and compares token by token; where they part, says how near the decision was. Ends with status 1 on a
 * difference.
 *
 *     npx tsx scripts/check-tab.ts --gaps 200
 *     npx tsx scripts/check-tab.ts --gaps 20 --device webgpu     by a graphics processor, or SwiftShader
 */
import { parseArgs } from 'node:util';
import type { RunLine, RunRequest } from '../web/runs/run.ts';
import { openRig } from '../tests/browser/rig.ts';
import { gaps, runInTab, runOnServer } from '../tests/browser/tab-rig.ts';
import type { Finished } from '../tests/browser/tab-rig.ts';

const { values } = parseArgs({
  options: {
    gaps: { type: 'string', default: '200' },
    model: { type: 'string', default: 'tintype-code' },
    tokens: { type: 'string', default: '32' },
    device: { type: 'string', default: 'wasm' },
  },
});

/** WebGPU without a graphics processor: Chromium's own software renderer. */
const SOFTWARE_GPU = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
];

const browserArgs = values.device === 'webgpu' ? SOFTWARE_GPU : [];
const rig = await openRig(['--log-level', 'error'], undefined, browserArgs);
const { page, close } = await rig.open();
await page.evaluate((device) => {
  localStorage.setItem('tintype.where', '"tab"');
  localStorage.setItem('tintype.device', JSON.stringify(device));
}, values.device);
await page.reload();

const all = gaps(Number(values.gaps));
const totals = { tab: { tokens: 0, ms: 0 }, server: { tokens: 0, ms: 0 } };
let differing = 0;
for (const [index, source] of all.entries()) {
  const request: RunRequest = {
    model: values.model,
    source,
    maxTokens: Number(values.tokens),
    seed: index,
  };
  const tab = await runInTab(page, request);
  const server = await runOnServer(rig.url, request);
  if (index > 0) {
    count(totals.tab, tab);
    count(totals.server, server);
  }
  if ((index + 1) % 25 === 0) console.log(`${index + 1} of ${all.length} ...`);
  if (String(tab.ids) === String(server.ids)) continue;
  differing++;
  const closer = { ...request, candidates: 2 };
  const [a, b] = [await runInTab(page, closer), await runOnServer(rig.url, closer)];
  console.log(`gap ${index}: ${parting(a, b)}`);
}
const compute = await page.locator('.status [role=status]').textContent();
await close();
await rig.close();

const speed = ({ tokens, ms }: { tokens: number; ms: number }): string => ((1000 * tokens) / ms).toFixed(0);
console.log(
  `${all.length - differing} of ${all.length} gaps have identical tokens (${compute}); ` +
    `tokens/s: tab ${speed(totals.tab)}, server ${speed(totals.server)}`,
);
process.exitCode = differing > 0 ? 1 : 0;

function count(sum: { tokens: number; ms: number }, { lines }: Finished): void {
  const reply = lines.find((line) => line.type === 'reply')!;
  sum.tokens += reply.completionTokens;
  sum.ms += reply.elapsedMs;
}

/** The first line in which two runs differ, and how far apart the two most likely tokens were there. */
function parting(tab: Finished, server: Finished): string {
  const commits = ({ lines }: Finished): Extract<RunLine, { type: 'commit' }>[] =>
    lines.filter((line) => line.type === 'commit');
  const told = (line: Extract<RunLine, { type: 'commit' }> | undefined): string =>
    JSON.stringify(line?.tokens.map(({ position, id }) => [position, id]));
  const [a, b] = [commits(tab), commits(server)];
  const step = a.findIndex((line, index) => told(line) !== told(b[index]));
  const look = ({ lines }: Finished): string => {
    const looks = lines.filter((line) => line.type === 'look' && line.nfe === a[step]?.nfe);
    return JSON.stringify(looks).slice(0, 600);
  };
  return `commit ${step}: tab ${told(a[step])}, server ${told(b[step])}\n  tab ${look(tab)}\n  server ${look(server)}`;
}
