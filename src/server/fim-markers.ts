/** Fill-in-the-middle markers of other models, as clients write them into plain prompts. */

export interface MarkedGap {
  prefix: string;
  suffix: string;
}

/** What stands before the prefix, before the suffix and before the middle. */
const STYLES: readonly { name: string; prefix: string; suffix: string; middle: string }[] = [
  {
    name: 'Qwen, StarCoder2, CodeGemma',
    prefix: '<|fim_prefix|>',
    suffix: '<|fim_suffix|>',
    middle: '<|fim_middle|>',
  },
  {
    name: 'StarCoder, Granite, Stable Code',
    prefix: '<fim_prefix>',
    suffix: '<fim_suffix>',
    middle: '<fim_middle>',
  },
  {
    name: 'GLM',
    prefix: '<|code_prefix|>',
    suffix: '<|code_suffix|>',
    middle: '<|code_middle|>',
  },
  { name: 'DeepSeek', prefix: '<｜fim▁begin｜>', suffix: '<｜fim▁hole｜>', middle: '<｜fim▁end｜>' },
  { name: 'Code Llama', prefix: '<PRE> ', suffix: ' <SUF>', middle: ' <MID>' },
  { name: 'Code Llama', prefix: '<PRE>', suffix: '<SUF>', middle: '<MID>' },
];
/** Of whole projects in one prompt: they separate files. */
const SEPARATORS = /<\|(?:repo_name|file_sep)\|>|<(?:reponame|filename|file_sep)>/g;

/** The gap that a prompt marks, or null when it marks none. */
export function markedGap(prompt: string): MarkedGap | null {
  for (const style of STYLES) {
    const [p, s, m] = [style.prefix, style.suffix, style.middle].map((mark) => prompt.lastIndexOf(mark));
    if (p < 0 || s < 0 || m < 0) continue;
    const before = prompt.slice(0, Math.min(p, s));
    const between = (start: number, mark: string, end: number): string =>
      prompt.slice(start + mark.length, end);
    // prefix, suffix, middle; or suffix first, with the prefix behind the middle's mark (2207.14255, section 3).
    if (p < s && s < m) {
      const own = between(p, style.prefix, s);
      return own === '' && m + style.middle.length < prompt.length
        ? {
            prefix: context(before) + prompt.slice(m + style.middle.length),
            suffix: between(s, style.suffix, m),
          }
        : { prefix: context(before) + own, suffix: between(s, style.suffix, m) };
    }
    if (s < p && p < m)
      return { prefix: context(before) + between(p, style.prefix, m), suffix: between(s, style.suffix, p) };
  }
  // Codestral: [SUFFIX]suffix[PREFIX]prefix
  const codestral = /^(?:<s>)?\[SUFFIX\]([\s\S]*)\[PREFIX\]([\s\S]*)$/.exec(prompt);
  return codestral ? { prefix: codestral[2], suffix: codestral[1] } : null;
}

const context = (text: string): string => text.replace(SEPARATORS, '\n').trimStart();

/** The AI SDK makes conversations of prompts for completion models; what was meant is between its marks. */
export function unwrapped(prompt: string, stop: readonly string[]): { prompt: string; stop: string[] } {
  const wrapped = stop.includes('\nuser:') ? /^user:\n([\s\S]*)\n\nassistant:\n$/.exec(prompt) : null;
  return wrapped
    ? { prompt: wrapped[1], stop: stop.filter((word) => word !== '\nuser:') }
    : { prompt, stop: [...stop] };
}
