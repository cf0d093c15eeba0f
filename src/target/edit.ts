/** Carries out an edit of a file, on this host or another one: a script for a POSIX shell, and its arguments. */
import { NOT_AS_IT_WAS, temporaryOf } from '../check/edit.ts';
import type { Change, Edit } from '../check/types.ts';
import { type Name, toByteString } from '../names.ts';

/** Each byte may become five characters, and the kernel takes 128 KiB as one argument. */
const ARGUMENT_AT_MOST = 16 * 1024;
/** Of a file that was not there before. */
const NEW_MODE = '644';
/** More bytes than a file that is edited has. */
const REST = String(2 ** 30);

// Arguments: path, new file, copy, was, becomes; how many follow for the new content, and these: `k OFFSET BYTES` of the old
// file, `t TEXT`, `f FILE`, `e` at the end; then the command that must end well for the new file. Paths and texts as printf %b
// takes them: all of it is ASCII.
// The new file has a name of its own until it is whole and on the disk: before the rename nothing has changed, after it all
// has. What was not there before is linked to its name, which replaces nothing that came in between.
const EDIT = `set -f; umask 077
fail() { printf '%s\\n' "$1"; exit 1; }
raw() { r=$(printf '%b.' "$1"); r=\${r%.}; }
hash() { h=$(sha256sum <"$1") || fail "$1 could not be read"; h=\${h%% *}; }
attributes() { stat -c '%u %g %a %C' -- "$1" 2>/dev/null; }
unchanged() {
  if [ "$was" = none ]; then [ ! -e "$path" ] && [ ! -L "$path" ]
  else [ -f "$path" ] && [ ! -L "$path" ] && hash "$path" && [ "$h" = "$was" ]; fi
}
expect() { unchanged || { printf '%s\\n' "expected $path as it was when this was planned, found another file: it was not changed"; exit ${NOT_AS_IT_WAS}; }; }
content() {
  while :; do case $1 in
    k) tail -c "+$(($2 + 1))" -- "$path" | head -c "$3"; shift 3;;
    t) printf %b "$2"; shift 2;;
    f) raw "$2"; cat -- "$r" || return; shift 2;;
    *) return;;
  esac; done
}
raw "$1"; path=$r; raw "$2"; new=$r; raw "$3"; copy=$r; was=$4 becomes=$5 words=$6; shift 6
directory=\${path%/*}; directory=\${directory:-/}
expect
trap 'rm -f -- "$new"' EXIT; trap 'exit 1' HUP INT TERM
if [ -n "$copy" ] && [ ! -e "$copy" ]; then
  { rm -f -- "$copy.part" && cp -p -- "$path" "$copy.part" && sync -- "$copy.part" && hash "$copy.part"; } || fail "no copy could be kept as $copy: $path was not changed"
  [ "$h" = "$was" ] || { rm -f -- "$copy.part"; expect; }
  { mv -f -- "$copy.part" "$copy" && sync -- "\${copy%/*}"; } || fail "no copy could be kept as $copy: $path was not changed"
fi
[ -z "$copy" ] || { hash "$copy"; [ "$h" = "$was" ] || fail "expected $copy to be a copy of $path, found another content: nothing was changed"; }
rm -f -- "$new"
if [ "$becomes" = none ]; then
  expect
  rm -f -- "$path" && sync -- "$directory"; exit
fi
if [ "$was" = none ]; then (set -C; : >"$new") && chmod ${NEW_MODE} -- "$new"
else cp --preserve=all,xattr -- "$path" "$new"; fi || fail "no file with its owner, mode and attributes could be made beside $path, which was not changed"
content "$@" >"$new"; shift "$words"
hash "$new"; [ "$h" = "$becomes" ] || { expect; fail "what was made of $path is not what was planned: it was not changed"; }
[ $# = 0 ] || "$@" "$new" || fail "$1 does not accept the new $path: it was not changed"
sync -- "$new" || fail "the new $path could not be written to the disk: it was not changed"
[ "$was" = none ] || [ "$(attributes "$new")" = "$(attributes "$path")" ] || { expect; fail "owner, mode or context of $path could not be kept: it was not changed"; }
expect
if [ "$was" = none ]; then ln -T -- "$new" "$path" || { expect; mv -f -T -- "$new" "$path"; }
else mv -f -T -- "$new" "$path"; fi || fail "$path could not be replaced: it was not changed"
rm -f -- "$new"; sync -- "$directory"`;

export function editCommand(edit: Edit<Name>): Name[] {
  const { path, was, becomes, keep = '', verify = [] } = edit;
  const made = contentArguments(edit);
  const about = [path, temporaryOf(edit), keep].map(escaped);
  return ['sh', '-c', EDIT, 'stdoctor-edit', ...about, was ?? 'none', becomes ?? 'none', String(made.length), ...made, ...verify];
}

function contentArguments({ was, content }: Edit<Name>): string[] {
  if ('from' in content) {
    return ['f', escaped(content.from), 'e'];
  }
  const made: string[] = [];
  let at = 0;
  for (const change of content.changes) {
    made.push(...(change.at > at ? ['k', String(at), String(change.at - at)] : []), ...texts(change));
    at = change.at + change.remove;
  }
  return [...made, ...(was === null ? [] : ['k', String(at), REST]), 'e'];
}

function texts({ insert }: Change): string[] {
  const bytes = toByteString(insert);
  const parts = Array.from({ length: Math.ceil(bytes.length / ARGUMENT_AT_MOST) }, (_, index) =>
    bytes.slice(index * ARGUMENT_AT_MOST, (index + 1) * ARGUMENT_AT_MOST),
  );
  return parts.flatMap((part) => ['t', escapedBytes(part)]);
}

function escaped(name: Name): string {
  return escapedBytes(toByteString(name));
}

/** As printf %b reads it. */
function escapedBytes(bytes: string): string {
  return bytes.replace(/[^ -[\]-~]/g, (byte) => `\\0${byte.charCodeAt(0).toString(8).padStart(3, '0')}`);
}
