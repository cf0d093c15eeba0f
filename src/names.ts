/**
 * Names from mount tables, arrays and recordings are bytes. A name that is valid UTF-8 is a string; any other is
 * carried as base64, in JSON too.
 */
export type Name = string | { readonly base64: string };

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function toName(bytes: Uint8Array): Name {
  try {
    return utf8.decode(bytes);
  } catch {
    return { base64: Buffer.from(bytes).toString('base64') };
  }
}

export function toBytes(name: Name): Buffer {
  return typeof name === 'string' ? Buffer.from(name, 'utf8') : Buffer.from(name.base64, 'base64');
}

/** One character a byte: for comparing, prefixes and map keys. */
export function toByteString(name: Name): string {
  return typeof name === 'string' && isAscii(name) ? name : toBytes(name).toString('latin1');
}

export function fromByteString(bytes: string): Name {
  return isAscii(bytes) ? bytes : toName(Buffer.from(bytes, 'latin1'));
}

export function sameName(a: Name, b: Name): boolean {
  return toByteString(a) === toByteString(b);
}

/** True for a path that lies below another one; a path does not lie below itself. */
export function isBelow(path: Name, above: Name): boolean {
  const parent = toByteString(above);
  return toByteString(path).startsWith(parent === '/' ? '/' : `${parent}/`) && !sameName(path, above);
}

/** What a copy of this file is called among other copies: `srv_images_a.img` for `/srv/images/a.img`. */
export function fileNameOf(path: Name): string {
  const name = toByteString(path)
    .replace(/[^\w.-]+/g, '_')
    .slice(-200)
    .replace(/^[-._]+/, '');
  return name === '' ? 'copy' : name;
}

// Controls (C0, DEL, C1), formats (reordering, zero width, soft hyphen, byte order mark), line and paragraph separators,
// and what fonts show nothing for (fillers, variation selectors).
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

/** Text from strangers made harmless for a terminal: one line, nothing invisible. A lone name reads `/mnt/a\nb`. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => {
    const short = { '\n': '\\n', '\t': '\\t', '\r': '\\r', '\u001b': '\\e' }[character];
    const code = character.codePointAt(0) ?? 0;
    return short ?? (code < 0x100 ? `\\x${hex(code, 2)}` : `\\u${hex(code, 4)}`);
  });
}

export function showName(name: Name): string {
  if (typeof name === 'string') {
    return printable(name);
  }
  let shown = '';
  for (const byte of toBytes(name)) {
    shown += byte < 0x80 ? printable(String.fromCharCode(byte)) : `\\x${hex(byte, 2)}`;
  }
  return shown;
}

/** A word as it can be pasted into a POSIX-like shell; `$'…'` (bash, zsh, ksh, busybox) where plain quotes cannot show it. */
export function shellWord(name: Name): string {
  const bytes = toByteString(name);
  if (/^[\w@%+=:,./-]+$/.test(bytes) && isAscii(bytes)) {
    return bytes;
  }
  if (typeof name === 'string' && printable(name) === name) {
    return `'${name.replaceAll("'", `'\\''`)}'`;
  }
  let word = '';
  for (const byte of toBytes(name)) {
    const character = String.fromCharCode(byte);
    word += character === "'" || character === '\\' ? `\\${character}` : byte > 0x1f && byte < 0x7f ? character : `\\x${hex(byte, 2)}`;
  }
  return `$'${word}'`;
}

export function shellLine(argv: readonly Name[]): string {
  return argv.map(shellWord).join(' ');
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) > 0x7f) {
      return false;
    }
  }
  return true;
}

function hex(value: number, width: number): string {
  return value.toString(16).padStart(width, '0');
}
