import { describe, expect, it } from 'vitest';
import { randomBytes, randomFrom } from '../../../test/scratch.ts';
import { Unknown } from '../../check/asking.ts';
import { attributeAt, elementsAt, parseXml, textAt } from './xml.ts';

const TEXT = `<?xml version="1.0" encoding="UTF-8"?>
<!-- WARNING: THIS IS AN AUTO-GENERATED FILE -->
<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>  a &amp; b&#x20ac;<![CDATA[<c>]]></name>
  <devices><disk n='1'/><disk n="&quot;2'"/></devices>
  <qemu:commandline><qemu:arg value='-S'/></qemu:commandline>
</domain>`;

describe('parseXml', () => {
  it('gives elements, attributes and text', () => {
    const root = parseXml(TEXT);
    expect(root).toMatchObject({ name: 'domain', attributes: { type: 'kvm' } });
    expect(textAt(root, 'name')).toBe('a & b€<c>');
    expect(elementsAt(root, 'devices', 'disk').map(({ attributes }) => attributes['n'])).toEqual(['1', `"2'`]);
    expect(attributeAt(root, 'qemu:commandline', 'qemu:arg', 'value')).toBe('-S');
    expect(attributeAt(root, 'nothing', 'here')).toBeUndefined();
    expect(textAt(root, 'devices')).toBeUndefined();
  });

  it.each([
    ['nothing', ''],
    ['blanks', ' \n'],
    ['text', 'no XML'],
    ['two roots', '<a/><b/>'],
    ['an attribute twice', "<a b='1"],
    ['crossed elements', '<a><b></a></b>'],
    ['an unknown entity', '<a>&who;</a>'],
    ['entities of its own', '<!DOCTYPE a [<!ENTITY x "y"><!ENTITY z "&x;&x;">]><a>&z;</a>'],
    ['another encoding', '<?xml version="1.0" encoding="ISO-8859-1"?><a/>'],
    ['depth', `${'<a>'.repeat(5000)}${'</a>'.repeat(5000)}`],
  ])('could not tell from %s', (_, text) => {
    expect(() => parseXml(text)).toThrow(Unknown);
  });

  it('could not tell from any beginning of a document', () => {
    for (let length = 0; length < TEXT.length; length++) {
      expect(() => parseXml(TEXT.slice(0, length))).toThrow(Unknown);
    }
  });

  it('tells or could not tell, whatever it is given', () => {
    const random = randomFrom(7);
    for (let count = 0; count < 2000; count++) {
      const at = random(TEXT.length);
      const text = TEXT.slice(0, at) + randomBytes(random, 6, `<>&;/'"=! []`) + TEXT.slice(at + random(5));
      try {
        expect(parseXml(text).name).toBeTypeOf('string');
      } catch (error) {
        expect(error).toBeInstanceOf(Unknown);
      }
    }
  });

  it('takes a large document in a moment', () => {
    const started = Date.now();
    const root = parseXml(`<a>${'<b c="d">e &lt; f</b>\n'.repeat(100_000)}</a>`);
    expect(root.children).toHaveLength(100_000);
    expect(Date.now() - started).toBeLessThan(10_000);
  });
});
