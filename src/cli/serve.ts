/** `tintype serve`: the HTTP server over one or more models. */
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { basename, resolve } from 'node:path';
import { Option, type Command } from 'commander';
import pc from 'picocolors';
import type { Logger } from 'pino';
import { addAccountOptions, openAccounts, type AccountFlags } from './serve-accounts.ts';
import { addDecodeOptions, decodeOptionsOf, type DecodeFlags } from './decode-options.ts';
import type { CompletionEngine } from '../decode/engine-types.ts';
import type { Listening } from '../server/listen.ts';
import { interruptSignal } from './interrupt.ts';
import { toBytes, toInteger } from './options.ts';
import { printLine } from './output.ts';
import { addLoadOptions, type LoadFlags, loadOptionsOf } from './model-options.ts';
import { builtPage, bundledModels } from './text-model.ts';
import { addUpstreamOptions, upstreamEngine, type UpstreamFlags } from './serve-upstream.ts';
import { addTunedOption, tunedDefaults, type TunedFlags } from './tuned.ts';

/** How long running requests may go on after Ctrl-C or SIGTERM before they are cut off between two steps. */
const GRACE_MS = 10_000;

const EXAMPLES = `
The options of decoding are defaults here, for requests that do not say otherwise: {"tintype": {"mode": "verify", …}} in the
body of a request takes the same names. They hold for the models of --model; without it, for tintype-code.

Without keys ("tintype keys") the server is open, and listens on this machine only.

Examples:
  tintype serve
  tintype serve --precision int8 --threshold 0.6
  tintype serve --port 9000 --model models/tintype-code --model models/tintype-code-ar --memory 200MB
  TINTYPE_PORT=9000 tintype serve
  tintype serve --upstream http://127.0.0.1:30000      the API, keys and metering in front of SGLang, vLLM or LMDeploy

Routes (GET /docs lists them with their fields):
  GET  /                                                         the page: write, watch, race, solve
  GET  /health /metrics /docs /openapi.json /v1/models
  POST /v1/chat/completions /v1/completions                      OpenAI
  POST /v1/fim/completions /v1/edit/completions /v1/apply/completions   Mercury, Mistral
  POST /v1/infill                                                every <|hole|> of a template
  POST /v1/trace                                                 one completion and every step of it
  POST /infill /completion                                       llama.cpp
  POST /api/generate /api/chat                                   Ollama
The page at / adds /page/arena (votes, in arena.db of --data or where REDIS_URL says) and /page/runs.

The log goes to stderr, one JSON line a request, without any text of prompts or answers.`;

interface ServeOptions extends TunedFlags, DecodeFlags, LoadFlags, AccountFlags, UpstreamFlags {
  model?: string[];
  host: string;
  port: number;
  threads: number;
  /** Bytes. */
  memory?: number;
  /** Folder of training runs. */
  runs: string;
  logLevel: string;
}

export function register(program: Command): void {
  const command = program
    .command('serve')
    .description('answer completions over HTTP in the shapes of the OpenAI API');
  addTunedOption(addLoadOptions(command))
    .option('--model <dir...>', 'model folders or GGUF files to load (default: the bundled ones)')
    .option('--host <address>', 'address to listen on; 0.0.0.0 is every one', '127.0.0.1')
    .addOption(
      new Option('--port <number>', 'port to listen on; 0 is any free one')
        .env('TINTYPE_PORT')
        .default(8484)
        .argParser((text) => toInteger('--port', text, 0, 65_535)),
    )
    .option(
      '--threads <number>',
      'threads that compute',
      (text: string) => toInteger('--threads', text, 1, 256),
      availableParallelism(),
    )
    .option(
      '--memory <size>',
      'for the weights of all loaded models, such as 4GB; the least recently used make room (default: no limit)',
      (text: string) => toBytes('--memory', text),
    )
    .option('--runs <dir>', 'folder of training runs, for the dashboard of the page', 'runs')
    .addOption(
      new Option('--log-level <level>', 'what to log')
        .choices(['info', 'warn', 'error', 'silent'])
        .default('info'),
    );
  addDecodeOptions(addUpstreamOptions(addAccountOptions(command)))
    .addHelpText('after', EXAMPLES)
    .action(serve);
}

