import { styleText } from 'node:util';

type Format = Parameters<typeof styleText>[0];

/** Colours, where the stream is a terminal that wants them; no information is in the colour alone. */
export type Paint = (format: Format, text: string) => string;

export function paintFor(stream: NodeJS.WriteStream): Paint {
  return (format, text) => styleText(format, text, { stream });
}

export const plain: Paint = (_, text) => text;
