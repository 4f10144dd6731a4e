/**
 * `npm run golden -- DIR [--json]`: every folder under DIR (or DIR itself) that holds a golden.json is checked against it.
 * A line for each; exit status 1 when one fails.
 */
import { checkGolden, goldenFolders, goldenLines } from '../src/eval/golden.ts';
import type { GoldenReport } from '../src/eval/golden.ts';
import { TintypeError } from '../src/errors.ts';

const args = process.argv.slice(2);
const asJson = args.includes('--json');
const [dir = 'fixtures/checkpoints'] = args.filter((arg) => arg !== '--json');

try {
  const reports: GoldenReport[] = [];
  for (const folder of await goldenFolders(dir)) {
    const report = await checkGolden(folder);
    reports.push(report);
    if (!asJson) for (const line of goldenLines(report)) console.log(line);
  }
  const failed = reports.filter(({ passed }) => !passed).length;
  if (asJson) console.log(JSON.stringify(reports, null, 2));
  else console.log(`${reports.length - failed} of ${reports.length} folders pass`);
  process.exitCode = failed > 0 ? 1 : 0;
} catch (error) {
  console.error(error instanceof TintypeError ? error.message : error);
  process.exitCode = error instanceof TintypeError ? error.exitStatus : 1;
}
