/** `--data`: where the server keeps keys, usage and batches. */
import { Option, type Command } from 'commander';
import { dataDir } from '../server/accounts/sqlite.ts';

export const addDataOption = (command: Command): Command =>
  command.addOption(
    new Option('--data <dir>', 'folder of keys, usage and batches; REDIS_URL names a Redis server instead')
      .env('TINTYPE_DATA_DIR')
      .default(dataDir(), 'the data folder of the user'),
  );
