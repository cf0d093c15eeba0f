import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fakeTarget, said, wordsOf } from '../../../test/fake-target.ts';
import { scratch } from '../../../test/scratch.ts';
import { Unknown } from '../../check/asking.ts';
import { Round } from '../../engine/round.ts';
import { mask } from '../../secrets.ts';
import { LocalTarget } from '../../target/local.ts';
import { decodeUtf8, JSON_SECRETS, readFiles, type Wanted, XML_SECRETS } from './files.ts';
import { parseXml } from './xml.ts';

const gather = (wanted: Partial<Wanted> & { directories: string[] }) =>
  new Round(new LocalTarget(undefined), Date.now() + 20_000).gather(
    readFiles({ pattern: '*.xml', depth: 1, script: XML_SECRETS, ...wanted }),
  );
const latin1 = (text: string) => Buffer.from(text).toString('latin1');

describe('readFiles', () => {
  it('reads all files of a kind, whatever their names, and follows no link', async () => {
    const directory = scratch();
    const names = ['a.xml', 'b\nc é.xml', "it's.xml", '-e.xml'];
    for (const name of names) {
      writeFileSync(join(directory, name), `<a>${name}</a>\n\n`);
    }
    writeFileSync(join(directory, 'other.txt'), 'no');
    writeFileSync(join(directory, 'empty.xml'), '');
    writeFileSync(join(directory, 'large.xml'), 'x');
    truncateSync(join(directory, 'large.xml'), 5_000_000);
    mkdirSync(join(directory, 'd.xml'));
    symlinkSync('a.xml', join(directory, 'link.xml'));
    const { texts, listed, unjudged } = await gather({ directories: [directory, '/nonesuch'] });
    expect(new Map(texts)).toEqual(new Map(names.map((name) => [latin1(join(directory, name)), latin1(`<a>${name}</a>\n\n`)])));
    expect(listed.find(({ path }) => path.endsWith('/link.xml'))).toMatchObject({ type: 'l', target: 'a.xml' });
    expect(unjudged.map(({ subject, why }) => [subject.name, why]).toSorted()).toEqual([
      [join(directory, 'empty.xml'), 'it is empty'],
      [join(directory, 'large.xml'), 'it has 5000000 bytes, and less than 4194304 were expected'],
    ]);
  });

  it('finds none where no directory is there', async () => {
    expect(await gather({ directories: ['/nonesuch/a', '/nonesuch/b'] })).toMatchObject({ listed: [], unjudged: [] });
  });

  it('leaves no secret in what it reads, and nothing that masking would break', async () => {
    const directory = scratch();
    const xml = `<domain><graphics passwd='se"cr e,t' port="1"><listen/></graphics>
<qemu:arg value='sec0,password=secret,x=y'/><qemu:env name='u' value="http://me:secret@h/?token=secret"/><disk n='/dev/vg0/a'/></domain>`;
    const json = JSON.stringify({
      user_data: 'sec"ret\n',
      a: { admin_pass: 'secret', url: 'ftp://a:secret@h', arg: 'key=secret\\' },
      path: '/dev/a',
    });
    writeFileSync(join(directory, 'a.xml'), xml);
    writeFileSync(join(directory, 'a.json'), json);
    const [read] = (await gather({ directories: [directory] })).texts.values();
    expect(read).not.toContain('secret');
    expect(mask(read as string)).toBe(read);
    expect(parseXml(read as string).children.map(({ name }) => name)).toEqual(['graphics', 'qemu:arg', 'qemu:env', 'disk']);
    const [other] = (await gather({ directories: [directory], pattern: '*.json', script: JSON_SECRETS })).texts.values();
    expect(other).not.toContain('secret');
    expect(mask(other as string)).toBe(other);
    expect(JSON.parse(other as string)).toMatchObject({ user_data: '', path: '/dev/a' });
  });

  it('asks with two children for thousands', async () => {
    const directory = scratch();
    for (let count = 0; count < 1000; count++) {
      mkdirSync(join(directory, `${count}`));
      writeFileSync(join(directory, `${count}`, 'desc'), `{"uuid":"${count}"}`);
    }
    const { texts } = await gather({ directories: [directory], pattern: 'desc', depth: 2 });
    expect(texts.size).toBe(1000);
    expect(texts.get(`${directory}/77/desc`)).toBe('{"uuid":"77"}');
  });

  it('names what it may not read', async () => {
    const target = fakeTarget((probe) =>
      wordsOf(probe).includes('sed')
        ? said('', 1, "sed: can't read /d/a.xml: Permission denied\n")
        : said('/d\0d\x001\0\0/d/a.xml\0f\x004\0\0/dev/null\0c\x000\0\0', 1, "find: '/e': Permission denied\n"),
    );
    const wanted = { directories: ['/d', '/e'], pattern: '*.xml', depth: 1, script: [] } as const;
    expect((await new Round(target, Number.MAX_SAFE_INTEGER).gather(readFiles(wanted))).unjudged).toEqual([
      { subject: { kind: 'file', name: '/e' }, why: "find: '/e': Permission denied" },
      { subject: { kind: 'file', name: '/d/a.xml' }, why: "sed: can't read /d/a.xml: Permission denied" },
    ]);
  });

  it('gives no text that was cut off', async () => {
    const list = '/d\0d\x001\0\0/d/a.xml\0f\x004\0\0/d/b.xml\0f\x004\0\0/dev/null\0c\x000\0\0';
    const target = fakeTarget((probe) => {
      const cut = {
        state: 'timed-out',
        out: Buffer.from('/d/a.xml\0<a/>\0/d/b.xml\0<b'),
        err: '',
        limitMs: 10_000,
        at: '',
        ms: 1,
      } as const;
      return wordsOf(probe).includes('sed') ? cut : said(list);
    });
    const wanted = { directories: ['/d'], pattern: '*.xml', depth: 1, script: [] } as const;
    const { texts, unjudged } = await new Round(target, Number.MAX_SAFE_INTEGER).gather(readFiles(wanted));
    expect([...texts]).toEqual([['/d/a.xml', '<a/>']]);
    expect(unjudged).toEqual([{ subject: { kind: 'file', name: '/d/b.xml' }, why: 'no answer within 10 s' }]);
  });
});

it('decodeUtf8 takes UTF-8 alone', () => {
  expect(decodeUtf8('caf\xc3\xa9')).toBe('café');
  expect(() => decodeUtf8('caf\xe9')).toThrow(Unknown);
});