async function serve(options: ServeOptions): Promise<void> {
  const stop = interruptSignal();
  // Loaded here, so that `tintype --help` does not wait for them.
  const [
    { pino },
    { createApp },
    { lateEngine },
    { listen },
    { pageParts },
    { createTelemetry, telemetryOptions },
  ] = await Promise.all([
    import('pino'),
    import('../server/app.ts'),
    import('../server/late-engine.ts'),
    import('../server/listen.ts'),
    import('../server/page/index.ts'),
    import('../server/telemetry.ts'),
  ]);
  const logger = pino({ level: options.logLevel }, pino.destination({ dest: 2, sync: true }));
  const accounts = await openAccounts(options, logger);
  const loading = options.upstream === undefined ? ownEngine(options, logger) : upstreamEngine(options);
  // Awaited below; an address that is taken is said first.
  loading.catch(() => {});
  const overdue = new AbortController();
  const traces = telemetryOptions(process.env);
  const telemetry =
    traces && createTelemetry({ ...traces, onError: (err) => logger.warn({ err }, 'spans are not sent') });
  const built = builtPage();
  const page = pageParts({
    dataDir: options.data,
    redisUrl: process.env.REDIS_URL,
    runsDir: options.runs,
  });
  const app = createApp({
    engine: lateEngine(loading),
    logger,
    shutdown: overdue.signal,
    page: built,
    pageModels: built === undefined ? undefined : bundledModels(),
    ...accounts.parts,
    routes: [...(accounts.parts.routes ?? []), ...page.routes],
    guards: [...(telemetry ? [telemetry.guard] : []), ...(accounts.parts.guards ?? [])],
    ...(telemetry ? { onFinished: (record) => telemetry.onFinished(record) } : {}),
  });
  let server: Listening | null = null;
  try {
    server = await listen(app.fetch, options);
    const engine = await loading;
    accounts.start(app);
    printLine(
      welcome(
        server.url,
        engine.models().map(({ id }) => id),
        accounts.keys,
      ),
    );
    if (!stop.aborted) await once(stop, 'abort');
    printLine('tintype: finishing running requests (Ctrl-C again ends at once) ...');
    await server.close(GRACE_MS, () => overdue.abort());
    server = null;
  } finally {
    await server?.close(0, () => overdue.abort());
    await accounts.close();
    await page.close();
    await telemetry?.flush();
    await loading.then(
      (engine) => engine.close(),
      () => {},
    );
  }
}

/** The models of folders, in a worker of this process. */
async function ownEngine(options: ServeOptions, logger: Logger): Promise<CompletionEngine> {
  const { createEngine } = await import('../decode/engine.ts');
  const modelDirs = options.model ?? bundledModels();
  const tuned = await Promise.all(
    modelDirs.map(async (dir) => ({
      id: basename(resolve(dir)),
      ...(await tunedDefaults(dir, options.threads, options)),
    })),
  );
  // In the log's own form: stderr holds one JSON document a line.
  for (const { id, text } of tuned) if (text !== null) logger.info({ model: id, tuned: text }, 'tuned');
  return createEngine({
    modelDirs,
    threads: options.threads,
    ...loadOptionsOf(options),
    defaults: Object.fromEntries(
      tuned.map((each, i) => [
        each.id,
        // Bundled models that nobody named are of several kinds: what fits the first one need not fit them.
        options.model || i === 0 ? decodeOptionsOf(options, each.options) : each.options,
      ]),
    ),
    precisions: Object.fromEntries(tuned.map((each) => [each.id, options.precision ?? each.precision])),
    // Measured with the stored precision; with another the costs are others.
    together: Object.fromEntries(
      tuned.flatMap(({ id, together, precision }) =>
        together !== undefined && (options.precision ?? precision) === precision ? [[id, together]] : [],
      ),
    ),
    memoryBytes: options.memory,
    onConvert: (model, percent) => logger.info({ model, percent }, 'converting weights'),
  });
}

/** The address, and a request that works when pasted. */
function welcome(url: string, models: readonly string[], keys: boolean): string {
  const request = {
    model: models[0],
    prompt: 'function isString(value: unknown): value is string {\n  return ',
    suffix:
      '\n}\n\nfunction isNumber(value: unknown): value is number {\n  return typeof value === "number";\n}\n',
    max_tokens: 32,
    stop: '\n',
  };
  return [
    `tintype: serving ${models.join(', ')} at ${pc.bold(url)}`,
    builtPage() === undefined ? 'Try:' : 'Open the address in a browser to watch it, or try:',
    `  curl -s ${keys ? '-H "Authorization: Bearer tt-…" ' : ''}${url}/v1/fim/completions -d '${JSON.stringify(request)}'`,
  ].join('\n');
}
