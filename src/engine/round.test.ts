import { describe, expect, it } from 'vitest';
import { absent, fakeTarget, said, timedOut, wordsOf } from '../../test/fake-target.ts';
import { all, ask, defineFact, expectOutput, meanwhile, NotHere, outputOf, pause, read, run, Unknown } from '../check/asking.ts';
import type { Answer, Asking, Probe, Target } from '../check/types.ts';
import type { CostlyFacts, Kept } from '../state/costly-facts.ts';
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

describe('costly facts', () => {
  const MACHINE = '0123456789abcdef0123456789abcdef';
  const AT = { at: '2026-11-03T09:00:00.000Z', ms: 1 };

  /** A machine with a volume. Changing `says` changes the world. */
  function volume(says: Record<string, Answer> = {}, via: Target['via'] = 'local') {
    const world: Record<string, Answer> = {
      'cat /etc/machine-id': said(`${MACHINE}\n`),
      'cat /etc/os-release': said(''),
      '/written': said('17'),
      'verify v': said('clean', 1),
      ...says,
    };
    return { says: world, target: fakeTarget((probe) => world[wordsOf(probe)], via) };
  }

  function memory(): CostlyFacts & { kept: Map<string, Kept> } {
    const kept = new Map<string, Kept>();
    return { kept, get: (key) => kept.get(key), put: (key, value) => void kept.set(key, value) };
  }

  const written = function* (): Asking<string> {
    const probe: Probe = { kind: 'read', path: '/written' };
    return expectOutput(probe, yield* ask(probe));
  };
  const verified = defineFact(
    'test.verified',
    function* (name: string): Asking<string> {
      return outputOf(yield* run(['verify', name]));
    },
    written,
  );
  const times = (target: { asked: Probe[] }, words = 'verify v') => target.asked.filter((probe) => wordsOf(probe) === words).length;
  const gather = <T>(part: Asking<T>, target: Target, costly?: CostlyFacts) => new Round(target, soon(), () => {}, costly).gather(part);

  it('stand in the next round while their stamp is the same', async () => {
    const { target, says } = volume();
    const costly = memory();
    expect(await gather(all([verified('v'), verified('v')]), target, costly)).toEqual(['clean', 'clean']);
    says['verify v'] = said('damaged');
    expect(await gather(verified('v'), target, costly)).toBe('clean');
    expect(times(target)).toBe(1);
    says['/written'] = said('18');
    expect(await gather(verified('v'), target, costly)).toBe('damaged');
    expect(await gather(verified('v'), target, costly)).toBe('damaged');
    expect(times(target)).toBe(2);
  });

  it('stand for their arguments and their machine', async () => {
    const { target, says } = volume({ 'verify w': said('another') });
    const costly = memory();
    expect(await gather(verified('v'), target, costly)).toBe('clean');
    expect(await gather(verified('w'), target, costly)).toBe('another');
    says['cat /etc/machine-id'] = said('f'.repeat(32));
    says['verify v'] = said('on another machine');
    expect(await gather(verified('v'), target, costly)).toBe('on another machine');
    expect(costly.kept.size).toBe(3);
  });

  it('do not stand where it is not known which machine it is', async () => {
    const { target } = volume({ 'cat /etc/machine-id': said('', 1) });
    const costly = memory();
    await gather(verified('v'), target, costly);
    await gather(verified('v'), target, costly);
    expect(times(target)).toBe(2);
    expect(costly.kept.size).toBe(0);
  });

  it('are not kept where the world changed while they were gathered', async () => {
    const { target, says } = volume();
    const { ask } = target;
    target.ask = async (probe, until) => {
      const answer = await ask(probe, until);
      if (wordsOf(probe) === 'verify v') {
        says['/written'] = said('18');
      }
      return answer;
    };
    const costly = memory();
    expect(await gather(verified('v'), target, costly)).toBe('clean');
    expect(costly.kept.size).toBe(0);
    expect(await gather(verified('v'), target, costly)).toBe('clean');
    expect(costly.kept.size).toBe(1);
  });

  it.each<[string, () => Asking<string>]>([
    ['could not be told', () => fails('no idea')],
    [
      'is of something that is not here',
      // biome-ignore lint/correctness/useYield: it says so at once
      function* () {
        throw new NotHere('none');
      },
    ],
    ['says nothing', () => text('/empty')],
    ['rests on half an answer', () => text('/slow')],
  ])('are gathered and not kept where the stamp %s', async (_, stamp) => {
    const { target } = volume({ '/empty': said(''), '/slow': timedOut('17') });
    const fact = defineFact('test.stamped', () => text('/written'), stamp);
    const costly = memory();
    expect(await gather(fact(), target, costly)).toBe('17');
    expect(costly.kept.size).toBe(0);
  });

  it('are not kept where the stamp cannot be told any more', async () => {
    const { target, says } = volume();
    const costly = memory();
    const fact = defineFact(
      'test.last',
      function* (): Asking<string> {
        says['/written'] = absent();
        return yield* text('/other');
      },
      written,
    );
    await gather(fact(), target, costly);
    expect(costly.kept.size).toBe(0);
  });

  it('throw what is wrong with the stamp itself, and what they throw is not kept', async () => {
    const { target } = volume();
    const costly = memory();
    const broken = defineFact(
      'test.broken-stamp',
      () => text('/written'),
      (): Asking<string> => {
        throw new TypeError('broken');
      },
    );
    await expect(gather(broken(), target, costly)).rejects.toThrow(TypeError);
    const unknown = defineFact('test.costly-unknown', (): Asking<string> => fails('no idea'), written);
    await expect(gather(unknown(), target, costly)).rejects.toThrow(Unknown);
    expect(costly.kept.size).toBe(0);
  });

  it.each<[string, string, Answer, number]>([
    ['a file that is not there', '/more', absent(), 1],
    ['a tool that is not installed', 'more', absent(), 0],
    ['an error', '/more', { state: 'errno', errno: 5, ...AT }, 0],
    ['a time-out', 'more', timedOut('clea'), 0],
    ['a missing right', '/more', { state: 'denied', why: 'Permission denied', ...AT }, 0],
    ['the deadline', 'more', { state: 'cut', why: 'the deadline of the run came first', ...AT }, 0],
  ])('with %s', async (_, words, answer, kept) => {
    const { target } = volume({ [words]: answer });
    const more = () => (words.startsWith('/') ? read(words) : run([words]));
    const inner = defineFact(
      'test.inner',
      function* (): Asking<string> {
        const { state } = yield* more();
        if (state === 'timed-out') {
          throw new Unknown('too slow');
        }
        return state;
      },
      written,
    );
    // What another fact could not tell counts too, though this one goes on without.
    const outer = defineFact(
      'test.outer',
      function* (): Asking<string> {
        try {
          return yield* inner();
        } catch {
          return 'went on';
        }
      },
      written,
    );
    const costly = memory();
    expect(await gather(outer(), target, costly)).toBe(answer.state === 'timed-out' ? 'went on' : answer.state);
    expect(costly.kept.size).toBe(2 * kept);
  });

  it('ask anew what the round had asked before the stamp, but not what may hang', async () => {
    let count = 0;
    const { says } = volume();
    const target = fakeTarget((probe) => says[wordsOf(probe)] ?? said(String(++count)));
    const costly = memory();
    const round = new Round(target, soon(), () => {}, costly);
    const fact = defineFact('test.late', () => all([text('/a'), suspect()]), written);
    const suspect = function* (): Asking<string> {
      return outputOf(yield* run(['stat', '/m'], { suspect: true }));
    };
    expect(await round.gather(all([text('/a'), suspect()]))).toEqual(['1', '2']);
    expect(await round.gather(fact())).toEqual([expect.not.stringMatching(/^1$/), '2']);
    expect([...costly.kept.values()]).toEqual([{ stamp: '17', value: await round.gather(fact()) }]);
    expect([times(target, '/a'), times(target, 'stat /m'), times(target, '/written')]).toEqual([2, 1, 2]);
  });

  it('are gathered from a recording as they are without a store, and no stamp is asked for', async () => {
    const costly: CostlyFacts = { get: () => ({ stamp: '17', value: 'kept' }), put: () => expect.unreachable() };
    const replayed = volume({}, 'recording').target;
    expect(await gather(verified('v'), replayed, costly)).toBe('clean');
    const live = volume().target;
    expect(await gather(verified('v'), live)).toBe('clean');
    for (const { asked } of [replayed, live]) {
      expect(asked.map(wordsOf)).toEqual(['verify v']);
    }
    expect(await gather(verified('v'), volume().target, costly)).toBe('kept');
  });

  it('are values that JSON gives back as they were', () => {
    interface Verified {
      name: string;
      blocks: number[];
      why?: string;
    }
    defineFact('test.interface', (): Asking<Verified | null> => fails('never asked'), written);
    // @ts-expect-error: a Map would come back as {}
    defineFact('test.map', (): Asking<{ found: Map<string, Verified> }> => fails('never asked'), written);
    // @ts-expect-error: undefined would not come back
    defineFact('test.undefined', (): Asking<string | undefined> => fails('never asked'), written);
    defineFact('test.any', (): Asking<Map<string, undefined>> => fails('never asked'));
  });
});

it('throws what the target throws into the fact', async () => {
  const round = new Round(
    fakeTarget(() => Promise.reject(new Error('never happens'))),
    soon(),
  );
  await expect(round.gather(text('/a'))).rejects.toThrow('never happens');
});
