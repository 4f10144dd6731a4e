/** A hub on this machine: serves repositories with ranges, and misbehaves when it is told to. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface FakeHub {
  url: string;
  /** Every request: method, path and range. */
  requests: string[];
  /** Content by name; replace one to publish another. */
  files: Map<string, Buffer>;
  /** The same of further repositories. */
  others: Map<string, Map<string, Buffer>>;
  /** Commit that main stands for. */
  commit: string;
  behave: {
    /** Ends each response to a file after so many bytes. */
    breakAfterBytes: number | null;
    /** Answers ranges with the whole. */
    ignoresRanges: boolean;
    /** Sends other bytes than it promised. */
    lies: boolean;
    /** Status of listings, and of files. */
    listing: number;
    file: number;
    /** The token that is asked for. */
    token: string | null;
  };
  close(): Promise<void>;
}

export const REPO = 'owner/tiny-model';

export async function startFakeHub(files: Map<string, Buffer>): Promise<FakeHub> {
  const hub: FakeHub = {
    url: '',
    requests: [],
    files,
    others: new Map(),
    commit: 'a'.repeat(40),
    behave: {
      breakAfterBytes: null,
      ignoresRanges: false,
      lies: false,
      listing: 200,
      file: 200,
      token: null,
    },
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
  const server = createServer((request, response) => answer(hub, request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  hub.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return hub;
}

function answer(hub: FakeHub, request: IncomingMessage, response: ServerResponse): void {
  const { behave } = hub;
  const { pathname } = new URL(request.url!, hub.url);
  const path = decodeURIComponent(pathname);
  hub.requests.push([request.method, path, request.headers.range].filter(Boolean).join(' '));
  const refuse = (status: number): void => {
    response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
    response.end(JSON.stringify({ error: `status ${status}` }));
  };
  const json = (value: object): void => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(value));
  };
  if (behave.token !== null && request.headers.authorization !== `Bearer ${behave.token}`) return refuse(401);
  const filesOf = (repository?: string) =>
    repository === REPO ? hub.files : hub.others.get(repository ?? '');
  const listed = /^\/api\/models\/([^/]+\/[^/]+)/.exec(path)?.[1];
  const files = filesOf(listed);
  if (listed !== undefined && files) {
    if (behave.listing !== 200) return refuse(behave.listing);
    if (path.includes('/tree/')) return json([...files].map(([name, bytes]) => entryOf(name, bytes)));
    return json({
      id: listed,
      modelId: listed,
      _id: '1',
      sha: hub.commit,
      downloads: 1,
      likes: 1,
      private: false,
    });
  }
  const [, repository, commit, name = ''] = /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(path) ?? [];
  const bytes = commit === hub.commit ? filesOf(repository)?.get(name) : undefined;
  if (!bytes) return refuse(404);
  if (behave.file !== 200) return refuse(behave.file);
  sendFile(hub, bytes, request, response);
}

function sendFile(
  { behave }: FakeHub,
  bytes: Buffer,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const asked = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const from = behave.ignoresRanges ? 0 : asked;
  const rest = Buffer.from(bytes.subarray(from));
  if (behave.lies && rest.length > 0) rest[rest.length - 1] ^= 1;
  const headers = { 'content-length': rest.length, connection: 'close' };
  if (from > 0) {
    const range = `bytes ${from}-${bytes.length - 1}/${bytes.length}`;
    response.writeHead(206, { ...headers, 'content-range': range });
  } else response.writeHead(200, headers);
  const most = behave.breakAfterBytes;
  if (most === null || rest.length <= most) response.end(rest);
  else response.write(rest.subarray(0, most), () => setTimeout(() => response.destroy(), 20));
}

/** As the hub lists it: large files by SHA-256, small ones by their id in Git. */
function entryOf(path: string, bytes: Buffer): object {
  const git = createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
  const isLarge = /\.(safetensors|gguf)$/.test(path);
  const lfs = { oid: createHash('sha256').update(bytes).digest('hex'), size: bytes.length, pointerSize: 130 };
  return { type: 'file', path, size: bytes.length, oid: git, ...(isLarge ? { lfs } : {}) };
}
