/** What a command line of qemu names, qemu(1). */
import { fromByteString, type Name, toByteString } from '../../names.ts';
import type { Disk } from './consumer.ts';

const QEMU = /(^|\/)(qemu-system-[^/]*|qemu-kvm|kvm|qemu-nbd|qemu-storage-daemon)$/;
/** Those that take the path of an image alone. */
const PLAIN = /^--?(hd[abcd]|cdrom|fd[ab]|sd|mtdblock|pflash)$/;

export function isQemu(words: readonly string[]): boolean {
  return QEMU.test(words[0] ?? '');
}

/** The guest's name, without what follows it. */
export function nameOfQemu(words: readonly string[]): Name | undefined {
  const option = words.findIndex((word) => /^--?name$/.test(word));
  const value = option < 0 ? undefined : words[option + 1];
  const [first] = value === undefined ? [] : partsOf(value);
  // guest=web,debug-threads=on
  return first === undefined ? undefined : fromByteString(first.replace(/^guest=/, '')) || undefined;
}

/** Takes and gives words of one character a byte. */
export function disksOfQemu(words: readonly string[]): Disk[] {
  const disks: Disk[] = [];
  const nodes: Node[] = [];
  const add = (path: string | undefined, format: string | undefined, closed = false) => {
    if (path?.startsWith('/')) {
      disks.push({ images: [{ path: fromByteString(path), format }], closed });
    }
  };
  for (let at = 1; at < words.length; at++) {
    const [option, value] = [words[at] as string, words[at + 1] ?? ''];
    if (PLAIN.test(option)) {
      add(value, undefined);
    } else if (/^--?drive$/.test(option)) {
      const options = optionsOf(value);
      add(pathIn(options.get('file') ?? options.get('file.filename') ?? ''), options.get('format') ?? options.get('driver'));
    } else if (/^--?blockdev$/.test(option)) {
      nodes.push(...nodesOf(value));
    } else {
      continue;
    }
    at++;
  }
  for (const { name, path } of nodes) {
    const format = nodes.find((node) => node.file === name && name !== undefined)?.driver;
    // Where no node above it says what it is, qemu takes it as it is.
    add(path, format ?? 'raw');
  }
  if (/(^|\/)qemu-nbd$/.test(words[0] ?? '')) {
    const format = words.findIndex((word) => /^(-f|--format)$/.test(word));
    add(
      words.findLast((word) => word !== ''),
      format < 0 ? undefined : words[format + 1],
    );
  }
  return disks;
}

interface Node {
  name: string | undefined;
  driver: string | undefined;
  path: string | undefined;
  /** The node that it stands on. */
  file: string | undefined;
}

/** Of `driver=qcow2,node-name=a,file.filename=/b` or of the same as JSON. */
function nodesOf(value: string): Node[] {
  const options = value.startsWith('{') ? flatJson(value) : optionsOf(value);
  const [name, driver, file] = ['node-name', 'driver', 'file'].map((key) => options.get(key));
  const own: Node = { name, driver, path: options.get('filename'), file };
  const inner = options.get('file.filename');
  const innerName = `${name ?? ''}.file`;
  return inner === undefined
    ? [own]
    : [
        { ...own, file: innerName },
        { name: innerName, driver: undefined, path: inner, file: undefined },
      ];
}

/** `json:{"driver":"qcow2","file":{"filename":"/a"}}`, `file:/a` and `/a` alike. */
export function pathIn(spec: string): string | undefined {
  if (spec.startsWith('json:')) {
    const options = flatJson(spec.slice('json:'.length));
    return ['filename', 'file.filename', 'file.file.filename'].map((key) => options.get(key)).find((path) => path !== undefined);
  }
  return spec.replace(/^(file|host_device):/, '');
}

/** Keys of objects within objects joined by dots; takes and gives one character a byte. Nothing where it is no JSON. */
export function flatJson(text: string): Map<string, string> {
  const flat = new Map<string, string>();
  const walk = (value: unknown, key: string, depth: number): void => {
    if (typeof value === 'string') {
      flat.set(key, toByteString(value));
    } else if (typeof value === 'object' && value !== null && depth < 8) {
      for (const [name, inner] of Object.entries(value)) {
        walk(inner, key === '' ? name : `${key}.${name}`, depth + 1);
      }
    }
  };
  try {
    walk(JSON.parse(Buffer.from(text, 'latin1').toString('utf8')), '', 0);
  } catch {
    return new Map();
  }
  return flat;
}

function optionsOf(value: string): Map<string, string> {
  return new Map(
    partsOf(value).map((part) => {
      const equals = part.indexOf('=');
      return equals < 0 ? [part, ''] : [part.slice(0, equals), part.slice(equals + 1)];
    }),
  );
}

/** At commas; two of them stand for one within a value. */
function partsOf(value: string): string[] {
  return value
    .replaceAll(',,', '\0')
    .split(',')
    .map((part) => part.replaceAll('\0', ','));
}
