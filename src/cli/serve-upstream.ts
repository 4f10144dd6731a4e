/** The part of `tintype serve` that stands in front of another server. */
import { Option, type Command } from 'commander';
import type { CompletionEngine } from '../decode/engine-types.ts';
import { TintypeError } from '../errors.ts';
import { FIM_STYLES, type FimStyle } from '../server/upstream/fim.ts';
import { toNumber, whole } from './options.ts';

export interface UpstreamFlags {
  upstream?: string;
  upstreamKey?: string;
  upstreamFim?: FimStyle;
  upstreamContext?: number;
  /** Seconds. */
  upstreamTimeout: number;
  model?: string[];
}

export const addUpstreamOptions = (command: Command): Command =>
  command
    .option('--upstream <url>', 'serve the models of an OpenAI-compatible server instead of own ones')
    .addOption(new Option('--upstream-key <key>', 'its key').env('TINTYPE_UPSTREAM_KEY'))
    .addOption(
      new Option('--upstream-fim <style>', 'how its models fill gaps (default: by their names)').choices(
        FIM_STYLES,
      ),
    )
    .option(
      '--upstream-context <tokens>',
      'their context, where it does not say',
      whole('--upstream-context', 16),
    )
    .option(
      '--upstream-timeout <seconds>',
      'silence after which it is given up',
      (text: string) => toNumber('--upstream-timeout', text, 0.1, 3600),
      120,
    );

/** Errors: `bad_option` for an address that is none; `io` when the server does not list its models. */
export async function upstreamEngine(options: UpstreamFlags): Promise<CompletionEngine> {
  const { upstream: url = '', upstreamKey: key, upstreamFim: fim, upstreamContext: contextLength } = options;
  if (!/^https?:$/.test(protocolOf(url))) {
    throw new TintypeError('bad_option', {
      what: '--upstream is not usable',
      got: JSON.stringify(url),
      wanted: 'an address such as http://127.0.0.1:30000',
    });
  }
  if (options.model !== undefined) {
    throw new TintypeError('bad_option', { what: '--upstream and --model exclude each other' });
  }
  const [{ connectUpstream }, { createUpstreamEngine }] = await Promise.all([
    import('../server/upstream/client.ts'),
    import('../server/upstream/engine.ts'),
  ]);
  const upstream = connectUpstream({ url, key, timeoutMs: options.upstreamTimeout * 1000 });
  try {
    return await createUpstreamEngine(upstream, { fim, contextLength });
  } catch (cause) {
    throw new TintypeError('io', {
      what: `cannot serve the models of ${url}`,
      got: cause instanceof Error ? cause.message : String(cause),
      next: 'start that server first; it must answer GET /v1/models',
      cause,
    });
  }
}

function protocolOf(url: string): string {
  try {
    return new URL(url).protocol;
  } catch {
    return '';
  }
}
