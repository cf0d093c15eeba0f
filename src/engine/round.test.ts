import { describe, expect, it } from 'vitest';
import { fakeTarget, said } from '../../test/fake-target.ts';
import { all, ask, defineFact, meanwhile, outputOf, pause, read, run, Unknown } from '../check/asking.ts';
import type { Answer, Asking, Probe } from '../check/types.ts';
import type { EngineEvent } from './events.ts';
import { Round } from './round.ts';

const soon = () => Date.now() + 10_000;

function* text(path: string): Asking<string> {
  return outputOf(yield* read(path));
}

function* fails(why: string, ms = 0): Asking<never> {
  yield* pause(ms);
  throw new Unknown(why);
}

function* later<T>(ms: number, value: T): Asking<T> {
  yield* pause(ms);
  return value;
}

describe('asking', () => {
  it('asks each question once in a round, and again in the next', async () => {
    let count = 0;
    const target = fakeTarget(() => said(String(++count)));
    const round = new Round(target, soon());
    expect(await round.gather(all([text('/a'), text('/a')]))).toEqual(['1', '1']);
    expect(await round.gather(text('/a'))).toBe('1');
    expect(await new Round(target, soon()).gather(text('/a'))).toBe('2');
  });

  it('tells questions apart by all but their limit and slot', async () => {
    const target = fakeTarget(() => said(''));
    const round = new Round(target, soon());
    const probes: Probe[] = [
      { kind: 'run', argv: ['a', 'b'] },
      { kind: 'run', argv: ['a', 'b'], limitMs: 7, suspect: true },
      { kind: 'run', argv: ['a', 'b'], take: 'second' },
      { kind: 'run', argv: ['a b'] },
      { kind: 'read', path: 'a' },
      { kind: 'read', path: 'a', maxBytes: 3 },
      { kind: 'read', path: { base64: 'YQ==' } },
    ];
    await round.gather(all(probes.map((probe) => ask(probe))));
    expect(target.asked).toEqual(probes.filter((_, index) => index !== 1));
  });

  it('hands the deadline to the target', async () => {
    const until = soon();
    const seen: number[] = [];
    await new Round(
      fakeTarget((_, given) => {
        seen.push(given);
        return said('');
      }),
      until,
    ).gather(text('/a'));
    expect(seen).toEqual([until]);
  });

  it('tells the screen what is asked of children', async () => {
    const events: EngineEvent[] = [];
    const round = new Round(
      fakeTarget(() => said('')),
      soon(),
      (event) => events.push(event),
    );
    await round.gather(all<unknown>([run(['ls', 'a b']), text('/a')]));
    expect(events).toMatchObject([
      { type: 'asked', source: "ls 'a b'" },
      { type: 'answered', ms: 1 },
    ]);
  });
});

describe('facts', () => {
  it('are gathered once for each round and arguments', async () => {
    let gathered = 0;
    const fact = defineFact('test.counted', function* (name: string): Asking<string> {
      gathered++;
      yield* pause(1);
      return `${name}!`;
    });
    const round = new Round(
      fakeTarget(() => said('')),
      soon(),
    );
    expect(await round.gather(all([fact('a'), fact('a'), fact('b')]))).toEqual(['a!', 'a!', 'b!']);
    expect(await round.gather(fact('a'))).toBe('a!');
    expect(gathered).toBe(2);
  });

  it('throw to everyone who needs them, and may be caught there', async () => {
    const fact = defineFact('test.unknown', () => fails('no idea'));
    const caught = function* (): Asking<string> {
      try {
        return yield* fact();
      } catch (error) {
        return `caught ${(error as Error).message}`;
      }
    };
    const round = new Round(
      fakeTarget(() => said('')),
      soon(),
    );
    await expect(round.gather(fact())).rejects.toThrow(Unknown);
    expect(await round.gather(caught())).toBe('caught no idea');
  });

  it('throw at once where they never asked', async () => {
    const fact = defineFact('test.broken', (): Asking<never> => {
      throw new TypeError('broken');
    });
    const round = new Round(
      fakeTarget(() => said('')),
      soon(),
    );
    await expect(round.gather(fact())).rejects.toThrow(TypeError);
  });
});

