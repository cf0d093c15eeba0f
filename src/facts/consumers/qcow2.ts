/** The head of an image, for hosts whose qemu-img is out of reach; https://www.qemu.org/docs/master/interop/qcow2.html */
import { outputOf, run, whyNot } from '../../check/asking.ts';
import type { Asking } from '../../check/types.ts';
import { fromByteString } from '../../names.ts';
import { parseErrors } from '../look.ts';
import type { Looked } from './images.ts';

const LIMIT = 5000;
const BYTES = 4096;
const DONE = '\0done\0';
const BACKING_FORMAT = 0xe2792aca;
/** Formats that may stand on another image, too: QED and VMDK. */
const OTHERS = /^(QED\0|KDMV|COWD|# Disk DescriptorFile)/;

/** By path, as lookAtImages takes them. One that hangs leaves all untold: qemu-img would have been asked in pieces. */
export function* lookAtHeads(paths: readonly string[], format: string | undefined): Asking<Map<string, Looked>> {
  const argv = ['find', ...paths.map(fromByteString), '-maxdepth', '0', '(', '-type', 'f', '-o', '-type', 'b', ')', '-printf', '%p\\0'];
  const answer = yield* run([...argv, '-exec', 'head', '-c', String(BYTES), '{}', ';', '-printf', '\\0done\\0'], {
    limitMs: LIMIT,
    suspect: true,
  });
  const heads = answer.state === 'ok' ? parseHeads(outputOf(answer)) : new Map<string, string>();
  const errors = parseErrors(answer.state === 'ok' ? answer.err : '');
  return new Map(
    paths.map((path): [string, Looked] => {
      const head = heads.get(path);
      if (head !== undefined) {
        return [path, parseHead(head, format)];
      }
      const line = errors.get(path);
      const why = line ?? (answer.state === 'ok' ? 'it is no file and no block device, or cannot be read' : whyNot(answer));
      return [path, line?.endsWith(': No such file or directory') ? { state: 'absent' } : { state: 'unknown', why }];
    }),
  );
}

/** `path NUL bytes NUL done NUL` each; the bytes may hold anything. */
function parseHeads(output: string): Map<string, string> {
  const heads = new Map<string, string>();
  for (let at = 0; at < output.length; ) {
    const begin = output.indexOf('\0', at) + 1;
    const whole = begin + BYTES;
    const end = output.startsWith(DONE, whole) ? whole : output.indexOf(DONE, begin);
    if (begin === 0 || end < 0 || end > whole) {
      break;
    }
    heads.set(output.slice(at, begin - 1), output.slice(begin, end));
    at = end + DONE.length;
  }
  return heads;
}

/** Takes the first bytes of an image, one character a byte. */
export function parseHead(head: string, format: string | undefined): Looked {
  const bytes = Buffer.from(head, 'latin1');
  if (!head.startsWith('QFI\xfb')) {
    return format === undefined && head.length > 0 && !OTHERS.test(head)
      ? { state: 'looked', format: 'raw', below: undefined }
      : { state: 'unknown', why: 'it has no head of a qcow2 image, and qemu-img, which knows the others, is not installed' };
  }
  const cut: Looked = { state: 'unknown', why: 'its head is not of the known format' };
  if (bytes.length < 104) {
    return cut;
  }
  const [offset, size] = [Number(bytes.readBigUInt64BE(8)), bytes.readUInt32BE(16)];
  if (offset === 0 || size === 0) {
    return { state: 'looked', format: 'qcow2', below: undefined };
  }
  if (size > 1023 || offset + size > bytes.length) {
    return cut;
  }
  const below = head.slice(offset, offset + size);
  return { state: 'looked', format: 'qcow2', below: { path: fromByteString(below), format: backingFormat(bytes, offset) } };
}

/** The extensions lie between the head and the name: type, length, and data up to the next eighth byte. */
function backingFormat(bytes: Buffer, end: number): string | undefined {
  for (let at = bytes.readUInt32BE(4) >= 3 ? bytes.readUInt32BE(100) : 72; at + 8 <= end; ) {
    const [type, length] = [bytes.readUInt32BE(at), bytes.readUInt32BE(at + 4)];
    if (type === 0) {
      return undefined;
    }
    if (type === BACKING_FORMAT) {
      return bytes.toString('latin1', at + 8, at + 8 + length);
    }
    at += 8 + length + ((8 - (length % 8)) % 8);
  }
  return undefined;
}
