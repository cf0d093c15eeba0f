/** Questions to a person. The only place that knows enquirer. */
import { PassThrough } from 'node:stream';
import { styleText } from 'node:util';
import { StdoctorError } from '../errors.ts';

const CTRL_C = 0x03;
const CTRL_D = 0x04;
const SHOW_CURSOR = '\u001b[?25h\n';
/** From the cursor on. */
const CLEAR_REST = '\u001b[J';

export interface Streams {
  stdin: NodeJS.ReadStream;
  stdout: NodeJS.WriteStream;
}

/** True for y and yes. Not with enquirer's confirm, which ends at the y: the Enter after it would answer the next question. */
export async function confirm(message: string, streams: Streams): Promise<boolean> {
  const answer = await ask({ type: 'input', name: 'answer', message: `${message} (y/N)` }, streams);
  return typeof answer === 'string' && /^y(es)?$/i.test(answer.trim());
}

/** True where exactly this text was typed. */
export async function typed(message: string, expected: string, streams: Streams): Promise<boolean> {
  return (await ask({ type: 'input', name: 'answer', message }, streams)) === expected;
}

/** The name of the choice; undefined at the end of input. */
export async function choose<C extends string>(
  message: string,
  choices: readonly { name: C; message: string }[],
  streams: Streams,
): Promise<C | undefined> {
  return (await ask({ type: 'select', name: 'answer', message, choices: [...choices], footer }, streams)) as C | undefined;
}

/** What Enter would take, in words: a pointer and a colour are not read out. */
function footer(this: { focused?: { message: string } }): string {
  return `Up and down move, Enter takes: ${this.focused?.message ?? ''}`;
}

type Question =
  | { type: 'input'; name: 'answer'; message: string }
  | { type: 'select'; name: 'answer'; message: string; choices: { name: string; message: string }[]; footer: typeof footer };

/** undefined at the end of input. */
async function ask(question: Question, { stdin, stdout }: Streams): Promise<unknown> {
  const { default: enquirer } = await import('enquirer');
  const keys = new Keys(stdin);
  try {
    const colours = styleText('red', 'x', { stream: stdout }) !== 'x';
    const options = { ...question, styles: { enabled: colours }, stdin: keys as unknown as NodeJS.ReadStream, stdout };
    const answer = enquirer.prompt<{ answer: unknown }>(options).then((given) => given.answer);
    const end = await Promise.race([answer.then((value) => ({ value })), keys.ended]);
    if (typeof end === 'string') {
      // The choices that stand below the cursor; an answer takes them away itself.
      stdout.write(CLEAR_REST);
    }
    if (end === 'interrupted' || end === 'gone') {
      const why = end === 'gone' ? 'the terminal went away' : 'interrupted';
      throw new StdoctorError('STD_INTERRUPTED', `${why} at the question; nothing was done after it`);
    }
    return end === 'end of input' ? undefined : end.value;
  } finally {
    keys.close();
    stdout.write(SHOW_CURSOR);
  }
}

/**
 * The keys of a terminal without Ctrl-C and Ctrl-D: enquirer crashes on the first (it closes its readline twice) and
 * never settles on the second, nor when the terminal goes away.
 */
class Keys extends PassThrough {
  readonly isTTY = true;
  readonly ended: Promise<'interrupted' | 'end of input' | 'gone'>;
  readonly #stdin: NodeJS.ReadStream;
  #stop: () => void = () => {};

  constructor(stdin: NodeJS.ReadStream) {
    super();
    this.#stdin = stdin;
    this.ended = new Promise((done) => {
      const onData = (chunk: Buffer) => {
        if (chunk.includes(CTRL_C)) {
          done('interrupted');
        } else if (chunk.includes(CTRL_D)) {
          done('end of input');
        } else {
          this.write(chunk);
        }
      };
      const onEnd = () => done('gone');
      // An earlier question has paused it.
      stdin.on('data', onData).once('end', onEnd).once('close', onEnd).once('error', onEnd).resume();
      this.#stop = () => stdin.off('data', onData).off('end', onEnd).off('close', onEnd).off('error', onEnd).pause();
    });
  }

  setRawMode(raw: boolean): this {
    this.#stdin.setRawMode(raw);
    return this;
  }

  close(): void {
    this.#stop();
    if (!this.#stdin.destroyed) {
      try {
        this.#stdin.setRawMode(false);
      } catch {
        // The terminal is gone.
      }
    }
  }
}
