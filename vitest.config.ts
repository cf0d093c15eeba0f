import { defineConfig } from 'vitest/config';

const ALONE = ['test/real/screen.test.ts', 'test/real/hosts.test.ts'];
const REAL = { testTimeout: 120_000, hookTimeout: 60_000, maxConcurrency: 4 };

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
      { test: { name: 'real', include: ['test/real/**/*.test.ts'], exclude: ALONE, ...REAL } },
      // Those that look at whole screens, on which the worlds of other tests would be seen too, and at 40 hosts at once.
      { test: { name: 'alone', include: ALONE, fileParallelism: false, sequence: { groupOrder: 1 }, ...REAL } },
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
