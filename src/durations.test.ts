import { expect, it } from 'vitest';
import { parseDuration } from './durations.ts';

it.each([
  ['500ms', 500],
  ['30s', 30_000],
  ['5m', 300_000],
  ['2h', 7_200_000],
  ['7d', 604_800_000],
  ['007s', 7000],
])('%s', (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

it.each([
  '',
  '0s',
  '0ms',
  '5',
  's',
  '5 s',
  '5S',
  '-5s',
  '+5s',
  '1.5h',
  '5m30s',
  '5w',
  '5s\n',
  ' 5s',
  '1e3s',
  '٣s',
  '99999999999999999999d',
  'Infinitys',
])('%j is no duration', (text) => {
  expect(parseDuration(text)).toBeUndefined();
});
