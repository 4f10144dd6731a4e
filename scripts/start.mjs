/** `npm start`: gets the clone ready, then serves the bundled model. Arguments go to `tintype serve`. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root, setup } from './setup.mjs';

setup();

// Between npm and this process stands a shell that dies of a signal without handing it on. A server whose starter
// has died would keep the port for ever, so it ends as well, after the requests that are running.
const starter = process.ppid;
setInterval(() => {
  if (process.ppid !== starter) process.kill(process.pid, 'SIGTERM');
}, 500).unref();

const program = join(root, 'dist', 'cli', 'main.js');
process.argv.splice(1, 1, program, 'serve');
await import(pathToFileURL(program).href);
