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
      // Real faults: each test has a mount namespace of its own. One file at a time: checks see the mounts of other
      // namespaces, and so the worlds of other tests; and on two cores it is quicker, too.
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
      // Faults of whole hosts: each test has a virtual machine of its own, which takes two cores while it works.
      // One test at a time: two machines at once on two cores take a third longer than one after the other.
      {
        test: {
          name: 'lab',
          include: ['test/lab/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
