# Pipes, loops, functions, conditions, arithmetic.
umask 022
seq 1 1000 | awk '{ s += $1 } END { print s }'
seq 1 20 | while read n; do echo $((n * n)); done | tail -n 3
for word in one two three; do printf '%s-' "$word"; done; echo
i=0; while [ $i -lt 5 ]; do i=$((i + 1)); [ $i = 3 ] && continue; echo "i=$i"; done
until [ $i -le 0 ]; do i=$((i - 2)); done; echo "now $i"
f() { echo "f has $# arguments: $*"; return 7; }
f a 'b c' d; echo "f gave $?"
case abc in a*c) echo glob;; *) echo none;; esac
echo $((2 + 3 * 4)) $((7 / 2)) $((7 % 3)) $((1 << 10)) $((0xff & 0x0f)) $((-5 / 2)) $((3 > 2 ? 10 : 20))
x=hello; echo "${x%lo} ${x#he} ${#x} ${x:1:3} ${y:-default} ${x/l/L}"
echo one two three | tr ' ' '\n' | sort -r | head -n 2 | cat -n
yes | head -n 100000 | wc -l
seq 1 50000 | sort -n | uniq -c | awk '$1 != 1 { bad = 1 } END { print NR, bad + 0 }'
(echo sub; exit 4); echo "subshell gave $?"
true && echo and || echo or
false && echo and || echo or
! true; echo "not: $?"
echo a | (read v; echo "read $v")
set -- x y z; shift; echo "$1 $#"
echo "$(echo nested $(echo deep))" `echo ticks`
exit 9
