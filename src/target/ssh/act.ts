/**
 * Scripts around an act on another host, with its tag as `$0`. What it prints goes into a directory of its own, which
 * outlives the connection and needs no disk where that can be; whoever reads the output removes the directory.
 */
// biome-ignore lint/suspicious/noTemplateCurlyInString: it is the shell's
const PLACES = 'for d in /run /dev/shm /var/tmp /tmp; do d=$d/${0##*/}';

/** `$@` is the command. Of an earlier act of this name nothing but its end is left. */
export const ACT = `trap '' HUP
${PLACES}
  [ -e "$d/status" ] && rm -rf -- "$d"
  mkdir -m 700 -- "$d" 2>/dev/null && break; d=; done
[ -n "$d" ] || exit 1
"$@" </dev/null >"$d/output" 2>&1
c=$?; echo $c >"$d/status"; exit $c`;

export const LOOK = `${PLACES}; [ -f "$d/output" ] && exec tail -c 60000 -- "$d/output"; done; exit 3`;

/** Exit code 3: there was no place for its output, and so it was not begun. */
export const FETCH = `${PLACES}; [ -e "$d/status" ] && { tail -c 60000 -- "$d/output"; rm -rf -- "$d"; exit 0; }; done; exit 3`;
