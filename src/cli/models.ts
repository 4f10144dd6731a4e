/** `tintype models`: what is here, and the way to be rid of what was converted. */
import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { clearConverted, listModels, modelPath } from '../model/library.ts';
import { formatTable, printJson, printLine } from './output.ts';
import { formatCount } from './progress.ts';
import { bundledModel } from './text-model.ts';

const HELP = `
Large models are converted when they are first loaded, into a folder beside their files or, where that is read-only, into the
cache; later loads take seconds. --clear-cache removes what was converted; models and their files stay.

Examples:
  tintype models
  tintype models --clear-cache
  tintype models --clear-cache ./SDAR-1.7B-Chat`;

interface ModelsFlags {
  json?: boolean;
  clearCache?: string | true;
}

async function bundledModels(): Promise<string[]> {
  const root = dirname(bundledModel());
  const entries = await readdir(root, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => join(root, name))
    .toSorted();
}

const size = (bytes: number): string =>
  bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;

export function register(program: Command): void {
  program
    .command('models')
    .description('list the models that are here, and what was converted of them')
    .option('--clear-cache [dir]', 'remove converted weights, of one model or of all in the cache')
    .option('--json', 'print one JSON document')
    .addHelpText('after', HELP)
    .action(async ({ json, clearCache }: ModelsFlags) => {
      if (clearCache !== undefined) {
        const freedBytes = await clearConverted(clearCache === true ? undefined : modelPath(clearCache));
        if (json) printJson({ freedBytes });
        else printLine(`freed ${size(freedBytes)}`);
        return;
      }
      const models = await listModels(await bundledModels());
      if (json) {
        printJson({ models });
        return;
      }
      printLine(
        formatTable(
          ['model', 'from', 'parameters', 'family', 'layout', 'stored', 'size', 'converted'],
          models.map(({ name, origin, fault, ...facts }) =>
            fault === null
              ? [
                  name,
                  origin,
                  formatCount(facts.parameters),
                  facts.family,
                  facts.layout,
                  facts.stored,
                  size(facts.sizeBytes),
                  facts.converted.map((each) => `${each.precision} ${size(each.sizeBytes)}`).join(', '),
                ]
              : [name, origin, '', '', '', '', '', fault],
          ),
        ),
      );
    });
}
