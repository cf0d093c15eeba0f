import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { scratch } from '../../test/scratch.ts';
import { StdoctorError } from '../errors.ts';
import { emit, outputsOf } from './outputs.ts';

describe('outputsOf', () => {
  it.each([
    [{}, [{ format: 'pretty' }]],
    [{ json: true }, [{ format: 'json' }]],
    [{ json: true, format: 'json' }, [{ format: 'json' }]],
    [{ format: 'json', output: [] }, [{ format: 'json' }]],
    [{ output: ['/a/b'] }, [{ format: 'pretty', file: '/a/b' }]],
    [{ json: true, output: ['/a/b'] }, [{ format: 'json', file: '/a/b' }]],
    [
      { output: ['json:/a/b', 'pretty:/c', '/d'] },
      [
        { format: 'json', file: '/a/b' },
        { format: 'pretty', file: '/c' },
        { format: 'pretty', file: '/d' },
      ],
    ],
    [{ output: ['xml:/a'] }, [{ format: 'pretty', file: '/xml:/a' }]],
    [{ output: ['/a:json:b'] }, [{ format: 'pretty', file: '/a:json:b' }]],
    [{ output: ['json:json:b'] }, [{ format: 'json', file: '/json:b' }]],
    // No colon, though all but the last letter is a format.
    [{ output: ['jsonl'] }, [{ format: 'pretty', file: '/jsonl' }]],
    [{ output: ['json'] }, [{ format: 'pretty', file: '/json' }]],
    [{ output: ['constructor:x'] }, [{ format: 'pretty', file: '/constructor:x' }]],
  ] as [Parameters<typeof outputsOf>[0], unknown][])('%j', (flags, outputs) => {
    expect(outputsOf(flags)).toEqual(outputs);
  });

  it.each([[''], ['json:'], ['pretty:']])('refuses %j, which names no file', (given) => {
    expect(() => outputsOf({ output: [given] })).toThrow(expect.objectContaining({ code: 'STD_USAGE', exitCode: 64 }));
  });
});

describe('emit', () => {
  it('writes each format to its file', async () => {
    const directory = scratch();
    const outputs = outputsOf({ output: [`json:${join(directory, 'a')}`, join(directory, 'b')] });
    await emit(outputs, async (format, stream) => `${format} ${stream === undefined}`);
    expect(readFileSync(join(directory, 'a'), 'utf8')).toBe('json true');
    expect(readFileSync(join(directory, 'b'), 'utf8')).toBe('pretty true');
  });

  it('says where it could not write', async () => {
    const file = join(scratch(), 'absent', 'a');
    const error = await emit([{ format: 'json', file }], async () => '').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(StdoctorError);
    expect(error).toMatchObject({ code: 'STD_OUTPUT', message: expect.stringContaining(file) });
  });
});
