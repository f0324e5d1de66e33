# Functions, local variables, recursion, return, loops with break and continue, getopts.
outer() { local v=local; inner; echo "outer: $v"; }
inner() { echo "inner sees $v"; v=changed; }
v=global; outer; echo "now $v"
ret() { return $1; }
for n in 0 1 127 255 256; do ret $n; echo "return $n gave $?"; done
hanoi() { [ $1 -eq 0 ] && return; hanoi $(($1 - 1)) $2 $4 $3; moves=$((moves + 1)); hanoi $(($1 - 1)) $4 $3 $2; }
moves=0; hanoi 7 A C B; echo "$moves moves"
for i in 1 2 3; do for j in 1 2 3; do [ $j = 2 ] && continue 2; [ $i = 3 ] && break 2; echo $i$j; done; done
while :; do n=$((n - 1)); [ $n -lt 250 ] && break; done; echo $n
i=0; until [ $i = 3 ]; do i=$((i + 1)); done; echo "until $i"
options() { OPTIND=1; while getopts ab:c o; do case $o in a) echo "a";; b) echo "b=$OPTARG";; c) echo c;; ?) echo "bad";; esac; done; shift $((OPTIND - 1)); echo "rest: $*"; }
options -a -b value -c more words; options -cab joined; options -x 2>/dev/null; options -b 2>/dev/null
f() { echo "first $1"; set -- new; echo "inside $1"; }; set -- old; f arg; echo "outside $1"
f() { f2() { echo "defined inside"; }; }; f; f2
subshell() ( cd /; x=lost; exit 3 ); x=kept; subshell; echo "$? $x"
piped() { while read l; do echo "got $l"; done; }; printf 'a\nb\n' | piped
redirected() { echo out; echo err >&2; } > file 2>&1; redirected; cat file
deep() { [ $1 = 0 ] && { echo bottom; return; }; deep $(($1 - 1)); }; deep 500
unset -f f2; f2 2>/dev/null; echo "unset gave $?"
type deep | head -n 1; command -v cd; command -v if; command -V echo 2>/dev/null | head -n 1
alias hi='echo hello'; alias hi; unalias hi
set -e; (false; echo "not reached"); echo "not reached either"
