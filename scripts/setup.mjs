/**
 * Makes a fresh clone ready with nothing but Node: the dependencies, then the build, each only when it is missing
 * or out of date. Plain JavaScript without dependencies, since it runs before there are any.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const NODE_FLOOR = [20, 19];
const BUILD_STAMP = join(root, 'dist', '.built');

/** Ends the program with one readable line. */
export function fail(message, status = 1) {
  console.error(`tintype: ${message}`);
  process.exit(status);
}

export function isSupported(version) {
  const [major, minor] = version.split('.').map(Number);
  const [wantedMajor, wantedMinor] = NODE_FLOOR;
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

export function checkNode() {
  const version = process.versions.node;
  if (isSupported(version)) return;
  fail(`Node ${version} is too old: ${NODE_FLOOR.join('.')} or newer is needed (https://nodejs.org)`);
}

/** Runs a script with this very Node, so that PATH cannot pick another one. */
export function runNode(args, options = {}) {
  return spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit', ...options });
}

/**
 * npm writes node_modules/.package-lock.json as the last act of an install, so it is the stamp: what it lists is
 * what is there, and after an interrupted install it is missing. Optional packages belong to other platforms.
 */
export function dependenciesAreCurrent(wanted, installed) {
  if (installed === null) return false;
  return Object.entries(wanted.packages).every(([path, entry]) => {
    if (path === '') return true;
    const found = installed.packages[path];
    return found
      ? found.version === entry.version && found.integrity === entry.integrity
      : entry.optional === true;
  });
}

const readJson = (path) => (existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : null);

export function installDependencies() {
  const wanted = readJson(join(root, 'package-lock.json'));
  const stamp = () => readJson(join(root, 'node_modules', '.package-lock.json'));
  if (dependenciesAreCurrent(wanted, stamp())) return;
  const startedAt = performance.now();
  console.log('tintype: installing dependencies (npm ci) ...');
  // Started by `npm start` or `npm test`, so npm's own path is at hand; the variable stops onnxruntime-node's
  // post-install from fetching CUDA libraries even where the user's npm runs install scripts.
  const npm = process.env.npm_execpath;
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error', '--include=dev'];
  const options = { env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' } };
  const result = npm?.endsWith('.js')
    ? runNode([npm, ...args], options)
    : spawnSync('npm', args, {
        cwd: root,
        stdio: 'inherit',
        shell: process.platform === 'win32',
        ...options,
      });
  if (result.error) fail(`npm did not start: ${result.error.message}`);
  if (result.status !== 0 || !dependenciesAreCurrent(wanted, stamp())) {
    fail(
      'npm ci failed (see above). Is the package registry reachable? Try again; it goes on from its cache.',
    );
  }
  console.log(`tintype: dependencies ready in ${secondsSince(startedAt)} s`);
}

/** The newest change below a path. Directories count, so that a removed file is a change too. */
function newestMtimeMs(path) {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return readdirSync(path).reduce(
    (newest, name) => Math.max(newest, newestMtimeMs(join(path, name))),
    stat.mtimeMs,
  );
}

/** False when the compiler found errors, which it has then printed; dist/ is left as a failed build is: absent. */
export function build({ force = false } = {}) {
  const inputs = ['src', 'web', 'package.json', 'tsconfig.json', 'tsconfig.build.json'].map((name) =>
    join(root, name),
  );
  const changedMs = Math.max(...inputs.map(newestMtimeMs));
  if (!force && existsSync(BUILD_STAMP) && statSync(BUILD_STAMP).mtimeMs > changedMs) return true;
  const startedAt = performance.now();
  console.log('tintype: building ...');
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  const result = runNode([
    join(root, 'node_modules', 'typescript', 'bin', 'tsc'),
    '-p',
    'tsconfig.build.json',
  ]);
  if (result.status !== 0) return false;
  const vite = join(root, 'node_modules', 'vite', 'bin', 'vite.js');
  const page = runNode([vite, 'build', '--config', join('web', 'vite.config.ts'), '--logLevel', 'warn']);
  if (page.status !== 0) return false;
  // tsc writes no executables, and `npx tintype` runs this file itself.
  chmodSync(join(root, 'dist', 'cli', 'main.js'), 0o755);
  writeFileSync(BUILD_STAMP, '');
  console.log(`tintype: built in ${secondsSince(startedAt)} s`);
  return true;
}

export const secondsSince = (startedAt) => ((performance.now() - startedAt) / 1000).toFixed(1);

export function setup(options) {
  checkNode();
  installDependencies();
  if (!build(options)) fail('the build failed (see above)');
}
