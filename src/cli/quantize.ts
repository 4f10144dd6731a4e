/** `tintype quantize`: a model folder whose matrices take 8 or 4 bits a weight. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { quantizeFolder } from '../model/quantized-folder.ts';
import { addBlockLength, addModelOptions, type ModelFlags, overridesOf } from './model-options.ts';
import { formatFields, printJson, printLine } from './output.ts';
import { createProgress, type Progress } from './progress.ts';

const HELP = `
The new folder loads as the old one does with the same precision chosen at load, bit for bit, only sooner and from less
space. It decodes; it cannot be trained, exported or quantised again. Embedding and norms keep their precision, the head
gets 8 bits in both.

Examples:
  tintype quantize --model models/tintype-code --out code-int8
  tintype quantize --model SDAR-1.7B --out SDAR-1.7B-int4 --precision int4`;

interface QuantizeFlags extends ModelFlags {
  blockLength?: number;
  model: string;
  out: string;
  precision: 'int8' | 'int4';
  json?: boolean;
}

export function register(program: Command): void {
  const command = program
    .command('quantize')
    .description('store the matrices of a model in 8 or 4 bits a weight')
    .requiredOption('--model <dir>', 'a model folder with weights in floating point')
    .requiredOption('--out <dir>', 'the folder to write')
    .addOption(
      new Option('--precision <precision>', 'bits a weight').choices(['int8', 'int4']).default('int8'),
    );
  addBlockLength(addModelOptions(command))
    .option('--json', 'print one JSON document')
    .addHelpText('after', HELP)
    .action(async ({ model, out, precision, json, blockLength, ...flags }: QuantizeFlags) => {
      const shown: { progress?: Progress } = {};
      await quantizeFolder(model, out, precision, {
        overrides: { ...overridesOf(flags), blockLength },
        onTensor: (done, total) => {
          shown.progress ??= createProgress({ label: 'quantize', total, unit: 'matrices' });
          shown.progress.update(done);
        },
      });
      shown.progress?.finish();
      const { size: sizeBytes } = await stat(join(out, 'model.safetensors'));
      if (json) printJson({ model, out, precision, sizeBytes });
      else printLine(formatFields({ out, precision, size: `${(sizeBytes / 1e6).toFixed(1)} MB` }));
    });
}
