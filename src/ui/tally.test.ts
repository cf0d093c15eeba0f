import { expect, it } from 'vitest';
import { Tally } from './tally.ts';

it('counts the commands, keeps the slowest, and passes everything on', () => {
  const tally = new Tally();
  const heard: string[] = [];
  const listen = tally.beside(({ type }) => heard.push(type));
  for (const [key, ms] of [10, 300, 20, 5].entries()) {
    listen({ type: 'asked', key: `${key}`, source: `stat /mnt/${key}` });
    listen({ type: 'answered', key: `${key}`, ms });
  }
  listen({ type: 'asked', key: 'never answered', source: 'sleep' });
  expect(tally.asked).toEqual({
    commands: 5,
    slowest: [
      { source: 'stat /mnt/1', ms: 300 },
      { source: 'stat /mnt/2', ms: 20 },
      { source: 'stat /mnt/0', ms: 10 },
    ],
  });
  expect(heard).toHaveLength(9);
});
