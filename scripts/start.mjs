/** `npm start`: gets the clone ready, then serves the bundled model. Arguments go to `tintype serve`. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { root, setup } from './setup.mjs';

setup();

const server = spawn(
  process.execPath,
  [join(root, 'dist', 'cli', 'main.js'), 'serve', ...process.argv.slice(2)],
  {
    stdio: 'inherit',
  },
);
// Ctrl-C reaches the server by itself; a `kill` of this process has to be handed on. Both wait for its drain.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => server.kill('SIGTERM'));
server.on('exit', (status, signal) => {
  process.exitCode = status ?? 128 + constants.signals[signal];
});
