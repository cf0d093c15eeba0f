/** What comes back: noise of the login first, then lines of the form `ID P pid`, `ID C pid`, `ID X status`, `ID O|E data|.`. */

/** Longer than any line of the program. */
const LINE_AT_MOST = 4096;
const NOISE_AT_MOST = 64 * 1024;

export type Frame =
  | { id: number; is: 'pid'; pid: number }
  /** Stands between the command and us. */
  | { id: number; is: 'between'; pid: number }
  | { id: number; is: 'status'; code: number }
  | { id: number; is: 'out' | 'err'; data: Buffer }
  | { id: number; is: 'out-end' | 'err-end' };

export interface Ready {
  encoding: string;
  setsid: boolean;
  uid: number | undefined;
  /** Boot id; empty where the host does not tell. */
  boot: string;
}

export interface FrameListener {
  /** A line of the program that is no frame: `ready …`, `root`, `stays`. */
  marker(words: string[]): void;
  frame(frame: Frame): void;
  /** Not what the program writes. */
  broken(what: string): void;
}

/** Takes the output as it comes, in pieces of any size. */
export class FrameReader {
  readonly #nonce: string;
  readonly #listener: FrameListener;
  #rest = '';
  #noise = '';
  #encoding: string | undefined;
  #isBroken = false;

  constructor(nonce: string, listener: FrameListener) {
    this.#nonce = nonce;
    this.#listener = listener;
  }

  /** What came before the program's first word: a message of the day, or all that a host without a shell says. */
  get noise(): string {
    return this.#noise;
  }

  feed(chunk: Buffer): void {
    if (this.#isBroken) {
      return;
    }
    const lines = (this.#rest + chunk.toString('latin1')).split('\n');
    this.#rest = lines.pop() as string;
    for (const line of lines) {
      this.#line(line);
    }
    if (this.#encoding !== undefined && this.#rest.length > LINE_AT_MOST) {
      this.#break('a line without end');
    } else if (this.#encoding === undefined && this.#noise.length + this.#rest.length > NOISE_AT_MOST) {
      this.#noise = (this.#noise + this.#rest).slice(0, NOISE_AT_MOST);
      this.#break('output without end');
    }
  }

  #line(line: string): void {
    if (this.#isBroken) {
      return;
    }
    if (line.startsWith(`${this.#nonce} `)) {
      const words = line.slice(this.#nonce.length + 1).split(' ');
      this.#encoding = words[0] === 'ready' ? words[2] : this.#encoding;
      this.#listener.marker(words);
    } else if (this.#encoding === undefined) {
      this.#noise += this.#noise.length > NOISE_AT_MOST ? '' : `${line}\n`;
    } else if (line !== '') {
      const frame = parseFrame(line, this.#encoding);
      if (frame === undefined) {
        this.#break(`the line ${line.slice(0, 100)}`);
      } else {
        this.#listener.frame(frame);
      }
    }
  }

  #break(what: string): void {
    this.#isBroken = true;
    this.#listener.broken(what);
  }
}

export function parseFrame(line: string, encoding: string): Frame | undefined {
  const [, number, letter, data] = /^([0-9]{1,9}) ([PCXOE]) (\S.*)$/.exec(line) ?? [];
  if (number === undefined || data === undefined) {
    return undefined;
  }
  const id = Number(number);
  if (letter === 'P' || letter === 'C' || letter === 'X') {
    const value = /^[0-9]{1,9}$/.test(data) ? Number(data) : undefined;
    return value === undefined
      ? undefined
      : letter === 'X'
        ? { id, is: 'status', code: value }
        : { id, is: letter === 'P' ? 'pid' : 'between', pid: value };
  }
  const stream = letter === 'O' ? 'out' : 'err';
  if (data === '.') {
    return { id, is: `${stream}-end` };
  }
  const bytes = decode(data, encoding);
  return bytes === undefined ? undefined : { id, is: stream, data: bytes };
}

function decode(data: string, encoding: string): Buffer | undefined {
  if (encoding === 'hex') {
    return /^([0-9a-f]{2})+$/.test(data) ? Buffer.from(data, 'hex') : undefined;
  }
  return /^[A-Za-z0-9+/]+={0,2}$/.test(data) && data.length % 4 === 0 ? Buffer.from(data, 'base64') : undefined;
}

/** `ready 1 ENCODING SETSID UID BOOT`; undefined for another version. */
export function parseReady([word, version, encoding = 'none', setsid, uid, boot = '']: readonly string[]): Ready | undefined {
  if (word !== 'ready' || version !== '1') {
    return undefined;
  }
  return { encoding, setsid: setsid === 'setsid', uid: uid !== undefined && /^[0-9]+$/.test(uid) ? Number(uid) : undefined, boot };
}
