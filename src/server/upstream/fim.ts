/** How code models of other houses are asked to fill a gap, by their names. */

export const FIM_STYLES = ['qwen', 'starcoder', 'deepseek', 'codellama', 'codestral', 'suffix'] as const;
export type FimStyle = (typeof FIM_STYLES)[number];

interface Style {
  /** Parts of names. */
  names: RegExp;
  /** Fields of a completion request. */
  write: (prefix: string, suffix: string) => { prompt: string; suffix?: string };
  /** What may follow the middle. */
  stop: string[];
}

const STYLES: Readonly<Record<FimStyle, Style>> = {
  qwen: {
    names: /qwen.*coder|codegemma|tintype/i,
    write: (prefix, suffix) => ({
      prompt: `<|fim_prefix|>${prefix}<|fim_suffix|>${suffix}<|fim_middle|>`,
    }),
    stop: ['<|endoftext|>', '<|fim_prefix|>', '<|fim_pad|>', '<|file_sep|>'],
  },
  starcoder: {
    names: /starcoder|granite|stable-code/i,
    write: (prefix, suffix) => ({ prompt: `<fim_prefix>${prefix}<fim_suffix>${suffix}<fim_middle>` }),
    stop: ['<|endoftext|>', '<fim_prefix>', '<file_sep>'],
  },
  deepseek: {
    names: /deepseek/i,
    write: (prefix, suffix) => ({ prompt: `<｜fim▁begin｜>${prefix}<｜fim▁hole｜>${suffix}<｜fim▁end｜>` }),
    stop: ['<｜end▁of▁sentence｜>'],
  },
  codellama: {
    names: /code-?llama/i,
    write: (prefix, suffix) => ({ prompt: `<PRE> ${prefix} <SUF>${suffix} <MID>` }),
    stop: ['<EOT>'],
  },
  codestral: {
    names: /codestral/i,
    write: (prefix, suffix) => ({ prompt: `[SUFFIX]${suffix}[PREFIX]${prefix}` }),
    stop: ['</s>'],
  },
  /** The cluster knows itself. */
  suffix: {
    names: /(?!)/,
    write: (prompt, suffix) => ({ prompt, suffix }),
    stop: [],
  },
};

/** Null where the name says nothing. */
export function styleOf(model: string, wanted: FimStyle | undefined): Style | null {
  if (wanted !== undefined) return STYLES[wanted];
  return Object.values(STYLES).find(({ names }) => names.test(model)) ?? null;
}
