/** `tintype export`: a model in the file format of another engine. */
import { basename, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { loadCheckpoint } from '../model/hf.ts';
import { GGUF_TYPES, type GgufType, ggufWeightBytes, writeGguf } from '../model/gguf-write.ts';
import { interruptSignal } from './interrupt.ts';
import { formatFields, printJson, printLine } from './output.ts';
import { createProgress, formatCount } from './progress.ts';

interface ExportFlags {
  gguf: string;
  model: string;
  type: GgufType;
  json?: boolean;
}

const HELP = `
The file is an ordinary Qwen3 model for llama.cpp. Of a causalContext model it holds the autoregressive half, which is all
of its weights; models of other layouts are refused. llama.cpp knows pre-tokenizers by name only, so the nearest is named:
its ids of a text can differ from ours in white space. Feed ids where that matters, as tintype bench does.

q8_0 and q4_0 store 8 and 4 bits and a scale for each 32 weights, as llama.cpp's own quantiser does; vectors stay f32, and
matrices whose rows are no multiple of 32 become f16.

Examples:
  tintype export --gguf twin.gguf --model models/tintype-code-ar
  tintype export --gguf twin-q8.gguf --model models/tintype-code-ar --type q8_0`;

export function register(program: Command): void {
  program
    .command('export')
    .description('write a causal model as a GGUF file for llama.cpp')
    .requiredOption('--gguf <file>', 'the file to write')
    .requiredOption('--model <dir>', 'a model folder of layout causal or causalContext')
    .addOption(new Option('--type <type>', 'how matrices are stored').choices(GGUF_TYPES).default('f32'))
    .option('--json', 'print one JSON document')
    .addHelpText('after', HELP)
    .action(async ({ gguf, model, type, json }: ExportFlags) => {
      const signal = interruptSignal();
      const { config, tensors, tokenizerJson } = await loadCheckpoint(model);
      const name = basename(resolve(model));
      const progress = createProgress({
        label: 'export',
        total: ggufWeightBytes(config, type),
        unit: 'bytes',
      });
      const { sizeBytes } = await writeGguf(
        gguf,
        { config, tensors, tokenizerJson, name, type },
        { signal, onProgress: (written) => progress.update(written) },
      );
      progress.finish();
      if (json) printJson({ file: gguf, model: name, architecture: 'qwen3', type, sizeBytes });
      else
        printLine(formatFields({ file: gguf, architecture: 'qwen3', type, bytes: formatCount(sizeBytes) }));
    });
}
