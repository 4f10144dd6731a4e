import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

/**
 * Two sets: `unit` lies beside the sources and stays under 30 s; `whole` (tests/) drives the built program,
 * compares with goldens and checks the house. `npm test` runs both.
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
        test: { name: 'whole', include: ['tests/**/*.test.ts'], globalSetup: 'tests/build.ts' },
      },
    ],
  },
});
