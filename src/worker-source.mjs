/**
 * Entry of worker threads that run from source: on Node 20 `--import tsx` does not reach a worker's entry file,
 * so this JavaScript is the entry, and the TypeScript file named in `argv` follows.
 */
import { register } from 'tsx/esm/api';

register();
await import(process.argv[2]);
