/** Runs the compiled tests: workers and child processes cannot start from TypeScript. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['dist/tests/**/*.test.js'],
    pool: 'forks',
    maxWorkers: 2,
    // Files share a process's modules: loading them anew for each file would take a third of the suite's time.
    isolate: false,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    reporters: ['./tests/reporter.mjs'],
  },
});
