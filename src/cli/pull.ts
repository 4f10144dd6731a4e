/** `tintype pull`: a model from the Hugging Face Hub. */
import type { Command } from 'commander';
import { pullModel } from '../model/pull.ts';
import { interruptSignal } from './interrupt.ts';
import { formatFields, printJson, printLine } from './output.ts';
import { createProgress, type Progress } from './progress.ts';

const HELP = `
Fetches config.json, the tokenizer and the safetensors, or with --file one GGUF file. Of MDLM, BD3-LM and SEDD, whose
repositories hold no tokenizer, GPT-2's comes too. A pull that was stopped goes on where
it was; the folder changes only when everything is there and every hash is right. Other commands then take OWNER/NAME, or the
folder, as --model.

Environment:
  HF_TOKEN           for repositories that are not open to all
  HF_ENDPOINT        another hub, default https://huggingface.co
  TINTYPE_CACHE_DIR  where models go without --dir, in its folder models

Examples:
  tintype pull JetLM/SDAR-1.7B-Chat
  tintype pull someone/LLaDA-8B-Instruct-GGUF --file LLaDA-8B-Instruct.Q4_K_M.gguf --dir llada
  tintype pull openai-community/gpt2 --tokenizer-only --dir mdlm-owt     into a folder that lacks one`;

interface PullFlags {
  revision: string;
  file?: string;
  tokenizerOnly?: boolean;
  dir?: string;
  json?: boolean;
}

export function register(program: Command): void {
  program
    .command('pull')
    .description('fetch a model from the Hugging Face Hub')
    .argument('<repository>', 'OWNER/NAME')
    .option('--revision <name>', 'branch, tag or commit', 'main')
    .option('--file <name>', 'one GGUF file instead of the safetensors')
    .option('--tokenizer-only', 'the tokenizer and nothing else')
    .option('--dir <dir>', 'where it goes (default: a folder in the cache)')
    .option('--json', 'print one JSON document')
    .addHelpText('after', HELP)
    .action(async (repository: string, { json, ...options }: PullFlags) => {
      const shown: { progress?: Progress } = {};
      const pulled = await pullModel(repository, {
        ...options,
        signal: interruptSignal(),
        onProgress: (done, total, name) => {
          shown.progress ??= createProgress({ label: 'pull', total, unit: 'bytes' });
          shown.progress.update(done, name);
        },
      });
      shown.progress?.finish();
      if (json) {
        printJson({ repository, ...pulled });
        return;
      }
      const fetched = pulled.files.filter(({ isNew }) => isNew);
      const sizeBytes = fetched.reduce((sum, file) => sum + file.sizeBytes, 0);
      printLine(
        formatFields({
          folder: pulled.dir,
          commit: pulled.commit,
          fetched: `${fetched.length} of ${pulled.files.length} files, ${(sizeBytes / 1e6).toFixed(1)} MB`,
        }),
      );
    });
}
