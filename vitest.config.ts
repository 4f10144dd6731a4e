import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

/**
 * Three sets: `unit` lies beside the sources; `whole` (tests/) drives the built program, compares with goldens and checks
 * the house; `browser` (tests/browser/) drives the page. `npm test` runs all.
 */
export default defineConfig({
  test: {
    // Test files share two cores with the ONNX Runtime threads that they start.
    maxWorkers: 2,
    testTimeout: 120_000,
    // Where CI is set colours would be on, and tests read text; what somebody's machine was tuned to is not tested here.
    env: {
      NO_COLOR: '1',
      TINTYPE_CACHE_DIR: join(tmpdir(), 'tintype-untuned'),
      TINTYPE_DATA_DIR: join(tmpdir(), 'tintype-tests'),
    },
    hookTimeout: 120_000,
    projects: [
      { extends: true, test: { name: 'unit', include: ['src/**/*.test.ts'] } },
      {
        extends: true,
        test: {
          name: 'whole',
          include: ['tests/**/*.test.ts'],
          exclude: ['tests/browser/**'],
          globalSetup: 'tests/build.ts',
        },
      },
      {
        extends: true,
        // A browser, a server and the test are three clocks: what fails once is tried once more, and then has failed.
        test: {
          name: 'browser',
          include: ['tests/browser/**/*.test.ts'],
          globalSetup: 'tests/build.ts',
          retry: 1,
        },
      },
    ],
  },
});
