/** A Python that has a package, for clients that exist only there; most machines have none. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Where to look: what `TINTYPE_PYTHON` names, else what is on the path. */
const python = process.env['TINTYPE_PYTHON'] ?? 'python3';

/** Null where it is there, else why tests that need it are skipped. */
export const lacks = (name: string): Promise<string | null> =>
  run(python, [
    '-c',
    `import importlib.util, sys; sys.exit(importlib.util.find_spec("${name}") is None)`,
  ]).then(
    () => null,
    () => `${python} has no package "${name}"; set TINTYPE_PYTHON to one that has`,
  );

/** Runs a program of this folder; what it prints is JSON. */
export async function runPython(path: string, ...args: string[]): Promise<any> {
  const { stdout } = await run(python, [path, ...args], { timeout: 100_000 });
  return JSON.parse(stdout.trim().split('\n').at(-1)!);
}

/** Runs a module as a program; what it prints. Rejects when it ends with an error. */
export const runModule = async (name: string, ...args: string[]): Promise<string> =>
  (await run(python, ['-m', name, ...args], { timeout: 590_000, maxBuffer: 2 ** 26 })).stdout;
