import sax from 'sax';
import { Unknown } from '../../check/asking.ts';

export interface Element {
  /** With its prefix, where it has one. */
  name: string;
  attributes: Readonly<Record<string, string>>;
  children: Element[];
  /** Of the element itself, without blanks around it. */
  text: string;
}

const DEEP_AT_MOST = 300;

/** A whole document; `Unknown` where it is not well-formed. No entity but XML's own is known, and no document type is. */
export function parseXml(text: string): Element {
  const parser = sax.parser(true, { position: true });
  const open: Element[] = [];
  let root: Element | undefined;
  parser.onerror = (error) => {
    // Unclosed root tag\nLine: 3\nColumn: 0\nChar:
    throw new Unknown(`it is not well-formed XML: ${error.message.replaceAll('\n', ', ')}`);
  };
  parser.ondoctype = () => {
    throw new Unknown('it has a document type, which no definition has');
  };
  parser.onprocessinginstruction = ({ name, body }) => {
    const encoding = name === 'xml' ? /encoding\s*=\s*["']([^"']*)/.exec(body)?.[1] : undefined;
    if (encoding !== undefined && !/^utf-?8$/i.test(encoding)) {
      throw new Unknown(`it is written in ${encoding}, and UTF-8 was expected`);
    }
  };
  parser.onopentag = ({ name, attributes }) => {
    const element: Element = { name, attributes: { ...(attributes as Record<string, string>) }, children: [], text: '' };
    if (open.length >= DEEP_AT_MOST) {
      throw new Unknown(`its elements are more than ${DEEP_AT_MOST} deep`);
    }
    if (root !== undefined && open.length === 0) {
      throw new Unknown('it is not well-formed XML: something follows its root');
    }
    open.at(-1)?.children.push(element);
    root ??= element;
    open.push(element);
  };
  const add = (piece: string) => {
    const element = open.at(-1);
    if (element !== undefined) {
      element.text += piece;
    }
  };
  parser.ontext = add;
  parser.oncdata = add;
  parser.onclosetag = () => {
    const element = open.pop();
    if (element !== undefined) {
      element.text = element.text.trim();
    }
  };
  parser.write(text).close();
  if (root === undefined) {
    throw new Unknown('it holds no XML');
  }
  return root;
}

/** The elements that a way of names leads to. */
export function elementsAt(element: Element, ...[name, ...rest]: string[]): Element[] {
  return name === undefined
    ? [element]
    : element.children.filter((child) => child.name === name).flatMap((child) => elementsAt(child, ...rest));
}

export function textAt(element: Element, ...way: string[]): string | undefined {
  return elementsAt(element, ...way)[0]?.text || undefined;
}

export function attributeAt(element: Element, ...way: string[]): string | undefined {
  const attribute = way.at(-1) as string;
  return elementsAt(element, ...way.slice(0, -1)).find(({ attributes }) => Object.hasOwn(attributes, attribute))?.attributes[attribute];
}
