/** Runs the compiled tests: workers and child processes cannot start from TypeScript. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['dist/tests/**/*.test.js'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    reporters: ['./tests/reporter.mjs'],
  },
});
