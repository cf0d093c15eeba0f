import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['src/**/*.test.ts', 'checks/**/*.test.ts', 'test/*.test.ts'],
          exclude: ['checks/_template/**'],
          testTimeout: 30_000,
        },
      },
      // Real faults: each test has a mount namespace of its own and waits more than it works.
      // One file at a time: checks see the mounts of other namespaces, and so the worlds of other tests.
      {
        test: {
          name: 'real',
          include: ['test/real/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 60_000,
          maxConcurrency: 4,
        },
      },
    ],
  },
});