describe('all', () => {
  const round = () =>
    new Round(
      fakeTarget(() => said('')),
      soon(),
    );

  it('keeps the order and runs at the same time', async () => {
    const started = Date.now();
    expect(await round().gather(all([later(300, 'a'), later(1, 'b'), later(300, 'c')]))).toEqual(['a', 'b', 'c']);
    expect(Date.now() - started).toBeLessThan(590);
    expect(await round().gather(all([]))).toEqual([]);
  });

  it('throws the first in order, after all have ended', async () => {
    const ended: string[] = [];
    const late = function* (): Asking<void> {
      yield* pause(60);
      ended.push('late');
    };
    await expect(round().gather(all<unknown>([late(), fails('first', 30), fails('second')]))).rejects.toThrow('first');
    expect(ended).toEqual(['late']);
  });

  it('lets the part catch, and go on asking', async () => {
    const part = function* (): Asking<string> {
      try {
        yield* all([fails('x')]);
      } catch {
        return yield* text('/then');
      }
      return 'not thrown';
    };
    const target = fakeTarget(() => said('went on'));
    expect(await new Round(target, soon()).gather(part())).toBe('went on');
  });
});

describe('pause', () => {
  it('is cut by the deadline', async () => {
    const started = Date.now();
    await new Round(
      fakeTarget(() => said('')),
      Date.now() + 50,
    ).gather(pause(20_000));
    expect(Date.now() - started).toBeLessThan(5000);
  });

  it('is nothing in a replay, nor after the deadline', async () => {
    const started = Date.now();
    await new Round(
      fakeTarget(() => said(''), 'recording'),
      soon(),
    ).gather(pause(20_000));
    await new Round(
      fakeTarget(() => said('')),
      Date.now() - 1,
    ).gather(pause(20_000));
    expect(Date.now() - started).toBeLessThan(5000);
  });
});

describe('meanwhile', () => {
  function slowly(ms: number): (probe: Probe) => Promise<Answer> {
    return async (probe) => {
      if (probe.kind === 'run') {
        await new Promise((done) => setTimeout(done, ms));
      }
      return said('x');
    };
  }

  it('drops what goes on beside when the part ends', async () => {
    let cleanedUp = false;
    const beside = function* (): Asking<string> {
      try {
        for (;;) {
          yield* pause(20_000);
        }
      } finally {
        cleanedUp = true;
      }
    };
    const started = Date.now();
    const [answer, during] = await new Round(fakeTarget(slowly(50)), soon()).gather(meanwhile(run(['x']), beside()));
    expect(answer.state).toBe('ok');
    expect(during).toBeUndefined();
    expect(cleanedUp).toBe(true);
    expect(Date.now() - started).toBeLessThan(5000);
  });

  it('keeps what had ended before', async () => {
    expect(
      await new Round(
        fakeTarget(() => said('')),
        soon(),
      ).gather(meanwhile(later(100, 'a'), later(1, 'b'))),
    ).toEqual(['a', 'b']);
  });

  it('drops a part within a part', async () => {
    const started = Date.now();
    const inner = meanwhile(later(20_000, 'never'), later(20_000, 'never'));
    expect(
      await new Round(
        fakeTarget(() => said('')),
        soon(),
      ).gather(meanwhile(later(30, 'a'), inner)),
    ).toEqual(['a', undefined]);
    expect(
      await new Round(
        fakeTarget(() => said('')),
        soon(),
      ).gather(meanwhile(later(30, 'a'), all([later(20_000, 'never')]))),
    ).toEqual(['a', undefined]);
    expect(Date.now() - started).toBeLessThan(5000);
  });

  it('throws where the part throws, and ends what went on beside', async () => {
    const started = Date.now();
    const round = new Round(
      fakeTarget(() => said('')),
      soon(),
    );
    await expect(round.gather(meanwhile(fails('part', 10), later(20_000, 'never')))).rejects.toThrow('part');
    expect(Date.now() - started).toBeLessThan(5000);
  });

  it('throws where what goes on beside throws', async () => {
    const round = new Round(
      fakeTarget(() => said('')),
      soon(),
    );
    await expect(round.gather(meanwhile(later(30, 'a'), fails('beside')))).rejects.toThrow('beside');
  });

  it('asks both to the end in a replay, whatever came first when it was recorded', async () => {
    const round = new Round(
      fakeTarget(() => said('x'), 'recording'),
      soon(),
    );
    const sampled = function* (): Asking<string[]> {
      yield* pause(2000);
      const first = yield* text('/waiting');
      yield* pause(2000);
      return [first, yield* text('/waiting2')];
    };
    expect(await round.gather(meanwhile(text('/a'), sampled()))).toEqual(['x', ['x', 'x']]);
  });
});

it('throws what the target throws into the fact', async () => {
  const round = new Round(
    fakeTarget(() => Promise.reject(new Error('never happens'))),
    soon(),
  );
  await expect(round.gather(text('/a'))).rejects.toThrow('never happens');
});
