/**
 * What runs on the other side: a program for any POSIX shell, sent on the standard input of `sh`, and the lines that are
 * sent to it. Nothing is installed, no file is written for a question, and the end of its input ends all that it started.
 */
import { type Name, toByteString } from '../../names.ts';
import { PERL } from './perl.ts';

const PATH = [
  '/usr/local/sbin',
  '/usr/local/bin',
  '/usr/sbin',
  '/usr/bin',
  '/sbin',
  '/bin',
  // NixOS and snap.
  '/run/wrappers/bin',
  '/run/current-system/sw/bin',
  '/snap/bin',
].join(':');

/** `life`: after so many seconds it ends itself, whatever became of the connection. */
export function program(nonce: string, life: number): string {
  const places: Record<string, string> = { '@NONCE@': nonce, '@LIFE@': String(life), '@PERL@': PERL };
  return TEXT.replace(/@[A-Z]+@/g, (place) => places[place] ?? place);
}

// The login's own PATH is not used: one of its directories may hang. Where there is Perl, that answers, and the shell waits
// for its end; for the shell itself, where there is none or it does not even begin, are
// q: a question, in a session of its own, its output in frames that are written at once (below PIPE_BUF): by f; by g where
// mostly nothing is said; by s where it may hang for good, with a cat in between that can be killed in its place: by n.
// a: an act, which outlives the connection. k: a signal. u: goes on as root. b: leaves, with nothing in flight.
// z: the end of the input stops what was asked, and waits two seconds for it.
// The last part stands in braces: all of it has been read before Perl reads on.
const TEXT = `PATH=${PATH}; LC_ALL=C; TZ=UTC; HOME=/; export PATH LC_ALL TZ HOME; unset LANGUAGE ENV BASH_ENV CDPATH PERL5OPT PERL5LIB PERL_UNICODE PERLIO; set -f; umask 077; cd /; IFS='
'
have() { command -v "$1" >/dev/null 2>&1; }
f() { for l in $(head -c $m | e); do printf '%s %s %s\\n' $i $1 "$l"; done; printf '%s %s .\\n' $i $1; }
g() { if IFS= read -r l; then { printf '%s\\n' "$l"; cat; } | f $1; elif [ -n "$l" ]; then printf %s "$l" | f $1; else printf '%s %s .\\n' $i $1; fi; }
s() { exec 5<&0 6>&1; { cat <&5 & printf '%s C %s\\n' $i $! >&6; wait; } | f $1; }
k() { kill -\${2:-KILL} -$1 2>/dev/null || kill -\${2:-KILL} $1 2>/dev/null; }
n() { shift; [ $# = 0 ] || kill -KILL "$@" 2>/dev/null; }
q() { {
  i=$1 m=$2 O=$3 E=$4; shift 4; trap '' TERM; exec 3>&1 </dev/null
  { {
      { trap - TERM; exec 3>&- 4>&-; exec $S "$@"; } 2>&4 & p=$!
      exec 4>&-
      trap 'k $p TERM; sleep 1; k $p KILL' TERM
      printf '%s P %s\\n' $i $p >&3
      wait $p; printf '%s X %s\\n' $i $? >&3
    } 2>/dev/null | $O O >&3 3>&- 4>&-
  } 4>&1 | $E E >&3 3>&-
} & }
a() { {
  i=$1; shift
  { trap - TERM; exec $S "$@" </dev/null >/dev/null 2>&1; } & p=$!
  printf '%s P %s\\n' $i $p; wait $p; printf '%s X %s\\n%s O .\\n%s E .\\n' $i $? $i $i
} & }
u() { sudo -n sh -c 'printf "\\n%s root\\n" "$1"; exec sh' sh '@NONCE@' && b; printf '\\n%s stays\\n' '@NONCE@'; }
z() { trap '' TERM HUP PIPE; trap - EXIT; kill -TERM 0; sleep 2; kill -KILL 0; }
b() { trap - EXIT; kill $w; exit 0; }
{
  S=; have setsid && S=setsid
  B=; { IFS= read -r B </proc/sys/kernel/random/boot_id; } 2>/dev/null
  if have perl; then
    perl -e '@PERL@' @NONCE@ @LIFE@ "$S" "$B"
    case $? in 0|1[3-9]?) exit; esac
  fi
  W=none
  for e in 'base64 -w 3000' base64 "od -An -v -tx1 | tr -d ' \\\\n' | fold -w 3000"; do
    case $(eval "printf abc | head -c 2 | $e" 2>/dev/null) in YWI=) W=b64; break;; 6162) W=hex; break;; esac
  done
  eval "e() { $e; }"
  { trap 'kill $s; exit' TERM; sleep @LIFE@ & s=$!; wait $s && z; } </dev/null >/dev/null 2>&1 & w=$!
  trap z EXIT; trap 'exit 1' HUP INT TERM PIPE
  printf '\\n%s ready 1 %s %s %s %s\\n' @NONCE@ $W "\${S:-nosetsid}" "$(id -u 2>/dev/null)" "$B"
}
`;

// A shell runs nothing of a line in braces before it has read the closing one: a line that a broken connection cuts is
// never run.
export function questionLine(id: number, maxBytes: number, argv: readonly Name[], suspect = false): string {
  return `{ q ${id} ${maxBytes} ${suspect ? 's s' : 'f g'} ${argv.map(quoted).join(' ')} ; }\n`;
}

export function actLine(id: number, argv: readonly Name[]): string {
  return `{ a ${id} ${argv.map(quoted).join(' ')} ; }\n`;
}

export function killLine(pid: number): string {
  return `{ k ${pid} ; }\n`;
}

/** Of a question that was given up nothing more is awaited. between: processes that stand between it and us. */
export function forgetLine(id: number, between: readonly number[]): string {
  return `{ n ${[id, ...between].join(' ')} ; }\n`;
}

export const BECOME_ROOT = '{ u ; }\n';
export const LEAVE = '{ b ; }\n';

/** One word of a shell line, one character a byte. */
function quoted(word: Name): string {
  return `'${toByteString(word).replaceAll("'", `'\\''`)}'`;
}

/** Whether it can be put as a question at all: no NUL can be an argument, and setsid would take a leading dash as its own. */
export function isAskable(argv: readonly Name[]): boolean {
  return argv.length > 0 && argv.every((word) => !toByteString(word).includes('\0')) && !/^(-|$)/.test(toByteString(argv[0] as Name));
}

/**
 * As a question: ends a process and all it started, and says where they slept and which of them live on.
 * `PID WCHAN` a line, then `--`, then /proc/PID/stat of those that are still there.
 */
export const END_PROCESS = `f() { echo "$1 $(cat /proc/$1/wchan 2>/dev/null)"; for c in $(cat /proc/$1/task/$1/children 2>/dev/null); do f $c; done; }
p=$1
all=$(f $p); echo "$all"; echo --
kill -KILL -$p 2>/dev/null || kill -KILL $p 2>/dev/null
sleep 0.3 2>/dev/null || sleep 1
echo "$all" | while read -r p rest; do cat /proc/$p/stat 2>/dev/null; done; :`;
