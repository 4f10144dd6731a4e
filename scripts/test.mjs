/**
 * `npm test`: format, lint, types, build, then every test. All of them run even when one fails, so that one run
 * shows everything; each of the first four counts as one check in the line at the end, `N passed, N failed`.
 */
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureChromium } from './chromium.mjs';
import { build, checkNode, installDependencies, root, runNode, secondsSince } from './setup.mjs';

const bin = (name, file) => join(root, 'node_modules', name, file);
const succeeds = (...command) => runNode(command).status === 0;

const CHECKS = [
  {
    name: 'format',
    run: () => succeeds(bin('oxfmt', 'bin/oxfmt'), '--check', '.'),
    remedy: 'npm run format',
  },
  {
    name: 'lint',
    run: () => succeeds(bin('oxlint', 'bin/oxlint'), '--deny-warnings'),
    remedy: 'npm run lint -- --fix',
  },
  {
    name: 'types',
    run: () =>
      ['.', 'web', 'tests/browser'].every((part) =>
        succeeds(bin('typescript', 'bin/tsc'), '-p', part, '--noEmit'),
      ),
  },
  // The tests in tests/ run the built program.
  { name: 'build', run: build },
];

checkNode();
installDependencies();
let passed = 0;
let failed = 0;

for (const { name, run, remedy } of CHECKS) {
  const startedAt = performance.now();
  const ok = run();
  if (ok) passed++;
  else failed++;
  const advice = !ok && remedy ? ` (try ${remedy})` : '';
  console.log(`${name}: ${ok ? 'ok' : 'failed'} in ${secondsSince(startedAt)} s${advice}`);
}

// Tests of the page drive a real browser; without one they fail and say what to do.
try {
  process.env.TINTYPE_CHROMIUM = await ensureChromium();
} catch (error) {
  console.log(`browser: ${error.message}`);
}

const report = join(tmpdir(), `tintype-tests-${process.pid}.json`);
const vitest = runNode([
  bin('vitest', 'vitest.mjs'),
  'run',
  '--reporter=default',
  '--reporter=json',
  `--outputFile.json=${report}`,
  ...process.argv.slice(2),
]);
const counted = countTests(report);
passed += counted.passed;
failed += counted.failed;
// Something outside any test failed, an unhandled rejection for example.
if (vitest.status !== 0 && counted.failed === 0) failed++;
rmSync(report, { force: true });

console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

/** Tests that passed and failed; a file that did not load holds no tests and counts as one failure. */
function countTests(path) {
  let results;
  try {
    results = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return { passed: 0, failed: 1 };
  }
  const broken = results.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  );
  return { passed: results.numPassedTests, failed: results.numFailedTests + broken.length };
}
