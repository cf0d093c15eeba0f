/** Questions to a person. The only place that knows enquirer. */
import { StdoctorError } from '../errors.ts';

export interface Streams {
  stdin: NodeJS.ReadStream;
  stdout: NodeJS.WriteStream;
}

export async function confirm(message: string, streams: Streams): Promise<boolean> {
  return (await ask({ type: 'confirm', name: 'answer', message, initial: false }, streams)) === true;
}

/** True where exactly this text was typed. */
export async function typed(message: string, expected: string, streams: Streams): Promise<boolean> {
  return (await ask({ type: 'input', name: 'answer', message }, streams)) === expected;
}

/** undefined at the end of input, at which enquirer itself never settles. */
async function ask(
  question: { type: 'confirm' | 'input'; name: string; message: string; initial?: boolean },
  streams: Streams,
): Promise<unknown> {
  const { default: enquirer } = await import('enquirer');
  const ended = new Promise<undefined>((done) => {
    streams.stdin.once('end', () => done(undefined));
    streams.stdin.once('close', () => done(undefined));
  });
  const answer = enquirer.prompt<{ answer: unknown }>({ ...question, ...streams } as Parameters<typeof enquirer.prompt>[0]).then(
    (given) => given.answer,
    // enquirer rejects with an empty string at Ctrl-C.
    (error: unknown) =>
      Promise.reject(
        error === '' || error === undefined
          ? new StdoctorError('STD_INTERRUPTED', 'interrupted at the question; nothing was done after it')
          : error,
      ),
  );
  return Promise.race([answer, ended]);
}
