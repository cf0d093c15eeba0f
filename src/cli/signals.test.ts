import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { minded, putOff } from './signals.ts';

let said = '';

beforeEach(() => {
  said = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    said += text;
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
});

it('puts nothing off while nothing is being repaired', async () => {
  expect([putOff('SIGINT'), putOff('SIGHUP')]).toEqual([false, false]);
  await minded(async () => {});
  await expect(minded(() => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
  expect([putOff('SIGTERM'), said]).toEqual([false, '']);
});

it.each(['SIGINT', 'SIGTERM'] as const)('%s: the work is told and may end; a second one ends at once', async (signal) => {
  await minded(async (stop) => {
    expect(stop.aborted).toBe(false);
    expect(putOff(signal)).toBe(true);
    expect([stop.aborted, stop.reason]).toEqual([true, signal]);
    expect(said).toContain('the step under way may end (again: leave at once)');
    expect(putOff(signal)).toBe(false);
  });
});

it('the end of the terminal is put off as often as it is told, and nobody is told of it', async () => {
  await minded(async (stop) => {
    expect([putOff('SIGHUP'), putOff('SIGHUP')]).toEqual([true, true]);
    expect([stop.reason, said]).toEqual(['SIGHUP', '']);
    // Whoever wants it to end still can.
    expect(putOff('SIGTERM')).toBe(false);
  });
});

it('the end of the terminal after Ctrl-C changes nothing', async () => {
  await minded(async (stop) => {
    putOff('SIGINT');
    expect([putOff('SIGHUP'), stop.reason]).toEqual([true, 'SIGINT']);
  });
});
