/** Which files of a repository on the Hugging Face Hub make a model, and what their content must hash to. */
import type { ListFileEntry } from '@huggingface/hub';
import { TintypeError } from '../errors.ts';
import { TOKENIZER_FILES } from './folder-texts.ts';

export interface Hub {
  /** Without a slash at the end. */
  url: string;
  /** For repositories that are not open to all. */
  token: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The hub and the token that other tools use: `HF_ENDPOINT` and `HF_TOKEN`. */
export const hubOf = (env: Environment = process.env): Hub => ({
  url: (env['HF_ENDPOINT'] || 'https://huggingface.co').replace(/\/+$/, ''),
  token: env['HF_TOKEN'] || undefined,
});

export interface HubFile {
  name: string;
  sizeBytes: number;
  /** Where its content is. */
  url: string;
  /** SHA-256 of a large file; a small one's id in Git, which is SHA-1 of its length and content. */
  hash: { kind: 'sha256' | 'git'; hex: string };
}

export interface HubModel {
  repository: string;
  /** The commit that the revision stands for now. */
  commit: string;
  files: HubFile[];
}

/** OWNER/NAME as the hub allows it. */
export const REPOSITORY = /^[\w-][\w.-]*\/[\w-][\w.-]*$/;

const TEXTS = new Set(['config.json', 'generation_config.json', ...TOKENIZER_FILES, 'README.md', 'LICENSE']);
const INDEX = 'model.safetensors.index.json';
const SHARD = /^model(-\d{5}-of-\d{5})?\.safetensors$/;

export interface Wanted {
  revision?: string | undefined;
  /** One GGUF file. */
  file?: string | undefined;
  /** The tokenizer and nothing else. */
  tokenizerOnly?: boolean | undefined;
  hub: Hub;
}

/**
 * The files of a model: configuration, tokenizer and safetensors, or the one GGUF file that is named, or a tokenizer.
 * Errors: `not_found`, `not_allowed`, `io`, `unsupported` for repositories without weights that are read, `bad_option`.
 */
export async function findModel(
  repository: string,
  { revision = 'main', file, tokenizerOnly = false, hub }: Wanted,
): Promise<HubModel> {
  if (!REPOSITORY.test(repository)) {
    throw new TintypeError('bad_option', {
      what: 'this is not a repository of the hub',
      got: repository,
      wanted: 'OWNER/NAME',
    });
  }
  // Loaded here: other commands need not wait for it.
  const { listFiles, modelInfo } = await import('@huggingface/hub');
  const params = { hubUrl: hub.url, revision, ...(hub.token ? { accessToken: hub.token } : {}) };
  const entries: ListFileEntry[] = [];
  let commit: string;
  try {
    const { sha } = await modelInfo({ name: repository, ...params, additionalFields: ['sha'] });
    commit = sha;
    // The commit and not the branch, which may move meanwhile.
    const listing = listFiles({ ...params, repo: { type: 'model', name: repository }, revision: commit });
    for await (const entry of listing) if (entry.type === 'file') entries.push(entry);
  } catch (cause) {
    throw hubError(cause, { repository, revision, hub });
  }
  const chosen = tokenizerOnly ? tokenizerOf(entries, repository) : choose(entries, repository, file);
  const root = `${hub.url}/${repository}/resolve/${commit}`;
  return { repository, commit, files: chosen.map((entry) => hubFile(entry, root)) };
}

function hubFile({ path, size, oid, lfs }: ListFileEntry, root: string): HubFile {
  const url = `${root}/${encodeURIComponent(path)}`;
  if (lfs) return { name: path, url, sizeBytes: lfs.size, hash: { kind: 'sha256', hex: lfs.oid } };
  return { name: path, url, sizeBytes: size, hash: { kind: 'git', hex: oid ?? '' } };
}

/** Whether files hold a tokenizer: whole, or as a vocabulary and merges. */
export const holdTokenizer = (names: readonly string[]): boolean =>
  names.includes('tokenizer.json') || (names.includes('vocab.json') && names.includes('merges.txt'));

function tokenizerOf(entries: readonly ListFileEntry[], repository: string): ListFileEntry[] {
  const found = entries.filter(({ path }) => TOKENIZER_FILES.includes(path));
  if (holdTokenizer(found.map(({ path }) => path))) return found;
  throw new TintypeError('unsupported', {
    what: `${repository} has no tokenizer that is read`,
    got:
      entries
        .map(({ path }) => path)
        .slice(0, 8)
        .join(', ') || 'no files',
    wanted: 'tokenizer.json, or vocab.json and merges.txt',
  });
}

function choose(entries: readonly ListFileEntry[], repository: string, file?: string): ListFileEntry[] {
  const names = new Map(entries.map((entry) => [entry.path, entry]));
  const ggufs = entries.filter(({ path }) => path.toLowerCase().endsWith('.gguf'));
  const list = ggufs.map(({ path, size }) => `${path} (${(size / 1e9).toFixed(2)} GB)`).join(', ');
  if (file !== undefined) {
    const found = names.get(file);
    if (found && file.toLowerCase().endsWith('.gguf') && !file.includes('/')) return [found];
    throw new TintypeError('bad_option', {
      what: `${repository} has no such GGUF file`,
      got: file,
      wanted: list || 'a repository with GGUF files',
    });
  }
  const isWhole = names.has('model.safetensors');
  const weights = entries.filter(({ path }) =>
    isWhole ? path === 'model.safetensors' : SHARD.test(path) || path === INDEX,
  );
  if (weights.some(({ path }) => SHARD.test(path)) && names.has('config.json'))
    return [...entries.filter(({ path }) => TEXTS.has(path)), ...weights];
  throw new TintypeError('unsupported', {
    what: `${repository} has no weights that are read`,
    got:
      list ||
      entries
        .map(({ path }) => path)
        .slice(0, 8)
        .join(', ') ||
      'no files',
    wanted: 'config.json and model.safetensors, or its shards with their index',
    next: ggufs.length > 0 ? 'name one of the GGUF files with --file' : 'use another repository',
  });
}

/** What went wrong at the hub, for a person. */
export function hubError(
  cause: unknown,
  { repository, revision, hub }: { repository: string; revision: string; hub: Hub },
): TintypeError {
  if (cause instanceof TintypeError) return cause;
  const status = (cause as { statusCode?: number }).statusCode ?? null;
  if (status === 404) {
    return new TintypeError('not_found', {
      what: `${hub.url} has no ${repository} at revision ${revision}`,
      next: 'check the spelling, and the revision',
      cause,
    });
  }
  if (status === 401 || status === 403) {
    return new TintypeError('not_allowed', {
      what: `${hub.url} does not give ${repository} to ${hub.token ? 'this token' : 'anyone without a token'}`,
      got: `status ${status}`,
      next: hub.token
        ? `accept the terms at ${hub.url}/${repository}, or use a token that may read it`
        : 'check the spelling, or set HF_TOKEN to a token that may read it',
      cause,
    });
  }
  return new TintypeError('io', {
    what: `${hub.url} could not be asked for ${repository}`,
    got: status === null ? (cause as Error).message : `status ${status}`,
    next: 'try again; a mirror can be named in HF_ENDPOINT',
    cause,
  });
}
